"""Axes and marks, as SVG: lines, bands, dots, bars.

A plot is as wide as a phone, and shown about as large as it is drawn, so that its letters can be
read; on a wide page several stand side by side. Colours are classes of the page's style, which
knows them for light and dark.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradstep.markup import Markup, clipped, joined, tag, text, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.reporting.scales import Scale, Tick

__all__ = ["HEIGHT", "SERIES", "SIZE", "WIDTH", "Plot", "svg"]

WIDTH, HEIGHT = 360.0, 250.0
SIZE = 11.0  # of letters
SERIES = 6  # colours of lines beside each other
_TOP, _BOTTOM, _RIGHT, _GAP = 24.0, 40.0, 12.0, 6.0
_EACH_X, _EACH_Y = 60.0, 42.0  # between ticks, at least
_MOST_TOLD = 500  # letters
_EACH_NAME = 15.0  # of the key


def svg(height: float, marks: Sequence[Markup], title: str, desc: str, name: str) -> Markup:
    """Return a picture of this height, with what it shows in words for those who do not see it."""
    return tag(
        "svg", tag("title", text(title), id=f"{name}-title"),
        tag("desc", text(desc, _MOST_TOLD), id=f"{name}-desc"),
        *marks, viewBox=f"0 0 {WIDTH:g} {height:g}", role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )  # fmt: skip


def _looks(series: int, *, dashed: bool) -> str:
    """Return the colour of a line, and its dashes: beyond the colours, others go with each."""
    block, colour = divmod(series, SERIES)
    return f"s{colour} d{(colour + block) % SERIES}" if dashed else f"s{colour}"


class Plot:
    """Two axes, and what is drawn between them.

    Parameters
    ----------
    x, y : Scale
        The axes.
    x_title, y_title : str
        What stands beside them.
    height : float
        Of the whole.
    aside : float
        Room right of the axes, for names at the ends of lines.
    """

    def __init__(
        self, x: Scale, y: Scale, x_title: str, y_title: str, height: float = HEIGHT,
        aside: float = 0.0,
    ) -> None:  # fmt: skip
        self.x, self.y, self.height = x, y, height
        self.bottom, self.right = height - _BOTTOM, WIDTH - _RIGHT - aside
        rows = y.ticks(max(2, int((self.bottom - _TOP) / _EACH_Y)))
        self.left = _GAP + max((width_of(label, SIZE) for _, label in rows), default=0.0) + 2.0
        self.marks = [*map(self._row, rows), *map(self._column, self._columns())]
        room = WIDTH - _GAP - _RIGHT
        self.marks += [
            tag("text", clipped(y_title, room, SIZE), x=2.0, y=12.0, class_="axis"),
            tag(
                "text", clipped(x_title, room, SIZE), x=self.right, y=height - 5.0,
                class_="axis end",
            ),
        ]  # fmt: skip

    def _columns(self) -> list[Tick]:
        """Return as many ticks of the lower axis as do not touch."""
        for about in range(int((self.right - self.left) / _EACH_X), 0, -1):
            ticks = self.x.ticks(about)
            free, good = -math.inf, True
            for value, label in ticks:
                half = 0.5 * width_of(label, SIZE)
                good &= self.to_x(value) - half > free + 4.0
                free = self.to_x(value) + half
            if good:
                return ticks
        return self.x.ticks(1)[:1]

    def to_x(self, value: float) -> float:
        """Return where a number of the lower axis is drawn."""
        return self.left + self.x.at(value) * (self.right - self.left)

    def to_y(self, value: float) -> float:
        """Return where a number of the left axis is drawn."""
        return self.bottom - self.y.at(value) * (self.bottom - _TOP)

    def _row(self, tick: Tick) -> Markup:
        at = self.to_y(tick[0])
        line = tag("line", x1=self.left, x2=self.right, y1=at, y2=at, class_="grid")
        label = tag(
            "text", tick[1], x=self.left - _GAP + 2.0, y=at + 0.35 * SIZE, class_="tick end"
        )
        return joined([line, label])

    def _column(self, tick: Tick) -> Markup:
        at = self.to_x(tick[0])
        line = tag("line", x1=at, x2=at, y1=_TOP, y2=self.bottom, class_="grid")
        half = 0.5 * width_of(tick[1], SIZE)
        place = min(at, WIDTH - half)  # a label at the end of the axis is not cut
        label = tag("text", tick[1], x=place, y=self.bottom + 17.0, class_="tick middle")
        return joined([line, label])

    # ------------------------------------------------------------------ marks

    def line(
        self, x: Sequence[float], y: Sequence[float], series: int = 0, *, dashed: bool = False
    ) -> None:
        """Draw a line, broken where a number is none; `dashed` as others are not."""
        path = self._path(x, y)
        if path:
            self.marks.append(tag("path", d=path, class_=f"line {_looks(series, dashed=dashed)}"))

    def end_labels(self, ends: Sequence[tuple[float, float, str]]) -> None:
        """Write names right of where lines end (x, y, name); those that would meet others not."""
        taken: list[float] = []
        for a, b, name in ends:
            if not self._inside(a, b):
                continue
            x, y = self.to_x(a) + 4.0, self.to_y(b) + 0.35 * SIZE
            room = WIDTH - 2.0 - x
            if width_of(name, SIZE) <= room and all(
                abs(y - other) >= SIZE + 2.0 for other in taken
            ):
                taken.append(y)
                self.marks.append(tag("text", name, x=x, y=y, class_="label"))

    def mark(self, a: float, b: float, name: str) -> None:
        """Draw a ring, with its name where there is room for it."""
        if not self._inside(a, b):
            return
        x, y = self.to_x(a), self.to_y(b)
        left = x + 7.0 + width_of(name, SIZE) > self.right
        place = x - 7.0 if left else x + 7.0
        self.marks += [
            tag("circle", cx=x, cy=y, r=4.0, class_="ring"),
            tag("text", name, x=place, y=max(y - 5.0, _TOP + SIZE),
                class_="label end" if left else "label"),
        ]  # fmt: skip

    def within(
        self, x: Sequence[float], y: Sequence[float]
    ) -> tuple[Sequence[float], Sequence[float]]:
        """Return a line that is broken where it leaves the axes."""
        pairs = zip(x, y, strict=True)
        return [a if self._inside(a, b) else math.nan for a, b in pairs], y

    def contour(self, x: Sequence[float], y: Sequence[float]) -> None:
        """Draw a thin line of equal height; what lies outside the axes is left out."""
        path = self._path(*self.within(x, y))
        if path:
            self.marks.append(tag("path", d=path, class_="contour"))

    def band(
        self, x: Sequence[float], low: Sequence[float], high: Sequence[float], series: int = 0
    ) -> None:
        """Fill what lies between two lines."""
        runs: list[list[tuple[float, float, float]]] = [[]]
        for point in zip(x, low, high, strict=True):
            if all(map(math.isfinite, point)):
                runs[-1].append(point)
            elif runs[-1]:
                runs.append([])
        for run in runs:
            if len(run) > 1:
                there = [self._point(a, b) for a, b, _ in run]
                back = [self._point(a, c) for a, _, c in reversed(run)]
                path = "M" + "L".join([*there, *back]) + "Z"
                self.marks.append(tag("path", d=path, class_=f"band s{series % SERIES}"))

    def dots(
        self, x: Sequence[float], y: Sequence[float], series: int = 0, radius: float = 3.0
    ) -> None:
        """Draw dots."""
        for a, b in zip(x, y, strict=True):
            if math.isfinite(a) and math.isfinite(b) and self._inside(a, b):
                self.marks.append(
                    tag("circle", cx=self.to_x(a), cy=self.to_y(b), r=radius,
                        class_=f"dot s{series % SERIES}")
                )  # fmt: skip

    def cloud(self, x: Sequence[float], y: Sequence[float]) -> None:
        """Draw many faint dots as one path."""
        places = [
            f"M{self._point(a, b)}h0" for a, b in zip(x, y, strict=True) if self._inside(a, b)
        ]
        if places:
            self.marks.append(tag("path", d="".join(places), class_="cloud"))

    def hanging(
        self, x: Sequence[float], width: float, top: Sequence[float], bottom: Sequence[float]
    ) -> None:
        """Draw bars that hang from one height down to another."""
        for a, high, low in zip(x, top, bottom, strict=True):
            left, right = self.to_x(a - 0.5 * width), self.to_x(a + 0.5 * width)
            ends = sorted((self.to_y(high), self.to_y(low)))
            self.marks.append(
                tag("rect", x=left, y=ends[0], width=max(right - left, 0.5),
                    height=ends[1] - ends[0], class_="hanging s0")
            )  # fmt: skip

    def reference(self, x: Sequence[float], y: Sequence[float]) -> None:
        """Draw what would be expected: a dashed line."""
        path = self._path(x, y)
        if path:
            self.marks.append(tag("path", d=path, class_="reference"))

    def key(self, names: Sequence[str]) -> None:
        """Write below the plot which line is which."""
        for at, name in enumerate(names):
            y, looks = self.height + 10.0, _looks(at, dashed=True)
            self.marks.append(
                joined([
                    tag("path", d=f"M{_GAP:.1f},{y - 4.0:.1f}h22", class_=f"line {looks}"),
                    tag("text", clipped(name, WIDTH - 50.0, SIZE), x=_GAP + 28.0, y=y,
                        class_="key"),
                ])
            )  # fmt: skip
            self.height += _EACH_NAME

    def _inside(self, a: float, b: float) -> bool:
        return (
            math.isfinite(a)
            and math.isfinite(b)
            and -1e-9 <= self.x.at(a) <= 1.0 + 1e-9
            and -1e-9 <= self.y.at(b) <= 1.0 + 1e-9
        )

    def _point(self, a: float, b: float) -> str:
        return f"{self.to_x(a):.1f},{self.to_y(b):.1f}"

    def _path(self, x: Sequence[float], y: Sequence[float]) -> str:
        path, pen = "", "M"
        for a, b in zip(x, y, strict=True):
            if math.isfinite(a) and math.isfinite(b):
                path += pen + self._point(a, b)
                pen = "L"
            else:
                pen = "M"
        return path
