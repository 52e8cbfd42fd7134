"""Column profiles: what each column of a table holds, learned in one pass.

Numbers are summed in NumPy's float64, chunk by chunk in the order of the rows (chunks depend on
the data alone), and merged by the formulas of Chan, Golub and LeVeque (1983), so that the
result depends neither on the machine nor on how Polars cuts its work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.data.features.missing import add_missing, add_nulls, merge_missing
from gradstep.data.features.repeats import Repeats
from gradstep.data.features.text import TextProfile
from gradstep.data.kernels.columns import Summary, summarise
from gradstep.errors import InvalidTable
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from gradstep.data.features.terms.counts import ValueCounts
    from gradstep.data.formats.recognition import Spelling

__all__ = [
    "DateProfile",
    "LevelProfile",
    "NumberProfile",
    "Numbers",
    "kind_of",
    "profile_of",
    "summary_of",
]

MOST_COUNTED = 100_000  # distinct values; beyond, they are no longer told apart
_MICROSECONDS_A_DAY = 86_400_000_000.0
_DATE_PARTS = ("month", "weekday", "hour")


def kind_of(dtype: Any) -> str:
    """Return what a column of a Polars type becomes unless asked otherwise."""
    if dtype.is_numeric() or isinstance(dtype, (pl.Boolean, pl.Duration, pl.Time)):
        return "number"
    if isinstance(dtype, (pl.Date, pl.Datetime)):
        return "date"
    if isinstance(dtype, (pl.String, pl.Categorical, pl.Enum)):
        return "category"
    return "nothing"


def as_floats(series: pl.Series) -> NDArray[Any]:
    """Return a column of numbers as float32 if it is, else float64; missing is NaN."""
    if series.dtype == pl.Float32:
        return series.to_numpy()
    if series.dtype == pl.Duration:  # in seconds, as times of day
        return series.dt.cast_time_unit("us").to_physical().cast(pl.Float64).to_numpy() / 1e6
    if series.dtype == pl.Time:
        return series.to_physical().cast(pl.Float64).to_numpy() / 1e9
    return series.cast(pl.Float64).to_numpy()


def as_days(series: pl.Series) -> NDArray[np.float64]:
    """Return a column of dates as days since 1970, with fractions; missing is NaN."""
    if series.dtype == pl.Date:
        return series.to_physical().cast(pl.Float64).to_numpy()
    micro = series.dt.cast_time_unit("us").to_physical().cast(pl.Float64)
    return micro.to_numpy() / _MICROSECONDS_A_DAY


def date_part(series: pl.Series, part: str) -> pl.Series:
    """Return the month, weekday or hour of dates, as text; the hour of a date is 0."""
    if part == "month":
        found = series.dt.month()
    elif part == "weekday":
        found = series.dt.weekday()
    elif series.dtype == pl.Date:  # however far from 1970: times go less far
        found = series.to_physical() * 0
    else:
        found = series.dt.hour()
    return found.cast(pl.String)


@dataclass
class Numbers:
    """Count, mean, spread and range of numbers; and how they go with the target."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of (x - mean)²
    low: float = math.inf
    high: float = -math.inf
    y_mean: float = 0.0
    y_squares: float = 0.0
    products: float = 0.0  # sum of (x - mean)·(y - y_mean)

    @property
    def n(self) -> int:
        """How many there are."""
        return self.count

    def mirrored(self) -> Numbers:
        """Return the same numbers beside targets 1 - y, of two classes that change places."""
        return replace(self, y_mean=1.0 - self.y_mean, products=-self.products)

    def add(self, new: Summary | Numbers) -> None:
        """Add what is known of the next rows."""
        if new.n == 0:
            return
        total = self.count + new.n
        share = self.count * new.n / total
        apart, y_apart = new.mean - self.mean, new.y_mean - self.y_mean
        self.squares += new.squares + apart * apart * share
        self.y_squares += new.y_squares + y_apart * y_apart * share
        self.products += new.products + apart * y_apart * share
        self.mean += apart * new.n / total
        self.y_mean += y_apart * new.n / total
        self.low = min(self.low, new.low)
        self.high = max(self.high, new.high)
        self.count = total

    @property
    def deviation(self) -> float:
        """Standard deviation (of the population)."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    @property
    def correlation(self) -> float:
        """Correlation with the target; 0 where there is none."""
        scale = math.sqrt(self.squares) * math.sqrt(self.y_squares)
        return self.products / scale if scale > 0.0 else 0.0


@dataclass
class NumberProfile:
    """What is known of a column of numbers."""

    column: str
    numbers: Numbers = field(default_factory=Numbers)
    missing: int = 0
    first_missing: int = -1
    single: bool = True  # whether the source is float32
    whole: bool = True
    distinct: set[float] | None = field(default_factory=set)
    repeats: Repeats | None = field(default_factory=Repeats)  # None where it does not matter
    sentinels: dict[float, int] = field(default_factory=dict)  # how often each value is there
    inner_low: float = math.inf  # without these
    inner_high: float = -math.inf
    counts: ValueCounts | None = None  # of a column that a term is made of

    def add(
        self, series: pl.Series, rows: NDArray[np.int64], y: NDArray[np.float64] | None
    ) -> None:
        """Add the next rows, which have these numbers in the table."""
        x = as_floats(series)
        self.single &= x.dtype == np.float32
        found = summarise(x, y)
        add_missing(self, found.missing, rows, found.first_missing)
        if found.infinite >= 0:
            msg = (
                f"Column {self.column!r} is infinite in row {rows[found.infinite] + 1} (of the "
                "rows, from 1). Correct the value, make it missing, or leave the column out "
                f"({given('drop', [self.column])})."
            )
            raise InvalidTable(msg)
        self.whole &= found.whole
        self.numbers.add(found)
        self._look_for_sentinels(x, found)
        if self.counts is not None:
            self.counts.add(x)
        if self.distinct is not None:
            self._count_distinct(x[~np.isnan(x)] if found.missing else x)
        self._look_for_repeats(x)

    def _look_for_repeats(self, x: NDArray[Any]) -> None:
        """Look whether whole numbers, none of them missing, each come once."""
        if not self.whole or self.missing:
            self.repeats = None
        elif self.repeats is not None:
            self.repeats.add(x)

    def _look_for_sentinels(self, x: NDArray[Any], found: Summary) -> None:
        """Count what may stand for a missing value, as -999, where it is the least or largest."""
        low, high = found.low, found.high
        if low in _SENTINELS or high in _SENTINELS:
            ends = [value for value in {low, high} if value in _SENTINELS]
            for value in ends:
                n = int((x == value).sum())
                self.sentinels[value] = self.sentinels.get(value, 0) + n
            others = x[~np.isnan(x) & ~np.isin(x, ends)]
            low, high = others.min(initial=math.inf), others.max(initial=-math.inf)
        self.inner_low = min(self.inner_low, float(low))
        self.inner_high = max(self.inner_high, float(high))

    def merge(self, other: NumberProfile, shift: int, *, mirrored: bool = False) -> None:
        """Add what is known of later rows, whose numbers are counted from `shift`."""
        _merge_numbers(self, other, shift, mirrored=mirrored)
        self.single &= other.single
        self.whole &= other.whole
        if self.distinct is not None:
            both = None if other.distinct is None else self.distinct | other.distinct
            self.distinct = None if both is None or len(both) > _FEW else both
        if self.repeats is None or other.repeats is None:
            self.repeats = None
        else:
            self.repeats.merge(other.repeats)
        for value, n in other.sentinels.items():
            self.sentinels[value] = self.sentinels.get(value, 0) + n
        self.inner_low = min(self.inner_low, other.inner_low)
        self.inner_high = max(self.inner_high, other.inner_high)

    def _count_distinct(self, x: NDArray[Any]) -> None:
        """Collect distinct numbers as long as they are few."""
        assert self.distinct is not None  # noqa: S101
        for part in (x[: 1 << 12], x[1 << 12 :]):
            self.distinct.update(np.unique(part).tolist())
            if len(self.distinct) > _FEW:
                self.distinct = None
                return


_SENTINELS = {-99.0, *(s * v for s in (-1.0, 1.0) for v in (999.0, 9999.0, 99999.0, 999999.0))}
_FEW = 1000  # distinct numbers that may still be classes


@dataclass
class LevelProfile:
    """What is known of a column of categories."""

    column: str
    counts: dict[str, int] | None = field(default_factory=dict)
    rows: int = 0
    missing: int = 0
    first_missing: int = -1
    in_chunks: int = 0  # distinct values of each chunk, added up
    spelling: Spelling | None = None  # of text that may turn out to hold numbers or dates

    def add(self, series: pl.Series, rows: NDArray[np.int64]) -> None:
        """Add the next rows, which have these numbers in the table."""
        self.rows += series.len()
        add_nulls(self, series, rows)
        found = series.cast(pl.String).drop_nulls().alias("level").value_counts(name="n")
        self.in_chunks += found.height
        if self.spelling is not None:
            self.spelling.add(found["level"], found["n"])
        if self.counts is None:
            return
        for level, n in zip(found["level"].to_list(), found["n"].to_list(), strict=True):
            self.counts[level] = self.counts.get(level, 0) + n
        if len(self.counts) > MOST_COUNTED:
            self.counts = None

    def merge(self, other: LevelProfile, shift: int, *, mirrored: bool = False) -> None:
        """Add what is known of later rows, whose numbers are counted from `shift`."""
        del mirrored  # nothing here goes with the target
        merge_missing(self, other, shift)
        self.rows += other.rows
        self.in_chunks += other.in_chunks
        if self.spelling is not None and other.spelling is not None:
            self.spelling.merge(other.spelling)
        if self.counts is None or other.counts is None:
            self.counts = None
            return
        for level, n in other.counts.items():
            self.counts[level] = self.counts.get(level, 0) + n
        if len(self.counts) > MOST_COUNTED:
            self.counts = None

    @property
    def present(self) -> int:
        """Rows that are not missing."""
        return self.rows - self.missing

    @property
    def distinct(self) -> int:
        """Distinct values; of very many, an estimate from above."""
        return self.in_chunks if self.counts is None else len(self.counts)

    def levels(self) -> list[str]:
        """Return the levels, the most frequent first, in alphabetical order where equal."""
        counts = self.counts or {}
        return sorted(counts, key=lambda level: (-counts[level], level))


@dataclass
class DateProfile:
    """What is known of a column of dates or times of day on dates.

    `firsts` tells whether all are the first day of a month, and so stand for months.
    """

    column: str
    numbers: Numbers = field(default_factory=Numbers)
    missing: int = 0
    first_missing: int = -1
    firsts: bool = True
    parts: dict[str, LevelProfile] = field(init=False)
    counts: ValueCounts | None = None  # of a column that a term is made of

    def __post_init__(self) -> None:
        self.parts = {part: LevelProfile(f"{self.column} {part}") for part in _DATE_PARTS}

    def add(
        self, series: pl.Series, rows: NDArray[np.int64], y: NDArray[np.float64] | None
    ) -> None:
        """Add the next rows, which have these numbers in the table."""
        days = as_days(series)
        found = summarise(days, y)
        add_missing(self, found.missing, rows, found.first_missing)
        self.numbers.add(found)
        self.firsts = self.firsts and bool((series.dt.day() == 1).all())
        if self.counts is not None:
            self.counts.add(days)
        for part, profile in self.parts.items():
            profile.add(date_part(series, part), rows)

    def merge(self, other: DateProfile, shift: int, *, mirrored: bool = False) -> None:
        """Add what is known of later rows, whose numbers are counted from `shift`."""
        _merge_numbers(self, other, shift, mirrored=mirrored)
        self.firsts = self.firsts and other.firsts
        for part, profile in self.parts.items():
            profile.merge(other.parts[part], shift)


def _merge_numbers(profile: Any, other: Any, shift: int, *, mirrored: bool) -> None:
    merge_missing(profile, other, shift)
    profile.numbers.add(other.numbers.mirrored() if mirrored else other.numbers)
    if profile.counts is not None:
        profile.counts.merge(other.counts)


def profile_of(column: str, kind: str) -> Any:
    """Return an empty profile for a column of a kind."""
    if kind == "number":
        return NumberProfile(column)
    if kind == "text":
        return TextProfile(column)
    return DateProfile(column) if kind == "date" else LevelProfile(column)


def summary_of(profile: Any) -> dict[str, Any]:
    """Return what is known of a column, for the record."""
    if isinstance(profile, LevelProfile):
        return {"missing": profile.missing, "levels": profile.distinct}
    if isinstance(profile, TextProfile):
        return {"missing": profile.missing, "words": profile.words.height, "longest": profile.most}
    numbers = profile.numbers
    known = {"missing": profile.missing, "mean": numbers.mean, "deviation": numbers.deviation}
    return known | ({"low": numbers.low, "high": numbers.high} if numbers.count else {})


def add_to(
    profiles: Mapping[str, Any],
    frame: pl.DataFrame,
    rows: NDArray[np.int64],
    y: NDArray[np.float64] | None,
    pool: Executor,
) -> None:
    """Add a chunk of rows to the profiles of its columns, several at a time.

    `rows` are their numbers in the table, from 0; `y` their targets, if those are numbers.
    """

    def add(column: str) -> None:
        profile = profiles[column]
        if isinstance(profile, LevelProfile):
            profile.add(frame[column], rows)
        else:
            profile.add(frame[column], rows, y)

    for _ in pool.map(add, profiles):
        pass
