"""A loss with kinks, smoothed over a width of scores."""

from __future__ import annotations

from typing import Any, NamedTuple

from gradstep.objective.classification import OneVsRest
from gradstep.objective.losses import curvature, is_smooth, slope, value

__all__ = ["Smoothed", "as_trained", "smoothed"]


class Smoothed(NamedTuple):
    """The mean of a loss over eight scores evenly spread within `width`: its kinks are an eighth.

    Parameters
    ----------
    loss : Loss
        A convex loss whose slope jumps.
    width : float
        How far from the score they lie.
    """

    loss: Any
    width: float

    def value(self, y: float, z: float) -> float:
        """Return the mean loss."""
        total = 0.0
        for i in range(8):
            total += value(self.loss, y, z + self.width * (0.25 * i - 0.875))
        return 0.125 * total

    def slope(self, y: float, z: float) -> float:
        """Return the mean slope."""
        total = 0.0
        for i in range(8):
            total += slope(self.loss, y, z + self.width * (0.25 * i - 0.875))
        return 0.125 * total


def smoothed(loss: Any, width: float) -> Any:
    """Return a loss smoothed over a width; one of all scores together stays as it is."""
    if isinstance(loss, OneVsRest):
        return OneVsRest(Smoothed(loss.loss, width))
    return loss if hasattr(loss, "row_slopes") else Smoothed(loss, width)


def as_trained(loss: Any) -> tuple[Any, Any, Any]:
    """Return a loss as sums of a training take it: slopes of, compared with, and as it is.

    One whose slope jumps is smoothed, here over nothing, so that it is itself: kernels are compiled
    for these types anyway.
    """
    if is_smooth(loss) or curvature(loss) is not None:
        return loss, None, None
    near = smoothed(loss, 0.0)
    return near, near, loss
