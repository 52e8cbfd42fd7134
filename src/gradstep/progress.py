"""Progress on a terminal: a bar with a line of text, and numbers that are read at a glance."""

from __future__ import annotations

import time
from typing import Any, TextIO

__all__ = ["Bar", "in_short"]

_NARROW = 70  # characters: a terminal of fewer has no room for a bar


class Bar:
    """A bar that shows what is done, how much of it, and a line of text.

    Parameters
    ----------
    stream : text stream
        A terminal.
    lasting : bool
        Whether it stays once it is closed, and shows how long that took.
    """

    def __init__(self, stream: TextIO, *, lasting: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, TimeElapsedColumn
        from rich.text import Text

        class _Since(ProgressColumn):
            """How long it has been going on, where that is all that is known."""

            def render(self, task: Any) -> Text:
                began = task.fields["since"]
                return Text("" if began is None else f"{time.monotonic() - began:.0f} s")

        terminal = Console(file=stream)
        columns: list[Any] = ["{task.description}", "{task.fields[text]}"]
        if lasting:
            columns = [columns[0], BarColumn(bar_width=None), columns[1], TimeElapsedColumn()]
        else:
            columns.append(_Since())
            if terminal.width >= _NARROW:
                columns.insert(1, BarColumn(bar_width=8))
        self._bar = Progress(*columns, console=terminal, transient=not lasting, expand=lasting)
        self._task = self._bar.add_task("", text="", since=None, total=None)
        self._bar.start()

    def show(
        self, what: str, text: str, done: float = 0, total: float | None = None, *,
        since: float | None = None,
    ) -> None:  # fmt: skip
        """Show how far it is; without a total, that something is going on, and since when."""
        self._bar.update(
            self._task, description=what, text=text, completed=done, total=total, since=since
        )

    def close(self) -> None:
        """Leave the terminal to others."""
        self._bar.stop()


def in_short(number: float) -> str:
    """Return a number with a unit that a person reads at a glance.

    Examples
    --------
    >>> in_short(950.0), in_short(12_345.0), in_short(2.5e6)
    ('950', '12.3 k', '2.5 M')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number:.0f}"
