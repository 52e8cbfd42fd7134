"""Rows of a table with terms: numbers and codes, and a few features that have an amount each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.rows.layouts.base import (
    AHEAD,
    LINE,
    MOST_LINES,
    add_gradient,
    add_products,
    add_squares,
    as_index,
    copy_rows,
    list_touched,
    prefetch,
    spread,
    tile_scores,
    write_squares,
)
from gradstep.rows.layouts.few import dot_of_terms, square_of_terms
from gradstep.rows.layouts.table import TableRows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TermRows"]


class TermRows(NamedTuple):
    """Rows of `TableRows`, and features that few rows have, with an amount where they do.

    A row has four features of a spline, and one of a number for each level of a category.

    Parameters
    ----------
    values, codes
        As of `TableRows`.
    places : ndarray of shape (n_rows, n_places), int32, C order
        Features, beyond those of numbers and codes; -1 for none. A row has none twice.
    amounts : ndarray of shape (n_rows, n_places), float64 or float32, C order
        What each of them is in that row.
    width : int
        Number of features.
    """

    values: Any
    codes: Any
    places: Any
    amounts: Any
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
        each = self.places.itemsize + self.amounts.itemsize
        return self._table().row_bytes() + int(self.places.shape[1] * each)

    def tile_rows(self) -> int:
        """Return how many rows a tile should have, as of `TableRows`."""
        fitting = 16384 // max(1, self.row_bytes())
        return max(8, min(fitting // 4 * 4, 256))

    def take(self, order: Any) -> TermRows:
        """Return a copy with the rows in another order."""
        return self._of([part[order] for part in self[:4]])

    def part(self, lo: int, hi: int) -> TermRows:
        """Return the rows at positions lo to hi, without a copy."""
        return self._of([part[lo:hi] for part in self[:4]])

    @classmethod
    def joined(cls, parts: Sequence[TermRows]) -> TermRows:
        """Return the rows of several, one after another."""
        each: Any = zip(*(part[:4] for part in parts), strict=True)
        values, codes, places, amounts = map(np.concatenate, each)
        return cls(values, codes, places, amounts, parts[0].width)

    def square_norms(self) -> Any:
        """Return ‖x‖² of each row."""
        amounts = np.where(self.places >= 0, self.amounts, 0.0)
        own = np.einsum("ij,ij->i", amounts, amounts, dtype=np.float64)
        return self._table().square_norms() + own

    def without_features(self) -> TermRows:
        """Return as many rows without any feature: their scores are the intercept."""
        n = self.n_rows
        none, codes = np.empty((n, 0), self.values.dtype), np.empty((n, 0), np.int32)
        return TermRows(none, codes, codes, np.empty((n, 0), self.amounts.dtype), 0)

    def _of(self, arrays: Sequence[Any]) -> TermRows:
        values, codes, places, amounts = arrays
        return TermRows(values, codes, places, amounts, self.width)

    def _table(self) -> TableRows:
        return TableRows(self.values, self.codes, self.width)

    def tile_scores(self, order: Any, lo: int, hi: int, params: Any, k: int, z: Any) -> None:
        """Write the scores of rows ``order[lo:hi]`` to z."""
        places, amounts, p = self.places, self.amounts, self.width
        columns = places.shape[1]
        last = order.size - 1
        far = min(hi - 1 + AHEAD, last)
        if order[far] != order[lo] + (far - lo):  # else the processor sees them coming
            lines = min(columns * places.itemsize // LINE + 1, MOST_LINES)
            amount_lines = min(columns * amounts.itemsize // LINE + 1, MOST_LINES)
            stride, amount_stride = LINE // places.itemsize, LINE // amounts.itemsize
            for i in range(lo, hi):
                coming = order[min(i + AHEAD, last)]
                for line in range(lines):
                    prefetch(places, coming * columns + line * stride)
                for line in range(amount_lines):
                    prefetch(amounts, coming * columns + line * amount_stride)
        tile_scores(TableRows(self.values, self.codes, p), order, lo, hi, params, k, z)
        for i in range(lo, hi):
            r = order[i]
            for c in range(k):
                z[(i - lo) * k + c] += dot_of_terms(places, amounts, r, params, c * p)

    def add_gradient(
        self, order: Any, lo: int, hi: int, slopes: Any, k: int, gradient: Any
    ) -> None:
        """Add slope times row to the gradient."""
        places, amounts, p = self.places, self.amounts, self.width
        columns = places.shape[1]
        add_gradient(TableRows(self.values, self.codes, p), order, lo, hi, slopes, k, gradient)
        for i in range(lo, hi):
            r = order[i]
            for c in range(k):
                w = c * p
                g = slopes[(i - lo) * k + c]
                for q in range(columns):
                    place = places[r, q]
                    if place >= 0:
                        gradient[as_index(w + place)] += g * amounts[r, q]

    def spread(self, order: Any, lo: int, hi: int, shift: Any, scale: Any, out: Any) -> None:
        """Write ``x·scale`` of rows ``order[lo:hi]`` to columns of `out`; nothing is shifted."""
        places, amounts = self.places, self.amounts
        spread(TableRows(self.values, self.codes, self.width), order, lo, hi, shift, scale, out)
        for i in range(lo, hi):
            r = order[i]
            for q in range(places.shape[1]):
                place = places[r, q]
                if place >= 0:
                    out[as_index(place), i - lo] += amounts[r, q] * scale[as_index(place)]

    def add_squares(self, order: Any, lo: int, hi: int, weights: Any, k: int, squares: Any) -> None:
        """Add weight times the squares of rows ``order[lo:hi]``."""
        places, amounts, p = self.places, self.amounts, self.width
        add_squares(TableRows(self.values, self.codes, p), order, lo, hi, weights, k, squares)
        for i in range(lo, hi):
            r = order[i]
            for c in range(k):
                weight = weights[(i - lo) * k + c]
                for q in range(places.shape[1]):
                    place = places[r, q]
                    if place >= 0:
                        amount = np.float64(amounts[r, q])
                        squares[as_index(c * p + place)] += weight * amount * amount

    def add_products(self, order: Any, lo: int, hi: int, weights: Any, matrix: Any) -> None:
        """Add weight times x·xᵀ of rows ``order[lo:hi]`` to a lower triangle."""
        x, codes, p = self.values, self.codes, self.width
        places, amounts = self.places, self.amounts
        columns = places.shape[1]
        add_products(TableRows(x, codes, p), order, lo, hi, weights, matrix)
        for i in range(lo, hi):
            r = order[i]
            for a in range(columns):
                j = places[r, a]
                if j < 0:
                    continue
                own = weights[i - lo] * amounts[r, a]
                for t in range(x.shape[1]):
                    matrix[j, t] += own * x[r, t]
                for q in range(codes.shape[1]):
                    code = codes[r, q]
                    if code >= 0:
                        matrix[j, code] += own
                for b in range(a + 1):
                    other = places[r, b]
                    if other >= 0:
                        also = own * amounts[r, b]
                        matrix[max(j, other), min(j, other)] += also
                matrix[p, j] += own

    def write_squares(self, order: Any, lo: int, hi: int, scale: Any, out: Any) -> None:
        """Write the sum of squares of each row ``order[lo:hi]``, scaled."""
        places, amounts = self.places, self.amounts
        table = TableRows(self.values, self.codes, self.width)
        write_squares(table, order, lo, hi, scale, out)
        for i in range(lo, hi):
            out[i] += square_of_terms(places, amounts, order[i], scale)

    def n_touched(self, n: int) -> int:
        """Return how many features n rows have at most."""
        return self._table().n_touched(n) + int(n * self.places.shape[1])

    def list_touched(
        self, order: Any, lo: int, hi: int, since: Any, now: int, features: Any, before: Any
    ) -> int:
        """List the features of rows ``order[lo:hi]``, each once, and mark them in `since`."""
        places = self.places
        table = TableRows(self.values, self.codes, self.width)
        n = list_touched(table, order, lo, hi, since, now, features, before)
        for i in range(lo, hi):
            r = order[i]
            for q in range(places.shape[1]):
                place = places[r, q]
                if place >= 0:
                    j = as_index(place)
                    features[n] = place
                    before[n] = since[j]
                    n += since[j] != now
                    since[j] = now
        return n

    def room_for(self, order: Any, buffer: TermRows | None) -> TermRows:
        """Return `buffer` if these rows fit into it, else a new one."""
        if buffer is not None and buffer.n_rows >= order.size:
            return buffer
        return self._of([np.empty((order.size, each.shape[1]), each.dtype) for each in self[:4]])

    def copy_rows(self, order: Any, lo: int, hi: int, buffer: Any) -> None:
        """Copy the rows ``order[lo:hi]``, one after another, to the buffer."""
        p, places, amounts = self.width, self.places, self.amounts
        to_places, to_amounts = buffer.places, buffer.amounts
        table = TableRows(self.values, self.codes, p)
        copy_rows(table, order, lo, hi, TableRows(buffer.values, buffer.codes, p))
        for i in range(lo, hi):
            r = order[i]
            for q in range(places.shape[1]):
                to_places[i - lo, q] = places[r, q]
                to_amounts[i - lo, q] = amounts[r, q]
