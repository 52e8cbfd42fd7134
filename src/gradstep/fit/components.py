"""From names to components, as ``"huber"`` to ``Huber(epsilon=0.1)``, and errors if there is none.

Wherever a name is taken, an object is taken, too: a built-in component with its own
hyper-parameters, or a user's own, which needs no more than the methods of its kind.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, NoReturn

from gradstep.errors import InvalidComponent, InvalidParameter, nearest
from gradstep.objective import classification, penalties, regression
from gradstep.objective.losses import is_joint, is_of_classes
from gradstep.optim import optimizers, schedules, solvers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradstep.data.roles import Target

__all__ = [
    "CLASSIFICATION_LOSSES",
    "LEARNING_RATES",
    "LOSSES",
    "OPTIMIZERS",
    "PENALTIES",
    "REGRESSION_LOSSES",
    "SOLVERS",
    "loss_for",
    "loss_of",
    "optimizer_of",
    "penalty_of",
    "schedule_of",
]

# Each name with what makes the component out of an estimator's parameters.
REGRESSION_LOSSES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "squared_error": lambda _: regression.SquaredError(),
    "huber": lambda p: regression.Huber(p["epsilon"]),
    "epsilon_insensitive": lambda p: regression.EpsilonInsensitive(p["epsilon"]),
    "squared_epsilon_insensitive": lambda p: regression.SquaredEpsilonInsensitive(p["epsilon"]),
    "pinball": lambda p: regression.Pinball(p["quantile"]),
    "poisson": lambda _: regression.Poisson(),
    "gamma": lambda _: regression.Gamma(),
    "tweedie": lambda p: regression.Tweedie(p["power"]),
}
CLASSIFICATION_LOSSES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "log_loss": lambda _: classification.LogLoss(),
    "hinge": lambda _: classification.Hinge(),
    "squared_hinge": lambda _: classification.SquaredHinge(),
    "modified_huber": lambda _: classification.ModifiedHuber(),
    "perceptron": lambda _: classification.Perceptron(),
    # as in SGDClassifier, on classes -1 and +1
    **{
        name: REGRESSION_LOSSES[name]
        for name in (
            "squared_error",
            "huber",
            "epsilon_insensitive",
            "squared_epsilon_insensitive",
        )
    },
}
LOSSES = {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES}
PENALTIES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "l2": lambda p: penalties.L2(p["alpha"]),
    "l1": lambda p: penalties.L1(p["alpha"]),
    "elasticnet": lambda p: penalties.ElasticNet(p["alpha"], p["l1_ratio"]),
}
OPTIMIZERS: Mapping[str, Callable[[], Any]] = {
    "sgd": optimizers.SGD,
    "momentum": optimizers.Momentum,
    "nesterov": optimizers.Nesterov,
    "adagrad": optimizers.AdaGrad,
    "rmsprop": optimizers.RMSprop,
    "adam": optimizers.Adam,
    "ftrl": optimizers.FTRL,
}
# The automatic optimizers, which take no learning rate.
SOLVERS: Mapping[str, Callable[[], Any]] = {"svrg": solvers.SVRG, "exact": solvers.Exact}
LEARNING_RATES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "constant": lambda p: schedules.Constant(p["eta0"]),
    "invscaling": lambda p: schedules.InvScaling(p["eta0"], p["power_t"]),
    "optimal": lambda p: schedules.Optimal.for_slope(
        p["alpha"], p["slope"], p.get("batch_size", 1.0)
    ),
    "adaptive": lambda p: schedules.Adaptive(p["eta0"]),
    "step": lambda p: schedules.StepDecay(p["eta0"]),
    "exponential": lambda p: schedules.Exponential(p["eta0"]),
    "cosine": lambda p: schedules.Cosine(p["eta0"]),
    "one_cycle": lambda p: schedules.OneCycle(p["eta0"]),
}


_OR_ELSE = {
    "loss": "an object with value() and slope()",
    "penalty": "None, or an object with value() and prox()",
    "optimizer": "an object with n_slots() and step()",
    "learning_rate": "'auto', a number, a function (epoch, step), or an object with rates()",
}


def _refuse(parameter: str, value: Any, allowed: Mapping[str, Any]) -> NoReturn:
    names = ", ".join(repr(name) for name in allowed)
    msg = (
        f"{parameter}={value!r} is not known.{nearest(value, allowed)} It must be one of {names}, "
        f"or {_OR_ELSE[parameter]}."
    )
    raise InvalidParameter(msg)


def _why_not(component: Any, methods: tuple[str, ...]) -> str:
    """Return why an object is not a component with these methods; nothing if it is one."""
    if isinstance(component, type):
        return "it is a class, not an instance: call it"
    missing = [name for name in methods if not callable(getattr(component, name, None))]
    if missing:
        return f"it lacks {', '.join(f'{name}()' for name in missing)}"
    if not isinstance(component, tuple):
        return "it is not a NamedTuple, which is what kernels are compiled for"
    return ""


def _checked(parameter: str, component: Any, *methods: str, inner: str = "") -> Any:
    """Return a component, checked to have the methods that its kind needs, and valid numbers.

    `inner` names the field of a component around another one of its kind.
    """
    why = _why_not(component, methods)
    if why:
        msg = f"{parameter}={component!r} cannot be used: {why}."
        raise InvalidComponent(msg)
    if inner:
        part = getattr(component, inner)
        kind = ("value", "slope") if parameter == "loss" else methods
        why = _why_not(part, kind)
        if why:
            msg = f"{parameter}={component!r} cannot be used: of its {inner}={part!r}, {why}."
            raise InvalidComponent(msg)
        component = component._replace(**{inner: _checked(parameter, part, *kind)})
    component = _floats(component)
    if hasattr(component, "check"):
        component.check()
    return component


def _annotation(cls: type, name: str) -> str:
    """Return the annotation of a field as it is written."""
    annotation = cls.__annotations__[name]
    return str(getattr(annotation, "__forward_arg__", annotation))


def _floats(component: Any) -> Any:
    """Return a built-in component with its numbers made floats: one type to compile for."""
    cls = type(component)
    if not cls.__module__.startswith("gradstep.") or all(type(f) is float for f in component):
        return component
    fields = []
    for name, field in component._asdict().items():
        if isinstance(field, tuple):
            fields.append(_floats(field))
        elif _annotation(cls, name) != "float":
            fields.append(field)
        elif not isinstance(field, bool) and isinstance(field, Real):
            fields.append(float(field))
        else:
            msg = f"{name}={field!r} of {cls.__name__} must be a number."
            raise InvalidParameter(msg)
    return cls(*fields)


def loss_of(
    value: Any, parameters: Mapping[str, Any], losses: Mapping[str, Callable[..., Any]]
) -> Any:
    """Return the loss for a name or an object.

    Parameters
    ----------
    value : str or Loss
        What the user gave.
    parameters : mapping
        `epsilon`, `quantile`, `power`, for the losses that have them.
    losses : mapping
        The names that are allowed: those of regression or of classification.

    Examples
    --------
    >>> loss_of("huber", {"epsilon": 1}, REGRESSION_LOSSES)
    Huber(epsilon=1.0)
    """
    if isinstance(value, str):
        if value not in losses:
            _refuse("loss", value, losses)
        return _checked("loss", losses[value](parameters))
    if is_joint(value):
        inner = "loss" if isinstance(value, classification.OneVsRest) else ""
        return _checked("loss", value, "row_slopes", inner=inner)
    return _checked("loss", value, "value", "slope")


def loss_for(loss: Any, target: Target) -> Any:
    """Return the loss for a table's target; with more than two classes, its form for several.

    Raises
    ------
    InvalidParameter
        If it is a loss of classes and the target a number, or needs two scores for two classes.
    """
    if target.classes is None:
        if is_of_classes(loss):
            msg = f"loss={loss!r} is one of classes; the target {target.column!r} is a number."
            raise InvalidParameter(msg)
        return loss
    found = classification.for_classes(loss, len(target.classes))
    if target.n_outputs == 1 and is_joint(found):
        msg = (
            f"loss={loss!r} takes a score for each class, and of a table's two classes there is "
            f"one: use {getattr(loss, 'loss', classification.LogLoss())!r}."
        )
        raise InvalidParameter(msg)
    return found


def penalty_of(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return the penalty for a name, None or an object; `alpha` and `l1_ratio` by name only.

    Examples
    --------
    >>> penalty_of("l2", {"alpha": 0.01}), penalty_of(None, {})
    (L2(alpha=0.01), NoPenalty())
    """
    if value is None:
        return penalties.NoPenalty()
    if isinstance(value, str):
        if value not in PENALTIES:
            _refuse("penalty", value, PENALTIES)
        return _checked("penalty", PENALTIES[value](parameters))
    return _checked("penalty", value, "value", "prox")


def optimizer_of(value: Any) -> Any:
    """Return the optimizer for a name or an object.

    Examples
    --------
    >>> optimizer_of("momentum")
    Momentum(momentum=0.9)
    """
    if isinstance(value, str):
        make = OPTIMIZERS.get(value) or SOLVERS.get(value)
        if make is None:
            _refuse("optimizer", value, {"auto": None, **OPTIMIZERS, **SOLVERS})
        return _checked("optimizer", make())
    methods = ("n_slots",) if solvers.is_automatic(value) else ("n_slots", "step")
    return _checked("optimizer", value, *methods)


def schedule_of(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return the schedule for a name, a number, a function or an object.

    Parameters
    ----------
    value : str, float, callable or Schedule
        What the user gave: a float is a constant rate, a function takes (epoch, step).
    parameters : mapping
        `eta0`, `power_t`, `alpha`, `slope` of the loss, `batch_size`: for names only.

    Examples
    --------
    >>> schedule_of(0.1, {}), schedule_of("cosine", {"eta0": 0.2})
    (Constant(eta0=0.1), Cosine(eta0=0.2, final=0.0))
    """
    if isinstance(value, str):
        if value in {"pa1", "pa2"}:
            msg = (
                f"learning_rate={value!r} is the passive-aggressive rule, whose step depends on "
                "a single row; gradstep takes batches. Use loss='hinge' with another rate."
            )
            raise InvalidParameter(msg)
        if value not in LEARNING_RATES:
            _refuse("learning_rate", value, LEARNING_RATES)
        return _checked("learning_rate", LEARNING_RATES[value](parameters), "rates")
    if not isinstance(value, bool) and isinstance(value, Real):
        if not 0.0 < float(value) < float("inf"):
            msg = f"learning_rate={value!r} must be a finite number > 0."
            raise InvalidParameter(msg)
        return schedules.Constant(float(value))
    if callable(value) and not hasattr(value, "rates"):
        return schedules.UserSchedule(value)
    inner = "then" if isinstance(value, schedules.WarmUp) else ""
    return _checked("learning_rate", value, "rates", inner=inner)
