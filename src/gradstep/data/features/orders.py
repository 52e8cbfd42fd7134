"""Columns that order the rows as a target that is a number does: its logarithm, its bands.

A column of numbers is compared with some rows of the first chunk: no row with a larger target than
one of them may have a smaller number. Levels have ranges of the target, which may not overlap.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gradstep.data.features.splits import Ranges, apart, merge_ranges, ranges_of, widen

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

__all__ = ["Orders"]

_HEAD = 1000  # rows in which most columns turn out to have another order
_MARKS = 1024  # rows of the first chunk that later ones are compared with
_FEWEST_ROWS = 50
_MANY_VALUES = 10  # fewer only split the rows: by chance, if those are few
_SHOWN = 3
_FEWEST_SPLIT, _FEWEST_OTHERS = 200, 20  # rows, and rows that do not have the most frequent value


@dataclass(frozen=True)
class _Marks:
    """Some targets in rising order, and the range of the column's numbers up to and from each.

    Attributes
    ----------
    sign : float
        -1 if the column falls where the target rises.
    y : ndarray of float64
        The targets.
    highest, lowest : ndarray of float64
        The highest number of rows up to that target, and the lowest one from it on.
    """

    sign: float
    y: NDArray[np.float64]
    highest: NDArray[np.float64]
    lowest: NDArray[np.float64]

    @classmethod
    def of(cls, x: NDArray[np.float64], y: NDArray[np.float64], sign: float) -> _Marks:
        """Return the marks of rows."""
        order = np.lexsort((sign * x, y))
        y, x = y[order], (sign * x)[order]
        ends = np.flatnonzero(np.r_[y[1:] != y[:-1], True])
        ends = ends[np.unique(np.linspace(0, ends.size - 1, _MARKS).astype(np.intp))]
        starts = np.searchsorted(y, y[ends])
        highest, lowest = np.maximum.accumulate(x), np.minimum.accumulate(x[::-1])[::-1]
        return cls(sign, y[ends], highest[ends], lowest[starts])

    def hold(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
        """Tell whether rows lie between the marks on both of their sides."""
        below = np.searchsorted(self.y, y)  # marks with a smaller target
        above = np.searchsorted(self.y, y, side="right")
        highest = np.r_[-np.inf, self.highest][below]
        lowest = np.r_[self.lowest, np.inf][above]
        return bool(((highest <= self.sign * x) & (self.sign * x <= lowest)).all())


@dataclass
class Orders:
    """The columns that order all rows so far as the target does.

    Attributes
    ----------
    numbers : dict
        Column of numbers to what later rows are compared with.
    levels : dict
        Column of levels to the range of the target that each has.
    """

    numbers: dict[str, _Marks] = field(default_factory=dict)
    levels: dict[str, Ranges] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.numbers or self.levels)

    @classmethod
    def of(
        cls, frame: pl.DataFrame, target: pl.Series, numbers: Collection[str],
        levels: Collection[str],
    ) -> Orders:  # fmt: skip
        """Return those of the first rows."""
        y = target.cast(pl.Float64)
        found = cls()
        if y.len() < _FEWEST_ROWS or y.n_unique() <= 2:
            return found
        for name in numbers:
            marks = _marks(frame[name].cast(pl.Float64), y)
            if marks is not None:
                found.numbers[name] = marks
        for name in levels:
            ranges = ranges_of(y, frame[name].cast(pl.String))
            if apart(ranges) and _says_much(frame[name]):
                found.levels[name] = ranges
        return found

    def begun(self) -> Orders:
        """Return the same, to look at other rows: what is known holds in all or in none."""
        return deepcopy(self)

    def confirm(self, frame: pl.DataFrame, target: pl.Series) -> None:
        """Drop what does not hold in more rows."""
        y = target.cast(pl.Float64)
        for name, marks in list(self.numbers.items()):
            if not marks.hold(*_there(frame[name].cast(pl.Float64), y)):
                del self.numbers[name]
        for name in list(self.levels):
            widen(self.levels, name, ranges_of(y, frame[name].cast(pl.String)))

    def merge(self, other: Orders) -> None:
        """Drop what does not hold in other rows."""
        for name in self.numbers.keys() - other.numbers.keys():
            del self.numbers[name]
        merge_ranges(self.levels, other.levels)

    def in_words(self, name: str, target: str) -> str:
        """Return what a column does; nothing if it does not order the rows."""
        if name in self.numbers:
            other = "falls" if self.numbers[name].sign > 0.0 else "rises"
            return f"never {other} where {target!r} rises"
        if name not in self.levels:
            return ""
        ranges = sorted(self.levels[name].items(), key=lambda each: each[1])
        some = [f"{level} is {low:g} to {high:g}" for level, (low, high) in ranges[:_SHOWN]]
        more = ", …" if len(ranges) > _SHOWN else ""
        return f"says in which range {target!r} is ({', '.join(some)}{more})"


def _there(x: pl.Series, y: pl.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows that have a number."""
    numbers = x.to_numpy()  # missing is NaN
    there = ~np.isnan(numbers)
    return numbers[there], y.to_numpy()[there]


def _marks(column: pl.Series, target: pl.Series) -> _Marks | None:
    """Return what later rows are compared with; None if these rows have another order."""
    sign = 0.0
    for rows in (min(_HEAD, column.len()), column.len()):
        x, y = _there(column.head(rows), target.head(rows))
        if x.size < _FEWEST_ROWS:
            return None
        sign = 1.0 if x[y.argmax()] > x[y.argmin()] else -1.0
        if (np.diff((sign * x)[np.lexsort((sign * x, y))]) < 0.0).any():
            return None
    return _Marks.of(x, y, sign) if _says_much(column.fill_nan(None)) else None


def _says_much(column: pl.Series) -> bool:
    """Tell whether a column has so many values that it does not order the rows by chance."""
    there = column.drop_nulls()
    values, rows = there.n_unique(), there.len()
    if values >= _MANY_VALUES:
        return rows >= _FEWEST_ROWS
    most = there.alias("value").value_counts(name="n")["n"].to_numpy().max(initial=0)
    return bool(values > 1 and rows >= _FEWEST_SPLIT and rows - most >= _FEWEST_OTHERS)
