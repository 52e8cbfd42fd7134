"""What a person would notice at a glance in columns: identifiers, -999, a slip of a key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gradstep.data.features.profile import LevelProfile, NumberProfile
from gradstep.diagnostics.of_tables import (
    FAR_OUT,
    IDENTIFIER,
    PLACEHOLDER,
    RARE_LEVELS,
    ROW_NUMBERS,
)
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["is_index", "notes_of_columns"]

_UNNAMED = ("", "Unnamed: 0", "...1", "rownames")  # of pandas, and of R's packages
_OF_FRAMES = "__index_level_0__"  # of pandas in Parquet and Arrow, also where frames were joined
_FEWEST_ROWS = 20
_FEW_VALUES = 10  # of a column that counts, or says yes or no: a rare value is no slip
_WORDS = re.compile(
    r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+"
)  # of a name, also where only capitals part them
_NAMES = {"id", "identifier", "uuid", "guid", "isbn"}
_NAMES |= {"zip", "zipcode", "postcode", "postal", "fips", "phone"}
_UNIQUE = "has another whole number in each row"
_FEWEST_DENSE, _PAIRS = 100, 10.0  # rows, and pairs among them that chance would make alike
_FEWEST_LONG, _LONG = 200, 5  # rows of which no two are alike, and their digits
# Years, days as 20240131, and seconds or milliseconds since 1970 until 2039: quantities.
_TIMES = ((1e3, 2100.0), (19_000_101.0, 21_001_231.0), (1e9, 2.2e9), (1e12, 2.2e12))
_RARE, _MANY_LEVELS = 5, 100  # rows of a level, and levels


def is_index(name: str, profile: NumberProfile) -> bool:
    """Tell whether a column is the numbers of the rows that pandas and R write without a name."""
    if name == _OF_FRAMES:
        return profile.whole
    return name in _UNNAMED and not profile.missing and profile.whole and (
        profile.distinct is None or len(profile.distinct) == profile.numbers.count
    )  # fmt: skip


def notes_of_columns(
    profiles: Mapping[str, Any], used: Collection[str], asked: Collection[str] = ()
) -> Iterator[Note]:
    """Yield notes of odd values, of columns that number the rows, and of rare levels.

    Parameters
    ----------
    profiles : mapping
        Column to what is known of it.
    used, asked : collection of str
        The columns that become features, and those whose kind was asked for.
    """
    for name, profile in profiles.items():
        if name in used and isinstance(profile, LevelProfile):
            yield from _of_levels(name, profile)
        if not isinstance(profile, NumberProfile) or name not in used:
            continue
        for value, n in sorted(profile.sentinels.items()):
            if _stands_out(value, profile):
                yield PLACEHOLDER.note(
                    f"Column {name!r} is {value:g} in {n:,} rows, and from {profile.inner_low:g} "
                    f"to {profile.inner_high:g} in the others. If that stands for a missing "
                    f"value: {given('na', [f'{value:g}'])}."
                )
        if _is_decided_by_one(profile):
            numbers = profile.numbers
            high = numbers.high - numbers.mean > numbers.mean - numbers.low
            value = numbers.high if high else numbers.low
            yield FAR_OUT.note(
                f"One value of column {name!r} is far out: {value:g}, where the mean is "
                f"{numbers.mean:.4g}. Its row decides the coefficient. Look whether it is right; "
                f"if so, {given('logs', [name])} or {given('splines', [name])} may suit."
            )
        if _numbers_rows(profile):
            yield ROW_NUMBERS.note(
                f"Column {name!r} numbers the rows. If it says nothing else, leave it out "
                f"({given('drop', [name])})."
            )
        elif name not in asked and (why := _why_identifier(name, profile)):
            category = "" if why == _UNIQUE else f" or {given('kinds', {name: 'category'})}"
            yield IDENTIFIER.note(
                f"Column {name!r} {why}, and is taken as a quantity. If it is an identifier: "
                f"{given('drop', [name])}{category}."
            )


def _is_decided_by_one(profile: NumberProfile) -> bool:
    """Tell whether one value makes up most of a column's variance: a leverage above one half."""
    numbers, distinct = profile.numbers, profile.distinct
    if numbers.count < _FEWEST_ROWS or (distinct is not None and len(distinct) <= _FEW_VALUES):
        return False
    farthest = max(numbers.high - numbers.mean, numbers.mean - numbers.low)
    return farthest * farthest > 0.5 * numbers.squares


def _stands_out(value: float, profile: NumberProfile) -> bool:
    """Tell whether a value lies apart from all others."""
    low, high = profile.inner_low, profile.inner_high
    if low > high:
        return False
    if value < 0.0:
        return value < low and (low >= 0.0 or low - value > high - low)
    return value - high > high - low


def _numbers_rows(profile: NumberProfile) -> bool:
    """Tell whether a column holds consecutive numbers, by their range and their spread."""
    numbers = profile.numbers
    n = numbers.count
    if n < _FEWEST_ROWS or profile.missing or not profile.whole:
        return False
    return numbers.low in {0.0, 1.0} and numbers.high - numbers.low == n - 1 and abs(
        12.0 * numbers.squares / n - (n * n - 1.0)
    ) < 1e-6 * n * n  # fmt: skip


def _why_identifier(name: str, profile: NumberProfile) -> str:
    """Return why whole numbers may be an identifier: their name, or that none comes twice.

    So many numbers drawn from their range would repeat one, unless they are given out (the expected
    number of pairs that are alike is n²/2 over the range). Random numbers of one length are, too;
    times are, and are quantities all the same.
    """
    numbers = profile.numbers
    n, low, high = numbers.count, numbers.low, numbers.high
    if n < _FEWEST_ROWS or not profile.whole or low < 0.0:
        return ""
    what = _UNIQUE if profile.repeats is not None and not profile.repeats else ""
    few = profile.distinct is not None and len(profile.distinct) <= 2
    *_, last = ["", *(word.lower() for word in _WORDS.findall(name))]
    if last in _NAMES and not few:
        return what or "is named like an identifier"
    dense = n >= _FEWEST_DENSE and n * n > 2.0 * _PAIRS * (high - low)
    of_one_length = n >= _FEWEST_LONG and len(f"{low:.0f}") == len(f"{high:.0f}") >= _LONG
    is_time = any(first <= low <= high <= end for first, end in _TIMES)
    return what if (dense or of_one_length) and not is_time else ""


def _of_levels(name: str, profile: LevelProfile) -> Iterator[Note]:
    """Yield a note if most rows have a level that hardly any other row has."""
    counts = profile.counts or {}
    if len(counts) < _MANY_LEVELS:
        return
    rare = [n for n in counts.values() if n < _RARE]
    if 2 * sum(rare) > profile.present:
        yield RARE_LEVELS.note(
            f"Most rows have a rare level of {name!r}: {len(rare):,} of its {len(counts):,} levels "
            f"are in fewer than {_RARE} rows each. New rows will have others; a coarser column, or "
            f"max_levels=..., says more."
        )
