"""Classes that a line can separate, for which logistic regression has no optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradstep.objective.classification import OneVsRest
from gradstep.objective.losses import is_quadratic, is_smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset

__all__ = ["is_unbounded"]

# Share of the loss at scores of zero; above it, rows are probably on the wrong side.
_LOW = 0.05


def is_unbounded(problem: Problem, data: Dataset, params: NDArray[np.float64]) -> bool:
    """Tell whether the weights could grow without bound: no penalty, and every row on its side.

    Parameters
    ----------
    problem : Problem
        One of classification; only a logistic loss has no minimum then.
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
    from gradstep.engine.row_sums import RowSums  # imports Numba

    task = _OnTheirSide(k, params, one_vs_rest=isinstance(loss, OneVsRest))
    with RowSums(data, k) as row_sums:
        if not row_sums.of_first(task):  # as nearly always: it tells without a pass
            return False
        if row_sums.mean_loss(loss, params) > _LOW * row_sums.mean_loss(loss, 0.0 * params):
            return False
        return all(row_sums.each(task))


@dataclass(frozen=True)
class _OnTheirSide:
    """Whether every row of a shard is on its side of the line: a task."""

    k: int
    params: NDArray[np.float64]
    one_vs_rest: bool

    def __call__(self, shard: Dataset) -> bool:
        """Tell whether every row of a shard is."""
        from gradstep.engine.row_tasks import scores  # imports Numba

        y, z = shard.targets()[:, 0], scores(shard.rows, self.params, self.k, shard.index)
        if self.k == 1:
            return bool((y * z[:, 0] > 0.0).all())
        if self.one_vs_rest:
            sign = np.where(np.arange(self.k) == y[:, None], 1.0, -1.0)
            return bool((sign * z > 0.0).all())
        rows, classes = np.arange(z.shape[0]), y.astype(np.intp)
        own = z[rows, classes]
        z[rows, classes] = -np.inf
        return bool((own > z.max(axis=1)).all())
