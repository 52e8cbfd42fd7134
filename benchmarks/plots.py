"""The pictures of what was measured, as SVG and PNG; `benchmarks.page` draws them.

Red is what takes less time than gradstep in each round, grey what is level.
"""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D

from benchmarks.records import read_json
from benchmarks.solvers.results import LEVEL, LOST, verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.solvers.files import Run

__all__ = ["bandwidth", "bars", "batches", "draw_all", "growth", "peers"]

BLUE, RED, GREY, BLACK = "#3b6fb6", "#c0392b", "#888888", "#222222"
COLOURS = {LOST: RED, LEVEL: GREY}
STYLES = ("o-", "s--", "^-.", "D:", "v-", "P--", "X-.", "*:")
MARKS = "osD^vP*Xh<>"
WIDTH = 10.0  # inches


def _library(side: str) -> str:
    """Return whose side it is, by the name's first word or two.

    Examples
    --------
    >>> (
    ...     _library("scikit-learn newton-cg"),
    ...     _library("Vowpal Wabbit BFGS"),
    ...     _library("River, batches"),
    ... )
    ('scikit-learn', 'Vowpal Wabbit', 'River')
    """
    return "Vowpal Wabbit" if side.startswith("Vowpal") else side.split(maxsplit=1)[0].rstrip(",")


def _plain_numbers(axis: Any) -> None:
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{x:,g}"))


def bars(run: Run) -> Figure:
    """Draw each case: a bar for its fastest peer, with its spread, and dots for the others."""
    shown = sorted((r for r in run.results if r.ratios), key=lambda r: median(r.ratios[r.nearest]))
    figure, axes = plt.subplots(figsize=(WIDTH, 0.3 * len(shown) + 1.8), layout="constrained")
    libraries: list[str] = []
    for at, result in enumerate(shown):
        first = result.nearest
        each = result.ratios[first]
        colour = COLOURS.get(verdict(each), BLUE)
        axes.barh(at, median(each) - 1.0, left=1.0, height=0.66, color=colour, alpha=0.85)
        axes.plot([min(each), max(each)], [at, at], color=BLACK, linewidth=1.2)
        for name, others in result.ratios.items():
            library = _library(name)
            if library not in libraries:
                libraries.append(library)
            number = libraries.index(library)
            axes.plot(
                median(others), at, MARKS[number % len(MARKS)], color=f"C{number % 10}",
                markersize=5, markeredgecolor="white", markeredgewidth=0.5,
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [result.case for result in shown], fontsize=8.5)
    for label, result in zip(axes.get_yticklabels(), shown, strict=True):
        if result.verdict == LOST:
            label.set(color=RED, weight="bold")
    axes.axvline(1.0, color=BLACK, linewidth=1.0)
    axes.set_ylim(len(shown), -1)
    axes.set_xlabel("times as long as gradstep, to an equal objective (left of 1: faster)")
    _plain_numbers(axes.xaxis)
    axes.grid(visible=True, axis="x", linewidth=0.3)
    axes.set_axisbelow(True)
    handles = [
        Line2D([], [], marker=MARKS[i % len(MARKS)], color=f"C{i % 10}", linestyle="", label=name)
        for i, name in enumerate(libraries)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=6, fontsize=9, frameon=False)
    return figure


def peers(runs: list[Run]) -> Figure:
    """Draw a bar for each peer: the geometric mean over its cases, with the least and the most."""
    ratios: dict[str, list[float]] = {}
    missed: dict[str, int] = {}
    for run in runs:
        for result in run.results:
            for side in result.sides[1:]:
                each = result.ratios.get(side.name)
                if each is None:
                    missed[side.name] = missed.get(side.name, 0) + 1
                else:
                    ratios.setdefault(side.name, []).append(median(each))
    means = {name: float(np.exp(np.mean(np.log(each)))) for name, each in ratios.items()}
    names = sorted(means, key=lambda name: means[name])
    figure, axes = plt.subplots(figsize=(WIDTH, 0.3 * len(names) + 1.2), layout="constrained")
    for at, name in enumerate(names):
        each = ratios[name]
        colour = RED if means[name] < 1.0 else BLUE
        axes.barh(at, means[name] - 1.0, left=1.0, height=0.66, color=colour, alpha=0.85)
        axes.plot([min(each), max(each)], [at, at], color=BLACK, linewidth=1.2)
        told = f"  {len(each)} cell{'s' * (len(each) > 1)}"
        if missed.get(name):
            told += f", {missed[name]} missed"
        axes.text(max(*each, 1.0), at, told, fontsize=8.5, va="center")
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.axvline(1.0, color=BLACK, linewidth=1.0)
    axes.set_ylim(len(names), -1)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * 6.0)  # room for the counts
    axes.set_xlabel("times as long as gradstep: geometric mean over cells, least to most")
    _plain_numbers(axes.xaxis)
    axes.grid(visible=True, axis="x", linewidth=0.3)
    axes.set_axisbelow(True)
    return figure


def growth(run: Run) -> Figure:
    """Draw seconds of a fit against rows, features and classes."""
    panels: list[tuple[str, str, Callable[[Any], bool]]] = [
        ("n", "rows (30 features)", lambda of: of.p == 30),
        ("p", "features ({n:,} rows)", lambda of: of.k == 2 and of.p != 30),
        ("k", "classes ({n:,} × 64)", lambda of: of.k > 2),
    ]
    figure, all_axes = plt.subplots(1, 3, figsize=(WIDTH, 4.2), layout="constrained", sharey=True)
    names: list[str] = ["gradstep"]
    for axes, (number, label, belongs) in zip(all_axes, panels, strict=True):
        curves: dict[str, list[tuple[float, float]]] = {}
        for of, result in zip(run.cases, run.results, strict=True):
            for side in result.sides if belongs(of) else ():
                if side.seconds:
                    point = getattr(of, number), median(side.seconds)
                    curves.setdefault(side.name, []).append(point)
        for name, curve in curves.items():
            if name not in names:
                names.append(name)
            _line(axes, name, names.index(name), sorted(curve))
        own = [of for of in run.cases if belongs(of)]
        axes.set(xscale="log", yscale="log")
        axes.set_xlabel(label.format(n=own[0].n) if own else label, fontsize=10)
        places = sorted({getattr(of, number) for of in own})
        axes.set_xticks(places, [f"{place:,}" for place in places], fontsize=9)
        axes.minorticks_off()
        axes.grid(visible=True, linewidth=0.3)
    all_axes[0].set_ylabel("seconds of a fit")
    _legend(figure, all_axes)
    return figure


def batches(files: list[Path]) -> Figure:
    """Draw the nanoseconds a row of an epoch against the batch size, for each shape of rows."""
    _, cells = read_json(files)
    shapes = sorted({(c.cell.layout, c.cell.features) for c in cells}, reverse=True)
    shapes.sort(key=lambda shape: (shape[0] != "dense", shape[1]))
    figure, grid = plt.subplots(
        1, len(shapes), figsize=(WIDTH, 3.6), layout="constrained", squeeze=False
    )
    names: list[str] = []
    for axes, shape in zip(grid[0], shapes, strict=True):
        curves: dict[str, list[tuple[float, float]]] = {}
        for result in cells:
            if (result.cell.layout, result.cell.features) == shape:
                for one in result.timed():
                    name = "gradstep" if one.is_ours and "gradstep" not in curves else one.name
                    curves.setdefault(name, []).append(
                        (result.cell.batch, result.nanoseconds(one.seconds))
                    )
        for name, curve in curves.items():
            if name not in names:
                names.append(name)
            _line(axes, name, names.index(name), sorted(curve))
        axes.set(xscale="log", yscale="log")
        axes.set_title(f"{shape[0]}, {shape[1]:,} features", fontsize=9)
        axes.set_xlabel("batch", fontsize=9)
        places = sorted({c.cell.batch for c in cells})
        axes.set_xticks(places, [f"{place:,}" for place in places], fontsize=8)
        axes.minorticks_off()
        axes.grid(visible=True, linewidth=0.3)
    grid[0][0].set_ylabel("nanoseconds a row")
    _legend(figure, grid[0])
    return figure


def _legend(figure: Figure, all_axes: Any) -> None:
    handles = {
        label: handle
        for axes in all_axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=9,
        frameon=False,
    )  # fmt: skip


def _line(axes: Axes, name: str, number: int, curve: list[tuple[float, float]]) -> None:
    ours = name == "gradstep"
    axes.plot(
        *zip(*curve, strict=True), STYLES[number % len(STYLES)], label=name, markersize=4,
        linewidth=2.2 if ours else 1.0, color=BLACK if ours else f"C{number % 10}",
    )  # fmt: skip


def bandwidth(files: list[Path]) -> Figure:
    """Draw the share of the memory's bandwidth that epochs use, against features."""
    figure, axes = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    points = [p for path in files for p in json.loads(path.read_text())["points"]]
    shares = [p for p in points if p["figure"] == "share"]
    for order, colour, least, start in (("blocks", BLUE, 60, 100), ("exact", RED, 35, 300)):
        own = sorted((p for p in shares if p["order"] == order), key=lambda p: p["p"])
        x = [p["p"] for p in own]
        axes.plot(x, [100 * median(p["shares"]) for p in own], "o-", color=colour, label=order)
        low, high = ([100 * side(p["shares"]) for p in own] for side in (min, max))
        axes.fill_between(x, low, high, color=colour, alpha=0.15)
        if x:
            axes.plot([start, max(x)], [least, least], ":", color=colour)
    axes.set(xscale="log", xlabel="features", ylim=(0, None))
    places = sorted({p["p"] for p in shares})
    axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.minorticks_off()
    axes.set_ylabel("% of what two threads read (dotted: asked)")
    axes.grid(visible=True, linewidth=0.3)
    axes.legend(title="order of the rows")
    return figure


def draw_all(runs: list[Run], limit: list[Path], epochs: list[Path], out: Path) -> list[str]:
    """Draw the pictures that there are results for, and return their names.

    Parameters
    ----------
    runs : list of Run
        Of `benchmarks.solvers`; of a kind, the first is drawn.
    limit, epochs : list of Path
        Of `benchmarks.limit` and `benchmarks.epoch_time`.
    out : Path
        The folder.
    """
    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "gradstep"  # the same bytes each time
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.about["kind"], run)
    pictures: dict[str, Callable[[], Figure]] = {}
    if any(result.ratios for run in runs for result in run.results):
        pictures["peers"] = lambda: peers(runs)
    if "cases" in first:
        pictures = {"solvers": lambda: bars(first["cases"])} | pictures
    if "scaling" in first:
        pictures["scaling"] = lambda: growth(first["scaling"])
    if epochs:
        pictures["batches"] = lambda: batches(epochs)
    if any(p["figure"] == "share" for f in limit for p in json.loads(f.read_text())["points"]):
        pictures["bandwidth"] = lambda: bandwidth(limit)
    for name, draw in pictures.items():
        figure = draw()
        for kind, about in (("svg", {"Date": None}), ("png", {"Software": None})):
            path = out / f"{name}.{kind}"
            figure.savefig(path, dpi=120, facecolor="white", metadata=about)
            print(path)
        plt.close(figure)
    return list(pictures)
