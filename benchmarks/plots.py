"""Draw what other benchmarks have written as JSON: SVG and PNG.

Run from the root of the repository::

    python -m benchmarks.plots --solvers FILE --scaling FILE --limit FILE --out FOLDER

Of several files of a kind all results are drawn together. A peer that takes less time than gradstep
is red, and such cases stand first.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREY, BLACK = "#3b6fb6", "#c0392b", "#888888", "#222222"
STYLES = ("o-", "s--", "^-.", "D:", "v-", "P--", "X-.", "*:")


def _results(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the results of all files; of a case that is in several, the last."""
    found = {}
    for path in files:
        for result in json.loads(path.read_text())["results"]:
            found[result["case"]] = result
    return list(found.values())


def _ratios(result: dict[str, Any]) -> dict[str, list[float]]:
    """Return how many times as long as gradstep each peer takes, round by round."""
    ours, *others = result["sides"]
    return {
        side["name"]: [b / a for a, b in zip(ours["seconds"], side["seconds"], strict=True)]
        for side in others
        if side["seconds"] and ours["seconds"]
    }


def bars(files: list[Path]) -> Figure:
    """Draw a bar for each peer of each case: how many times as long as gradstep it takes."""
    cases = [(r["case"], ratios) for r in _results(files) if (ratios := _ratios(r))]
    cases.sort(key=lambda each: min(median(ratio) for ratio in each[1].values()))
    labels, at, tops = [], 0, []
    lines = sum(len(ratios) + 1 for _, ratios in cases)
    figure, axes = plt.subplots(figsize=(9.0, 0.16 * lines + 1.2), layout="constrained")
    for case, ratios in cases:
        tops.append((at, case, min(median(each) for each in ratios.values()) < 1.0))
        at += 1
        for name, each in sorted(ratios.items(), key=lambda pair: median(pair[1])):
            middle = median(each)
            colour = RED if middle < 1.0 else BLUE
            axes.barh(at, middle - 1.0, left=1.0, height=0.75, color=colour)
            axes.plot([min(each), max(each)], [at, at], color=BLACK, linewidth=0.8)
            labels.append((at, name))
            at += 1
    axes.set_xscale("log")
    axes.set_yticks([place for place, _ in labels], [name for _, name in labels], fontsize=6.5)
    least = axes.get_xlim()[0]
    for place, case, lost in tops:
        axes.text(
            least, place, f" {case}", fontsize=7.0, va="center", weight="bold",
            color=RED if lost else BLACK, bbox={"color": "white", "pad": 0.5},
        )  # fmt: skip
    axes.axvline(1.0, color=BLACK, linewidth=1.0)
    axes.set_ylim(at, -1)
    axes.set_xlabel("times as long as gradstep, to an equal objective (left of 1: faster, in red)")
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axes.grid(visible=True, axis="x", linewidth=0.3)
    return figure


def growth(files: list[Path]) -> Figure:
    """Draw seconds of a fit against rows, features and classes."""
    results = _results(files)
    panels: list[tuple[str, str, Callable[[dict[str, Any]], bool]]] = [
        ("n", "rows (30 features)", lambda of: of["p"] == 30),
        ("p", "features ({n:,} rows)", lambda of: of["k"] == 2 and of["p"] != 30),
        ("k", "classes ({n:,} × 64)", lambda of: of["k"] > 2),
    ]
    figure, all_axes = plt.subplots(1, 3, figsize=(11.0, 3.8), layout="constrained", sharey=True)
    names: list[str] = ["gradstep"]
    for axes, (number, label, belongs) in zip(all_axes, panels, strict=True):
        curves: dict[str, list[tuple[float, float]]] = {}
        for result in results:
            if belongs(result["of"]):
                for side in result["sides"]:
                    if side["seconds"]:
                        point = result["of"][number], median(side["seconds"])
                        curves.setdefault(side["name"], []).append(point)
        for name, curve in curves.items():
            if name not in names:
                names.append(name)
            _line(axes, name, names.index(name), sorted(curve))
        own = [result["of"] for result in results if belongs(result["of"])]
        axes.set(xscale="log", yscale="log", xlabel=label.format(**own[0]) if own else "")
        places = sorted({of[number] for of in own})
        axes.set_xticks(places, [f"{place:,}" for place in places])
        axes.minorticks_off()
        axes.grid(visible=True, linewidth=0.3)
    all_axes[0].set_ylabel("seconds of a fit")
    handles = {
        label: handle
        for axes in all_axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=8)
    return figure


def _line(axes: Axes, name: str, number: int, curve: list[tuple[float, float]]) -> None:
    ours = name == "gradstep"
    axes.plot(
        *zip(*curve, strict=True), STYLES[number % len(STYLES)], label=name, markersize=4,
        linewidth=2.2 if ours else 1.0, color=BLACK if ours else f"C{number % 10}",
    )  # fmt: skip


def bandwidth(files: list[Path]) -> Figure:
    """Draw the share of the memory's bandwidth that epochs use, against features."""
    figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    for path in files:
        points = [p for p in json.loads(path.read_text())["points"] if p["figure"] == "share"]
        for order, colour, least, start in (("blocks", BLUE, 60, 100), ("exact", RED, 35, 300)):
            own = [p for p in points if p["order"] == order]
            x = [p["p"] for p in own]
            axes.plot(x, [100 * median(p["shares"]) for p in own], "o-", color=colour, label=order)
            low, high = zip(*[(min(p["shares"]), max(p["shares"])) for p in own], strict=True)
            axes.fill_between(
                x, [100 * v for v in low], [100 * v for v in high], color=colour, alpha=0.15
            )
            axes.plot([start, max(x)], [least, least], ":", color=colour)
    axes.set(xscale="log", xlabel="features", ylim=(0, None))
    axes.set_ylabel("% of what two threads read (dotted: asked)")
    axes.grid(visible=True, linewidth=0.3)
    axes.legend()
    return figure


def main(
    *,
    solvers: Annotated[list[Path] | None, typer.Option(help="Of benchmarks.solvers.")] = None,
    scaling: Annotated[list[Path] | None, typer.Option(help="The same, with --scaling.")] = None,
    limit: Annotated[list[Path] | None, typer.Option(help="Of benchmarks.limit.")] = None,
    out: Annotated[Path, typer.Option(help="Where pictures go.")] = Path("docs/benchmarks"),
) -> None:
    """Draw results as SVG and PNG."""
    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "gradstep"  # the same bytes each time
    for name, draw, files in (
        ("solvers", bars, solvers),
        ("scaling", growth, scaling),
        ("bandwidth", bandwidth, limit),
    ):
        if files:
            figure = draw(files)
            for kind, about in (("svg", {"Date": None}), ("png", {"Software": None})):
                path = out / f"{name}.{kind}"
                figure.savefig(path, dpi=150, metadata=about)
                print(path)
            plt.close(figure)


if __name__ == "__main__":
    typer.run(main)
