"""The pieces of a table: what can be read apart from the rest, by another machine too.

A piece is a file, or a range of rows of a large Parquet file, read as the whole table is: with the
types that all files together have. How a table is cut depends on its files alone.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from gradstep.data.sources.table import Table, format_of, literally, scan_one
from gradstep.data.sources.text_files import TextFile, scan_as
from gradstep.errors import InvalidTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.data.sources.source_file import SourceFile

__all__ = ["Piece", "pieces_of"]

_PIECE_BYTES = 1 << 28  # of a Parquet file that is cut


@dataclass(frozen=True)
class Piece:
    """A part of a table that can be read by itself.

    Attributes
    ----------
    file : SourceFile
        Where it lies, and what the file was when the table was opened.
    schema : mapping
        Columns and their types, as in the whole table.
    rows : (int, int), optional
        The rows of the file, if not all.
    """

    file: SourceFile
    schema: Mapping[str, pl.DataType]
    rows: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.file.path)

    def open(self) -> Table:
        """Open it, on whatever machine.

        Raises
        ------
        InvalidTable
            If the file is not there, or no longer what it was.
        """
        path = self.file.path
        if not path.exists():
            msg = (
                f"{path} is not there for a worker on {platform.node()}: a table must lie on "
                "storage that all workers share, under the same path."
            )
            raise InvalidTable(msg)
        self.file.check()
        kind, texts = format_of(path), []
        if kind == "csv":
            texts = [TextFile.of(path)]
            lazy = scan_as(texts[0], self.schema)
        else:
            lazy = scan_one(path, kind, self.schema).select(literally(list(self.schema)))
            lazy = lazy.cast(
                pl.Schema(self.schema)
            )  # as in the whole table, whose files may differ
        if self.rows is not None:
            lo, hi = self.rows
            lazy = lazy.slice(lo, hi - lo)
        return Table(self.name, dict(self.schema), lazy, [self.file], texts)


def pieces_of(table: Any, *, elsewhere: bool = False) -> Sequence[Any]:
    """Return the pieces of a table in the order of its rows; one without files is one by itself.

    Those that are opened elsewhere have whole paths: workers run in folders of their own.

    Examples
    --------
    >>> from gradstep.data.sources.table import open_table
    >>> frame = open_table(pl.DataFrame({"x": [1.0, 2.0]}))
    >>> [piece.open().name for piece in pieces_of(frame)]
    ['the frame']
    """
    files = table.files
    if not files:
        return [table]
    if not isinstance(table, Table):  # sparse text, which is one file
        return [type(table)(table.path.absolute())] if elsewhere else [table]
    found = []
    for file in files:
        if elsewhere:
            file = replace(file, path=file.path.absolute())  # noqa: PLW2901
        piece = Piece(file, table.schema)
        parts = -(-file.size // _PIECE_BYTES) if format_of(file.path) == "parquet" else 1
        if parts < 2:
            found.append(piece)
            continue
        n = int(pl.scan_parquet(file.path, glob=False).select(pl.len()).collect().item())
        cuts = [n * i // parts for i in range(parts + 1)]
        found += [replace(piece, rows=span) for span in pairwise(cuts)]
    return found
