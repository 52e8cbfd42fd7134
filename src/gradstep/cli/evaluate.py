"""``gradstep evaluate``: how good a model is on a table that has the target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradstep.cli import options as opt

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    table: opt.TableArgument,
    *,
    weight: opt.Weight = None,
    dask: opt.Dask = None,
    allow_mixed: opt.AllowMixed = False,
    json: opt.Json = False,
) -> None:
    """Evaluate a model on a table that has the target."""
    from gradstep.cli import report
    from gradstep.model import evaluation
    from gradstep.model.file import load

    fitted = load(model)
    opt.refuse_allow_mixed(allow_mixed=allow_mixed, dask=dask)
    with opt.cluster(dask) as client:
        found = evaluation.evaluate(
            fitted, table, weight=weight, client=client, allow_mixed=allow_mixed
        )
    if json:
        report.print_json({**found, "unseen": dict(fitted.unseen)})
        return
    to = report.console()
    to.print(report.metrics_table(found, None))
    if fitted.target.classes is not None:
        to.print(report.confusion_table(found["confusion"], fitted.target.classes))
    notes = report.unseen_notes(fitted)
    if found.get("missing_target"):
        missing = report.count(found["missing_target"], "row", "rows")
        notes.append(f"{missing} without the target left out.")
    report.print_notes(to, notes)
