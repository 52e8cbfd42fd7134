"""A table of text that can be shown in a terminal or written as Markdown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Grid:
    """A table with a title above it and notes below.

    Attributes
    ----------
    title : str
        What it shows.
    header : list of str
        Headings of the columns; the first column is set to the left.
    rows : list of list of str
        The entries.
    notes : list of str
        Lines below the table.
    """

    title: str
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def show(self, console: Console) -> None:
        """Print it with Rich.

        Parameters
        ----------
        console : rich.console.Console
            Where to.
        """
        table = Table(title=escape(self.title), title_justify="left")
        for number, heading in enumerate(self.header):
            table.add_column(escape(heading), justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*[escape(entry) for entry in row])
        console.print(table)
        for note in self.notes:
            console.print(escape(f"- {note}"))
        console.print()

    def markdown(self) -> str:
        """Write it as a Markdown table under a heading."""
        lines = [f"### {self.title}", "", _line(self.header)]
        lines.append(_line(["---"] + ["---:"] * (len(self.header) - 1)))
        lines += [_line(row) for row in self.rows]
        if self.notes:
            lines += ["", *[f"- {note}" for note in self.notes]]
        return "\n".join([*lines, ""])


def print_grids(grids: list[Grid], *, markdown: bool) -> None:
    """Print tables to standard output.

    Parameters
    ----------
    grids : list of Grid
        The tables.
    markdown : bool
        As Markdown instead of drawn tables.
    """
    console = Console()
    # A file or a pipe has no width of its own, and a wide table must not be cut there.
    if not console.is_terminal:
        console = Console(width=200)
    for grid in grids:
        if markdown:
            print(grid.markdown())
        else:
            grid.show(console)


def write_grids(path: Path, grids: list[Grid], machine: dict[str, str]) -> None:
    """Write tables as JSON.

    Parameters
    ----------
    path : Path
        The file, replaced if it exists.
    grids : list of Grid
        The tables.
    machine : dict
        What they were measured on.
    """
    content = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine,
        "grids": [asdict(grid) for grid in grids],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _line(entries: list[str]) -> str:
    return "| " + " | ".join(entry.replace("|", "\\|") for entry in entries) + " |"
