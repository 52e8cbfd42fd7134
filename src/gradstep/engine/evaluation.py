"""Objective and scores at fixed parameters, over a whole dataset or the rows held out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.engine.row_sums import RowSums
from gradstep.engine.row_tasks import scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TrainState, Validation
    from gradstep.rows.dataset import Dataset

__all__ = ["mean_loss", "score_held_out", "scores"]


def mean_loss(loss: Any, data: Dataset, params: NDArray[np.float64], k: int) -> float:
    """Return the weighted mean loss over the rows, without penalty."""
    with RowSums(data, k) as row_sums:
        return row_sums.mean_loss(loss, params)


def score_held_out(
    problem: Problem, state: TrainState, validation: Validation | None
) -> float | None:
    """Score the held-out rows; keep the parameters if the score is the best so far."""
    if validation is None:
        return None
    held_out, k = validation.data, problem.n_outputs
    if validation.score is None:
        score = -mean_loss(problem.loss, held_out, state.current(), k)
    else:
        with RowSums(held_out, k) as row_sums:
            score = validation.score(row_sums.scores(state.current()))
    if validation.keeps and score > state.best_score:
        state.best_score = score
        state.best_params = state.current().copy()
    return score
