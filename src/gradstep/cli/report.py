"""What the verbs print for people: short tables that fit a narrow terminal."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gradstep.cli.terminal import escaped, say, writing_stdout
from gradstep.data.features.columns import HashColumn, LeftOut, LevelColumn, LogColumn
from gradstep.data.features.terms.crosses import Cross, PowerColumn
from gradstep.data.features.terms.spline import SplineColumn
from gradstep.data.roles import written
from gradstep.model.coefficients import curve_in_words, points_of_curves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.text import Text

    from gradstep.fit.table import TableFit
    from gradstep.model.model import Model

__all__ = [
    "calibration_table",
    "confusion_table",
    "console",
    "count",
    "excess",
    "folds_table",
    "metrics_table",
    "print_json",
    "print_notes",
    "prose",
    "tell_columns",
    "tell_curves",
    "tell_importance",
    "tell_rows",
    "unseen_notes",
]

_FEW = 10
_WORDS = {
    "rmse": "root mean square error",
    "mae": "mean absolute error",
    "r2": "R²",
    "deviance": "mean deviance",
    "pinball": "pinball loss",
    "coverage": "share at or below",
    "log_loss": "log loss",
    "brier": "Brier score",
    "auc": "area under ROC",
    "pr_auc": "area under precision-recall",
    "f1": "F1",
    "accuracy": "accuracy",
}


def excess(fit: TableFit) -> str:
    """Return how far the objective is above its least value, if that is known."""
    record = fit.history[-1] if fit.history else None
    if record is None or record.excess is None:
        return ""
    share = record.excess / abs(record.loss) if record.loss else 0.0
    least = (
        "its least value, to rounding" if share < 1e-12 else f"{share:.1e} of it above its least"
    )
    return f" The objective is {least}."


def unseen_notes(model: Model) -> list[str]:
    """Return what is to be said of values of the last table that training saw nothing like."""
    numbers = {c.source: c for c in model.encoding.read_as_numbers}
    notes = []
    for column, n in sorted(model.unseen.items()):
        if not n:
            continue
        values = count(n, "value", "values")
        if column in numbers:
            known = numbers[column]
            mean = "the mean" + ("" if known.part else f" ({number(known.mean)})")
            notes.append(f"{values} of {column} missing, as none was in training: {mean} is used.")
        else:
            notes.append(
                f"{values} of {column} unknown or missing, as none was in training: no effect on "
                "the prediction."
            )
    return notes


def count(n: int, one: str, more: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "row", "rows"), count(2500, "row", "rows")
    ('1 row', '2,500 rows')
    """
    return f"{n:,} {one if n == 1 else more}"


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON document; numbers that are not finite, which JSON lacks, become null."""
    for line in json.dumps(_finite(content), indent=1, allow_nan=False).split("\n"):
        say(line)


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
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
    dropped = f", {rows['dropped']:,} without a target dropped" if rows["dropped"] else ""
    if rows.get("weightless"):
        dropped += f", {rows['weightless']:,} of weight 0 left out"
    prose(
        to, "Rows",
        f"{rows['read']:,} read{dropped}, {rows['train']:,} to train on, "
        f"{rows['validation']:,} held out",
    )  # fmt: skip


def number(value: float) -> str:
    """Return a number with four significant digits or so."""
    if not math.isfinite(value):
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e5 else f"{value:,.0f}"


def tell_columns(to: Console, encoding: Any, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what became of each column."""
    by_source = _by_source(encoding)
    used = len(encoding.sources)
    features = count(encoding.n_features, "feature", "features")
    prose(to, "Columns", f"{used:,} of {len(by_source):,} used, as {features}")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("column", "became", "detail"):
        table.add_column(head, overflow="fold")
    for source, parts in by_source.items():
        became, detail = _told(parts, known.get(source, {}))
        table.add_row(escape(source), became, escape(detail))
    for cross in (c for c in encoding.columns if isinstance(c, Cross)):
        table.add_row(escape(cross.name), "cross", encoding.terms.in_words(cross))
    if by_source:
        to.print(table)


def _by_source(encoding: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for column in sorted(encoding.columns, key=lambda c: isinstance(c, LeftOut)):
        if not isinstance(column, Cross):
            found.setdefault(column.source, []).append(column)
    return found


def _told(parts: Sequence[Any], known: Mapping[str, Any]) -> tuple[str, str]:
    first = parts[0]
    missing = known.get("missing", 0)
    gaps = f", {missing:,} missing" if missing else ""
    if isinstance(first, LeftOut):
        return "left out", first.reason
    if isinstance(first, HashColumn):
        return "category", f"hashed to {1 << first.bits:,} weights{gaps}"
    if isinstance(first, LevelColumn):
        more = known.get("levels", 0) - len(first.levels)
        shared = f" and {more:,} that share one" if more > 0 else " and one that the rest share"
        levels = count(len(first.levels), "level", "levels")
        return "category", f"{levels}{shared if first.other else ''}{gaps}"
    if isinstance(first, SplineColumn):
        low, high = number(first.knots[0]), number(first.knots[-1])
        days = " in days" if first.part else ""
        return "curve", f"{len(first.knots)} knots from {low} to {high}{days}{gaps}"
    if first.part:
        return "date", ", ".join(["days", *(p.part for p in parts[1:])]) + gaps
    became = "logarithm" if isinstance(first, LogColumn) else "number"
    powers = [p.power for p in parts if isinstance(p, PowerColumn)]
    gaps = (f", powers to {max(powers)}" if powers else "") + gaps
    return became, f"mean {number(first.mean)}, deviation {number(first.scale)}{gaps}"


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
    prose(
        to, "Importance", "share of the variance of the score, and deviation of the column's part"
    )
    table = Table(box=None, pad_edge=True, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right")
    table.add_column(justify="right")
    for entry in found[:_FEW]:
        deviation = ""  # of several classes, each has its own
        if "deviation" in entry:
            deviation = f"{'+' if entry['sign'] > 0 else ''}{number(entry['deviation'])}"
        table.add_row(escape(entry["column"]), f"{100.0 * entry['share']:.1f} %", deviation)
    to.print(table)


def metrics_table(
    found: Mapping[str, Any], baseline: Mapping[str, Any] | None, which: str = ""
) -> Table:
    """Return metrics, beside those of the best constant prediction, of which rows."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{count(found['rows'], 'row', 'rows')} {which}".strip())
    table.add_column("model", justify="right")
    if baseline:
        table.add_column("best constant", justify="right")
    for key, words in _WORDS.items():
        if key in found:
            cells = [words, _precise(found[key])]
            table.add_row(*cells, *([_precise(baseline.get(key, math.nan))] if baseline else []))
    return table


def folds_table(folds: Sequence[dict[str, Any]]) -> Table:
    """Return mean and spread of the metrics of a cross-validation."""
    from gradstep.fit.folds import mean_and_spread

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"cross-validation in {len(folds)} parts")
    for head in ("mean", "deviation"):
        table.add_column(head, justify="right")
    found = mean_and_spread(folds)
    for key, words in _WORDS.items():
        if key in found:
            table.add_row(words, *map(_precise, found[key]))
    return table


def _precise(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{value:.5g}"


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


def calibration_table(tenths: Sequence[Mapping[str, float]], label: Any) -> Table:
    """Return how often a class was there, beside how probable it was said to be."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("tenth of the rows")
    table.add_column(escape(f"predicted {written(label)}"), justify="right")
    table.add_column("observed", justify="right")
    for at, tenth in enumerate(tenths, 1):
        table.add_row(str(at), f"{tenth['predicted']:.4f}", f"{tenth['observed']:.4f}")
    return table


def print_notes(to: Console, notes: Iterable[str]) -> None:
    """Print what a person should know."""
    for note in notes:
        to.print(f"[yellow]note:[/yellow] {escape(note)}")
