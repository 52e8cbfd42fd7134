"""How the run went: the objective against passes and seconds, and the distance from its least."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from gradstep.engine.records import Outcome, above_least
from gradstep.figures import count, number
from gradstep.markup import Markup, tag, text
from gradstep.reporting.figures import figure, grid, paragraph, table
from gradstep.reporting.plot import Plot
from gradstep.reporting.scales import Linear, Log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.model.model import Model

__all__ = ["run_parts"]

_OLD = "The model's file keeps no history, as those of gradstep before 0.1: train the model again."
_NO_SECONDS = tag(
    "p",
    "A model's file keeps no seconds, so that the same fit writes the same file: the report of ",
    tag("code", "train --report"), " and of ", tag("code", "fit_table"),
    "'s result shows the objective against seconds, too.", class_="quiet",
)  # fmt: skip
_LEAST = 1e-16  # of the objective: rounding
_DOTS = 60  # of a curve; of more there is the line alone


def run_parts(model: Model, seconds: Sequence[float] = ()) -> list[Markup]:
    """Return how the run went.

    Parameters
    ----------
    model : Model
        The model.
    seconds : sequence of float
        Of each epoch, if they are known.
    """
    known = model.provenance
    if not known:
        return [paragraph("The model does not say how it was trained.")]
    parts = [paragraph(_in_words(known))]
    if known.get("refit"):
        refit = known["refit"]
        parts.append(
            paragraph(
                f"Once the rows held out had judged it, it was fitted to all {refit['rows']:,} "
                f"rows in {count(refit['epochs'], 'epoch', 'epochs')}; the figures here are of the "
                "run before."
            )
        )
    history = known.get("history")
    if not history:
        return [*parts, paragraph(_OLD)]
    figures = _figures(history, seconds)
    if not figures:
        return [*parts, paragraph(_of_one(history, seconds))]
    parts.append(grid(figures))
    return parts if seconds else [*parts, _NO_SECONDS]


def _in_words(known: Mapping[str, Any]) -> Markup:
    rows, epochs = known["batch_size"], count(known["epochs"], "epoch", "epochs")
    steps = "of automatic steps" if rows == "auto" else f"of batches of {rows:,} rows"
    ended = Outcome[known["outcome"].upper()].in_short
    return text(
        f"{epochs} {steps}; {known['penalty']}, {known['optimizer']}, seed {known['seed']}. "
        f"{ended}",
        1000,
    )


def _of_one(history: Mapping[str, Any], seconds: Sequence[float]) -> str:
    """Return what is known of a run of one epoch, of which there is no curve."""
    values = {name: _numbers(history.get(name), 1)[0] for name in ("loss", "passes", "excess")}
    told = [f"objective {number(values['loss'], 6)}"]
    if math.isfinite(values["passes"]):
        told.append(f"{number(values['passes'])} passes over the rows")
    if math.isfinite(values["excess"]):
        told.append(above_least(values["loss"], values["excess"]))
    if len(seconds) == 1:
        told.append(f"{number(seconds[0], 3)} s")
    return f"It took one epoch, so there is no curve to draw: {', '.join(told)}."


def _figures(history: Mapping[str, Any], seconds: Sequence[float]) -> list[Markup]:
    n = len(history["epoch"])
    if n < 2:
        return []
    epoch, loss, passes, excess, optimality, score = (
        _numbers(history.get(name), n)
        for name in ("epoch", "loss", "passes", "excess", "optimality", "validation")
    )
    automatic = any(map(math.isfinite, passes))
    at, unit = (passes, "passes over the rows") if automatic else (epoch, "epochs")
    found = [_curve("passes", "Objective", (unit, at), ("objective", loss))]
    clock = list(accumulate(seconds))
    if clock and max(epoch) <= len(clock):  # of many epochs, the history has some
        own = [clock[int(number) - 1] for number in epoch]
        x = ("seconds of training", own)
        found.append(_curve("seconds", "Objective", x, ("objective", loss)))
    away = "Distance from the optimum:"
    if any(map(math.isfinite, excess)):
        above = [
            max(e / abs(f), _LEAST) if f else math.nan for e, f in zip(excess, loss, strict=True)
        ]
        title = f"{away} objective above its least value, as a share"
        found.append(_curve("excess", title, (unit, at), ("share", above), log=True))
    elif any(value > 0.0 for value in optimality):
        title = f"{away} length of the next step, as a share of the first"
        found.append(_curve("optimality", title, (unit, at), ("share", optimality), log=True))
    if any(map(math.isfinite, score)):
        own = [-value for value in score]
        found.append(_curve("held-out", "Loss of the rows held out", (unit, at), ("loss", own)))
    return found


def _numbers(values: Any, n: int) -> list[float]:
    """Return numbers of n epochs, NaN where one is not known."""
    if values is None:
        return [math.nan] * n
    found = [math.nan if value is None else float(value) for value in values]
    if len(found) != n:
        msg = "a history has a number for each epoch"
        raise ValueError(msg)
    return found


def _curve(
    name: str,
    title: str,
    x: tuple[str, list[float]],
    y: tuple[str, list[float]],
    *,
    log: bool = False,
) -> Markup:
    """Return what became of a number, on an axis with a title each."""
    (x_title, at), (y_title, values) = x, y
    if log:
        values = [value if value > 0.0 else math.nan for value in values]
    scale = Log.of(values) if log else Linear.of(values, pad=0.06)
    plot = Plot(Linear.of(at, 0.0), scale, x_title, y_title + (", logarithmic" if log else ""))
    plot.line(at, values)
    if len(at) <= _DOTS:
        plot.dots(at, values)
    rows = [[number(a, 8), number(b, 8)] for a, b in zip(at, values, strict=True)]
    desc = (
        f"{y_title} goes from {number(values[0])} after {number(at[0])} {x_title} to "
        f"{number(values[-1])} after {number(at[-1])}."
    )
    return figure(
        f"run-{name}", f"{title} against {x_title}", desc, plot, table([x_title, y_title], rows, 0)
    )
