"""Files that carry their types: Parquet, Arrow, and NDJSON, whose types its values tell."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl
import polars.selectors as cs

from gradstep.data.sources.arrow_check import is_damaged_arrow
from gradstep.data.sources.by_name import columns_of_all
from gradstep.data.sources.json_lines import bad_json
from gradstep.data.sources.parquet_check import is_damaged_parquet
from gradstep.data.sources.text_files import INFER_ROWS
from gradstep.errors import InvalidTable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["UNREADABLE", "fixed_parts", "is_damaged", "scan_typed", "scan_typed_as"]

# What Polars raises where a file is damaged; it panics where it did not look.
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


def scan_typed(
    paths: Sequence[Path], names: Sequence[str], kind: str, as_text: Collection[str], *,
    fixed: Sequence[int], heads: bool = False,
) -> tuple[pl.LazyFrame, list[Note]]:  # fmt: skip
    """Scan files that carry their types, which must agree; columns go by their names.

    Parameters
    ----------
    paths, names : sequence
        The files, and what messages call them.
    kind : {"parquet", "ipc", "ndjson"}
        Their format.
    as_text : collection of str
        Columns of NDJSON that are to be text.
    fixed : sequence of int
        For each file, of how many parts of its path no folder, ``year=2024``, is a column.
    heads : bool
        Whether they are no whole files, and are looked through when they are read.

    Returns
    -------
    LazyFrame, list of Note
        The rows, and what a person should know.
    """
    parts: list[pl.LazyFrame] = []
    types: list[dict[str, str]] = []
    for path, name, own in zip(paths, names, fixed, strict=True):
        try:
            if not heads and is_damaged(path, kind):
                _refuse_claims()
            part = _scan_one(path, kind, as_text, own)
            schema = part.collect_schema()
        except UNREADABLE as error:
            reason = str(error).split("\n", maxsplit=1)[0]
            msg = f"{name} is no {kind} file, or a damaged one: {reason}"
            if path.stat().st_size == 0:
                msg = f"{name} is empty."
            elif kind == "ndjson":
                msg = str(bad_json(path, (), name) or msg)
            raise InvalidTable(msg) from error
        types.append({column: _family(dtype) for column, dtype in schema.items()})
        parts.append(part)
    columns, notes = columns_of_all(names, types)
    if len(parts) == 1:
        return parts[0], notes
    parts = [
        part.with_columns(pl.lit(None).alias(c) for c in columns if c not in found).select(columns)
        for part, found in zip(parts, types, strict=True)
    ]
    return pl.concat(parts, how="vertical_relaxed"), notes


def scan_typed_as(
    path: Path, kind: str, types: Mapping[str, pl.DataType], fixed: int
) -> pl.LazyFrame:
    """Scan a file as one of a table that has these columns, some of which it may lack."""
    if kind == "ndjson":
        return pl.scan_ndjson(glob.escape(str(path)), schema=dict(types))
    part = _scan_one(path, kind, (), fixed)
    own = part.collect_schema()
    gone = [pl.lit(None, dtype).alias(c) for c, dtype in types.items() if c not in own]
    part = part.with_columns(gone).select(cs.by_name(name) for name in types)
    return part.cast(pl.Schema(types))


def is_damaged(path: Path, kind: str, rows: tuple[int, int] | None = None) -> bool:
    """Tell whether a file claims what cannot be, of all of it or where some rows are."""
    if kind == "parquet":
        return is_damaged_parquet(path, rows)
    return kind == "ipc" and is_damaged_arrow(path)


def _refuse_claims() -> NoReturn:
    msg = "it claims more than it can hold"
    raise OSError(msg)


def _scan_one(path: Path, kind: str, as_text: Collection[str], fixed: int) -> pl.LazyFrame:
    if kind == "parquet":
        return _scan_parquet(path, fixed)
    if kind == "ipc":
        return pl.scan_ipc(glob.escape(str(path)))
    name = glob.escape(str(path))
    types = pl.scan_ndjson(name, infer_schema_length=INFER_ROWS).collect_schema()
    overrides: dict[str, Any] = {
        # as of text files: a later row may well have a fraction
        column: pl.String if column in as_text else pl.Float64
        for column, dtype in types.items()
        if column in as_text or dtype.is_numeric()
    }
    return pl.scan_ndjson(name, schema={**types, **overrides})


def _scan_parquet(path: Path, fixed: int) -> pl.LazyFrame:
    """Scan a Parquet file; of its folders only those below what was named are columns."""
    plain = pl.scan_parquet(path, hive_partitioning=False, glob=False)
    below = path.parent.parts[fixed:]
    keys = [part.partition("=")[0] for part in below if "=" in part]
    own = plain.collect_schema()
    keys = [key for key in keys if key not in own]  # what the file has itself is the file's
    if not keys:
        return plain
    parted = pl.scan_parquet(path, hive_partitioning=True, glob=False)
    values = parted.select(keys).head(1).collect()
    return plain.with_columns(
        pl.lit(values[key][0] if values.height else None, values.schema[key]).alias(key)
        for key in keys
    )


def fixed_parts(root: str) -> int:
    """Return how many parts a path has before its first pattern."""
    parts = Path(root).expanduser().parts
    return next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))


def _family(dtype: pl.DataType) -> str:
    """Return what a column is, whatever the width of its numbers."""
    if dtype.is_numeric():
        return "number"
    return str(dtype.base_type()).lower() if dtype.is_nested() else str(dtype).lower()
