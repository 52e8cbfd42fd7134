"""What becomes of each column: decided once, from its profile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gradstep.data.features.columns import (
    HASH_BITS,
    HashColumn,
    LeftOut,
    LevelColumn,
    NumberColumn,
)
from gradstep.data.features.encoding import Encoding
from gradstep.data.features.oddities import is_index
from gradstep.data.features.profile import DateProfile, LevelProfile, NumberProfile, Numbers
from gradstep.data.features.text import MOST_WORDS, TextProfile
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["decide"]

_NEARLY_EVERY_ROW = 0.9
_FEWEST_ROWS = 30  # below, distinct values in every row say nothing


def decide(
    profiles: Mapping[str, Any],
    kinds: Mapping[str, str],
    nothing: Sequence[LeftOut] = (),
    *,
    max_levels: int = 1000,
) -> Encoding:
    """Return the encoding for columns that have been profiled.

    Parameters
    ----------
    profiles : mapping
        Column to what is known of it, in the order of the table.
    kinds : mapping
        Column to the kind that the user asked for.
    nothing : sequence of LeftOut
        Columns that were not profiled.
    max_levels : int
        Levels of a category that get a feature each; the rarer ones share one.
    """
    columns: list[Any] = list(nothing)
    for name, profile in profiles.items():
        if isinstance(profile, NumberProfile):
            columns.extend(
                [LeftOut(name, "it numbers the rows, as an index does")]
                if name not in kinds and is_index(name, profile)
                else _number(name, profile)
            )
        elif isinstance(profile, DateProfile):
            columns.extend(_date(name, profile))
        elif isinstance(profile, TextProfile):
            columns.append(_text(name, profile, kinds[name]))
        else:
            columns.append(_category(name, profile, kinds.get(name, ""), max_levels))
    numbers = [s for n, s in profiles.items() if isinstance(s, NumberProfile)]
    used = {c.source for c in columns if isinstance(c, NumberColumn)}
    dates = any(isinstance(c, NumberColumn) and c.part for c in columns)
    single = not dates and all(s.single for s in numbers if s.column in used) and bool(used)
    return Encoding(tuple(columns), single)


def _number(name: str, profile: NumberProfile) -> list[Any]:
    numbers = profile.numbers
    if numbers.count == 0:
        return [LeftOut(name, "every value is missing")]
    if numbers.low == numbers.high and not profile.missing:
        return [LeftOut(name, f"every value is {numbers.low:g}")]
    if numbers.low == numbers.high:
        return [NumberColumn(name, numbers.mean, 1.0, indicator=True)]
    return [NumberColumn(name, numbers.mean, _scale(numbers), indicator=profile.missing > 0)]


def _scale(numbers: Numbers) -> float:
    """Return what numbers are divided by: their deviation, unless its squares leave the range."""
    deviation = numbers.deviation
    return deviation if 0.0 < deviation < math.inf else numbers.high - numbers.low


def _date(name: str, profile: DateProfile) -> list[Any]:
    numbers = profile.numbers
    if numbers.count == 0:
        return [LeftOut(name, "every value is missing")]
    if numbers.low == numbers.high and not profile.missing:
        return [LeftOut(name, "every value is the same")]
    scale = _scale(numbers) if numbers.high > numbers.low else 1.0
    columns: list[Any] = [
        NumberColumn(name, numbers.mean, scale, indicator=profile.missing > 0, part="days")
    ]
    columns += [
        LevelColumn(name, tuple(sorted(part.counts or {}, key=int)), part=label)
        for label, part in profile.parts.items()
        if len(part.counts or {}) > 1 and not (label == "weekday" and profile.firsts)
    ]
    return columns


def _text(name: str, profile: TextProfile, kind: str) -> Any:
    if not profile.words.height:
        return LeftOut(name, "no row has a word")
    _, _, words = kind.partition(":")
    return profile.column_of(int(words or MOST_WORDS))


def _category(name: str, profile: LevelProfile, kind: str, max_levels: int) -> Any:
    if kind.startswith("hash"):
        _, _, bits = kind.partition(":")
        return HashColumn(name, int(bits or HASH_BITS))
    if profile.present == 0:
        return LeftOut(name, "every value is missing")
    if profile.distinct == 1 and not profile.missing:
        return LeftOut(name, f"every value is {next(iter(profile.counts or {'': 0}))!r}")
    if (
        not kind
        and profile.present >= _FEWEST_ROWS
        and profile.distinct > _NEARLY_EVERY_ROW * profile.present
    ):
        of_hash, of_text = (given("kinds", {name: kind}) for kind in ("hash", "text"))
        more = f"{of_hash} uses it, {of_text} its words"
        return LeftOut(name, f"nearly every row has another value ({more})")
    if profile.counts is None:
        return HashColumn(name)
    levels = profile.levels()
    return LevelColumn(
        name,
        tuple(levels[:max_levels]),
        other=len(levels) > max_levels,
        missing=profile.missing > 0,
    )
