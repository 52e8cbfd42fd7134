"""How good the model is beside the best constant prediction, and its calibration by classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gradstep.data.roles import written
from gradstep.figures import count, number
from gradstep.markup import Markup, tag
from gradstep.model.metrics import DIGITS, constant_in_words, in_figures, metrics_in_words
from gradstep.reporting.figures import figure, table
from gradstep.reporting.plot import Plot
from gradstep.reporting.scales import Linear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.model.model import Model

__all__ = ["calibrated", "calibration_figure", "confusion_parts", "quality_table"]

_FEW = 10


def quality_table(
    model: Model, found: Mapping[str, Any], baseline: Mapping[str, Any] | None
) -> Markup:
    """Return a model's metrics, beside those of a constant prediction."""
    constant = [constant_in_words(model.exposure)] if baseline else []
    head = [count(found["rows"], "row", "rows"), "model", *constant]
    rows = []
    for key, words in metrics_in_words(model.loss).items():
        if key in found:
            row = [words, in_figures(key, found[key])]
            if baseline:
                row.append(in_figures(key, baseline.get(key, math.nan)))
            rows.append(row)
    return table(head, rows, caption="How good predictions are")


def calibrated(classes: Sequence[Any]) -> str:
    """Return whose probabilities the calibration of an evaluation is of, in words."""
    return written(classes[1]) if len(classes) == 2 else "the predicted class"


def calibration_figure(name: str, tenths: Sequence[Mapping[str, float]], what: str) -> Markup:
    """Return how often a class was there, against how probable it was said to be."""
    x = [float(tenth["predicted"]) for tenth in tenths]
    y = [float(tenth["observed"]) for tenth in tenths]
    plot = Plot(Linear(0.0, 1.0), Linear(0.0, 1.0), "predicted probability", "observed share")
    plot.reference([0.0, 1.0], [0.0, 1.0])
    plot.line(x, y)
    plot.dots(x, y)
    off = max((abs(a - b) for a, b in zip(x, y, strict=True)), default=0.0)
    rows = [
        [str(at), number(float(t["predicted"]), DIGITS), number(float(t["observed"]), DIGITS),
         number(float(t["weight"]))]
        for at, t in enumerate(tenths, 1)
    ]  # fmt: skip
    return figure(
        name, f"Calibration of {what}",
        f"In tenths of the rows, what was observed of {what} lies at most {number(off, 2)} from "
        "what was predicted; on the dashed line both are the same.",
        plot, table(["tenth of the rows", "predicted", "observed", "weight"], rows, 0),
    )  # fmt: skip


def confusion_parts(confusion: Sequence[Sequence[float]], classes: Sequence[Any]) -> list[Markup]:
    """Return how often each class was taken for each; of many classes the first ten."""
    more = len(classes) > _FEW
    names = [written(label) for label in classes[:_FEW]]
    rows = [
        [name, *(number(float(c)) for c in [*row[:_FEW], *([sum(row[_FEW:])] if more else [])])]
        for name, row in zip(names, confusion, strict=False)
    ]  # fmt: skip
    head = ["true \\ predicted", *(name[:40] for name in names), *(["others"] if more else [])]
    found = [tag("h3", "Which class was taken for which"), table(head, rows, caption="Confusion")]
    if more:
        found.append(tag("p", f"and {len(classes) - _FEW:,} more classes", class_="quiet"))
    return found
