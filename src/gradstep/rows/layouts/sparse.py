"""Rows of a sparse matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.rows.layouts.base import AHEAD, LINE, as_index, prefetch
from gradstep.rows.layouts.few import add_four_lines_of_row, dot_of_row, square_of_row

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CsrRows"]


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

    def is_sound(self) -> bool:
        """Tell whether rows lie within the arrays, and columns within the width."""
        starts, columns = self.starts, self.columns
        if starts[0] < 0 or (starts[1:] < starts[:-1]).any():
            return False
        used = columns[starts[0] : starts[-1]]
        inside = not used.size or bool(used.min() >= 0 and used.max() < self.width)
        return inside and int(starts[-1]) <= min(columns.size, self.values.size)

    def n_numbers(self) -> int:
        """Return how many numbers the rows have; the arrays may hold more, of other rows."""
        return int(self.starts[-1] - self.starts[0])

    def row_bytes(self) -> int:
        """Return the memory of a row, on average."""
        both = self.values.itemsize + self.columns.itemsize
        return int(self.n_numbers() * both // max(1, self.n_rows))

    def tile_rows(self) -> int:
        """Return how many rows a tile should have: 16 to 64, about as the nearest cache holds."""
        return min(64, max(16, (1 << 14) // max(1, self.row_bytes())))

    def take(self, order: Any) -> CsrRows:
        """Return a copy with the rows in another order."""
        starts = np.zeros(len(order) + 1, np.int64)
        np.cumsum(np.diff(self.starts)[order], out=starts[1:])
        positions = np.repeat(self.starts[:-1][order] - starts[:-1], np.diff(starts))
        positions += np.arange(positions.size)
        return CsrRows(self.values[positions], self.columns[positions], starts, self.width)

    def part(self, lo: int, hi: int) -> CsrRows:
        """Return the rows at positions lo to hi, without a copy."""
        return CsrRows(self.values, self.columns, self.starts[lo : hi + 1], self.width)

    @classmethod
    def joined(cls, parts: Sequence[CsrRows]) -> CsrRows:
        """Return the rows of several, one after another; their arrays hold no others."""
        ends = np.concatenate([np.diff(part.starts) for part in parts]).cumsum()
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.columns for part in parts]),
            np.concatenate([[0], ends]),
            parts[0].width,
        )

    def square_norms(self) -> Any:
        """Return ‖x‖² of each row."""
        row = np.repeat(np.arange(self.n_rows), np.diff(self.starts))
        values = self.values[self.starts[0] : self.starts[-1]].astype(np.float64)
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
            r, far = order[i], min(i + AHEAD, last)
            coming = order[far]
            if coming != r + (far - i):  # else the processor sees what comes next
                first, end = starts[coming], starts[coming + 1]
                for at in range(first, end, LINE // values.itemsize):
                    prefetch(values, at)
                for at in range(first, end, LINE // columns.itemsize):
                    prefetch(columns, at)
                prefetch(starts, order[min(i + 2 * AHEAD, last)])
            first, end = starts[r], starts[r + 1]
            for c in range(k):
                own = dot_of_row(values, columns, first, end, params, c * p)
                z[(i - lo) * k + c] = own + params[k * p + c]

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

    def spread(self, order: Any, lo: int, hi: int, shift: Any, scale: Any, out: Any) -> None:
        """Write ``x·scale`` of rows ``order[lo:hi]`` to columns of `out`; nothing is shifted."""
        values, columns, starts = self.values, self.columns, self.starts
        for j in range(self.width):
            for i in range(lo, hi):
                out[j, i - lo] = 0.0
        for i in range(lo, hi):
            r = order[i]
            for at in range(as_index(starts[r]), as_index(starts[r + 1])):
                j = as_index(columns[at])
                out[j, i - lo] += values[at] * scale[j]

    def add_squares(self, order: Any, lo: int, hi: int, weights: Any, k: int, squares: Any) -> None:
        """Add weight times the squares of rows ``order[lo:hi]``."""
        p = self.width
        values, columns, starts = self.values, self.columns, self.starts
        for i in range(lo, hi):
            r = order[i]
            for c in range(k):
                weight = weights[(i - lo) * k + c]
                for at in range(as_index(starts[r]), as_index(starts[r + 1])):
                    squares[as_index(c * p + columns[at])] += weight * values[at] * values[at]
                squares[k * p + c] += weight

    def add_products(self, order: Any, lo: int, hi: int, weights: Any, matrix: Any) -> None:
        """Add weight times x·xᵀ of rows ``order[lo:hi]`` to a lower triangle."""
        values, columns, starts = self.values, self.columns, self.starts
        p = self.width
        last = matrix[p]
        for i in range(lo, hi):
            r = order[i]
            weight = weights[i - lo]
            first, end = starts[r], starts[r + 1]
            ascending = True
            for a in range(as_index(first + 1), as_index(end)):
                ascending &= columns[a - 1] <= columns[a]
            a = first
            while ascending and a + 4 <= end:  # as nearly always: four lines are known at once
                add_four_lines_of_row(values, columns, first, a, weight, matrix)
                a += 4
            while a < end:
                j = as_index(columns[as_index(a)])
                own = weight * values[as_index(a)]
                if ascending:
                    line = matrix[j]
                    for b in range(as_index(first), as_index(a + 1)):
                        line[as_index(columns[b])] += own * values[b]
                else:
                    for b in range(as_index(first), as_index(a + 1)):
                        t = as_index(columns[b])
                        matrix[max(j, t), min(j, t)] += own * values[b]
                last[j] += own
                a += 1
            last[p] += weight

    def write_squares(self, order: Any, lo: int, hi: int, scale: Any, out: Any) -> None:
        """Write the sum of squares of each row ``order[lo:hi]``, scaled."""
        values, columns, starts = self.values, self.columns, self.starts
        for i in range(lo, hi):
            r = order[i]
            out[i] = square_of_row(values, columns, starts[r], starts[r + 1], scale)

    def n_touched(self, n: int) -> int:
        """Return how many features n rows have, on average and counted for each row."""
        return n * self.n_numbers() // max(1, self.n_rows)

    def list_touched(
        self, order: Any, lo: int, hi: int, since: Any, now: int, features: Any, before: Any
    ) -> int:
        """List the features of rows ``order[lo:hi]``, each once, and mark them in `since`."""
        values, columns, starts = self.values, self.columns, self.starts
        last = order.size - 1
        n = 0
        for i in range(lo, hi):
            coming = order[min(i + AHEAD, last)]
            first, end = starts[coming], starts[coming + 1]
            for at in range(first, end, LINE // values.itemsize):
                prefetch(values, at)
            for at in range(first, end, LINE // columns.itemsize):
                prefetch(columns, at)
            prefetch(starts, order[min(i + 2 * AHEAD, last)])
            r = order[i]
            for at in range(as_index(starts[r]), as_index(starts[r + 1])):
                j = as_index(columns[at])
                features[n] = j
                before[n] = since[j]
                n += since[j] != now
                since[j] = now
        return n

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
            for at in range(first, end, LINE // values.itemsize):
                prefetch(values, at)
            for at in range(first, end, LINE // columns.itemsize):
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
