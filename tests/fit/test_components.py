"""From names and objects to components, and what is said of those that cannot be used."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from gradstep.errors import GradstepError, InvalidComponent, InvalidParameter
from gradstep.fit.components import (
    CLASSIFICATION_LOSSES,
    LEARNING_RATES,
    OPTIMIZERS,
    PENALTIES,
    REGRESSION_LOSSES,
    loss_of,
    optimizer_of,
    penalty_of,
    schedule_of,
)
from gradstep.fit.components import LOSSES as NAMED
from gradstep.objective import losses
from gradstep.objective.classification import Hinge, LogLoss, OneVsRest, Softmax, for_classes
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty
from gradstep.objective.regression import (
    EpsilonInsensitive,
    Huber,
    Pinball,
    SquaredEpsilonInsensitive,
    SquaredError,
    Tweedie,
)
from gradstep.optim.optimizers import SGD, AdaGrad, Adam, Momentum
from gradstep.optim.schedules import (
    Adaptive,
    Constant,
    Cosine,
    Exponential,
    InvScaling,
    OneCycle,
    Optimal,
    StepDecay,
    UserSchedule,
    WarmUp,
)
from tests.contracts.losses import JOINT_LOSSES, LOSSES
from tests.contracts.optimizers import OPTIMIZERS as OPTIMIZER_CASES
from tests.contracts.penalties import PENALTIES as PENALTY_CASES
from tests.contracts.schedules import SCHEDULES

NUMBERS = {
    "epsilon": 0.3,
    "quantile": 0.7,
    "power": 1.3,
    "alpha": 0.02,
    "l1_ratio": 0.4,
    "eta0": 0.5,
    "power_t": 0.6,
    "slope": lambda *_: -1.0,
}
LOSS_NAMES = {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES}


def any_loss_of(value):
    return loss_of(value, NUMBERS, LOSS_NAMES)


def any_penalty_of(value):
    return penalty_of(value, NUMBERS)


def any_schedule_of(value):
    return schedule_of(value, NUMBERS)


def label(value):
    return getattr(value, "__name__", repr(value))


# --- names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, name, expected",
    [
        (any_loss_of, "squared_error", SquaredError()),
        (any_loss_of, "huber", Huber(0.3)),
        (any_loss_of, "epsilon_insensitive", EpsilonInsensitive(0.3)),
        (any_loss_of, "squared_epsilon_insensitive", SquaredEpsilonInsensitive(0.3)),
        (any_loss_of, "pinball", Pinball(0.7)),
        (any_loss_of, "tweedie", Tweedie(1.3)),
        (any_loss_of, "log_loss", LogLoss()),
        (any_penalty_of, None, NoPenalty()),
        (any_penalty_of, "l1", L1(0.02)),
        (any_penalty_of, "l2", L2(0.02)),
        (any_penalty_of, "elasticnet", ElasticNet(0.02, 0.4)),
        (optimizer_of, "sgd", SGD()),
        (optimizer_of, "momentum", Momentum(0.9)),
        (optimizer_of, "adam", Adam(0.9, 0.999, 1e-8, amsgrad=False)),
        (any_schedule_of, "constant", Constant(0.5)),
        (any_schedule_of, "invscaling", InvScaling(0.5, 0.6)),
        (any_schedule_of, "optimal", Optimal.for_slope(0.02, NUMBERS["slope"])),
        (any_schedule_of, "adaptive", Adaptive(0.5)),
        (any_schedule_of, "step", StepDecay(0.5)),
        (any_schedule_of, "exponential", Exponential(0.5)),
        (any_schedule_of, "cosine", Cosine(0.5)),
        (any_schedule_of, "one_cycle", OneCycle(0.5)),
    ],
)
def test_a_name_takes_the_parameters_that_belong_to_it(make, name, expected):
    component = make(name)
    assert (type(component), component) == (type(expected), expected)


def test_regression_and_classification_share_what_sgd_classifier_takes_too():
    assert set(REGRESSION_LOSSES) & set(CLASSIFICATION_LOSSES) == {
        "squared_error",
        "huber",
        "epsilon_insensitive",
        "squared_epsilon_insensitive",
    }


@pytest.mark.parametrize(
    "make, wrong, parameter, suggestion, names",
    [
        (any_loss_of, "hubber", "loss", "huber", LOSS_NAMES),
        (any_loss_of, "squared_loss", "loss", "squared_error", LOSS_NAMES),
        (any_penalty_of, "elastic_net", "penalty", "elasticnet", PENALTIES),
        (optimizer_of, "Adam", "optimizer", "adam", OPTIMIZERS),
        (any_schedule_of, "inv_scaling", "learning_rate", "invscaling", LEARNING_RATES),
    ],
)
def test_an_unknown_name_lists_the_names_and_suggests_the_nearest(
    make, wrong, parameter, suggestion, names
):
    with pytest.raises(InvalidParameter) as caught:
        make(wrong)
    message = str(caught.value)
    assert message.startswith(f"{parameter}={wrong!r} is not known.")
    assert f"Did you mean {suggestion!r}?" in message
    assert all(repr(name) in message for name in names)


def test_a_name_like_no_other_gets_no_suggestion():
    with pytest.raises(InvalidParameter) as caught:
        optimizer_of("xyzzy")
    assert "Did you mean" not in str(caught.value)


def test_a_loss_of_the_other_task_is_not_known():
    with pytest.raises(InvalidParameter, match="loss='hinge' is not known"):
        loss_of("hinge", NUMBERS, REGRESSION_LOSSES)


@pytest.mark.parametrize("name", ["pa1", "pa2"])
def test_passive_aggressive_rates_are_refused_by_name(name):
    with pytest.raises(InvalidParameter, match=f"'{name}' is the passive-aggressive rule"):
        any_schedule_of(name)


# --- objects ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, component",
    [
        (any_loss_of, Huber(0.5)),
        (any_loss_of, Softmax()),
        (any_loss_of, OneVsRest(Hinge())),
        (any_penalty_of, ElasticNet(0.1, 0.2)),
        (optimizer_of, Adam(amsgrad=True)),
        (any_schedule_of, WarmUp(Cosine(0.1), 2.0)),
    ],
    ids=label,
)
def test_an_object_is_taken_as_it_is(make, component):
    taken = make(component)
    assert (type(taken), taken) == (type(component), component)


@pytest.mark.parametrize(
    "number", [2, 2.0, np.float64(2.0), np.float32(2.0), np.int64(2)], ids=repr
)
def test_a_number_is_a_constant_rate(number):
    schedule = any_schedule_of(number)
    assert (type(schedule), schedule.eta0, type(schedule.eta0)) == (Constant, 2.0, float)


@pytest.mark.parametrize("number", [0, -1.0, float("inf"), float("nan")], ids=repr)
def test_a_rate_must_be_a_finite_number_above_zero(number):
    with pytest.raises(InvalidParameter, match=r"learning_rate=.* must be a finite number > 0"):
        any_schedule_of(number)


def test_a_function_is_a_schedule():
    schedule = any_schedule_of(lambda epoch, _step: 0.1 / (1 + epoch))
    assert isinstance(schedule, UserSchedule)
    assert schedule.rates([0, 9], [0.5, 1.5], None).tolist() == [0.1, 0.05]


@pytest.mark.parametrize(
    "make, given, fields",
    [
        (any_loss_of, Huber(1), (1.0,)),
        (any_loss_of, Huber(np.float32(0.5)), (0.5,)),
        (any_loss_of, OneVsRest(Huber(1)), (Huber(1.0),)),
        (any_penalty_of, ElasticNet(1, 0), (1.0, 0.0)),
        (any_penalty_of, L2(np.int64(3)), (3.0,)),
        (optimizer_of, Adam(0, 0, 1, amsgrad=True), (0.0, 0.0, 1.0, True)),
        (any_schedule_of, WarmUp(Constant(1), epochs=3), (Constant(1.0), 3.0)),
    ],
    ids=label,
)
def test_whole_numbers_become_floats_so_that_there_is_one_kernel(make, given, fields):
    taken = make(given)

    def types(values):
        return [types(v) if isinstance(v, tuple) else type(v) for v in values]

    assert (taken, types(taken)) == (fields, types(fields))


class WithoutSlope(NamedTuple):
    def value(self, y, z):
        return z - y


class NoTuple:
    def value(self, y, z):
        return z - y

    slope = prox = value


class UserLoss(NamedTuple):
    width: int

    def value(self, y, z):
        return (z - y) / self.width

    slope = value


def test_a_user_s_own_component_is_left_alone():
    taken = any_loss_of(UserLoss(3))
    assert type(taken) is UserLoss
    assert type(taken.width) is int


@pytest.mark.parametrize(
    "make, given, why",
    [
        (any_loss_of, Huber, "it is a class, not an instance: call it"),
        (any_loss_of, Softmax, "it is a class, not an instance: call it"),
        (any_penalty_of, L2, "it is a class, not an instance: call it"),
        (optimizer_of, Adam, "it is a class, not an instance: call it"),
        (any_schedule_of, Cosine, "it is a class, not an instance: call it"),
        (any_loss_of, OneVsRest(Hinge), "it is a class, not an instance: call it"),
        (any_schedule_of, WarmUp(Cosine), "it is a class, not an instance: call it"),
        (any_loss_of, WithoutSlope(), r"it lacks slope\(\)"),
        (any_loss_of, None, r"it lacks value\(\), slope\(\)"),
        (any_penalty_of, WithoutSlope(), r"it lacks prox\(\)"),
        (any_penalty_of, 0.1, r"it lacks value\(\), prox\(\)"),
        (optimizer_of, L2(), r"it lacks n_slots\(\), step\(\)"),
        (any_schedule_of, True, r"it lacks rates\(\)"),
        (any_schedule_of, [0.1], r"it lacks rates\(\)"),
        (any_schedule_of, WarmUp(0.1), r"lacks rates\(\)"),
        (any_loss_of, NoTuple(), "it is not a NamedTuple"),
        (any_penalty_of, NoTuple(), "it is not a NamedTuple"),
    ],
)
def test_what_lacks_something_is_told_what(make, given, why):
    with pytest.raises(InvalidComponent, match=why) as caught:
        make(given)
    for base in (GradstepError, ValueError, TypeError):
        assert isinstance(caught.value, base)
    assert str(caught.value).startswith(("loss=", "penalty=", "optimizer=", "learning_rate="))


# --- hyper-parameters ---------------------------------------------------------------------

REFUSED = [
    pytest.param(make, cls(**{field: wrong}), field, id=f"{cls.__name__}-{field}")
    for make, table in (
        (any_loss_of, LOSSES),
        (any_loss_of, JOINT_LOSSES),
        (any_penalty_of, PENALTY_CASES),
        (optimizer_of, OPTIMIZER_CASES),
        (any_schedule_of, SCHEDULES),
    )
    for cls, case in table.items()
    for field, wrong in case.refused.items()
    if wrong is not None and not isinstance(wrong, (type, tuple))
    if cls is not WarmUp
]


@pytest.mark.parametrize("make, component, field", REFUSED)
def test_a_wrong_number_is_refused_with_its_name_and_owner(make, component, field):
    with pytest.raises(InvalidParameter) as caught:
        make(component)
    wrong = getattr(component, field)
    assert str(caught.value).startswith(f"{field}={wrong!r} of {type(component).__name__} must ")


@pytest.mark.parametrize(
    "make, component, field",
    [
        (any_loss_of, Huber("wide"), "epsilon"),
        (any_loss_of, Tweedie(None), "power"),
        (any_penalty_of, L2(None), "alpha"),
        (optimizer_of, Momentum("0.9"), "momentum"),
        (any_schedule_of, Constant("0.1"), "eta0"),
    ],
    ids=label,
)
def test_what_is_no_number_is_refused_likewise(make, component, field):
    with pytest.raises(InvalidParameter, match=rf"{field}=.* of {type(component).__name__} must"):
        make(component)


def test_the_schedule_after_a_warm_up_is_checked_as_well():
    with pytest.raises(InvalidParameter, match=r"eta0=0\.0 of Constant"):
        any_schedule_of(WarmUp(Constant(0.0)))
    with pytest.raises(InvalidParameter, match=r"epochs=0\.0 of WarmUp"):
        any_schedule_of(WarmUp(Constant(0.1), epochs=0))


def test_the_loss_of_one_vs_rest_is_checked_as_well():
    with pytest.raises(InvalidParameter, match=r"epsilon=-1.0 of Huber"):
        any_loss_of(OneVsRest(Huber(-1)))


def test_a_wrong_parameter_of_the_estimator_is_refused_by_the_component_too():
    with pytest.raises(InvalidParameter, match=r"quantile=1\.5 of Pinball"):
        loss_of("pinball", {"quantile": 1.5}, LOSS_NAMES)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_optimal_needs_a_penalty_s_strength(alpha):
    with pytest.raises(InvalidParameter, match="learning_rate='optimal' needs alpha > 0"):
        schedule_of("optimal", NUMBERS | {"alpha": alpha})


def test_adagrad_s_epsilon_may_be_small_but_not_zero():
    assert optimizer_of(AdaGrad(1e-300)) == AdaGrad(1e-300)


@pytest.mark.parametrize("name", NAMED)
def test_a_loss_says_of_what_it_is(name):
    loss = loss_of(name, {"epsilon": 0.1, "quantile": 0.5, "power": 1.5}, NAMED)
    assert losses.is_of_classes(loss) is (name not in REGRESSION_LOSSES)
    assert losses.has_optimum(loss) is losses.has_optimum(OneVsRest(loss)) is (name != "perceptron")
    power = {"poisson": 1.0, "gamma": 2.0, "tweedie": 1.5}.get(name)
    assert losses.variance_power(loss) == power
    assert losses.takes_offset(loss)


def test_a_loss_that_says_nothing_is_as_documented():
    class Own(NamedTuple):
        def value(self, y, z):
            return abs(y - z)

        def slope(self, y, z):
            return -1.0 if z < y else 1.0

    class Squared(Own):
        def inverse_link(self, z):
            return z * z

    loss = Own()
    assert (losses.is_of_classes(loss), losses.has_optimum(loss)) == (None, True)
    assert for_classes(loss, 2) is loss
    assert type(for_classes(loss, 3)) is OneVsRest
    assert losses.takes_offset(loss)
    assert not losses.takes_offset(Squared())
