"""Every loss of the table: value, slope, extremes, curvature, least value."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from gradstep.jit import JIT_OPTIONS
from gradstep.objective.losses import JointLoss, Loss, curvature, floor, slope, target_range, value
from gradstep.objective.regression import Tweedie
from tests.contracts.losses import JOINT_LOSSES, LOSSES, SIGNS, exactly
from tests.examples import examples
from tests.objective.cases import EXTREMES, assert_agrees, every_loss, exact_slope, of, scores


def noise(case, y, z):
    """Return the rounding of terms that may cancel; for classes nothing does."""
    return 0.0 if case.targets is SIGNS else 1e-13 * abs(y) * (1.0 + abs(z)) + 1e-15 * abs(z)


def near_a_kink(case, loss, y, z):
    return any(abs(z - kink) < 1e-3 for kink in case.kinks(loss, y))


@every_loss
@examples(40)
@given(data=st.data())
def test_value_and_slope_are_those_of_the_formula(case, loss, data):
    y, z = data.draw(st.sampled_from(case.targets)), data.draw(scores)
    assert_agrees(value(loss, y, z), exactly(case.formula, loss, y, z), noise(case, y, z))
    assume(not near_a_kink(case, loss, y, z))
    assert_agrees(slope(loss, y, z), exact_slope(case.formula, loss, y, z), noise(case, y, z))


@every_loss
@examples(40)
@given(data=st.data())
def test_slope_agrees_with_central_differences(case, loss, data):
    y, z = data.draw(st.sampled_from(case.targets)), data.draw(st.floats(-8.0, 8.0))
    assume(not near_a_kink(case, loss, y, z))
    h = 1e-5
    difference = (value(loss, y, z + h) - value(loss, y, z - h)) / (2.0 * h)
    size = 1.0 + abs(slope(loss, y, z)) + 1e-4 * abs(value(loss, y, z))
    assert slope(loss, y, z) == pytest.approx(difference, rel=1e-6, abs=1e-6 * size)


@pytest.mark.parametrize("z", EXTREMES)
@every_loss
def test_extreme_scores_are_infinite_only_where_the_loss_is(case, loss, z):
    for y in case.targets:
        exact = exactly(case.formula, loss, y, z)
        assert_agrees(value(loss, y, z), exact, noise(case, y, z))
        exact = exact_slope(case.formula, loss, y, z)
        assert_agrees(slope(loss, y, z), exact, noise(case, y, z))


@pytest.mark.parametrize("z", [-1e3, -400.0, -2.0, 0.0, 3.0, 700.0])
@pytest.mark.parametrize("power", [1.0, 1.1, 1.5, 1.9])
def test_zero_is_a_target_of_tweedie_below_power_two(power, z):
    formula = LOSSES[Tweedie].formula
    assert_agrees(Tweedie(power).value(0.0, z), exactly(formula, Tweedie(power), 0.0, z))
    assert_agrees(Tweedie(power).slope(0.0, z), exact_slope(formula, Tweedie(power), 0.0, z))


@every_loss
def test_a_score_that_is_no_number_does_not_look_like_a_good_one(case, loss):
    assert math.isnan(value(loss, case.targets[-1], math.nan))


@every_loss
def test_scale_and_ties_are_those_of_scikit_learn(case, loss):
    """On a grid of quarters, which holds every tie exactly."""
    y, z = (a.ravel() for a in np.meshgrid(np.array(case.targets), np.arange(-4.0, 4.1, 0.25)))
    their_value, their_slope = case.peer(loss)
    close = {"rtol": 1e-13, "atol": 1e-13}
    np.testing.assert_allclose(
        [value(loss, *at) for at in zip(y, z, strict=True)], their_value(y, z), **close
    )
    np.testing.assert_allclose(
        [slope(loss, *at) for at in zip(y, z, strict=True)], their_slope(y, z), **close
    )


@numba.njit(**JIT_OPTIONS)
def values_and_slopes(loss, y, z, values, slopes):
    for i in range(y.size):
        values[i] = value(loss, y[i], z[i])
        slopes[i] = slope(loss, y[i], z[i])


@pytest.mark.parametrize("case", LOSSES.values(), ids=lambda case: type(case.losses[0]).__name__)
def test_compiled_equals_uncompiled(case):
    moderate = np.linspace(-9.0, 9.0, 301)
    for loss in case.losses:
        y, z = (a.ravel() for a in np.meshgrid(case.targets, [*moderate, *EXTREMES, math.nan]))
        values, slopes = np.empty(y.size), np.empty(y.size)
        values_and_slopes(loss, y, z, values, slopes)
        expected = [value(loss, *at) for at in zip(y.tolist(), z.tolist(), strict=True)]
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)
        expected = [slope(loss, *at) for at in zip(y.tolist(), z.tolist(), strict=True)]
        np.testing.assert_allclose(slopes, expected, rtol=1e-12, atol=1e-12)


def second_differences(case, loss, h):
    """Return d slope / d z around the target, and astride every kink."""
    for y in case.targets:
        for z in np.concatenate([np.linspace(-20.0, 20.0, 4001) + y, case.kinks(loss, y)]):
            yield (slope(loss, y, z + h) - slope(loss, y, z - h)) / (2.0 * h)


@every_loss
def test_curvature_is_bounded_where_the_loss_says_so(case, loss):
    bound, steepest = curvature(loss), max(second_differences(case, loss, 1e-6))
    assert (bound is not None) == case.bounded_curvature
    if bound is None:
        assert steepest > 1e4
    else:
        assert 0.999 * bound < steepest < 1.001 * bound


@pytest.mark.parametrize("case, loss", of("curvature_at"))
@pytest.mark.parametrize("mean", [0.2, 1.0, 30.0])
def test_curvature_at_the_mean(case, loss, mean):
    z, h = math.log(mean), 1e-5
    difference = (loss.slope(mean, z + h) - loss.slope(mean, z - h)) / (2.0 * h)
    assert loss.curvature_at(mean) == pytest.approx(difference, rel=1e-6)


@every_loss
def test_floor_is_the_least_value(case, loss):
    allowed = [*case.targets, *([0.0] if target_range(loss).holds(np.zeros(1))[0] else [])]
    targets = np.array(SIGNS if case.targets is SIGNS else allowed)
    for y, least in zip(targets.tolist(), floor(loss, targets), strict=True):
        near = minimize_scalar(
            lambda z, y=y: value(loss, y, z), bounds=(-50.0, 50.0), method="bounded"
        ).fun
        others = [value(loss, y, z) for z in (-1e5, 1e5, *case.kinks(loss, y))]
        assert min(near, *others) == pytest.approx(least, rel=1e-8, abs=1e-8)


def test_every_loss_keeps_its_protocol():
    assert all(isinstance(loss, Loss) for case in LOSSES.values() for loss in case.losses)
    assert all(
        isinstance(loss, JointLoss) for case in JOINT_LOSSES.values() for loss in case.losses
    )
