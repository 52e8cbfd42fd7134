"""A table that comes later, read as the one that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.data.features.profile import as_floats, kind_of
from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.data.formats.date_format import AnyNumbers, IsoDates
from gradstep.data.sources.bad_value import BadValue
from gradstep.data.sources.local_copy import STDIN
from gradstep.data.sources.opening import open_table
from gradstep.data.sources.read_options import ReadOptions
from gradstep.data.sources.table import Table
from gradstep.errors import InvalidParameter, InvalidTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gradstep.data.features.encoding import Encoding
    from gradstep.data.roles import Target

__all__ = ["check_columns", "chunks_as", "open_as", "read_as", "readable", "refuse_infinite"]


def chunks_as(
    table: Any,
    encoding: Any,
    target: Target,
    more: Sequence[str] = (),
    copied: Sequence[str] = (),
    text_encoding: str = "",
) -> Iterator[Any]:
    """Yield the rows of a table with the columns that an encoding reads, `more` and `copied`."""
    opened = open_as(table, encoding, target, more, copied, text_encoding)
    if isinstance(encoding, SparseEncoding):
        yield from opened.chunks(encoding.width)
        return
    check_columns(encoding, opened.schema, opened.name)
    for column in (*more, *copied):
        opened.check_column(column, "The column")
    first = 0
    try:
        for frame in opened.chunks(list(dict.fromkeys([*encoding.sources, *more, *copied]))):
            refuse_infinite(frame, encoding, range(first, first + frame.height), opened.name)
            yield frame
            first += frame.height
    except BadValue as error:
        written = opened.formats.get(error.column)
        raise error.of_model(written.describe() if written else "") from None


def open_as(
    table: Any,
    encoding: Any,
    target: Target,
    more: Sequence[str] = (),
    copied: Sequence[str] = (),
    text_encoding: str = "",
) -> Any:
    """Open a table as the one that an encoding was learned from; an opened one stays as it is.

    Categories are read as the text that they are, whatever they look like there; so are columns
    that are only copied, of text files: 007 stays 007.
    """
    if isinstance(encoding, SparseEncoding):
        from gradstep.data.sources.svmlight import SparseTable, is_svmlight

        if isinstance(table, SparseTable):
            return table
        if not is_svmlight(table):
            msg = f"The model reads sparse text (.svm, .svmlight, .libsvm); not {table}."
            raise InvalidTable(msg)
        if text_encoding:
            msg = f"encoding={text_encoding!r}: sparse text (svmlight) is ASCII. Leave it out."
            raise InvalidParameter(msg)
        return SparseTable(table)
    if isinstance(table, Table):
        return table
    read = {*encoding.sources, *more}
    as_text = {*_texts(encoding, target), *(name for name in copied if name not in read)}
    reading = ReadOptions(na=encoding.na, encoding=text_encoding)
    reading.check()
    if isinstance(table, str) and table == STDIN:
        from gradstep.data.sources.stream import open_stdin

        return read_as(open_stdin(as_text, reading), encoding, target)
    return read_as(open_table(table, as_text=as_text, reading=reading), encoding, target)


def _texts(encoding: Encoding, target: Target) -> set[str]:
    """Return the columns that are text in a file: levels, and what has a format."""
    text = {c.source for c in (*encoding.categories, *encoding.texts)}
    text |= {column for column, _ in encoding.formats}
    return text | ({target.column} if target.is_text else set())


def read_as(table: Table, encoding: Encoding, target: Target) -> Table:
    """Return a table whose columns are read as those that an encoding was learned from."""
    texts = [c for c in _texts(encoding, target) if table.types.get(c, pl.String()) != pl.String]
    if texts and table.guesses:
        table = table.with_text(texts)
    formats: dict[str, Any] = dict(encoding.formats)
    for number in encoding.read_as_numbers:  # of what may be text in this table, and had a type
        formats.setdefault(number.source, IsoDates() if number.part else AnyNumbers())
    return table.with_formats(formats)


def check_columns(encoding: Encoding, schema: Mapping[str, Any], name: str) -> None:
    """Refuse a table that lacks a column that the model reads."""
    missing = [source for source in encoding.sources if source not in schema]
    if missing:
        listed = ", ".join(repr(m) for m in missing[:10]) + (", …" if len(missing) > 10 else "")
        msg = (
            f"{name} lacks {'a column' if len(missing) == 1 else 'columns'} that the model reads: "
            f"{listed}. Its columns are: {', '.join(list(schema)[:20])}."
        )
        raise InvalidTable(msg)


def readable(frame: Any, encoding: Any) -> Any:
    """Return a frame whose columns have the kinds that the encoding was learned from.

    Raises
    ------
    InvalidTable
        If a column of numbers or dates holds something else, text of an infinite number, too; for
        numbers that are numbers there is `refuse_infinite`.
    """
    changed: dict[str, pl.Series] = {}
    for number in encoding.read_as_numbers:
        read = frame[number.source]
        column = _as_dates(read) if number.part else _as_numbers(read)
        if column is not read:
            changed[number.source] = column
    return frame.with_columns(changed.values()) if changed else frame


def _as_dates(column: pl.Series) -> pl.Series:
    if kind_of(column.dtype) == "date":
        return column
    if column.null_count() != column.len():
        _refuse(column, f"type {column.dtype}", "dates")
    return pl.Series(column.name, [None] * column.len(), pl.Datetime("us"))


def _as_numbers(column: pl.Series) -> pl.Series:
    kind = kind_of(column.dtype)
    if kind == "number":
        return column
    if column.null_count() == column.len():  # of whatever type
        return pl.Series(column.name, [None] * column.len(), pl.Float64)
    if kind != "category":
        _refuse(column, f"type {column.dtype}", "numbers")
    numbers = column.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    bad = numbers.is_null() & column.is_not_null()
    if bad.any():
        _refuse(column, f"the value {column.filter(bad)[0]!r}", "numbers")
    if _has_infinite(numbers):
        _refuse(column, "an infinite value", "finite numbers")
    return numbers


def _has_infinite(column: pl.Series) -> bool:
    """Tell whether one of a column's numbers is infinite: their sum is then, or it is NaN."""
    if not column.dtype.is_float():
        return False
    x = as_floats(column)
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.isfinite(x.sum()) and bool(np.isinf(x).any())


def refuse_infinite(
    frame: pl.DataFrame, encoding: Encoding, rows: Sequence[int] | pl.Series, name: str
) -> None:
    """Refuse an infinite number in a column of numbers; rows have these numbers in the table."""
    read = (number for number in encoding.read_as_numbers if not number.part)
    for column in dict.fromkeys(number.source for number in read):
        if _has_infinite(frame[column]):
            at = rows[int(frame[column].is_infinite().arg_max() or 0)] + 1
            msg = (
                f"{name}: column {column!r} is infinite in row {at:,} (of the rows, from 1). "
                "Correct it, or make it missing."
            )
            raise InvalidTable(msg)


def _refuse(column: pl.Series, found: str, held: str) -> None:
    msg = f"Column {column.name!r} has {found}, and held {held} when the model was trained."
    raise InvalidTable(msg)
