"""celer: the lasso by coordinate descent on working sets, with extrapolated dual points."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.solvers.side import Side, estimator

if TYPE_CHECKING:
    from benchmarks.solvers.cases import Task

PACKAGE = MODULE = "celer"


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return its side of the lasso; its logistic regression has no intercept."""
    del small_batches
    o = task.objective
    if o.penalty != "l1" or o.loss != "squared_error" or task.frame is not None:
        return []
    lasso = import_module("celer").Lasso
    return [estimator("celer", lambda tol: lasso(alpha=o.alpha, tol=tol), o)]
