"""Calls every kernel of the automatic method on a few rows, so that it is compiled before a run.

`gradstep.fit.compile_ahead` calls this, in processes of their own. Which kernels a run needs
depends on its problem; here are those that most problems need (`choice.RULES`), in the order in
which a run needs them. Calls go through the same tasks as in a run, so that types are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.kernels.linalg import factor, minimise_quadratic, solve
from gradstep.engine.kernels.pairs import add_and_multiply
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
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from gradstep.rows.dataset import Dataset

__all__ = ["compile_evaluations", "compile_others"]


def compile_evaluations(loss: Any, data: Dataset, k: int) -> None:
    """Compile the kernel that sums losses, gradient and Hessian; the largest.

    Parameters
    ----------
    loss : Loss
        What is minimised.
    data : Dataset
        A few rows, of the layout and types that the run will have.
    k : int
        Number of outputs.
    """
    params, options = _params(data, k), _options(data, k)
    for point in (params, params + 1.0):  # at 0, least squares may have a kernel of its own
        Evaluate(as_trained(loss), k, point, options)(data)


def compile_others(loss: Any, data: Dataset, k: int, *, l1: bool, sampled: bool) -> None:
    """Compile the other kernels: for samples, steps, and the loss and scores of held-out rows.

    Parameters
    ----------
    loss, data, k
        As of `compile_evaluations`.
    l1 : bool
        Whether the penalty has an l1 part.
    sampled : bool
        Whether there are so many rows that Hessians are taken from samples.
    """
    params, options = _params(data, k), _options(data, k)
    if sampled and not is_quadratic(loss):
        Squares(loss, k, params, options.widths)(data)
        at = np.arange(data.n, dtype=np.uint32)
        RowSquares(options.shift, options.scale)(data, at)
        if curvature(loss) is None and is_smooth(loss):
            hessian_at = loss, k, options.widths, params
            RowSquares(options.shift, options.scale, hessian_at)(data, at)
        pair = readonly(np.zeros(1, np.float32))
        add_and_multiply(0.0, pair, np.zeros(1), pair)
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
