"""Problems for the automatic method: rows that lead each way, and the objective in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from gradstep.objective.classification import LogLoss
from gradstep.objective.losses import target_range
from gradstep.objective.penalties import L2
from gradstep.objective.regression import SquaredError, Tweedie
from gradstep.optim.schedules import Constant
from gradstep.optim.solvers import SVRG
from gradstep.rows.dataset import Dataset
from tests.contracts.losses import JOINT_LOSSES, LOSSES, SIGNS
from tests.contracts.nouns import NOUNS, classes_of
from tests.engine import cases
from tests.engine.cases import csr, dense, matrix


def problem(data, **changes):
    """Return a problem for the data: ridge regression to the optimum, unless changed."""
    own = {
        "penalty": L2(1e-3), "optimizer": SVRG(), "schedule": Constant(1.0), "batch_size": 0,
        "max_epochs": 1000, "tol": 1e-8,
    }  # fmt: skip
    return cases.problem(data, **own | changes)


@dataclass(frozen=True)
class Objective:
    """The objective in NumPy, by scikit-learn's losses; l2 has a strength for each feature."""

    loss: Any
    X: Any
    y: Any
    weight: Any
    l2: Any = 0.0
    k: int = 1
    fit_intercept: bool = True

    @classmethod
    def of(cls, data, X, **changes):
        of = problem(data, **changes)
        scales = 1.0 if of.penalty_scales is None else of.penalty_scales
        weight = np.ones(data.n) if data.sample_weight is None else data.sample_weight
        l2 = of.penalty.strengths()[1] * np.broadcast_to(np.square(scales), X.shape[1])
        return cls(of.loss, X, data.y, weight / weight.sum(), l2, of.n_outputs, of.fit_intercept)

    def losses(self, z):
        """Return each row's loss at its scores, and the slopes there."""
        if type(self.loss) in JOINT_LOSSES:
            value, slope = JOINT_LOSSES[type(self.loss)].peer(self.loss, self.k)
            return value(self.y[:, 0], z), slope(self.y[:, 0], z)
        value, slope = LOSSES[type(self.loss)].peer(self.loss)
        each = [(np.ascontiguousarray(self.y[:, c]), z[:, c].copy()) for c in range(self.k)]
        return sum(value(*at) for at in each), np.column_stack([slope(*at) for at in each])

    def __call__(self, params):
        """Return value and gradient."""
        k, p = self.k, self.X.shape[1]
        w, b = params[: k * p].reshape(k, p), params[k * p :]
        losses, slopes = self.losses(np.ascontiguousarray(self.X @ w.T + b))
        slopes = slopes * self.weight[:, None]
        gradient = (self.X.T @ slopes).T + self.l2 * w
        total = self.weight @ losses + 0.5 * np.sum(self.l2 * w * w)
        g_b = slopes.sum(axis=0) * self.fit_intercept
        return float(total), np.append(gradient.ravel(), g_b)

    @property
    def start(self):
        return np.zeros(self.k * (self.X.shape[1] + 1))

    def least(self):
        """Return SciPy's minimum, which has next to no gradient."""
        factor = self._factor() if self.k == 1 and self.X.shape[1] < 1000 else None

        def params_of(u):
            return u if factor is None else solve_triangular(factor, u, lower=True, trans="T")

        def objective(u):
            value, gradient = self(params_of(u))
            if factor is not None:
                gradient = solve_triangular(factor, gradient, lower=True)
            return value, gradient

        found = minimize(
            objective, self.start, jac=True, method="L-BFGS-B",
            options={"maxiter": 20_000, "maxfun": 40_000, "ftol": 0.0, "gtol": 1e-9, "maxcor": 30},
        )  # fmt: skip
        least, gradient = self(params_of(found.x))
        assert np.abs(gradient).max() < 1e-7
        return least

    def _factor(self):
        """Return the Cholesky factor of about the Hessian at the start.

        In coordinates in which it is 1 some dozen steps are enough, where it would be thousands.
        """
        above, below = (self.losses(np.full((len(self.X), 1), z))[1] for z in (0.1, -0.1))
        h = np.abs(above - below)[:, 0] / 0.2
        A = np.column_stack([self.X, np.full(len(self.X), float(self.fit_intercept))])
        own = np.append(np.broadcast_to(self.l2, self.X.shape[1]), not self.fit_intercept)
        hessian = (A.T * (self.weight * (h + h.mean()))) @ A + np.diag(own)
        return np.linalg.cholesky(hessian + 1e-10 * np.diag(np.diag(hessian)))

    def assert_solved_by(self, params, rel=1e-8):
        least = self.least()
        assert self(params)[0] - least <= rel * (self(self.start)[0] - least)


def one_of_each(condition=lambda _: True):
    """Return a loss of each class, wherever it is defined, that meets a condition."""
    cases = {**LOSSES, **JOINT_LOSSES}
    usual = {Tweedie: Tweedie(1.5)}
    found = [usual.get(cls, cases[cls].losses[0]) for cls in classes_of(NOUNS["loss"])]
    return [loss for loss in found if condition(loss)]


def targets(loss, z, rng):
    """Return targets that a loss allows, which follow the scores, heavily scattered."""
    z = (z - z.mean()) / np.std(z)
    if type(loss) in JOINT_LOSSES:
        return np.digitize(z + rng.normal(size=z.size), [-0.5, 0.7]).astype(float)[:, None]
    if LOSSES[type(loss)].targets is SIGNS:
        return np.where(z + rng.normal(size=z.size) > 0.2, 1.0, -1.0)[:, None]
    if target_range(loss).low == 0.0:
        return np.exp(0.5 * z + 0.3 * rng.normal(size=z.size))[:, None]
    return (z + rng.standard_t(1.5, z.size))[:, None]


def weight(loss, n, rng):
    """Return weights for one loss: others would be compiled again for them alone."""
    return rng.integers(1, 4, n).astype(float) if isinstance(loss, LogLoss) else None


def outputs(loss):
    return 3 if type(loss) in JOINT_LOSSES else 1


def few_rows(loss, n=40, p=400, layout=dense):
    """Return fewer rows than features: some are the same, and a feature is constant."""
    rng = np.random.default_rng(p)
    X = matrix(n, p, 1, None if layout is dense else 0.1) + (3.0 if layout is dense else 0.0)
    X[:, 5], X[n // 2] = 2.0 * (layout is dense), X[0]
    y = targets(loss, X[:, :8].sum(axis=1), rng)
    return Dataset(layout(X), y, weight(loss, n, rng)), X


def with_factors(n, p, many, own, noise):
    """Return rows of some factors and a little of their own, and a target of the factors."""
    rng = np.random.default_rng(many)
    factors = rng.normal(size=(n, many))
    X = factors @ rng.normal(size=(many, p)) + own * rng.normal(size=(n, p))
    y = factors.sum(axis=1) + noise * rng.normal(size=n)
    return Dataset(dense(X), y[:, None]), X


def with_a_pair(n, p):
    """Return independent features, two of which are nearly the same."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    X[:, 1] = X[:, 0] + 0.01 * rng.normal(size=n)
    return Dataset(dense(X), X[:, :50].sum(axis=1)[:, None] + rng.normal(size=(n, 1))), X


# Rows, features, layout, density, strength of the penalty: sizes that lead that way.
SIZES = {
    "newton": (1500, 8, dense, None, 1e-3),
    "sampled": (8000, 8, dense, None, 1e-3),
    "quasi-newton": (10_500, 223, dense, None, 1e-3),
    "quasi-newton, joint": (15_100, 74, dense, None, 1e-3),
    "diagonal": (2500, 2100, csr, 0.005, 1e-2),
}


def sized(name, loss):
    """Return data of a size, and the matrix; features share a factor if dense."""
    return _sized(name, (loss, type(loss)))  # losses without parameters are equal, being tuples


@cache
def _sized(name, key):
    loss, _ = key
    n, p, layout, density, _ = SIZES[name]
    rng = np.random.default_rng(len(name))
    X = matrix(n, p, 1, density)
    if density is None:
        X = X + 0.7 * rng.normal(size=(n, 1))
    y = targets(loss, X @ rng.normal(size=p), rng)
    if isinstance(loss, SquaredError):
        y = np.clip(y, -10.0, 10.0)
    rows = layout(X)
    return Dataset(rows, y, None if name == "diagonal" else weight(loss, n, rng)), X


def case(name, loss):
    return {"loss": loss, "n_outputs": outputs(loss), "penalty": L2(SIZES[name][4])}


def nasty(name, n=2400, seed=0):
    """Return features that are hard to step along."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    common = rng.normal(size=(n, 1))
    outlying = X.copy()
    outlying[[5, 6, 7]] *= [[1e4], [-1e3], [50.0]]
    return {
        "heavy tails": rng.standard_t(1.2, (n, 6)),
        "outlying rows": outlying,
        "correlated": X + 300.0 * common,
        "far from zero": (X + 1e5) * np.geomspace(1e-5, 1e5, 6),
        "constant and copied": np.column_stack([X, np.full(n, 0.1), X[:, :3], X @ np.ones(6)]),
        "nearly copied": np.column_stack([X, X + 1e-6 * rng.normal(size=X.shape)]),
        "rare": np.where(rng.random((n, 6)) < 0.005, X, 0.0),
    }[name]


def nasty_data(name, loss, seed=0):
    X, rng = nasty(name, seed=seed), np.random.default_rng(seed + 1)
    y = targets(loss, X @ rng.normal(size=X.shape[1]), rng)
    if target_range(loss).low == 0.0:
        y[11] = 1e5
    return Dataset(dense(X), y, weight(loss, len(X), rng)), X
