"""The best constant of each loss minimises its mean loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize, minimize_scalar

from gradstep.objective.classification import LogLoss, OneVsRest, Softmax, SquaredHinge
from gradstep.objective.losses import row_slopes, value
from gradstep.objective.regression import (
    EpsilonInsensitive,
    Huber,
    Pinball,
    SquaredEpsilonInsensitive,
)
from tests.objective.cases import of


def samples(case):
    """Yield targets and weights, with all targets alike at the end."""
    rng = np.random.default_rng(0)
    for weight in (None, rng.integers(0, 4, 25).astype(float)):
        yield rng.choice(case.targets, 25), weight
    yield np.full(4, case.targets[-1]), None


@pytest.mark.parametrize("case, loss", of("best_constant"))
def test_best_constant_minimises_the_mean_loss(case, loss):
    for y, weight in samples(case):

        def objective(score, y=y, weight=weight):
            return np.average([value(loss, v, score) for v in y.tolist()], weights=weight)

        least = minimize_scalar(objective, bounds=(-30.0, 30.0), method="bounded").fun
        assert objective(loss.best_constant(y, weight)) <= least + 1e-9 * (1.0 + abs(least))


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999])
@pytest.mark.parametrize(
    "y",
    [
        np.random.default_rng(0).normal(size=50_001),
        np.sort(np.random.default_rng(1).normal(size=50_000)),
        np.random.default_rng(2).poisson(3.0, 50_000).astype(float),
        np.where(np.arange(50_000) % 24 == 0, 1.0, np.arange(50_000.0)),  # thinned, all alike
        np.zeros(50_000),
    ],
    ids=["normal", "sorted", "counts", "periodic", "constant"],
)
def test_quantiles_of_many_targets_are_exact(y, share):
    expected = np.quantile(y, share, method="inverted_cdf")
    assert Pinball(share).best_constant(y, None) == expected
    assert Huber(0.0).best_constant(y, None) == np.median(y)


def test_best_constants_of_targets_very_far_apart():
    y, weight = np.array([1e-22, 2e118, 4e255]), np.array([0.0, 0.86, 0.853])
    assert Huber(0.1).best_constant(y, weight) == pytest.approx(2e118)
    y = np.array([-1.7e308, 1.7e308, 1.7e308])
    assert math.isfinite(SquaredEpsilonInsensitive(0.1).best_constant(y[1:], np.ones(2)))
    assert math.isfinite(EpsilonInsensitive(0.1).best_constant(y[:2], None))


@pytest.mark.parametrize("kind", [Huber, SquaredEpsilonInsensitive, EpsilonInsensitive])
@given(
    y=arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e6, 1e6, width=32)),
    epsilon=st.sampled_from([1e-6, 0.1, 10.0, 1e5]),
    weighted=st.booleans(),
)
def test_slopes_change_their_sign_at_the_best_constant(kind, y, epsilon, weighted):
    loss = kind(epsilon)
    weight = np.arange(y.size) % 3 + 1.0 if weighted else None
    best = loss.best_constant(y, weight)
    near = 1e-9 * (abs(best) + epsilon + np.ptp(y))

    def slope_at(score):
        slopes = [loss.slope(v, score) for v in y.tolist()]
        rounding = 1e-14 * np.abs(slopes).max()
        mean = np.average(slopes, weights=weight)
        return mean if abs(mean) > rounding else 0.0

    assert slope_at(best - near) <= 0.0 <= slope_at(best + near)


@pytest.mark.parametrize(
    "loss", [Softmax(), OneVsRest(LogLoss()), OneVsRest(SquaredHinge())], ids=repr
)
@pytest.mark.parametrize("weighted", [False, True])
def test_best_scores_minimise_the_mean_loss(loss, weighted):
    y = np.array([0.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    weight = np.array([1.0, 2.0, 0.0, 1.0, 3.0, 1.0, 1.0]) if weighted else None

    def objective(z):
        rows = [row_slopes(loss, v, z, 0, 3, np.empty(3)) for v in y.tolist()]
        return np.average(rows, weights=weight)

    best = minimize(objective, np.zeros(3), tol=1e-10)
    assert objective(loss.best_scores(y, weight, 3)) <= best.fun + 1e-9


def test_a_class_without_rows_gets_a_finite_score():
    assert np.isfinite(Softmax().best_scores(np.array([0.0, 2.0]), None, 3)).all()
    assert math.isfinite(LogLoss().best_constant(np.ones(3), None))
