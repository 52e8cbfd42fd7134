"""Sums of products of rows' gradients, shard by shard: tasks, and what adds them up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.executor import executor_of
from gradstep.engine.kernels.compiled_losses import compiled_loss
from gradstep.engine.kernels.score_products import sum_by_cluster, sum_score_products
from gradstep.engine.kernels.sums import dense_products
from gradstep.engine.row_tasks import RUN_ROWS, scores
from gradstep.objective.losses import inverse_link
from gradstep.rows.readonly import readonly
from gradstep.rows.shards import eights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = ["AtMeans", "PearsonSum", "Residuals", "ScoreProducts", "cluster_sums"]

_TILE = 128


@dataclass(frozen=True)
class ScoreProducts:
    """The sum of slope·slope·x·xᵀ, of standardised rows: (blocks, q, q), lower triangles."""

    loss: Any
    k: int
    params: NDArray[np.float64]
    blocks: int
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __call__(self, shard: Dataset) -> NDArray[np.float64]:
        """Sum over a shard."""
        q = self.shift.size + 1
        matrices = np.zeros((self.blocks, q, q))
        for at in range(0, shard.n, RUN_ROWS):
            order = readonly(shard.rows_between(at, min(at + RUN_ROWS, shard.n)))
            sum_score_products(
                *shard.for_kernels, compiled_loss(self.loss), dense_products(), order, self.k,
                _TILE, readonly(self.shift), readonly(self.scale), readonly(self.params), matrices,
            )  # fmt: skip
        return matrices


@dataclass(frozen=True)
class AtMeans:
    """Another task, as if each target were the mean that the model gives it.

    The second derivative of an exponential family's loss is linear in the target, so what is
    summed of it is the expected information.
    """

    task: Any
    loss: Any
    k: int
    params: NDArray[np.float64]

    def __call__(self, shard: Dataset) -> Any:
        """Run the task on a shard."""
        y = np.empty((shard.rows.n_rows, self.k))
        at = shard.rows_between(0, shard.n)
        y[at] = inverse_link(self.loss, scores(shard.rows, self.params, self.k, shard.index))
        return self.task(replace(shard, y=y))


@dataclass(frozen=True)
class PearsonSum:
    """The sum of weighted squared residuals over mean^power: Pearson's statistic."""

    loss: Any
    k: int
    params: NDArray[np.float64]
    power: float

    def __call__(self, shard: Dataset) -> NDArray[np.float64]:
        """Sum over a shard, for each output."""
        z = scores(shard.rows, self.params, self.k, shard.index)
        mean = inverse_link(self.loss, z)
        square = (shard.targets() - mean) ** 2 / np.abs(mean) ** self.power
        weight = shard.weights()
        total: NDArray[np.float64] = (square if weight is None else square * weight[:, None]).sum(
            axis=0
        )
        return total


@dataclass(frozen=True)
class Residuals:
    """Targets less scores, of each row: (n, k)."""

    k: int
    params: NDArray[np.float64]

    def __call__(self, shard: Dataset) -> NDArray[np.float64]:
        """Return those of a shard."""
        z = scores(shard.rows, self.params, self.k, shard.index)
        found: NDArray[np.float64] = shard.targets() - z
        return found


@dataclass(frozen=True)
class _ByCluster:
    """The sums of the gradients of a shard's rows by cluster: (which, (clusters, size))."""

    loss: Any
    k: int
    params: NDArray[np.float64]

    def __call__(
        self, shard: Dataset, codes: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Sum over a shard, whose rows are in these clusters."""
        which, own = np.unique(codes, return_inverse=True)
        sums = np.zeros((which.size, self.params.size))
        order = readonly(shard.rows_between(0, shard.n))
        sum_by_cluster(
            *shard.for_kernels, compiled_loss(self.loss), order,
            readonly(own.astype(np.int64)), self.k, readonly(self.params), sums,
        )  # fmt: skip
        return which, sums


def cluster_sums(
    data: Dataset, loss: Any, k: int, params: NDArray[np.float64], codes: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the sum of the gradients of each cluster's rows: (clusters, size).

    Parameters
    ----------
    codes : ndarray of shape (n,)
        The cluster of each row that counts, from 0.
    """
    bounds, total = data.shards(), np.zeros((int(codes.max()) + 1, params.size))
    executor, task = executor_of(data), _ByCluster(loss, k, np.ascontiguousarray(params))
    try:
        for group in eights(bounds):
            own = [codes[lo:hi] for lo, hi in group]
            for which, sums in executor.run(task, [[shard] for shard in group], own):
                total[which] += sums
    finally:
        if data.executor is None:
            executor.close()
    return total
