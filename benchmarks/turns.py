"""Sides that take turns at one piece of work, and the lines of a report made of them."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass, field
from math import isnan, nan
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.grids import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ABSENT = "–"
TIMES, PERCENT, MEGABYTES = "×", "%", "MB"


class Turn(NamedTuple):
    """What one run of a side leaves.

    Attributes
    ----------
    parts : mapping of str to float
        The seconds of its parts, by name.
    error : callable or None
        Gives the root mean squared error of the model that it left; asked for off the clock, so
        that a side that did less work than the others would show.
    """

    parts: Mapping[str, float]
    error: Callable[[], float] | None = None


@dataclass
class Side:
    """One way to do the work.

    Attributes
    ----------
    name : str
        What the report calls it.
    run : callable
        Does the work once.
    skipped : str
        Why it cannot be run; empty if it can.
    rounds : list of mapping
        The parts of each measured run.
    found : float
        The error after the last run.
    """

    name: str
    run: Callable[[], Turn]
    skipped: str = ""
    rounds: list[Mapping[str, float]] = field(default_factory=list)
    found: float = nan

    @property
    def seconds(self) -> list[float]:
        """Seconds of each round, all parts together."""
        return [sum(parts.values()) for parts in self.rounds]

    def row(self) -> list[str]:
        """Write what it took, for the table of parts."""
        if self.skipped:
            return [self.name, ABSENT, ABSENT, f"skipped: {self.skipped}", ABSENT]
        seconds = self.seconds
        names = list(self.rounds[0])
        told = ", ".join(f"{n} {in_seconds(median(p[n] for p in self.rounds))}" for n in names)
        error = ABSENT if isnan(self.found) else f"{self.found:.5f}"
        middle, low, high = map(in_seconds, (median(seconds), min(seconds), max(seconds)))
        return [self.name, middle, f"{low}–{high}", told if names[1:] else "", error]


@dataclass(frozen=True)
class Asked:
    """What is asked of a figure: ``Asked("≥", 4.0)``."""

    sense: str
    bound: float

    def met(self, value: float) -> bool:
        """Whether a value is as asked."""
        if self.sense == "≥":
            return value >= self.bound
        return value < self.bound if self.sense == "<" else value <= self.bound


@dataclass(frozen=True)
class Line:
    """One line of the table of figures.

    Attributes
    ----------
    what : str
        What is measured.
    asked : Asked or None
        None if the line is for information.
    values : sequence of float
        One for each round; none if it could not be measured.
    unit : str
        `TIMES`, `PERCENT` (of a share) or `MEGABYTES` (of bytes).
    ours, theirs : str
        The two sides, in words; of a skipped line the second is the reason.
    """

    what: str
    asked: Asked | None
    values: Sequence[float]
    unit: str
    ours: str = ""
    theirs: str = ""

    def row(self, *, judged: bool) -> list[str]:
        """Write the line, with a verdict or without."""
        asked = ABSENT if self.asked is None else f"{self.asked.sense} {self._told(self.asked)}"
        if not self.values:
            return [self.what, asked, ABSENT, ABSENT, self.ours, self.theirs, "skipped"]
        middle = median(self.values)
        verdict = ""
        if self.asked is not None and judged:
            verdict = "met" if self.asked.met(middle) else "MISSED"
        spread = f"{self._told(min(self.values))}–{self._told(max(self.values))}"
        return [self.what, asked, self._told(middle), spread, self.ours, self.theirs, verdict]

    def _told(self, value: float | Asked) -> str:
        if isinstance(value, Asked):
            return self._told(value.bound)
        if self.unit == MEGABYTES:
            return f"{value / 1e6:.0f} MB"
        if self.unit == PERCENT:
            return f"{100.0 * value:.3g} %"
        return f"{value:.3g} ×"


@dataclass
class Report:
    """What a figure leaves: its lines, and what each side took.

    Attributes
    ----------
    lines : list of Line
        For the table of figures.
    sides : list of Side
        For the table of parts.
    notes : list of str
        What must be known to read them.
    """

    lines: list[Line] = field(default_factory=list)
    sides: list[Side] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def take_turns(sides: Sequence[Side], repeats: int, say: Callable[[str], None]) -> None:
    """Let all sides run in turn, once unmeasured and then so many rounds.

    Parameters
    ----------
    sides : sequence of Side
        Get their rounds, and the error of the last one; the skipped ones are passed over.
    repeats : int
        Measured rounds.
    say : callable
        Is given a line of progress after each run.
    """
    os.sync()  # what was written before is not to be written during a turn
    for turn in range(-1, repeats):
        for side in sides:
            if side.skipped:
                continue
            gc.collect()
            parts, error = side.run()
            if turn >= 0:
                side.rounds.append(parts)
            if turn == repeats - 1 and error is not None:
                side.found = error()
            label = f"round {turn + 1}" if turn >= 0 else "unmeasured"
            say(f"{side.name}: {label}, {in_seconds(sum(parts.values()))}")


def compare(what: str, asked: Asked | None, ours: Side, theirs: Side, unit: str = TIMES) -> Line:
    """Make the line of how many times faster one side is than the other.

    Parameters
    ----------
    what : str
        What is measured.
    asked : Asked or None
        What is asked of the ratio.
    ours, theirs : Side
        After their turns.
    unit : str
        How the ratio is written.

    Returns
    -------
    Line
        With each round's own ratio, so that a slow minute of the machine strikes both sides.
    """
    for side in (ours, theirs):
        if side.skipped:
            return Line(what, asked, [], unit, theirs=f"{side.name}: {side.skipped}")
    ratios = [b / a for a, b in zip(ours.seconds, theirs.seconds, strict=True)]
    told = [in_seconds(median(side.seconds)) for side in (ours, theirs)]
    return Line(what, asked, ratios, unit, *told)


def in_seconds(seconds: float) -> str:
    """Write a time in seconds, or, if it is short, in milliseconds."""
    return f"{seconds:.2f} s" if seconds >= 1.0 else f"{1e3 * seconds:.3g} ms"


def make_grids(reports: Sequence[Report], repeats: int, *, judged: bool) -> list[Grid]:
    """Make the tables of the report.

    Parameters
    ----------
    reports : sequence of Report
        One for each figure.
    repeats : int
        Measured rounds, for the notes.
    judged : bool
        Whether to say if a figure is as asked; of small tables it would say nothing.

    Returns
    -------
    list of Grid
        Figures, and what each side took.
    """
    figures = Grid(
        "Tables: what is asked, and what is measured",
        ["figure", "asked for", "measured", "least to most", "gradstep", "beside it", "result"],
    )
    figures.rows = [line.row(judged=judged) for report in reports for line in report.lines]
    figures.notes = [f"medians of {repeats} rounds in turn, after one unmeasured round"]
    figures.notes += [note for report in reports for note in report.notes]
    sides = Grid(
        "What each side took",
        ["side", "median", "least to most", "of which", "error (RMSE)"],
    )
    sides.rows = [side.row() for report in reports for side in report.sides]
    sides.notes = ["the error is that of the model left behind, by the same code on the same rows"]
    return [grid for grid in (figures, sides) if grid.rows]
