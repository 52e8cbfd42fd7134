"""Which format the text of a column has: from all of its values, never from the first ones alone.

Each distinct text of a chunk is reduced to its shape, ``$9,999.99``, of which there are few
whatever the number of rows. What fits at least 95 % of the values is the format, and a value that
does not fit is then a typo: an error where it is read, not another level.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from gradstep.data.formats.date_format import (
    DATE_PATTERNS,
    ISO_PATTERNS,
    DateFormat,
    IsoDates,
    fitting,
    swapped,
)
from gradstep.data.formats.number_format import CURRENCIES, TOKENS, NumberFormat
from gradstep.parameters import given

__all__ = ["Hints", "Recognised", "Spelling", "is_typo", "recognise"]

_LIKE_NUMBER = (
    rf"^[+\-−]?\s?(?:{CURRENCIES}\s?)?[+\-−]?[0-9.,][0-9.,'’ \u00a0\u202f\u2009]*"
    rf"(?:[eE][+-]?[0-9]+)?\s?(?:{CURRENCIES}|%)?$"
)
_LIKE_DATE = r"^(?:[0-9]{1,4}[-/. ]|\p{L}{3,9} [0-9]|Q[1-4] [0-9]|[0-9]{1,2}:[0-9]{2})"
_MOST_SHAPES = 5000
_FEW_OTHERS = 1000
_TYPOS = 0.05
_FEWEST = 4  # values, of which one may be a typo
_LOOK_FIRST = 1 << 16  # rows, after which a column that is half words is no longer looked at
_SAMPLE = 50
# In the order of preference where several fit.
_FORMATS = [("." , ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "),
            (".", "'"), (",", "'")]  # fmt: skip


def is_typo(bad: int, values: int) -> bool:
    """Tell whether so many values that do not fit are slips, and not what the column is."""
    return bad == 0 or (values >= _FEWEST and bad <= max(1, _TYPOS * values))


@dataclass
class Spelling:
    """How the values of a column of text are written; counts of rows.

    Examples
    --------
    >>> spelling = Spelling()
    >>> spelling.add(pl.Series(["7,5", "1.088,25", "?"]), pl.Series([3, 1, 2]))
    >>> recognise(spelling, Hints()).format
    NumberFormat(decimal=',', thousands='.', currency='', percent=False, missing=('?',))
    """

    rows: int = 0
    shapes: Counter[str] = field(default_factory=Counter)
    distinct: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    others: int = 0
    other_values: set[str] = field(default_factory=set)
    dates: Counter[str] = field(default_factory=Counter)
    patterns: list[str] | None = None
    hopeless: bool = False

    def add(self, values: pl.Series, counts: pl.Series) -> None:
        """Add the distinct values of some rows, and how often each is there."""
        if self.hopeless:  # counted all the same, so that counts of pieces add up
            self.rows += int(counts.sum())
            self.others += int(counts.sum())
            return
        frame = pl.DataFrame({"v": values.str.strip_chars(), "n": counts})
        self.rows += int(frame["n"].sum())
        frame = self._without(frame, pl.col("v").is_in(TOKENS), self.missing)
        self._add_dates(frame)
        like = frame["v"].str.contains(_LIKE_NUMBER)
        others = frame.filter(~like)
        self.others += int(others["n"].sum())
        if len(self.other_values) < _FEW_OTHERS:
            self.other_values.update(others["v"].head(_FEW_OTHERS).to_list())
        # more than three digits in a row are as good as four, and are found at once
        shape = pl.col("v").str.replace_all("[0-9]{4,}", "9999")
        shape = shape.str.replace_many(list("012345678"), ["9"] * 9)
        # 0,500 has a decimal comma: no group of thousands begins with 0
        shape = pl.when(pl.col("v").str.contains(r"^[^0-9]*0[.,]")).then(
            shape.str.replace("9", "0", literal=True)
        ).otherwise(shape)  # fmt: skip
        numbers = frame.filter(like)
        self.distinct += numbers.height
        found = numbers.group_by(shape.alias("s")).agg(pl.col("n").sum())
        self.shapes.update(dict(zip(found["s"].to_list(), found["n"].to_list(), strict=True)))
        self._give_up()

    def merge(self, other: Spelling) -> None:
        """Add what is known of the values of later rows."""
        self.rows += other.rows
        self.shapes.update(other.shapes)
        self.distinct += other.distinct
        self.missing.update(other.missing)
        self.others += other.others
        self.other_values |= other.other_values
        self.dates.update(other.dates)
        if other.patterns is not None:
            self.patterns = list(dict.fromkeys([*(self.patterns or []), *other.patterns]))
        self._give_up()

    def _give_up(self) -> None:
        """Stop looking at what is neither numbers nor dates."""
        words = self.others if not self.patterns else 0
        self.hopeless = len(self.shapes) > _MOST_SHAPES or (
            self.rows >= _LOOK_FIRST and 2 * words > self.rows
        )

    @staticmethod
    def _without(frame: pl.DataFrame, which: pl.Expr, to: Counter[str]) -> pl.DataFrame:
        """Move some values into a count."""
        flags = frame.select(which).to_series()
        if not flags.any():
            return frame
        part = frame.filter(flags)
        to.update(dict(zip(part["v"].to_list(), part["n"].to_list(), strict=True)))
        return frame.filter(~flags)

    def _add_dates(self, frame: pl.DataFrame) -> None:
        """Count what fits each pattern of dates; which ones to try, the first values tell."""
        if self.patterns == []:
            return
        like = frame.filter(frame["v"].str.contains(_LIKE_DATE))
        if self.patterns is None:
            if not like.height:
                self.patterns = [] if frame.height else None
                return
            sample = like["v"].sort().gather_every(max(1, like.height // _SAMPLE))
            self.patterns = list(fitting(sample, DATE_PATTERNS))
        for pattern, fits in fitting(like["v"], self.patterns).items():
            self.dates[pattern] += int(like["n"].filter(fits).sum())

    @property
    def values(self) -> int:
        """Rows that have a value."""
        return self.rows - self.missing.total()


@dataclass(frozen=True)
class Hints:
    """What is known of the table besides the column.

    Attributes
    ----------
    decimal, thousands : str or None
        What the user says of all columns.
    elsewhere : str
        The decimal mark of other columns, where it is beyond doubt; or what the separator of the
        fields suggests.
    """

    decimal: str | None = None
    thousands: str | None = None
    elsewhere: str = ""


@dataclass(frozen=True)
class Recognised:
    """The format of a column.

    Attributes
    ----------
    format : NumberFormat, DateFormat, IsoDates or None
        None: it is text.
    share : float
        The share of the values that fit.
    instead : str
        The option that says otherwise, where another format fits as well.
    mark : str
        The decimal mark, where the values leave no doubt.
    told : bool
        Whether the format shows in any value, so that a person should know of it.
    """

    format: NumberFormat | DateFormat | IsoDates | None
    share: float = 0.0
    instead: str = ""
    mark: str = ""
    told: bool = True


def recognise(spelling: Spelling, hints: Hints, *, forced: str = "") -> Recognised:
    """Return the format of a column.

    Parameters
    ----------
    spelling : Spelling
        How all its values are written.
    hints : Hints
        What is known besides.
    forced : {"", "number", "date", "date:PATTERN"}
        What it is to be, however little fits.
    """
    kind, _, pattern = forced.partition(":")
    n = spelling.values
    if pattern:
        return Recognised(DateFormat(pattern, tuple(sorted(spelling.missing))), 1.0)
    if n == 0 or (spelling.hopeless and not forced):
        return Recognised(None)
    dates = _as_dates(spelling)
    if kind == "date" or (not kind and dates.format and is_typo(round(n - dates.share * n), n)):
        return dates
    if kind == "date":
        return Recognised(None)
    numbers = _as_numbers(spelling, hints)
    bad = n - round(numbers.share * n)
    if kind == "number" or (
        is_typo(bad, n) and len(spelling.other_values) <= max(1, spelling.distinct)
    ):
        return numbers
    return Recognised(None, numbers.share)


def _as_dates(spelling: Spelling) -> Recognised:
    if not spelling.dates:
        return Recognised(None)
    missing = tuple(sorted(set(spelling.missing) - {""}))
    most = max(spelling.dates.values())
    iso = sum(spelling.dates[pattern] for pattern in ISO_PATTERNS)
    if iso >= most:
        return Recognised(IsoDates(missing), iso / spelling.values)
    fit = [pattern for pattern in DATE_PATTERNS if spelling.dates[pattern] == most]
    other = swapped(fit[0])
    return Recognised(
        DateFormat(fit[0], missing), most / spelling.values,
        f"date:{other}" if other != fit[0] and other in fit else "",
    )  # fmt: skip


def _as_numbers(spelling: Spelling, hints: Hints) -> Recognised:
    currency = _currency(spelling)
    percent = 2 * sum(n for s, n in spelling.shapes.items() if s.endswith("%")) > spelling.values
    missing = tuple(sorted(set(spelling.missing) - {""}))
    fits: dict[NumberFormat, int] = {}
    for decimal, thousands in _FORMATS:
        if hints.decimal not in {None, decimal} or hints.thousands not in {None, thousands}:
            continue
        one = NumberFormat(decimal, thousands, currency, percent, missing)
        pattern = re.compile(one.pattern)
        fits[one] = sum(n for s, n in spelling.shapes.items() if pattern.match(s))
    if not fits:
        return Recognised(None)
    most = max(fits.values())
    equal = [one for one, n in fits.items() if n == most]
    best, instead = equal[0], ""
    marked = any(re.search("[.,]", s) for s in spelling.shapes)
    if hints.elsewhere and hints.decimal is None:
        best = next((one for one in equal if one.decimal == hints.elsewhere), best)
    elif not best.is_plain and marked and {one.decimal for one in equal} == {".", ","}:
        instead = given("decimal", "," if best.decimal == "." else ".")
    sure = marked and len({one.decimal for one in equal}) == 1
    told = marked or bool(best.currency or best.percent or missing) or best.thousands in {" ", "'"}
    mark = best.decimal if sure else ""
    return Recognised(best, most / spelling.values, instead, mark, told)


def _currency(spelling: Spelling) -> str:
    """Return the one sign of currency that there is; none if there are several."""
    found = Counter[str]()
    for shape, n in spelling.shapes.items():
        sign = re.search(r"(?:US|R)\$|EUR|USD|GBP|CHF", shape)
        symbol = (
            sign[0] if sign else next((c for c in shape if unicodedata.category(c) == "Sc"), "")
        )
        found[symbol] += n
    signs = [symbol for symbol in found if symbol]
    return signs[0] if len(signs) == 1 else ""
