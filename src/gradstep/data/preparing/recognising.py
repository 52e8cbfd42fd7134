"""How the columns of a table are written: read, recognised, and read again as what they are.

Most tables are read once here: numbers and dates as programs write them have their types from the
start. One with other numbers is read once more when all of its values have been seen, and so is
one with a value that its first rows did not suggest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from gradstep.data.features.profile import LevelProfile
from gradstep.data.formats.number_format import NumberFormat
from gradstep.data.formats.recognition import Hints, Recognised, Spelling, recognise
from gradstep.data.preparing.first_pass import FirstPass
from gradstep.data.preparing.options import CLUSTER_ROLES
from gradstep.data.sources.bad_value import BadValue
from gradstep.data.sources.pieces import pieces_of
from gradstep.diagnostics.of_tables import (
    AMBIGUOUS_FORMAT,
    NUMBERS_AS_LEVELS,
    PARTLY_NUMBERS,
    RECOGNISED_FORMAT,
    TAKEN_AS_MISSING,
)
from gradstep.errors import InvalidTable
from gradstep.floating_point import as_by_default
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gradstep.data.preparing.options import Each, InOnePass, PrepareOptions, Progress
    from gradstep.data.sources.table import Table
    from gradstep.diagnostics.diagnostic import Note

__all__ = ["read_and_decide"]

_MANY = 50  # levels, or classes, beyond which numbers were hardly meant as such
_SHOWN = 5


def read_and_decide(
    table: Table, options: PrepareOptions, progress: Progress, each: Each | None = None,
    in_one_pass: InOnePass | None = None,
) -> FirstPass:  # fmt: skip
    """Return the first pass over a table, each column read as what it holds.

    Raises
    ------
    InvalidTable
        If a value does not fit its column, with file, line, value and what to do about it.
    """
    table, of_roles = _with_roles(table, options, each)
    notes: list[Note] = []
    while True:
        first_pass = FirstPass(table, options, progress, each, in_one_pass)
        try:
            first_pass.read()
        except BadValue as error:
            known = error.column in table.formats or table.types[error.column] == pl.String
            if known or table.opened.again is None:
                raise error.of_role(options.role_of(error.column)) from None
            fail = {error.column}.union(*_of_pieces(table, _Failing(), each))
            table = table.with_text(fail)
            continue
        found = _recognised(first_pass)
        more, suspects = _formats(first_pass, found, notes)
        if suspects:
            table = table.with_text(suspects)
            notes.clear()
            continue
        if not more:
            break
        table = table.with_formats(more)
    first_pass.decide()
    first_pass.notes += of_roles + notes
    return first_pass


def _of_pieces(table: Table, task: Any, each: Each | None) -> Iterable[Any]:
    """Return what comes of a task on each piece of a table, here or elsewhere."""
    pieces = pieces_of(table, elsewhere=each is not None)
    return (task(None, piece) for piece in pieces) if each is None else each(task, pieces)


class _Failing:
    """Finds the columns of a piece whose guessed type some value contradicts."""

    @as_by_default
    def __call__(self, _rows: None, piece: Any) -> list[str]:
        found: list[str] = piece.open().columns_that_fail()
        return found


class _Points(NamedTuple):
    """Looks for points in the numbers of a piece."""

    columns: list[str]

    @as_by_default
    def __call__(self, _rows: None, piece: Any) -> dict[str, tuple[bool, bool]]:
        found: dict[str, tuple[bool, bool]] = piece.open().points(self.columns)
        return found


class _Spell(NamedTuple):
    """Looks at how the values of a column of a piece are written."""

    column: str

    @as_by_default
    def __call__(self, _rows: None, piece: Any) -> Spelling:
        spelling = Spelling()
        for frame in piece.open().chunks([self.column]):
            levels = frame[self.column].drop_nulls().alias("level").value_counts(name="n")
            spelling.add(levels["level"], levels["n"])
        return spelling


def _columns_of_thousands(first_pass: FirstPass) -> list[str]:
    """Return the CSV columns of numbers that may all have points between thousands."""
    task = _Points(first_pass.columns_read)
    found = list(_of_pieces(first_pass.table, task, first_pass.each))
    return [
        c for c in found[0] if any(of[c][0] for of in found) and all(of[c][1] for of in found)
    ]  # fmt: skip


def _with_roles(
    table: Table, options: PrepareOptions, each: Each | None
) -> tuple[Table, list[Note]]:
    """Return the table with the formats of the columns that have a role; and what is noted."""
    notes: list[Note] = []
    for role, column in options.roles.items():
        known = table.types.get(column) != pl.String or column in table.formats
        if role in {"target", *CLUSTER_ROLES} or known:
            continue
        spelling = Spelling()
        for part in _of_pieces(table, _Spell(column), each):
            spelling.merge(part)
        hints = Hints(options.decimal, options.thousands)
        forced = "number" if role != "time column" else ""
        asked = dict(options.kinds).get(column, forced)
        found = recognise(spelling, hints, forced=asked if asked.startswith("date") else forced)
        if found.format is not None:
            notes += _said(table, {column: found})
            table = table.with_formats({column: found.format})
    return table, notes


def _spellings(first_pass: FirstPass) -> dict[str, Spelling]:
    """Return how the values of the columns are written of which it is open what they are."""
    profiles = {**first_pass.profiles, first_pass.options.target: first_pass.target_profile}
    return {
        column: profile.spelling for column, profile in profiles.items()
        if isinstance(profile, LevelProfile) and profile.spelling is not None
    }  # fmt: skip


def _recognised(first_pass: FirstPass) -> dict[str, Recognised]:
    """Return what the text of each column is, by its values and by those of others."""
    options, kinds = first_pass.options, dict(first_pass.options.kinds)
    spellings = _spellings(first_pass)
    asked = {c: k if k.startswith(("number", "date")) else "" for c, k in kinds.items()}
    marks = {
        recognise(spelling, Hints(), forced=asked.get(c, "")).mark
        for c, spelling in spellings.items()
    } - {""}
    separators = {text.separator for text in first_pass.table.opened.text}
    elsewhere = ""
    if len(marks) == 1:
        (elsewhere,) = marks
    elif not marks and separators == {";"}:
        elsewhere = ","
    hints = Hints(options.decimal, options.thousands, elsewhere)
    return {
        c: recognise(spelling, hints, forced=asked.get(c, "")) for c, spelling in spellings.items()
    }


def _formats(
    first_pass: FirstPass, found: Mapping[str, Recognised], notes: list[Note]
) -> tuple[dict[str, Any], list[str]]:
    """Return the columns that are to be read as numbers or dates, and those to be looked at."""
    table, options, kinds = first_pass.table, first_pass.options, dict(first_pass.options.kinds)
    profiles = {**first_pass.profiles, options.target: first_pass.target_profile}
    chosen: dict[str, Any] = {}
    for column, one in found.items():
        asked = column in kinds
        if one.format is None:
            if asked and kinds[column].startswith(("number", "date")):
                _refuse_kind(table, column, kinds[column])
            _refuse_given(first_pass, column)
            if one.share >= 0.5 and not asked:
                notes.append(_half(column, one.share, target=column == options.target))
            continue
        many = profiles[column].distinct > _MANY
        typed = not table.guesses and isinstance(one.format, NumberFormat) and one.format.is_plain
        if typed and not asked and not (many and (column == options.target or one.share < 1.0)):
            if many:
                notes.append(
                    NUMBERS_AS_LEVELS.note(
                        f"Column {column!r} is text that reads as numbers, and is taken as a "
                        f"category of {profiles[column].distinct:,} levels. "
                        f"{given('kinds', {column: 'number'})} takes it as numbers."
                    )
                )
            continue
        chosen[column] = one.format
    if chosen:
        notes += _said(table, {c: found[c] for c in chosen})
    commas = (
        options.decimal == ","
        or options.thousands == "."
        or any(one.mark == "," for one in found.values() if one.format is not None)
    )
    # points may stand between thousands there, which a reader takes for decimal ones
    if commas:
        return chosen, _columns_of_thousands(first_pass)
    if not chosen and options.decimal is None and {t.separator for t in table.opened.text} == {";"}:
        notes += [
            AMBIGUOUS_FORMAT.note(
                f"All points of {column!r} stand before three digits, and are read as decimal "
                "ones. If they stand between thousands: "
                'thousands=".".'
            )
            for column in _columns_of_thousands(first_pass)
        ]
    return chosen, []


def _refuse_given(first_pass: FirstPass, column: str) -> None:
    """Refuse marks that a user gave, where a column is of numbers with others."""
    options, spelling = first_pass.options, _spellings(first_pass)[column]
    if options.decimal is None and options.thousands is None:
        return
    written = recognise(spelling, Hints()).format
    if isinstance(written, NumberFormat):
        marks = " and ".join(
            given(name, mark) for name, mark in
            (("decimal", options.decimal), ("thousands", options.thousands)) if mark is not None
        )  # fmt: skip
        msg = (
            f"Column {column!r} of {first_pass.table.name} holds numbers "
            f"({written.describe() or '123.5'}), and not with {marks}. Leave that away: how "
            "numbers are written is found out for each column. Or use "
            f"{given('kinds', {column: 'category'})}."
        )
        raise InvalidTable(msg)


def _refuse_kind(table: Table, column: str, kind: str) -> None:
    noun = "dates" if kind.startswith("date") else "numbers"
    example = (
        "Write them as 2026-11-23 or 2026-11-23 10:30:00, or say how they are written "
        f"({given('kinds', {column: 'date:%d/%m/%Y'})})."
        if noun == "dates"
        else f"Use {given('kinds', {column: 'category'})}."
    )
    msg = (
        f"Column {column!r} of {table.name} has type {table.types[column]}, and its values are "
        f"not read as {noun}. {example}"
    )
    raise InvalidTable(msg)


def _half(column: str, share: float, *, target: bool) -> Note:
    what = "classes" if target else "a category"
    return PARTLY_NUMBERS.note(
        f"{share:.0%} of the values of {column!r} read as numbers, the others do not: they are "
        f"{what}. If they are numbers, correct the others, or take them as missing (na=[...])."
    )


def _said(table: Table, found: Mapping[str, Recognised]) -> list[Note]:
    """Return notes of how columns are written, those that are written alike together."""
    alike: dict[str, list[str]] = {}
    notes = []
    for column, one in found.items():
        written = one.format
        assert written is not None  # noqa: S101
        words = written.describe() if one.told else ""
        if words:
            how = "Numbers are read with" if written.noun == "number" else "Dates are read as"
            alike.setdefault(f"{how} {words}", []).append(column)
        elif not table.guesses and not isinstance(written, NumberFormat):
            alike.setdefault("Text is read as dates or times", []).append(column)
        elif not table.guesses and written.noun == "number":
            alike.setdefault("Text is read as numbers", []).append(column)
        if written.missing:
            tokens = ", ".join(map(repr, written.missing))
            notes.append(
                TAKEN_AS_MISSING.note(
                    f"In {column!r} {tokens} {_is(written.missing)} taken as missing."
                )
            )
        if one.instead:
            is_number = isinstance(written, NumberFormat)
            option = one.instead if is_number else given("kinds", {column: one.instead})
            notes.append(
                AMBIGUOUS_FORMAT.note(
                    f"How {column!r} is written, its values leave open ({words}, or not): "
                    f"{option} reads it otherwise."
                )
            )
    of_formats = [
        RECOGNISED_FORMAT.note(f"{words}: {_listed(columns)}.") for words, columns in alike.items()
    ]
    return of_formats + notes


def _is(values: Iterable[str]) -> str:
    return "is" if len(list(values)) == 1 else "are"


def _listed(columns: list[str]) -> str:
    more = len(columns) - _SHOWN
    return ", ".join(columns[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
