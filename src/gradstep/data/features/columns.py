"""What a column of a table may become, on its own: a number, levels, a hash, or nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gradstep.data.features.profile import as_days, as_floats, date_part
from gradstep.errors import InvalidTable

if TYPE_CHECKING:
    from collections import Counter

    from numpy.typing import NDArray

__all__ = [
    "HASH_BITS",
    "MOST_HASH_BITS",
    "HashColumn",
    "LeftOut",
    "LevelColumn",
    "LogColumn",
    "NumberColumn",
]

HASH_BITS, MOST_HASH_BITS = 18, 24
_OTHER, _MISSING = "(other)", "(missing)"


class _OfColumn:
    """What is called after the column that it is of, and the part of it."""

    source: str
    part: str

    @property
    def name(self) -> str:
        """What the feature, or the category, is called."""
        return f"{self.source} {self.part}".strip()

    @property
    def group(self) -> str:
        """What it counts as a part of, where importance is told."""
        return self.source


@dataclass(frozen=True)
class NumberColumn(_OfColumn):
    """A number: one feature, and a second one for missing where it was found missing.

    `part` is "days" for those of a date.
    """

    source: str
    mean: float
    scale: float
    indicator: bool = False
    part: str = ""

    def read(self, frame: pl.DataFrame) -> NDArray[np.floating]:
        """Return the column's numbers; NaN where missing."""
        series = frame[self.source]
        return as_days(series) if self.part else as_floats(series)


@dataclass(frozen=True)
class LogColumn(NumberColumn):
    """The logarithm of a number, in its place; mean and scale are those of the logarithm."""

    @property
    def name(self) -> str:
        """What the feature is called."""
        return f"log({self.source})"

    def read(self, frame: pl.DataFrame) -> NDArray[np.floating]:
        """Return the logarithms of the column's numbers; NaN where missing."""
        x = super().read(frame)
        low = x <= 0.0
        if low.any():
            msg = (
                f"Column {self.source!r} has the value {x[low][0]:g}, of which there is no "
                "logarithm; the model takes that of the column (a term, log). Correct the value, "
                "or make it missing."
            )
            raise InvalidTable(msg)
        logarithms: NDArray[np.floating] = np.log(x)
        return logarithms


@dataclass(frozen=True)
class LevelColumn(_OfColumn):
    """A category: one feature for each level; then for all others, and for missing."""

    source: str
    levels: tuple[str, ...]
    other: bool = False
    missing: bool = False
    part: str = ""

    @cached_property
    def names(self) -> list[str]:
        """What the features are called."""
        more = [_OTHER] * self.other + [_MISSING] * self.missing
        return [f"{self.name}={level}" for level in (*self.levels, *more)]

    @property
    def size(self) -> int:
        """How many features it has."""
        return len(self.names)

    def check(self) -> bool:
        """Tell whether each level comes once."""
        return len(set(self.levels)) == len(self.levels)

    def codes(self, frame: pl.DataFrame, unseen: Counter[str] | None) -> NDArray[np.int32]:
        """Return for each row the number of its level; -1 for one that training did not see."""
        series = frame[self.source]
        if self.part:
            series = date_part(series, self.part)
        text = series.cast(pl.String)
        level = text.cast(pl.Enum(self.levels), strict=False).to_physical()
        found = level.cast(pl.Int32).fill_null(-1).to_numpy().copy()
        n_levels = len(self.levels)
        gone = series.is_null().to_numpy()
        unknown = (found < 0) & ~gone
        if unknown.any():
            if self.other:
                found[unknown] = n_levels
            elif unseen is not None:
                unseen[self.source] += int(unknown.sum())
        if gone.any():
            if self.missing:
                found[gone] = n_levels + self.other
            elif unseen is not None and not self.part:  # of a date, the days count it
                unseen[self.source] += int(gone.sum())
        return found


@dataclass(frozen=True)
class HashColumn:
    """A category of very many levels: 2^bits features, which levels share by chance."""

    source: str
    bits: int = HASH_BITS

    @property
    def name(self) -> str:
        """What the column is called."""
        return self.source

    @property
    def group(self) -> str:
        """What it counts as a part of, where importance is told."""
        return self.source

    @property
    def size(self) -> int:
        """How many features it has."""
        return 1 << self.bits

    def check(self) -> bool:
        """Tell whether there can be so many buckets."""
        return 1 <= self.bits <= MOST_HASH_BITS

    def codes(self, frame: pl.DataFrame, _unseen: Counter[str] | None) -> NDArray[np.int32]:
        """Return a bucket for each row: BLAKE2b of column and value, the same everywhere."""
        text = frame[self.source].cast(pl.String)
        distinct = text.unique()
        mask = (1 << self.bits) - 1

        def bucket(value: str | None) -> int:
            key = f"{self.source}\0{_MISSING if value is None else '=' + value}".encode()
            return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") & mask

        buckets = [bucket(value) for value in distinct.to_list()]
        lookup = pl.DataFrame({"value": distinct, "bucket": buckets})
        joined = pl.DataFrame({"value": text}).join(
            lookup, on="value", how="left", nulls_equal=True, maintain_order="left"
        )
        return joined["bucket"].cast(pl.Int32).to_numpy()


@dataclass(frozen=True)
class LeftOut:
    """A column that is not used, and why."""

    source: str
    reason: str
