"""The pieces of a table: what can be read apart from the rest, by another machine too.

A piece is one or more whole files, or a range of rows of a large Parquet file, read as the whole
table is: with the columns, types and formats that all files together have. How a table is cut
depends on its files alone.
"""

from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from gradstep.data.sources.source_file import SourceFile
from gradstep.data.sources.store_copies import fetched
from gradstep.data.sources.store_files import StoreFile
from gradstep.data.sources.table import Opened, Table
from gradstep.data.sources.text_files import PACKED, TextFile
from gradstep.data.sources.text_scan import scan_text_as
from gradstep.data.sources.typed_files import fixed_parts, is_damaged, scan_typed_as
from gradstep.errors import InvalidParameter, InvalidTable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from gradstep.data.sources.store_copies import StoredCopy

__all__ = ["Piece", "pieces_of"]

_PIECE_BYTES = 1 << 28  # of a Parquet file that is cut
_FETCHED_AT_ONCE = 16  # files of a store, which answers each request after a while
_LEAST_BYTES = 1 << 26  # of a piece, where small files may be read together


@dataclass(frozen=True)
class Piece:
    """A part of a table that can be read by itself.

    Attributes
    ----------
    files : tuple of SourceFile or StoreFile
        Where it lies, and what the files were when the table was opened.
    kind : {"csv", "parquet", "ipc", "ndjson"}
        Their format.
    types, formats, na
        As of the whole table.
    fixed : tuple of int
        For each file, of how many parts of its path no folder is a column.
    rows : (int, int), optional
        The rows of the one file, if not all.
    """

    files: tuple[SourceFile | StoreFile, ...]
    kind: str
    types: Mapping[str, pl.DataType]
    formats: Mapping[str, Any] = field(default_factory=dict)
    na: tuple[str, ...] = ()
    fixed: tuple[int, ...] = ()
    rows: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        first, last = self.files[0].name, self.files[-1].name
        return first if first == last else f"{first} to {last}"

    def open(self) -> Table:
        """Open it, on whatever machine.

        Raises
        ------
        InvalidTable
            If a file is not there, or no longer what it was.
        """
        with ThreadPoolExecutor(_FETCHED_AT_ONCE, "gradstep-fetch") as pool:
            here = list(pool.map(self._here, self.files, self.fixed))
        texts = [TextFile.of(each.path, each.name) for each in here] if self.kind == "csv" else []
        for each in here:  # of these a line may be of any length, once it is unpacked
            if each.copy and self.kind == "csv" and each.path.suffix.lower() in PACKED:
                TextFile.of(each.path, each.name).check_records()
        again = partial(self._as_text, here) if self.kind in {"csv", "ndjson"} else None
        opened = Opened(
            self.kind, [each.file for each in here], [each.path for each in here],
            [each.name for each in here], texts, [each.copy for each in here if each.copy], again,
            self.na,
        )  # fmt: skip
        lazy = self._query(here, texts, self.types)
        return Table(self.name, dict(self.types), lazy, opened, self.formats)

    def _as_text(self, here: Sequence[_Here], columns: Collection[str]) -> pl.LazyFrame:
        """Return a query of the same rows that reads these columns as text."""
        types = {c: pl.String() if c in columns else t for c, t in self.types.items()}
        texts = [TextFile.of(each.path, each.name) for each in here] if self.kind == "csv" else []
        return self._query(here, texts, types)

    def _query(
        self, here: Sequence[_Here], texts: Sequence[TextFile], types: Mapping[str, pl.DataType]
    ) -> pl.LazyFrame:
        if self.kind == "csv":
            parts = [scan_text_as(text, types, self.na) for text in texts]
        else:
            parts = [scan_typed_as(each.path, self.kind, types, each.fixed) for each in here]
        lazy = pl.concat(parts)
        if self.rows is not None:
            lo, hi = self.rows
            lazy = lazy.slice(lo, hi - lo)
        return lazy

    def _here(self, file: SourceFile | StoreFile, fixed: int) -> _Here:
        """Return where a file is on this machine; one in a store is fetched."""
        if isinstance(file, StoreFile):
            found = fetched(file, self.kind, self.rows)
            if is_damaged(found.path, self.kind, self.rows):
                msg = f"{file.name} is a damaged {self.kind} file: it claims more than it can hold."
                raise InvalidTable(msg)
            return _Here(SourceFile.of(found.path), file.name, found.fixed, found)
        path = file.path
        if not path.exists():
            msg = (
                f"{path} is not there for a worker on {platform.node()}: a table must lie on "
                "storage that all workers share, under the same path, or in an object store."
            )
            raise InvalidTable(msg)
        file.check()
        return _Here(file, str(path), fixed)


class _Here(NamedTuple):
    """A file of a piece on this machine, what messages call it, and what keeps a copy."""

    file: SourceFile
    name: str
    fixed: int
    copy: StoredCopy | None = None

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.file.path


def pieces_of(table: Any, *, elsewhere: bool = False, each_file: bool = False) -> Sequence[Any]:
    """Return the pieces of a table in the order of its rows; one without files is one by itself.

    Parameters
    ----------
    table : Table or SparseTable
        The table.
    elsewhere : bool
        Whether they are opened elsewhere, and so have whole paths: workers run in folders of their
        own.
    each_file : bool
        Whether small files are pieces of their own; else some that follow each other are one.

    Examples
    --------
    >>> from gradstep.data.sources.opening import open_table
    >>> frame = open_table(pl.DataFrame({"x": [1.0, 2.0]}))
    >>> [piece.open().name for piece in pieces_of(frame)]
    ['the frame']
    """
    if elsewhere and not table.files:
        msg = (
            f"{table.name} lies in this process, behind a URL or in a copy that was unpacked or "
            "recoded here, where no worker reads it: on a cluster, name files that all workers "
            "find under the same path or in an object store, and can read as they are."
        )
        raise InvalidParameter(msg)
    if not isinstance(table, Table):  # sparse text, which is one file
        return [type(table)(table.path.absolute())] if elsewhere else [table]
    if not table.files:
        return [table]
    found: list[Piece] = []
    whole = Piece((), table.opened.kind, table.types, table.formats, table.opened.na)
    together: list[tuple[SourceFile | StoreFile, int]] = []
    size, least = 0, 0 if each_file else _LEAST_BYTES
    for at, given in enumerate(table.files, 1):
        file, fixed = given, fixed_parts(table.name)
        if elsewhere and isinstance(given, SourceFile):
            file = replace(given, path=given.path.absolute())
            fixed += len(file.path.parts) - len(given.path.parts)
        together.append((file, fixed))
        size += file.size
        if size >= least or at == len(table.files):
            files, parts = zip(*together, strict=True)
            found += _cut(replace(whole, files=files, fixed=parts), table.opened.read[at - 1])
            together, size = [], 0
    return found


def _cut(piece: Piece, last_here: Path) -> list[Piece]:
    """Return the pieces of files that are read together: one, unless it is a large Parquet file."""
    files, last = piece.files, piece.files[-1]
    parts = -(-last.size // _PIECE_BYTES)
    if parts < 2 or piece.kind != "parquet":
        return [piece]
    n = int(pl.scan_parquet(last_here, glob=False).select(pl.len()).collect().item())
    cuts = pairwise([n * i // parts for i in range(parts + 1)])
    before = [replace(piece, files=files[:-1], fixed=piece.fixed[:-1])] if len(files) > 1 else []
    return before + [
        replace(piece, files=(last,), fixed=piece.fixed[-1:], rows=span) for span in cuts
    ]
