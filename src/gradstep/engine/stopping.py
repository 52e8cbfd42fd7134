"""Whether improvement has ended: of the objective, or of a score on rows that were held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.engine.evaluation import mean_loss, scores

if TYPE_CHECKING:
    from gradstep.engine.state import Problem, TrainState, Validation

__all__ = ["score_held_out", "stalled"]


def score_held_out(
    problem: Problem, state: TrainState, validation: Validation | None
) -> float | None:
    """Score the held-out rows; keep the parameters if they are the best so far."""
    if validation is None:
        return None
    held_out, k = validation.data, problem.n_outputs
    if validation.score is None:
        score = -mean_loss(problem.loss, held_out, state.current(), k)
    else:
        score = validation.score(scores(held_out.rows, state.current(), k, held_out.index))
    if score > state.best_score:
        state.best_score = score
        state.best_params = state.current().copy()
    return score


def stalled(problem: Problem, state: TrainState, value: float) -> bool:
    """Tell whether improvement has ended; an adaptive rate may still come down instead.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    state : TrainState
        Counts the epochs without improvement.
    value : float
        What is watched; larger is better.
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
