"""skglm: coordinate descent on a working set, for l1."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.solvers.side import Side, estimator

if TYPE_CHECKING:
    from benchmarks.solvers.cases import Task

PACKAGE = MODULE = "skglm"


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return its side of what has l1 alone, numbers or two classes."""
    del small_batches
    o = task.objective
    if o.penalty != "l1" or o.k > 1 or task.frame is not None:
        return []
    names = {"squared_error": "Lasso", "log_loss": "SparseLogisticRegression"}
    if o.loss not in names:
        return []
    make = getattr(import_module("skglm"), names[o.loss])
    return [estimator("skglm", lambda tol: make(alpha=o.alpha, tol=tol), o)]
