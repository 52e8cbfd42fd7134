"""Losses of a real target: one class each, all formulas in the docstrings.

Scale and ties are scikit-learn's (`SGDRegressor`, `PoissonRegressor`, `GammaRegressor`,
`TweedieRegressor`, `QuantileRegressor`). Poisson, gamma and Tweedie model the logarithm
of the mean: the score z predicts exp(z), and the loss is half the unit deviance without
the terms that depend on y alone (`floor` gives those).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradstep.checks import check_number
from gradstep.objective.constants import balance, balance_of_excess, log_of_mean, middle, quantile
from gradstep.objective.elementary import exp, positive_part
from gradstep.objective.losses import TargetRange

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "EpsilonInsensitive",
    "Gamma",
    "Huber",
    "Pinball",
    "Poisson",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "Tweedie",
]


class SquaredError(NamedTuple):
    """½ (z - y)², the loss of least squares; its slope is z - y.

    Examples
    --------
    >>> SquaredError().value(1.0, 3.0), SquaredError().slope(1.0, 3.0)
    (2.0, 2.0)
    """

    def is_of_classes(self) -> bool:
        """Return False."""
        return False

    def value(self, y: float, z: float) -> float:
        """Return ½ (z - y)²."""
        return 0.5 * (z - y) * (z - y)

    def slope(self, y: float, z: float) -> float:
        """Return z - y."""
        return z - y

    def is_smooth(self) -> bool:
        """Return True: there is a second derivative everywhere."""
        return True

    def is_quadratic(self) -> bool:
        """Return True."""
        return True

    def curvature(self) -> float:
        """Return 1."""
        return 1.0

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the score of the best constant: the weighted mean."""
        return float(y.mean() if weight is None else np.average(y, weights=weight))


class Huber(NamedTuple):
    """½ r² for |r| = |y - z| up to epsilon, epsilon·(|r| - ½ epsilon) beyond.

    Examples
    --------
    >>> Huber(epsilon=1.0).value(0.0, 3.0), Huber(epsilon=1.0).slope(0.0, -3.0)
    (2.5, -1.0)
    """

    epsilon: float = 0.1

    def is_of_classes(self) -> bool:
        """Return False."""
        return False

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row."""
        r = abs(z - y)
        near = min(r, self.epsilon)
        return near * (r - 0.5 * near)

    def slope(self, y: float, z: float) -> float:
        """Return z - y, cut to ± epsilon."""
        return max(-self.epsilon, min(z - y, self.epsilon))

    def curvature(self) -> float:
        """Return 1."""
        return 1.0

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the score of the best constant: where residuals cut to epsilon cancel."""
        return balance(y, weight, self.epsilon, middle(y, weight), beyond=False)

    def check(self) -> None:
        """Refuse an epsilon below zero."""
        check_number("Huber", "epsilon", self.epsilon, low=0.0, finite=True)


class EpsilonInsensitive(NamedTuple):
    """max(0, |y - z| - epsilon), the loss of linear support vector regression.

    Examples
    --------
    >>> EpsilonInsensitive(epsilon=0.5).value(0.0, 2.0)
    1.5
    """

    epsilon: float = 0.1

    def is_of_classes(self) -> bool:
        """Return False."""
        return False

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row."""
        return positive_part(abs(z - y) - self.epsilon)

    def slope(self, y: float, z: float) -> float:
        """Return the sign of z - y beyond epsilon, 0 up to it."""
        r = z - y
        return (1.0 if r > self.epsilon else 0.0) - (1.0 if -r > self.epsilon else 0.0)

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the score of the best constant: the median of where the slopes jump.

        The middle of all that there are: at its ends a loss of zero would be lost to rounding.
        """
        jumps = np.concatenate([y - self.epsilon, y + self.epsilon])
        return middle(jumps, None if weight is None else np.tile(weight, 2))

    def check(self) -> None:
        """Refuse an epsilon below zero."""
        check_number("EpsilonInsensitive", "epsilon", self.epsilon, low=0.0, finite=True)


class SquaredEpsilonInsensitive(NamedTuple):
    """max(0, |y - z| - epsilon)², without the half, as in `SGDRegressor`.

    Examples
    --------
    >>> SquaredEpsilonInsensitive(epsilon=0.5).value(0.0, 2.0)
    2.25
    """

    epsilon: float = 0.1

    def is_of_classes(self) -> bool:
        """Return False."""
        return False

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row."""
        excess = positive_part(abs(z - y) - self.epsilon)
        return excess * excess

    def slope(self, y: float, z: float) -> float:
        """Return twice the signed excess over epsilon."""
        r = z - y
        return 2.0 * (positive_part(r - self.epsilon) - positive_part(-r - self.epsilon))

    def curvature(self) -> float:
        """Return 2."""
        return 2.0

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the score of the best constant: where excesses over epsilon cancel."""
        return balance_of_excess(y, weight, self.epsilon)

    def check(self) -> None:
        """Refuse an epsilon below zero."""
        check_number("SquaredEpsilonInsensitive", "epsilon", self.epsilon, low=0.0, finite=True)


class Pinball(NamedTuple):
    """q·(y - z) below the target, (1 - q)·(z - y) above: z estimates the q-quantile.

    Examples
    --------
    >>> Pinball(quantile=0.9).value(2.0, 1.0), Pinball(quantile=0.9).slope(2.0, 1.0)
    (0.9, -0.9)
    """

    quantile: float = 0.5

    def is_of_classes(self) -> bool:
        """Return False."""
        return False

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row."""
        r = y - z
        return max(self.quantile * r, (self.quantile - 1.0) * r)

    def slope(self, y: float, z: float) -> float:
        """Return -q where z <= y, 1 - q above."""
        return (0.0 if y >= z else 1.0) - self.quantile

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the score of the best constant: the weighted quantile."""
        return quantile(y, weight, self.quantile)

    def check(self) -> None:
        """Refuse a quantile outside (0, 1)."""
        check_number(
            "Pinball", "quantile", self.quantile, low=0.0, high=1.0, open_low=True, open_high=True
        )


def _exp(z: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        mean: NDArray[np.float64] = np.exp(z)
    return mean


class Poisson(NamedTuple):
    """exp(z) - y z for counts y >= 0: half the Poisson deviance, up to terms of y.

    Examples
    --------
    >>> Poisson().value(2.0, 0.0), Poisson().slope(2.0, 0.0)
    (1.0, -1.0)
    """

    def value(self, y: float, z: float) -> float:
        """Return exp(z) - y z."""
        return exp(z) - y * z

    def slope(self, y: float, z: float) -> float:
        """Return exp(z) - y."""
        return exp(z) - y

    def is_smooth(self) -> bool:
        """Return True: there is a second derivative everywhere."""
        return True

    def curvature_at(self, mean: float) -> float:
        """Return the curvature where the prediction is the mean: the mean."""
        return mean

    def target_range(self) -> TargetRange:
        """Return y >= 0."""
        return TargetRange(0.0)

    def floor(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return y - y log y, the value at exp(z) = y."""
        return y - y * np.log(np.where(y > 0.0, y, 1.0))

    def inverse_link(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return exp(z)."""
        return _exp(z)

    def variance_power(self) -> float:
        """Return 1: the variance is the mean."""
        return 1.0

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the logarithm of the weighted mean."""
        return log_of_mean(y, weight)


class Gamma(NamedTuple):
    """z + y exp(-z) for y > 0: half the gamma deviance, up to terms of y.

    Examples
    --------
    >>> Gamma().value(2.0, 0.0), Gamma().slope(2.0, 0.0)
    (2.0, -1.0)
    """

    def value(self, y: float, z: float) -> float:
        """Return z + y exp(-z)."""
        return z + y * exp(-z)

    def slope(self, y: float, z: float) -> float:
        """Return 1 - y exp(-z)."""
        return 1.0 - y * exp(-z)

    def is_smooth(self) -> bool:
        """Return True: there is a second derivative everywhere."""
        return True

    def curvature_at(self, mean: float) -> float:
        """Return the curvature where the prediction is the mean: 1."""
        return 1.0

    def target_range(self) -> TargetRange:
        """Return y > 0."""
        return TargetRange(0.0, closed=False)

    def floor(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log y + 1, the value at exp(z) = y."""
        return np.log(y) + 1.0

    def inverse_link(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return exp(z)."""
        return _exp(z)

    def variance_power(self) -> float:
        """Return 2: the deviation is in proportion to the mean."""
        return 2.0

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the logarithm of the weighted mean."""
        return log_of_mean(y, weight)


class Tweedie(NamedTuple):
    """Half the Tweedie deviance with variance ~ mean^power, power >= 1, up to terms of y.

    exp((2 - power) z) / (2 - power) - y exp((1 - power) z) / (1 - power). Power 1 is
    `Poisson`, power 2 is `Gamma`, between them lie sums of gamma-distributed amounts (y may
    be 0). It is convex in z for powers from 1 to 2. Powers below 1 are refused: 0 is
    `SquaredError` without the logarithm, and between 0 and 1 no such distribution exists.

    Examples
    --------
    >>> Tweedie(power=1.5).value(1.0, 0.0), Tweedie(power=1.5).slope(1.0, 0.0)
    (4.0, 0.0)
    """

    power: float = 1.5

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row."""
        a = 2.0 - self.power
        b = 1.0 - self.power
        # Without branches, so that rows are taken several at a time. Of the two powers of the mean
        # the larger is taken out, so that no infinity is subtracted from another.
        small = exp(-abs(z))
        of_mean = small if z < 0.0 and y != 0.0 else 1.0
        of_target = 1.0 if z < 0.0 else small
        larger = exp((b if z < 0.0 and y != 0.0 else a) * z)
        over_a = 0.0 if a == 0.0 else 1.0 / a
        over_b = 0.0 if b == 0.0 else 1.0 / b
        # The limits of what is divided by a and by b there, but for a constant.
        limit = z if a == 0.0 else -y * z if b == 0.0 else 0.0
        return larger * (of_mean * over_a - y * of_target * over_b) + limit

    def slope(self, y: float, z: float) -> float:
        """Return exp((2 - power) z) - y exp((1 - power) z)."""
        a = 2.0 - self.power
        b = 1.0 - self.power
        small = exp(-abs(z))
        of_mean = small if z < 0.0 and y != 0.0 else 1.0
        of_target = 1.0 if z < 0.0 else small
        larger = exp((b if z < 0.0 and y != 0.0 else a) * z)
        return larger * (of_mean - y * of_target)

    def is_smooth(self) -> bool:
        """Return True: there is a second derivative everywhere."""
        return True

    def curvature_at(self, mean: float) -> float:
        """Return the curvature where the prediction is the mean: mean^(2 - power)."""
        return float(mean ** (2.0 - self.power))

    def target_range(self) -> TargetRange:
        """Return y >= 0 for powers below 2, y > 0 from there on."""
        return TargetRange(0.0, closed=self.power < 2.0)

    def floor(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the value at exp(z) = y."""
        if self.power == 1.0:
            return Poisson().floor(y)
        if self.power == 2.0:
            return Gamma().floor(y)
        a, b = 2.0 - self.power, 1.0 - self.power
        least: NDArray[np.float64] = y**a * (1.0 / a - 1.0 / b)
        return least

    def inverse_link(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return exp(z)."""
        return _exp(z)

    def variance_power(self) -> float:
        """Return the power."""
        return self.power

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the logarithm of the weighted mean."""
        return log_of_mean(y, weight)

    def check(self) -> None:
        """Refuse powers below 1: for 0 there is `SquaredError`."""
        check_number("Tweedie", "power", self.power, low=1.0, finite=True)
