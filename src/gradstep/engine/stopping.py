"""Tells whether the objective, or the score of held-out rows, has stopped improving."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradstep.engine.state import Problem, TrainState

__all__ = ["stalled"]


def stalled(problem: Problem, state: TrainState, value: float) -> bool:
    """Tell whether improvement has ended; if so, an adaptive rate may be lowered first.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    state : TrainState
        The state, in which epochs without improvement are counted.
    value : float
        The number that is watched; larger is better.
    """
    if problem.tol is not None:
        state.stalled = 0 if value >= state.best + problem.tol else state.stalled + 1
    state.best = max(state.best, value)
    if state.stalled < problem.patience or problem.tol is None:
        return False
    after_stall = getattr(problem.schedule, "after_stall", None)
    factor = None if after_stall is None else after_stall(getattr(state, "rate_factor", 1.0))
    if factor is None:
        return True
    state.rate_factor, state.stalled = factor, 0  # type: ignore[attr-defined]
    return False
