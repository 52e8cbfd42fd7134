"""How far to go along a step: shortened until it pays, or prolonged while it does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradstep.engine.automatic.state import Snapshot

__all__ = ["backtrack", "extend"]

_HALVINGS = 40
_FEW_HALVINGS = 6  # where slopes jump, and wider smoothing is what helps
_ENOUGH = 1e-4  # share of the step's promise that a step must keep (Armijo)
_LEAST_SHARE = 0.1  # that a step is shortened to at once
_STEEP = 0.25  # share of a step's slope that is still there at its end, for a longer one to pay
_LONGEST = 8.0


def backtrack(
    evaluate: Callable[[float], Snapshot], objective: float, slope: float, noise: float, *,
    smooth: bool,
) -> tuple[Snapshot | None, float]:  # fmt: skip
    """Shorten a step until the objective decreases by enough of what its slope promises.

    To the minimum of the parabola through what is known of the objective along the step; where
    slopes jump it is halved.

    Parameters
    ----------
    evaluate : callable
        Returns the snapshot at a share t of the step.
    objective, slope : float
        Where the step begins.
    noise : float
        The decrease that rounding hides: below it, it is enough that the objective does not rise.
    smooth : bool
        Whether the loss has no kinks.

    Returns
    -------
    snapshot : Snapshot or None
        None if no share of the step leads down.
    t : float
    """
    t = 1.0
    for _ in range(_HALVINGS if smooth else _FEW_HALVINGS):
        trial = evaluate(t)
        if trial.before <= objective + _ENOUGH * t * min(slope, 0.0):
            return trial, t
        if trial.before <= objective + noise and -slope <= 1e3 * noise:
            return trial, t
        t *= _shorter(t, trial.before - objective, slope) if smooth else 0.5
    return None, t


def _shorter(t: float, rise: float, slope: float) -> float:
    """Return what a step is multiplied by after it has led up, or down too little."""
    bend = rise - slope * t
    if not 0.0 < bend < math.inf:
        return _LEAST_SHARE
    return min(max(-slope * t / (2.0 * bend), _LEAST_SHARE), 0.5)


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
        The slope along the step at a snapshot.
    slope : float
        That at its beginning.
    trial : Snapshot
        That at its end.
    """
    t = 1.0
    while t < _LONGEST and slope_at(trial) < _STEEP * slope:
        farther = evaluate(2.0 * t)
        if not farther.objective < trial.objective:
            break
        trial, t = farther, 2.0 * t
    return trial, t
