"""Rows of a dense matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.rows.layouts.base import AHEAD, LINE, MOST_LINES, prefetch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DenseRows"]


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

    def part(self, lo: int, hi: int) -> DenseRows:
        """Return the rows at positions lo to hi, without a copy."""
        return DenseRows(self.values[lo:hi])

    @classmethod
    def joined(cls, parts: Sequence[DenseRows]) -> DenseRows:
        """Return the rows of several, one after another."""
        return cls(np.concatenate([part.values for part in parts]))

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
        lines = min(p * x.itemsize // LINE + 1, MOST_LINES)
        stride = LINE // x.itemsize
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

    def spread(self, order: Any, lo: int, hi: int, shift: Any, scale: Any, out: Any) -> None:
        """Write ``(x - shift)·scale`` of rows ``order[lo:hi]`` to the columns of `out`."""
        x = self.values
        p = x.shape[1]
        i = lo
        while i + 8 <= hi:  # of each line of `out` what the memory delivers at once
            r0, r1, r2, r3 = order[i], order[i + 1], order[i + 2], order[i + 3]
            r4, r5, r6, r7 = order[i + 4], order[i + 5], order[i + 6], order[i + 7]
            at = i - lo
            for j in range(p):
                mean, factor, line = shift[j], scale[j], out[j]
                line[at] = (x[r0, j] - mean) * factor
                line[at + 1] = (x[r1, j] - mean) * factor
                line[at + 2] = (x[r2, j] - mean) * factor
                line[at + 3] = (x[r3, j] - mean) * factor
                line[at + 4] = (x[r4, j] - mean) * factor
                line[at + 5] = (x[r5, j] - mean) * factor
                line[at + 6] = (x[r6, j] - mean) * factor
                line[at + 7] = (x[r7, j] - mean) * factor
            i += 8
        while i < hi:
            for j in range(p):
                out[j, i - lo] = (x[order[i], j] - shift[j]) * scale[j]
            i += 1

    def add_squares(self, order: Any, lo: int, hi: int, weights: Any, k: int, squares: Any) -> None:
        """Add weight times the squares of rows ``order[lo:hi]``."""
        x = self.values
        p = x.shape[1]
        for i in range(lo, hi):
            r = order[i]
            for c in range(k):
                weight = weights[(i - lo) * k + c]
                for j in range(p):
                    squares[c * p + j] += weight * x[r, j] * x[r, j]
                squares[k * p + c] += weight

    def room_for(self, order: Any, buffer: DenseRows | None) -> DenseRows:
        """Return `buffer` if these rows fit into it, else a new one."""
        if buffer is not None and buffer.n_rows >= order.size:
            return buffer
        return DenseRows(np.empty((order.size, self.n_features), self.values.dtype))

    def copy_rows(self, order: Any, lo: int, hi: int, buffer: Any) -> None:
        """Copy the rows ``order[lo:hi]``, one after another, to the buffer."""
        x, copy = self.values, buffer.values
        p = x.shape[1]
        lines = min(p * x.itemsize // LINE + 1, MOST_LINES)
        stride = LINE // x.itemsize
        last = order.size - 1
        for i in range(lo, hi):
            start = order[min(i + AHEAD, last)] * p
            for line in range(lines):
                prefetch(x, start + line * stride)
            r = order[i]
            for j in range(p):
                copy[i - lo, j] = x[r, j]
