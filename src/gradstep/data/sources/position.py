"""How far in its files a table has been read: bytes, of rows.

Polars tells rows alone. A row of text ends with a line: lines of a plain file are counted in it,
from where the last count ended (a gigabyte takes a second); of one that is packed they were counted
when it was checked. Line ends within quotes make a position late by as much, until the file ends.
Parquet and Arrow files know their rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from glob import escape
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gradstep.data.sources.table import Table

__all__ = ["Position"]

_BLOCK_BYTES = 1 << 20


@dataclass
class _File:
    """A file, and how far it was counted.

    Attributes
    ----------
    path : Path
        What is read: the file, or a plain copy.
    size : int
        Bytes of the file itself.
    head : int
        Lines before the first row.
    lines, places : sequence of int
        Numbers of lines (in other formats than text, of rows), and the bytes that they take.
    is_text : bool
        Whether lines are counted as far as they are asked for.
    """

    path: Path
    size: int
    head: int
    lines: list[int]
    places: list[int]
    is_text: bool

    def share(self, rows: int) -> float:
        """Return which share of the file so many rows take."""
        line = rows + self.head
        self._count(line)
        return float(np.interp(line, self.lines, self.places)) / max(1, self._bytes)

    def rows(self, most: int) -> int:
        """Return how many rows the file has, or the most that are asked about."""
        self._count(most + self.head)
        return min(most, max(0, self.lines[-1] - self.head))

    @property
    def _bytes(self) -> int:
        return self.path.stat().st_size if self.is_text else self.places[-1]

    def _count(self, line: int) -> None:
        """Count lines until there are so many, or the file ends."""
        if not self.is_text or self.lines[-1] >= line:
            return
        with self.path.open("rb") as file:
            file.seek(self.places[-1])
            while self.lines[-1] < line and (block := file.read(_BLOCK_BYTES)):
                self.lines = [self.lines[-1], self.lines[-1] + block.count(b"\n")]
                self.places = [self.places[-1], self.places[-1] + len(block)]


class Position:
    """How far in the files of a table so many rows reach.

    Parameters
    ----------
    table : Table
        The table, opened.

    Attributes
    ----------
    size : int
        Bytes of its files; 0 of a frame.
    """

    def __init__(self, table: Table) -> None:
        opened = table.opened
        self._files = [
            _file(opened.kind, path, file.size, opened.text[i].marks if opened.text else [])
            for i, (path, file) in enumerate(zip(opened.read, opened.files, strict=True))
        ]
        self.size = sum(file.size for file in self._files)
        self._now = self._rows = self._bytes = 0

    def of_rows(self, rows: int) -> int:
        """Return how many bytes the first rows take; of no fewer rows than the last time."""
        while self._now < len(self._files):
            file, wanted = self._files[self._now], rows - self._rows
            found = file.rows(wanted)
            if found == wanted:
                return self._bytes + int(min(1.0, file.share(wanted)) * file.size)
            self._now, self._rows = self._now + 1, self._rows + found
            self._bytes += file.size
        return self.size


def _file(kind: str, path: Path, size: int, marks: Sequence[tuple[int, int]]) -> _File:
    if marks:
        lines, places = map(list, zip(*marks, strict=True))
        return _File(path, size, 1, lines, places if places[-1] else lines, is_text=False)
    if kind in {"csv", "ndjson"}:
        return _File(path, size, int(kind == "csv"), [0], [0], is_text=True)
    if kind == "parquet":
        rows = pl.scan_parquet(path, hive_partitioning=False, glob=False)
    else:
        rows = pl.scan_ipc(escape(str(path)))
    n = int(rows.select(pl.len()).collect().item())
    return _File(path, size, 0, [0, n], [0, size], is_text=False)
