"""Objective and scores at fixed parameters, over a whole dataset or the rows held out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.kernels.launch import launch
from gradstep.engine.kernels.tiles import score_rows, sum_of_losses
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TrainState, Validation
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.layouts import Rows

__all__ = ["mean_loss", "score_held_out", "scores"]

_CHUNK_ROWS = 1 << 20  # fixed: the last bits of a sum depend on where it is cut


def mean_loss(loss: Any, data: Dataset, params: NDArray[np.float64], k: int) -> float:
    """Return the weighted mean loss over the rows, without penalty."""
    rows, y, weight = readonly(data.rows), readonly(data.y), readonly(data.sample_weight)
    tile = data.rows.tile_rows()
    work = np.empty(2 * tile * k)
    params = readonly(params)
    total = 0.0
    for lo in range(0, data.n, _CHUNK_ROWS):
        order = readonly(data.rows_between(lo, min(lo + _CHUNK_ROWS, data.n)))
        total += launch(
            sum_of_losses, (loss,), rows, y, weight, order, 0, order.size, k, tile, params, work
        )
    return total / data.weight_sum


def scores(
    rows: Rows,
    params: NDArray[np.float64],
    k: int,
    index: NDArray[np.uint32] | None = None,
) -> NDArray[np.float64]:
    """Return the scores of the rows, or of those at `index`, shape (n, k).

    A row's score has the same bits whatever rows come with it.
    """
    order = np.arange(rows.n_rows, dtype=np.uint32) if index is None else index
    z = np.empty((order.size, k))
    score_rows(readonly(rows), readonly(order), k, readonly(params), z.reshape(-1))
    return z


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
