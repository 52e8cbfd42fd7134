"""``gradstep predict``: a model and a table in, predictions out; tables of any size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradstep import figures
from gradstep.cli import options as opt
from gradstep.cli import paths
from gradstep.cli.notes import Ignore, ignored, say_notes
from gradstep.cli.terminal import escaped_json, say, write_data
from gradstep.errors import InvalidParameter
from gradstep.files import (
    address_of,
    is_stream,
    refuse_existing,
    refuse_unwritable,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from gradstep.model.by_pieces import Part
    from gradstep.model.model import Model
    from gradstep.model.prediction_columns import PredictionColumns

__all__ = ["predict"]


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    table: opt.TableArgument,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Parquet, CSV or NDJSON, by its name; else CSV here. With --dask a folder, or one "
            "in a store (s3://…).",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Columns to copy (comma between, or repeated).")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option(help="Whether to add a column for each class.")
    ] = True,
    threshold: opt.Threshold = None,
    interval: Annotated[
        float | None,
        typer.Option(
            metavar="LEVEL",
            help="Add the ends of intervals of this level, as 0.95: of a new target for squared "
            "error, else of the mean, of classes of each probability.",
        ),
    ] = None,
    interval_of: Annotated[
        str | None, typer.Option(**opt.one_of("What intervals are of.", "target mean"))
    ] = None,
    encoding: opt.Encoding = "",
    dask: opt.Dask = None,
    allow_mixed: opt.AllowMixed = False,
    ignore: Ignore = None,
    force: opt.Force = False,
    json: opt.Json = False,
) -> None:
    """Predict each row of a table."""
    from gradstep.cli import report
    from gradstep.model.prediction_columns import PredictionColumns

    codes = ignored(ignore)
    paths.note_cache(codes)
    fitted = paths.model_of(model, table)
    if threshold is not None:
        fitted = fitted.with_threshold(threshold)
    how: dict[str, Any] = {
        "keep": opt.split(keep), "probabilities": probabilities, "interval": interval,
        "interval_of": interval_of,
    }  # fmt: skip
    columns = PredictionColumns.asked(fitted, **how)
    opt.refuse_allow_mixed(allow_mixed=allow_mixed, dask=dask)
    told = columns.told
    if dask is not None:
        how |= {"encoding": encoding, "allow_mixed": allow_mixed}
        parts = _predict_there(fitted, table, _folder(out), dask, **how)
        rows, told = sum(part.rows for part in parts), {**told, "parts": len(parts)}
    else:
        rows = _predict_here(columns, table, out, model, force=force, json=json, encoding=encoding)
    if json and out is not None:
        report.print_json({"rows": rows, "out": _named(out), "unseen": dict(fitted.unseen), **told})
    elif not json:
        _tell(columns, rows, out, codes)


def _predict_here(
    columns: PredictionColumns,
    table: str,
    out: Path | None,
    model: Path,
    *,
    force: bool,
    json: bool,
    encoding: str,
) -> int:
    """Predict into a file, or print; return how many rows."""
    from gradstep.cli.progress import Progress
    from gradstep.model.prediction_files import check_format, write_predictions

    if out is not None:
        check_format(out)
        refuse_unwritable(out)
        paths.refuse_foreign(out, "predictions", force=force)
        paths.refuse_sources(out, table, str(model))
    count = 0
    with Progress(wanted=not json) as progress:

        def counted() -> Iterator[pl.DataFrame]:
            nonlocal count
            for batch in columns.of_table(table, encoding):
                count += batch.height
                progress("predicting", count)
                yield batch

        if out is not None:
            write_predictions(counted(), out)
        elif json:
            _print_rows(counted())
        else:
            for number, batch in enumerate(counted()):
                write_data(batch.write_csv(include_header=number == 0))
    return count


def _folder(out: Path | None) -> Path:
    """Return the folder that a cluster writes to, which must not exist; or one in a store."""
    if out is None or out.suffix.lower() in {".parquet", ".pq", ".csv", ".tsv", ".ndjson"}:
        given = "" if out is None else f", not {_named(out)}"
        msg = (
            "With --dask, predictions become a folder with a Parquet file for each part of the "
            f"table: name it without a suffix (-o DIR){given}."
        )
        raise InvalidParameter(msg)
    if address_of(out) is None:
        refuse_existing(out)
    return out


def _named(out: Path) -> str:
    """Return what the place is called that was written to."""
    return without_secrets(address_of(out) or str(out))


def _predict_there(
    fitted: Model, table: str, out: Path, dask: str, **how: Any
) -> list[Part]:  # fmt: skip
    """Predict on a cluster into a folder; return its parts."""
    from gradstep.cli.progress import Progress
    from gradstep.model.by_pieces import predict_parts

    with Progress() as progress, opt.cluster(dask) as client:
        return predict_parts(fitted, table, out, client=client, watch=progress.parts, **how)


def _tell(
    columns: PredictionColumns, rows: int, out: Path | None, codes: frozenset[str]
) -> None:  # fmt: skip
    from gradstep.model.unseen import unseen_notes

    if out is not None:
        # not among the predictions, where these are written to /dev/stdout
        predictions = figures.count(rows, "prediction", "predictions")
        say(f"{predictions}{columns.in_words} in {_named(out)}", err=is_stream(out))
    say_notes(unseen_notes(columns.model), codes)


def _print_rows(batches: Iterator[pl.DataFrame]) -> None:
    """Print rows as one JSON document, batch by batch: a list of objects."""
    begun = False
    for batch in batches:
        if batch.height:
            rows = ",\n".join(map(escaped_json, batch.write_ndjson().rstrip("\n").split("\n")))
            write_data((",\n" if begun else "[\n") + rows)
            begun = True
    write_data("\n]\n" if begun else "[]\n")
