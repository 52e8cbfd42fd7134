"""``gradstep evaluate``: how good a model is on a table that has the target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradstep.cli import options as opt
from gradstep.cli import paths
from gradstep.cli.notes import Ignore, ignored
from gradstep.diagnostics.of_tables import NO_TARGET
from gradstep.figures import count

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    table: opt.TableArgument,
    *,
    sample_weight: opt.SampleWeight = None,
    threshold: opt.Threshold = None,
    encoding: opt.Encoding = "",
    dask: opt.Dask = None,
    allow_mixed: opt.AllowMixed = False,
    ignore: Ignore = None,
    json: opt.Json = False,
) -> None:
    """Evaluate a model on a table that has the target."""
    from gradstep.cli import report
    from gradstep.model import evaluation
    from gradstep.model.unseen import unseen_notes

    codes = ignored(ignore)
    paths.note_cache(codes)
    fitted = paths.model_of(model, table)
    if threshold is not None:
        fitted = fitted.with_threshold(threshold)
    opt.refuse_allow_mixed(allow_mixed=allow_mixed, dask=dask)
    with opt.cluster(dask) as client:
        found = evaluation.evaluate(
            fitted, table, sample_weight=sample_weight, encoding=encoding, client=client,
            allow_mixed=allow_mixed,
        )  # fmt: skip
    if json:
        report.print_json({**found, "unseen": dict(fitted.unseen)})
        return
    to = report.console()
    to.print(report.metrics_table(fitted, found, found.get("baseline")))
    if found.get("calibration"):
        to.print(report.calibration_table(found["calibration"], fitted.target.names))
    if fitted.target.classes is not None:
        to.print(report.confusion_table(found["confusion"], fitted.target.classes))
    notes = unseen_notes(fitted)
    if found.get("missing_target"):
        missing = count(found["missing_target"], "row", "rows")
        notes.append(NO_TARGET.note(f"{missing} without the target left out."))
    report.print_notes(to, notes, codes)
