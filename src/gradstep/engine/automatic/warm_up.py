"""Everything that the automatic method compiles, called on a few rows, so that it is there.

What a run calls depends on its problem; here is what it calls with most (`choice.RULES`), in the
order in which it is first needed. Calls go through the same tasks, so types are the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.kernels.linalg import factor, minimise_quadratic, solve
from gradstep.engine.row_tasks import (
    Evaluate,
    HessianOptions,
    MeanLoss,
    RowSquares,
    Scores,
    Squares,
)
from gradstep.objective.losses import curvature, is_quadratic, is_smooth
from gradstep.objective.smoothed import as_trained

if TYPE_CHECKING:
    from gradstep.rows.dataset import Dataset

__all__ = ["compile_evaluations", "compile_others"]


def compile_evaluations(loss: Any, data: Dataset, k: int, *, sampled: bool) -> None:
    """Compile the sums of losses, gradient and Hessian: the largest kernel.

    Parameters
    ----------
    loss : Loss
        What is minimised.
    data : Dataset
        A few rows, of the layout and types that are to come.
    k : int
        Number of outputs.
    sampled : bool
        Whether there are so many rows that Hessians are those of samples, which have weights.
    """
    for rows in (data, *_samples(loss, data, sampled=sampled)):
        Evaluate(as_trained(loss), k, _params(data, k), _options(data, k))(rows)


def compile_others(loss: Any, data: Dataset, k: int, *, l1: bool, sampled: bool) -> None:
    """Compile the others: how samples are drawn, steps, losses and scores of rows held out.

    Parameters
    ----------
    loss, data, k, sampled
        As of `compile_evaluations`.
    l1 : bool
        Whether the penalty has an l1 part.
    """
    params, options = _params(data, k), _options(data, k)
    for sample in _samples(loss, data, sampled=sampled):
        Squares(loss, k, params, options.widths)(data)
        if k > 1:  # whose samples are solved by steps in the Hessian of samples of their own
            Squares(loss, k, params, options.widths)(sample)
        at = np.arange(data.n, dtype=np.uint32)
        RowSquares(options.shift, options.scale)(data, at)
        if curvature(loss) is None and is_smooth(loss):
            bent = loss, k, options.widths, params
            RowSquares(options.shift, options.scale, bent)(data, at)
    q = data.rows.n_features + 1
    matrix, x = np.eye(q)[None][0], np.zeros(q)
    if l1:
        minimise_quadratic(matrix, x, x.copy(), np.ones(q), np.ones(q), 1)
    else:
        factor(matrix)
        solve(matrix, x)
    MeanLoss(loss, k, params)(data)
    Scores(k, params)(data)


def _params(data: Dataset, k: int) -> Any:
    return np.zeros(k * (data.rows.n_features + 1))


def _options(data: Dataset, k: int) -> HessianOptions:
    p = data.rows.n_features
    return HessianOptions(k, np.array([[1.0], [1.0]]), np.zeros(p), np.ones(p))


def _samples(loss: Any, data: Dataset, *, sampled: bool) -> list[Dataset]:
    """Return rows as samples of them are, if any are drawn."""
    if not sampled or is_quadratic(loss):
        return []
    return [replace(data, sample_weight=np.ones(data.n))]
