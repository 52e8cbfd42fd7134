"""glum: iteratively reweighted least squares, of coded rows from tabmat's split matrix."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from benchmarks.solvers.side import MOST_CHOLESKY, Side

if TYPE_CHECKING:
    from benchmarks.solvers.cases import Task

PACKAGE = MODULE = "glum"


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return its side; it has one output, and its steps need a matrix."""
    del small_batches
    o = task.objective
    if o.k > 1 or (sp.issparse(o.X) and o.X.shape[1] > MOST_CHOLESKY):
        return []
    glum = import_module("glum")
    family, link = {
        "squared_error": ("normal", "identity"), "log_loss": ("binomial", "logit"),
        "poisson": ("poisson", "log"), "gamma": ("gamma", "log"),
        "tweedie": (glum.TweedieDistribution(o.parameter or 1.5), "log"),
    }[o.loss]  # fmt: skip
    X = _matrix(task)

    def fit(tol: float) -> Any:
        return glum.GeneralizedLinearRegressor(
            family=family, link=link, alpha=o.strength, l1_ratio=o.l1_share, gradient_tol=tol,
            max_iter=1000, scale_predictors=False,
        ).fit(X, o.y, sample_weight=o.weight)  # fmt: skip

    def value(model: Any) -> float:
        if task.frame is None:
            return o.value_of(model)
        scores = np.asarray(X.matvec(model.coef_)) + model.intercept_
        return o.mean_loss(scores[:, None]) + o.penalty_of(model.coef_)

    return [Side("glum", fit, value)]


def _matrix(task: Task) -> Any:
    tabmat, X = import_module("tabmat"), task.objective.X
    if task.frame is not None:
        hot = [c for c in task.frame.columns if c.startswith("c")]
        numbers = [c for c in task.frame.columns if c.startswith("x")]
        parts = [tabmat.DenseMatrix(task.frame.select(numbers).to_numpy())]
        parts += [tabmat.CategoricalMatrix(task.frame[c].to_numpy()) for c in hot]
        return tabmat.SplitMatrix(parts)
    return tabmat.SparseMatrix(sp.csc_matrix(X)) if sp.issparse(X) else X
