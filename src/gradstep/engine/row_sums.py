"""Sums over the rows at fixed parameters: objective, gradient, Hessian.

A sum is cut into pieces; their number and bounds depend on the data alone. Threads take pieces,
and their sums are added up in the order of the pieces: no bit depends on who computed what.
This is the one place where the automatic method touches rows at fixed parameters.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from gradstep.engine.kernels.launch import is_same, launch
from gradstep.engine.kernels.pieces import threads
from gradstep.engine.kernels.sums import squares_of_rows, sum_evaluations, sum_squares
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = ["RUN_ROWS", "Evaluation", "HessianOptions", "RowSums"]

_PIECE_BYTES = 1 << 20  # of rows, at least: a tenth of a millisecond or so, as is all of below
_ROW_WORK = 64  # bytes that are read in the time that a row takes, however short,
_PRODUCTS_WORK = 2  # or how many products of its features
_SLOPES_WORK = 4  # or that the slopes of a width take
_MOST_PIECES = 64
_LEAST_PIECES = 6  # waking other threads costs as much as a few
RUN_ROWS = 1 << 20  # whose numbers are held at once
_MATRIX_BYTES = 1 << 27  # of the matrices of all pieces together
_NUMBERS_FOR_A_PARAMETER = 8  # that a piece must read, at least
_HESSIAN_TILE = 128  # rows of a tile that a Hessian is summed of


class HessianOptions(NamedTuple):
    """How a Hessian is summed.

    Attributes
    ----------
    pairs : int
        How many blocks: one for each output, or for each pair of outputs.
    widths, shift, scale
        As in `gradstep.engine.kernels.sums.sum_evaluations`.
    """

    pairs: int
    widths: NDArray[np.float64]
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]


class Evaluation(NamedTuple):
    """What an evaluation of all rows tells of a point.

    Attributes
    ----------
    loss, before, plain : float
        Mean losses.
    gradient : ndarray of shape (size,)
        Of the first of them.
    hessian : ndarray of shape (pairs, p + 1, p + 1) or None
        Of the first of them, if it was asked for, for standardised features.
    """

    loss: float
    before: float
    plain: float
    gradient: NDArray[np.float64]
    hessian: NDArray[np.float64] | None


class RowSums:
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
        self._pool = ThreadPoolExecutor(self._workers, "gradstep-sums")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _bounds(self, n: int, most: int, work: int = 0) -> list[tuple[int, int]]:
        """Return where pieces begin and end; `work` counts like bytes of a row."""
        by_size = n * (self.data.rows.row_bytes() + _ROW_WORK + work) // _PIECE_BYTES
        pieces = min(by_size, most, _MOST_PIECES) if by_size >= _LEAST_PIECES else 1
        if 1 < pieces < most:
            pieces += pieces % 2  # where there is room, none is left over for one of two threads
        return [(n * i // pieces, n * (i + 1) // pieces) for i in range(pieces)]

    def _map(self, work: Callable[[Any], Any], pieces: Sequence[Any]) -> list[Any]:
        """Return what comes of each piece; this thread takes its share of them."""
        todo, done = deque(enumerate(pieces)), [None] * len(pieces)

        def take() -> None:
            try:
                while todo:
                    try:
                        at, piece = todo.popleft()
                    except IndexError:  # another thread was faster
                        return
                    done[at] = work(piece)
            finally:
                todo.clear()  # after an error, nobody goes on

        others: list[Future[None]] = []
        try:
            more = min(self._workers, len(pieces)) - 1
            others.extend(self._pool.submit(take) for _ in range(more))
            take()
        finally:
            begun = [other for other in others if not other.cancel()]
            wait_for(begun)
        for other in begun:
            other.result()  # or its error
        return done

    def gradient(self, loss: Any, params: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the mean loss of all rows and its gradient, at parameters in features' units."""
        found = self.evaluate(loss, params)
        return found.loss, found.gradient

    def evaluate(
        self,
        loss: Any,
        params: NDArray[np.float64],
        hessian: HessianOptions | None = None,
        *,
        before: Any = None,
        plain: Any = None,
    ) -> Evaluation:
        """Read all rows once.

        Parameters
        ----------
        loss, params
            The loss, and where, in the features' own units.
        hessian : HessianOptions, optional
            How the Hessian is summed, if it is wanted.
        before, plain : Loss, optional
            More losses, of which only the mean is wanted.
        """
        data = self.data
        weight = data.weight_sum
        numbers = data.n * max(1, data.rows.row_bytes()) // 8
        most = max(1, numbers // (_NUMBERS_FOR_A_PARAMETER * max(1, params.size)))
        losses, gradient, matrices = self._sums(
            data, (loss, before, plain), params, hessian, most, losses=3, size=params.size
        )
        first, second, third = (losses / weight).tolist()
        found = None if hessian is None else _mirrored(matrices / weight)
        return Evaluation(first, second, third, gradient / weight, found)

    def mean_loss(self, near: Any, params: NDArray[np.float64], plain: Any) -> float:
        """Return the mean of a loss alone, by the kernel that evaluates `near` besides.

        Its pieces are not bounded by the parameters, as those of an evaluation are: the last bits
        may differ.
        """
        data, components = self.data, (near, near, plain)
        losses = self._sums(data, components, params, None, _MOST_PIECES, losses=3, size=0)[0]
        return float(losses[2]) / data.weight_sum

    def hessian(
        self,
        loss: Any,
        params: NDArray[np.float64],
        options: HessianOptions,
        sample: Dataset | None = None,
        *,
        plain: Any = None,
    ) -> NDArray[np.float64]:
        """Return the mean Hessian of all rows, or of a sample of them: (pairs, p + 1, p + 1).

        Parameters are those of `evaluate`; the Hessian is that of `plain`, if it is given.
        """
        data = self.data if sample is None else sample
        losses = loss, loss if plain is not None else None, plain
        matrices = self._sums(data, losses, params, options, _MOST_PIECES, losses=0, size=0)[2]
        weight = data.weight_sum
        return _mirrored(matrices / weight if weight > 0.0 else matrices)

    def _sums(
        self,
        data: Dataset,
        components: tuple[Any, Any, Any],
        params: NDArray[np.float64],
        options: HessianOptions | None,
        most: int,
        *,
        losses: int,
        size: int,
    ) -> tuple[NDArray[np.float64], ...]:
        """Sum over rows, in pieces; losses and a gradient if there are any, a Hessian if asked."""
        p = data.rows.n_features
        room = data.rows.tile_rows()
        work = 0
        if options is None:
            options = HessianOptions(0, np.ones((2, 1)), np.zeros(p), np.ones(p))
        else:
            room = _HESSIAN_TILE
            products = (p + 1) ** 2 // _PRODUCTS_WORK
            work = options.pairs * (products + _SLOPES_WORK * options.widths.shape[1])
            most = min(most, 8, max(1, _MATRIX_BYTES // (8 * options.pairs * (p + 1) ** 2)))
        pairs = options.pairs
        same = is_same(*components[:2])
        fixed = (same, *map(readonly, options[1:]), readonly(np.ascontiguousarray(params)))

        def piece(bounds: tuple[int, int]) -> tuple[NDArray[np.float64], ...]:
            sums = np.zeros(losses), np.zeros(size), np.zeros((pairs, p + 1, p + 1))
            for order in _runs(data, *bounds):
                launch(
                    sum_evaluations, components, *_arrays(data), order, self.k, room, *fixed, *sums
                )
            return sums

        (totals, gradient, matrices), *others = self._map(piece, self._bounds(data.n, most, work))
        for part in others:
            totals += part[0]
            gradient += part[1]
            matrices += part[2]
        self.rows_read += data.n
        return totals, gradient, matrices

    def row_squares(
        self, rows: NDArray[np.uint32], shift: NDArray[np.float64], scale: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the sum of squares of each of some rows, centred and scaled: (rows,)."""
        data, out = readonly(self.data.rows), np.empty(rows.size)
        fixed = (readonly(shift), readonly(scale))

        def piece(bounds: tuple[int, int]) -> None:
            at = slice(*bounds)
            launch(squares_of_rows, (), data, readonly(rows[at]), *fixed, out[at])

        self._map(piece, self._bounds(rows.size, _MOST_PIECES))
        self.rows_read += rows.size
        return out

    def hessian_diagonal(
        self, loss: Any, params: NDArray[np.float64], widths: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the mean of second derivative times square, for each parameter: (size,)."""
        data, k = self.data, self.k
        arrays, params = _arrays(data), readonly(np.ascontiguousarray(params))

        def piece(bounds: tuple[int, int]) -> NDArray[np.float64]:
            squares = np.zeros(params.size)
            for order in _runs(data, *bounds):
                launch(sum_squares, (loss,), *arrays, order, k, readonly(widths), params, squares)
            return squares

        total = np.zeros(params.size)
        for part in self._map(piece, self._bounds(data.n, 8)):
            total += part
        self.rows_read += data.n
        return total / data.weight_sum


def _runs(data: Dataset, lo: int, hi: int) -> Iterable[NDArray[np.uint32]]:
    """Yield the row numbers at positions lo to hi, so many at a time that they take no room."""
    for at in range(lo, hi, RUN_ROWS):
        yield readonly(data.rows_between(at, min(at + RUN_ROWS, hi)))


def _arrays(data: Dataset) -> tuple[Any, Any, Any]:
    return readonly(data.rows), readonly(data.y), readonly(data.sample_weight)


def _mirrored(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return symmetric matrices, of which the lower triangles are given."""
    lower = np.tril(matrices)
    whole: NDArray[np.float64] = lower + np.transpose(np.tril(matrices, -1), (0, 2, 1))
    return whole
