"""What the verbs print for people: short tables that fit a narrow terminal."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from rich import box
from rich.bar import Bar
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gradstep.cli.speaking import spoken
from gradstep.cli.terminal import escaped, say, writing_stdout
from gradstep.data.features.in_words import columns_in_words, features_in_words, rows_in_words
from gradstep.data.roles import written
from gradstep.diagnostics.diagnostic import without
from gradstep.engine.records import above_least
from gradstep.figures import count, number
from gradstep.model.coefficients import BELOW_ZERO, curve_in_words, points_of_curves
from gradstep.model.metrics import constant_in_words, in_figures, metrics_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.text import Text

    from gradstep.data.features.in_words import ColumnInWords
    from gradstep.fit.table import TableFit
    from gradstep.fit.table_plan import TablePlan
    from gradstep.model.model import Model

__all__ = [
    "calibration_table",
    "confusion_table",
    "console",
    "excess",
    "folds_table",
    "metrics_table",
    "print_json",
    "print_notes",
    "prose",
    "tell_columns",
    "tell_curves",
    "tell_importance",
    "tell_no_errors",
    "tell_plan",
    "tell_rows",
]

_FEW, _BAR = 10, 20
_SEEN = 0.0005  # of a share: below, it is shown as 0.0 %


def excess(fit: TableFit) -> str:
    """Return how far the objective is above its least value, if that is known."""
    record = fit.history[-1] if fit.history else None
    if record is None or record.excess is None:
        return ""
    return f" The objective is {above_least(record.loss, record.excess)}."


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON document; numbers that are not finite, which JSON lacks, become null.

    Its notes speak of options, as those for people do.
    """
    for line in json.dumps(_finite(content), indent=1, allow_nan=False).split("\n"):
        say(line)


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {
            key: [spoken(note) for note in value] if key == "notes" else _finite(value)
            for key, value in content.items()
        }
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return content


class _Terminal(Console):
    """A console that escapes each text that it is given, cells of tables too."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text with its markup applied."""
        return super().render_str(escaped(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, or say why that cannot be."""
        with writing_stdout():
            super().print(*objects, **options)


def console() -> Console:
    """Return where results go: stdout."""
    return _Terminal(highlight=False, soft_wrap=False, emoji=False)


def prose(to: Console, head: str, text: str) -> None:
    """Print a line with a heading in front of it."""
    to.print(f"[bold]{head}[/bold]  {escape(text)}")


def tell_rows(to: Console, rows: Mapping[str, int]) -> None:
    """Print what became of the rows."""
    prose(to, "Rows", rows_in_words(rows))


def tell_columns(to: Console, encoding: Any, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what became of each column."""
    _tell_columns(to, columns_in_words(encoding, known), encoding.n_features)


def _tell_columns(to: Console, columns: list[ColumnInWords], n_features: int) -> None:
    prose(to, "Columns", features_in_words(columns, n_features))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("column", "became", "detail"):
        table.add_column(head, overflow="fold")
    for name, became, detail in columns:
        table.add_row(escape(name), became, escape(spoken(detail)))
    if columns:
        to.print(table)


def tell_plan(to: Console, plan: TablePlan) -> None:
    """Print what is going to be done."""
    tell_rows(to, plan.rows)
    _tell_columns(to, plan.columns, plan.n_features)
    for head, text in plan.words.items():
        prose(to, head, spoken(text))
    if plan.writes:
        prose(to, "Writes", plan.in_files)
    print_notes(to, plan.notes)


def tell_no_errors(to: Console, model: Model) -> None:
    """Print why coefficients have no intervals, where that is known."""
    if model.covariance is None and (why := model.provenance.get("no_inference")):
        prose(to, "Errors", f"no standard errors: {spoken(why)}")


def tell_curves(to: Console, model: Model) -> None:
    """Print what curves look like: some points of each."""
    found = points_of_curves(model)
    if found:
        prose(to, "Curves", "what a column adds, besides its crosses, against its middle point")
    for entry in found:
        to.print(f"  {escape(curve_in_words(model, entry))}")


def tell_importance(to: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """Print which columns matter, the first few."""
    if not found:
        return
    below = ""
    if any(entry["share"] < -_SEEN for entry in found[:_FEW]):
        below = f"; {BELOW_ZERO}"
    prose(
        to, "Importance",
        f"share of the variance of the score, and deviation of the column's part{below}",
    )  # fmt: skip
    table = Table(box=None, pad_edge=True, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right")
    table.add_column(justify="right")
    drawn = to.is_terminal and to.encoding.startswith("utf")
    for entry in found[:_FEW]:
        deviation = ""  # of several classes, each has its own
        if "deviation" in entry:
            deviation = f"{'+' if entry['sign'] > 0 else ''}{number(entry['deviation'])}"
        bar = [Bar(1.0, 0.0, min(abs(entry["share"]), 1.0), width=_BAR)] if drawn else []
        share = round(100.0 * entry["share"], 1) + 0.0  # no -0.0
        table.add_row(escape(entry["column"]), f"{share:.1f} %", deviation, *bar)
    to.print(table)


def metrics_table(
    model: Model, found: Mapping[str, Any], baseline: Mapping[str, Any] | None, which: str = ""
) -> Table:
    """Return a model's metrics, beside those of a constant prediction, of which rows."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{count(found['rows'], 'row', 'rows')} {which}".strip())
    table.add_column("model", justify="right")
    if baseline:
        table.add_column(constant_in_words(model.exposure), justify="right")
    for key, words in metrics_in_words(model.loss).items():
        if key in found:
            cells = [words, in_figures(key, found[key])]
            constant = in_figures(key, baseline.get(key, math.nan)) if baseline else ""
            table.add_row(*cells, *([constant] if baseline else []))
    return table


def folds_table(loss: Any, folds: Sequence[dict[str, Any]]) -> Table:
    """Return mean and spread of a loss's metrics in a cross-validation."""
    from gradstep.fit.folds import mean_and_spread

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"cross-validation in {len(folds)} parts")
    for head in ("mean", "deviation"):
        table.add_column(head, justify="right")
    found = mean_and_spread(folds)
    for key, words in metrics_in_words(loss).items():
        if key in found:
            table.add_row(words, *(in_figures(key, value) for value in found[key]))
    return table


def confusion_table(confusion: Sequence[Sequence[float]], classes: Sequence[Any]) -> Table:
    """Return how often each class was taken for each; of many classes the first ten."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("true \\ predicted")
    more = len(classes) > _FEW
    for label in classes[:_FEW]:
        table.add_column(escape(written(label)), justify="right")
    if more:
        table.add_column("others", justify="right")
        table.caption = f"{_FEW} of {len(classes):,} classes; --json has all."
    for label, row in zip(classes[:_FEW], confusion, strict=False):
        cells = [*row[:_FEW], *([sum(row[_FEW:])] if more else [])]
        table.add_row(escape(written(label)), *(number(float(cell)) for cell in cells))
    return table


def calibration_table(tenths: Sequence[Mapping[str, float]], classes: Sequence[Any]) -> Table:
    """Return how often a class was there, beside how probable it was said to be.

    That is the second of two classes, of more the one that is predicted.
    """
    label = written(classes[1]) if len(classes) == 2 else "probability of the class"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("tenth of the rows")
    table.add_column(escape(f"predicted {label}"), justify="right")
    table.add_column("observed", justify="right")
    for at, tenth in enumerate(tenths, 1):
        table.add_row(str(at), f"{tenth['predicted']:.4f}", f"{tenth['observed']:.4f}")
    return table


def print_notes(to: Console, notes: Iterable[str], codes: frozenset[str] = frozenset()) -> None:
    """Print what a person should know, but for notes that are ignored."""
    for note in without(notes, codes):
        head, _, text = note.labelled().partition(": ")
        to.print(f"[yellow]{escape(head)}:[/yellow] {escape(spoken(text))}")
