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
from gradstep.files import is_stream, refuse_existing, refuse_unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from gradstep.model.by_pieces import Part
    from gradstep.model.model import Model

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
            help="Parquet, CSV or NDJSON, by its name; else CSV here. With --dask a folder.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Columns to copy (comma between, or repeated).")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option(help="Whether to add a column for each class.")
    ] = True,
    threshold: opt.Threshold = None,
    encoding: opt.Encoding = "",
    dask: opt.Dask = None,
    allow_mixed: opt.AllowMixed = False,
    ignore: Ignore = None,
    force: opt.Force = False,
    json: opt.Json = False,
) -> None:
    """Predict each row of a table."""
    from gradstep.cli import report
    from gradstep.model.kept_columns import refuse_to_keep

    codes = ignored(ignore)
    paths.note_cache(codes)
    fitted = paths.model_of(model, table)
    if threshold is not None:
        fitted = fitted.with_threshold(threshold)
    copied = opt.split(keep)
    refuse_to_keep(fitted, copied, probabilities=probabilities)
    opt.refuse_allow_mixed(allow_mixed=allow_mixed, dask=dask)
    how: dict[str, Any] = {
        "keep": copied, "probabilities": probabilities, "encoding": encoding,
    }  # fmt: skip
    if dask is not None:
        parts = _predict_there(fitted, table, _folder(out), dask, allow_mixed=allow_mixed, **how)
        rows, told = sum(part.rows for part in parts), {"parts": len(parts)}
    else:
        rows, told = _predict_here(fitted, table, out, model, force=force, json=json, **how), {}
    if json and out is not None:
        report.print_json({"rows": rows, "out": str(out), "unseen": dict(fitted.unseen), **told})
    elif not json:
        _tell(fitted, rows, out, codes)


def _predict_here(
    fitted: Model,
    table: str,
    out: Path | None,
    model: Path,
    *,
    force: bool,
    json: bool,
    **how: Any,
) -> int:
    """Predict into a file, or print; return how many rows."""
    from gradstep.cli.progress import Progress
    from gradstep.model.prediction_files import check_format, no_predictions, write_predictions

    if out is not None:
        check_format(out)
        refuse_unwritable(out)
        paths.refuse_foreign(out, "predictions", force=force)
        paths.refuse_sources(out, table, str(model))
    count = 0
    with Progress(wanted=not json) as progress:

        def counted() -> Iterator[pl.DataFrame]:
            nonlocal count
            for batch in fitted.predict_batches(table, **how):
                count += batch.height
                progress("predicting", count)
                yield batch
            if count == 0:
                yield no_predictions(fitted, table, **how)

        if out is not None:
            write_predictions(counted(), out)
        elif json:
            _print_rows(counted())
        else:
            for number, batch in enumerate(counted()):
                write_data(batch.write_csv(include_header=number == 0))
    return count


def _folder(out: Path | None) -> Path:
    """Return the folder that a cluster writes to, which must not exist."""
    if out is None or out.suffix.lower() in {".parquet", ".pq", ".csv", ".tsv", ".ndjson"}:
        msg = (
            "With --dask, predictions become a folder with a Parquet file for each part of the "
            f"table: name it without a suffix (-o DIR){'' if out is None else f', not {out}'}."
        )
        raise InvalidParameter(msg)
    refuse_existing(out)
    return out


def _predict_there(
    fitted: Model, table: str, out: Path, dask: str, **how: Any
) -> list[Part]:  # fmt: skip
    """Predict on a cluster into a folder; return its parts."""
    from gradstep.cli.progress import Progress
    from gradstep.model.by_pieces import predict_parts

    with Progress() as progress, opt.cluster(dask) as client:
        return predict_parts(fitted, table, out, client=client, watch=progress.parts, **how)


def _tell(fitted: Model, rows: int, out: Path | None, codes: frozenset[str]) -> None:
    from gradstep.model.unseen import unseen_notes

    if out is not None:
        # not among the predictions, where these are written to /dev/stdout
        say(f"{figures.count(rows, 'prediction', 'predictions')} in {out}", err=is_stream(out))
    say_notes(unseen_notes(fitted), codes)


def _print_rows(batches: Iterator[pl.DataFrame]) -> None:
    """Print rows as one JSON document, batch by batch: a list of objects."""
    begun = False
    for batch in batches:
        if batch.height:
            rows = ",\n".join(map(escaped_json, batch.write_ndjson().rstrip("\n").split("\n")))
            write_data((",\n" if begun else "[\n") + rows)
            begun = True
    write_data("\n]\n" if begun else "[]\n")
