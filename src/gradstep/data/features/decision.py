"""What becomes of each column: decided once, from what the first pass has seen of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gradstep.data.features.encoding import (
    HASH_BITS,
    Encoding,
    HashColumn,
    LeftOut,
    LevelColumn,
    NumberColumn,
)
from gradstep.data.features.profile import DateSurvey, LevelProfile, NumberProfile, Numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["decide"]

_NEARLY_EVERY_ROW = 0.9
_FEWEST_ROWS = 30  # below, distinct values in every row say nothing


def decide(
    surveys: Mapping[str, Any],
    asked: Mapping[str, str],
    nothing: Sequence[LeftOut] = (),
    *,
    max_levels: int = 1000,
) -> Encoding:
    """Return the encoding for columns that have been surveyed.

    Parameters
    ----------
    surveys : mapping
        Column to what is known of it, in the order of the table.
    asked : mapping
        Column to the kind that the user asked for.
    nothing : sequence of LeftOut
        Columns that were not surveyed.
    max_levels : int
        Levels of a category that get a feature each; the rarer ones share one.
    """
    columns: list[Any] = list(nothing)
    for name, survey in surveys.items():
        if isinstance(survey, NumberProfile):
            columns.extend(_number(name, survey))
        elif isinstance(survey, DateSurvey):
            columns.extend(_date(name, survey))
        else:
            columns.append(_category(name, survey, asked.get(name, ""), max_levels))
    numbers = [s for n, s in surveys.items() if isinstance(s, NumberProfile)]
    used = {c.source for c in columns if isinstance(c, NumberColumn)}
    dates = any(isinstance(c, NumberColumn) and c.part for c in columns)
    single = not dates and all(s.single for s in numbers if s.column in used) and bool(used)
    return Encoding(tuple(columns), single)


def _number(name: str, survey: NumberProfile) -> list[Any]:
    numbers = survey.numbers
    if numbers.count == 0:
        return [LeftOut(name, "every value is missing")]
    if numbers.low == numbers.high and not survey.missing:
        return [LeftOut(name, f"every value is {numbers.low:g}")]
    if numbers.low == numbers.high:
        return [NumberColumn(name, numbers.mean, 1.0, indicator=True)]
    return [NumberColumn(name, numbers.mean, _scale(numbers), indicator=survey.missing > 0)]


def _scale(numbers: Numbers) -> float:
    """Return what numbers are divided by: their deviation, unless its squares leave the range."""
    deviation = numbers.deviation
    return deviation if 0.0 < deviation < math.inf else numbers.high - numbers.low


def _date(name: str, survey: DateSurvey) -> list[Any]:
    numbers = survey.numbers
    if numbers.count == 0:
        return [LeftOut(name, "every value is missing")]
    if numbers.low == numbers.high and not survey.missing:
        return [LeftOut(name, "every value is the same")]
    scale = _scale(numbers) if numbers.high > numbers.low else 1.0
    columns: list[Any] = [
        NumberColumn(name, numbers.mean, scale, indicator=survey.missing > 0, part="days")
    ]
    columns += [
        LevelColumn(name, tuple(sorted(part.counts or {}, key=int)), part=label)
        for label, part in survey.parts.items()
        if len(part.counts or {}) > 1
    ]
    return columns


def _category(name: str, survey: LevelProfile, asked: str, max_levels: int) -> Any:
    if asked.startswith("hash"):
        _, _, bits = asked.partition(":")
        return HashColumn(name, int(bits or HASH_BITS))
    if survey.present == 0:
        return LeftOut(name, "every value is missing")
    if survey.distinct == 1 and not survey.missing:
        return LeftOut(name, f"every value is {next(iter(survey.counts or {'': 0}))!r}")
    if (
        not asked
        and survey.present >= _FEWEST_ROWS
        and survey.distinct > _NEARLY_EVERY_ROW * survey.present
    ):
        return LeftOut(name, f"nearly every row has another value (--as {name}=hash uses it)")
    if survey.counts is None:
        return HashColumn(name)
    levels = survey.levels()
    return LevelColumn(
        name,
        tuple(levels[:max_levels]),
        other=len(levels) > max_levels,
        missing=survey.missing > 0,
    )
