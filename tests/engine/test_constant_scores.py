"""Where all rows have one score, sums are those of rows that all have it."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.engine.constant_scores import sums_at_score
from gradstep.engine.row_sums import RowSums
from gradstep.objective.classification import LogLoss
from gradstep.objective.elementary import exp
from gradstep.objective.regression import Gamma, Poisson, SquaredError, Tweedie
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows

N = 83
LOSSES = [Poisson(), Gamma(), Tweedie(1.0), Tweedie(1.4), Tweedie(2.0), LogLoss()]


class Other(Poisson):
    """Inherits what it does not use: it has another value."""

    def value(self, y, z):
        return exp(z) - y * z + y * y * z

    def slope(self, y, z):
        return exp(z) - y + y * y


def data(loss, *, weighted, targets=1.0, index=None):
    rng = np.random.default_rng(4)
    y = rng.choice([-1.0, 1.0], N) if type(loss) is LogLoss else targets * rng.gamma(1.0, 2.0, N)
    weight = rng.uniform(0.1, 3.0, N) if weighted else None
    return Dataset(DenseRows(rng.normal(size=(N, 2))), y[:, None], weight, index)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("score", [-30.0, -0.4, 0.0, 2.0, 30.0])
def test_are_those_of_each_row(loss, weighted, score):
    of = data(loss, weighted=weighted)
    value, slope = sums_at_score(loss, of, score)
    weight = np.ones(N) if of.sample_weight is None else of.sample_weight
    y = of.y[:, 0]
    size = sum(w * abs(loss.value(t, score)) for w, t in zip(weight, y, strict=True))
    of_slopes = sum(w * abs(loss.slope(t, score)) for w, t in zip(weight, y, strict=True))
    expected = sum(w * loss.value(t, score) for w, t in zip(weight, y, strict=True))
    rises = sum(w * loss.slope(t, score) for w, t in zip(weight, y, strict=True))
    assert value == pytest.approx(expected, abs=1e-13 * size)
    assert slope == pytest.approx(rises, abs=1e-13 * of_slopes)


@pytest.mark.parametrize("loss", [*LOSSES, SquaredError(), Other()], ids=repr)
def test_a_pass_finds_the_same(loss):
    """Of some rows, with weights; other losses take a pass."""
    some = np.arange(0, N, 2, dtype=np.uint32)
    of = data(loss, weighted=True, index=some)
    with RowSums(of, 1) as sums:
        found = sums.evaluate(loss, np.array([0.3]), constant=True)
        there = sums.evaluate(loss, np.array([0.0, 0.0, 0.3]))
    assert found.loss == pytest.approx(there.loss, rel=1e-12)
    np.testing.assert_allclose(found.gradient, there.gradient[-1:], rtol=1e-11, atol=1e-14)


def test_a_loss_that_inherits_takes_a_pass():
    assert sums_at_score(Other(), data(Other(), weighted=False), 0.0) is None


def test_large_targets_keep_their_digits():
    of = data(Poisson(), weighted=True, targets=1e9)
    score = float(np.log(1e9))
    value, _ = sums_at_score(Poisson(), of, score)
    y, weight = of.y[:, 0].astype(np.longdouble), of.sample_weight.astype(np.longdouble)
    expected = (weight * (np.exp(np.longdouble(score)) - y * np.longdouble(score))).sum()
    assert value == pytest.approx(float(expected), rel=1e-14)


def test_a_rare_class_keeps_its_digits():
    """Without a row of one class the other has all the weight, to the last bit."""
    rng, n = np.random.default_rng(1), 100_000
    y, weight = np.full(n, -1.0), rng.uniform(0.1, 3.0, n)
    none = Dataset(DenseRows(np.zeros((n, 1))), y[:, None], weight)
    value, slope = sums_at_score(LogLoss(), none, -27.6)
    assert value == pytest.approx(weight.sum() * np.exp(-27.6), rel=1e-9)
    assert slope == pytest.approx(weight.sum() * np.exp(-27.6), rel=1e-9)
    y[7] = 1.0
    one = Dataset(DenseRows(np.zeros((n, 1))), y[:, None], weight)
    rest = np.delete(weight, 7).sum() * np.exp(-30.0)
    assert sums_at_score(LogLoss(), one, -30.0)[0] == pytest.approx(30.0 * weight[7] + rest)


def test_no_rows_have_no_losses():
    none = Dataset(DenseRows(np.zeros((0, 1))), np.zeros((0, 1)))
    assert sums_at_score(Poisson(), none, 0.5) == (0.0, 0.0)
