"""Dates and times of day as people write them: ``11/06/2024 2:35 PM``, ``Nov 2024``, ``14:35``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from gradstep.data.formats.number_format import NumberFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "DATE_PATTERNS",
    "ISO_PATTERNS",
    "AnyNumbers",
    "DateFormat",
    "IsoDates",
    "fitting",
    "swapped",
]

ISO_PATTERNS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"]  # fmt: skip
_DAYS = ["%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y", "%Y/%m/%d", "%m/%d/%y",
         "%d/%m/%y", "%d.%m.%y", "%d %B %Y", "%d-%B-%Y", "%d-%B-%y", "%B %d, %Y"]  # fmt: skip
# Months, weeks and quarters are the dates of their first days: what is written before each, and
# the pattern that reads both.
_FIRST_DAYS = {"%B %Y": ("1 ", "%d %B %Y"), "%Y %B": ("1 ", "%d %Y %B"),
               "%G W%V": ("1 ", "%u %G W%V"), "%Y Q%q": ("1 ", "%d %Y %m"),
               "Q%q %Y": ("1 ", "%d %m %Y")}  # fmt: skip
_TIMES = ["%H:%M", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p"]
# In the order of preference: a month comes before a day where nothing tells them apart.
DATE_PATTERNS = [
    *ISO_PATTERNS,
    *_DAYS,
    *(f"{day} {time}" for day in _DAYS for time in _TIMES),
    *_FIRST_DAYS,
    *_TIMES,
]
_REGEX = {"%Y": "[0-9]{4}", "%y": "[0-9]{2}", "%m": "[0-9]{1,2}", "%d": "[0-9]{1,2}",
          "%H": "[0-9]{1,2}", "%I": "[0-9]{1,2}", "%M": "[0-9]{2}", "%S": "[0-9]{2}",
          "%B": r"\p{L}{3,9}", "%p": "[AaPp][Mm]", "%.f": r"(?:\.[0-9]{1,9})?",
          "%#z": "(?:Z|[+-][0-9]{2}:?[0-9]{2})", "%G": "[0-9]{4}", "%V": "[0-9]{1,2}",
          "%q": "[1-4]"}  # fmt: skip
_WORDS = {"%Y": "year", "%y": "year", "%m": "month", "%B": "month", "%d": "day", "%G": "year",
          "%V": "week", "%q": "quarter"}  # fmt: skip


@dataclass(frozen=True)
class DateFormat:
    """How the dates of a column are written.

    Attributes
    ----------
    pattern : str
        As of ``strptime``; with hours alone it is a time of day.
    missing : tuple of str
        What stands for a missing value, besides what does so in all text files.

    Examples
    --------
    >>> american = DateFormat("%m/%d/%Y")
    >>> american.read(pl.Series(["11/06/2024", "25/12/2024", "11/6/24"])).to_list()
    [datetime.date(2024, 11, 6), None, None]
    """

    pattern: str
    missing: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """What a message calls a value."""
        return "time" if self.dtype == pl.Time else "date"

    @cached_property
    def dtype(self) -> pl.DataType:
        """The type that is read."""
        has_time = "%H" in self.pattern or "%I" in self.pattern
        if self.pattern in _FIRST_DAYS:
            return pl.Date()
        if "%d" not in self.pattern:
            return pl.Time()
        if not has_time:
            return pl.Date()
        return pl.Datetime("us", "UTC" if "z" in self.pattern else None)

    @cached_property
    def regex(self) -> str:
        """The regular expression of a date: `strptime` takes 24 for a year of four digits."""
        parts = re.split(r"(%(?:\.f|#z|.))", self.pattern)
        return "^" + "".join(_REGEX.get(part, re.escape(part)) for part in parts) + "$"

    def read(self, text: pl.Series) -> pl.Series:
        """Return text as dates or times, null where it is missing or does not fit."""
        stripped = text.str.strip_chars()
        fits = stripped.str.contains(self.regex).fill_null(value=False)
        stripped = stripped.to_frame("t").select(pl.when(fits).then("t")).to_series()
        if self.dtype == pl.Time:
            found = stripped.str.to_time(self.pattern, strict=False)
        elif self.dtype == pl.Date:
            first, pattern = _FIRST_DAYS.get(self.pattern, ("", self.pattern))
            if "%q" in self.pattern:
                stripped = stripped.str.replace_many({f"Q{q}": str(3 * q - 2) for q in range(1, 5)})
            found = (first + stripped).str.to_date(pattern, strict=False)
        else:
            found = stripped.str.to_datetime(self.pattern, time_unit="us", strict=False)
        return found.alias(text.name)

    def describe(self) -> str:
        """Return what a person should know; empty of what programs write."""
        if self.pattern in {*ISO_PATTERNS, *_TIMES}:
            return ""
        days = re.sub("[WQ](?=%)", "", re.split("[T ]%[HI]", self.pattern)[0])
        return re.sub("%.", lambda part: _WORDS.get(part[0], part[0]), days)

    def check(self) -> None:
        """Refuse what is no pattern of dates: a file, or a user, may say anything.

        Raises
        ------
        ValueError
            If it has other directives than there are, or one twice, or no day and no hour.
        """
        found = re.findall(r"%(?:\.f|#z|.?)", self.pattern)
        if self.pattern not in _FIRST_DAYS and (
            any(part not in _REGEX or part in {"%G", "%V", "%q"} for part in found)
            or len(set(found)) < len(found)
            or not {"%d", "%H", "%I"} & set(found)
            or ("%d" in found and not ({"%m", "%B"} & set(found) and {"%Y", "%y"} & set(found)))
        ):
            msg = f"{self.pattern!r:.80} is no pattern of dates or times, such as %d/%m/%Y"
            raise ValueError(msg)

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return {"pattern": self.pattern, "missing": list(self.missing)}


@dataclass(frozen=True)
class IsoDates:
    """Dates of ISO 8601, with or without a time or a zone, as programs write them."""

    missing: tuple[str, ...] = ()

    noun: ClassVar[str] = "date"
    dtype: ClassVar[pl.DataType] = pl.Datetime("us")

    def read(self, text: pl.Series) -> pl.Series:
        """Return text as dates, null where it is missing or does not fit."""
        found = pl.Series(text.name, [None] * text.len(), self.dtype)
        for pattern in ISO_PATTERNS:
            if found.null_count() == text.null_count():
                break
            one = DateFormat(pattern).read(text)
            one = one.dt.replace_time_zone(None) if one.dtype == pl.Datetime else one
            found = found.zip_with(found.is_not_null(), one.cast(self.dtype))
        return found

    def describe(self) -> str:
        """Return nothing: this is how dates are expected."""
        return ""

    def check(self) -> None:
        """Accept it: there is one."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return {"missing": list(self.missing)}


@dataclass(frozen=True)
class AnyNumbers:
    """What is a number wherever it has a type: numbers, truths, times of day in seconds."""

    missing: tuple[str, ...] = ()

    noun: ClassVar[str] = "number"
    dtype: ClassVar[pl.DataType] = pl.Float64()

    def read(self, text: pl.Series) -> pl.Series:
        """Return text as numbers, null where it is missing or does not fit."""
        found = NumberFormat().read(text)
        if found.null_count() == text.null_count():
            return found
        truths = text.replace_strict({"true": 1.0, "false": 0.0}, default=None)
        found = found.zip_with(found.is_not_null(), truths.cast(pl.Float64))
        for pattern in _TIMES:
            # Divided by NumPy: Polars multiplies by 1e-9, which is another number.
            nanoseconds = DateFormat(pattern).read(text).to_physical().cast(pl.Float64).to_numpy()
            seconds = pl.Series(nanoseconds / 1e9, nan_to_null=True)
            found = found.zip_with(found.is_not_null(), seconds)
        return found

    def describe(self) -> str:
        """Return nothing: this is how numbers are expected."""
        return ""


def swapped(pattern: str) -> str:
    """Return a pattern whose month and day have changed places; the same where they have names."""
    if "%B" in pattern or "%Y-%m" in pattern or "%Y/%m" in pattern:
        return pattern
    return pattern.replace("%m", "%_").replace("%d", "%m").replace("%_", "%d")


def fitting(text: pl.Series, patterns: Sequence[str]) -> dict[str, pl.Series]:
    """Return, of these patterns, those that any text fits, and which texts do.

    To compile the regular expression of a pattern takes longer than to read a small table with it,
    so those whose punctuation is nowhere in the texts are not tried.
    """
    marks = set().union(*map(_marks, patterns))
    there = {mark for mark in marks if text.str.contains(mark, literal=True).any()}
    found = {}
    for pattern in patterns:
        if not _marks(pattern) <= there:
            continue
        fits = DateFormat(pattern).read(text).is_not_null()
        if fits.any():
            found[pattern] = fits
    return found


def _marks(pattern: str) -> set[str]:
    """Return the characters that stand for themselves in a pattern."""
    return set(re.sub(r"%(?:\.f|#z|.)", "", pattern))
