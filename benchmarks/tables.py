"""Time and weigh gradstep on tables, beside what a person would use instead.

Run from the root of the repository::

    python -m benchmarks.tables --quick
    python -m benchmarks.tables --only parquet,csv --vw /path/to/vw/bin/python
    python -m benchmarks.tables --markdown

Takes several GB in a temporary folder, which it deletes.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.grids import Grid, print_grids, write_grids
from benchmarks.machine import describe_machine
from benchmarks.startup import CACHE_VARIABLE
from benchmarks.table_figures import Bench, by_label, csv, mixed, parquet
from benchmarks.table_memory import memory
from benchmarks.table_straight import straight
from benchmarks.turns import make_grids

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.turns import Report

FIGURES: dict[str, Callable[[Bench], Report]] = {
    "parquet": parquet,
    "csv": csv,
    "memory": memory,
    "mixed": mixed,
    "sorted": by_label,
    "straight": straight,
}
PACKAGES = ("polars", "scikit-learn", "pandas", "numpy", "numba")
QUICK_DIVISOR = 50
QUICK_REPEATS = 2
FULL_REPEATS = 5


def main(
    *,
    quick: Annotated[
        bool, typer.Option(help="A fiftieth of the rows, two rounds, no verdicts.")
    ] = False,
    only: Annotated[str, typer.Option(help=f"Of {', '.join(FIGURES)}; comma between.")] = "",
    repeats: Annotated[int | None, typer.Option(min=1, help="Rounds of each figure.")] = None,
    vw: Annotated[
        str, typer.Option(help="Interpreter that has vowpalwabbit; by default this one.")
    ] = sys.executable,
    folder: Annotated[
        Path | None, typer.Option(help="Where the temporary folder is made; 7 GB.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--json", help="Results are written here.")] = None,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    """Time and weigh gradstep on tables, beside its peers."""
    chosen = [name.strip() for name in only.split(",") if name.strip()] or list(FIGURES)
    for name in chosen:
        if name not in FIGURES:
            message = f"no figure is called {name!r}; they are {', '.join(FIGURES)}"
            raise typer.BadParameter(message, param_hint="--only")
    rounds = repeats or (QUICK_REPEATS if quick else FULL_REPEATS)
    divisor = QUICK_DIVISOR if quick else 1
    reports: list[Report] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix="gradstep-tables-") as work:
        # What gradstep keeps goes to the same disk, and never to the user's own cache.
        os.environ[CACHE_VARIABLE] = str(Path(work) / "gradstep")
        for name in chosen:
            place = Path(work) / name
            place.mkdir()
            reports.append(FIGURES[name](Bench(place, divisor, rounds, vw, _say)))
            shutil.rmtree(place)
    machine = describe_machine() | {"share of the full size": f"1/{divisor}"} | _versions()
    facts = Grid("Measured on", list(machine), [list(machine.values())])
    grids = make_grids(reports, rounds, judged=not quick)
    if out is not None:
        write_grids(out, grids, machine)
    print_grids([facts, *grids], markdown=markdown)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "–"
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
