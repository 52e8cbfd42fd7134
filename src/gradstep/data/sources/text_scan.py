"""CSV files as one query: their columns by name, with the types that their values tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from gradstep.data.sources.by_name import columns_of_all
from gradstep.data.sources.text_files import INFER_ROWS, MISSING
from gradstep.errors import InvalidTable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gradstep.data.sources.text_files import TextFile
    from gradstep.diagnostics.diagnostic import Note

__all__ = ["scan_text", "scan_text_as"]

_ISO = r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}"


def scan_text(
    files: Sequence[TextFile], as_text: Collection[str], na: Sequence[str]
) -> tuple[pl.LazyFrame, list[Note]]:
    """Scan CSV files; whole numbers are read as float64.

    A column without any value in the first file has the type of the next one that has some.
    Dates have a type if they are written as ISO 8601 has them: of others a reader would guess
    whether the day or the month comes first, from the first rows.

    Returns
    -------
    LazyFrame, list of Note
        The rows, and what a person should know.
    """
    columns, notes = columns_of_all(
        [file.name for file in files], [dict.fromkeys(file.header, "a column") for file in files]
    )
    options = _options(na)
    types: dict[str, Any] = {}
    undecided = set(columns)
    for file in files:
        found, empty = _types(file, options)
        for name, dtype in found.items():
            if name in undecided or name not in types:
                types[name] = dtype
        undecided -= set(found) - empty
        if not undecided:
            break
    for name, dtype in types.items():
        if name in as_text:
            types[name] = pl.String
        elif dtype.is_numeric():
            types[name] = pl.Float64  # a later row may well have a fraction
    types = {c: types[c] for c in columns}
    return pl.concat([scan_text_as(file, types, na) for file in files]), notes


def scan_text_as(
    file: TextFile, types: Mapping[str, pl.DataType], na: Sequence[str]
) -> pl.LazyFrame:
    """Scan a CSV file as one of a table that has these columns, some of which it may lack."""
    part = pl.scan_csv(
        file.path, separator=file.separator, schema={c: types[c] for c in file.header},
        try_parse_dates=True, glob=False, **_options(na),
    )  # fmt: skip
    if file.header == list(types):
        return part
    gone = [pl.lit(None, types[c]).alias(c) for c in types if c not in file.header]
    return part.with_columns(gone).select(list(types))


def _options(na: Sequence[str]) -> dict[str, Any]:
    return {"null_values": [*MISSING, *na]}


def _types(file: TextFile, options: Mapping[str, Any]) -> tuple[Mapping[str, Any], set[str]]:
    """Return the types that the first rows suggest, and the columns in which those are empty."""
    try:
        found = pl.scan_csv(
            file.path, separator=file.separator, try_parse_dates=True,
            infer_schema_length=INFER_ROWS, glob=False, **options,
        ).collect_schema()  # fmt: skip
        odd = [name for name in file.header if name not in found]
        if odd:
            msg = (
                f"{file.name}, line 1: the column name {odd[0]!r} has a quote or a byte-order mark "
                "in it, and could be read in several ways. Rename it."
            )
            raise InvalidTable(msg)
        text = [name for name, dtype in found.items() if dtype == pl.String]
        dates = [name for name, dtype in found.items() if dtype in {pl.Date, pl.Datetime}]
        rows = pl.scan_csv(
            file.path, separator=file.separator, infer_schema=False, glob=False, **options
        )
        head = rows.select(text + dates).head(INFER_ROWS).collect()
    except pl.exceptions.PolarsError as error:
        if file.undecodable_line():  # said better when the rows are read
            return dict.fromkeys(file.header, pl.String()), set()
        file.check_records()
        reason = str(error).split("\n", maxsplit=1)[0]
        msg = f"{file.name} cannot be read: {reason}"
        raise InvalidTable(msg) from error
    except OSError as error:
        msg = f"{file.name} cannot be unpacked: {error}."
        raise InvalidTable(msg) from error
    types: dict[str, Any] = dict(found)
    for name in dates:
        if not head[name].drop_nulls().str.contains(_ISO).all():
            types[name] = pl.String()
    return types, {name for name in text if head[name].null_count() == head.height}
