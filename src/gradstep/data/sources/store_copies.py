"""Copies of files in an object store, or of parts of them: heads to open a table, and its pieces.

Whoever opens such a table has a head of each file, which tells columns and types, and whoever reads
a piece of it fetches the files of the piece, or of a large Parquet file the row groups that it
wants. No more of a file than a block is in memory at a time, whatever it claims.
"""

from __future__ import annotations

import atexit
import gzip
import io
import secrets
import shutil
import weakref
from collections import OrderedDict
from contextlib import ExitStack
from pathlib import PurePosixPath
from threading import RLock
from typing import TYPE_CHECKING, Any

from gradstep.data.sources.parquet_check import row_groups
from gradstep.data.sources.store_files import refuse_astray
from gradstep.data.sources.text_files import INFER_ROWS
from gradstep.errors import InvalidTable
from gradstep.scratch import scratch_folder
from gradstep.store import BLOCK_BYTES, Store, remote_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gradstep.data.sources.store_files import StoreFile

__all__ = ["StoredCopy", "fetched", "head_of"]

_KEPT_BYTES = 1 << 32  # of files that a process has fetched, and may be asked for again
_HEAD_BYTES = 1 << 16  # of each end of a file
_HEAD_BLOCK = 1 << 20  # of text, of which some files are read at a time
_FOOTER_BLOCK = 1 << 22
_MOST_HEAD = 1 << 28  # bytes of text, if a quote is never closed
_MOST_FOOTER = 1 << 28
_FOOTERS = {"parquet": (b"PAR1", 8), "ipc": (b"ARROW1", 10)}  # magic, and bytes after the footer

_folders: list[Path] = []
_until_the_end = ExitStack()
atexit.register(_until_the_end.close)
_kept: OrderedDict[tuple[StoreFile, tuple[int, int] | None], tuple[int, StoredCopy]] = OrderedDict()
_lock = RLock()


class StoredCopy:
    """A copy of a file, or of parts of it, in a folder of its own that goes with this object.

    Attributes
    ----------
    path : Path
        The copy.
    fixed : int
        Of how many parts of its path no folder is a column.
    """

    def __init__(self, below: str) -> None:
        refuse_astray(below, below)
        folder = _scratch() / secrets.token_hex(8)
        self.path, self.fixed = folder / below, len(folder.parts)
        self.path.parent.mkdir(parents=True)
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


def _scratch() -> Path:
    """Return the folder for all copies of this process: each that is open takes a file handle."""
    with _lock:
        if not _folders or not _folders[-1].is_dir():
            _folders.append(_until_the_end.enter_context(scratch_folder()))
        return _folders[-1]


# --------------------------------------------------------------------------- heads


def head_of(file: StoreFile, kind: str) -> StoredCopy:
    """Return what tells columns and types of a file, and reads as one of them.

    Of text its first rows, unpacked; of Parquet and Arrow a file of full length with what says how
    it is made, without values; of what only Polars unpacks all of it.
    """
    with remote_errors(file.name, InvalidTable, "read", "read it"):
        if kind in _FOOTERS:
            return _sparse(file, kind)
        name = PurePosixPath(file.below).name
        if name.lower().endswith(".zst"):
            return fetched(file, kind)
        store = Store(file.address)
        copy = StoredCopy(name[:-3] if name.lower().endswith(".gz") else name)
        with store.system.open(store.path(""), "rb") as raw, copy.path.open("wb") as to:
            plain = io.BufferedReader(raw)  # whose lines have bounds, which a store's need not
            source = gzip.GzipFile(fileobj=plain) if name.lower().endswith(".gz") else plain
            to.writelines(_first_rows(source, quoted=kind == "csv"))
        return copy


def _first_rows(source: Any, *, quoted: bool) -> Iterator[bytes]:
    """Yield text until there are a header and as many rows as types are guessed from."""
    rows, size, within = -1, 0, False
    while rows < INFER_ROWS and size < _MOST_HEAD and (text := source.readline(_HEAD_BLOCK)):
        yield text
        size += len(text)
        within ^= quoted and text.count(b'"') % 2 == 1
        rows += text.endswith(b"\n") and not within


def _sparse(file: StoreFile, kind: str, rows: tuple[int, int] | None = None) -> StoredCopy:
    """Return a file of full length that has its two ends, and the row groups that have some rows.

    What is between them has no place on the disk.
    """
    copy, store = StoredCopy(file.below), Store(file.address)
    with copy.path.open("w+b") as to:
        to.truncate(file.size)

        def copied(start: int, end: int, size: int = BLOCK_BYTES) -> None:
            for at, block in store.blocks("", max(0, start), min(end, file.size), size):
                to.seek(at)
                to.write(block)

        tail_at = max(0, file.size - _HEAD_BYTES)
        tail = store.read("", tail_at, file.size) if file.size else b""
        begin = _footer_at(file, kind, tail, tail_at)
        copied(0, min(_HEAD_BYTES, tail_at))
        copied(begin, tail_at, _FOOTER_BLOCK)
        to.seek(tail_at)
        to.write(tail)
        if rows is not None:
            to.seek(begin)
            for lo, hi, first, end in row_groups(to.read()):
                if lo < rows[1] and hi > rows[0]:
                    copied(first, end)
    return copy


def _footer_at(file: StoreFile, kind: str, tail: bytes, tail_at: int) -> int:
    """Return where the footer of a file begins, or its tail if that has all of it."""
    magic, after = _FOOTERS[kind]
    if not tail.endswith(magic) or len(tail) < after:
        return tail_at
    length = int.from_bytes(tail[-after : 4 - after], "little")
    if _MOST_FOOTER < length <= file.size:
        msg = (
            f"{file.name} says that it has {length:,} bytes of names, types and places, and of a "
            f"file in a store {_MOST_FOOTER:,} are read. If it is sound, download it first."
        )
        raise InvalidTable(msg)
    begin = file.size - after - length
    return begin if 0 <= begin < tail_at else tail_at


# --------------------------------------------------------------------------- whole files


def fetched(file: StoreFile, kind: str, rows: tuple[int, int] | None = None) -> StoredCopy:
    """Return a copy of a file, or of what some rows of a Parquet file take.

    Some are kept, for who asks again; others last as long as what is returned.

    Raises
    ------
    InvalidTable
        If it is not there, or no longer what it was.
    """
    key = file, rows
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key][1]
    with remote_errors(file.name, InvalidTable, "read", "read it"):
        if rows is None:
            copy = StoredCopy(file.below)
            Store(file.address).get("", copy.path)
        else:
            copy = _sparse(file, kind, rows)
    file.check()
    size = file.size if rows is None else copy.path.stat().st_blocks * 512
    with _lock:
        _kept[key] = size, copy
        while len(_kept) > 1 and sum(each for each, _ in _kept.values()) > _KEPT_BYTES:
            _kept.popitem(last=False)
    return copy
