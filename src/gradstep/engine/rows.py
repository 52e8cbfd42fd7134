"""Row layouts: how a batch's scores and gradient are taken from the data.

A layout is a NamedTuple of arrays. The kernel walks a batch in tiles of a few rows that stay
in the processor's cache; for each tile it calls

- ``tile_scores(order, lo, hi, params, k, z)``: scores of the rows ``order[lo:hi]`` to z, row
  after row, k outputs each; and asks the memory for the rows that come next;
- ``add_gradient(order, lo, hi, slopes, k, gradient)``: adds slope times row, for each output.

`params` and `gradient` are flat: k rows of weights, then k intercepts. Both methods are
compiled; the same code runs uncompiled. Indices are unsigned where that saves a check.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

__all__ = [
    "AHEAD",
    "CsrRows",
    "DenseRows",
    "Rows",
    "add_gradient",
    "copy_rows",
    "prefetch",
    "tile_scores",
]

# Rows ahead of use that are asked for: far enough to hide the memory's latency behind
# the arithmetic of the rows before, near enough that they are still in cache when used.
AHEAD = 32
_LINE = 64  # bytes that the memory delivers at once
_MOST_LINES = 32  # of a long row; the processor's own prefetching takes over after a few


@runtime_checkable
class Rows(Protocol):
    """What a row layout must have."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    def n_features(self) -> int:
        """Number of features."""

    def row_bytes(self) -> int:
        """Return the memory of a row, on average."""

    def tile_rows(self) -> int:
        """Return how many rows a tile should have."""

    def take(self, order: Any) -> Rows:
        """Return a copy with the rows in another order."""

    def square_norms(self) -> Any:
        """Return ‖x‖² of each row."""

    def without_features(self) -> Rows:
        """Return as many rows without any feature: their scores are the intercept."""

    def tile_scores(self, order: Any, lo: int, hi: int, params: Any, k: int, z: Any) -> None:
        """Write the scores of rows ``order[lo:hi]`` to z."""

    def add_gradient(
        self, order: Any, lo: int, hi: int, slopes: Any, k: int, gradient: Any
    ) -> None:
        """Add slope times row to the gradient."""

    def room_for(self, order: Any, buffer: Any) -> Rows:
        """Return `buffer` if these rows fit into it, else a new one."""

    def copy_rows(self, order: Any, lo: int, hi: int, buffer: Any) -> None:
        """Copy the rows ``order[lo:hi]``, one after another, to the buffer."""


def tile_scores(rows: Rows, order: Any, lo: int, hi: int, params: Any, k: int, z: Any) -> None:
    """Write the scores of rows ``order[lo:hi]`` to z (kernels call this)."""
    rows.tile_scores(order, lo, hi, params, k, z)


def add_gradient(
    rows: Rows, order: Any, lo: int, hi: int, slopes: Any, k: int, gradient: Any
) -> None:
    """Add slope times row for rows ``order[lo:hi]`` (kernels call this)."""
    rows.add_gradient(order, lo, hi, slopes, k, gradient)


def copy_rows(rows: Rows, order: Any, lo: int, hi: int, buffer: Any) -> None:
    """Copy the rows ``order[lo:hi]`` to the buffer (kernels call this)."""
    rows.copy_rows(order, lo, hi, buffer)


def prefetch(array: Any, index: int) -> None:
    """Ask the memory for the line that holds ``array.flat[index]``; uncompiled, nothing."""


def as_index(number: Any) -> Any:
    """Return a number as an index that is known not to be negative, which saves a check."""
    return number


class DenseRows(NamedTuple):
    """Rows of a dense matrix.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features), float64 or float32, C order
        The matrix.
    """

    values: Any

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    @property
    def n_features(self) -> int:
        """Number of features."""
        return int(self.values.shape[1])

    def row_bytes(self) -> int:
        """Return the memory of a row."""
        return self.n_features * int(self.values.itemsize)

    def tile_rows(self) -> int:
        """Return how many rows a tile should have: 16 KB of them, half the smallest cache."""
        fitting = 16384 // max(1, self.row_bytes())
        return max(8, min(fitting // 4 * 4, 256))

    def take(self, order: Any) -> DenseRows:
        """Return a copy with the rows in another order."""
        return DenseRows(self.values[order])

    def square_norms(self) -> Any:
        """Return ‖x‖² of each row."""
        return np.einsum("ij,ij->i", self.values, self.values, dtype=np.float64)

    def without_features(self) -> DenseRows:
        """Return as many rows without any feature: their scores are the intercept."""
        return DenseRows(np.empty((self.n_rows, 0), self.values.dtype))

    def tile_scores(self, order: Any, lo: int, hi: int, params: Any, k: int, z: Any) -> None:
        """Write the scores of rows ``order[lo:hi]`` to z."""
        x = self.values
        p = x.shape[1]
        lines = min(p * x.itemsize // _LINE + 1, _MOST_LINES)
        stride = _LINE // x.itemsize
        last = order.size - 1
        i = lo
        while i + 4 <= hi:
            for ahead in range(4):
                start = order[min(i + ahead + AHEAD, last)] * p
                for line in range(lines):
                    prefetch(x, start + line * stride)
            r0, r1, r2, r3 = order[i], order[i + 1], order[i + 2], order[i + 3]
            at = (i - lo) * k
            for c in range(k):
                w = c * p
                s0 = s1 = s2 = s3 = 0.0
                for j in range(p):
                    wj = params[w + j]
                    s0 += wj * x[r0, j]
                    s1 += wj * x[r1, j]
                    s2 += wj * x[r2, j]
                    s3 += wj * x[r3, j]
                b = params[k * p + c]
                z[at + c] = s0 + b
                z[at + k + c] = s1 + b
                z[at + 2 * k + c] = s2 + b
                z[at + 3 * k + c] = s3 + b
            i += 4
        while i < hi:
            r = order[i]
            at = (i - lo) * k
            for c in range(k):
                s = 0.0
                for j in range(p):
                    s += params[c * p + j] * x[r, j]
                z[at + c] = s + params[k * p + c]
            i += 1

    def add_gradient(
        self, order: Any, lo: int, hi: int, slopes: Any, k: int, gradient: Any
    ) -> None:
        """Add slope times row to the gradient."""
        x = self.values
        p = x.shape[1]
        i = lo
        while i + 4 <= hi:
            r0, r1, r2, r3 = order[i], order[i + 1], order[i + 2], order[i + 3]
            at = (i - lo) * k
            for c in range(k):
                w = c * p
                g0 = slopes[at + c]
                g1 = slopes[at + k + c]
                g2 = slopes[at + 2 * k + c]
                g3 = slopes[at + 3 * k + c]
                for j in range(p):
                    gradient[w + j] += g0 * x[r0, j] + g1 * x[r1, j] + g2 * x[r2, j] + g3 * x[r3, j]
                gradient[k * p + c] += g0 + g1 + g2 + g3
            i += 4
        while i < hi:
            r = order[i]
            at = (i - lo) * k
            for c in range(k):
                g = slopes[at + c]
                for j in range(p):
                    gradient[c * p + j] += g * x[r, j]
                gradient[k * p + c] += g
            i += 1

    def room_for(self, order: Any, buffer: DenseRows | None) -> DenseRows:
        """Return `buffer` if these rows fit into it, else a new one."""
        if buffer is not None and buffer.n_rows >= order.size:
            return buffer
        return DenseRows(np.empty((order.size, self.n_features), self.values.dtype))

    def copy_rows(self, order: Any, lo: int, hi: int, buffer: Any) -> None:
        """Copy the rows ``order[lo:hi]``, one after another, to the buffer."""
        x, copy = self.values, buffer.values
        p = x.shape[1]
        lines = min(p * x.itemsize // _LINE + 1, _MOST_LINES)
        stride = _LINE // x.itemsize
        last = order.size - 1
        for i in range(lo, hi):
            start = order[min(i + AHEAD, last)] * p
            for line in range(lines):
                prefetch(x, start + line * stride)
            r = order[i]
            for j in range(p):
                copy[i - lo, j] = x[r, j]


class CsrRows(NamedTuple):
    """Rows of a sparse matrix in compressed sparse row form.

    Parameters
    ----------
    values : ndarray of shape (n_nonzeros,), float64 or float32
        The stored numbers, row after row.
    columns : ndarray of shape (n_nonzeros,), int32 or int64
        The column of each.
    starts : ndarray of shape (n_rows + 1,), int64
        Where each row begins, and the last one ends.
    width : int
        Number of columns.
    """

    values: Any
    columns: Any
    starts: Any
    width: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.starts.size) - 1

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.width

    def row_bytes(self) -> int:
        """Return the memory of a row, on average."""
        both = self.values.itemsize + self.columns.itemsize
        return int(self.values.size * both // max(1, self.n_rows))

    def tile_rows(self) -> int:
        """Return how many rows a tile should have; their length varies, so a few."""
        return 16

    def take(self, order: Any) -> CsrRows:
        """Return a copy with the rows in another order."""
        starts = np.zeros(len(order) + 1, np.int64)
        np.cumsum(np.diff(self.starts)[order], out=starts[1:])
        positions = np.repeat(self.starts[:-1][order] - starts[:-1], np.diff(starts))
        positions += np.arange(positions.size)
        return CsrRows(self.values[positions], self.columns[positions], starts, self.width)

    def square_norms(self) -> Any:
        """Return ‖x‖² of each row."""
        row = np.repeat(np.arange(self.n_rows), np.diff(self.starts))
        values = self.values.astype(np.float64)
        return np.bincount(row, weights=values * values, minlength=self.n_rows)

    def without_features(self) -> CsrRows:
        """Return as many rows without any feature: their scores are the intercept."""
        return CsrRows(self.values[:0], self.columns[:0], np.zeros_like(self.starts), 0)

    def tile_scores(self, order: Any, lo: int, hi: int, params: Any, k: int, z: Any) -> None:
        """Write the scores of rows ``order[lo:hi]`` to z."""
        p = self.width
        values, columns, starts = self.values, self.columns, self.starts
        last = order.size - 1
        for i in range(lo, hi):
            coming = order[min(i + AHEAD, last)]
            first, end = starts[coming], starts[coming + 1]
            for at in range(first, end, _LINE // values.itemsize):
                prefetch(values, at)
            for at in range(first, end, _LINE // columns.itemsize):
                prefetch(columns, at)
            prefetch(starts, order[min(i + 2 * AHEAD, last)])
            r = order[i]
            first, end = starts[r], starts[r + 1]
            for c in range(k):
                s = 0.0
                w = c * p
                for at in range(as_index(first), as_index(end)):
                    s += params[as_index(w + columns[at])] * values[at]
                z[(i - lo) * k + c] = s + params[k * p + c]

    def add_gradient(
        self, order: Any, lo: int, hi: int, slopes: Any, k: int, gradient: Any
    ) -> None:
        """Add slope times row to the gradient."""
        p = self.width
        values, columns, starts = self.values, self.columns, self.starts
        for i in range(lo, hi):
            r = order[i]
            first, end = starts[r], starts[r + 1]
            for c in range(k):
                g = slopes[(i - lo) * k + c]
                w = c * p
                for at in range(as_index(first), as_index(end)):
                    gradient[as_index(w + columns[at])] += g * values[at]
                gradient[k * p + c] += g

    def room_for(self, order: Any, buffer: CsrRows | None) -> CsrRows:
        """Return `buffer` if these rows fit into it, else a new one."""
        needed = int((self.starts[order + np.uint32(1)] - self.starts[order]).sum())
        if buffer is not None and buffer.n_rows >= order.size and buffer.values.size >= needed:
            return buffer
        room = needed + needed // 4  # rows differ in length: spare the next run a new buffer
        return CsrRows(
            np.empty(room, self.values.dtype),
            np.empty(room, self.columns.dtype),
            np.zeros(order.size + 1, np.int64),
            self.width,
        )

    def copy_rows(self, order: Any, lo: int, hi: int, buffer: Any) -> None:
        """Copy the rows ``order[lo:hi]``, one after another, to the buffer."""
        values, columns, starts = self.values, self.columns, self.starts
        to_values, to_columns, to_starts = buffer.values, buffer.columns, buffer.starts
        last = order.size - 1
        to = as_index(0)
        for i in range(lo, hi):
            coming = order[min(i + AHEAD, last)]
            first, end = starts[coming], starts[coming + 1]
            for at in range(first, end, _LINE // values.itemsize):
                prefetch(values, at)
            for at in range(first, end, _LINE // columns.itemsize):
                prefetch(columns, at)
            prefetch(starts, order[min(i + 2 * AHEAD, last)])
            r = order[i]
            first = as_index(starts[r])
            length = as_index(starts[r + 1]) - first
            for at in range(length):
                to_values[to + at] = values[first + at]
            for at in range(length):
                to_columns[to + at] = columns[first + at]
            to += length
            to_starts[i - lo + 1] = to
