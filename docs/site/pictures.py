"""The pictures of the tutorials, drawn of what their own examples compute.

``python -m docs.site.pictures`` runs the pages and writes docs/pictures; `make docs` draws them
anew, into the pages.
"""

from __future__ import annotations

import re
from doctest import DocTestParser
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from docs.site.links import ROOT
from docs.site.style import own_style
from gradstep import History
from gradstep.markup import Markup, joined
from gradstep.model.coefficients import importance
from gradstep.reporting.figures import Row, row_figure
from gradstep.reporting.plot import Plot, svg
from gradstep.reporting.scales import Linear, Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FOLDER", "PAGES", "draw", "in_page", "standalone"]

FOLDER = ROOT / "docs/pictures"
PAGES = [ROOT / "docs" / name for name in ("tutorial.md", "mini_batches.md")]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_IMAGE = re.compile(r"^!\[[^]]*\]\(pictures/(?P<name>\w+)\.svg\)$", re.MULTILINE)


def draw() -> dict[str, Markup]:
    """Return the pictures by name."""
    drawn: dict[str, Callable[[Mapping[str, Any]], Markup]] = {
        "notebook": _notebook,
        "automatic": _automatic,
        "importance": _importance,
        "curve": _curve,
        "quantiles": _quantiles,
        "batch_sizes": _batch_sizes,
        "saw": _saw,
    }
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        names = _run(text)
        for image in _IMAGE.finditer(text):
            found[image["name"]] = drawn[image["name"]](names)
    return found


def _run(text: str) -> dict[str, Any]:
    """Return the names that a page's examples define."""
    names: dict[str, Any] = {"print": lambda *_: None}
    for block in _BLOCK.findall(text):
        found = DocTestParser().get_examples(block)
        source = "".join(example.source for example in found) if found else block
        exec(source, names)  # noqa: S102  (our own page)
    return names


def in_page(text: str, pictures: Mapping[str, str]) -> str:
    """Return a page with its pictures in the place of links to them."""

    def inline(image: re.Match[str]) -> str:
        picture = pictures[image["name"]]
        return f'```{{raw}} html\n<div class="picture">{picture}</div>\n```'

    return _IMAGE.sub(inline, text)


def standalone(picture: Markup) -> str:
    """Return a picture as a file of its own."""
    head, _, rest = picture.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg">\n<style>\n{own_style()}</style>\n{rest}\n'


def _plot(plot: Plot, title: str, desc: str, name: str) -> Markup:
    return svg(plot.height, [joined(plot.marks)], title, desc, name)


def _notebook(names: Mapping[str, Any]) -> Markup:
    losses = [float(loss) for loss in names["losses"]]
    epochs = [float(epoch) for epoch in range(1, len(losses) + 1)]
    plot = Plot(Linear(0.0, 51.0), Log.of(losses), "epochs", "mean square of all rows", 220.0)
    plot.line(epochs, losses)
    plot.dots(epochs, losses, radius=2.0)
    said = f"From {losses[0]:.2f} to {losses[-1]:.4f}."
    return _plot(plot, "The notebook's loss after each epoch", said, "notebook")


def _automatic(names: Mapping[str, Any]) -> Markup:
    X, y, exact = names["X"], names["y"][:, 0], names["exact"]
    least = float(np.mean((X[:, 0] * exact[0] + exact[1] - y) ** 2))
    start = float(np.var(y)) - least  # of the best constant, where the automatic method starts
    notebook = [float(loss) - least for loss in names["losses"]]
    automatic = max(2.0 * names["automatic"].history_[-1].excess, 1e-16)
    passes = float(names["automatic"].history_[-1].passes)
    scale = Log.of([1e-16, notebook[0]])
    plot = Plot(
        Linear(-1.0, 51.0), scale, "passes over the rows", "mean square above the least", 220.0
    )
    plot.line([float(epoch) for epoch in range(1, len(notebook) + 1)], notebook)
    plot.line([0.0, passes], [start, automatic], 1, dashed=True)
    plot.dots([0.0, passes], [start, automatic], 1)
    plot.key(["a rate of 0.05, batches of 64", "no rate: one Newton step"])
    said = f"After 50 passes {notebook[-1]:.1e}; after {passes:g} less than 1e-15."
    return _plot(plot, "Loss above its least value", said, "automatic")


def _importance(names: Mapping[str, Any]) -> Markup:
    found = [(str(each["column"]), float(each["share"])) for each in importance(names["fit"].model)]
    rows = [
        Row(column, [(share, np.nan, np.nan)], aside=f"{100 * share:.1f} %")
        for column, share in found
    ]
    scale = Linear(0.0, 1.0)
    height, marks = row_figure(rows, scale, "share of the variance", zero=0.0, bars=True)
    said = ", ".join(f"{column} {share:.0%}" for column, share in found)
    return svg(height, marks, "Which columns matter", said, "importance")


def _curve(names: Mapping[str, Any]) -> Markup:
    hours = np.linspace(0.0, 23.0, 93).tolist()
    table = pl.DataFrame({"km": 5.0, "hour": hours, "zone": "centre"})
    line, curve = (names[name].model.predict(table).tolist() for name in ("fit", "curved"))
    true = (3.0 + 2.5 * 5.0 + 6.0 * np.exp(-(((np.array(hours) - 18) / 3.0) ** 2))).tolist()
    plot = Plot(Linear(0.0, 23.0), Linear.of([*line, *curve, *true]), "hour", "fare of 5 km", 220.0)
    plot.reference(hours, true)
    plot.line(hours, line)
    plot.line(hours, curve, 1, dashed=True)
    plot.key(["a line", 'splines="auto"; thin dashes: the truth'])
    said = f"The curve's peak is at {hours[np.argmax(curve)]:.0f} o'clock."
    return _plot(plot, "What the hour adds to the fare", said, "curve")


def _quantiles(names: Mapping[str, Any]) -> Markup:
    trips = names["trips"].filter(pl.col("zone") == "centre", pl.col("km").is_not_nan())
    at = [float(km) for km in range(21)]
    table = pl.DataFrame({"km": at, "hour": 12, "zone": "centre"})
    ends = [names[name].model.predict(table).tolist() for name in ("low", "high")]
    plot = Plot(Linear(0.0, 20.0), Linear(0.0, 65.0), "km", "fare", 240.0)
    plot.cloud(trips["km"].to_list(), trips["fare"].to_list())
    for series, end in enumerate(ends, start=1):
        plot.line(at, end, series)
    said = f"At 10 km {ends[0][10]:.1f} and {ends[1][10]:.1f}."
    return _plot(plot, "Nine tenths, and one tenth", said, "quantiles")


def _batch_sizes(names: Mapping[str, Any]) -> Markup:
    sizes, least, found = (1, 16, 64, 256, 1000), names["least"], []
    for size in sizes:
        history = History(full_objective=True)
        names["fit"](batch_size=size, callbacks=[history])
        found.append([2.0 * loss - least for loss in history.objectives])
    epochs = [float(epoch) for epoch in range(1, len(found[0]) + 1)]
    scale = Log.of([value for each in found for value in each])
    plot = Plot(Linear(0.0, 20.5), scale, "epochs", "mean square above the least", 240.0)
    for series, losses in enumerate(found):
        plot.line(epochs, losses, series, dashed=True)
    plot.key([f"batches of {size}" for size in sizes])
    said = ", ".join(f"{size}: {losses[-1]:.6f}" for size, losses in zip(sizes, found, strict=True))
    return _plot(plot, "Five batch sizes at the same rate", said, "batch-sizes")


def _saw(names: Mapping[str, Any]) -> Markup:
    by_place = [float(loss) for loss in names["by_place"]]
    n = len(by_place)
    epochs = [1.0 + at / n for at in range(3 * n)]
    plot = Plot(Linear(1.0, 4.0), Linear.of(by_place), "epochs", "loss of a batch", 200.0)
    for epoch in range(3):
        plot.line(epochs[epoch * n : (epoch + 1) * n], by_place)
    said = f"Each epoch begins at {by_place[0]:.2f} and ends at {by_place[-1]:.2f}."
    return _plot(plot, "The loss of batches through an epoch", said, "saw")


def main() -> None:
    """Write the pictures as files."""
    FOLDER.mkdir(exist_ok=True)
    for name, picture in draw().items():
        (FOLDER / f"{name}.svg").write_text(standalone(picture), encoding="utf-8")


if __name__ == "__main__":
    main()
