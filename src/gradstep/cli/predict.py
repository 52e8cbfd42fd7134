"""``gradstep predict``: a model and a table in, predictions out; tables of any size."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from gradstep.cli import options as opt
from gradstep.cli.terminal import escaped_json, say, write_data
from gradstep.errors import InvalidParameter
from gradstep.files import is_stream, refuse_unwritable, writing_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from gradstep.model.model import Model

__all__ = ["predict"]

_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv",
            ".ndjson": "ndjson", ".jsonl": "ndjson"}  # fmt: skip


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    table: opt.TableArgument,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Parquet, CSV or NDJSON, by its name; else CSV here."),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Columns to copy (comma between, or repeated).")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option(help="Whether to add a column for each class.")
    ] = True,
    encoding: opt.Encoding = "",
    json: opt.Json = False,
) -> None:
    """Predict each row of a table."""
    from gradstep.cli import report
    from gradstep.cli.progress import Progress
    from gradstep.model.file import load

    fitted = load(model)
    copied = opt.split(keep)
    fitted.refuse_to_keep(copied, probabilities=probabilities)
    if out is not None:
        _format(out)
        refuse_unwritable(out)
        opt.refuse_sources(out, table, str(model))
    count = 0
    with Progress(wanted=not json) as progress:

        def counted() -> Iterator[pl.DataFrame]:
            nonlocal count
            for batch in fitted.predict_batches(
                table, keep=copied, probabilities=probabilities, encoding=encoding
            ):
                count += batch.height
                progress("predicting", count)
                yield batch
            if count == 0:
                yield _no_rows(fitted, table, copied, probabilities=probabilities)

        if out is not None:
            _write(counted(), out)
        elif json:
            _print_rows(counted())
        else:
            for number, batch in enumerate(counted()):
                write_data(batch.write_csv(include_header=number == 0))
    if json and out is not None:
        report.print_json({"rows": count, "out": str(out), "unseen": dict(fitted.unseen)})
    elif not json:
        _tell(fitted, count, out)


def _tell(fitted: Model, rows: int, out: Path | None) -> None:
    from gradstep.cli import report

    if out is not None:
        # not among the predictions, where these are written to /dev/stdout
        say(f"{report.count(rows, 'prediction', 'predictions')} in {out}", err=is_stream(out))
    for note in report.unseen_notes(fitted):
        say(f"note: {note}", err=True)


def _no_rows(fitted: Model, table: str, keep: list[str], *, probabilities: bool) -> pl.DataFrame:
    """Return the columns of predictions, for a table that has no rows."""
    import numpy as np
    import polars as pl

    from gradstep.data.sources.opening import open_table

    known: dict[str, Any] = dict.fromkeys(keep, pl.String())
    if keep and table != "-":  # which is gone once it is read
        known = open_table(table).schema
    kept = pl.DataFrame(schema={name: known[name] for name in keep})
    none = np.empty((0, fitted.n_outputs))
    return pl.DataFrame([*kept, *fitted.predictions(none, probabilities=probabilities)])


def _print_rows(batches: Iterator[pl.DataFrame]) -> None:
    """Print rows as one JSON document, batch by batch: a list of objects."""
    begun = False
    for batch in batches:
        if batch.height:
            rows = ",\n".join(map(escaped_json, batch.write_ndjson().rstrip("\n").split("\n")))
            write_data((",\n" if begun else "[\n") + rows)
            begun = True
    write_data("\n]\n" if begun else "[]\n")


def _format(out: Path) -> str:
    kind = _FORMATS.get(out.suffix.lower(), "csv" if is_stream(out) else None)
    if kind is None:
        msg = f"{out} has no suffix that is known: use .parquet, .csv, .tsv or .ndjson."
        raise InvalidParameter(msg)
    return kind


def _write(batches: Iterator[pl.DataFrame], out: Path) -> None:
    """Write batches to a file, which has its name once it is complete."""
    kind = _format(out)
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
    import polars as pl
    from polars.io.plugins import register_io_source

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
