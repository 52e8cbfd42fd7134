"""The sides: how each library is asked for a case, by a tolerance of its own.

A side names the cases that it can do. Its form of the data is made off the clock: for coded rows a
split matrix for glum, a prepared table for gradstep.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from functools import partial
from importlib import import_module, util
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

import gradstep
from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.objective.regression import Tweedie

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.no_tuning.objective import Objective
    from benchmarks.solvers.cases import Task

__all__ = ["Side", "sides"]

MOST = 100_000  # iterations
MOST_CHOLESKY = 3000  # parameters of which a peer may make a matrix
TOLERANCES = tuple(10.0**-e for e in range(1, 13))


class Side(NamedTuple):
    """A way to fit a task.

    Attributes
    ----------
    name : str
        For the report.
    fit : callable
        Fits, from a tolerance; the time of this counts.
    value : callable
        The objective of what it returned.
    tolerances : tuple of float
        Those that are tried, loosest first.
    """

    name: str
    fit: Callable[[float], Any]
    value: Callable[[Any], float]
    tolerances: Sequence[float] = TOLERANCES


def sides(task: Task) -> list[Side]:
    """Return the sides that can do a task; gradstep is the first."""
    found = [_gradstep_table(task)] if task.frame is not None else [_gradstep(task)]
    found += [] if task.frame is not None else _scikit_learn(task)
    for package, make in (
        ("glum", _glum),
        ("skglm", _skglm),
        ("celer", _celer),
        ("snapml", _snapml),
    ):
        if util.find_spec(package) is not None:
            found += make(task)
    return found


def _gradstep(task: Task) -> Side:
    o = task.objective
    kind = MiniBatchClassifier if o.n_classes else MiniBatchRegressor
    own = {"loss": _loss_of(o)} | _penalty_of(o)
    return Side("gradstep", lambda tol: kind(tol=tol, **own).fit(o.X, o.y), o.value_of)


def _gradstep_table(task: Task) -> Side:
    o, frame = task.objective, task.frame
    folder = tempfile.TemporaryDirectory()  # lives as long as the side
    prepared = gradstep.prepare(
        frame, "y", sample_weight="w", validation=0.0, out=f"{folder.name}/prepared"
    )
    own = {"loss": _loss_of(o)} | _penalty_of(o)

    def fit(tol: float, _folder: Any = folder) -> Any:
        return gradstep.fit_table(prepared, tol=tol, inference="none", **own).model

    def value(model: Any) -> float:
        return o.mean_loss(model.scores(frame)) + o.penalty_of(model.coef_)

    return Side("gradstep", fit, value)


def _loss_of(o: Objective) -> Any:
    return Tweedie(o.parameter) if o.loss == "tweedie" else o.loss


def _penalty_of(o: Objective) -> dict[str, Any]:
    return {
        "penalty": o.penalty, "alpha": o.alpha, "l1_ratio": o.l1_ratio, "penalty_scale": "unit",
    }  # fmt: skip


# ------------------------------------------------------------------ peers


def _scikit_learn(task: Task) -> list[Side]:
    from sklearn import linear_model as lm

    o, n = task.objective, len(task.objective.y)
    if o.loss == "squared_error":
        if o.penalty == "l1":
            made = {"Lasso": lambda tol: lm.Lasso(alpha=o.alpha, tol=tol, max_iter=MOST)}
        else:
            made = {
                f"Ridge {solver}": partial(_ridge, lm, n * o.alpha, solver)
                for solver in ("auto", "lsqr", "sag" if sp.issparse(o.X) else "cholesky")
            }
    elif o.loss == "log_loss":
        solvers = {
            "l1": ("liblinear", "saga"),
            "l2": ("lbfgs", "newton-cg", "saga"),
        }[str(o.penalty)]
        if o.penalty == "l2" and o.k * o.X.shape[1] <= MOST_CHOLESKY:
            solvers += ("newton-cholesky",)
        if o.penalty == "l2" and o.k == 1 and sp.issparse(o.X):
            solvers += ("liblinear",)
        made = {solver: partial(_logistic, lm, o, solver) for solver in solvers}
    elif o.penalty == "l2":
        kind = {
            "poisson": lm.PoissonRegressor, "gamma": lm.GammaRegressor,
            "tweedie": partial(lm.TweedieRegressor, power=o.parameter, link="log"),
        }[o.loss]  # fmt: skip
        made = {
            solver: partial(_generalised, kind, o.alpha, solver)
            for solver in ("lbfgs", "newton-cholesky")
        }
    else:
        made = {}
    return [_side(f"scikit-learn {name}", make, o) for name, make in made.items()]


def _side(name: str, make: Callable[[float], Any], o: Objective) -> Side:
    weight = o.weight

    def fit(tol: float) -> Any:
        model = make(tol)
        return model.fit(o.X, o.y) if weight is None else model.fit(o.X, o.y, sample_weight=weight)

    return Side(name, fit, o.value_of)


def _ridge(lm: Any, alpha: float, solver: str, tol: float) -> Any:
    return lm.Ridge(alpha=alpha, solver=solver, tol=tol, max_iter=None)


def _generalised(kind: Any, alpha: float, solver: str, tol: float) -> Any:
    return kind(alpha=alpha, solver=solver, tol=tol, max_iter=MOST)


def _logistic(lm: Any, o: Objective, solver: str, tol: float) -> Any:
    return lm.LogisticRegression(
        C=1.0 / (len(o.y) * o.alpha), l1_ratio=o.l1_share, solver=solver, tol=tol, max_iter=MOST,
        random_state=0, intercept_scaling=100.0 if solver == "liblinear" else 1.0,
    )  # fmt: skip


def _glum(task: Task) -> list[Side]:
    o = task.objective
    if o.k > 1 or (sp.issparse(o.X) and o.X.shape[1] > MOST_CHOLESKY):
        return []  # one output; and its steps need a matrix
    glum, tabmat = import_module("glum"), import_module("tabmat")
    family, link = {
        "squared_error": ("normal", "identity"), "log_loss": ("binomial", "logit"),
        "poisson": ("poisson", "log"), "gamma": ("gamma", "log"),
        "tweedie": (glum.TweedieDistribution(o.parameter or 1.5), "log"),
    }[o.loss]  # fmt: skip
    X: Any = o.X
    if task.frame is not None:
        hot = [c for c in task.frame.columns if c.startswith("c")]
        numbers = [c for c in task.frame.columns if c.startswith("x")]
        parts = [tabmat.DenseMatrix(task.frame.select(numbers).to_numpy())]
        parts += [tabmat.CategoricalMatrix(task.frame[c].to_numpy()) for c in hot]
        X = tabmat.SplitMatrix(parts)
    elif sp.issparse(X):
        X = tabmat.SparseMatrix(sp.csc_matrix(X))

    def fit(tol: float) -> Any:
        return glum.GeneralizedLinearRegressor(
            family=family, link=link, alpha=o.alpha, l1_ratio=o.l1_share, gradient_tol=tol,
            max_iter=1000, scale_predictors=False,
        ).fit(X, o.y, sample_weight=o.weight)  # fmt: skip

    def value(model: Any) -> float:
        if task.frame is None:
            return o.value_of(model)
        scores = np.asarray(X.matvec(model.coef_)) + model.intercept_
        return o.mean_loss(scores[:, None]) + o.penalty_of(model.coef_)

    return [Side("glum", fit, value)]


def _skglm(task: Task) -> list[Side]:
    o = task.objective
    if o.penalty != "l1" or task.frame is not None:
        return []
    skglm = import_module("skglm")
    if o.loss == "squared_error":
        return [_side("skglm", lambda tol: skglm.Lasso(alpha=o.alpha, tol=tol), o)]
    if o.loss == "log_loss":
        make = skglm.SparseLogisticRegression
        return [_side("skglm", lambda tol: make(alpha=o.alpha, tol=tol), o)]
    return []


def _celer(task: Task) -> list[Side]:
    o = task.objective
    if o.penalty != "l1" or o.loss != "squared_error" or task.frame is not None:
        return []
    celer = import_module("celer")
    return [_side("celer", lambda tol: celer.Lasso(alpha=o.alpha, tol=tol), o)]


def _snapml(task: Task) -> list[Side]:
    o = task.objective
    if o.loss != "log_loss" or o.k > 1 or task.frame is not None:
        return []
    snapml, threads = import_module("snapml"), len(os.sched_getaffinity(0))
    C = len(o.y) * o.alpha

    def make(tol: float) -> Any:
        return snapml.LogisticRegression(
            regularizer=C, penalty=o.penalty, tol=tol, max_iter=10_000, n_jobs=threads,
            fit_intercept=True, dual=o.penalty == "l2",
        )  # fmt: skip

    known = replace(o, X=sp.csr_matrix(o.X)) if sp.issparse(o.X) else o  # it knows no arrays
    return [_side("snapml", make, known)]
