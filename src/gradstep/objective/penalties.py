"""Penalties: what is added to the mean loss, and its proximal map.

A penalty is a NamedTuple with two methods, of one weight w:

- ``value(w)``: its share of the objective, alpha included;
- ``prox(x, step)``: argmin over w of ``½ (w - x)² + step·value(w)``. `step` is the step of
  that coordinate, so an optimizer with a step per coordinate penalises in its own metric.

A penalty whose map only multiplies may say so by ``shrink(step)``: prox(x, step) is then
shrink(step)·x, and a step on sparse rows need not touch every weight.

Kernels never penalise intercepts.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol, runtime_checkable

from gradstep.errors import InvalidParameter

__all__ = ["L1", "L2", "ElasticNet", "NoPenalty", "Penalty", "prox"]


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


def sets_zeros(penalty: Penalty) -> bool:
    """Tell whether the proximal map sets small weights to exactly zero, as l1 does."""
    return bool(penalty.prox(1e-300, 1.0) == 0.0)


def _check_alpha(owner: str, alpha: float) -> None:
    if not (alpha >= 0.0 and math.isfinite(alpha)):
        msg = f"alpha={alpha!r} of {owner} must be a finite number >= 0."
        raise InvalidParameter(msg)


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

    def check(self) -> None:
        """Refuse an alpha below zero."""
        _check_alpha("L2", self.alpha)


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

    def check(self) -> None:
        """Refuse an alpha below zero."""
        _check_alpha("L1", self.alpha)


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

    def check(self) -> None:
        """Refuse an alpha below zero and an l1_ratio outside [0, 1]."""
        _check_alpha("ElasticNet", self.alpha)
        if not 0.0 <= self.l1_ratio <= 1.0:
            msg = f"l1_ratio={self.l1_ratio!r} of ElasticNet must lie between 0 and 1."
            raise InvalidParameter(msg)
