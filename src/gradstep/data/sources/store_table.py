"""A table in an object store: what is here are heads of its files; rows are read piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradstep.data.sources.pieces import pieces_of
from gradstep.data.sources.store_files import StoreFile
from gradstep.data.sources.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from gradstep.data.sources.source_file import SourceFile

__all__ = ["StoreTable"]


@dataclass
class StoreTable(Table):
    """A table whose files are fetched where their rows are read, here or on another machine."""

    @property
    def files(self) -> Sequence[SourceFile | StoreFile]:
        """The files, which any machine reads: what was copied are heads."""
        return self.opened.files

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, in chunks that end where pieces end."""
        for piece in pieces_of(self):
            yield from piece.open().chunks(columns)

    def fingerprint(self) -> list[dict[str, Any]]:
        """Return what tells this version of the files from another."""
        return [file.entry() for file in self.opened.files if isinstance(file, StoreFile)]
