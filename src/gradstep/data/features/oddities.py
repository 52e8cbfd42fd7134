"""What a person would notice at a glance in columns of numbers: row numbers, -999."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.data.features.profile import NumberProfile
from gradstep.diagnostics.of_tables import PLACEHOLDER, ROW_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["is_index", "notes_of_numbers"]

_UNNAMED = ("", "Unnamed: 0", "...1", "rownames")  # of pandas, and of R's packages
_FEWEST_ROWS = 20


def is_index(name: str, profile: NumberProfile) -> bool:
    """Tell whether a column is the numbers of the rows that pandas and R write without a name."""
    return name in _UNNAMED and not profile.missing and profile.whole and (
        profile.distinct is None or len(profile.distinct) == profile.numbers.count
    )  # fmt: skip


def notes_of_numbers(profiles: Mapping[str, Any], used: set[str]) -> Iterator[Note]:
    """Yield notes of columns that number the rows, and of values that may stand for none."""
    for name, profile in profiles.items():
        if not isinstance(profile, NumberProfile) or name not in used:
            continue
        for value, n in sorted(profile.sentinels.items()):
            if _stands_out(value, profile):
                yield PLACEHOLDER.note(
                    f"Column {name!r} is {value:g} in {n:,} rows, and from {profile.inner_low:g} "
                    f"to {profile.inner_high:g} in the others. If that stands for a missing "
                    f"value: --na={value:g}."
                )
        if _numbers_rows(profile):
            yield ROW_NUMBERS.note(
                f"Column {name!r} numbers the rows. If it says nothing else, leave it out "
                f"(--drop {name})."
            )


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
