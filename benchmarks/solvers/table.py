"""The table of races in a terminal."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

from benchmarks.grids import Grid
from benchmarks.solvers.race import BUDGET, HOPELESS, PATIENCE
from benchmarks.solvers.results import LEVEL, LOST, MISSED, Result

__all__ = ["grid_of", "notes", "row_of", "sorted_results"]

_GIVEN_UP = (
    f"a side that takes more than {PATIENCE:.0f} s, or misses the target in {BUDGET:.0f} s of "
    f"trials ({HOPELESS:.0f} s where it is hopeless), says how near it came"
)


def sorted_results(results: list[Result]) -> list[Result]:
    """Return results, what is missed and lost first."""
    order = (MISSED, LOST, LEVEL)
    return sorted(results, key=lambda r: order.index(r.verdict) if r.verdict in order else 3)


def grid_of(results: list[Result], about: dict[str, Any]) -> Grid:
    """Return the table, cases that are lost first."""
    on = f"{about['threads']} processor(s)" if about["threads"] else "threads as each likes"
    grid = Grid(
        f"Seconds of a fit to an excess of {about['excess']:g}, {on}",
        ["case", "gradstep", "peers: seconds, times as long as gradstep", "result"],
    )
    grid.rows = [row_of(result) for result in sorted_results(results)]
    grid.notes = notes(results, about)
    return grid


def notes(results: list[Result], about: dict[str, Any]) -> list[str]:
    """Return what the table means, and what it was measured on."""
    found = []
    best = [min(median(each) for each in r.ratios.values()) for r in results if r.ratios]
    if best:
        mean = float(np.exp(np.mean(np.log(best))))
        lost, level = (sum(r.verdict == v for r in results) for v in (LOST, LEVEL))
        found.append(
            f"the fastest peer takes {mean:.2f} times as long, geometric mean of {len(best)} "
            f"cases, of which {lost} are lost and {level} level"
        )
    if about["jobs"] > 1:
        found.append(
            f"{about['jobs']} cases at a time, beside each other, on processors of their own"
        )
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    machine = ", ".join(f"{key}: {value}" for key, value in about["machine"].items())
    return [
        *found,
        "excess: (F - F*) / (F(best constant) - F*), F* the least that any side came to",
        "medians of the rounds in turn; a ratio is the median of the rounds' own (least to most)",
        "level: the rounds' ratios reach across 1",
        _GIVEN_UP,
        versions,
        machine,
    ]


def row_of(result: Result) -> list[str]:
    """Return a case's line."""
    ours = result.sides[0]
    told = f"{median(ours.seconds):.3g}" if ours.seconds else ours.skipped
    ratios = result.ratios
    peers = [
        f"{side.name} {median(side.seconds):.3g}: {ratio_of(ratios[side.name])}"
        if side.name in ratios
        else f"{side.name}: {side.skipped or 'not compared'}"
        for side in result.sides[1:]
    ]
    verdict = result.verdict
    if verdict == LOST:
        verdict = f"LOST to {', '.join(result.lost_to)}"
    return [result.case, told, "; ".join(peers), verdict]


def ratio_of(each: list[float]) -> str:
    """Return the ratio of rounds with its spread."""
    return f"{median(each):.2f} ({min(each):.2f}-{max(each):.2f})"
