"""Files of a table in an object store (``s3://``, ``gs://``): listed, looked into, fetched.

Polars reads files that are here. So whoever opens such a table has a head of each file, which tells
columns and types, and whoever reads a piece of it fetches the files of the piece, or of a large
Parquet file the row groups that it wants.
"""

from __future__ import annotations

import atexit
import glob
import gzip
import hashlib
import io
import secrets
import shutil
import weakref
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from threading import RLock
from typing import TYPE_CHECKING, Any

from gradstep.data.sources.parquet_check import row_groups
from gradstep.data.sources.text_files import INFER_ROWS, LONGEST_LINE
from gradstep.errors import InvalidTable
from gradstep.files import without_secrets
from gradstep.scratch import scratch_folder
from gradstep.store import remote_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["StoreFile", "fetched", "head_of", "stored_files"]

_KEPT_BYTES = 1 << 32  # of files that a process has fetched, and may be asked for again
_BLOCK_BYTES = 1 << 26
_TAIL_BYTES = 1 << 16
_MOST_HEAD = 1 << 28  # bytes of text, if a quote is never closed
# What a store says of a version of an object, the first of these that it has.
_VERSIONS = ("ETag", "etag", "generation", "md5Hash", "LastModified", "mtime", "updated", "created")
_FOOTERS = {"parquet": (b"PAR1", 8), "ipc": (b"ARROW1", 10)}  # magic, and bytes after the footer

_folders: list[Path] = []
_until_the_end = ExitStack()
atexit.register(_until_the_end.close)
_kept: OrderedDict[tuple[StoreFile, tuple[int, int] | None], tuple[int, StoredCopy]] = OrderedDict()
_lock = RLock()


@dataclass(frozen=True)
class StoreFile:
    """A file in a store as it was when the table was opened.

    Attributes
    ----------
    address : str
        Where it is.
    size : int
        Its bytes.
    version : str
        What tells it from others at this address; empty if the store tells nothing, or no size.
    below : str
        Its path within the folder that the user named, whose folders may be columns.
    """

    address: str
    size: int
    version: str
    below: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return without_secrets(self.address)

    def check(self) -> None:
        """Refuse to go on with a file that is no longer what it was."""
        system, path = _system(self.address)
        with remote_errors(self.name, InvalidTable, "read", "read it"):
            found = system.info(path)
        if (int(found["size"]), _version(found)) != (self.size, self.version):
            msg = (
                f"{self.name} changed while it was being read. Start again once nothing writes "
                "to it."
            )
            raise InvalidTable(msg)

    def entry(self) -> dict[str, Any]:
        """Return what tells this version of the file from another, for the record."""
        version = hashlib.sha256(self.version.encode()).hexdigest()
        return {"path": self.name, "size": self.size, "version": version}


def _system(address: str) -> tuple[Any, str]:
    """Return the file system of an address, without listings that it has kept, and the path."""
    import fsspec

    system, path = fsspec.url_to_fs(address)
    system.invalidate_cache()
    return system, path


def _version(info: dict[str, Any]) -> str:
    found = next((info[key] for key in _VERSIONS if info.get(key) is not None), "")
    return str(found.timestamp() if isinstance(found, datetime) else found)


def stored_files(address: str) -> list[StoreFile]:
    """Return the files that an address, a pattern or a folder names, in order of their names.

    Raises
    ------
    InvalidTable
        If there are none, or the store does not answer.
    """
    called = without_secrets(address)
    with remote_errors(called, InvalidTable, "read", "read it", besides=", or download it first"):
        system, path = _system(address.rstrip("/"))
        try:
            info = system.info(path)
        except FileNotFoundError:
            if not glob.has_magic(path):
                msg = f"{called} does not exist."
                raise InvalidTable(msg) from None
            before = next(i for i, part in enumerate(path.split("/")) if glob.has_magic(part))
            found = system.glob(path, detail=True)
            found = {name: each for name, each in found.items() if each["type"] == "file"}
        else:
            before = path.count("/") + (info["type"] != "file")
            found = {path: info} if info["type"] == "file" else system.find(path, detail=True)
    apart = len(path.split("/")) - before
    root = "/".join(address.rstrip("/").split("/")[:-apart] if apart > 0 else [address.rstrip("/")])
    files = []
    for name, each in sorted(found.items(), key=lambda item: item[0].split("/")):
        below = "/".join(name.split("/")[before:])
        parts = below.split("/")
        if not parts[-1] or any(part.startswith(".") for part in parts):
            continue  # what stands for a folder, and what is hidden
        _refuse_astray(below, f"{without_secrets(root)}/{below}")
        size, version = each["size"], _version(each)
        files.append(
            StoreFile(f"{root}/{below}", size or 0, "" if size is None else version, below)
        )
    if not files:
        msg = (
            f"{called} has no files." if not glob.has_magic(path) else f"{called} matches no file."
        )
        raise InvalidTable(msg)
    return files


def _refuse_astray(below: str, called: str) -> None:
    """Refuse a path that would lead out of the folder which a copy of it is put in."""
    if not {"", ".", ".."}.isdisjoint(below.split("/")):
        msg = (
            f"{called} has a folder without a name of its own (//, . or ..), which no file here "
            "has. Copy it to another name."
        )
        raise InvalidTable(msg)


# --------------------------------------------------------------------------- heads


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
        _refuse_astray(below, below)
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


def head_of(file: StoreFile, kind: str) -> StoredCopy:
    """Return what tells columns and types of a file, and reads as one of them.

    Of text its first rows, unpacked; of Parquet and Arrow a file of full length with what says how
    it is made, without values; of what only Polars unpacks all of it.
    """
    with remote_errors(file.name, InvalidTable, "read", "read it"):
        system, path = _system(file.address)
        if kind in _FOOTERS:
            return _sparse(system, path, file, kind, lambda _footer: [])
        name = PurePosixPath(file.below).name
        if name.lower().endswith(".zst"):
            return fetched(file, kind)
        copy = StoredCopy(name[:-3] if name.lower().endswith(".gz") else name)
        with system.open(path, "rb") as raw:
            plain = io.BufferedReader(raw)  # whose lines have bounds, which a store's need not
            source = gzip.GzipFile(fileobj=plain) if name.lower().endswith(".gz") else plain
            copy.path.write_bytes(b"".join(_first_rows(source, quoted=kind == "csv")))
        return copy


def _first_rows(source: Any, *, quoted: bool) -> Iterator[bytes]:
    """Yield lines until there are a header and as many rows as types are guessed from."""
    rows, size, within = -1, 0, False
    while rows < INFER_ROWS and size < _MOST_HEAD and (line := source.readline(LONGEST_LINE)):
        yield line
        size += len(line)
        within ^= quoted and line.count(b'"') % 2 == 1
        rows += not within


def _sparse(
    system: Any, path: str, file: StoreFile, kind: str,
    wanted: Callable[[bytes], list[tuple[int, int]]],
) -> StoredCopy:  # fmt: skip
    """Return a file of full length that has its two ends, and the ranges that its footer tells."""
    copy, (magic, after) = StoredCopy(file.below), _FOOTERS[kind]
    if not file.size:
        copy.path.touch()
        return copy
    tail_at = max(0, file.size - _TAIL_BYTES)
    tail = system.cat_file(path, start=tail_at, end=file.size)
    if tail.endswith(magic) and len(tail) >= after:
        length = int.from_bytes(tail[-after : 4 - after], "little")
        begin = file.size - after - length
        if 0 <= begin < tail_at:
            tail_at, tail = begin, system.cat_file(path, start=begin, end=file.size)
    with copy.path.open("wb") as to:
        to.truncate(file.size)
        to.write(system.cat_file(path, start=0, end=min(file.size, _TAIL_BYTES)))
        to.seek(tail_at)
        to.write(tail)
        for begin, end in wanted(tail):
            last = min(end, file.size)  # whatever a damaged one claims
            for at in range(max(0, begin), last, _BLOCK_BYTES):
                to.seek(at)
                to.write(system.cat_file(path, start=at, end=min(last, at + _BLOCK_BYTES)))
    return copy


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
        system, path = _system(file.address)
        if rows is None:
            copy = StoredCopy(file.below)
            system.get_file(path, str(copy.path))
        else:

            def wanted(tail: bytes) -> list[tuple[int, int]]:
                return [
                    (b, e) for lo, hi, b, e in row_groups(tail) if lo < rows[1] and hi > rows[0]
                ]

            copy = _sparse(system, path, file, kind, wanted)
    file.check()
    size = file.size if rows is None else copy.path.stat().st_blocks * 512
    with _lock:
        _kept[key] = size, copy
        while len(_kept) > 1 and sum(each for each, _ in _kept.values()) > _KEPT_BYTES:
            _kept.popitem(last=False)
    return copy
