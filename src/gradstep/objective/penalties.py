"""Penalties: what is added to the mean loss, and its proximal map.

A penalty is a NamedTuple with two methods, of one weight w:

- ``value(w)``: its share of the objective, alpha included;
- ``prox(x, step)``: argmin over w of ``½ (w - x)² + step·value(w)``. `step` is the step of
  that coordinate, so an optimizer with a step per coordinate penalises in its own metric.

A penalty whose map only multiplies may say so by ``shrink(step)``: prox(x, step) is then
shrink(step)·x, and a step on sparse rows need not touch every weight.

A penalty that is l1·|w| + l2·½ w² may say so by ``strengths()``, which returns l1 and l2: then
there is a formula for many proximal maps in a row (`prox_in_turn`), and a step need not touch
weights whose gradient is zero.

Kernels never penalise intercepts.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol, runtime_checkable

from gradstep.checks import check_number
from gradstep.objective.elementary import exp

__all__ = [
    "L1",
    "L2",
    "Bounded",
    "BoundedEach",
    "ElasticNet",
    "NoPenalty",
    "Penalty",
    "Scaled",
    "ScaledEach",
    "of_weight",
    "prox",
]


@runtime_checkable
class Penalty(Protocol):
    """What a penalty must have."""

    def value(self, w: Any) -> Any:
        """Return the penalty of a weight (or of each weight in an array)."""

    def prox(self, x: float, step: float) -> float:
        """Return argmin over w of ``½ (w - x)² + step·value(w)``."""


def prox(penalty: Penalty, x: float, step: float) -> float:
    """Apply the penalty's proximal map to one coordinate (kernels call this)."""
    return penalty.prox(x, step)


def shrink(penalty: Any, step: float) -> float:
    """Return what the penalty multiplies weights by (kernels call this)."""
    factor: float = penalty.shrink(step)
    return factor


def strengths(penalty: Any) -> tuple[float, float]:
    """Return l1 and l2 of a penalty that is l1·|w| + l2·½ w² (kernels call this)."""
    both: tuple[float, float] = penalty.strengths()
    return both


def of_weight(each: Any, penalty: Any, j: int) -> Any:
    """Return the penalty of one weight, where each has one of its own (kernels call this)."""
    return each.of_weight(penalty, j)


def prox_in_turn(penalty: Any, x: float, steps: float, logs: float) -> float:
    """Apply the proximal maps of several steps, one after another, to one coordinate.

    Parameters
    ----------
    penalty : Penalty
        One with `strengths`.
    x : float
        The weight.
    steps : float
        Sum of the steps.
    logs : float
        Sum of log(1 + l2·step).

    Returns
    -------
    float
        The last map's result. For x > 0 a map takes x + l1/l2 to (x + l1/l2) / (1 + l2·step), or
        x to 0, where it stays. So all of them together do the same, with the product of the
        denominators; for l2 = 0 they are one map of the sum of the steps.

    Examples
    --------
    >>> penalty = ElasticNet(alpha=1.0, l1_ratio=0.5)
    >>> in_turn = prox(penalty, prox(penalty, 3.0, 0.5), 0.25)
    >>> together = prox_in_turn(penalty, 3.0, 0.75, math.log(1.25) + math.log(1.125))
    >>> abs(together - in_turn) < 1e-15
    True
    """
    l1, l2 = strengths(penalty)
    if l2 == 0.0:
        cut = l1 * steps
    else:
        x *= exp(-logs)
        cut = 0.0 if l1 == 0.0 else l1 * (-math.expm1(-logs) / l2)
    return x if l1 == 0.0 else x - max(-cut, min(x, cut))


def sets_zeros(penalty: Penalty) -> bool:
    """Tell whether the proximal map sets small weights to exactly zero, as l1 does."""
    return bool(penalty.prox(1e-300, 1.0) == 0.0)


class NoPenalty(NamedTuple):
    """No penalty.

    Examples
    --------
    >>> NoPenalty().prox(1.5, 0.1)
    1.5
    """

    def value(self, w: Any) -> Any:
        """Return 0."""
        return 0.0 * w

    def prox(self, x: float, step: float) -> float:
        """Return x."""
        return x

    def shrink(self, step: float) -> float:
        """Return 1."""
        return 1.0

    def strengths(self) -> tuple[float, float]:
        """Return 0 and 0."""
        return 0.0, 0.0


class L2(NamedTuple):
    """alpha·½ w², the penalty of ridge regression.

    Examples
    --------
    >>> L2(alpha=1.0).prox(3.0, 0.5), L2(alpha=1.0).value(2.0)
    (2.0, 2.0)
    """

    alpha: float = 1e-4

    def value(self, w: Any) -> Any:
        """Return alpha·½ w²."""
        return 0.5 * self.alpha * w * w

    def prox(self, x: float, step: float) -> float:
        """Return x / (1 + step·alpha)."""
        return x / (1.0 + step * self.alpha)

    def shrink(self, step: float) -> float:
        """Return 1 / (1 + step·alpha)."""
        return 1.0 / (1.0 + step * self.alpha)

    def strengths(self) -> tuple[float, float]:
        """Return 0 and alpha."""
        return 0.0, self.alpha

    def check(self) -> None:
        """Refuse an alpha below zero."""
        check_number("L2", "alpha", self.alpha, low=0.0, finite=True)


class L1(NamedTuple):
    """alpha·|w|, the penalty of the lasso: sets weights to exactly zero.

    Examples
    --------
    >>> L1(alpha=1.0).prox(3.0, 0.5), L1(alpha=1.0).prox(-0.2, 0.5)
    (2.5, 0.0)
    """

    alpha: float = 1e-4

    def value(self, w: Any) -> Any:
        """Return alpha·|w|."""
        return self.alpha * abs(w)

    def prox(self, x: float, step: float) -> float:
        """Return x moved towards zero by step·alpha, and no further."""
        cut = step * self.alpha
        return x - max(-cut, min(x, cut))

    def strengths(self) -> tuple[float, float]:
        """Return alpha and 0."""
        return self.alpha, 0.0

    def check(self) -> None:
        """Refuse an alpha below zero."""
        check_number("L1", "alpha", self.alpha, low=0.0, finite=True)


class ElasticNet(NamedTuple):
    """alpha·(l1_ratio·|w| + (1 - l1_ratio)·½ w²).

    Examples
    --------
    >>> ElasticNet(alpha=1.0, l1_ratio=0.5).prox(3.0, 1.0)
    1.6666666666666667
    """

    alpha: float = 1e-4
    l1_ratio: float = 0.15

    def value(self, w: Any) -> Any:
        """Return the penalty of a weight."""
        return self.alpha * (self.l1_ratio * abs(w) + (1.0 - self.l1_ratio) * 0.5 * w * w)

    def prox(self, x: float, step: float) -> float:
        """Return the soft-thresholded x, shrunk."""
        cut = step * self.alpha * self.l1_ratio
        shrink = 1.0 + step * self.alpha * (1.0 - self.l1_ratio)
        return (x - max(-cut, min(x, cut))) / shrink

    def strengths(self) -> tuple[float, float]:
        """Return alpha·l1_ratio and alpha·(1 - l1_ratio)."""
        return self.alpha * self.l1_ratio, self.alpha * (1.0 - self.l1_ratio)

    def check(self) -> None:
        """Refuse an alpha below zero and an l1_ratio outside [0, 1]."""
        check_number("ElasticNet", "alpha", self.alpha, low=0.0, finite=True)
        check_number("ElasticNet", "l1_ratio", self.l1_ratio, low=0.0, high=1.0)


class Scaled(NamedTuple):
    """A penalty of scale·w: what kernels make for each weight, if each has a scale of its own.

    Parameters
    ----------
    penalty : Penalty
        What scale·w is penalised by.
    scale : float
        What the weight is multiplied by; 0 for no penalty.

    Examples
    --------
    >>> Scaled(L2(alpha=1.0), 2.0).value(3.0), Scaled(L1(alpha=1.0), 2.0).prox(3.0, 0.5)
    (18.0, 2.0)
    """

    penalty: Any
    scale: float

    def value(self, w: Any) -> Any:
        """Return the penalty of scale·w."""
        return self.penalty.value(self.scale * w)

    def prox(self, x: float, step: float) -> float:
        """Return argmin over w of ``½ (w - x)² + step·penalty(scale·w)``."""
        if self.scale == 0.0:
            return x
        return prox(self.penalty, x * self.scale, step * self.scale * self.scale) / self.scale


class ScaledEach(NamedTuple):
    """Makes `Scaled` penalties.

    Parameters
    ----------
    scales : ndarray of shape (n_features,)
        What the weights of each output are multiplied by.
    """

    scales: Any

    def of_weight(self, penalty: Any, j: int) -> Any:
        """Return the penalty of weight j."""
        return Scaled(penalty, self.scales[j % self.scales.size])


class Bounded(NamedTuple):
    """A penalty of a weight that is to stay between two bounds.

    The proximal map of a convex function within an interval is its map, put into the interval:
    beyond that minimum the function only rises.

    Parameters
    ----------
    penalty : Penalty
        What the weight is penalised by.
    low, high : float
        The bounds.

    Examples
    --------
    >>> within = Bounded(L2(alpha=1.0), 0.0, 1.5)
    >>> within.prox(3.0, 0.5), within.prox(-1.0, 0.5)
    (1.5, 0.0)
    """

    penalty: Any
    low: float
    high: float

    def value(self, w: Any) -> Any:
        """Return the penalty of w, which is taken to be within the bounds."""
        return self.penalty.value(w)

    def prox(self, x: float, step: float) -> float:
        """Return argmin over w between the bounds of ``½ (w - x)² + step·penalty(w)``."""
        return min(max(prox(self.penalty, x, step), self.low), self.high)


class BoundedEach(NamedTuple):
    """Makes `Bounded` penalties of scaled weights, of a single output.

    Parameters
    ----------
    scales, low, high : ndarray of shape (n_features,)
        What each weight is multiplied by to be penalised, and its bounds.
    """

    scales: Any
    low: Any
    high: Any

    def of_weight(self, penalty: Any, j: int) -> Any:
        """Return the penalty of weight j."""
        return Bounded(Scaled(penalty, self.scales[j]), self.low[j], self.high[j])
