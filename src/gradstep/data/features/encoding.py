"""Columns → features: what became of each column, kept with the model (`decision` decides it).

A number becomes (x - mean) / deviation, so that no column's unit matters to the steps; where
it was ever missing, it is then the mean, and a second feature says so. A category becomes one
feature for each of its levels, of which a row has one (a code; no one-hot matrix is ever built).
A date becomes its number of days, and month, weekday and hour as levels. Terms are columns that are
made of others, or take the place of one (`terms`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.data.features.columns import (
    HashColumn,
    LeftOut,
    LevelColumn,
    LogColumn,
    NumberColumn,
)
from gradstep.data.features.terms.applied import Terms
from gradstep.data.features.terms.crosses import (
    PairColumn,
    PowerColumn,
    ProductColumn,
    SlopesColumn,
    VaryingColumn,
)
from gradstep.data.features.terms.spline import SplineColumn
from gradstep.data.features.text import TextColumn
from gradstep.data.formats.known import format_of
from gradstep.data.from_json import is_text, record
from gradstep.data.kernels.columns import standardise
from gradstep.data.preparing.options import MOST_FEATURES
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows, TableRows, TermRows

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from gradstep.data.formats.date_format import DateFormat, IsoDates
    from gradstep.data.formats.number_format import NumberFormat
    from gradstep.rows.layouts import Rows

__all__ = [
    "Encoded",
    "Encoding",
    "HashColumn",
    "LeftOut",
    "LevelColumn",
    "NumberColumn",
]

_OF_OTHERS = (PowerColumn, ProductColumn, PairColumn, SlopesColumn, VaryingColumn)
_TERMS = (LogColumn, SplineColumn, TextColumn, *_OF_OTHERS)
_KINDS: dict[str, Any] = {
    c.__name__: c for c in (NumberColumn, LevelColumn, HashColumn, LeftOut, *_TERMS)
}
_MOST_BYTES = 1 << 25  # of rows that are encoded together


class Encoded(NamedTuple):
    """Rows in numbers: values (n, numbers), codes, and places with their amounts.

    The fields of a row layout, but for its width.
    """

    values: NDArray[Any]
    codes: NDArray[np.int32]
    places: NDArray[np.int32]
    amounts: NDArray[Any]


@dataclass(frozen=True)
class Encoding:
    """What becomes of each column.

    Attributes
    ----------
    columns : tuple
        What became of each column in the order of the table, but for those that were left out
        unseen, which come first; then terms that are made of others.
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
    def numbers(self) -> list[Any]:
        """The features that are numbers; powers and products come last."""
        return [
            c for c in self.columns if isinstance(c, (NumberColumn, PowerColumn, ProductColumn))
        ]

    @cached_property
    def read_as_numbers(self) -> list[NumberColumn | SplineColumn]:
        """The columns that are read as numbers or dates."""
        return [c for c in self.columns if isinstance(c, (NumberColumn, SplineColumn))]

    @cached_property
    def coded(self) -> list[LevelColumn | HashColumn | PairColumn]:
        """The categories; pairs of two come last."""
        return [c for c in self.columns if isinstance(c, (LevelColumn, HashColumn, PairColumn))]

    @cached_property
    def categories(self) -> list[LevelColumn | HashColumn]:
        """The columns that are read as categories; not the parts of dates, nor pairs."""
        return [
            c
            for c in self.coded
            if isinstance(c, HashColumn) or (isinstance(c, LevelColumn) and not c.part)
        ]

    @cached_property
    def placed(self) -> list[SplineColumn | TextColumn | SlopesColumn | VaryingColumn]:
        """The columns of which a row has few features, each with an amount."""
        kinds = (SplineColumn, TextColumn, SlopesColumn, VaryingColumn)
        return [c for c in self.columns if isinstance(c, kinds)]

    @cached_property
    def texts(self) -> list[TextColumn]:
        """The columns that are read as words."""
        return [c for c in self.columns if isinstance(c, TextColumn)]

    @property
    def has_terms(self) -> bool:
        """Whether anything is more than a column on its own."""
        return any(isinstance(c, _TERMS) for c in self.columns)

    @cached_property
    def terms(self) -> Terms:
        """The terms, with what they are made of."""
        return Terms(self)

    @cached_property
    def _indicators(self) -> list[NumberColumn | SplineColumn]:
        return [c for c in self.read_as_numbers if c.indicator]

    @cached_property
    def n_values(self) -> int:
        """Features that are numbers: the numbers, then what says that one was missing."""
        return len(self.numbers) + len(self._indicators)

    @cached_property
    def n_places(self) -> int:
        """Features with an amount that a row has, at most."""
        return sum(map(self.terms.n_places, self.placed))

    @cached_property
    def starts(self) -> list[int]:
        """The first feature of each category, then of each column of amounts; one past the last."""
        sizes = [self.terms.size(c) for c in (*self.coded, *self.placed)]
        return [self.n_values + size for size in np.cumsum([0, *sizes]).tolist()]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.starts[-1]

    @property
    def sources(self) -> list[str]:
        """The columns that are read."""
        read = (NumberColumn, SplineColumn, LevelColumn, HashColumn, TextColumn)
        return list(dict.fromkeys(c.source for c in self.columns if isinstance(c, read)))

    def _at(self, index: int) -> tuple[Any, int]:
        """Return the column that a feature is one of, and which of its features it is."""
        if index < len(self.numbers):
            return self.numbers[index], 0
        if index < self.n_values:
            return self._indicators[index - len(self.numbers)], -1
        at = int(np.searchsorted(self.starts, index, side="right")) - 1
        return (*self.coded, *self.placed)[at], index - self.starts[at]

    def source_of(self, index: int) -> str:
        """Return the column that a feature comes from; of a cross the first."""
        source: str = self._at(index)[0].source
        return source

    def feature_name(self, index: int) -> str:
        """Return what a feature is called: ``age``, ``age is missing``, ``colour=red``."""
        column, inside = self._at(index)
        return f"{column.name} is missing" if inside < 0 else self.terms.name(column, inside)

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
        numbers = (number.read(frame) for number in self.read_as_numbers)
        own = [c for c in self.coded if not isinstance(c, PairColumn)]
        levels = (column.codes(frame, unseen) for column in own)
        words = {text.source: text.amounts(frame[text.source]) for text in self.texts}
        return self.encoded(frame.height, numbers, levels, unseen, words)

    def encoded(
        self,
        n: int,
        numbers: Iterable[NDArray[np.floating]],
        levels: Iterable[NDArray[np.int32]],
        unseen: Counter[str] | None = None,
        words: Mapping[str, tuple[NDArray[np.int32], NDArray[np.float64]]] | None = None,
    ) -> Encoded:
        """Return n rows in numbers, from what each column was read as, one after another.

        Parameters
        ----------
        n : int
            How many rows.
        numbers : iterable of ndarray
            Of each column of `read_as_numbers`, NaN where missing.
        levels : iterable of ndarray
            Of each of `coded` but pairs, from 0 on; -1 for none.
        unseen : Counter, optional
            As of `encode`.
        words : mapping, optional
            By column of text, what `TextColumn.amounts` returns; by default no row has a word.
        """
        of_numbers = np.float32 if self.single else np.float64
        values, curves = self._values(n, numbers, unseen)
        codes = np.empty((n, len(self.coded)), np.int32)
        places = np.empty((n, self.n_places), np.int32)
        amounts = np.empty((n, self.n_places), of_numbers)
        own = [c for c in self.coded if not isinstance(c, PairColumn)]  # pairs come after them
        for q, (_, found) in enumerate(zip(own, levels, strict=True)):
            codes[:, q] = np.where(found >= 0, found + self.starts[q], -1)
        if self.has_terms:
            self.terms.fill_numbers(values, curves)
            self.terms.fill_codes(codes)
            self.terms.fill_places(values, codes, curves, words or {}, places, amounts)
        return Encoded(values, codes, places, amounts)

    def _values(
        self, n: int, numbers: Iterable[NDArray[np.floating]], unseen: Counter[str] | None
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Return numbers, scaled, beside each other, and as they are those that have a spline."""
        read = list(zip(self.read_as_numbers, numbers, strict=True))
        curves = {c.source: x for c, x in read if isinstance(c, SplineColumn)}
        plain = [(x, c.mean, c.scale) for c, x in read if not isinstance(c, SplineColumn)]
        values = np.empty((n, self.n_values), np.float32 if self.single else np.float64)
        gone = iter(standardise(plain, values))
        flags = iter(range(len(self.numbers), self.n_values))
        for c, x in read:
            count = int(np.isnan(x).sum()) if isinstance(c, SplineColumn) else next(gone)
            if c.indicator:
                values[:, next(flags)] = np.isnan(x)
            elif count and unseen is not None:
                unseen[c.source] += count
        return values, curves

    def rows(self, encoded: Encoded) -> Rows:
        """Return encoded rows in the layout that kernels read."""
        if self.placed:
            return TermRows(*encoded, self.n_features)
        if not self.coded:
            return DenseRows(encoded.values)
        return TableRows(encoded.values, encoded.codes, self.n_features)

    def dataset(self, arrays: Mapping[str, Any], *, shuffled: bool) -> Dataset:
        """Return the dataset whose parts are these arrays."""
        parts: list[Any] = [arrays.get(name) for name in Encoded._fields]
        rows = self.rows(Encoded(*parts))
        return Dataset(rows, arrays["y"], arrays.get("weight"), shuffled=shuffled)

    def check(self, arrays: Mapping[str, Any]) -> bool:
        """Tell whether every code is one of a feature: kernels do not check."""
        codes = [arrays[name] for name in ("codes", "places") if name in arrays]
        return all(
            not each.size or (int(each.min()) >= -1 and int(each.max()) < self.n_features)
            for each in codes
        )

    def layout(self, n: int) -> dict[str, tuple[tuple[int, ...] | None, Any]]:
        """Return shape and type of the arrays of n rows."""
        of_numbers = np.float32 if self.single else np.float64
        found: dict[str, tuple[tuple[int, ...] | None, Any]] = {
            "values": ((n, self.n_values), of_numbers),
            "codes": ((n, len(self.coded)), np.int32),
        }
        if self.placed:
            found["places"] = (n, self.n_places), np.int32
            found["amounts"] = (n, self.n_places), of_numbers
        return found | {"y": ((n, 1), np.float64)}

    @property
    def row_bytes(self) -> int:
        """Memory of an encoded row, without its target."""
        number = 4 if self.single else 8
        return number * self.n_values + 4 * len(self.coded) + (4 + number) * self.n_places

    def spans(self, n: int) -> Iterator[slice]:
        """Yield ranges of n rows that take little memory once they are encoded."""
        step = max(1, _MOST_BYTES // max(1, self.row_bytes))
        return (slice(first, min(first + step, n)) for first in range(0, max(n, 1), step))

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
        intercept = intercept - coef[:, : scale.size] @ mean
        if self.has_terms:
            self.terms.to_units(coef, intercept)
        return coef, intercept

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
        ValueError, KeyError
            If a number is divided by nothing, a level comes twice, a hash has too many bits, knots
            do not rise, a term is made of what there is not, or the codes of all features do not
            fit into 32 bits.
        """
        dates = {c.source for c in self.read_as_numbers if c.part}
        once = [c.source for c in (*self.read_as_numbers, *self.categories, *self.texts)]
        of_others = [isinstance(c, _OF_OTHERS) for c in self.columns]
        if len(set(once)) < len(once) or of_others != sorted(of_others):
            msg = "a column is read twice, or terms come before what they are made of"
            raise ValueError(msg)
        wrong = [c.source for c in self.numbers if not c.scale > 0.0]
        wrong += [c.source for c in self.columns if hasattr(c, "check") and not c.check()]
        levels = [c for c in self.coded if isinstance(c, LevelColumn)]
        wrong += [c.source for c in levels if c.part and c.source not in dates]
        if wrong:
            msg = f"column {wrong[0]!r} cannot be encoded as it says"
            raise ValueError(msg)
        if self.n_features > MOST_FEATURES:
            msg = f"{self.n_features:,} features are more than {MOST_FEATURES:,}"
            raise ValueError(msg)
