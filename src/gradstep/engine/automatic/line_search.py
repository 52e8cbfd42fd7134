"""The line search: how far to go along a step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradstep.engine.automatic.state import Snapshot

__all__ = ["backtrack", "extend"]

# Times that a step is shortened at most.
_HALVINGS = 40
# The same if the loss has kinks: then it is a wider smoothing that helps.
_FEW_HALVINGS = 6
# Share of t·slope by which the objective must fall (the constant of the Armijo condition).
_ENOUGH = 1e-4
# Smallest factor that a step is shortened by at once.
_LEAST_SHARE = 0.1
# A step is doubled if more than this share of its slope is left at its end.
_STEEP = 0.25
# Longest step, in whole ones.
_LONGEST = 8.0


class Trial(Protocol):
    """What a step leads to.

    Attributes
    ----------
    before : float
        The objective there, as it was where the step begins.
    """

    @property
    def before(self) -> float: ...


T = TypeVar("T", bound=Trial)


def backtrack(
    evaluate: Callable[[float], T], objective: float, slope: float, noise: float, *, smooth: bool,
    first: float = 1.0, whole: bool = False,
) -> tuple[T | None, float]:  # fmt: skip
    """Shorten a step until it meets the Armijo condition.

    That is, until the objective falls by a share of t·slope. Each trial is at the minimum of the
    parabola through the objective at both ends and the slope at the first; if the loss has kinks,
    the step is halved instead.

    Parameters
    ----------
    evaluate : callable
        Returns the snapshot, or another trial, at a share t of the step.
    objective, slope : float
        The objective, and its slope along the step, where the step begins.
    noise : float
        Rounding error of the objective. A step that promises less need only not lead up by more.
    smooth : bool
        Whether the loss has no kinks.
    first : float
        The share that is tried first.
    whole : bool
        Whether nothing shorter than that is tried.

    Returns
    -------
    snapshot : Snapshot or None
        None if no share of the step meets the condition.
    t : float
        The share that was taken.
    """
    t = first
    for _ in range(1 if whole else _HALVINGS if smooth else _FEW_HALVINGS):
        trial = evaluate(t)
        if trial.before <= objective + _ENOUGH * t * min(slope, 0.0):
            return trial, t
        if trial.before <= objective + noise and -slope <= 1e3 * noise:
            return trial, t
        t *= _shorter(t, trial.before - objective, slope) if smooth else 0.5
    return None, t


def _shorter(t: float, rise: float, slope: float) -> float:
    """Return the factor that a step is shortened by after it missed the Armijo condition."""
    curvature = rise - slope * t
    if not 0.0 < curvature < math.inf:
        return _LEAST_SHARE
    return min(max(-slope * t / (2.0 * curvature), _LEAST_SHARE), 0.5)


def extend(
    evaluate: Callable[[float], Snapshot], slope_at: Callable[[Snapshot], float], slope: float,
    trial: Snapshot,
) -> tuple[Snapshot, float]:  # fmt: skip
    """Double a whole step while it leads down nearly as steeply as it began.

    Parameters
    ----------
    evaluate : callable
        As in `backtrack`.
    slope_at : callable
        Returns the slope along the step at a snapshot.
    slope : float
        The slope where the step begins.
    trial : Snapshot
        The snapshot where the step ends.
    """
    t = 1.0
    while t < _LONGEST and slope_at(trial) < _STEEP * slope:
        farther = evaluate(2.0 * t)
        if not farther.objective < trial.objective:
            break
        trial, t = farther, 2.0 * t
    return trial, t
