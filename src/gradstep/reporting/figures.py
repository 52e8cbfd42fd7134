"""Figures: a picture with its title, what it shows in words, and its numbers as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradstep.markup import Markup, clipped, joined, tag, text, width_of
from gradstep.reporting.plot import SERIES, SIZE, WIDTH, svg

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradstep.reporting.plot import Plot
    from gradstep.reporting.scales import Scale

__all__ = ["Row", "figure", "grid", "key_height", "paragraph", "row_figure", "table"]

MOST_ROWS = 200  # of a table
_EDGE, _LABEL, _EACH = 12.0, 16.0, 13.0  # of a row: beside it, its name, each of its dots


def name_of(content: str) -> Markup:
    """Return a name that others gave: apart from the text around it, whichever way it runs."""
    return tag("bdi", text(content))


def paragraph(*content: str, class_: str | None = None) -> Markup:
    """Return a paragraph."""
    return tag("p", *content, class_=class_)


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    n_texts: int = 1,
    most: int = MOST_ROWS,
    caption: str = "",
) -> Markup:
    """Return a table, of long ones the first rows and how many more there are.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : sequence of sequence of str
        Cells; the first is the row's name.
    n_texts : int
        How many columns are text; the others are numbers, and stand right.
    most : int
        How many rows are shown.
    caption : str
        What the table is, for those who only hear it.
    """
    top = [
        tag("th", cell, scope="col", class_=None if at < n_texts else "number")
        for at, cell in enumerate(head)
    ]
    lines = [
        tag("tr", *(
            tag("th", name_of(cell), scope="row") if at == 0
            else tag("td", name_of(cell), class_=None if at < n_texts else "number")
            for at, cell in enumerate(row)
        ))
        for row in rows[:most]
    ]  # fmt: skip
    more = len(rows) - most
    found = [
        tag(
            "div",
            tag(
                "table", *([tag("caption", caption)] if caption else []),
                tag("thead", tag("tr", *top)), tag("tbody", *lines),
            ),
            class_="scroll", tabindex=0, role="region", aria_label=caption or head[0],
        )
    ]  # fmt: skip
    if more > 0:
        found.append(paragraph(f"and {more:,} more", class_="quiet"))
    return joined(found)


def figure(
    name: str,
    title: str,
    desc: str,
    picture: Plot | tuple[float, Sequence[Markup]],
    numbers: Markup,
    note: str = "",
    controls: Sequence[Markup] = (),
) -> Markup:
    """Return a figure.

    Parameters
    ----------
    name : str
        Tells it from others of the page.
    title, desc : str
        What it is, and what is seen on it.
    picture : Plot, or (height, marks)
        What is drawn.
    numbers : Markup
        A table of what is drawn.
    note : str
        What stands below.
    controls : sequence of Markup
        Between title and picture: what chooses what is seen of it.
    """
    height, marks = picture if isinstance(picture, tuple) else (picture.height, picture.marks)
    return tag(
        "figure",
        tag("figcaption", name_of(title)),
        *controls,
        svg(height, marks, title, desc, name),
        *([paragraph(note, class_="quiet")] if note else []),
        tag("details", tag("summary", "Numbers"), numbers),
    )


def grid(figures: Sequence[Markup]) -> Markup:
    """Return figures beside each other, as many as there is room for."""
    return tag("div", *figures, class_="grid")


# --------------------------------------------------------------------------- a row for each thing


@dataclass(frozen=True)
class Row:
    """A thing with a name, and a number, or one for each class, with its interval.

    Attributes
    ----------
    label : str
        Its name.
    values : sequence of (value, low, high)
        NaN where there is no interval.
    aside : str
        What stands at the right end.
    """

    label: str
    values: Sequence[tuple[float, float, float]]
    aside: str = ""


def key_height(names: Sequence[str]) -> float:
    """Return how high the key to several series is."""
    return 16.0 * len(names) + 4.0 if len(names) > 1 else 0.0


def row_figure(
    rows: Sequence[Row],
    scale: Scale,
    x_title: str,
    names: Sequence[str] = (),
    zero: float | None = None,
    *,
    bars: bool = False,
) -> tuple[float, list[Markup]]:
    """Return a picture of rows below each other: each with its name, dots, and intervals.

    Parameters
    ----------
    rows : sequence of Row
        Those.
    scale : Scale
        Of the numbers.
    x_title : str
        What they are.
    names : sequence of str
        Of the series, where they are several.
    zero : float, optional
        Where a line says that there is no effect.
    bars : bool
        Whether numbers are bars from zero, not dots.
    """
    n_series = max((len(row.values) for row in rows), default=1)
    each = _LABEL + _EACH * n_series + 3.0
    top = key_height(names) + 4.0
    bottom = top + each * len(rows)
    left, right = _EDGE, WIDTH - _EDGE

    def to_x(value: float) -> float:
        return left + min(max(scale.at(value), -0.01), 1.01) * (right - left)

    marks = _key(names)
    for value, label in _free_ticks(scale, right - left):
        x, half = to_x(value), 0.5 * width_of(label, SIZE)
        marks += [
            tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"),
            tag("text", label, x=min(max(x, half), WIDTH - half), y=bottom + 14.0,
                class_="tick middle"),
        ]  # fmt: skip
    for at, row in enumerate(rows):
        y = top + at * each
        if zero is not None and scale.low <= zero <= scale.high:  # not through the label
            x = to_x(zero)
            marks.append(tag("line", x1=x, x2=x, y1=y + _LABEL, y2=y + each, class_="zero"))
        room = right - left - width_of(row.aside, SIZE) - 6.0
        marks.append(
            tag("text", clipped(row.label, room, SIZE), x=left, y=y + 12.0, class_="label")
        )
        if row.aside:
            marks.append(tag("text", row.aside, x=right, y=y + 12.0, class_="tick end"))
        for series, ends in enumerate(row.values):
            middle = y + _LABEL + 5.0 + _EACH * series
            marks += _mark(ends, middle, series % SERIES, to_x, zero if bars else None)
    marks.append(
        tag("text", clipped(x_title, right - left, SIZE), x=right, y=bottom + 30.0,
            class_="axis end")
    )  # fmt: skip
    return bottom + 36.0, marks


def _mark(
    ends: tuple[float, float, float],
    y: float,
    series: int,
    to_x: Callable[[float], float],
    zero: float | None,
) -> list[Markup]:
    value, low, high = ends
    if not math.isfinite(value):
        return []
    if zero is not None:
        first, last = sorted((to_x(zero), to_x(value)))
        width = max(last - first, 1.0)
        return [tag("rect", x=first, y=y - 4.0, width=width, height=8.0, class_=f"bar s{series}")]
    found = []
    if math.isfinite(low) and math.isfinite(high):
        found.append(
            tag("line", x1=to_x(low), x2=to_x(high), y1=y, y2=y, class_=f"whisker s{series}")
        )
    return [*found, tag("circle", cx=to_x(value), cy=y, r=4.0, class_=f"dot s{series}")]


def _key(names: Sequence[str]) -> list[Markup]:
    """Return which colour is which."""
    if len(names) < 2:
        return []
    return [
        joined([
            tag("circle", cx=_EDGE + 5.0, cy=10.0 + 16.0 * at, r=4.0, class_=f"dot s{at % SERIES}"),
            tag("text", clipped(name, WIDTH - 40.0, SIZE), x=_EDGE + 14.0, y=14.0 + 16.0 * at,
                class_="key"),
        ])
        for at, name in enumerate(names)
    ]  # fmt: skip


def _free_ticks(scale: Scale, room: float) -> list[tuple[float, str]]:
    """Return as many ticks as do not touch."""
    for about in range(5, 0, -1):
        ticks = scale.ticks(about)
        if sum(width_of(label, SIZE) + 14.0 for _, label in ticks) < room:
            return ticks
    return scale.ticks(1)[:1]
