"""Classes that a line can separate, for which logistic regression has no optimum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.objective.classification import OneVsRest
from gradstep.objective.losses import is_quadratic, is_smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset

__all__ = ["is_unbounded"]

_LOW = 0.05  # of the loss with all scores zero: above it, some rows are on the wrong side


def is_unbounded(problem: Problem, data: Dataset, params: NDArray[np.float64]) -> bool:
    """Tell whether the weights could grow for ever: no penalty, and every row on its side.

    Parameters
    ----------
    problem : Problem
        One of classification; only a logistic loss has no least value then.
    data : Dataset
        The training rows.
    params : ndarray of shape (size,)
        Where the run ended.
    """
    loss, k = problem.loss, problem.n_outputs
    coef = problem.split(params)[0]
    if not is_smooth(loss) or is_quadratic(loss) or not coef.any():
        return False
    if problem.penalty_of(np.ones(problem.size)) > 0.0:
        return False
    from gradstep.engine.evaluation import mean_loss, scores  # imports Numba

    if mean_loss(loss, data, params, k) > _LOW * mean_loss(loss, data, 0.0 * params, k):
        return False
    index = np.arange(data.rows.n_rows, dtype=np.uint32) if data.index is None else data.index
    weight = data.weights()
    if weight is not None:
        index = index[weight > 0.0]
    z = scores(data.rows, params, k, index)
    y = data.y[index, 0]
    if k == 1:
        return bool((y * z[:, 0] > 0.0).all())
    own = z[np.arange(z.shape[0]), y.astype(np.intp)]
    if isinstance(loss, OneVsRest):
        sign = np.where(np.arange(k) == y[:, None], 1.0, -1.0)
        return bool((sign * z > 0.0).all())
    z[np.arange(z.shape[0]), y.astype(np.intp)] = -np.inf
    return bool((own > z.max(axis=1)).all())
