"""What a measurement leaves behind, in memory and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.problems import Cell

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NANOSECONDS = 1e9


@dataclass(frozen=True)
class LibraryResult:
    """One library in one cell.

    Attributes
    ----------
    name, version : str
        The library.
    is_ours : bool
        Whether it is gradstep.
    skipped : str or None
        Why there are no times, or None.
    choice : str
        The variant that was the fastest in the trials; empty if there is one only.
    loss : float or None
        Objective after one epoch from zero.
    epochs : int
        Epochs that one measurement spans.
    epoch_seconds : list of float
        Seconds for one epoch, one number for each round.
    setup_seconds : list of float
        Seconds that a one-epoch ``fit`` takes beyond its epoch; empty for plain loops.
    """

    name: str
    version: str
    is_ours: bool
    skipped: str | None = None
    choice: str = ""
    loss: float | None = None
    epochs: int = 0
    epoch_seconds: list[float] = field(default_factory=list)
    setup_seconds: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Median seconds for one epoch."""
        return median(self.epoch_seconds)

    def times_slower_than(self, other: LibraryResult) -> float:
        """Median of the ratios of the two libraries' times, round by round.

        Parameters
        ----------
        other : LibraryResult
            The one that ran in the same rounds of the same cell.

        Returns
        -------
        float
            Above 1 if the other one is faster.
        """
        pairs = zip(self.epoch_seconds, other.epoch_seconds, strict=True)
        return median(mine / its for mine, its in pairs)


@dataclass(frozen=True)
class CellResult:
    """All libraries in one cell.

    Attributes
    ----------
    cell : Cell
        Layout, features and batch size.
    rows : int
        Rows of the data.
    rate : float
        Learning rate of a batch.
    libraries : list of LibraryResult
        In the order in which they took turns.
    """

    cell: Cell
    rows: int
    rate: float
    libraries: list[LibraryResult]

    def get(self, name: str) -> LibraryResult | None:
        """Find a library that has times here.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        LibraryResult or None
            None if it is absent or was skipped.
        """
        return next((one for one in self.timed() if one.name == name), None)

    def timed(self) -> list[LibraryResult]:
        """List the libraries that have times."""
        return [one for one in self.libraries if one.epoch_seconds]

    def fastest_peer(self) -> LibraryResult | None:
        """Find the fastest library that is not gradstep, or None."""
        peers = [one for one in self.timed() if not one.is_ours]
        return min(peers, key=lambda one: one.seconds, default=None)

    def nanoseconds(self, seconds: float) -> float:
        """Turn seconds for all rows into nanoseconds for one row."""
        return seconds / self.rows * NANOSECONDS


def write_json(path: Path, machine: dict[str, str], results: list[CellResult]) -> None:
    """Write results to a file.

    Parameters
    ----------
    path : Path
        The file, replaced if it exists.
    machine : dict
        What the results were measured on.
    results : list of CellResult
        The cells measured so far.
    """
    content = {"machine": machine, "cells": [asdict(result) for result in results]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(paths: Iterable[Path]) -> tuple[dict[str, str], list[CellResult]]:
    """Read results that were written before.

    Parameters
    ----------
    paths : iterable of Path
        Files from `write_json`; a cell in a later file replaces the same cell in an
        earlier one.

    Returns
    -------
    machine : dict
        Of the last file.
    results : list of CellResult
        The union of the files.
    """
    machine: dict[str, str] = {}
    results: dict[str, CellResult] = {}
    for path in paths:
        content = json.loads(path.read_text(encoding="utf-8"))
        machine = content["machine"]
        for record in content["cells"]:
            result = _cell_result(record)
            results[result.cell.name] = result
    return machine, list(results.values())


def _cell_result(record: dict[str, Any]) -> CellResult:
    return CellResult(
        cell=Cell(**record["cell"]),
        rows=record["rows"],
        rate=record["rate"],
        libraries=[LibraryResult(**library) for library in record["libraries"]],
    )
