"""Losses of several scores: values, slopes, and the bound of their Hessian."""

from __future__ import annotations

from decimal import Decimal

import numba
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gradstep.jit import JIT_OPTIONS
from gradstep.objective.classification import Hinge, LogLoss, OneVsRest, Softmax, SquaredHinge
from gradstep.objective.losses import curvature, row_slopes
from tests.contracts.losses import exactly
from tests.examples import examples
from tests.objective.cases import assert_agrees, every_joint_loss, exact_slope, scores


def assert_joint_agrees(case, loss, y, z):
    """Compare value and slopes of one row, embedded in others, with the formula."""
    k = len(z)
    padded, slopes = np.array([7.0] * k + z + [7.0]), np.full(2 * k + 1, 9.0)
    largest = max(abs(v) for v in z)
    actual = row_slopes(loss, y, padded, k, k, slopes)
    assert_agrees(actual, exactly(case.formula, loss, y, *z), 1e-15 * (1.0 + largest))
    for c in range(k):

        def along(loss, y, v, c=c):
            others = [Decimal(s) for s in z]
            others[c] = v
            return case.formula(loss, y, *others)

        assert_agrees(slopes[k + c], exact_slope(along, loss, y, z[c]), 1e-15)
    assert set(slopes[:k]) | set(slopes[2 * k :]) == {9.0}, "wrote outside its row"


@every_joint_loss
@examples(40)
@given(z=st.lists(scores, min_size=3, max_size=4), y=st.integers(0, 2))
@example(z=[0.0, 0.0, 0.0], y=1)
def test_joint_value_and_slopes_are_those_of_the_formula(case, loss, z, y):
    assume(not any(abs(v - kink) < 1e-3 for v in z for kink in case.kinks(loss)))
    assert_joint_agrees(case, loss, float(y), z)


@pytest.mark.parametrize("y", [0, 1, 2])
@pytest.mark.parametrize("z", [[1e3, -1e3, 0.0], [-1e3, -1e3, -1e3], [1e3, 1e3, 999.0]], ids=str)
@every_joint_loss
def test_joint_losses_are_sound_at_extreme_scores(case, loss, z, y):
    assert_joint_agrees(case, loss, float(y), z)


@every_joint_loss
def test_joint_scale_and_ties_are_those_of_scikit_learn(case, loss):
    z = np.random.default_rng(0).integers(-8, 9, (60, 4)) / 4.0
    y = np.arange(60.0) % 4
    slopes = np.empty_like(z)
    values = [
        row_slopes(loss, y[i], z.reshape(-1), 4 * i, 4, slopes.reshape(-1)) for i in range(60)
    ]
    their_value, their_slope = case.peer(loss, 4)
    np.testing.assert_allclose(values, their_value(y, z), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(slopes, their_slope(y, z), rtol=1e-13, atol=1e-13)


@numba.njit(**JIT_OPTIONS)
def joint_values(loss, y, z, k, slopes, values):
    for i in range(y.size):
        values[i] = row_slopes(loss, y[i], z, i * k, k, slopes)


@every_joint_loss
def test_joint_compiled_equals_uncompiled(case, loss):
    z = np.random.default_rng(0).normal(size=(50, 3)) * 5.0
    z[:3] = [1e3, -1e3, 0.0], [-1e3, 1e3, -1e3], [1e3, 1e3, 1e3]
    y, results = np.arange(50.0) % 3, []
    for evaluate in (joint_values, getattr(joint_values, "py_func", joint_values)):
        slopes, values = np.empty(z.size), np.empty(50)
        evaluate(loss, y, z.reshape(-1), 3, slopes, values)
        results.append([values, slopes])
    for compiled, uncompiled in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, uncompiled, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "loss", [Softmax(), OneVsRest(LogLoss()), OneVsRest(SquaredHinge())], ids=repr
)
def test_joint_curvature_bounds_the_hessian(loss):
    def gradient(z, y):
        slopes = np.empty(3)
        row_slopes(loss, y, z, 0, 3, slopes)
        return slopes

    rng, h, largest = np.random.default_rng(0), 1e-5, 0.0
    for z in [np.array([0.0, 0.0, -50.0]), *rng.normal(scale=2.0, size=(50, 3))]:
        for y in (0, 1, 2):
            sides = [(gradient(z + h * e, y) - gradient(z - h * e, y)) / (2 * h) for e in np.eye(3)]
            largest = max(largest, np.linalg.eigvalsh(np.array(sides)).max())
    assert 0.999 * loss.curvature() < largest < 1.001 * loss.curvature()
    assert curvature(OneVsRest(Hinge())) is None


def test_the_hessian_of_softmax_for_scores_is_the_difference_of_slopes():
    rng = np.random.default_rng(2)
    z, weight, step = rng.normal(size=(6, 4)), rng.random(6), 1e-6
    expected = np.zeros((4, 4))
    for row, w in zip(z, weight / weight.sum(), strict=True):
        for c in range(4):
            up, down = np.empty(4), np.empty(4)
            row_slopes(Softmax(), 0.0, row + step * np.eye(4)[c], 0, 4, up)
            row_slopes(Softmax(), 0.0, row - step * np.eye(4)[c], 0, 4, down)
            expected[c] += w * (up - down) / (2.0 * step)
    np.testing.assert_allclose(Softmax().score_hessian(z, weight), expected, atol=1e-9)
    even = Softmax().score_hessian(z, None)
    np.testing.assert_allclose(even, Softmax().score_hessian(z, np.full(6, 3.0)), atol=1e-15)
