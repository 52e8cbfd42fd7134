"""Files of predictions: Parquet, CSV or NDJSON, whole or not there."""

from __future__ import annotations

import json
from itertools import chain
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl
from polars.io.plugins import register_io_source

from gradstep.errors import InvalidParameter
from gradstep.files import is_stream, writing_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["check_format", "has_predictions", "write_predictions"]

_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv",
            ".ndjson": "ndjson", ".jsonl": "ndjson"}  # fmt: skip


def check_format(out: Path) -> str:
    """Return what a file is to be, by its suffix; refuse one that is not known."""
    kind = _FORMATS.get(out.suffix.lower(), "csv" if is_stream(out) else None)
    if kind is None:
        msg = f"{out} has no suffix that is known: use .parquet, .csv, .tsv or .ndjson."
        raise InvalidParameter(msg)
    return kind


def has_predictions(path: Path) -> bool:
    """Tell whether an existing file has a column of predictions."""
    kind = check_format(path)
    try:
        if kind == "parquet":
            return "prediction" in pl.read_parquet_schema(path)
        with path.open("rb") as file:
            first = file.readline(1 << 20).decode(errors="replace").strip()
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        return "prediction" in (first.split(separator) if kind == "csv" else json.loads(first))
    except (OSError, ValueError, pl.exceptions.PolarsError):
        return False


def write_predictions(batches: Iterator[pl.DataFrame], out: Path) -> None:
    """Write batches to a file, which has its name once it is complete."""
    kind = check_format(out)
    separator = "\t" if out.suffix.lower() == ".tsv" else ","
    with writing_file(out) as file:
        if kind == "parquet":
            _write_parquet(batches, file)
            return
        for number, batch in enumerate(batches):
            if kind == "csv":
                batch.write_csv(file, include_header=number == 0, separator=separator)
            else:
                batch.write_ndjson(file)


def _write_parquet(batches: Iterator[pl.DataFrame], file: BinaryIO) -> None:
    """Write batches to a Parquet file, row group after row group.

    In a thread of its own, so that after Ctrl-C Polars can be waited for: it would go on writing.
    """
    first = next(batches)
    failed: list[BaseException] = []
    stopped = Event()

    def source(
        with_columns: list[str] | None, predicate: Any, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del predicate, n_rows, batch_size  # nothing is pushed into a sink's source
        try:
            for batch in chain([first], batches):
                if stopped.is_set():
                    return
                yield batch.select(with_columns) if with_columns else batch
        except Exception as error:
            failed.append(error)
            raise

    def sink() -> None:
        try:
            register_io_source(source, schema=first.schema).sink_parquet(file)
        except BaseException as error:  # noqa: BLE001  # of whatever kind: raised below
            failed.append(error)

    writer = Thread(target=sink, name="gradstep-write")
    writer.start()
    try:
        writer.join()
    finally:
        stopped.set()
        writer.join()
    if failed:
        error = failed[0]
        raise OSError(str(error)) if isinstance(error, pl.exceptions.PolarsError) else error
