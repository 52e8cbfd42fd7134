"""The page of a model: its first facts, and its sections."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradstep.diagnostics.catalogue import codes_of
from gradstep.diagnostics.diagnostic import without
from gradstep.diagnostics.of_models import SAMPLED_FIGURES
from gradstep.diagnostics.of_tables import NO_TARGET
from gradstep.errors import InvalidParameter
from gradstep.figures import count, number
from gradstep.files import without_secrets
from gradstep.markup import Markup, joined, tag, text
from gradstep.model.coefficients import importance
from gradstep.model.evaluation import evaluate_with_rows
from gradstep.model.metrics import constant_in_words, in_figures, metrics_in_words
from gradstep.model.model import Model
from gradstep.model.unseen import unseen_notes
from gradstep.reporting.document import document, fact_list
from gradstep.reporting.figures import grid, paragraph
from gradstep.reporting.sections.coefficients import coefficient_parts, correlation_parts
from gradstep.reporting.sections.data import data_parts
from gradstep.reporting.sections.diagnostics import diagnostic_figures
from gradstep.reporting.sections.effects import effect_parts
from gradstep.reporting.sections.notes import (
    grave_box,
    meaning_parts,
    note_list,
    notes_of_model,
)
from gradstep.reporting.sections.quality import (
    calibrated,
    calibration_figure,
    confusion_parts,
    quality_table,
)
from gradstep.reporting.sections.run import run_parts
from gradstep.reporting.sections.section import Section, or_why_not

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.model.sample import SampledRows
    from gradstep.reporting.document import Report

__all__ = ["HeldOut", "Tested", "report", "report_of", "tested_on"]

_FIRST = ("auc", "pinball", "coverage", "deviance", "log_loss", "accuracy", "r2", "rmse")
_NO_TABLE = (
    "Residuals, calibration and the like are drawn of rows that have the target. Give a table "
    "(gradstep report MODEL TABLE), one that the model was not trained on, to see them."
)


@dataclass(frozen=True)
class HeldOut:
    """What is known of the rows that a fit held out.

    Attributes
    ----------
    model : Model
        The model that they judged.
    rows : SampledRows
        Their targets and scores.
    """

    model: Model
    rows: SampledRows


@dataclass(frozen=True)
class Tested:
    """What is known of a table that has the target.

    Attributes
    ----------
    name : str
        What it is called.
    found : mapping
        What `evaluate` returned.
    rows : SampledRows
        Its targets and scores.
    """

    name: str
    found: Mapping[str, Any]
    rows: SampledRows


def report(
    model: Any, table: Any = None, *, sample_weight: str | None = None, encoding: str = "",
    ignore: str | Sequence[str] | None = None,
) -> Report:  # fmt: skip
    """Return a report of a model: what it was made of, what it says, and how sure that is.

    Parameters
    ----------
    model : Model
        A fitted model; or an estimator of tables.
    table : table, optional
        With the columns that the model reads, and the target: its predictions are judged there.
        Best one that the model was not trained on.
    sample_weight : str, optional
        Column of row weights of the table.
    encoding : str
        Of text files, if it is not UTF-8.
    ignore : str, or sequence of str, optional
        Codes of notes to leave out: `gradstep.explain` has all.

    Returns
    -------
    Report
        A page of HTML: ``save`` writes it, a notebook shows it. The same model and table give the
        same page.

    Raises
    ------
    InvalidTable
        If the table cannot be read, or lacks a column.

    Examples
    --------
    >>> import polars as pl
    >>> import gradstep
    >>> x = [0.0, 1.0, 2.0, 3.0] * 25
    >>> frame = pl.DataFrame({"x": x, "y": [1.1, 2.9, 5.1, 6.9] * 12 + [0.9, 3.1, 4.9, 7.1] * 13})
    >>> page = gradstep.report(gradstep.fit_table(frame, "y").model, frame)
    >>> "Residuals against predictions" in page.html
    True
    """
    model = getattr(model, "model_", getattr(model, "_model", model))
    if not isinstance(model, Model):
        msg = (
            f"{type(model).__name__} has no report: report takes a Model, or an estimator that was "
            "fitted on a table."
        )
        raise InvalidParameter(msg)
    tested = None if table is None else tested_on(model, table, sample_weight, encoding)
    return report_of(model, tested=tested, ignored=codes_of(ignore))


def tested_on(model: Model, table: Any, sample_weight: str | None, encoding: str) -> Tested:
    """Return what is to be told of a table that has the target."""
    found, rows = evaluate_with_rows(model, table, sample_weight=sample_weight, encoding=encoding)
    named = isinstance(table, (str, Path))
    name = without_secrets(str(table)) if named else "the frame"
    return Tested(name, found, rows)


def report_of(
    model: Model,
    *,
    tested: Tested | None = None,
    held_out: HeldOut | None = None,
    seconds: Sequence[float] = (),
    ignored: frozenset[str] = frozenset(),
) -> Report:
    """Return the report of a model, of what is known of its fit and of a table.

    Parameters
    ----------
    model : Model
        The model.
    tested : Tested, optional
        What was found on a table.
    held_out : HeldOut, optional
        Rows that the fit held out.
    seconds : sequence of float
        Of each epoch.
    ignored : frozenset of str
        Codes of notes to leave out.
    """
    of_table = [] if tested is None else without(_notes_of(model, tested), ignored)
    sections = [
        Section("data", "What was read", or_why_not(lambda: data_parts(model, ignored))),
        Section("run", "How it was trained", or_why_not(lambda: run_parts(model, seconds))),
        Section(
            "held-out", "How good it is on rows held out",
            or_why_not(lambda: _held_out(model, held_out)),
        ),
    ]  # fmt: skip
    if tested is not None:
        sections.append(
            Section("table", "How good it is on the table", _tested(model, tested, of_table))
        )
    elif held_out is None:
        sections.append(Section("table", "How good it is on a table", [paragraph(_NO_TABLE)]))
    sections += [
        Section(name, title, or_why_not(partial(parts, model)))
        for name, title, parts in (
            (
                "coefficients",
                "What the coefficients say",
                partial(coefficient_parts, ignored=ignored),
            ),
            ("effects", "What each column does", effect_parts),
            ("correlations", "Which coefficients go together", correlation_parts),
        )
    ]
    noted = [*notes_of_model(model, ignored), *of_table]
    if meanings := meaning_parts(noted):
        sections.append(Section("notes", "What the notes mean", meanings))
    return _page(model, noted, sections, None if tested is None else tested.found)


def _held_out(model: Model, held_out: HeldOut | None) -> list[Markup]:
    known = model.provenance
    found = known.get("validation")
    if not found:
        return [
            paragraph("No rows were held out, or the model does not say how good it was on them.")
        ]
    parts = [quality_table(model, found, known.get("baseline"))]
    if known.get("refit"):
        parts.append(paragraph("They judged the model before they went into it.", class_="quiet"))
    if held_out is not None:
        parts.append(grid(diagnostic_figures(held_out.model, held_out.rows, found, "held-out")))
    elif found.get("calibration"):
        what = calibrated(model.target.classes or ())
        parts.append(grid([calibration_figure("held-out-calibration", found["calibration"], what)]))
    if found.get("confusion") and model.target.classes:
        parts += confusion_parts(found["confusion"], model.target.classes)
    return parts


def _notes_of(model: Model, tested: Tested) -> list[Note]:
    """Return what is noted of a table that a model is judged by."""
    found, rows = tested.found, tested.rows
    notes = unseen_notes(model)
    if found.get("missing_target"):
        missing = count(found["missing_target"], "row", "rows")
        notes.append(NO_TARGET.note(f"{missing} without the target left out."))
    if rows.apart > 1:
        notes.append(
            SAMPLED_FIGURES.note(
                f"Figures are drawn of every {rows.apart}th row; the numbers are of all."
            )
        )
    return notes


def _tested(model: Model, tested: Tested, notes: list[Note]) -> list[Markup]:
    found, rows = tested.found, tested.rows
    parts = [
        tag("p", tag("b", "Table "), tag("bdi", text(tested.name))),
        quality_table(model, found, found.get("baseline")),
        grid(diagnostic_figures(model, rows, found, "table")),
    ]
    if model.target.classes is not None and found.get("confusion"):
        parts += confusion_parts(found["confusion"], model.target.classes)
    return [*parts, *([note_list(notes)] if notes else [])]


def _facts(model: Model, tested: Mapping[str, Any] | None) -> Markup:
    """Return the few numbers that one asks for first."""
    known = model.provenance
    rows: Any = known.get("rows") or {}
    facts = (
        [
            (
                "rows trained on",
                f"{(known.get('refit') or rows)['rows' if known.get('refit') else 'train']:,}",
                "",
            )
        ]
        if rows
        else []
    )
    facts.append(("features", f"{model.encoding.n_features:,}", ""))
    found, where = (tested, "on the table") if tested else (known.get("validation"), "held out")
    words = metrics_in_words(model.loss)
    for key in [key for key in _FIRST if found and key in found and key in words][:2]:
        assert found is not None  # noqa: S101
        baseline: Any = (found.get("baseline") if tested else known.get("baseline")) or {}
        beside = ""
        if key in baseline:
            beside = f"{constant_in_words(model.exposure)} {number(baseline[key], 4)}"
        facts.append((f"{words[key]}, {where}", in_figures(key, found[key]), beside))
    first = importance(model)[:1]
    if first:
        facts.append(
            (
                "column that matters most",
                first[0]["column"],
                f"{100.0 * first[0]['share']:.0f} % of the variance of the score",
            )
        )
    return fact_list(facts)


def _page(
    model: Model, noted: Sequence[Note], sections: Sequence[Section],
    tested: Mapping[str, Any] | None,
) -> Report:  # fmt: skip
    target = text(model.target.column, 80)
    version = str(model.provenance.get("version", ""))
    source = str(model.provenance.get("source", ""))
    origin = (
        [" Trained on ", tag("bdi", text(source)), f" by gradstep {version[:20]}."]
        if source
        else []
    )
    head: list[str] = [
        tag("h1", "A model of ", tag("bdi", target)),
        tag("p", tag("bdi", text(repr(model.loss))), " is what was minimised.", *origin),
        *grave_box(noted),
        *or_why_not(lambda: [_facts(model, tested)]),
    ]
    return document(joined((target, ": a model")), head, sections)
