"""Progress on stderr: of reading a table, compiling and training; only on a terminal."""

from __future__ import annotations

import math
import sys
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

from gradstep.compiling import CLOCK
from gradstep.figures import number
from gradstep.progress import Bar, in_short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradstep.engine.callbacks import EpochEnd

__all__ = ["Progress"]

_QUIET_SECONDS = 1.0
_BY_BYTES = {"fetching", "unpacking", "reading"}


class Progress:
    """A bar that appears once a run has taken a second.

    A callback for training, what `gradstep.prepare` calls for reading, and what the compiler tells.

    Parameters
    ----------
    wanted : bool
        Whether there is to be one, on a terminal.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self._wanted = wanted and sys.stderr is not None and sys.stderr.isatty()
        self._began = time.monotonic()
        self._at, self._read = (0, 0), 0
        self._bar: Bar | None = None
        self._shown: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        CLOCK.told = self._compiling
        return self

    def __exit__(self, *_error: object) -> None:
        CLOCK.told = None
        with self.aside():
            pass

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while something else is printed."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        yield

    @property
    def position(self) -> Callable[[int, int], None] | None:
        """What is called with the bytes of the files so far and in all; None if nobody looks."""
        return self._position if self._wanted else None

    def _position(self, done: int, size: int) -> None:
        self._at = done, size

    def __call__(self, what: str, rows: int) -> None:
        """Show how far a table has been read, in bytes, or encoded, in rows."""
        done, size = self._at
        if what == "encoding" and self._read:
            self._show(what, f"{rows:,} of {self._read:,} rows", rows, self._read)
        elif what in _BY_BYTES and done:
            of = f" of {size / 1e6:,.1f}" if size else ""
            so_far = f", {rows:,} rows" if rows else ""
            self._show(what, f"{done / 1e6:,.1f}{of} MB{so_far}", done, size or None)
        else:
            self._show(what, f"{rows:,} rows", 0, None)
        if what == "reading":
            self._read = rows

    def waiting(self, what: str) -> None:
        """Show that something is going on, and since when, until it tells more."""
        self._show(what, "", 0, None, since=time.monotonic())

    def _compiling(self, began: float | None) -> None:
        """Show since when a kernel has been compiled, or again what was shown before."""
        if began is None:
            self._shown()
        else:
            self._draw("compiling", "once, 10 to 20 s:", 0, None, since=began)

    def rounds(self, workers: Callable[[], int]) -> Callable[[int, int], None]:
        """Return what shows the rounds of a cluster: shards done, and how many `workers` it has."""
        number, counted, at = 1, 0, -math.inf

        def show(done: int, total: int) -> None:
            nonlocal number, counted, at
            if self._wanted and time.monotonic() - at > _QUIET_SECONDS:  # a question to the network
                counted, at = workers(), time.monotonic()
            text = f"{done:,} of {total:,} shards, {counted:,} workers"
            self._show(f"round {number}", text, 0, None)
            number += done == total

        return show

    def parts(self, done: int, total: int) -> None:
        """Show how many parts of a table have come back from a cluster."""
        self._show(f"part {done}", "", done, total)

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Show the epoch, and how much of the decrease to tol is left, where that ends the run.

        Where no rows are held out, alpha too: many may be tried, each in a run of its own.
        """
        record, problem = event.record, event.problem
        text = f"loss {number(record.loss)}"
        if record.validation is not None:
            text += f", held out {number(-record.validation)}"
        done, total = float(record.epoch), float(problem.max_epochs)
        if record.optimality is not None and problem.tol and problem.tol < 1.0:
            text += f", step {record.optimality:.0e} → {problem.tol:.0e}"
            done, total = _decades(record.optimality), _decades(problem.tol)
        else:
            text += f", {in_short(record.rows_per_second)} rows/s"
        alpha = getattr(problem.penalty, "alpha", 0.0)
        which = f"alpha {number(alpha, 2)}, " if alpha and record.validation is None else ""
        self._show(f"{which}epoch {record.epoch}", text, min(done, total), total)

    def _show(
        self, what: str, text: str, done: float, total: float | None, *,
        since: float | None = None,
    ) -> None:  # fmt: skip
        self._shown = partial(self._draw, what, text, done, total, since=since)
        self._shown()

    def _draw(
        self, what: str, text: str, done: float, total: float | None, *,
        since: float | None = None,
    ) -> None:  # fmt: skip
        if not self._wanted or time.monotonic() - self._began < _QUIET_SECONDS:
            return
        if self._bar is None:
            self._bar = Bar(sys.stderr)
        self._bar.show(what, text, done, total, since=since)


def _decades(share: float) -> float:
    """Return how many powers of ten a decrease to this share is."""
    return max(0.0, -math.log10(max(share, 1e-300)))
