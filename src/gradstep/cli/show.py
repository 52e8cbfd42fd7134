"""``gradstep show``: a model's coefficients in words, and where it comes from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradstep.cli import options as opt
from gradstep.cli.notes import Ignore, ignored
from gradstep.diagnostics.of_models import OLD_FILE
from gradstep.figures import count

_OLD = (
    "The file keeps nothing of the training rows, as those of gradstep before 0.1: coefficients go "
    "by size, those of levels as they are, and columns have no importance. Train the model again."
)

if TYPE_CHECKING:
    from rich.console import Console

    from gradstep.model.model import Model

__all__ = ["show"]


def show(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    *,
    top: Annotated[int, typer.Option(min=0, help="Coefficients to list; 0 for all.")] = 20,
    columns: Annotated[bool, typer.Option("--columns", help="List the columns, too.")] = False,
    ignore: Ignore = None,
    json: opt.Json = False,
) -> None:
    """Say in words what a model has learned."""
    from rich.markup import escape

    from gradstep.cli import report
    from gradstep.model.coefficients import (
        coefficients,
        importance,
        in_words,
        intercepts_in_words,
        points_of_curves,
    )
    from gradstep.model.file import load
    from gradstep.model.intervals import of_errors, wald_by_column, with_errors

    codes = ignored(ignore)
    fitted = load(model)
    found = coefficients(fitted, top or None, references=json, curves=json)
    chosen = with_errors(fitted, found)
    if json:
        report.print_json({
            "target": fitted.target.column,
            "classes": fitted.target.classes,
            "loss": repr(fitted.loss),
            "offset": fitted.offset,
            "exposure": fitted.exposure,
            "intercept": fitted.intercept_.tolist(),
            "importance": importance(fitted),
            "coefficients": chosen,
            "tests": wald_by_column(fitted),
            "curves": points_of_curves(fitted),
            "columns": fitted.encoding.to_json()["columns"],
            "provenance": fitted.provenance,
        })  # fmt: skip
        return
    to = report.console()
    report.prose(to, "Target", fitted.target.column)
    if fitted.target.classes is not None:
        report.prose(to, "Classes", ", ".join(fitted.target.names))
    report.prose(to, "Loss", repr(fitted.loss))
    if fitted.shift is not None:
        kind = "Exposure" if fitted.shift.is_exposure else "Offset"
        is_log = hasattr(fitted.loss, "inverse_link")
        report.prose(to, kind, fitted.shift.in_words(is_log=is_log))
    if fitted.provenance:
        try:
            _tell_origin(to, fitted)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            report.prose(to, "From", "what the file says of it is not what gradstep writes")
    if columns:
        report.tell_columns(to, fitted.encoding, {})
    report.tell_importance(to, importance(fitted))
    report.tell_curves(to, fitted)
    report.prose(to, "Intercept", intercepts_in_words(fitted))
    report.prose(
        to, "Coefficients", f"{_listed(fitted, len(chosen), top)}{of_errors(fitted, codes)}"
    )
    for entry in chosen:
        to.print(f"  {escape(in_words(fitted, entry))}")
    report.tell_no_errors(to, fitted)
    if fitted.training is None:
        report.print_notes(to, [OLD_FILE.note(_OLD)], codes)


def _tell_origin(to: Console, fitted: Model) -> None:
    """Print where a model comes from."""
    from gradstep.cli import report
    from gradstep.engine.records import Outcome

    known = fitted.provenance
    rows = count(known["rows"]["train"], "row", "rows")
    report.prose(to, "From", f"{known['source']}, {rows}; gradstep {known['version']}")
    epochs = count(known["epochs"], "epoch", "epochs")
    rows, rate = known["batch_size"], _short(known["learning_rate"])
    steps = "of automatic steps" if rows == "auto" else f"of batches of {rows:,}; {rate}"
    report.prose(
        to, "Trained",
        f"{epochs} {steps}; {known['penalty']}, {known['optimizer']}, seed {known['seed']}. "
        f"{Outcome[known['outcome'].upper()].in_short}",
    )  # fmt: skip
    if known.get("constraints"):
        from gradstep.fit.column_constraints import ConstraintsOnColumns

        asked = ConstraintsOnColumns(**known["constraints"])
        report.prose(to, "Constraints", asked.in_words())
    if known.get("refit"):
        rows = known["refit"]["rows"]
        report.prose(to, "Refit", f"to all {rows:,} rows, once it was judged by those held out")
    if known["validation"]:
        to.print(report.metrics_table(fitted, known["validation"], known["baseline"]))


def _listed(fitted: Model, shown: int, top: int) -> str:
    """Return which coefficients are listed: curves and the first levels have no lines here."""
    from gradstep.model.coefficients import coefficients, nonzero

    which = "most important first"
    if top and shown == top:
        total = len(coefficients(fitted, references=False, curves=False))
        if total > shown:
            which = f"the {shown:,} most important of {total:,} (--top 0 lists all)"
    zero = fitted.coef_.size - nonzero(fitted)
    return f"{which}; {zero:,} {'is' if zero == 1 else 'are'} zero" if zero else which


def _short(text: str) -> str:
    """Return a text with its long numbers rounded.

    Examples
    --------
    >>> _short("Constant(eta0=0.12345678)")
    'Constant(eta0=0.1235)'
    """
    return re.sub(r"\d+\.\d{5,}", lambda found: f"{float(found[0]):.4g}", text)
