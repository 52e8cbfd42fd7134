"""Every learning rate of the table: its formula, in pieces, after a warm-up, at its ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import SGDClassifier

from gradstep import MiniBatchClassifier
from gradstep.optim.schedules import (
    Adaptive,
    Constant,
    Cosine,
    Horizon,
    OneCycle,
    Optimal,
    Schedule,
    WarmUp,
)
from tests.contracts.schedules import SCHEDULES, Time
from tests.examples import examples

STEPS_PER_EPOCH = 4
HORIZON = Horizon(10, STEPS_PER_EPOCH)
STEPS = np.arange(10 * STEPS_PER_EPOCH)
EPOCHS = STEPS / STEPS_PER_EPOCH

CASES = [
    pytest.param(case, schedule, id=repr(schedule).partition(" at 0x")[0])
    for case in SCHEDULES.values()
    for schedule in case.schedules
]
every_schedule = pytest.mark.parametrize("case, schedule", CASES)


def rates(schedule, at=slice(None)):
    return np.asarray(schedule.rates(STEPS[at], EPOCHS[at], HORIZON))


@every_schedule
def test_rates_are_those_of_the_formula(case, schedule):
    times = [Time(step, step / STEPS_PER_EPOCH, 10.0, STEPS_PER_EPOCH) for step in STEPS.tolist()]
    expected = [case.formula(schedule, time) for time in times]
    np.testing.assert_allclose(rates(schedule), expected, rtol=1e-13)


@every_schedule
@examples(20)
@given(cuts=st.lists(st.integers(0, len(STEPS)), max_size=4).map(sorted))
def test_pieces_are_those_of_the_whole(case, schedule, cuts):
    bounds = [0, *cuts, len(STEPS)]
    pieces = [
        rates(schedule, slice(*ends)) for ends in itertools.pairwise(bounds) if ends[0] < ends[1]
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), rates(schedule))


@every_schedule
def test_every_rate_is_a_float_that_training_can_use(case, schedule):
    assert rates(schedule).dtype == np.float64
    assert np.isfinite(rates(schedule)).all()
    assert (rates(schedule) >= 0.0).all()
    assert isinstance(schedule, Schedule)


@pytest.mark.parametrize("epochs", [0.25, 0.5, 1.0, 3.0])
@every_schedule
def test_a_warm_up_rises_evenly_and_then_leaves_the_schedule_alone(case, schedule, epochs):
    m = int(epochs * STEPS_PER_EPOCH)
    warmed = rates(WarmUp(schedule, epochs))
    rest = HORIZON._replace(epochs=HORIZON.epochs - epochs)
    alone = schedule.rates(STEPS[: len(STEPS) - m], EPOCHS[: len(STEPS) - m], rest)
    np.testing.assert_allclose(warmed[:m], alone[0] * np.arange(1, m + 1) / m, rtol=1e-13)
    np.testing.assert_allclose(warmed[m:], alone, rtol=1e-13)


def test_a_warm_up_of_a_fraction_of_steps_never_exceeds_the_schedule():
    warmed = rates(WarmUp(Constant(0.2), epochs=0.6))
    assert (np.diff(warmed) >= 0.0).all()
    assert warmed.max() == 0.2


def test_one_cycle_rises_to_its_peak_and_falls_far_below_its_start():
    curve = rates(OneCycle(0.5, rise=0.3))
    peak = int(0.3 * len(STEPS))
    assert curve[0] == pytest.approx(0.5 / 25.0)
    assert curve.argmax() == peak
    assert curve[peak] == pytest.approx(0.5)
    assert (np.diff(curve[: peak + 1]) > 0.0).all()
    assert (np.diff(curve[peak:]) < 0.0).all()
    end = OneCycle(0.5).rates(np.array([40]), np.array([10.0]), HORIZON)
    assert end == pytest.approx([0.5 / 1e4])


@pytest.mark.parametrize("schedule", [Cosine(0.2, final=0.05), OneCycle(0.2)], ids=repr)
def test_beyond_the_planned_epochs_the_last_rate_stays(schedule):
    late = schedule.rates(np.array([40, 99]), np.array([10.0, 24.75]), HORIZON)
    assert late[0] == late[1] == pytest.approx(getattr(schedule, "final", 0.2 / 1e4))


# --- adaptive -----------------------------------------------------------------------------


def factors(schedule):
    """Return what the rate is multiplied by, stall after stall, until training ends."""
    factor, seen = 1.0, []
    while factor is not None:
        seen.append(factor)
        factor = schedule.after_stall(factor)
    return seen


def test_adaptive_comes_down_as_in_sgd_regressor():
    """A fifth while above 1e-6, then the run ends."""
    expected, eta = [0.01], 0.01
    while eta > 1e-6:
        eta /= 5.0
        expected.append(eta)
    assert [0.01 * f for f in factors(Adaptive(0.01))] == pytest.approx(expected, rel=1e-12)
    assert factors(Adaptive(1.0, divisor=10.0, smallest=0.05)) == pytest.approx([1.0, 0.1, 0.01])


def test_a_warm_up_stalls_as_what_follows_it():
    assert factors(WarmUp(Adaptive(0.01))) == factors(Adaptive(0.01))
    assert WarmUp(Constant(0.01)).after_stall(1.0) is None


def test_adaptive_alone_reacts_to_stalls():
    assert [c.__name__ for c in SCHEDULES if hasattr(c, "after_stall")] == ["Adaptive", "WarmUp"]


# --- optimal ------------------------------------------------------------------------------


@pytest.mark.uncompiled
@pytest.mark.parametrize("loss", ["hinge", "log_loss"])
def test_optimal_is_that_of_sgd_classifier(loss):
    """Row by row, in order, without a penalty: the weights differ if one rate does."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X[:, 0] + 0.5 * rng.normal(size=60) > 0.0
    same = {
        "loss": loss,
        "penalty": None,
        "alpha": 0.01,
        "learning_rate": "optimal",
        "max_iter": 3,
        "tol": None,
        "shuffle": False,
    }
    theirs = SGDClassifier(**same).fit(X, y)
    ours = MiniBatchClassifier(**same, batch_size=1).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-9)


@pytest.mark.parametrize("steepness, first", [(-1.0, 10.0), (0.5, 10.0), (4.0, 2.5)])
def test_first_step_of_optimal(steepness, first):
    """Bottou: the weight to be expected, alpha^-1/4 = 10, over the slope there if that is > 1."""
    seen = []
    schedule = Optimal.for_slope(1e-4, lambda y, z: seen.append((y, z)) or steepness)
    assert schedule.rates(np.array([0]), np.array([0.0]), HORIZON) == pytest.approx([first])
    assert seen[0] == (1.0, pytest.approx(-10.0))


def test_optimal_counts_rows_and_settles_where_slopes_are_bounded():
    of_hinge = Optimal.for_slope(1e-4, lambda y, z: -y if y * z <= 1.0 else 0.0, 8)
    rates = of_hinge.rates(np.array([0, 125]), np.zeros(2), HORIZON)
    np.testing.assert_allclose(rates, [10.0, 5.0])  # t0 is 1000 rows
    assert of_hinge.settles
    assert not Optimal.for_slope(1e-4, lambda y, z: z - y, 8).settles
