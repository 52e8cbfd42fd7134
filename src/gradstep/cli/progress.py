"""Progress on stderr: of reading a table, and of training; only on a terminal."""

from __future__ import annotations

import math
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from gradstep.progress import Bar, in_short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradstep.engine.callbacks import EpochEnd, Start

__all__ = ["Progress"]

_QUIET_SECONDS = 1.0


class Progress:
    """A bar that appears once a run has taken a second.

    A callback for training, and what `gradstep.prepare` calls for reading.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self._wanted = wanted and sys.stderr is not None and sys.stderr.isatty()
        self._began = time.monotonic()
        self._training = self._began
        self._most = 0
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while something else is printed."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        yield

    def __call__(self, what: str, rows: int) -> None:
        """Show how many rows have been read."""
        self._show(what, f"{rows:,} rows", None, None)

    def rounds(self, workers: Callable[[], int]) -> Callable[[int, int], None]:
        """Return what shows the rounds of a cluster: shards done, and how many `workers` it has."""
        number, counted, at = 1, 0, -math.inf

        def show(done: int, total: int) -> None:
            nonlocal number, counted, at
            if self._wanted and time.monotonic() - at > _QUIET_SECONDS:  # a question to the network
                counted, at = workers(), time.monotonic()
            text = f"{done:,} of {total:,} shards, {counted:,} workers"
            self._show(f"round {number}", text, None, None)
            number += done == total

        return show

    def parts(self, done: int, total: int) -> None:
        """Show how many parts of a table have come back from a cluster."""
        self._show("part", "", done, total)

    def on_start(self, start: Start) -> None:
        """Begin to show epochs."""
        self._most = start.problem.max_epochs
        self._training = time.monotonic()

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Show the epoch."""
        record = event.record
        text = f"loss {record.loss:.5g}"
        if record.validation is not None:
            text += f", held out {-record.validation:.5g}"
        text += f", {in_short(record.rows_per_second)} rows/s"
        an_epoch = (time.monotonic() - self._training) / record.epoch
        text += f", at most {_clock(an_epoch * (self._most - record.epoch))}"
        self._show("epoch", text, record.epoch, self._most)

    def _show(self, what: str, text: str, done: int | None, total: int | None) -> None:
        if not self._wanted or time.monotonic() - self._began < _QUIET_SECONDS:
            return
        if self._bar is None:
            self._bar = Bar(sys.stderr)
        self._bar.show(what if done is None else f"{what} {done}", text, done or 0, total)


def _clock(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
