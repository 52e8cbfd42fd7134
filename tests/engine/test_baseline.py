"""The best constant prediction of each loss, against a search with SciPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from gradstep.engine import baseline
from gradstep.engine.baseline import Baseline, best_constant
from gradstep.engine.evaluation import mean_loss
from gradstep.objective import classification, regression
from gradstep.objective.losses import value
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows
from tests.uncompiled import uncompiled

RNG = np.random.default_rng(11)
N = 150
REAL = RNG.normal(3.0, 2.0, N) + RNG.exponential(3.0, N)
COUNTS = RNG.poisson(2.0, N).astype(float)
AMOUNTS = RNG.gamma(2.0, 3.0, N)
SIGNS = np.where(RNG.random(N) < 0.3, 1.0, -1.0)
WEIGHT = RNG.integers(1, 5, N).astype(float)

LOSSES = [
    (regression.SquaredError(), REAL),
    (regression.Huber(0.5), REAL),
    (regression.EpsilonInsensitive(0.5), REAL),
    (regression.SquaredEpsilonInsensitive(0.5), REAL),
    (regression.Pinball(0.8), REAL),
    (regression.Poisson(), COUNTS),
    (regression.Gamma(), AMOUNTS),
    (regression.Tweedie(1.5), COUNTS),
    (classification.LogLoss(), SIGNS),
    (classification.Hinge(), SIGNS),
    (classification.SquaredHinge(), SIGNS),
    (classification.ModifiedHuber(), SIGNS),
    (classification.Perceptron(), SIGNS),
]


class HalfSquare(NamedTuple):
    """A loss that does not tell its best constant, which is to be searched."""

    def value(self, y, z):
        return 0.5 * (z - y) ** 2

    def slope(self, y, z):
        return z - y


def rows(n=N):
    return DenseRows(np.empty((n, 0)))


def loss_of_constant(loss, y, score, weight=None):
    return float(np.average([value(loss, t, score) for t in y], weights=weight))


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("loss,y", LOSSES, ids=lambda case: type(case).__name__)
def test_of_one_output(loss, y, weight):
    def objective(score):
        return loss_of_constant(loss, y, score, weight)

    (score,) = best_constant(loss, Dataset(rows(), y[:, None], weight), 1)
    found = minimize_scalar(
        objective, bounds=(-20.0, 20.0), method="bounded", options={"xatol": 1e-9}
    )
    least = min(found.fun, objective(0.0), objective(1.0), objective(-1.0))
    assert objective(score) == pytest.approx(least, rel=1e-6, abs=1e-12)


@uncompiled
def test_of_several_outputs():
    y = np.column_stack([REAL, 10.0 * REAL])
    found = best_constant(regression.SquaredError(), Dataset(rows(), y, WEIGHT), 2)
    np.testing.assert_allclose(found, np.average(y, axis=0, weights=WEIGHT), rtol=1e-12)
    searched = best_constant(HalfSquare(), Dataset(rows(), y), 2)
    np.testing.assert_allclose(searched, y.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_of_several_classes(weight):
    y = RNG.integers(0, 3, N).astype(float)
    data = Dataset(rows(), y[:, None], weight)
    for loss in (classification.Softmax(), classification.OneVsRest(classification.LogLoss())):
        slopes = np.empty(3)

        def objective(z, loss=loss, slopes=slopes):
            each = [loss.row_slopes(t, np.asarray(z), 0, 3, slopes) for t in y]
            return float(np.average(each, weights=weight))

        found = best_constant(loss, data, 3)
        assert objective(found) == pytest.approx(minimize(objective, np.zeros(3)).fun, rel=1e-8)


@uncompiled
def test_of_part_of_the_rows():
    part = Dataset(rows(), REAL[:, None]).select(np.arange(7, dtype=np.uint32))
    (score,) = best_constant(regression.SquaredError(), part, 1)
    assert score == pytest.approx(REAL[:7].mean(), rel=1e-12)
    (searched,) = best_constant(HalfSquare(), part, 1)
    assert searched == pytest.approx(REAL[:7].mean(), rel=1e-6)


def test_of_targets_that_any_constant_fits():
    """A search over a flat objective ends, too."""
    data = Dataset(rows(), REAL[:, None])
    loss = regression.EpsilonInsensitive(1e3)
    score = best_constant(loss, data, 1)
    assert mean_loss(loss, data, score, 1) == 0.0


@uncompiled
@pytest.mark.parametrize(
    "loss,y",
    [case for case in LOSSES if hasattr(case[0], "floor")],
    ids=lambda case: type(case).__name__,
)
def test_the_floor_is_the_loss_of_the_targets_themselves(loss, y):
    """So that the scale of divergence does not depend on terms of y alone."""
    positive = y[y > 0.0]
    data = Dataset(rows(positive.size), positive[:, None])
    baseline = Baseline(loss, data, 1, np.zeros(1))
    perfect = np.mean([value(loss, t, np.log(t)) for t in positive])
    assert baseline.floor == pytest.approx(perfect, rel=1e-12)
    assert baseline.at_best == pytest.approx(
        loss_of_constant(loss, positive, np.log(positive.mean())) - perfect, rel=1e-9
    )
    assert 0.0 < baseline.at_best < baseline.at_zero


class TestFarWorse:
    """Ten times the best constant's loss and the start's, counted from the least possible."""

    @pytest.mark.parametrize(
        "loss,y",
        [(regression.SquaredError(), REAL), (regression.Poisson(), 1e3 * AMOUNTS)],
        ids=["squared error", "poisson"],
    )
    def test_than_the_best_constant(self, loss, y):
        data = Dataset(rows(), y[:, None])
        baseline = Baseline(loss, data, 1, best_constant(loss, data, 1))
        best = np.mean([value(loss, t, baseline.start[0]) for t in y])
        assert baseline.at_start == baseline.at_best == pytest.approx(best - baseline.floor)
        assert not baseline.far_worse(baseline.floor + 9.9 * baseline.at_best, 0.0)
        assert baseline.far_worse(baseline.floor + 10.1 * baseline.at_best, 0.0)

    def test_than_the_start(self):
        baseline = Baseline(
            regression.SquaredError(), Dataset(rows(), REAL[:, None]), 1, np.array([100.0])
        )
        assert baseline.at_start > 100.0 * baseline.at_best
        assert not baseline.far_worse(9.9 * baseline.at_start, 0.0)
        assert baseline.far_worse(10.1 * baseline.at_start, 0.0)

    def test_rounding_is_not(self):
        """Targets that are all the same, and a start that fits them."""
        data = Dataset(rows(), np.full((N, 1), 5.0))
        baseline = Baseline(regression.SquaredError(), data, 1, np.array([5.0]))
        assert baseline.at_best == baseline.at_start == 0.0
        assert not baseline.far_worse(1e-20, 0.0)
        assert baseline.far_worse(1e-3, 0.0)

    def test_in_a_stream_than_all_rows_seen(self):
        part = Dataset(rows(1), np.array([[1e-3]]))
        baseline = Baseline(regression.SquaredError(), part, 1, np.zeros(1), incremental=True)
        assert baseline.far_worse(1.0, 0.01)
        assert not baseline.far_worse(1.0, 1.0)


@pytest.mark.slow
def test_a_period_in_the_rows_costs_no_passes(monkeypatch):
    """What is found on a sample is near: no multiple of a stride decides which rows are in it."""
    n = 1 << 17
    y = np.where(np.arange(n) % 8 == 0, 1000.0, np.arange(n) % 7 - 3.0)[:, None]
    read = []
    gradient = baseline.RowSums.gradient

    def counted(self, *args):
        read.append(self.data.n == n)
        return gradient(self, *args)

    monkeypatch.setattr(baseline.RowSums, "gradient", counted)
    found = best_constant(HalfSquare(), Dataset(rows(n), y), 1)
    assert found == pytest.approx(y.mean(), rel=1e-9)
    assert sum(read) <= 12
