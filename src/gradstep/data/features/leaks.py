"""Columns that give the target away: by what they do, whatever they are called or look like.

A recoded target is found by its values: each level of the column has one class, and each class one
level. So is a level that all rows of one class alone have, and a column that splits the rows as the
classes do (splits.py) or orders them as a target that is a number does (orders.py). All are read
off the first chunk and have to hold in all others, so that a column that has nothing to do with it
costs next to nothing.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from gradstep.data.features.orders import Orders
from gradstep.data.features.profile import LevelProfile, NumberProfile
from gradstep.data.features.splits import Splits
from gradstep.diagnostics.of_tables import LEAK
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["LeakSearch"]

_MOST_CLASSES, _MOST_LEVELS = 50, 1000
_HEAD = 1000  # rows that tell whether a column has few levels
_FEWEST_ROWS, _FEWEST_OF_LEVEL, _ROWS_A_CLASS = 20, 5, 5
_FEWEST_SPLIT, _FEWEST_OF_CLASS = 200, 20  # rows that a threshold splits
_BY_CHANCE = math.log(1e-9)  # that rows of a level have one class
_LEAKS = 0.9999
_SHOWN = 3


def _text(column: pl.Series) -> pl.Series:
    """Return values as text, whole numbers without a fraction."""
    text = column.cast(pl.String)
    return text.str.strip_suffix(".0") if column.dtype.is_float() else text


@dataclass
class LeakSearch:
    """The columns that may give the target away, so far.

    Attributes
    ----------
    recoded : dict
        Column to the class of each of its levels: one level for each class.
    deciding : dict
        Column to the levels that decide the class: the class, and how many rows.
    shares : dict
        The share of each class in the first rows.
    splits : Splits
        The columns that split the rows as the classes do.
    orders : Orders
        The columns that order the rows as the target does.
    """

    recoded: dict[str, dict[str, str]] | None = None
    deciding: dict[str, dict[str, tuple[str, int]]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    splits: Splits = field(default_factory=Splits)
    orders: Orders = field(default_factory=Orders)

    def add(self, frame: pl.DataFrame, target: pl.Series, profiles: Mapping[str, Any]) -> None:
        """Look at more rows."""
        if frame.is_empty():
            return
        if self.recoded is None:
            self.recoded = {}
            if target.dtype.is_numeric():
                self._begin_orders(frame, target, profiles)
            if frame.height >= _FEWEST_ROWS and target.head(_HEAD).n_unique() <= _MOST_CLASSES:
                self._begin(frame, target, profiles)
        else:
            if self.orders:
                self.orders.confirm(frame, target)
            if self.recoded or self.deciding or self.splits:
                self._confirm(frame, _text(target))

    def begun(self) -> LeakSearch:
        """Return a search of the same columns that has looked at no rows."""
        deciding = {
            column: {level: (label, 0) for level, (label, _) in levels.items()}
            for column, levels in self.deciding.items()
        }
        recoded, shares = deepcopy(self.recoded), dict(self.shares)
        return LeakSearch(recoded, deciding, shares, self.splits.begun(), self.orders.begun())

    def merge(self, other: LeakSearch) -> None:
        """Add what is known of later rows, looked at by a search that was `begun` as this one."""
        if self.recoded is None:
            self.recoded, self.deciding, self.shares = other.recoded, other.deciding, other.shares
            self.splits, self.orders = other.splits, other.orders
            return
        self.splits.merge(other.splits)
        self.orders.merge(other.orders)
        for column in list(self.recoded):
            known, found = self.recoded[column], (other.recoded or {}).get(column, {})
            both = {**known, **found}
            same = all(both[level] == label for level, label in known.items())
            if found and same and len(set(both.values())) == len(both):
                self.recoded[column] = both
            else:
                del self.recoded[column]
        for column in list(self.deciding):
            later = other.deciding.get(column, {})
            self.deciding[column] = both_levels = {
                level: (label, n + later[level][1])
                for level, (label, n) in self.deciding[column].items() if level in later
            }  # fmt: skip
            if not both_levels:
                del self.deciding[column]

    def _confirm(self, frame: pl.DataFrame, classes: pl.Series) -> None:
        """Drop what does not hold in more rows."""
        assert self.recoded is not None  # noqa: S101
        self.splits.confirm(frame, classes)
        for column in list(self.recoded):
            known = self.recoded[column]
            for level, found in _pairs(frame[column], classes).items():
                known.setdefault(level, next(iter(found)))
                if set(found) != {known[level]} or len(set(known.values())) < len(known):
                    del self.recoded[column]
                    break
        for column, levels in list(self.deciding.items()):
            some = _text(frame[column]).is_in(list(levels))
            for level, found in _pairs(frame[column].filter(some), classes.filter(some)).items():
                label, n = levels[level]
                levels[level] = label, n + found.pop(label, 0)
                if found:
                    del levels[level]
            if not levels:
                del self.deciding[column]

    def _begin(self, frame: pl.DataFrame, target: pl.Series, profiles: Mapping[str, Any]) -> None:
        classes = _text(target)
        count = dict(classes.alias("class").value_counts(name="n").iter_rows())
        if not 2 <= len(count) <= min(_MOST_CLASSES, frame.height // _ROWS_A_CLASS):
            return
        of_classes = len(count) == 2 or not target.dtype.is_numeric()
        self.shares = {label: n / frame.height for label, n in count.items()}
        assert self.recoded is not None  # noqa: S101
        if of_classes:
            numbers = [c for c, profile in profiles.items() if isinstance(profile, NumberProfile)]
            self.splits = Splits.of(frame, classes, profiles, numbers if len(count) == 2 else [])
        for column, profile in profiles.items():
            if hasattr(profile, "parts") or not _has_few_levels(frame[column]):
                continue
            pairs = _pairs(frame[column], classes)
            pure = {v: next(iter(of.items())) for v, of in pairs.items() if len(of) == 1}
            labels = {label for label, _ in pure.values()}
            if len(pairs) == len(pure) == len(labels) == len(count):
                self.recoded[column] = {level: label for level, (label, _) in pure.items()}
            elif of_classes and isinstance(profile, LevelProfile):
                deciding = {
                    level: (label, n) for level, (label, n) in pure.items()
                    if n >= _FEWEST_OF_LEVEL and 50 * n >= frame.height
                }  # fmt: skip
                if deciding:
                    self.deciding[column] = deciding

    def _begin_orders(
        self, frame: pl.DataFrame, target: pl.Series, profiles: Mapping[str, Any]
    ) -> None:
        kinds = {column: type(profile) for column, profile in profiles.items()}
        numbers = [c for c, kind in kinds.items() if kind is NumberProfile]
        levels = [
            c for c, kind in kinds.items() if kind is LevelProfile and _has_few_levels(frame[c])
        ]
        self.orders = Orders.of(frame, target, numbers, levels)

    def notes(
        self, profiles: Mapping[str, Any], used: Collection[str], target: str
    ) -> Iterator[Note]:
        """Yield what a person should know of columns in use that give the target away."""
        recoded = self.recoded or {}
        for name, profile in profiles.items():
            if name not in used:
                continue
            leave = f"leave it out ({given('drop', [name])})"
            if name in recoded:
                known = recoded[name]
                if all(level == label for level, label in known.items()):
                    what = "is a copy of the target"
                else:
                    some = ", ".join(f"{v} is {c}" for v, c in sorted(known.items())[:_SHOWN])
                    what = f"is the target {target!r} in other words ({some})"
                yield LEAK.note(f"Column {name!r} {what}. Unless it is known before: {leave}.")
            elif hasattr(profile, "numbers") and abs(profile.numbers.correlation) > _LEAKS:
                yield LEAK.note(
                    f"Column {name!r} predicts the target almost perfectly (correlation "
                    f"{profile.numbers.correlation:.6f}). If it is not known when predictions are "
                    f"made, {leave}."
                )
            elif found := (
                self._of_levels(name, target)
                or self._of_missing(name, target, profile.missing)
                or self._of_threshold(name, target, profile)
                or self.orders.in_words(name, target)
            ):
                yield LEAK.note(
                    f"Column {name!r} {found}. If it is not known when predictions are made, "
                    f"{leave}."
                )

    def _of_levels(self, name: str, target: str) -> str:
        levels = [
            (level, label, n) for level, (label, n) in self.deciding.get(name, {}).items()
            if n * math.log(self.shares[label]) < _BY_CHANCE
        ]  # fmt: skip
        levels.sort(key=lambda one: (-one[2], one[0]))
        some = ", ".join(f"{level} is always {label}" for level, label, _ in levels[:_SHOWN])
        rows = sum(n for _, _, n in levels)
        return f"decides {target!r} by itself in {rows:,} rows ({some})" if levels else ""

    def _of_missing(self, name: str, target: str, missing: int) -> str:
        if name not in self.splits.missing:
            return ""
        label, gone = self.splits.missing[name]
        share = self.shares[label] if gone else 1.0 - self.shares[label]
        there = missing * (1.0 - share) / share
        if missing * math.log(share) + there * math.log(1.0 - share) >= _BY_CHANCE:
            return ""
        if gone:
            return (
                f"is missing in all {missing:,} rows where {target!r} is {label}, and in no other"
            )
        return (
            f"has a value in all rows where {target!r} is {label}, and is missing in the "
            f"{missing:,} others"
        )

    def _of_threshold(self, name: str, target: str, profile: Any) -> str:
        ranges = sorted(self.splits.ranges.get(name, {}).items(), key=lambda each: each[1])
        if not ranges or profile.numbers.count < _FEWEST_SPLIT:
            return ""
        if min(self.shares.values()) * profile.numbers.count < _FEWEST_OF_CLASS:
            return ""
        (below, (_, high)), (above, (low, _)) = ranges
        return (
            f"is at most {high:g} wherever {target!r} is {below}, and at least {low:g} wherever it "
            f"is {above}"
        )


def _has_few_levels(column: pl.Series) -> bool:
    """Tell whether a column has few different values, by its first rows."""
    return column.head(_HEAD).n_unique() <= _HEAD // 5


def _pairs(column: pl.Series, classes: pl.Series) -> dict[str, dict[str, int]]:
    """Return how many rows of each level have each class; without those that are missing."""
    pairs = pl.DataFrame({"level": _text(column), "class": classes}).drop_nulls()
    counted = pairs.group_by("level", "class").len().sort("level", "class").head(_MOST_LEVELS)
    found: dict[str, dict[str, int]] = {}
    for level, label, n in counted.iter_rows():
        found.setdefault(level, {})[label] = n
    return found
