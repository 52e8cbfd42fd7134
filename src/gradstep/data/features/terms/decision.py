"""What becomes of terms: decided once, from what the first pass has seen of their columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.columns import (
    HashColumn,
    LeftOut,
    LevelColumn,
    LogColumn,
    NumberColumn,
)
from gradstep.data.features.terms.crosses import (
    Cross,
    PairColumn,
    PowerColumn,
    ProductColumn,
    SlopesColumn,
    VaryingColumn,
)
from gradstep.data.features.terms.options import AUTO
from gradstep.data.features.terms.spline import SplineColumn, knots_of
from gradstep.data.features.text import TextColumn
from gradstep.errors import InvalidTable
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradstep.data.features.encoding import Encoding
    from gradstep.data.features.profile import DateProfile, NumberProfile
    from gradstep.data.features.terms.counts import ValueCounts
    from gradstep.data.features.terms.options import TermOptions

__all__ = ["with_terms"]


def with_terms(
    encoding: Encoding, asked: TermOptions, profiles: Mapping[str, Any], table: str
) -> Encoding:
    """Return an encoding with terms: some in the place of columns, some after them.

    Parameters
    ----------
    encoding : Encoding
        What becomes of columns on their own.
    asked : TermOptions
        The terms; those that are to be chosen are not among them.
    profiles : mapping
        Column to what is known of it.
    table : str
        What messages call the table.

    Raises
    ------
    InvalidTable
        If a column cannot be in the term that it is asked for in.
    """
    if not asked.of_terms:
        return encoding
    known = _main(encoding)
    for column in asked.of_terms:
        if isinstance(known.get(column), LeftOut):
            msg = (
                f"Column {column!r} of {table} is left out ({known[column].reason}), so it can be "
                "in no term. Leave the term away."
            )
            raise InvalidTable(msg)
    in_place: dict[str, Any] = {}
    after: list[Any] = []
    for column, knots in asked.splines:
        if (column, knots) != (AUTO, 0):
            number = _number(known[column], "spline", table)
            in_place[column] = _spline(number, profiles[column], knots, table)
    for column in asked.logs:
        in_place[column] = _log(_number(known[column], "logarithm", table), profiles[column], table)
    for column, highest in asked.polynomials:
        number = _number(known[column], "polynomial", table)
        after += _powers(number, profiles[column].counts, highest, table)
    after += [_cross(one, two, known, in_place, table) for one, two in asked.crosses]
    columns = [
        in_place.get(c.source, c) if isinstance(c, NumberColumn) else c for c in encoding.columns
    ]
    return replace(encoding, columns=(*columns, *after))


def _cross(
    one: str, two: str, known: Mapping[str, Any], in_place: Mapping[str, Any], table: str
) -> Cross:
    """Return the cross of two columns."""
    for text in (c for c in (one, two) if isinstance(known[c], TextColumn)):
        msg = (
            f"Column {text!r} of {table} is read as words, which are in no cross. Leave the "
            f"cross away, or read it as one of levels ({given('kinds', {text: 'category'})})."
        )
        raise InvalidTable(msg)
    numbers = [isinstance(known[c], NumberColumn) for c in (one, two)]
    if not all(numbers):
        return SlopesColumn(one, two) if any(numbers) else PairColumn(one, two)
    curves = [isinstance(in_place.get(c), SplineColumn) for c in (one, two)]
    return VaryingColumn(one, two) if curves[0] != curves[1] else ProductColumn(one, two)


def _main(encoding: Encoding) -> dict[str, Any]:
    """Return by column what it became; of a date its days."""
    parts = (c for c in encoding.columns if isinstance(c, LevelColumn) and c.part)
    of_dates = {id(c) for c in parts}
    return {c.source: c for c in encoding.columns if id(c) not in of_dates}


def _number(column: Any, term: str, table: str) -> NumberColumn:
    if isinstance(column, NumberColumn):
        return column
    what = "a category" if isinstance(column, LevelColumn | HashColumn) else "no number"
    msg = (
        f"Column {column.source!r} of {table} is {what}: a {term} is one of numbers. A cross with "
        f"another column may say what you mean; {given('kinds', {column.source: 'number'})} reads "
        f"it as numbers."
    )
    raise InvalidTable(msg)


def _powers(
    number: NumberColumn, counts: ValueCounts, highest: int, table: str
) -> list[PowerColumn]:
    distinct = len(counts.values())
    if distinct <= highest:
        msg = (
            f"Column {number.source!r} of {table} has {distinct} different values, through which "
            f"a polynomial goes that has lower powers than {highest}. Ask for less."
        )
        raise InvalidTable(msg)
    found = []
    for power in range(2, highest + 1):
        mean, scale = counts.moments(lambda x, k=power: ((x - number.mean) / number.scale) ** k)  # type: ignore[misc]
        found.append(PowerColumn(number.source, power, mean, scale))
    return found


def _spline(
    number: NumberColumn, profile: NumberProfile | DateProfile, knots: int, table: str
) -> SplineColumn:
    assert profile.counts is not None  # noqa: S101
    found = knots_of(profile.counts, knots)
    if len(profile.counts.values()) < 3 or len(found) < 2:
        msg = (
            f"Column {number.source!r} of {table} has {len(profile.counts.values())} different "
            "values: a curve through them is a line. Leave its spline away."
        )
        raise InvalidTable(msg)
    return SplineColumn(
        number.source, found, number.mean, number.scale, number.indicator, number.part
    )


def _log(number: NumberColumn, profile: NumberProfile, table: str) -> LogColumn:
    if number.part:
        msg = f"Column {number.source!r} of {table} holds dates, which have no logarithm."
        raise InvalidTable(msg)
    low = profile.numbers.low
    if not low > 0.0:
        msg = (
            f"Column {number.source!r} of {table} goes down to {low:g}, of which there is no "
            "logarithm. Use a spline of it, or make such values missing "
            f"({given('na', [f'{low:g}'])}, which counts in all columns)."
        )
        raise InvalidTable(msg)
    assert profile.counts is not None  # noqa: S101
    mean, scale = profile.counts.moments(np.log)
    return LogColumn(number.source, mean, scale if scale > 0.0 else 1.0, number.indicator)
