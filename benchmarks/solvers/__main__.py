"""Whole fits beside the strongest solvers, at equal objective.

Run from the root of the repository::

    python -m benchmarks.solvers [--quick] [--only narrow --only wide] [--threads 1] [--json FILE]

Each case has a process of its own, pinned to so many processors. A side's tolerance is the loosest
of a ladder that reaches the target; then all sides take turns, and the whole call counts.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path  # noqa: TC003  (Typer reads it)
from statistics import median
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from benchmarks.grids import Grid, print_grids
from benchmarks.machine import describe_machine
from benchmarks.solvers.cases import cases, papers, scaling
from benchmarks.solvers.race import PATIENCE, Result, race_apart

if TYPE_CHECKING:
    from benchmarks.solvers.cases import Case

PACKAGES = ("gradstep", "scikit-learn", "glum", "skglm", "celer", "snapml")


def main(
    *,
    quick: Annotated[bool, typer.Option(help="A tenth of the rows, one round.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="A part of names; may be repeated.")
    ] = None,
    grow: Annotated[
        bool, typer.Option("--scaling", help="Cases of more and more rows, features, classes.")
    ] = False,
    published: Annotated[
        bool, typer.Option("--papers", help="Cases of others' benchmarks.")
    ] = False,
    threads: Annotated[int, typer.Option(help="Processors that all may use.")] = 1,
    excess: Annotated[float, typer.Option(help="The target, as a share of the gap.")] = 1e-6,
    verbose: Annotated[bool, typer.Option(help="Print every trial.")] = False,
    repeats: Annotated[int, typer.Option(help="Rounds that count.")] = 3,
    out: Annotated[Path | None, typer.Option("--json", help="Results are written here.")] = None,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    """Race gradstep against its peers."""
    results, of = [], []
    chosen = papers if published else scaling if grow else cases
    for case in chosen(quick=quick):
        if not only or any(part in case.name for part in only):
            result = race_apart(
                case,
                threads=threads,
                excess=excess,
                repeats=1 if quick else repeats,
                verbose=verbose,
            )
            results.append(result)
            of.append(case)
            print(" | ".join(_row(result)), flush=True)
            if out is not None:
                _write(out, of, results, threads, excess)
    print_grids([_grid(results, threads, excess)], markdown=markdown)


def _grid(results: list[Result], threads: int, excess: float) -> Grid:
    """Return the table, cases that are lost first."""
    grid = Grid(
        f"Seconds of a fit to an excess of {excess:g}, {threads} processor(s)",
        ["case", "gradstep", "peers: seconds, times as long as gradstep", "result"],
    )
    ordered = sorted(results, key=lambda r: (not r.lost_to, bool(r.sides[0].seconds)))
    grid.rows = [_row(result) for result in ordered]
    best = [min(median(each) for each in r.ratios.values()) for r in results if r.ratios]
    if best:
        mean = float(np.exp(np.mean(np.log(best))))
        lost = sum(bool(r.lost_to) for r in results)
        grid.notes.append(
            f"the fastest peer takes {mean:.2f} times as long, geometric mean of {len(best)} "
            f"cases, of which {lost} are lost"
        )
    grid.notes += [
        "excess: (F - F*) / (F(best constant) - F*), F* the least that any side came to",
        "medians of the rounds in turn; a ratio is the median of the rounds' own (least to most)",
        f"a side that takes more than {PATIENCE:.0f} s, or misses the target, says so",
        ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        ", ".join(f"{key}: {value}" for key, value in describe_machine().items()),
    ]
    return grid


def _row(result: Result) -> list[str]:
    ours = result.sides[0]
    told = f"{median(ours.seconds):.3f}" if ours.seconds else ours.skipped
    peers = []
    for side in result.sides[1:]:
        each = result.ratios.get(side.name)
        if each is None:
            peers.append(f"{side.name}: {side.skipped or 'not compared'}")
        else:
            peers.append(
                f"{side.name} {median(side.seconds):.3f}: {median(each):.2f} "
                f"({min(each):.2f}-{max(each):.2f})"
            )
    verdict = f"LOST to {', '.join(result.lost_to)}" if result.lost_to else "ahead"
    if not result.ratios:
        verdict = "no peer"
    return [result.case, told, "; ".join(peers), verdict if ours.seconds else "MISSED"]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _write(
    out: Path, of: list[Case], results: list[Result], threads: int, excess: float
) -> None:  # fmt: skip
    content = {
        "machine": describe_machine(), "threads": threads, "excess": excess,
        "versions": {name: _version(name) for name in PACKAGES},
        "results": [
            {"case": r.case, "of": case._asdict(), "sides": [s._asdict() for s in r.sides]}
            for case, r in zip(of, results, strict=True)
        ],
    }  # fmt: skip
    out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
