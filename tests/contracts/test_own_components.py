"""A user's own loss, penalty, optimizer, schedule and callback, defined in their script: here."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize

from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.objective.elementary import exp
from gradstep.objective.penalties import prox
from tests.uncompiled import uncompiled


class LogCosh(NamedTuple):
    """width²·log cosh((z - y) / width)."""

    width: float = 1.0

    def value(self, y, z):
        return self.width * self.width * math.log(math.cosh((z - y) / self.width))

    def slope(self, y, z):
        return self.width * math.tanh((z - y) / self.width)


class NotNegative(NamedTuple):
    """0 for weights from 0 on, infinite below: a constraint is a penalty, too."""

    def value(self, w):
        return np.where(np.asarray(w) < 0.0, np.inf, 0.0)

    def prox(self, x, step):
        return max(x, 0.0)


class Clipped(NamedTuple):
    """Proximal gradient descent, each coordinate's movement cut at `longest`."""

    longest: float = 0.1

    def n_slots(self):
        return 1  # how often it was cut

    def step(self, penalty, params, gradient, slots, lo, hi, at):
        for j in range(lo, hi):
            movement = at.rate * gradient[j]
            cut = max(-self.longest, min(movement, self.longest))
            slots[0, j] += 1.0 if cut != movement else 0.0
            params[j] = prox(penalty, params[j] - cut, at.rate * at.share)


class Exponential(NamedTuple):
    """exp(-y z), the loss that boosting minimises."""

    def value(self, y, z):
        return exp(-y * z)

    def slope(self, y, z):
        return -y * exp(-y * z)


class Brier(NamedTuple):
    """½ Σ_c (z_c - [c = y])²: least squares on indicators."""

    def row_slopes(self, y, z, at, k, slopes):
        total = 0.0
        for c in range(k):
            slopes[at + c] = z[at + c] - (1.0 if c == int(y) else 0.0)
            total += 0.5 * slopes[at + c] * slopes[at + c]
        return total


class Harmonic(NamedTuple):
    """first / epoch, epochs counted whole and from 1."""

    first: float

    def rates(self, steps, epochs, horizon):
        return self.first / (1.0 + np.floor(np.asarray(epochs)))


class StopAtThree:
    """A callback with one hook."""

    def on_epoch_end(self, event):
        return event.record.epoch == 3


@pytest.fixture(name="X")
def matrix():
    return np.random.default_rng(0).normal(size=(80, 4))


def scipy_minimum(loss, X, y, bounds=None):
    """Return weights and intercept of the least mean of loss(y, z)."""

    def objective(params):
        return np.mean(
            [loss.value(*at) for at in zip(y, X @ params[:-1] + params[-1], strict=True)]
        )

    start = np.full(X.shape[1] + 1, 0.1)
    return minimize(objective, start, bounds=bounds, method="L-BFGS-B", tol=1e-14).x


FULL_BATCHES = {"batch_size": 80, "shuffle": False, "tol": None}


def test_own_loss_penalty_and_optimizer_in_the_regressor(X):
    y = X @ [1.0, -1.0, 0.5, 0.0] + 2.0 + 0.3 * np.random.default_rng(1).standard_t(2, size=80)
    model = MiniBatchRegressor(
        loss=LogCosh(0.5),
        penalty=NotNegative(),
        optimizer=Clipped(0.05),
        learning_rate=1.0,
        max_iter=400,
        **FULL_BATCHES,
    ).fit(X, y)
    expected = scipy_minimum(LogCosh(0.5), X, y, [(0.0, None)] * 4 + [(None, None)])
    np.testing.assert_allclose([*model.coef_, *model.intercept_], expected, atol=1e-5)
    assert model.coef_[1] == 0.0
    assert model._state.slots[0].max() > 10.0, "steps were cut"
    assert model.score(X, y) > 0.3


def test_own_loss_with_all_defaults(X):
    y = X @ [1.0, -1.0, 0.5, 0.0] + 2.0 + 0.3 * np.random.default_rng(1).standard_t(2, size=80)
    model = MiniBatchRegressor(loss=LogCosh(0.5), penalty=None, tol=1e-6).fit(X, y)
    found = [*model.coef_, *model.intercept_]
    np.testing.assert_allclose(found, scipy_minimum(LogCosh(0.5), X, y), atol=1e-4)


@uncompiled
def test_own_loss_of_two_classes_in_the_classifier(X):
    y = X[:, 0] - X[:, 1] + np.random.default_rng(1).normal(size=80) > 0.0
    model = MiniBatchClassifier(
        loss=Exponential(), penalty=None, learning_rate=0.3, max_iter=400, **FULL_BATCHES
    ).fit(X, y)
    expected = scipy_minimum(Exponential(), X, np.where(y, 1.0, -1.0))
    np.testing.assert_allclose([*model.coef_[0], *model.intercept_], expected, atol=1e-5)
    assert not hasattr(model, "predict_proba")


@uncompiled
def test_own_joint_loss_in_the_classifier(X):
    y = np.array(["c", "a", "b"])[(X[:, :3] + 0.3).argmax(axis=1)]
    model = MiniBatchClassifier(
        loss=Brier(), penalty=None, learning_rate=0.3, max_iter=400, **FULL_BATCHES
    ).fit(X, y)
    A, indicators = np.column_stack([X, np.ones(80)]), y[:, None] == np.array(["a", "b", "c"])
    expected = np.linalg.lstsq(A, indicators.astype(float), rcond=None)[0]
    ours = np.column_stack([model.coef_, model.intercept_]).T
    np.testing.assert_allclose(ours, expected, atol=1e-10)
    np.testing.assert_array_equal(model.predict(X), model.classes_[(A @ expected).argmax(axis=1)])


def test_own_schedule_and_callback(X):
    model = MiniBatchRegressor(
        learning_rate=Harmonic(0.1), callbacks=[StopAtThree()], max_iter=9
    ).fit(X, X[:, 0])
    assert [record.learning_rate for record in model.history_] == [0.1, 0.05, 0.1 / 3.0]
