"""Numbers as people write them: ``7,5``, ``1.088,50 €``, ``10.6%``, ``?``.

A format belongs to a whole column. Text that does not fit it is no number, never a guess.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["CURRENCIES", "TOKENS", "NumberFormat", "misfits"]

# What stands for a missing value among numbers; in text it may be a value like any other.
TOKENS = (
    "", "?", "-", "--", ".", "–", "—", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "n.a.", "N.A.",
    "null", "NULL", "Null", "none", "NONE", "None", "nan", "NaN", "NAN",
)  # fmt: skip
_ALWAYS_MISSING = ("", "nan", "NaN", "NAN")
CURRENCIES = r"(?:US\$|R\$|\p{Sc}|EUR|USD|GBP|CHF)"
# A separator of thousands by its name in a format, as a class of characters.
_THOUSANDS = {",": ",", ".": r"\.", " ": "[ \u00a0\u202f\u2009]", "'": "['’]"}
_WORDS = {" ": "spaces", "'": "apostrophes", ",": "commas", ".": "points"}


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a column are written.

    Attributes
    ----------
    decimal : {".", ","}
        What stands before the fraction.
    thousands : {"", ",", ".", " ", "'"}
        What stands between groups of three digits; a space of whatever width, an apostrophe of
        whatever form.
    currency : str
        A sign of currency, before or behind.
    percent : bool
        Whether each number has a percent sign; 10.6% is 10.6.
    missing : tuple of str
        What stands for a missing value, besides what does so in all text files.

    Examples
    --------
    >>> german = NumberFormat(",", ".", "€", missing=("?",))
    >>> german.read(pl.Series(["1.088,50 €", "-7,5", "?"])).to_list()
    [1088.5, -7.5, None]
    """

    decimal: str = "."
    thousands: str = ""
    currency: str = ""
    percent: bool = False
    missing: tuple[str, ...] = ()

    noun: ClassVar[str] = "number"
    dtype: ClassVar[pl.DataType] = pl.Float64()

    @cached_property
    def pattern(self) -> str:
        """The regular expression of a number, which Polars and Python understand alike."""
        mark = re.escape(self.decimal)
        whole = "[0-9]+"
        if self.thousands:
            whole = f"(?:[1-9][0-9]{{0,2}}(?:{_THOUSANDS[self.thousands]}[0-9]{{3}})+|[0-9]+)"
        number = f"(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?"
        sign = "[+\\-−]?"
        if self.currency:
            symbol = rf"(?:\s?{re.escape(self.currency)}\s?)?"
            number = f"{symbol}{sign}{number}{symbol}"
        if self.percent:
            number += r"\s?%"
        return f"^{sign}\\s?{number}$"

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as programs write them."""
        return (self.decimal, self.thousands, self.currency, self.percent) == (".", "", "", False)

    def read(self, text: pl.Series) -> pl.Series:
        """Return text as numbers, null where it is missing or does not fit."""
        stripped = text.str.strip_chars()
        digits = stripped.str.replace("−", "-", literal=True)
        if self.currency:
            digits = digits.str.replace(self.currency, "", literal=True)
        if self.percent:
            digits = digits.str.replace("%", "", literal=True)
        if self.thousands:
            digits = digits.str.replace_all(_THOUSANDS[self.thousands], "")
        if self.decimal == ",":
            digits = digits.str.replace(",", ".", literal=True)
        if self.currency or self.percent:
            digits = digits.str.replace_all(r"\s", "")
        numbers = digits.cast(pl.Float64, strict=False).fill_nan(None)
        if self.is_plain:
            return numbers
        fits = stripped.str.contains(self.pattern).fill_null(value=False)
        return numbers.to_frame("n").select(pl.when(fits).then("n")).to_series().alias(text.name)

    def describe(self) -> str:
        """Return what a person should know; empty of what programs write."""
        parts = []
        if self.decimal == ",":
            parts.append("a decimal comma")
        if self.thousands:
            parts.append(f"{_WORDS[self.thousands]} between thousands")
        if self.currency:
            parts.append(f"currency {self.currency}")
        if self.percent:
            parts.append("percent signs (10% is 10)")
        return ", ".join(parts)

    def check(self) -> None:
        """Refuse what is no format: a file may say anything.

        Raises
        ------
        ValueError
            If marks are others than there are, or the same for two things.
        """
        if (
            self.decimal not in {".", ","}
            or self.thousands not in {"", *_THOUSANDS}
            or self.decimal == self.thousands
            or len(self.currency) > 3
        ):
            msg = f"{self!r:.80} is no way to write numbers"
            raise ValueError(msg)

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return {**asdict(self), "missing": list(self.missing)}


def misfits(text: pl.Series, values: pl.Series, missing: Sequence[str] = ()) -> pl.Series:
    """Tell which texts were read as nothing, and do not stand for a missing value.

    Examples
    --------
    >>> german = NumberFormat(",", missing=("?",))
    >>> text = pl.Series(["7,5", "7.5", "?", None])
    >>> misfits(text, german.read(text), german.missing).to_list()
    [False, True, False, False]
    """
    gone = values.is_null() & text.is_not_null()
    if not gone.any():
        return gone
    return gone & ~text.str.strip_chars().is_in([*missing, *_ALWAYS_MISSING])
