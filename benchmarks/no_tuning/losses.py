"""The losses in NumPy, written without gradstep, and smooth stand-ins for the kinked ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

REGRESSION = (
    "squared_error",
    "huber",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
    "pinball",
    "poisson",
    "gamma",
    "tweedie",
)
CLASSIFICATION = ("log_loss", "hinge", "squared_hinge", "modified_huber")
LOG_LINEAR = ("poisson", "gamma", "tweedie")
# Kinked, or (Huber with a small epsilon) nearly so: reached by way of smoother ones.
KINKED = ("hinge", "pinball", "epsilon_insensitive", "huber")
EPSILON, QUANTILE, POWER = 0.1, 0.5, 1.5


class Loss(NamedTuple):
    """Value, slope and curvature of a loss, of arrays (y, z) of one shape."""

    value: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any], Any]
    curve: Callable[[Any, Any], Any]


def loss_named(name: str, parameter: float | None = None) -> Loss:
    """Return a loss; the parameter is its epsilon, quantile or power."""
    if name in _PLAIN:
        return _PLAIN[name]
    default = {"pinball": QUANTILE, "tweedie": POWER}.get(name, EPSILON)
    return _WITH_PARAMETER[name](default if parameter is None else parameter)


def smoothed(name: str, parameter: float | None, width: float) -> Loss:
    """Return the Moreau envelope of a kinked loss: below it by at most half the width."""
    if name == "hinge":
        return _envelope_of_hinge(width)
    if name == "pinball":
        return _envelope_of_pinball(QUANTILE if parameter is None else parameter, width)
    epsilon = EPSILON if parameter is None else parameter
    if name == "epsilon_insensitive":
        return _envelope_of_excess(epsilon, width)
    # Huber is epsilon times the envelope of |r| of width epsilon.
    wide = _envelope_of_excess(0.0, max(width, epsilon))
    return Loss(*((lambda y, z, part=part: epsilon * part(y, z)) for part in wide))


def least_of_rows(name: str, parameter: float | None, y: Any) -> Any:
    """Return the least loss that each target allows."""
    power = {"poisson": 1.0, "gamma": 2.0, "tweedie": POWER}.get(name)
    if power is None:
        return np.zeros(len(y))
    if name == "tweedie" and parameter is not None:
        power = parameter
    positive = np.where(y > 0.0, y, 1.0)
    if power == 1.0:
        return y - y * np.log(positive)
    if power == 2.0:
        return 1.0 + np.log(positive)
    return y ** (2.0 - power) * (1.0 / (2.0 - power) - 1.0 / (1.0 - power))


def _sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0.0, 1.0, e) / (1.0 + e)


def _squared_excess(epsilon: float) -> Loss:
    def excess(y: Any, z: Any) -> Any:
        return np.maximum(np.abs(z - y) - epsilon, 0.0)

    return Loss(
        lambda y, z: excess(y, z) ** 2,
        lambda y, z: 2.0 * np.sign(z - y) * excess(y, z),
        lambda y, z: 2.0 * (np.abs(z - y) > epsilon),
    )


def _excess(epsilon: float) -> Loss:
    return Loss(
        lambda y, z: np.maximum(np.abs(z - y) - epsilon, 0.0),
        lambda y, z: np.sign(z - y) * (np.abs(z - y) > epsilon),
        lambda y, z: 0.0 * (z - y),
    )


def _huber(epsilon: float) -> Loss:
    def value(y: Any, z: Any) -> Any:
        r = np.abs(z - y)
        return np.where(r <= epsilon, 0.5 * r * r, epsilon * (r - 0.5 * epsilon))

    return Loss(
        value,
        lambda y, z: np.clip(z - y, -epsilon, epsilon),
        lambda y, z: 1.0 * (np.abs(z - y) <= epsilon),
    )


def _pinball(quantile: float) -> Loss:
    return Loss(
        lambda y, z: np.where(y >= z, quantile * (y - z), (1.0 - quantile) * (z - y)),
        lambda y, z: np.where(y >= z, -quantile, 1.0 - quantile),
        lambda y, z: 0.0 * (z - y),
    )


def _tweedie(power: float) -> Loss:
    a, b = 2.0 - power, 1.0 - power
    if power in {1.0, 2.0}:
        return _PLAIN["poisson" if power == 1.0 else "gamma"]
    return Loss(
        lambda y, z: np.exp(a * z) / a - y * np.exp(b * z) / b,
        lambda y, z: np.exp(a * z) - y * np.exp(b * z),
        lambda y, z: a * np.exp(a * z) - b * y * np.exp(b * z),
    )


def _envelope_of_hinge(width: float) -> Loss:
    def value(y: Any, z: Any) -> Any:
        short = 1.0 - y * z
        near = np.clip(short, 0.0, width)
        return near * near / (2.0 * width) + np.maximum(short - width, 0.0)

    return Loss(
        value,
        lambda y, z: -y * np.clip((1.0 - y * z) / width, 0.0, 1.0),
        lambda y, z: ((1.0 - y * z > 0.0) & (1.0 - y * z < width)) / width,
    )


def _envelope_of_excess(epsilon: float, width: float) -> Loss:
    def value(y: Any, z: Any) -> Any:
        excess = np.abs(z - y) - epsilon
        near = np.clip(excess, 0.0, width)
        return near * near / (2.0 * width) + np.maximum(excess - width, 0.0)

    def curve(y: Any, z: Any) -> Any:
        excess = np.abs(z - y) - epsilon
        return ((excess >= 0.0) & (excess < width)) / width

    return Loss(
        value,
        lambda y, z: np.sign(z - y) * np.clip((np.abs(z - y) - epsilon) / width, 0.0, 1.0),
        curve,
    )


def _envelope_of_pinball(quantile: float, width: float) -> Loss:
    high, low = quantile * width, (1.0 - quantile) * width

    def value(y: Any, z: Any) -> Any:
        r = y - z
        near = np.clip(r, -low, high)
        beyond = quantile * np.maximum(r - high, 0.0)
        return near * near / (2.0 * width) + beyond + (1.0 - quantile) * np.maximum(-r - low, 0.0)

    return Loss(
        value,
        lambda y, z: -np.clip((y - z) / width, quantile - 1.0, quantile),
        lambda y, z: ((y - z > -low) & (y - z < high)) / width,
    )


def _squared_hinge() -> Loss:
    def short(y: Any, z: Any) -> Any:
        return np.maximum(1.0 - y * z, 0.0)

    return Loss(
        lambda y, z: short(y, z) ** 2,
        lambda y, z: -2.0 * y * short(y, z),
        lambda y, z: 2.0 * (y * z < 1.0),
    )


def _modified_huber() -> Loss:
    def value(y: Any, z: Any) -> Any:
        margin = y * z
        return np.where(margin >= -1.0, np.maximum(1.0 - margin, 0.0) ** 2, -4.0 * margin)

    return Loss(
        value,
        lambda y, z: -2.0 * y * np.clip(1.0 - y * z, 0.0, 2.0),
        lambda y, z: 2.0 * (np.abs(y * z) < 1.0),
    )


_PLAIN = {
    "squared_error": Loss(
        lambda y, z: 0.5 * (z - y) ** 2, lambda y, z: z - y, lambda y, z: np.ones_like(z - y)
    ),
    "poisson": Loss(
        lambda y, z: np.exp(z) - y * z,
        lambda y, z: np.exp(z) - y,
        lambda y, z: np.exp(z) + 0.0 * y,
    ),
    "gamma": Loss(
        lambda y, z: z + y * np.exp(-z),
        lambda y, z: 1.0 - y * np.exp(-z),
        lambda y, z: y * np.exp(-z),
    ),
    "log_loss": Loss(
        lambda y, z: np.logaddexp(0.0, -y * z),
        lambda y, z: -y * _sigmoid(-y * z),
        lambda y, z: _sigmoid(z) * _sigmoid(-z) + 0.0 * y,
    ),
    "squared_hinge": _squared_hinge(),
    "modified_huber": _modified_huber(),
    "hinge": Loss(
        lambda y, z: np.maximum(1.0 - y * z, 0.0),
        lambda y, z: -y * (y * z <= 1.0),
        lambda y, z: 0.0 * (y * z),
    ),
}
_WITH_PARAMETER = {
    "huber": _huber,
    "epsilon_insensitive": _excess,
    "squared_epsilon_insensitive": _squared_excess,
    "pinball": _pinball,
    "tweedie": _tweedie,
}
