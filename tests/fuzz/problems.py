"""Random problems with an optimum that other libraries find, too, and how each finds it."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from sklearn import linear_model as lm

import gradstep as gs
from benchmarks.no_tuning.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["Problem", "problem", "rivals"]

_LOSSES = ("squared_error", "log_loss", "softmax", "poisson", "gamma", "tweedie")
_LAYOUTS = ("dense", "csr", "table")
_PENALTIES = (None, "l2", "l1", "elasticnet")
_POWER = 1.5
_POWERS = {"poisson": 1.0, "gamma": 2.0, "tweedie": _POWER}
_HAS = {name: importlib.util.find_spec(name) is not None for name in ("statsmodels", "glum")}

Solution = tuple["NDArray[np.float64]", "NDArray[np.float64]"]


@dataclass
class Problem:
    """Rows, a loss and a penalty."""

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    loss: str
    layout: str
    penalty: str | None
    alpha: float
    l1_ratio: float
    classes: int = 0
    weight: NDArray[np.float64] | None = None
    offset: NDArray[np.float64] | None = None
    fit_intercept: bool = True

    def __str__(self) -> str:
        n, p = self.X.shape
        more = [name for name in ("weight", "offset") if getattr(self, name) is not None]
        more += [] if self.fit_intercept else ["no intercept"]
        penalty = f"{self.penalty} {self.alpha:.2g}, {self.l1_ratio:.2f}"
        return ", ".join([f"{self.loss} of {n} × {p} {self.layout}", penalty, *more])

    @property
    def share(self) -> float:
        """The share of l1 in the penalty."""
        return {"l1": 1.0, "elasticnet": self.l1_ratio}.get(str(self.penalty), 0.0)

    @property
    def strength(self) -> float:
        """Alpha, 0 without a penalty; with an offset, times the mean weight that it gives rows.

        exp(offset) is an exposure, which weighs rates: a row of twice the exposure counts twice.
        """
        if self.penalty is None:
            return 0.0
        if self.offset is None or self.loss not in _POWERS:
            return self.alpha
        exposed = np.exp((2.0 - _POWERS[self.loss]) * self.offset)
        return self.alpha * float(np.average(exposed, weights=self.weight))

    def value(self, solution: Solution) -> float:
        """Return the objective, written down once more."""
        W, b = solution
        named = Objective(
            self.X, self.y, "log_loss" if self.classes else self.loss, self.penalty, 1.0,
            self.classes, _POWER if self.loss == "tweedie" else None, self.strength, self.l1_ratio,
            self.weight,
        )  # fmt: skip
        with np.errstate(all="ignore"):
            Z = self.X @ W.T + b
            Z += 0.0 if self.offset is None else self.offset[:, None]
            return named.mean_loss(Z) + named.penalty_of(W)

    def ours(self) -> Solution:
        """Fit it."""
        settings: dict[str, Any] = {
            "loss": "log_loss" if self.classes else self.loss, "penalty": self.penalty,
            "alpha": self.alpha, "l1_ratio": self.l1_ratio, "penalty_scale": "unit", "tol": 1e-8,
            "max_iter": 500, "optimizer": "auto",
        }  # fmt: skip
        if self.loss == "tweedie":
            settings["power"] = _POWER
        if self.layout == "table":
            columns = {f"x{j}": x for j, x in enumerate(self.X.T)}
            y = self.y.astype(int).astype(str) if self.classes else self.y
            roles = {"y": y, "w": self.weight, "o": self.offset}
            frame = pl.DataFrame(columns | {n: v for n, v in roles.items() if v is not None})
            fit = gs.fit_table(
                frame, "y", validation=0.0, **settings,
                sample_weight=None if self.weight is None else "w",
                offset=None if self.offset is None else "o",
            )  # fmt: skip
            return _in_order(fit.model, self.X.shape[1])
        kind = gs.MiniBatchClassifier if self.classes else gs.MiniBatchRegressor
        rows = sp.csr_array(self.X) if self.layout == "csr" else self.X
        model = kind(**settings, fit_intercept=self.fit_intercept)
        model.fit(rows, self.y, sample_weight=self.weight)
        return np.atleast_2d(model.coef_), np.ravel(model.intercept_)


def _in_order(model: Any, p: int) -> Solution:
    """Return coefficients in the order of the columns; of one that was left out, 0."""
    known, W = list(model.encoding.feature_names()), np.zeros((model.n_outputs, p))
    coef = np.atleast_2d(model.coef_)
    for at, name in enumerate(known):
        W[:, int(name[1:])] = coef[:, at]
    return W, np.ravel(model.intercept_)


def problem(seed: int, number: int) -> Problem:
    """Return the problem of a number."""
    rng = np.random.default_rng([seed, number])
    loss, layout = str(rng.choice(_LOSSES)), str(rng.choice(_LAYOUTS))
    penalty = _PENALTIES[rng.integers(2 if loss == "softmax" else 4)]
    p = int(rng.integers(1, 13))
    n = int(p * rng.integers(12, 60)) + 20
    mixed = rng.choice([0.0, 0.3, 1.0]) * rng.normal(size=(p, p))
    X = rng.normal(size=(n, p)) @ (np.eye(p) + mixed)
    X += rng.choice([0.0, 0.0, 3.0]) * rng.normal(size=p)
    X *= 10.0 ** (rng.choice([0.0, 1.0]) * rng.uniform(-1.0, 1.0, size=p))
    if layout == "csr" or rng.random() < 0.2:
        X *= rng.random(X.shape) < rng.uniform(0.1, 0.9)
    score = X @ (rng.normal(size=p) * (rng.random(p) < 0.6))
    score = (score - score.mean()) / max(score.std(), 1e-9)
    offset = None
    if layout == "table" and loss not in {"log_loss", "softmax"} and rng.random() < 0.4:
        offset = rng.normal(size=n) * 0.5
        score = score + offset
    classes = {"log_loss": 2, "softmax": int(rng.integers(3, 6))}.get(loss, 0)
    if classes:
        noisy = score + 1.5 * rng.logistic(size=n)
        cuts = np.quantile(noisy, np.arange(1, classes) / classes)
        y = np.searchsorted(cuts, noisy).astype(float)
    elif loss == "squared_error":
        y = 10.0 ** rng.uniform(-2.0, 3.0) * (score + rng.normal(size=n))
    elif loss == "poisson":
        y = rng.poisson(np.exp(np.minimum(score, 4.0))).astype(float)
        y[0] += 1.0
    else:
        y = rng.gamma(2.0, np.exp(np.clip(score, -4.0, 4.0))) + 1e-3
    weight = None
    if rng.random() < 0.5:
        weight = rng.exponential(size=n) if rng.random() < 0.5 else rng.integers(0, 4, n) + 0.0
        weight[:2] = 1.0
    return Problem(
        X, y, loss, layout, penalty, float(10.0 ** rng.uniform(-5.0, 0.0)),
        float(rng.uniform(0.05, 0.95)), classes, weight, offset,
        fit_intercept=layout == "table" or bool(rng.random() < 0.8),
    )  # fmt: skip


# --------------------------------------------------------------------------- other libraries


def rivals(of: Problem) -> Iterator[tuple[str, Solution]]:
    """Yield how others solve a problem, where they do."""
    makers: dict[str, Callable[[Problem], Solution | None]] = {
        "scikit-learn": _sklearn, "statsmodels": _statsmodels, "glum": _glum,
    }  # fmt: skip
    for name, make in makers.items():
        if not _HAS.get(name, True):
            continue
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                found = make(of)
            except Exception:  # noqa: BLE001, S112  (of whatever kind: it solves this one not)
                continue
        if found is not None and all(np.isfinite(part).all() for part in found):
            yield name, found


def _sklearn(of: Problem) -> Solution | None:
    total = len(of.y) if of.weight is None else float(of.weight.sum())
    own: dict[str, Any] = {"fit_intercept": of.fit_intercept}
    l2 = of.share == 0.0
    if of.offset is not None:
        return None
    if of.loss == "squared_error":
        model = lm.Ridge(max(total * of.strength, 1e-300), solver="cholesky", **own) if l2 else (
            lm.ElasticNet(of.alpha, l1_ratio=of.share, tol=1e-14, max_iter=200_000, **own)
        )  # fmt: skip
    elif not l2:
        return None
    elif of.classes:
        C = 1.0 / (total * of.strength) if of.strength else np.inf
        model = lm.LogisticRegression(
            C=C, solver="newton-cholesky", tol=1e-12, max_iter=1000, **own
        )
    else:
        settings = {"alpha": of.strength, "solver": "newton-cholesky", "tol": 1e-12, **own}
        model = lm.TweedieRegressor(power=_POWERS[of.loss], link="log", max_iter=1000, **settings)
    model.fit(of.X, of.y, sample_weight=of.weight)
    return np.atleast_2d(model.coef_), np.ravel(model.intercept_)


def _statsmodels(of: Problem) -> Solution | None:
    if of.penalty is not None or of.loss == "softmax":
        return None
    import statsmodels.api as sm

    family = {
        "squared_error": sm.families.Gaussian(), "log_loss": sm.families.Binomial(),
        "poisson": sm.families.Poisson(),
        "gamma": sm.families.Gamma(sm.families.links.Log()),
        "tweedie": sm.families.Tweedie(sm.families.links.Log(), var_power=_POWER),
    }[of.loss]  # fmt: skip
    X = np.column_stack([of.X, np.ones(len(of.y))]) if of.fit_intercept else of.X
    model = sm.GLM(of.y, X, family=family, freq_weights=of.weight, offset=of.offset)
    params = np.asarray(model.fit(maxiter=200, tol=1e-14).params)
    p = of.X.shape[1]
    return params[None, :p], params[p:] if of.fit_intercept else np.zeros(1)


def _glum(of: Problem) -> Solution | None:
    if of.loss == "softmax":
        return None
    import glum

    family = {
        "squared_error": "normal", "log_loss": "binomial", "poisson": "poisson", "gamma": "gamma",
        "tweedie": glum.TweedieDistribution(_POWER),
    }[of.loss]  # fmt: skip
    model = glum.GeneralizedLinearRegressor(
        family=family, link="auto" if of.loss in {"squared_error", "log_loss"} else "log",
        alpha=of.strength, l1_ratio=of.share, fit_intercept=of.fit_intercept, gradient_tol=1e-11,
        max_iter=1000,
    )  # fmt: skip
    model.fit(of.X, of.y, sample_weight=of.weight, offset=of.offset)
    return np.atleast_2d(model.coef_), np.ravel(model.intercept_)
