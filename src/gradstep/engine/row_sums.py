"""Sums over the rows at fixed parameters: objective, gradient, Hessian, scores.

The rows are cut into shards (`gradstep.rows.shards`). An executor runs a task (`row_tasks`) on
each. The results are added in a fixed order, so no bit depends on who computed what. This is the
one place where rows are read at fixed parameters.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from gradstep.engine.executor import added, cut_positions, executor_of
from gradstep.engine.row_tasks import (
    RUN_ROWS,
    Evaluate,
    HessianOptions,
    MeanLoss,
    RowSquares,
    Scores,
    Squares,
)
from gradstep.engine.symmetric import symmetric
from gradstep.engine.wide_hessian import WideHessian, is_wide
from gradstep.objective.regression import SquaredError
from gradstep.objective.smoothed import as_trained
from gradstep.rows.shards import by_eights, eights

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = ["RUN_ROWS", "Evaluation", "HessianOptions", "RowSums"]

# Of so many shards one is read where a rough sum is enough.
_SHARDS_APART = 4


class Evaluation(NamedTuple):
    """Losses, gradient and Hessian of all rows at a point.

    Attributes
    ----------
    loss, before, plain : float
        Mean of the loss, and of two others that were asked for.
    gradient : ndarray of shape (size,)
        Gradient of `loss`.
    hessian : ndarray of shape (blocks, p + 1, p + 1) or None
        Hessian of `loss` for standardised features, if it was asked for.
    """

    loss: float
    before: float
    plain: float
    gradient: NDArray[np.float64]
    hessian: NDArray[np.float64] | None


class RowSums:
    """Sums over all rows; a context, since an executor may own threads.

    Parameters
    ----------
    data : Dataset
        The rows.
    k : int
        Number of outputs.

    Attributes
    ----------
    rows_read : int
        Rows read so far; a row that is read twice counts twice.
    """

    def __init__(self, data: Dataset, k: int) -> None:
        self.data, self.k = data, k
        self.rows_read = 0
        self._executor = executor_of(data)
        self._shards = data.shards()
        self._latest: Evaluate | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads."""
        if self.data.executor is None:
            self._executor.close()

    # ------------------------------------------------------------------ shard by shard

    def each(self, task: Callable[..., Any], apart: int = 1) -> list[Any]:
        """Return the result of a task on each shard, or on one of so many, in order."""
        return self._executor.run(task, [[shard] for shard in self._shards[::apart]])

    def of_first(self, task: Callable[..., Any]) -> Any:
        """Return the result of a task on the first shard."""
        return self._executor.run(task, [self._shards[:1]])[0]

    def total(self, task: Callable[..., Any], result_bytes: int = 0, apart: int = 1) -> Any:
        """Return the sum of a task's results on all shards, or on one of so many.

        Parameters
        ----------
        task : callable
            From a shard to arrays and numbers.
        result_bytes : int
            Memory of the result.
        """
        if len(self._shards) == 1:
            return self.of_first(task)
        in_place = getattr(task, "summed_in_place", False)
        if not in_place and result_bytes * len(self._shards) <= self._executor.most_bytes:
            return by_eights(self.each(task, apart), added)
        return reduce(added, self._executor.run(task, eights(self._shards[::apart])))

    def take(self, at: NDArray[np.uint32]) -> Dataset:
        """Return a copy of the rows at ascending positions."""
        return self._executor.take(at)

    # ------------------------------------------------------------------ what is summed

    def gradient(self, loss: Any, params: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the mean loss of all rows and its gradient; `params` in the features' units."""
        own, before, plain = as_trained(loss)
        found = self.evaluate(own, params, before=before, plain=plain)
        return found.loss, found.gradient

    def evaluate(
        self,
        loss: Any,
        params: NDArray[np.float64],
        hessian: HessianOptions | None = None,
        *,
        before: Any = None,
        plain: Any = None,
        constant: bool = False,
    ) -> Evaluation:
        """Read all rows once.

        Parameters
        ----------
        loss, params
            The loss, and the point, in the features' own units.
        hessian : HessianOptions, optional
            How the Hessian is summed, if it is wanted.
        before, plain : Loss, optional
            More losses, of which only the mean is wanted.
        constant : bool
            Whether the rows are taken without features, so that only targets are read; then
            `params` are the intercepts.
        """
        if self._follows_at(params, loss, before, plain, constant=constant):
            if not constant:
                return self._of_moments(params, hessian)
            flat = self._of_moments(np.append(np.zeros(self.data.rows.n_features), params))
            return flat._replace(gradient=flat.gradient[-1:])
        if hessian is not None and self.follows_from_moments(loss, before, plain):
            here = self.evaluate(loss, params, before=before, plain=plain)
            return here._replace(hessian=self.hessian(loss, params, hessian))
        if plain is not None and before is None:
            before = loss  # always of this type, so that a kernel is compiled only once
        wide = hessian is not None and self._is_wide(hessian)
        task = Evaluate(
            (loss, before, plain), self.k, _contiguous(params), None if wide else hessian,
            constant=constant,
        )  # fmt: skip
        if self._latest is not None:
            task.share(self._latest)
        self._latest = task
        losses, gradient, matrices = self._evaluated(task)
        self.rows_read += 0 if constant else self.data.n
        weight = self.data.weight_sum
        first, second, third = (losses / weight).tolist()
        if hessian is None:
            found = None
        elif wide:
            found = self._wide(loss if plain is None else plain, params, hessian)
        else:
            found = self._whole(matrices, hessian)
        return Evaluation(first, second, third, gradient / weight, found)

    def hessian(
        self,
        loss: Any,
        params: NDArray[np.float64],
        options: HessianOptions,
        *,
        plain: Any = None,
    ) -> NDArray[np.float64]:
        """Return the mean Hessian of all rows: (blocks, p + 1, p + 1).

        Parameters are those of `evaluate`; the Hessian is that of `plain`, if it is given.
        """
        if self.follows_from_moments(loss, plain):
            matrix = self._of_moments(params, options).hessian
            assert matrix is not None  # noqa: S101
            return matrix
        if self._is_wide(options):
            self.rows_read += self.data.n
            return self._wide(loss if plain is None else plain, params, options)
        components = loss, loss if plain is not None else None, plain
        matrices = self._evaluated(
            Evaluate(
                components, self.k, _contiguous(params), options, with_losses=False,
                with_gradient=False,
            )
        )[2]  # fmt: skip
        self.rows_read += self.data.n
        return self._whole(matrices, options)

    def _whole(
        self, matrices: NDArray[np.float64], options: HessianOptions
    ) -> NDArray[np.float64]:  # fmt: skip
        """Return mean matrices from the lower triangles of sums, of features as they are scaled.

        Of rows of few features they were summed as they are, whose scales mostly are 1.
        """
        whole = symmetric(matrices)
        whole /= self.data.weight_sum
        if hasattr(self.data.rows, "add_products") and (options.scale != 1.0).any():
            scale = np.append(options.scale, 1.0)
            whole *= scale[:, None] * scale
        return whole

    def _evaluated(self, task: Evaluate) -> tuple[NDArray[np.float64], ...]:
        found: tuple[NDArray[np.float64], ...] = self.total(task, task.result_bytes)
        return found

    # ------------------------------------------------------------------ without a pass

    def follows_from_moments(self, *losses: Any) -> bool:
        """Tell whether sums of these losses follow from what came with the rows."""
        if self.data.moments is None or self.k != 1:
            return False
        return all(loss is None or type(loss) is SquaredError for loss in losses)

    def _follows_at(
        self, params: NDArray[np.float64], *losses: Any, constant: bool = False
    ) -> bool:
        """Tell whether they do so at a point: anywhere, or where all weights are 0."""
        if not self.follows_from_moments(*losses):
            return False
        everywhere = constant or not self.data.moments_at_constants
        return everywhere or not params[:-1].any()

    def _of_moments(
        self, params: NDArray[np.float64], options: HessianOptions | None = None
    ) -> Evaluation:
        moments = self.data.moments
        assert moments is not None  # noqa: S101
        loss, gradient = moments.squared_error(params)
        hessian = None
        if options is not None:
            hessian = moments.hessian(options.shift, options.scale)[None]
        return Evaluation(loss, loss, loss, gradient, hessian)

    # ------------------------------------------------------------------

    def _is_wide(self, options: HessianOptions) -> bool:
        return is_wide(self.data.rows, pairs=options.blocks > self.k)

    def _wide(
        self, loss: Any, params: NDArray[np.float64], options: HessianOptions
    ) -> NDArray[np.float64]:
        task = WideHessian(loss, self.k, _contiguous(params), options)
        found: NDArray[np.float64] = task.mean(self._executor, self._shards, self.data.weight_sum)
        return found

    def mean_loss(self, loss: Any, params: NDArray[np.float64]) -> float:
        """Return the weighted mean loss, without penalty."""
        if self._follows_at(params, loss):
            return self._of_moments(params).loss
        total: float = self.total(MeanLoss(loss, self.k, _contiguous(params)))
        return total / self.data.weight_sum

    def scores(self, params: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of all rows: (n, k)."""
        return np.concatenate(self.each(Scores(self.k, _contiguous(params))))

    def row_squares(
        self, at: NDArray[np.uint32], shift: NDArray[np.float64], scale: NDArray[np.float64],
        hessian_at: tuple[Any, NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> NDArray[np.float64]:  # fmt: skip
        """Return the sum of squares of each row at ascending positions, centred and scaled.

        And times its second derivative, its part in the Hessian, if `hessian_at` is a loss, its
        widths and a point: (n, 1 or 2).
        """
        task = RowSquares(shift, scale)
        if hessian_at is not None:
            loss, widths, params = hessian_at
            task = RowSquares(shift, scale, (loss, self.k, widths, _contiguous(params)))
        groups, own = [[shard] for shard in self._shards], cut_positions(at, self._shards)
        found = self._executor.run(task, groups, own)
        self.rows_read += at.size
        return np.concatenate(found)

    def hessian_diagonal(
        self, loss: Any, params: NDArray[np.float64], widths: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the mean of h·x² for each parameter: (size,).

        h is the second derivative of the loss, x the parameter's feature.
        """
        task = Squares(loss, self.k, _contiguous(params), widths)
        total: NDArray[np.float64] = self.total(task, 8 * params.size)
        self.rows_read += self.data.n
        return total / self.data.weight_sum

    def rough_hessian_diagonal(
        self, loss: Any, params: NDArray[np.float64], widths: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return about the same, from a few of the shards if rows lie in random order there.

        From all, if none of their rows has some feature.
        """
        some = self._shards[::_SHARDS_APART]
        if self.data.shuffled and len(some) < len(self._shards):
            task = Squares(loss, self.k, _contiguous(params), widths)
            found: NDArray[np.float64] = self.total(task, 8 * params.size, _SHARDS_APART)
            rows = sum(hi - lo for lo, hi in some)
            self.rows_read += rows
            if found.all():
                return found / (self.data.mean_weight * rows)
        return self.hessian_diagonal(loss, params, widths)


def _contiguous(params: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.ascontiguousarray(params)
