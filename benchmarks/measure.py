"""The clock: all libraries in turn, cell by cell, one process for each table.

Cells with the same data share a process, which draws the data once and ends with
the cells: memory is given back, and no library meets another table's threads.
"""

from __future__ import annotations

import gc
import multiprocessing
import traceback
from dataclasses import dataclass, replace
from itertools import groupby
from math import ceil
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.adapters import all_adapters
from benchmarks.problems import Cell, Problem, make_data
from benchmarks.records import CellResult, LibraryResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    from benchmarks.adapters.base import Adapter

MOST_EPOCHS = 40
SLOW_TURNS = 5


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes
    ----------
    repeats : int
        Rounds in a cell; each library has one turn in a round.
    fraction : float
        Share of the full number of rows.
    least_seconds : float
        A turn spans as many epochs as fill this time.
    libraries : tuple of str
        Names or parts of names, in any case; empty for all.
    """

    repeats: int = 3
    fraction: float = 1.0
    least_seconds: float = 1.0
    libraries: tuple[str, ...] = ()

    def wants(self, name: str) -> bool:
        """Whether a library is to be measured."""
        return not self.libraries or any(p.lower() in name.lower() for p in self.libraries)


def measure(
    cells: Sequence[Cell],
    settings: Settings,
    say: Callable[[str], None],
) -> Iterator[CellResult]:
    """Measure cells, each group with the same data in a process of its own.

    Parameters
    ----------
    cells : sequence of Cell
        What to measure.
    settings : Settings
        How.
    say : callable
        Is given a line of progress now and then.

    Yields
    ------
    CellResult
        One for each cell, as soon as it is there; none for what a dying process took
        with it (its end is said).
    """
    spawn = multiprocessing.get_context("spawn")
    for (layout, features), group in groupby(cells, lambda c: (c.layout, c.features)):
        receiver, sender = spawn.Pipe(duplex=False)
        arguments = (list(group), settings, sender)
        worker = spawn.Process(target=_work, args=arguments, daemon=True)
        worker.start()
        sender.close()
        yield from _received(receiver, say)
        worker.join()
        if worker.exitcode:
            say(f"{layout}-{features}: the process ended with code {worker.exitcode}")


def _received(receiver: Connection, say: Callable[[str], None]) -> Iterator[CellResult]:
    while True:
        try:
            message: CellResult | str = receiver.recv()
        except EOFError:
            return
        if isinstance(message, str):
            say(message)
        else:
            yield message


def _work(cells: Sequence[Cell], settings: Settings, sender: Connection) -> None:
    first = cells[0]
    data = make_data(first.layout, first.features, settings.fraction)
    for cell in cells:
        sender.send(measure_cell(cell, Problem(data, cell.batch), settings, sender.send))


def measure_cell(
    cell: Cell,
    problem: Problem,
    settings: Settings,
    say: Callable[[str], None],
) -> CellResult:
    """Let all libraries run in turn on one problem.

    Parameters
    ----------
    cell : Cell
        The cell's name and place.
    problem : Problem
        Its data and batch size.
    settings : Settings
        How to measure.
    say : callable
        Is given lines of progress.

    Returns
    -------
    CellResult
        With every library that was wanted, the skipped ones too.
    """
    results: list[LibraryResult] = []
    running: list[tuple[Adapter, LibraryResult]] = []
    for adapter in filter(lambda one: settings.wants(one.name), all_adapters()):
        result = _warm(adapter, problem, settings.least_seconds)
        results.append(result)
        if result.skipped is None:
            running.append((adapter, result))
            say(f"{cell.name}: {result.name} is ready, loss {result.loss:.5f}")
        else:
            say(f"{cell.name}: {result.name} skipped: {result.skipped}")

    for turn in range(settings.repeats):
        for adapter, result in running:
            _take_turn(adapter, result)
            nanoseconds = result.epoch_seconds[-1] / problem.rows * 1e9
            say(f"{cell.name}: round {turn + 1}, {result.name}, {nanoseconds:.1f} ns/row")
    return CellResult(cell, problem.rows, problem.rate, results)


def _warm(adapter: Adapter, problem: Problem, least_seconds: float) -> LibraryResult:
    """Prepare, run one epoch off the record, plan the length of a turn."""
    result = LibraryResult(adapter.name, version="", is_ours=adapter.is_ours)
    reason = adapter.available()
    if reason is not None:
        return replace(result, skipped=reason)
    result = replace(result, version=adapter.version())
    try:
        adapter.prepare(problem)
        one = _clock(adapter, 1)
        loss = problem.objective(*adapter.solution())
    except Exception as error:  # noqa: BLE001  one library's failure is one cell's entry
        traceback.print_exc()
        return replace(result, skipped=f"{type(error).__name__}: {error}")
    epochs = _plan(adapter, one, least_seconds)
    return replace(result, choice=adapter.choice, loss=loss, epochs=epochs)


def _plan(adapter: Adapter, one: float, least_seconds: float) -> int:
    """Choose how many epochs fill a turn, from the time of a run of one."""
    epochs = min(ceil(least_seconds / one), MOST_EPOCHS)
    if adapter.is_fit and one < SLOW_TURNS * least_seconds:
        # Much of a short fit may be set-up: ask again with that taken out.
        epoch = (_clock(adapter, 1 + epochs) - one) / epochs
        if epoch > 0.0:
            epochs = min(ceil(least_seconds / epoch), MOST_EPOCHS)
    return epochs


def _take_turn(adapter: Adapter, result: LibraryResult) -> None:
    """Time one turn and add it to the result."""
    if not adapter.is_fit:
        result.epoch_seconds.append(_clock(adapter, result.epochs) / result.epochs)
        return
    if adapter.is_ours:  # its own record of each epoch, the wait for its order included
        whole = _clock(adapter, 1 + result.epochs)
        seconds = adapter.epoch_seconds()
        result.epoch_seconds.append(sum(seconds[1:]) / result.epochs)
        result.setup_seconds.append(whole - sum(seconds))
        return
    epoch = 0.0
    while epoch <= 0.0:  # a pause of the machine during the shorter fit: measure again
        one = _clock(adapter, 1)
        more = _clock(adapter, 1 + result.epochs)
        epoch = (more - one) / result.epochs
    result.epoch_seconds.append(epoch)
    result.setup_seconds.append(one - epoch)


def _clock(adapter: Adapter, count: int) -> float:
    """Seconds that so many epochs take."""
    gc.collect()
    start = perf_counter()
    adapter.epochs(count)
    return perf_counter() - start


def describe(settings: Settings) -> dict[str, Any]:
    """Say how it was measured, for the head of a report."""
    return {
        "rounds": str(settings.repeats),
        "share of the full size": f"{settings.fraction:g}",
        "least seconds a turn": f"{settings.least_seconds:g}",
    }
