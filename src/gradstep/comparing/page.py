"""A comparison as a page: what came of each run, curves, noise, paths over the objective."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradstep.comparing.playback import Playback
from gradstep.comparing.words import (
    cells,
    diverged,
    noise_in_words,
    recommendation,
    rows_in_words,
    sentences,
    to_try,
)
from gradstep.figures import count, number
from gradstep.markup import Markup, joined, tag, text, width_of
from gradstep.reporting.document import Report, document, fact_list
from gradstep.reporting.figures import figure, grid, paragraph, table
from gradstep.reporting.plot import SIZE, Plot
from gradstep.reporting.scales import Linear, Log
from gradstep.reporting.sections.notes import text_list
from gradstep.reporting.sections.section import Section
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradstep.comparing.comparison import Comparison
    from gradstep.comparing.runs import Run
    from gradstep.comparing.surface import Surface

__all__ = ["page_of"]

_MOST_POINTS, _MOST_DOTS, _MOST_ROWS = 200, 600, 200
_LEAST = 1e-4  # of the lowest of the textbook's runs: below, the automatic method's line is cut
_HIGHEST = 3.0  # times the start: above, that of one that diverges
_MOST_ASIDE, _LABELLED = 110.0, 8


def page_of(of: Comparison) -> Report:
    """Return the page of a comparison."""
    sections = [
        Section("runs", "What came of each", _run_parts(of)),
        Section("curves", "How they went", _curve_parts(of)),
    ]
    if of.noise:
        sections.append(Section("noise", "How much a batch's gradient says", _noise_parts(of)))
    style = ""
    if of.surface is not None:
        played = Playback.of(of, of.surface)
        parts = _path_parts(of, of.surface, played)
        sections.append(Section("paths", "The ways that they took", parts))
        style = played.style()
    sections.append(Section("how", "How this was done", _how_parts(of)))
    about = of.about
    target = text(about["target"], 80)
    head: list[str] = [
        tag("h1", "Ways to the optimum of ", tag("bdi", target)),
        tag(
            "p", tag("bdi", text(about["loss"])), ", ", tag("bdi", text(about["penalty"])), ", on ",
            f"{about['rows']:,} rows of ", tag("bdi", text(about["source"])),
            f"; steps on {about['steps']}. gradstep {VERSION}.",
        ),
        _facts(of),
    ]  # fmt: skip
    return document(joined((target, ": a comparison")), head, sections, style)


def _facts(of: Comparison) -> Markup:
    least = number(of.unit * of.automatic.curve.loss[-1])
    facts = [(f"{of.loss_name} at the optimum", least, "by the automatic method")]
    arrived = [(there.rows, run) for run in of.runs if (there := of.arrival(run)) is not None]
    if arrived:
        rows, run = min(arrived, key=lambda each: each[0])
        facts.append(("within 1 % after fewest rows", run.name, f"{rows:,.0f} rows"))
    if of.best is not None:
        end = f"{of.loss_name} {number(of.unit * of.best.curve.loss[-1])}"
        facts.append(("lowest at the end", of.best.name, end))
    if of.noise:
        near = rows_in_words(of.noise["near"].scale, of.about["rows"])
        facts.append(("as much noise as length, near the optimum", near, "of a batch"))
    return fact_list(facts)


def _run_parts(of: Comparison) -> list[Markup]:
    head, rows = cells(of)
    parts = [
        table(head, rows, caption="Runs"),
        *(paragraph(line) for line in filter(None, [*sentences(of), recommendation(of)])),
    ]
    why = [*diverged(of.runs), *filter(None, [to_try(of, spelled=False)])]
    return [*parts, *([text_list(why)] if why else [])]


# --------------------------------------------------------------------------- curves


def _curve_parts(of: Comparison) -> list[Markup]:
    heights = {run.name: [of.unit * value for value in of.excess(run)] for run in _all(of)}
    axes: list[tuple[str, str, str, Callable[[Run], Sequence[float]]]] = [
        ("epochs", "epochs", "Against epochs", _epochs),
        ("rows", "rows read", "Against rows read", _rows),
        ("seconds", "seconds", "Against seconds of the loop", _seconds),
    ]
    figures = [
        _curves(of, (f"curve-{name}", title, unit), along, heights)
        for name, unit, title, along in axes
    ]
    if of.about["held_out"]:
        figures.append(_held_out(of))
    told = (
        f"The height is how far the {of.loss_name} of all {of.about['rows']:,} training rows is "
        "above the optimum, with the penalty, after each epoch; the scale is logarithmic, so a "
        "straight line is a steady rate, and a level one is noise that a constant rate keeps."
    )
    return [paragraph(told), grid(figures)]


def _all(of: Comparison) -> list[Run]:
    return [*of.runs, of.automatic]


def _names(of: Comparison) -> list[str]:
    """Return the names of the key."""
    return [f"{r.name} (diverged)" if r.diverged is not None else r.name for r in _all(of)]


def _epochs(run: Run) -> Sequence[float]:
    return [float(at) for at in range(len(run.curve.rows))]


def _rows(run: Run) -> Sequence[float]:
    return run.curve.rows


def _seconds(run: Run) -> Sequence[float]:
    return run.curve.seconds


def _thinned(n: int, most: int) -> list[int]:
    """Return positions among n, at most so many, the ends with them."""
    return sorted({round(at) for at in np.linspace(0, n - 1, min(n, most)).tolist()})


def _curves(
    of: Comparison, named: tuple[str, str, str], along: Callable[[Run], Sequence[float]],
    heights: dict[str, list[float]],
) -> Markup:  # fmt: skip
    name, title, unit = named
    start = heights[_all(of)[0].name][0]
    ended = [min(v for v in heights[r.name] if math.isfinite(v)) for r in of.runs]
    least = _LEAST * start if not ended else max(_LEAST * min(ended), 1e-9 * start)
    lines = {}
    for run in _all(of):
        at = _thinned(len(run.curve.rows), _MOST_POINTS)
        x, own = along(run), heights[run.name]
        there = [max(own[i], least) for i in at]
        y = [value if 0.0 < value <= _HIGHEST * start else math.nan for value in there]
        lines[run.name] = [x[i] for i in at], y
    every = [v for _, y in lines.values() for v in y if math.isfinite(v)]
    names = [run.name for run in _all(of)]
    aside = _aside(names)
    plot = Plot(
        Linear.of([v for x, _ in lines.values() for v in x], 0.0), Log.of(every), unit,
        f"{of.loss_name} above the optimum", aside=aside,
    )  # fmt: skip
    ends = []
    for series, (x, y) in enumerate(lines.values()):
        plot.line(x, y, series, dashed=True)
        if len(x) <= 2:  # a line that hardly is one
            plot.dots(x[-1:], y[-1:], series)
        seen = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(b)]
        ends += [(*seen[-1], names[series])] if seen else []
    if aside:
        plot.end_labels(ends)
    plot.key(_names(of))
    return figure(
        name, title, _ends_in_words(of, heights), plot, _numbers(of, along, unit, heights)
    )


def _aside(names: Sequence[str]) -> float:
    """Return the room that names at the ends of lines take; none if they are long or many."""
    widest = max(width_of(name, SIZE) for name in names)
    return widest + 2.0 if len(names) <= _LABELLED and widest <= _MOST_ASIDE else 0.0


def _ends_in_words(of: Comparison, heights: dict[str, list[float]]) -> str:
    told = [
        f"{run.name} ends {number(heights[run.name][-1], 2)} above the optimum"
        if run.diverged is None
        else f"{run.name} diverges"
        for run in _all(of)
    ]
    return f"{'; '.join(told)}."


def _numbers(
    of: Comparison, along: Callable[[Run], Sequence[float]], unit: str,
    heights: dict[str, list[float]],
) -> Markup:  # fmt: skip
    each = max(2, _MOST_ROWS // len(_all(of)))
    rows = [
        [run.name, number(along(run)[i]), number(heights[run.name][i])]
        for run in _all(of)
        for i in _thinned(len(run.curve.rows), each)
    ]
    return table(["run", unit, f"{of.loss_name} above the optimum"], rows, caption=unit)


def _held_out(of: Comparison) -> Markup:
    """Return how the rows held out were predicted."""
    lines = {}
    for run in _all(of):
        values = [math.nan if v is None else of.unit * v for v in run.curve.held_out]
        at = _thinned(len(values), _MOST_POINTS)
        lines[run.name] = [float(i) for i in at], [values[i] for i in at]
    high = _HIGHEST * of.unit * max(run.curve.loss[0] for run in _all(of))
    lines = {name: (x, [v if v <= high else math.nan for v in y]) for name, (x, y) in lines.items()}
    every = [v for _, y in lines.values() for v in y if math.isfinite(v)]
    scale = Log.of(every) if every and min(every) > 0.0 else Linear.of(every)
    x_all = [v for x, _ in lines.values() for v in x]
    plot = Plot(Linear.of(x_all, 0.0), scale, "epochs", f"{of.loss_name}, held out")
    for series, (x, y) in enumerate(lines.values()):
        plot.line(x, y, series, dashed=True)
        if len(x) <= 2:
            plot.dots(x[-1:], y[-1:], series)
    plot.key(_names(of))
    rows = [[name, number(y[-1])] for name, (_, y) in lines.items()]
    desc = f"In the end {'; '.join(f'{name} {end}' for name, end in rows)}."
    title = f"The {of.about['held_out']:,} rows held out"
    numbers = table(["run", f"{of.loss_name} in the end"], rows, caption=title)
    return figure("curve-held-out", title, desc, plot, numbers)


# --------------------------------------------------------------------------- noise and paths


def _noise_parts(of: Comparison) -> list[Markup]:
    start, near = of.noise["start"], of.noise["near"]
    sizes = sorted({run.problem.batch_size for run in of.runs})
    rows = [
        [f"{size:,}", number(start.of_batch(size), 3), number(near.of_batch(size), 3)]
        for size in sizes
    ]
    head = ["rows of a batch", "at the start", "within 1 % of the optimum"]
    told = (
        "Noise over signal: the variance of a batch's gradient over the squared length of the "
        "gradient of all rows. At 1 they are equal; the batch of that many rows is the simple "
        f"noise scale (McCandlish et al., arXiv 1812.06162): {number(start.scale, 3)} rows at the "
        f"start, {number(near.scale, 3)} within 1 % of the optimum, estimated from the gradients "
        f"of {start.rows:,} rows."
    )
    return [
        paragraph(noise_in_words(of)),
        table(head, rows, caption="Noise over signal"),
        paragraph(told, class_="quiet"),
    ]


def _path_parts(of: Comparison, surface: Surface, played: Playback) -> list[Markup]:
    first, second = (Linear.of(ends, pad=0.08) for ends in surface.box)
    plot = Plot(first, second, "along the first main direction", "along the second", 330.0)
    for _, x, y in surface.levels:
        plot.contour(x.tolist(), y.tolist())
    drawn = [run.name for run in of.runs if run.name in surface.paths]
    dots = sum(len(x) for x, _ in surface.paths.values()) <= _MOST_DOTS
    rows, before = [], len(plot.marks)
    for run in of.runs:
        if run.name not in surface.paths:
            continue
        x, y = (axis.tolist() for axis in surface.paths[run.name])
        series = of.runs.index(run)
        at = _thinned(len(x), _MOST_POINTS)
        plot.line(*plot.within([x[i] for i in at], [y[i] for i in at]), series, dashed=True)
        within = len(x) - len(run.curve.rows)  # places within the first epoch
        if dots:
            plot.dots(x[within + 1 :], y[within + 1 :], series, 1.8)
        rows += [
            [run.name, str(max(0, i - within)), number(x[i]), number(y[i])]
            for i in _thinned(len(x), max(2, _MOST_ROWS // len(drawn)))
        ]
    plot.marks[before:] = [tag("g", *plot.marks[before:], class_="drawn")]
    played.draw(plot, of, surface)
    start = next(iter(surface.paths.values()))
    plot.mark(float(start[0][0]), float(start[1][0]), "start")
    plot.mark(0.0, 0.0, "optimum")
    plot.key(_names(of)[:-1])
    kind = "ellipses of the Hessian" if surface.quadratic is not None else "sampled on a grid"
    shares = ", ".join(f"{100.0 * share:g}" for share, *_ in surface.levels)
    note = (
        f"Thin lines are of equal height ({kind}): {shares} % of the way up to the start. "
        f"{'A dot is the end of an epoch; the' if dots else 'The'} first epoch is drawn from "
        f"places within it. The plane holds {number(100.0 * surface.share, 3)} % of the squared "
        "distance from the optimum that epochs end at."
    )
    desc = f"Paths of {', '.join(drawn)} from the start towards the optimum."
    numbers = table(["run", "epoch", "first", "second"], rows, caption="Paths")
    picture = figure(
        "paths-plane", "Paths over the objective", desc, plot, numbers, note,
        [played.controls("paths")],
    )  # fmt: skip
    return [tag("div", picture, class_="alone")]


def _how_parts(of: Comparison) -> list[Markup]:
    about = of.about
    return [
        paragraph(
            f"Each run is the textbook's loop, {count(about['epochs'], 'epoch', 'epochs')} from "
            f"{about['start']} with seed {about['seed']}: shuffle, walk through the rows in "
            "batches, a step each. Rows, targets, penalty and start are the same for all; the "
            "table was prepared once. Seconds are those of the loop, on a clock that stands still "
            "while kernels are compiled and while the loss of all rows is evaluated. All but the "
            "seconds is the same each time."
        ),
        paragraph(
            "The optimum is where the automatic method ends on the same objective. Within 1 % of "
            "it is an objective at most 1.01 times as large"
            f"{' (the mean square is twice the loss that is minimised)' if of.mean_square else ''}."
        ),
    ]
