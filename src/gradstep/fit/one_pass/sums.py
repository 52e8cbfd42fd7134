"""What is taken along while a table is read: moments of its parts, and a few rows.

Chunks are cut by the data alone and added in their order, with one thread of BLAS: the same bits
from any number of threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.profile import as_floats
from gradstep.engine.blas import one_blas_thread
from gradstep.rows.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    import polars as pl
    from numpy.typing import NDArray

    from gradstep.data.preparing.hold_out import Rule
    from gradstep.fit.one_pass.positions import Positions

__all__ = ["HEAD_ROWS", "Sums"]

# Of the first rows in random order, how many are kept, and of how many the targets are.
HEAD_ROWS, HEAD_TARGETS = 1 << 17, 1 << 20
_BLOCK_NUMBERS = 1 << 17  # that are summed at a time: they stay in the cache


class Sums:
    """Sums over the rows of a table of numbers, which come in chunks.

    Parameters
    ----------
    columns : sequence of str
        The columns that may become features, then the target.
    dtype : type
        Of the numbers that are kept.
    rule : Rule
        Which rows are held out.
    positions : Positions
        Where the others would lie in a prepared table.
    n : int
        How many rows there are.

    Attributes
    ----------
    n, n_train, n_held_out : int
        Rows so far, and how many of them are to train on and held out.
    parts : list of Moments
        Of each part of the rows to train on, then of those held out.
    low, high : ndarray
        Extremes of each column over the rows to train on.
    head, targets : ndarray
        The first rows in random order, a line for each column, and the first targets.
    held_out, targets_held_out : ndarray
        The rows held out, in the order of the table, and their targets.
    missing : bool
        Whether a number is missing, or infinite: then nothing is summed any more.
    """

    def __init__(
        self, columns: Sequence[str], dtype: Any, rule: Rule, positions: Positions, n: int
    ) -> None:
        self.columns, self._rule = list(columns), rule
        self._positions = positions
        self.n = self.n_train = self.n_held_out = 0
        size, most = len(self.columns), self.cuts[-1]
        self._n_parts = positions.cuts.size - 1
        self.parts = [Moments.of_none(size) for _ in range(self._n_parts + 1)]
        self.low, self.high = np.full(size, np.inf), np.full(size, -np.inf)
        self.head = np.empty((size - 1, min(HEAD_ROWS, most)), dtype)
        self.targets = np.empty(min(max(HEAD_ROWS, HEAD_TARGETS), most))
        self.held_out = np.empty((size - 1, n - most), dtype)
        self.targets_held_out = np.empty(n - most)
        self.missing = False
        block = size, max(1, _BLOCK_NUMBERS // size)
        self._lines, self._ordered = np.empty(block), np.empty(block)  # as read, and by their parts
        self._pool = ThreadPoolExecutor(1, "gradstep-sums")
        self._last: Future[None] | None = None

    def __call__(self, frame: pl.DataFrame, first: int) -> None:
        """Add a chunk, whose first row has this number."""
        self.wait()
        self.n += frame.height
        if not self.missing:
            self._last = self._pool.submit(self._add, frame, first)

    @property
    def cuts(self) -> list[int]:
        """Where each part of the rows to train on begins, and where the last one ends."""
        cuts: list[int] = self._positions.cuts.tolist()
        return cuts

    def wait(self) -> None:
        """Wait until all chunks are added."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _add(self, frame: pl.DataFrame, first: int) -> None:
        flags = self._rule.flags(frame, first)
        n = int(frame.height - flags.sum())
        if first + frame.height > self.cuts[-1] + self.targets_held_out.size:  # than were counted
            self.missing = True
            return
        self.n_train += n
        at = np.full(frame.height, -1)
        at[~flags] = positions = self._positions.of_next(n)
        part = np.full(frame.height, self._n_parts, np.uint8)
        part[~flags] = self._positions.parts(positions)
        numbers = [as_floats(frame[column]) for column in self.columns]
        shift = np.array([x[: self._lines.shape[1]].mean(dtype=np.float64) for x in numbers])
        self.missing = not np.isfinite(shift).all()
        size, step = len(numbers), self._lines.shape[1]
        rows, totals = np.zeros(len(self.parts)), np.zeros((len(self.parts), size))
        products = np.zeros((len(self.parts), size, size))
        with one_blas_thread():
            for lo in range(0, frame.height, step):
                block = slice(lo, min(lo + step, frame.height))
                some = [x[block] for x in numbers]
                lines, ends = self._ordered_block(some, part[block], at[block])
                lines -= shift[:, None]
                for i, (first_row, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
                    own = lines[:, first_row:end]
                    rows[i] += end - first_row
                    totals[i] += own.sum(axis=1)
                    products[i] += own @ own.T
        self.missing |= not np.isfinite(products).all()
        for i in np.flatnonzero(rows).tolist():
            mean = totals[i] / rows[i]
            about_mean = products[i] - np.outer(mean, totals[i])
            new = Moments(float(rows[i]), mean + shift, about_mean)
            self.parts[i] = self.parts[i].merged(new)

    def _ordered_block(
        self, numbers: Sequence[NDArray[Any]], part: NDArray[np.uint8], at: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], list[int]]:
        """Return rows in the order of their parts, a line a column, and where each part ends.

        What is kept of the rows is kept here.
        """
        unordered = self._lines[:, : part.size]
        for line, x in zip(unordered, numbers, strict=True):
            line[:] = x
        order = np.argsort(part, kind="stable")
        lines = self._ordered[:, : part.size]
        np.take(unordered, order, axis=1, out=lines, mode="clip")  # else through a copy
        ends: list[int] = np.cumsum(np.bincount(part, minlength=len(self.parts))).tolist()
        train, held_out = lines[:, : ends[-2]], lines[:, ends[-2] :]
        self._keep(train, at[order[: ends[-2]]])
        to = slice(self.n_held_out, self.n_held_out + held_out.shape[1])
        self.held_out[:, to], self.targets_held_out[to] = held_out[:-1], held_out[-1]
        self.n_held_out = to.stop
        self.low = np.minimum(self.low, train.min(axis=1, initial=np.inf))
        self.high = np.maximum(self.high, train.max(axis=1, initial=-np.inf))
        return lines, ends

    def _keep(self, lines: NDArray[np.float64], at: NDArray[np.int64]) -> None:
        """Keep the first of these rows to train on, which belong to these positions."""
        first = np.flatnonzero(at < self.targets.size)
        self.targets[at[first]] = lines[-1, first]
        first = first[at[first] < self.head.shape[1]]
        self.head[:, at[first]] = lines[:-1, first]
