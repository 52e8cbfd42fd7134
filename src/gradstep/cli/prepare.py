"""``gradstep prepare``: a table in, a folder out from which training starts at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradstep.cli import options as opt
from gradstep.cli import paths
from gradstep.cli import term_options as term
from gradstep.cli.notes import Ignore, ignored
from gradstep.diagnostics.diagnostic import without
from gradstep.files import without_secrets

__all__ = ["prepare"]


def prepare(
    table: opt.TableArgument,
    *,
    target: opt.Target = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write, or one in a store (s3://…).")
    ],
    task: opt.Task = "auto",
    sample_weight: opt.SampleWeight = None,
    class_weight: opt.ClassWeight = None,
    offset: opt.Offset = None,
    exposure: opt.Exposure = None,
    cluster: opt.Cluster = None,
    loss: Annotated[
        str | None,
        typer.Option(help="The loss to train with, where it decides the task or how offsets act."),
    ] = None,
    power: Annotated[float, typer.Option(help="Of tweedie.")] = 1.5,
    validation: opt.Validation = "0.1",
    time_column: opt.TimeColumn = None,
    drop: opt.Drop = None,
    only: opt.Only = None,
    kinds: opt.AsKind = None,
    max_levels: opt.MaxLevels = 1000,
    spline: term.Spline = None,
    cross: term.Cross = None,
    poly: term.Poly = None,
    log: term.Log = None,
    formula: term.Formula = None,
    decimal: opt.Decimal = None,
    thousands: opt.Thousands = None,
    na: opt.Na = None,
    encoding: opt.Encoding = "",
    missing: opt.Missing = "encode",
    missing_target: opt.MissingTarget = "drop",
    random_state: opt.RandomState = 0,
    dask: opt.Dask = None,
    allow_mixed: opt.AllowMixed = False,
    ignore: Ignore = None,
    json: opt.Json = False,
) -> None:
    """Encode and shuffle a table once, into a folder that `train` starts from at once."""
    from gradstep.cli import report
    from gradstep.cli.progress import Progress
    from gradstep.fit.components import LOSSES, loss_of
    from gradstep.fit.prepare import prepare as make
    from gradstep.fit.prepare import preparing_for

    codes = ignored(ignore)
    opt.refuse_unknown("--loss", loss, LOSSES)
    opt.refuse_allow_mixed(allow_mixed=allow_mixed, dask=dask)
    target, terms = term.terms(
        target or paths.label_of(table), formula=formula, only=only, spline=spline, cross=cross,
        poly=poly, log=log,
    )  # fmt: skip
    chosen = opt.preparation(
        target=target, task=task, sample_weight=sample_weight,
        class_weight=class_weight, offset=offset, exposure=exposure, time_column=time_column,
        validation=validation, drop=drop, only=only, kinds=kinds, max_levels=max_levels,
        decimal=decimal, thousands=thousands, na=na, encoding=encoding, missing=missing,
        missing_target=missing_target, memory=None, random_state=random_state,
    )  # fmt: skip
    chosen = term.added(chosen, terms) | {"clusters": opt.split(cluster)}
    numbers = {"epsilon": 0.1, "quantile": 0.5, "power": power}
    chosen |= preparing_for(None if loss is None else loss_of(loss, numbers, LOSSES), chosen)
    with (
        Progress(wanted=not json) as progress,
        opt.cluster(dask) as client,
    ):
        prepared = make(
            table, str(target), out=out, progress=progress, client=client,
            allow_mixed=allow_mixed, watch=progress.parts, **chosen,
        )  # fmt: skip
    meta, where = prepared.meta, without_secrets(prepared.address or str(out))
    if json:
        report.print_json({
            "out": where,
            "source": meta["source"],
            "rows": meta["rows"],
            "target": meta["target"],
            "columns": prepared.encoding.to_json()["columns"],
            "notes": without(prepared.notes, codes),
        })  # fmt: skip
        return
    to = report.console()
    report.tell_rows(to, meta["rows"])
    report.tell_columns(to, prepared.encoding, meta["columns"])
    report.print_notes(to, prepared.notes, codes)
    report.prose(to, "Prepared", where)
