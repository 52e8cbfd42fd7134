"""Rows of a table: numbers, and one code for each column of categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.rows.layouts.base import AHEAD, LINE, MOST_LINES, as_index, prefetch
from gradstep.rows.layouts.few import (
    add_four_lines_of_codes,
    with_codes,
    with_codes_of_four,
    with_squares_of_codes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TableRows"]


class TableRows(NamedTuple):
    """Rows of numbers and codes: what one-hot rows are, without the zeros and the ones.

    The first features are the numbers. A code is the index of the one feature of its column that
    is 1 in that row; below zero, none is.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_numbers), float64 or float32, C order
        The numbers.
    codes : ndarray of shape (n_rows, n_columns), int32, C order
        For each column, the feature that is 1, from n_numbers on; -1 for none.
    width : int
        Number of features.
    """

    values: Any
    codes: Any
    width: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.width

    def row_bytes(self) -> int:
        """Return the memory of a row."""
        numbers, columns = self.values.shape[1], self.codes.shape[1]
        return int(numbers * self.values.itemsize + columns * self.codes.itemsize)

    def tile_rows(self) -> int:
        """Return how many rows a tile should have: 16 KB of them, half the smallest cache."""
        fitting = 16384 // max(1, self.row_bytes())
        return max(8, min(fitting // 4 * 4, 256))

    def take(self, order: Any) -> TableRows:
        """Return a copy with the rows in another order."""
        return TableRows(self.values[order], self.codes[order], self.width)

    def part(self, lo: int, hi: int) -> TableRows:
        """Return the rows at positions lo to hi, without a copy."""
        return TableRows(self.values[lo:hi], self.codes[lo:hi], self.width)

    @classmethod
    def joined(cls, parts: Sequence[TableRows]) -> TableRows:
        """Return the rows of several, one after another."""
        values = np.concatenate([part.values for part in parts])
        return cls(values, np.concatenate([part.codes for part in parts]), parts[0].width)

    def square_norms(self) -> Any:
        """Return ‖x‖² of each row."""
        numbers = np.einsum("ij,ij->i", self.values, self.values, dtype=np.float64)
        return numbers + (self.codes >= 0).sum(axis=1)

    def without_features(self) -> TableRows:
        """Return as many rows without any feature: their scores are the intercept."""
        n = self.n_rows
        return TableRows(np.empty((n, 0), self.values.dtype), np.empty((n, 0), np.int32), 0)

    def tile_scores(self, order: Any, lo: int, hi: int, params: Any, k: int, z: Any) -> None:
        """Write the scores of rows ``order[lo:hi]`` to z."""
        x, codes, p = self.values, self.codes, self.width
        numbers, columns = x.shape[1], codes.shape[1]
        last = order.size - 1
        far = min(hi - 1 + AHEAD, last)
        if order[far] != order[lo] + (far - lo):  # else the processor sees them coming
            lines = min(numbers * x.itemsize // LINE + 1, MOST_LINES)
            code_lines = min(columns * codes.itemsize // LINE + 1, MOST_LINES)
            stride, code_stride = LINE // x.itemsize, LINE // codes.itemsize
            for i in range(lo, hi):
                coming = order[min(i + AHEAD, last)]
                for line in range(lines):
                    prefetch(x, coming * numbers + line * stride)
                for line in range(code_lines):
                    prefetch(codes, coming * columns + line * code_stride)
        i = lo
        while i + 4 <= hi:
            r0, r1, r2, r3 = order[i], order[i + 1], order[i + 2], order[i + 3]
            at = (i - lo) * k
            for c in range(k):
                w = c * p
                s0 = s1 = s2 = s3 = params[k * p + c]
                for j in range(numbers):
                    wj = params[w + j]
                    s0 += wj * x[r0, j]
                    s1 += wj * x[r1, j]
                    s2 += wj * x[r2, j]
                    s3 += wj * x[r3, j]
                s0, s1, s2, s3 = with_codes_of_four(
                    codes, r0, r1, r2, r3, params, w, s0, s1, s2, s3
                )
                z[at + c] = s0
                z[at + k + c] = s1
                z[at + 2 * k + c] = s2
                z[at + 3 * k + c] = s3
            i += 4
        while i < hi:
            r = order[i]
            at = (i - lo) * k
            for c in range(k):
                w = c * p
                s = params[k * p + c]
                for j in range(numbers):
                    s += params[w + j] * x[r, j]
                z[at + c] = with_codes(codes, r, params, w, s)
            i += 1

    def add_gradient(
        self, order: Any, lo: int, hi: int, slopes: Any, k: int, gradient: Any
    ) -> None:
        """Add slope times row to the gradient."""
        x, codes, p = self.values, self.codes, self.width
        numbers, columns = x.shape[1], codes.shape[1]
        for c in range(k):
            w = c * p
            i = lo
            while i + 4 <= hi:
                r0, r1, r2, r3 = order[i], order[i + 1], order[i + 2], order[i + 3]
                at = (i - lo) * k + c
                g0, g1, g2, g3 = slopes[at], slopes[at + k], slopes[at + 2 * k], slopes[at + 3 * k]
                for j in range(numbers):
                    gradient[w + j] += g0 * x[r0, j] + g1 * x[r1, j] + g2 * x[r2, j] + g3 * x[r3, j]
                i += 4
            while i < hi:
                g = slopes[(i - lo) * k + c]
                for j in range(numbers):
                    gradient[w + j] += g * x[order[i], j]
                i += 1
            for i in range(lo, hi):
                r = order[as_index(i)]
                g = slopes[as_index((i - lo) * k + c)]
                for q in range(columns):
                    code = codes[r, q]
                    if code >= 0:
                        gradient[as_index(w + code)] += g
            total = 0.0
            for i in range(hi - lo):
                total += slopes[i * k + c]
            gradient[k * p + c] += total

    def spread(self, order: Any, lo: int, hi: int, shift: Any, scale: Any, out: Any) -> None:
        """Write ``x·scale`` of rows ``order[lo:hi]`` to columns of `out`; nothing is shifted."""
        x, codes = self.values, self.codes
        numbers, columns = x.shape[1], codes.shape[1]
        for i in range(lo, hi):
            r = order[i]
            for j in range(numbers):
                out[j, i - lo] = x[r, j] * scale[j]
            for j in range(numbers, self.width):
                out[j, i - lo] = 0.0
            for q in range(columns):
                code = codes[r, q]
                if code >= 0:
                    out[as_index(code), i - lo] += scale[as_index(code)]

    def add_squares(self, order: Any, lo: int, hi: int, weights: Any, k: int, squares: Any) -> None:
        """Add weight times the squares of rows ``order[lo:hi]``."""
        x, codes, p = self.values, self.codes, self.width
        numbers, columns = x.shape[1], codes.shape[1]
        for c in range(k):
            w = c * p
            i = lo
            while i + 2 <= hi:
                r0, r1, at = order[i], order[i + 1], (i - lo) * k + c
                w0, w1 = weights[at], weights[at + k]
                for j in range(numbers):
                    squares[w + j] += w0 * x[r0, j] * x[r0, j] + w1 * x[r1, j] * x[r1, j]
                i += 2
            if i < hi:
                for j in range(numbers):
                    squares[w + j] += weights[(i - lo) * k + c] * x[order[i], j] * x[order[i], j]
            for i in range(lo, hi):
                r = order[i]
                weight = weights[(i - lo) * k + c]
                for q in range(columns):
                    code = codes[r, q]
                    if code >= 0:
                        squares[as_index(w + code)] += weight
            total = 0.0
            for i in range(hi - lo):
                total += weights[i * k + c]
            squares[k * p + c] += total

    def add_products(self, order: Any, lo: int, hi: int, weights: Any, matrix: Any) -> None:
        """Add weight times x·xᵀ of rows ``order[lo:hi]`` to a lower triangle."""
        x, codes, p = self.values, self.codes, self.width
        numbers, columns = x.shape[1], codes.shape[1]
        last = matrix[p]
        i = lo
        while i + 4 <= hi:
            r0, r1, r2, r3 = order[i], order[i + 1], order[i + 2], order[i + 3]
            at = i - lo
            w0, w1, w2, w3 = weights[at], weights[at + 1], weights[at + 2], weights[at + 3]
            for j in range(numbers):
                a0, a1, a2, a3 = w0 * x[r0, j], w1 * x[r1, j], w2 * x[r2, j], w3 * x[r3, j]
                line = matrix[j]
                for t in range(j + 1):
                    line[t] += a0 * x[r0, t] + a1 * x[r1, t] + a2 * x[r2, t] + a3 * x[r3, t]
                last[j] += a0 + a1 + a2 + a3
            i += 4
        while i < hi:
            r = order[i]
            for j in range(numbers):
                own = weights[i - lo] * x[r, j]
                for t in range(j + 1):
                    matrix[j, t] += own * x[r, t]
                last[j] += own
            i += 1
        for i in range(lo, hi):
            r = order[as_index(i)]
            weight = weights[as_index(i - lo)]
            before = below = 0
            for a in range(columns):
                below |= codes[r, a] - before  # negative, once one of them was
                before = codes[r, a]
            a = 0
            while below >= 0 and a + 4 <= columns:  # all are there, ascending: four lines at once
                add_four_lines_of_codes(x, codes, r, a, weight, matrix)
                a += 4
            while below >= 0 and a < columns:
                j = as_index(codes[r, a])
                line = matrix[j]
                for t in range(numbers):
                    line[t] += weight * x[r, t]
                for b in range(a + 1):
                    line[as_index(codes[r, b])] += weight
                last[j] += weight
                a += 1
            while a < columns:
                j = codes[r, a]
                if j >= 0:
                    for t in range(numbers):
                        matrix[as_index(j), t] += weight * x[r, t]
                    for b in range(a + 1):
                        other = codes[r, b]
                        if other >= 0:
                            matrix[as_index(max(j, other)), as_index(min(j, other))] += weight
                    last[as_index(j)] += weight
                a += 1
        total = 0.0
        for i in range(hi - lo):
            total += weights[i]
        last[p] += total

    def write_squares(self, order: Any, lo: int, hi: int, scale: Any, out: Any) -> None:
        """Write the sum of squares of each row ``order[lo:hi]``, scaled."""
        x, codes = self.values, self.codes
        for i in range(lo, hi):
            r = order[i]
            total = 0.0
            for j in range(x.shape[1]):
                own = x[r, j] * scale[j]
                total += own * own
            out[i] = with_squares_of_codes(codes, r, scale, total)

    def n_touched(self, n: int) -> int:
        """Return how many features n rows have at most: all numbers, and their codes."""
        return int(self.values.shape[1] + n * self.codes.shape[1])

    def list_touched(
        self, order: Any, lo: int, hi: int, since: Any, now: int, features: Any, before: Any
    ) -> int:
        """List the features of rows ``order[lo:hi]``, each once, and mark them in `since`."""
        codes, numbers, columns = self.codes, self.values.shape[1], self.codes.shape[1]
        code_lines = min(columns * codes.itemsize // LINE + 1, MOST_LINES)
        code_stride = LINE // codes.itemsize
        last = order.size - 1
        for j in range(numbers):
            features[j] = j
            before[j] = since[j]
            since[j] = now
        n: int = numbers
        for i in range(lo, hi):
            coming = order[min(i + AHEAD, last)]
            for line in range(code_lines):
                prefetch(codes, coming * columns + line * code_stride)
            r = order[i]
            for q in range(columns):
                code = codes[r, q]
                if code >= 0:
                    j = as_index(code)
                    features[n] = code
                    before[n] = since[j]
                    n += since[j] != now
                    since[j] = now
        return n

    def room_for(self, order: Any, buffer: TableRows | None) -> TableRows:
        """Return `buffer` if these rows fit into it, else a new one."""
        if buffer is not None and buffer.n_rows >= order.size:
            return buffer
        return TableRows(
            np.empty((order.size, self.values.shape[1]), self.values.dtype),
            np.empty((order.size, self.codes.shape[1]), self.codes.dtype),
            self.width,
        )

    def copy_rows(self, order: Any, lo: int, hi: int, buffer: Any) -> None:
        """Copy the rows ``order[lo:hi]``, one after another, to the buffer."""
        x, codes, to_x, to_codes = self.values, self.codes, buffer.values, buffer.codes
        numbers, columns = x.shape[1], codes.shape[1]
        lines = min(numbers * x.itemsize // LINE + 1, MOST_LINES)
        code_lines = min(columns * codes.itemsize // LINE + 1, MOST_LINES)
        stride, code_stride = LINE // x.itemsize, LINE // codes.itemsize
        last = order.size - 1
        for i in range(lo, hi):
            coming = order[min(i + AHEAD, last)]
            for line in range(lines):
                prefetch(x, coming * numbers + line * stride)
            for line in range(code_lines):
                prefetch(codes, coming * columns + line * code_stride)
            r = order[i]
            for j in range(numbers):
                to_x[i - lo, j] = x[r, j]
            for q in range(columns):
                to_codes[i - lo, q] = codes[r, q]
