"""Part `optimum`: SVRG's coefficients beside scikit-learn's exact solvers, and a Newton method."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.grids import Grid
from benchmarks.no_tuning.fits import FitFailed, fit_defaults
from benchmarks.no_tuning.high_precision import Keeper, least_value
from benchmarks.no_tuning.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Callable

NEAR = 1e-6
CONDITIONS = (1.0, 1e2, 1e4)
EXACT = {"optimizer": "svrg", "tol": 1e-8, "penalty_scale": "unit"}
ALPHA = 1e-3


class Rival(NamedTuple):
    """An exact solver of scikit-learn, and the problem that it solves."""

    name: str
    loss: str
    penalty: str | None
    n_classes: int
    make: Callable[[int], Any]  # given the number of rows
    l1_ratio: float = 0.15


def _logistic(**options: Any) -> Callable[[int], Any]:
    from sklearn.linear_model import LogisticRegression

    return lambda n: LogisticRegression(C=1.0 / (n * ALPHA), **options)


def rivals() -> list[Rival]:
    """List scikit-learn's solvers at the tolerances that they can still meet."""
    from sklearn import linear_model as lm

    exact = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 1000}
    glm: dict[str, Any] = {"alpha": ALPHA, **exact}
    saga = {"solver": "saga", "l1_ratio": 1.0, "tol": 1e-10, "max_iter": 20_000}
    descent: dict[str, Any] = {"alpha": ALPHA, "tol": 1e-14, "max_iter": 1_000_000}
    return [
        Rival("Ridge", "squared_error", "l2", 0, lambda n: lm.Ridge(n * ALPHA, solver="cholesky")),
        Rival("LogisticRegression", "log_loss", "l2", 2, _logistic(**exact)),
        Rival("LogisticRegression, 4 classes", "log_loss", "l2", 4, _logistic(**exact)),
        Rival("PoissonRegressor", "poisson", "l2", 0, lambda _: lm.PoissonRegressor(**glm)),
        Rival("GammaRegressor", "gamma", "l2", 0, lambda _: lm.GammaRegressor(**glm)),
        Rival(
            "TweedieRegressor, 1.5", "tweedie", "l2", 0,
            lambda _: lm.TweedieRegressor(power=1.5, link="log", **glm),
        ),
        Rival("Lasso", "squared_error", "l1", 0, lambda _: lm.Lasso(**descent)),
        Rival(
            "ElasticNet", "squared_error", "elasticnet", 0,
            lambda _: lm.ElasticNet(l1_ratio=0.15, **descent),
        ),
        Rival("LogisticRegression, l1, saga", "log_loss", "l1", 2, _logistic(**saga)),
    ]  # fmt: skip


def run_optimum(
    keeper: Keeper, say: Callable[[str], None], *, only: str, quick: bool, repeats: int
) -> list[Grid]:
    """Compare coefficients, in deviations of the columns, at each condition."""
    del repeats
    header = ["problem", "condition", "gradstep from scikit-learn", "gradstep from Newton"]
    grid = Grid("The optimum: largest difference of a coefficient, over the largest one", header)
    grid.header += ["scikit-learn from Newton", "epochs", "passes", "result"]
    worst: list[float] = []
    for rival in rivals():
        for condition in CONDITIONS[:2] if quick else CONDITIONS:
            label = f"{rival.name} {condition:g}"
            if only in label:
                row, difference = _compare(rival, condition, 500 if quick else 5000, keeper)
                worst.append(difference)
                grid.rows.append(row)
                say(" | ".join(row))
    if worst:
        told = "an error" if np.isnan(worst).any() else f"{max(worst):.2g}"
        grid.rows.append(["worst", "", told, *[""] * 5])
    grid.notes = [
        f"gradstep: {EXACT}, alpha {ALPHA:g}, the same objective on both sides",
        "a coefficient counts in deviations of its column; softmax without the classes' mean",
        "condition: largest over smallest eigenvalue of the columns' covariance",
        f"met: within {NEAR:g} of scikit-learn or, where that is further off, of a Newton method",
    ]
    return [grid]


def columns_of_condition(
    rng: np.random.Generator, n: int, p: int, condition: float, tails: str = "normal"
) -> Any:
    """Draw columns whose covariance has that condition, on random axes."""
    Z = rng.standard_t(3.0, size=(n, p)) if tails == "t3" else rng.normal(size=(n, p))
    if condition == 1.0:
        return Z
    axes = np.linalg.qr(rng.normal(size=(p, p)))[0]
    return (Z * condition ** (-0.5 * np.linspace(0.0, 1.0, p))) @ axes


def _problem(rival: Rival, condition: float, n: int) -> Objective:
    rng = np.random.default_rng(int(condition))
    p = 20
    X = columns_of_condition(rng, n, p, condition)
    score = X @ rng.normal(size=p)
    score /= score.std()
    X += 3.0 * rng.normal(size=p) * X.std(axis=0)
    if rival.n_classes:
        noisy = score + rng.logistic(size=n)
        cuts = np.quantile(noisy, np.arange(1, rival.n_classes) / rival.n_classes)
        y = np.searchsorted(cuts, noisy)
    elif rival.loss == "squared_error":
        y = score + rng.normal(size=n)
    else:
        y = rng.gamma(2.0, 0.5 * np.exp(score)) + 1e-3
        y = y if rival.loss != "poisson" else rng.poisson(y).astype(float)
    return Objective(
        X, y, rival.loss, rival.penalty, np.ones(p), rival.n_classes, alpha=ALPHA,
        l1_ratio=rival.l1_ratio,
    )  # fmt: skip


def _compare(rival: Rival, condition: float, n: int, keeper: Keeper) -> tuple[list[str], float]:
    o = _problem(rival, condition, n)
    spread = o.X.std(axis=0)

    def in_deviations(W: Any) -> Any:
        W = np.reshape(W, (o.k, -1)) * spread
        return W - W.mean(axis=0) if o.joint else W

    model = rival.make(n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # On centred columns: the same problem but for the intercept, and better for its digits.
        model.fit(o.X - o.X.mean(axis=0), o.y)
    theirs, exact = in_deviations(model.coef_), in_deviations(least_value(o, keeper).W)
    try:
        fitted, trail, _ = fit_defaults(o, **EXACT)
    except FitFailed as failed:
        return [rival.name, f"{condition:g}", *["–"] * 5, str(failed)[:160]], np.nan
    ours = in_deviations(fitted.coef_)
    off, from_exact, its = _off(ours, theirs), _off(ours, exact), _off(theirs, exact)
    near = off <= NEAR or (its > from_exact and from_exact <= NEAR)
    numbers = [f"{number:.1e}" for number in (off, from_exact, its)]
    spent = [str(len(trail.ended)), f"{trail.passes[-1]:.2f}"]
    row = [rival.name, f"{condition:g}", *numbers, *spent, "met" if near else "MISSED"]
    return row, off if off <= its else from_exact


def _off(a: Any, b: Any) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())
