"""Passes over the rows at fixed parameters: objective, gradient, curvatures.

A pass is cut into pieces; their number and bounds depend on the data alone. Threads take pieces,
and their sums are added up in the order of the pieces: no bit depends on who computed what.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gradstep.engine.board import threads
from gradstep.engine.kernels import launch
from gradstep.engine.readonly import readonly
from gradstep.engine.sums import lengths_in, sum_curvatures, sum_gradients, sum_squares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from gradstep.data.dataset import Dataset

__all__ = ["Passes"]

_PIECE_BYTES = 1 << 19  # of rows, at least
_MOST_PIECES = 64
_MATRIX_BYTES = 1 << 27  # of the matrices of all pieces together
_NUMBERS_FOR_A_PARAMETER = 8  # that a piece must read, at least


class Passes:
    """What is summed over all rows, or some; a context, since it owns threads.

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
        self._workers = threads()
        self._pool = ThreadPoolExecutor(self._workers, "gradstep-pass")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _bounds(self, n: int, most: int) -> list[tuple[int, int]]:
        by_size = n * max(1, self.data.rows.row_bytes()) // _PIECE_BYTES
        pieces = max(1, min(by_size, most, _MOST_PIECES))
        return [(n * i // pieces, n * (i + 1) // pieces) for i in range(pieces)]

    def _map(self, work: Callable[[Any], Any], pieces: Sequence[Any]) -> Iterable[Any]:
        if len(pieces) == 1 or self._workers == 1:
            return map(work, pieces)
        return self._pool.map(work, pieces)

    @property
    def _arrays(self) -> tuple[Any, Any, Any]:
        data = self.data
        return readonly(data.rows), readonly(data.y), readonly(data.sample_weight)

    def gradient(self, loss: Any, params: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the mean loss of all rows and its gradient, at parameters in features' units."""
        data, k = self.data, self.k
        arrays, params = self._arrays, readonly(np.ascontiguousarray(params))
        tile = data.rows.tile_rows()
        numbers = data.n * max(1, data.rows.row_bytes()) // 8
        most = max(1, numbers // (_NUMBERS_FOR_A_PARAMETER * max(1, params.size)))

        def piece(bounds: tuple[int, int]) -> tuple[float, NDArray[np.float64]]:
            order = readonly(data.rows_between(*bounds))
            gradient = np.zeros(params.size)
            work = np.empty(2 * tile * k)
            total = launch(sum_gradients, (loss,), *arrays, order, k, tile, params, gradient, work)
            return total, gradient

        total, gradient = 0.0, np.zeros(params.size)
        for part, slope in self._map(piece, self._bounds(data.n, most)):
            total += part
            gradient += slope
        self.rows_read += data.n
        return total / data.weight_sum, gradient / data.weight_sum

    def curvatures(
        self,
        loss: Any,
        params: NDArray[np.float64],
        rows: NDArray[np.uint32] | None,
        *,
        pairs: int,
        widths: NDArray[np.float64],
        shift: NDArray[np.float64],
        scale: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean curvatures of all rows, or of some, of centred and scaled features.

        Parameters
        ----------
        loss, params
            The loss, and where.
        rows : ndarray of uint32, optional
            Row numbers of a sample.
        pairs : int
            How many matrices: one for each output, or for each pair of outputs.
        widths, shift, scale
            As in `gradstep.engine.sums.sum_curvatures`.

        Returns
        -------
        matrices : ndarray of shape (pairs, p + 1, p + 1)
            Symmetric.
        means : ndarray of shape (pairs,)
            Mean curvature of the loss.
        """
        data, q = self.data, shift.size + 1
        arrays, params = self._arrays, readonly(np.ascontiguousarray(params))
        n = data.n if rows is None else rows.size
        fixed = (readonly(shift), readonly(scale), params)

        def piece(bounds: tuple[int, int]) -> tuple[NDArray[np.float64], ...]:
            order = readonly(data.rows_between(*bounds) if rows is None else rows[slice(*bounds)])
            matrices, norms = np.zeros((pairs, q, q)), np.zeros(pairs)
            launch(
                sum_curvatures,
                (loss,),
                *arrays,
                order,
                self.k,
                readonly(widths),
                *fixed,
                matrices,
                norms,
            )
            return matrices, norms, order

        most = max(1, min(8, _MATRIX_BYTES // (8 * pairs * q * q)))
        matrices, norms, weight = np.zeros((pairs, q, q)), np.zeros(pairs), 0.0
        for part, norm, order in self._map(piece, self._bounds(n, most)):
            matrices += part
            norms += norm
            weight += float(order.size if arrays[2] is None else arrays[2][order].sum())
        self.rows_read += n
        if weight > 0.0:
            matrices /= weight
            norms /= weight
        lower = np.tril(matrices)
        return lower + np.transpose(np.tril(matrices, -1), (0, 2, 1)), norms

    def lengths(
        self,
        loss: Any,
        params: NDArray[np.float64],
        rows: NDArray[np.uint32],
        *,
        widths: NDArray[np.float64],
        shift: NDArray[np.float64],
        scale: NDArray[np.float64],
        inverse: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return how long some rows are in a metric, whose inverse is given: (rows,)."""
        out = np.empty(rows.size)
        params = readonly(np.ascontiguousarray(params))
        launch(
            lengths_in, (loss,), *self._arrays, readonly(rows), self.k, readonly(widths),
            readonly(shift), readonly(scale), params, readonly(inverse), out,
        )  # fmt: skip
        return out

    def squares(
        self, loss: Any, params: NDArray[np.float64], widths: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return mean curvature times square of each feature, and of the intercept: (size,)."""
        data, k = self.data, self.k
        arrays, params = self._arrays, readonly(np.ascontiguousarray(params))

        def piece(bounds: tuple[int, int]) -> NDArray[np.float64]:
            order, squares = readonly(data.rows_between(*bounds)), np.zeros(params.size)
            launch(sum_squares, (loss,), *arrays, order, k, readonly(widths), params, squares)
            return squares

        total = np.zeros(params.size)
        for part in self._map(piece, self._bounds(data.n, 8)):
            total += part
        self.rows_read += data.n
        return total / data.weight_sum
