"""What is taken along while a table is read: moments of its parts, and a few rows.

Chunks are cut by the data alone and added in their order: the same bits from any number of threads.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.profile import as_floats
from gradstep.engine.kernels.moments import sum_products_of_columns
from gradstep.engine.kernels.sums import dense_products
from gradstep.engine.symmetric import symmetric
from gradstep.rows.moments import Moments
from gradstep.rows.readonly import readonly

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
_TILE = 128  # rows whose products are added at a time
_THREADS = 2  # that sum chunks side by side, beside those that read and profile them


@dataclass(frozen=True)
class _Places:
    """What becomes of the rows of a chunk: their parts, their positions if they are trained on.

    Attributes
    ----------
    part : ndarray of shape (n,), uint8
        The part of each row; the last one is that of rows held out.
    at : ndarray of shape (n,)
        The position of each row to train on; -1 of the others.
    held_out : int
        How many rows of chunks before are held out.
    """

    part: NDArray[np.uint8]
    at: NDArray[np.int64]
    held_out: int


@dataclass(frozen=True)
class _OfChunk:
    """Moments of a chunk's rows by part, those that have any, and extremes of rows to train on."""

    moments: dict[int, Moments]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    missing: bool


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
    targets : ndarray
        The first targets in random order.
    held_out, targets_held_out : ndarray
        The rows held out, in the order of the table, and their targets.
    missing : bool
        Whether a number is missing, or infinite, or rows are more than were counted: then no more
        chunks are summed.
    """

    def __init__(
        self, columns: Sequence[str], dtype: Any, rule: Rule, positions: Positions, n: int
    ) -> None:
        self.columns, self.dtype, self._rule = list(columns), dtype, rule
        self._positions = positions
        self.n = self.n_train = self.n_held_out = 0
        size, most = len(self.columns), self.cuts[-1]
        self._n_parts = positions.cuts.size - 1
        self.parts = [Moments.of_none(size) for _ in range(self._n_parts + 1)]
        self.low, self.high = np.full(size, np.inf), np.full(size, -np.inf)
        self._head = np.empty((min(HEAD_ROWS, most), size - 1), dtype)  # a row lies in few lines
        self.targets = np.empty(min(max(HEAD_ROWS, HEAD_TARGETS), most))
        self.held_out = np.empty((size - 1, n - most), dtype)
        self.targets_held_out = np.empty(n - most)
        self.missing = False
        self._block = size, max(1, _BLOCK_NUMBERS // size)
        self._pool = ThreadPoolExecutor(_THREADS, "gradstep-sums")
        self._jobs: deque[Future[_OfChunk]] = deque()

    def __call__(self, frame: pl.DataFrame, first: int) -> None:
        """Add a chunk, whose first row has this number."""
        if not frame.height:
            return
        self._merge(_THREADS - 1)
        self.n += frame.height
        if self.n > self.cuts[-1] + self.targets_held_out.size:  # than were counted
            self.missing = True
        if not self.missing:
            self._jobs.append(self._pool.submit(self._summed, frame, self._placed(frame, first)))

    def head(self) -> NDArray[Any]:
        """Hand over the first rows in random order, a line for each column."""
        rows, self._head = self._head, self._head[:0]
        return np.ascontiguousarray(rows.T)

    @property
    def cuts(self) -> list[int]:
        """Where each part of the rows to train on begins, and where the last one ends."""
        cuts: list[int] = self._positions.cuts.tolist()
        return cuts

    def wait(self) -> None:
        """Wait until all chunks are added."""
        self._merge(0)

    def _merge(self, left: int) -> None:
        """Add what is known of chunks, in their order, until so many are left."""
        while len(self._jobs) > left:
            found = self._jobs.popleft().result()
            self.missing |= found.missing
            for i, moments in found.moments.items():
                self.parts[i] = self.parts[i].merged(moments)
            self.low, self.high = np.minimum(self.low, found.low), np.maximum(self.high, found.high)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _placed(self, frame: pl.DataFrame, first: int) -> _Places:
        flags = self._rule.flags(frame, first)
        n, before = int(frame.height - flags.sum()), self.n_held_out
        self.n_train += n
        self.n_held_out += frame.height - n
        at = np.full(frame.height, -1)
        at[~flags] = positions = self._positions.of_next(n)
        part = np.full(frame.height, self._n_parts, np.uint8)
        part[~flags] = self._positions.parts(positions)
        return _Places(part, at, before)

    def _summed(self, frame: pl.DataFrame, places: _Places) -> _OfChunk:
        numbers = [as_floats(frame[column]) for column in self.columns]
        size, step = self._block
        shift = np.array([x[:step].mean(dtype=np.float64) for x in numbers])
        n_parts, held_out = len(self.parts), places.held_out
        matrices = np.zeros((n_parts, size + 1, size + 1))
        low, high = np.full((n_parts, size), np.inf), np.full((n_parts, size), -np.inf)
        lines = np.empty(self._block)
        for lo in range(0, frame.height, step):
            block = slice(lo, min(lo + step, frame.height))
            part = places.part[block]
            for line, x in zip(lines, numbers, strict=True):
                line[: part.size] = x[block]
            order = np.argsort(part, kind="stable")
            ends = np.cumsum(np.bincount(part, minlength=n_parts))
            sum_products_of_columns(
                readonly(lines), readonly(order), readonly(ends), dense_products(), _TILE,
                readonly(shift), low, high, matrices,
            )  # fmt: skip
            self._keep(lines, places.at[block])
            others = order[ends[-2] :]
            self._keep_held_out(lines[:, others], held_out)
            held_out += others.size
        missing, found = not np.isfinite(matrices).all(), {}
        for i, matrix in enumerate(symmetric(matrices)):
            n, total = float(matrix[-1, -1]), matrix[-1, :-1]
            if n and not missing:
                about_mean = matrix[:-1, :-1] - np.outer(total / n, total)
                found[i] = Moments(n, total / n + shift, about_mean)
        extremes = low[:-1].min(axis=0), high[:-1].max(axis=0)
        return _OfChunk(found, *extremes, missing)

    def _keep(self, lines: NDArray[np.float64], at: NDArray[np.int64]) -> None:
        """Keep the first of the rows to train on, which have these positions."""
        first = np.flatnonzero((at >= 0) & (at < self.targets.size))
        self.targets[at[first]] = lines[-1, first]
        first = first[at[first] < len(self._head)]
        self._head[at[first]] = lines[:-1, first].T

    def _keep_held_out(self, lines: NDArray[np.float64], first: int) -> None:
        """Keep rows that are held out: before them come so many others."""
        to = slice(first, first + lines.shape[1])
        self.held_out[:, to], self.targets_held_out[to] = lines[:-1], lines[-1]
