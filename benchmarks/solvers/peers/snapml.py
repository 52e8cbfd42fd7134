"""Snap ML: coordinate descent, in the dual for l2, for two classes."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import scipy.sparse as sp

from benchmarks.solvers.side import Side, estimator

if TYPE_CHECKING:
    from benchmarks.solvers.cases import Task

PACKAGE = MODULE = "snapml"


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return its side of two classes without weights of rows."""
    del small_batches
    o = task.objective
    if o.loss != "log_loss" or o.k > 1 or o.weight is not None:
        return []
    snapml, threads = import_module("snapml"), len(os.sched_getaffinity(0))
    C = len(o.y) * o.alpha

    def make(tol: float) -> Any:
        return snapml.LogisticRegression(
            regularizer=C, penalty=o.penalty, tol=tol, max_iter=10_000, n_jobs=threads,
            fit_intercept=True, dual=o.penalty == "l2",
        )  # fmt: skip

    known = replace(o, X=sp.csr_matrix(o.X)) if sp.issparse(o.X) else o  # it knows no arrays
    return [estimator("snapml", make, known)]
