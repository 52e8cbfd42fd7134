"""Losses are compiled for their class, whatever their numbers, and kernels for none of them."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import pytest

from gradstep import MiniBatchRegressor
from gradstep.engine.kernels.batches import run_batches
from gradstep.engine.kernels.compiled_losses import NO_LOSS, compiled_loss
from gradstep.engine.kernels.sums import sum_evaluations
from gradstep.engine.row_sums import RowSums
from gradstep.errors import InvalidComponent
from gradstep.objective.regression import Huber, Pinball, SquaredError
from gradstep.objective.smoothed import Smoothed
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows

RNG = np.random.default_rng(7)
X = RNG.normal(size=(300, 3))
Y = X @ [1.0, -2.0, 0.5] + RNG.normal(size=300)
PARAMS = np.array([0.5, -0.5, 1.0, 0.25])

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="nothing is compiled with NUMBA_DISABLE_JIT"
)


class Polynomial(NamedTuple):
    """½ a r² + ¼ b r⁴, r = z - y, and more fields than kernels pass on, of several types."""

    a: float = 1.0
    b: float = 0.5
    times: int = 2
    halved: bool = True
    nothing: None = None
    inner: SquaredError = SquaredError()
    last: float = 3.0

    def value(self, y, z):
        r = z - y
        total = 0.0
        for _ in range(self.times):
            total += 0.5 * self.a * r * r + 0.25 * self.b * r**4 + self.last
        return 0.5 * total if self.halved else total

    def slope(self, y, z):
        r = z - y
        own = self.times * (self.a * r + self.b * r**3)
        return 0.5 * own if self.halved else own


class Four(NamedTuple):
    """A loss of as many numbers as kernels pass on, each of which counts."""

    a: float = 1.0
    b: float = 2.0
    c: float = 3.0
    d: float = 4.0

    def value(self, y, z):
        return self.a + self.b * z + self.c * y + self.d * z * z

    def slope(self, y, z):
        return self.b + 2.0 * self.d * z


def mean_loss_and_gradient(loss):
    data = Dataset(DenseRows(X), Y[:, None], None)
    with RowSums(data, 1) as sums:
        found = sums.evaluate(loss, PARAMS)
    return found.loss, found.gradient


@pytest.mark.parametrize(
    "loss",
    [
        Polynomial(),
        Polynomial(a=2.0),  # compiled anew: more numbers than are passed on
        Polynomial(halved=False, times=3),
        Four(),
        Four(d=-1.0, b=0.0),
        Huber(0.5),
        Huber(2.0),
        Smoothed(Pinball(0.2), 0.3),
        Smoothed(Pinball(0.9), 1.5),
    ],
    ids=str,
)
def test_sums_are_those_of_the_methods(loss):
    z = X @ PARAMS[:3] + PARAMS[3]
    values = [loss.value(*row) for row in zip(Y, z, strict=True)]
    slopes = np.array([loss.slope(*row) for row in zip(Y, z, strict=True)])
    mean, gradient = mean_loss_and_gradient(loss)
    np.testing.assert_allclose(mean, np.mean(values), rtol=1e-12)
    expected = np.append(slopes @ X, slopes.sum()) / len(Y)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-12)


def test_another_loss_compiles_no_kernel():
    mean_loss_and_gradient(SquaredError())
    forms = len(sum_evaluations.signatures)
    for loss in (Huber(1.0), Pinball(0.5), Four(), Smoothed(Huber(1.0), 0.1)):
        mean_loss_and_gradient(loss)
    assert len(sum_evaluations.signatures) == forms


def test_other_numbers_compile_nothing():
    one, other = compiled_loss(Huber(1.0)), compiled_loss(Huber(2.5))
    assert one.losses == other.losses != NO_LOSS.losses
    assert other.hyper_parameters == (2.5, 0.0, 0.0, 0.0)


def test_classes_of_one_name_are_two():
    """As when a cell of a notebook is run again after a change."""

    def scaled(factor):
        class Scaled(NamedTuple):
            a: float = 1.0

            def value(self, y, z):
                return factor * self.a * (z - y) ** 2

            def slope(self, y, z):
                return factor * 2.0 * self.a * (z - y)

        return Scaled()

    one, other = (mean_loss_and_gradient(scaled(factor))[0] for factor in (1.0, 3.0))
    assert other == pytest.approx(3.0 * one)


class OfArray(NamedTuple):
    weights: object = np.ones(3)

    def value(self, y, z):
        return self.weights[0] * (z - y) ** 2

    def slope(self, y, z):
        return 2.0 * self.weights[0] * (z - y)


def test_a_field_that_is_no_number_is_named():
    with pytest.raises(InvalidComponent, match="field 'weights' of the loss OfArray"):
        MiniBatchRegressor(loss=OfArray()).fit(X, Y)


def test_built_in_penalties_and_optimizers_share_the_kernel():
    """Also those that stand beside a loss of a user's own, which is compiled by itself."""
    step = {"optimizer": "momentum", "learning_rate": 0.01, "max_iter": 1, "tol": None}
    MiniBatchRegressor(**step).fit(X, Y)
    forms = len(run_batches.signatures)
    assert forms > 0
    MiniBatchRegressor(**step, loss=Four()).fit(X, Y)
    assert len(run_batches.signatures) == forms
