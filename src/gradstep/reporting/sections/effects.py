"""What is predicted as one column changes, and the others stay at a typical value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.data.roles import written
from gradstep.figures import number
from gradstep.model.effects import effects
from gradstep.objective.regression import Pinball
from gradstep.reporting.figures import Row, figure, grid, paragraph, row_figure, table
from gradstep.reporting.plot import SERIES, Plot
from gradstep.reporting.scales import Dates, Linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradstep.markup import Markup
    from gradstep.model.effects import Effect
    from gradstep.model.model import Model

__all__ = ["effect_parts", "predicted"]

_MOST = 12


def effect_parts(model: Model) -> list[Markup]:
    """Return a figure for each of the columns that matter most."""
    if isinstance(model.encoding, SparseEncoding):
        return [paragraph("Of sparse text there are none: its features have no names or ranges.")]
    found = effects(model, most=_MOST)
    if not found:
        return [paragraph("There are none: all columns are categories whose levels are hashed.")]
    of = "" if model.shift is None else _shifted(model)
    words = (
        "The others stay at the mean of a number and the most frequent level of a category, "
        f"crosses with them too{of}. "
    )
    if found[0].low is not None:
        what = "quantile" if isinstance(model.loss, Pinball) else "mean"
        if model.target.classes is not None:
            what = "probability" if model.gives_probabilities else "score"
        words += f"Bands and bars are 95 % intervals of the {what}, not of single rows."
    else:
        words += "There are no intervals, as there is no covariance that they follow from."
    total = len(model.encoding.read_as_numbers) + len(model.encoding.coded)
    parts = [paragraph(words)]
    if len(found[0].outputs) > SERIES:
        parts.append(
            paragraph(f"The first {SERIES} of {len(found[0].outputs):,} classes are drawn.")
        )
    parts.append(grid([_figure(model, effect, at) for at, effect in enumerate(found)]))
    if total > len(found):
        parts.append(paragraph(f"and {total - len(found):,} more", class_="quiet"))
    return parts


def _shifted(model: Model) -> str:
    assert model.shift is not None  # noqa: S101
    return "; the exposure is 1" if model.shift.is_exposure else "; the offset is 0"


def predicted(model: Model) -> str:
    """Return what is predicted, as an axis is called."""
    target = model.target
    if target.classes is None:
        of = f"{model.loss.quantile:g} quantile of " if isinstance(model.loss, Pinball) else ""
        rate = ""
        if model.shift is not None and model.shift.is_exposure:
            rate = f" for 1 of {model.shift.column}"
        return f"{of}{target.column}{rate}"
    what = "probability" if model.gives_probabilities else "score"
    return f"{what} of {written(target.classes[-1])}" if model.n_outputs == 1 else what


def _figure(model: Model, effect: Effect, at: int) -> Markup:
    names = [written(label) for label in effect.outputs][:SERIES]
    names = names if len(names) > 1 else []
    y_title = predicted(model)
    on = f" on the {y_title}" if isinstance(model.loss, Pinball) else ""
    name, title = f"effect-{at}", f"Effect of {effect.column}{on}"
    n = max(len(names), 1)
    mean = effect.mean[:, :n]
    nothing = np.full_like(mean, math.nan)
    low = nothing if effect.low is None else effect.low[:, :n]
    high = nothing if effect.high is None else effect.high[:, :n]
    scale = Linear.of([*mean.flat, *low.flat, *high.flat], pad=0.05)
    highest, lowest = (
        np.unravel_index(mean.argmax(), mean.shape),
        np.unravel_index(mean.argmin(), mean.shape),
    )
    where = _written(effect)
    desc = (
        f"{y_title} goes from {number(float(mean[lowest]))} at {where[int(lowest[0])][:80]} to "
        f"{number(float(mean[highest]))} at {where[int(highest[0])][:80]}."
    )
    numbers = _table(effect, where, (mean, low, high), names)
    if not effect.is_curve:
        rows = [
            Row(label, list(zip(mean[i].tolist(), low[i].tolist(), high[i].tolist(), strict=True)),
                f"{100.0 * effect.shares[i]:.1f} % of rows" if effect.shares else "")
            for i, label in enumerate(effect.at)
        ]  # fmt: skip
        note = f"and {effect.more:,} more levels" if effect.more else ""
        return figure(name, title, desc, row_figure(rows, scale, y_title, names), numbers, note)
    x = effect.at.tolist()
    ends = (min(x), max(x))
    axis = Dates(*ends) if effect.is_date else Linear(*ends)
    plot = Plot(axis, scale, effect.column, y_title)
    for series in range(n):
        plot.band(x, low[:, series].tolist(), high[:, series].tolist(), series)
        plot.line(x, mean[:, series].tolist(), series, dashed=bool(names))
    if names:
        plot.key(names)
    return figure(name, title, desc, plot, numbers)


def _written(effect: Effect) -> list[str]:
    if not effect.is_curve:
        return list(effect.at)
    if effect.is_date:
        return [str(np.datetime64(round(day), "D")) for day in effect.at.tolist()]
    return [number(value) for value in effect.at.tolist()]


def _table(
    effect: Effect, where: Sequence[str], ends: Sequence[NDArray[np.float64]], names: Sequence[str]
) -> Markup:
    """Return the numbers of an effect, of curves every third; `ends` are mean, low and high."""
    head = [effect.column[:80]]
    for name in names or [""]:
        head += [f"{name[:40]} predicted".strip(), "95 % from", "to"]
    every = 3 if effect.is_curve else 1
    rows = [
        [where[i], *(number(float(value)) for value in np.column_stack([e[i] for e in ends]).flat)]
        for i in range(0, len(where), every)
    ]
    return table(head, rows)
