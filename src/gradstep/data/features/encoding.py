"""Columns → features: what became of each column, kept with the model (`decision` decides it).

A number becomes (x - mean) / deviation, so that no column's unit matters to the steps; where
it was ever missing, it is then the mean, and a second feature says so. A category becomes one
feature for each of its levels, of which a row has one (a code; no one-hot matrix is ever built).
A date becomes its number of days, and month, weekday and hour as levels.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from gradstep.data.features.profile import (
    as_days,
    as_floats,
    date_part,
)
from gradstep.data.formats.date_format import DateFormat, IsoDates
from gradstep.data.formats.number_format import NumberFormat
from gradstep.data.from_json import is_text, record
from gradstep.data.kernels.columns import standardise
from gradstep.data.preparing.options import MOST_FEATURES, MOST_HASH_BITS
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows, TableRows

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gradstep.rows.layouts import Rows

__all__ = [
    "Encoded",
    "Encoding",
    "HashColumn",
    "LeftOut",
    "LevelColumn",
    "NumberColumn",
]

HASH_BITS = 18
_OTHER, _MISSING = "(other)", "(missing)"


@dataclass(frozen=True)
class NumberColumn:
    """A number: one feature, and a second one for missing where it was found missing.

    `part` is "days" for those of a date.
    """

    source: str
    mean: float
    scale: float
    indicator: bool = False
    part: str = ""

    @property
    def name(self) -> str:
        """What the feature is called."""
        return f"{self.source} {self.part}".strip()


@dataclass(frozen=True)
class LevelColumn:
    """A category: one feature for each level; then for all others, and for missing."""

    source: str
    levels: tuple[str, ...]
    other: bool = False
    missing: bool = False
    part: str = ""

    @cached_property
    def names(self) -> list[str]:
        """What the features are called."""
        column = f"{self.source} {self.part}".strip()
        more = [_OTHER] * self.other + [_MISSING] * self.missing
        return [f"{column}={level}" for level in (*self.levels, *more)]


@dataclass(frozen=True)
class HashColumn:
    """A category of very many levels: 2^bits features, which levels share by chance."""

    source: str
    bits: int = HASH_BITS


@dataclass(frozen=True)
class LeftOut:
    """A column that is not used, and why."""

    source: str
    reason: str


_KINDS: dict[str, Any] = {c.__name__: c for c in (NumberColumn, LevelColumn, HashColumn, LeftOut)}


_FORMATS: dict[str, Any] = {f.__name__: f for f in (NumberFormat, DateFormat, IsoDates)}


def format_of(fields: Mapping[str, Any]) -> NumberFormat | DateFormat | IsoDates:
    """Return the format that `to_json` wrote, if it is one."""
    given = {k: v for k, v in fields.items() if k not in {"column", "kind"}}
    found: NumberFormat | DateFormat | IsoDates = record(_FORMATS[fields["kind"]], given)
    found.check()
    return found


class Encoded(NamedTuple):
    """Rows in numbers: values (n, numbers), codes (n, columns)."""

    values: NDArray[Any]
    codes: NDArray[np.int32]


@dataclass(frozen=True)
class Encoding:
    """What becomes of each column.

    Attributes
    ----------
    columns : tuple
        `NumberColumn`, `LevelColumn`, `HashColumn` or `LeftOut`: in the order of the table, but
        for those that were left out unseen, which come first.
    single : bool
        Whether values are float32, as those of the source were.
    formats : tuple of (str, format)
        Columns of text that hold numbers or dates, and how these are written; the target, weight
        and offset, too.
    na : tuple of str
        Values that are missing, as the user said.
    """

    columns: tuple[Any, ...]
    single: bool = False
    formats: tuple[tuple[str, NumberFormat | DateFormat | IsoDates], ...] = ()
    na: tuple[str, ...] = ()

    @cached_property
    def numbers(self) -> list[NumberColumn]:
        """The numbers."""
        return [c for c in self.columns if isinstance(c, NumberColumn)]

    @cached_property
    def coded(self) -> list[LevelColumn | HashColumn]:
        """The categories."""
        return [c for c in self.columns if isinstance(c, (LevelColumn, HashColumn))]

    @cached_property
    def n_values(self) -> int:
        """Features that are numbers: the numbers, then what says that one was missing."""
        return len(self.numbers) + sum(c.indicator for c in self.numbers)

    @cached_property
    def starts(self) -> list[int]:
        """The first feature of each category, and one past the last."""
        sizes = [1 << c.bits if isinstance(c, HashColumn) else len(c.names) for c in self.coded]
        return [self.n_values + size for size in np.cumsum([0, *sizes]).tolist()]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.starts[-1]

    @property
    def sources(self) -> list[str]:
        """The columns that are read."""
        return list(dict.fromkeys(c.source for c in self.columns if not isinstance(c, LeftOut)))

    def source_of(self, index: int) -> str:
        """Return the column that a feature comes from."""
        if index < len(self.numbers):
            return self.numbers[index].source
        if index < self.n_values:
            return [c for c in self.numbers if c.indicator][index - len(self.numbers)].source
        return self.coded[int(np.searchsorted(self.starts, index, side="right")) - 1].source

    def feature_name(self, index: int) -> str:
        """Return what a feature is called: ``age``, ``age is missing``, ``colour=red``."""
        if index < len(self.numbers):
            return self.numbers[index].name
        if index < self.n_values:
            missing = [c for c in self.numbers if c.indicator]
            return f"{missing[index - len(self.numbers)].name} is missing"
        at = int(np.searchsorted(self.starts, index, side="right")) - 1
        column = self.coded[at]
        inside = index - self.starts[at]
        if isinstance(column, HashColumn):
            return f"{column.source}#{inside}"
        return column.names[inside]

    def feature_names(self) -> list[str]:
        """Return what the features are called."""
        return [self.feature_name(j) for j in range(self.n_features)]

    def encode(self, frame: pl.DataFrame, unseen: Counter[str] | None = None) -> Encoded:
        """Return rows in numbers.

        Parameters
        ----------
        frame : polars.DataFrame
            With (at least) the columns `sources`.
        unseen : Counter, optional
            Counts, by column, the values that training did not see: they contribute nothing.
        """
        n = frame.height
        values = np.empty((n, self.n_values), np.float32 if self.single else np.float64)
        codes = np.empty((n, len(self.coded)), np.int32)
        flag = len(self.numbers)
        for j, number in enumerate(self.numbers):
            x = as_days(frame[number.source]) if number.part else as_floats(frame[number.source])
            gone = standardise(x, number.mean, number.scale, values, j)
            if number.indicator:
                values[:, flag] = np.isnan(x)
                flag += 1
            elif gone and unseen is not None:
                unseen[number.source] += gone
        for q, column in enumerate(self.coded):
            series = frame[column.source]
            if isinstance(column, HashColumn):
                codes[:, q] = _hashed(series, column) + self.starts[q]
                continue
            if column.part:
                series = date_part(series, column.part)
            codes[:, q] = _codes(series, column, self.starts[q], unseen)
        return Encoded(values, codes)

    def rows(self, encoded: Encoded) -> Rows:
        """Return encoded rows in the layout that kernels read."""
        if not self.coded:
            return DenseRows(encoded.values)
        return TableRows(encoded.values, encoded.codes, self.n_features)

    def dataset(self, arrays: Mapping[str, Any], *, shuffled: bool) -> Dataset:
        """Return the dataset whose parts are these arrays."""
        rows = self.rows(Encoded(arrays["values"], arrays["codes"]))
        return Dataset(rows, arrays["y"], arrays.get("weight"), shuffled=shuffled)

    def check(self, arrays: Mapping[str, Any]) -> bool:
        """Tell whether every code is one of a feature: kernels do not check."""
        codes = arrays["codes"]
        return not codes.size or (int(codes.min()) >= -1 and int(codes.max()) < self.n_features)

    def layout(self, n: int) -> dict[str, tuple[tuple[int, ...] | None, Any]]:
        """Return shape and type of the arrays of n rows."""
        return {
            "values": ((n, self.n_values), np.float32 if self.single else np.float64),
            "codes": ((n, len(self.coded)), np.int32),
            "y": ((n, 1), np.float64),
        }

    def stored_in(self) -> NDArray[np.float64]:
        """Return what each feature's numbers were divided by; 1 for levels and indicators."""
        stored = np.ones(self.n_features)
        stored[: len(self.numbers)] = [c.scale for c in self.numbers]
        return stored

    def in_units(
        self, coef: NDArray[np.float64], intercept: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return coefficients (k, p) and intercepts (k,) in the columns' own units.

        A missing number counts as the column's mean there, too.
        """
        scale = np.array([c.scale for c in self.numbers])
        mean = np.array([c.mean for c in self.numbers])
        coef = coef.copy()
        coef[:, : scale.size] /= scale
        shift = coef[:, : scale.size] @ mean
        return coef, intercept - shift

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        columns = [{"kind": type(c).__name__, **asdict(c)} for c in self.columns]
        found: dict[str, Any] = {"columns": columns, "single": self.single}
        if self.formats:
            found["formats"] = [
                {"column": column, "kind": type(f).__name__, **f.to_json()}
                for column, f in self.formats
            ]
        return found | ({"na": list(self.na)} if self.na else {})

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Encoding:
        """Return the encoding that `to_json` wrote."""
        columns = [
            record(_KINDS[fields["kind"]], {k: v for k, v in fields.items() if k != "kind"})
            for fields in content["columns"]
        ]
        formats = tuple(
            (fields["column"], format_of(fields)) for fields in content.get("formats", ())
        )
        na = tuple(content.get("na", ()))
        if not all(is_text(value) for value in (*na, *(column for column, _ in formats))):
            msg = "na and the columns of formats are text"
            raise ValueError(msg)
        encoding = cls(tuple(columns), bool(content["single"]), formats, na)
        encoding.check_sizes()
        return encoding

    def check_sizes(self) -> None:
        """Refuse columns that cannot be encoded as they say.

        Raises
        ------
        ValueError
            If a number is divided by nothing, a level comes twice, a hash has too many bits, or
            the codes of all features do not fit into 32 bits.
        """
        dates = {c.source for c in self.numbers if c.part}
        wrong = [c.source for c in self.numbers if not c.scale > 0.0]
        for c in self.coded:
            if isinstance(c, HashColumn):
                good = 1 <= c.bits <= MOST_HASH_BITS
            else:
                good = len(set(c.levels)) == len(c.levels) and (not c.part or c.source in dates)
            wrong += [] if good else [c.source]
        if wrong:
            msg = f"column {wrong[0]!r} cannot be encoded as it says"
            raise ValueError(msg)
        if self.n_features > MOST_FEATURES:
            msg = f"{self.n_features:,} features are more than {MOST_FEATURES:,}"
            raise ValueError(msg)


def _codes(
    series: pl.Series, column: LevelColumn, start: int, unseen: Counter[str] | None
) -> NDArray[np.int32]:
    text = series.cast(pl.String)
    level = text.cast(pl.Enum(column.levels), strict=False).to_physical()
    found = level.cast(pl.Int32).fill_null(-1).to_numpy().copy()
    n_levels = len(column.levels)
    gone = series.is_null().to_numpy()
    unknown = (found < 0) & ~gone
    if unknown.any():
        if column.other:
            found[unknown] = n_levels
        elif unseen is not None:
            unseen[column.source] += int(unknown.sum())
    if gone.any():
        if column.missing:
            found[gone] = n_levels + column.other
        elif unseen is not None and not column.part:  # of a date, the days count it
            unseen[column.source] += int(gone.sum())
    return np.where(found >= 0, found + start, -1).astype(np.int32)


def _hashed(series: pl.Series, column: HashColumn) -> NDArray[np.int64]:
    """Return a bucket for each value: BLAKE2b of column and value, the same everywhere."""
    text = series.cast(pl.String)
    distinct = text.unique()
    mask = (1 << column.bits) - 1

    def bucket(value: str | None) -> int:
        key = f"{column.source}\0{_MISSING if value is None else '=' + value}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") & mask

    buckets = [bucket(value) for value in distinct.to_list()]
    lookup = pl.DataFrame({"value": distinct, "bucket": buckets})
    joined = pl.DataFrame({"value": text}).join(
        lookup, on="value", how="left", nulls_equal=True, maintain_order="left"
    )
    return joined["bucket"].to_numpy()
