"""Every loss of the table: value, slope, extremes, curvature, least value, best constant."""

from __future__ import annotations

import math
import sys
from decimal import Decimal

import numba
import numpy as np
import pytest
import scipy.special
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize, minimize_scalar
from sklearn.linear_model import SGDClassifier

import gradstep.engine.kernels.components  # noqa: F401  (how kernels compile components)
from gradstep.jit import JIT_OPTIONS
from gradstep.objective.classification import (
    Hinge,
    LogLoss,
    ModifiedHuber,
    OneVsRest,
    Softmax,
    SquaredHinge,
    class_probabilities,
)
from gradstep.objective.losses import (
    JointLoss,
    Loss,
    curvature,
    floor,
    inverse_link,
    row_slopes,
    slope,
    target_range,
    value,
)
from gradstep.objective.regression import (
    EpsilonInsensitive,
    Gamma,
    Huber,
    Pinball,
    Poisson,
    SquaredEpsilonInsensitive,
    SquaredError,
    Tweedie,
)
from tests.contracts.losses import JOINT_LOSSES, LOSSES, SIGNS, exactly
from tests.examples import examples

LARGEST = Decimal(sys.float_info.max)
H = Decimal("1e-30")
EXTREMES = (-1e3, -700.0, -300.0, -40.0, 40.0, 300.0, 700.0, 1e3)

CASES = [
    pytest.param(case, loss, id=repr(loss)) for case in LOSSES.values() for loss in case.losses
]
JOINT_CASES = [
    pytest.param(case, loss, id=repr(loss))
    for case in JOINT_LOSSES.values()
    for loss in case.losses
]
every_loss = pytest.mark.parametrize("case, loss", CASES)
every_joint_loss = pytest.mark.parametrize("case, loss", JOINT_CASES)
scores = st.floats(-30.0, 30.0).map(lambda z: round(z, 20))  # 100 digits hold z ± 1e-30


def of(*methods):
    """Return the cases whose loss has these methods."""
    return [p for p in CASES if all(hasattr(p.values[1], name) for name in methods)]


def exact_slope(formula, loss, y, z):
    """Return the derivative in a score: differences that are good to fifty digits."""
    return exactly(
        lambda loss, y, z: (formula(loss, y, z + H) - formula(loss, y, z - H)) / (2 * H), loss, y, z
    )


def assert_agrees(actual, exact, absolute=0.0):
    """Compare a float with what it should be; infinite only beyond the largest float."""
    if abs(exact) > LARGEST:
        assert actual == math.copysign(math.inf, exact)
    else:
        assert math.isfinite(actual)
        error = abs(Decimal(float(actual)) - exact)
        assert error <= Decimal("1e-12") * abs(exact) + Decimal(absolute + 1e-307), (actual, exact)


def noise(case, y, z):
    """Return the rounding of terms that may cancel; for classes nothing does."""
    return 0.0 if case.targets is SIGNS else 1e-13 * abs(y) * (1.0 + abs(z)) + 1e-15 * abs(z)


def near_a_kink(case, loss, y, z):
    return any(abs(z - kink) < 1e-3 for kink in case.kinks(loss, y))


# --- value and slope ----------------------------------------------------------------------


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


# --- curvature, least value, best constant ------------------------------------------------


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


# --- targets, predictions, probabilities --------------------------------------------------


@every_loss
def test_target_range_holds_what_the_loss_is_defined_for(case, loss):
    allowed = target_range(loss)
    assert allowed.holds(np.array(case.targets)).all()
    assert not allowed.holds(np.array([*case.wrong_targets, math.nan])).any()


def test_only_powers_below_two_allow_a_target_of_zero():
    zero = np.zeros(1)
    assert [bool(Tweedie(p).target_range().holds(zero)[0]) for p in (1.0, 1.9, 2.0, 3.0)] == [
        True,
        True,
        False,
        False,
    ]
    assert repr(target_range(Poisson())) == "y >= 0"
    assert repr(target_range(Gamma())) == "y > 0"
    assert repr(target_range(SquaredError())) == "any y"


@pytest.mark.parametrize("case, loss", of("inverse_link"))
def test_a_logarithmic_link_predicts_the_mean(case, loss):
    y = np.array([0.5, 2.0, 7.0])
    best = np.array([loss.best_constant(y, None), 1e3])
    np.testing.assert_allclose(inverse_link(loss, best), [y.mean(), np.inf])


def test_without_a_link_the_score_is_the_prediction():
    z = np.array([-1e3, 0.5])
    assert inverse_link(SquaredError(), z).tolist() == z.tolist()


def test_probability_of_log_loss():
    z = np.array([-1e3, -30.0, -1.0, 0.0, 1.0, 30.0, 1e3])
    expected = scipy.special.expit(z)
    np.testing.assert_allclose(LogLoss().probability(z), expected, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize(
    "loss, z",
    [
        (LogLoss(), [[800.0], [40.0], [-40.0]]),
        (Softmax(), [[0.0, -40.0, -900.0], [900.0, 0.0, 0.0]]),
        (OneVsRest(LogLoss()), [[60.0, -900.0], [1.0, -900.0]]),
    ],
)
def test_no_logistic_probability_is_0_or_1(loss, z):
    found = class_probabilities(loss, np.array(z))
    assert ((found > 0.0) & (found < 1.0)).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-15)
    if isinstance(loss, LogLoss):
        assert found[1, 0] == pytest.approx(np.exp(-40.0), rel=1e-12)


def test_probability_of_modified_huber_is_that_of_scikit_learn():
    X = np.linspace(-1.0, 1.0, 20)[:, None]
    theirs = SGDClassifier(loss="modified_huber", random_state=0).fit(X, X[:, 0] > 0.1)
    X = 3.0 * X  # scores beyond ±1, too
    np.testing.assert_allclose(
        ModifiedHuber().probability(theirs.decision_function(X)),
        theirs.predict_proba(X)[:, 1],
        rtol=1e-14,
    )


def test_probabilities_of_softmax():
    z = np.array([[0.0, 1.0, -1.0], [1e3, -1e3, 0.0], [-1e3, -1e3, -1e3]])
    ours = Softmax().probabilities(z)
    expected = scipy.special.softmax(z, axis=1)
    np.testing.assert_allclose(ours, expected, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(ours.sum(axis=1), 1.0, rtol=1e-15)


# --- losses of several scores -------------------------------------------------------------


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


def test_every_loss_keeps_its_protocol():
    assert all(isinstance(loss, Loss) for case in LOSSES.values() for loss in case.losses)
    assert all(
        isinstance(loss, JointLoss) for case in JOINT_LOSSES.values() for loss in case.losses
    )


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
