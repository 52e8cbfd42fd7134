"""Time an epoch of every library in every cell, and print the tables.

Run from the root of the repository::

    python -m benchmarks.epoch_time --quick
    python -m benchmarks.epoch_time --json results.json
    python -m benchmarks.epoch_time --cells 'dense-100-*' --libraries gradstep,jax
    python -m benchmarks.epoch_time --read results.json --markdown
"""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  Typer reads the annotations at run time
from typing import Annotated

import typer

from benchmarks.grids import Grid, print_grids
from benchmarks.machine import describe_machine
from benchmarks.measure import Settings, describe, measure
from benchmarks.problems import QUICK_FRACTION, Cell, select_cells
from benchmarks.records import CellResult, read_json, write_json
from benchmarks.report import make_grids

QUICK_REPEATS = 1
FULL_REPEATS = 3
QUICK_SECONDS = 0.3
FULL_SECONDS = 1.0


def main(
    *,
    quick: Annotated[bool, typer.Option(help="A tenth of the rows, one round.")] = False,
    cells: Annotated[
        str, typer.Option(help="Names or patterns, comma between; --list shows the names.")
    ] = "",
    libraries: Annotated[str, typer.Option(help="Names or parts of names, comma between.")] = "",
    repeats: Annotated[int | None, typer.Option(min=1, help="Rounds in a cell.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the results here.")] = None,
    read: Annotated[
        list[Path] | None,
        typer.Option(help="Measure nothing, report these results; may be repeated."),
    ] = None,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
    list_cells: Annotated[bool, typer.Option("--list", help="List the cells.")] = False,
) -> None:
    """Time an epoch of gradstep and of its peers on this machine."""
    try:
        chosen = select_cells(_split(cells))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--cells") from None
    if list_cells:
        typer.echo("\n".join(cell.name for cell in chosen))
        return
    if read:
        machine, results = read_json(read)
        results = [result for result in results if result.cell in chosen]
    else:
        settings = Settings(
            repeats=repeats or (QUICK_REPEATS if quick else FULL_REPEATS),
            fraction=QUICK_FRACTION if quick else 1.0,
            least_seconds=QUICK_SECONDS if quick else FULL_SECONDS,
            libraries=tuple(_split(libraries)),
        )
        machine = describe_machine() | describe(settings)
        results = _measure(chosen, settings, machine, json)
    results.sort(key=lambda result: select_cells([]).index(result.cell))
    facts = Grid("Measured on", list(machine), [list(machine.values())])
    print_grids([facts, *make_grids(results)], markdown=markdown)


def _measure(
    cells: list[Cell],
    settings: Settings,
    machine: dict[str, str],
    json: Path | None,
) -> list[CellResult]:
    """Measure, and save after each cell what there is."""
    results: list[CellResult] = []
    for result in measure(cells, settings, _say):
        results.append(result)
        if json is not None:
            write_json(json, machine, results)
    return results


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    typer.run(main)
