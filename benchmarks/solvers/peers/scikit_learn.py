"""scikit-learn's solvers, each a side of its own. Of coded rows it takes one column for each level.

``SGDClassifier`` and ``SGDRegressor`` average their weights under l2; their rate falls with the
fourth root of the steps, from the best of a grid at each number of epochs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import scipy.sparse as sp
from sklearn import linear_model as lm

from benchmarks.solvers.side import (
    EPOCHS,
    MOST,
    MOST_CHOLESKY,
    RATES,
    Side,
    estimator,
    weight_sum,
)  # fmt: skip

if TYPE_CHECKING:
    from benchmarks.no_tuning.objective import Objective
    from benchmarks.solvers.cases import Task

PACKAGE, MODULE = "scikit-learn", "sklearn"


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return a side for each solver that can do the task."""
    o = task.objective
    coded = task.frame is not None
    made = {
        "squared_error": partial(_of_numbers, coded=coded),
        "log_loss": partial(_of_classes, coded=coded),
    }.get(o.loss, _generalised)(o)
    found = [estimator(f"scikit-learn {name}", make, o) for name, make in made.items()]
    return found + _sgd(o) if small_batches else found


def _of_numbers(o: Objective, *, coded: bool) -> dict[str, Any]:
    if o.penalty == "l1":
        return {"Lasso": lambda tol: lm.Lasso(alpha=o.alpha, tol=tol, max_iter=MOST)}
    if o.penalty != "l2":
        return {}
    strength = weight_sum(o) * o.alpha
    solvers = ("auto", "lsqr") if coded else ("auto", "lsqr", "cholesky")
    if sp.issparse(o.X) and not coded:
        solvers = ("auto", "lsqr", "sag")
    return {f"Ridge {solver}": partial(_ridge, strength, solver) for solver in solvers}


def _of_classes(o: Objective, *, coded: bool) -> dict[str, Any]:
    solvers: tuple[str, ...]
    if o.penalty == "l2":
        solvers = ("lbfgs",) if coded else ("lbfgs", "newton-cg", "saga")
        if o.k * o.X.shape[1] <= MOST_CHOLESKY:
            solvers += ("newton-cholesky",)
        if o.k == 1 and sp.issparse(o.X) and not coded:
            solvers += ("liblinear",)
    else:
        solvers = ("liblinear", "saga") if o.penalty == "l1" else ("saga",)
    return {solver: partial(_logistic, o, solver) for solver in solvers}


def _generalised(o: Objective) -> dict[str, Any]:
    if o.penalty != "l2":
        return {}
    kind = {
        "poisson": lm.PoissonRegressor, "gamma": lm.GammaRegressor,
        "tweedie": partial(lm.TweedieRegressor, power=o.parameter, link="log"),
    }[o.loss]  # fmt: skip
    return {solver: partial(_glm, kind, o.alpha, solver) for solver in ("lbfgs", "newton-cholesky")}


def _ridge(alpha: float, solver: str, tol: float) -> Any:
    return lm.Ridge(alpha=alpha, solver=solver, tol=tol, max_iter=None)


def _glm(kind: Any, alpha: float, solver: str, tol: float) -> Any:
    return kind(alpha=alpha, solver=solver, tol=tol, max_iter=MOST)


def _logistic(o: Objective, solver: str, tol: float) -> Any:
    return lm.LogisticRegression(
        C=1.0 / (weight_sum(o) * o.alpha), l1_ratio=o.l1_share, solver=solver, tol=tol,
        max_iter=MOST, random_state=0,
        intercept_scaling=100.0 if solver == "liblinear" else 1.0,
    )  # fmt: skip


def _sgd(o: Objective) -> list[Side]:
    if o.k > 1 or o.loss not in {"squared_error", "log_loss"} or not o.strength:
        return []
    kind = lm.SGDClassifier if o.n_classes else lm.SGDRegressor

    def make(epochs: float, rate: float) -> Any:
        return kind(
            loss=o.loss, penalty=o.penalty, alpha=o.alpha, l1_ratio=o.l1_share, tol=None,
            max_iter=int(epochs), learning_rate="invscaling", eta0=rate, power_t=0.25,
            average=o.penalty == "l2", random_state=0,
        )  # fmt: skip

    found = [estimator(f"scikit-learn {kind.__name__}", make, o, EPOCHS, RATES)]
    if o.n_classes:
        plain = partial(
            kind, loss=o.loss, penalty=o.penalty, alpha=o.alpha, l1_ratio=o.l1_share, tol=None,
            random_state=0,
        )  # fmt: skip
        name = "scikit-learn SGDClassifier, default rate"
        found.append(estimator(name, lambda n: plain(max_iter=int(n)), o, EPOCHS))
    return found
