"""What a loss is, and the table of their names.

A loss is a NamedTuple of its hyper-parameters with ordinary methods. A loss of one
score per output has two compiled methods

- ``value(y, z)`` and ``slope(y, z)``: loss and d loss / d score of one row;

a *joint* loss, which looks at all scores of a row at once, has instead

- ``row_slopes(y, z, at, k, slopes)``: the row's scores are ``z[at:at + k]``; writes the
  k slopes to ``slopes[at:at + k]`` and returns the value.

Compiled methods may use arithmetic, `math`, NumPy, and `gradstep.objective.elementary`;
the same code runs uncompiled. In addition a loss says, in plain Python, what it needs to
know of its targets (`target_range`), how scores become predictions (`inverse_link`), a
bound of its curvature (`curvature`, None if there is none), whether it has a second derivative
everywhere (`is_smooth`), the least value it can take for a given y (`floor`), whether it is one of
classes (`is_of_classes`), what it becomes with several (`for_classes`), and a joint loss its mean
Hessian for the scores of some rows, (k, k) (`score_hessian`). All that is optional:
the functions at the end of this page say what holds without it.

The scale of every loss is scikit-learn's: see `gradstep.objective.regression` and
`gradstep.objective.classification` for the formulas.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["JointLoss", "Loss", "TargetRange", "row_slopes", "slope", "value"]

T = TypeVar("T")


class TargetRange(NamedTuple):
    """The targets for which a loss is defined: an interval, open or closed below.

    Examples
    --------
    >>> TargetRange(0.0, closed=False)
    y > 0
    >>> TargetRange(0.0).holds(np.array([-1.0, 0.0, 2.0]))
    array([False,  True,  True])
    """

    low: float = -math.inf
    closed: bool = True

    def holds(self, y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell for each target whether it lies in the range."""
        inside: NDArray[np.bool_] = y >= self.low if self.closed else y > self.low
        return inside

    def __repr__(self) -> str:
        if self.low == -math.inf:
            return "any y"
        return f"y {'>=' if self.closed else '>'} {self.low:g}"


@runtime_checkable
class Loss(Protocol):
    """A loss of one score per output."""

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row with target y and score z."""

    def slope(self, y: float, z: float) -> float:
        """Return d loss / d z."""


@runtime_checkable
class JointLoss(Protocol):
    """A loss of all scores of a row together; y is the index of the class."""

    def row_slopes(self, y: float, z: Any, at: int, k: int, slopes: Any) -> float:
        """Write the slopes to ``slopes[at:at + k]``; return the value."""


# The names that kernels call. In Python they call the method; compiled, the method is
# chosen by the type of the loss (gradstep.engine.kernels.components).


def value(loss: Loss, y: float, z: float) -> float:
    """Return the loss of a row with target y and score z."""
    return loss.value(y, z)


def slope(loss: Loss, y: float, z: float) -> float:
    """Return d loss / d score of a row with target y and score z."""
    return loss.slope(y, z)


def row_slopes(loss: JointLoss, y: float, z: Any, at: int, k: int, slopes: Any) -> float:
    """Write a row's k slopes of a joint loss; return its value."""
    return loss.row_slopes(y, z, at, k, slopes)


# What a loss says of itself, with what holds for one that does not say.


def _asked(loss: object, name: str, default: T) -> T:
    """Return what an optional method of a loss returns, or the default."""
    method = getattr(loss, name, None)
    return default if method is None else method()


def is_joint(loss: object) -> bool:
    """Tell whether the loss looks at all scores of a row at once."""
    return hasattr(loss, "row_slopes")


def is_of_classes(loss: object) -> bool | None:
    """Tell whether the loss is one of classes, or of numbers; None, if nothing says so."""
    known = True if is_joint(loss) else None if variance_power(loss) is None else False
    return _asked(loss, "is_of_classes", known)


def has_optimum(loss: object) -> bool:
    """Tell whether its least value is what is wanted; True, if the loss does not say."""
    return _asked(loss, "has_optimum", default=True)


def target_range(loss: object) -> TargetRange:
    """Return the targets that a loss allows; any, if it does not say."""
    return _asked(loss, "target_range", TargetRange())


def curvature(loss: object) -> float | None:
    """Return an upper bound of d2 loss / d z2, or None if the loss gives none."""
    return _asked(loss, "curvature", None)


def is_smooth(loss: object) -> bool:
    """Tell whether the loss has a second derivative everywhere; False, if it does not say."""
    return _asked(loss, "is_smooth", default=False)


def is_quadratic(loss: object) -> bool:
    """Tell whether the loss is ½ (z - y)², solved in closed form; False, if it does not say."""
    return _asked(loss, "is_quadratic", default=False)


def floor(loss: object, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least value over z for each target; zero, if the loss does not say."""
    method = getattr(loss, "floor", None)
    return method(y) if method is not None else np.zeros_like(y)


def inverse_link(loss: object, z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn scores into predictions of the mean; the score itself by default."""
    method = getattr(loss, "inverse_link", None)
    return method(z) if method is not None else z


def variance_power(loss: object) -> float | None:
    """Return p of a variance ~ mean^p, if the score is the mean's logarithm; else None."""
    return _asked(loss, "variance_power", None)


def takes_offset(loss: object) -> bool:
    """Tell whether it is known how an offset of the score acts: on y - z, or with a logarithm."""
    return variance_power(loss) is not None or not hasattr(loss, "inverse_link")
