"""Columns that split the rows as a target of two classes does: by a threshold, or by being missing.

What is missing where the target has one class, and nowhere else, was mostly filled in after it; so
was an amount that is 0 for one class, and never for the other.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from gradstep.data.roles import has_value

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Ranges", "Splits", "apart", "merge_ranges", "ranges_of", "widen"]

_HEAD = 1000  # rows in which most columns turn out to split nothing
Ranges = dict[str, tuple[float, float]]


@dataclass
class Splits:
    """The columns that split all rows so far.

    Attributes
    ----------
    missing : dict
        Column to a class, and whether it is missing in all rows of that class and in no other
        (True), or has a value in those alone (False).
    ranges : dict
        Column of numbers to the least and the largest one of each of two classes, which are apart.
    """

    missing: dict[str, tuple[str, bool]] = field(default_factory=dict)
    ranges: dict[str, Ranges] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.missing or self.ranges)

    @classmethod
    def of(
        cls, frame: pl.DataFrame, classes: pl.Series, columns: Collection[str],
        numbers: Collection[str],
    ) -> Splits:  # fmt: skip
        """Return those of the first rows; a threshold is looked for in `numbers` alone."""
        missing = {name: _missing(frame[name], classes) for name in columns}
        ranges = {name: ranges_of(frame[name], classes) for name in numbers}
        return cls(
            {name: found for name, found in missing.items() if found is not None},
            {name: found for name, found in ranges.items() if len(found) == 2 and apart(found)},
        )

    def begun(self) -> Splits:
        """Return the same, to look at other rows: what is known holds in all or in none."""
        return deepcopy(self)

    def confirm(self, frame: pl.DataFrame, classes: pl.Series) -> None:
        """Drop what does not hold in more rows."""
        for name, (label, gone) in list(self.missing.items()):
            if not (((classes == label) == has_value(frame[name])) != gone).all():
                del self.missing[name]
        for name in list(self.ranges):
            widen(self.ranges, name, ranges_of(frame[name], classes))

    def merge(self, other: Splits) -> None:
        """Drop what does not hold in other rows."""
        for name in self.missing.keys() - other.missing.keys():
            del self.missing[name]
        merge_ranges(self.ranges, other.ranges)


def _missing(column: pl.Series, classes: pl.Series) -> tuple[str, bool] | None:
    there = has_value(column)
    if there.all() or not there.any():
        return None
    without, others = (set(classes.filter(of).unique()) for of in (~there, there))
    if without & others or min(len(without), len(others)) > 1:
        return None
    return (without.pop(), True) if len(without) == 1 else (others.pop(), False)


def ranges_of(column: pl.Series, classes: pl.Series) -> Ranges:
    """Return the range of a column in each class; of the first rows, once they overlap there."""
    found: Ranges = {}
    for rows in (min(_HEAD, column.len()), column.len()):
        some = column.head(rows).cast(pl.Float64).fill_nan(None)
        of = classes.head(rows)
        for label in of.drop_nulls().unique():
            x = some.filter(of == label)
            low, high = x.min(), x.max()
            if isinstance(low, float) and isinstance(high, float):
                found[label] = low, high
        if not apart(found):
            break
    return found


def widen(known: dict[str, Ranges], name: str, more: Ranges) -> None:
    """Widen the ranges of a column to hold more; forget it once they overlap."""
    for label, (low, high) in more.items():
        least, most = known[name].get(label, (low, high))
        known[name][label] = min(low, least), max(high, most)
    if not apart(known[name]):
        del known[name]


def merge_ranges(known: dict[str, Ranges], other: dict[str, Ranges]) -> None:
    """Widen the ranges of columns to hold those of other rows; forget columns that these lack."""
    for name in list(known):
        if name in other:
            widen(known, name, other[name])
        else:
            del known[name]


def apart(ranges: Ranges) -> bool:
    """Tell whether all numbers of one class are below those of the next."""
    highest = -math.inf
    for low, high in sorted(ranges.values()):
        if low <= highest:
            return False
        highest = high
    return True
