"""Prepared tables in an object store (``s3://``, ``gs://``): written, copied, or read in parts.

fsspec speaks to the store. What is mapped into memory is a file on this disk: a driver copies the
folder whole, into the cache. A worker of a cluster has files of full length without content, and
fetches the rows of a shard when it is asked for them: its disk holds what it computes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import weakref
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradstep.cache_folder import mark, private_folder
from gradstep.errors import CannotWrite, InvalidTable
from gradstep.files import writing_folder
from gradstep.mapped import mapped
from gradstep.rows.dataset import Dataset
from gradstep.scratch import scratch_folder
from gradstep.store import Store, remote_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["CLAIM", "RemoteFolder", "RemoteRows", "claim", "copied", "is_published", "publish",
           "publishing", "refuse_used"]  # fmt: skip

_META = "meta.json"
CLAIM = "claim.json"  # in a folder of work
_NAME = re.compile(r"(train|validation)_[a-z]+\.npy")
_HEADER_BYTES = 1 << 10  # of a file of NumPy's, and more


def _meta_in(store: Store) -> bytes:
    """Return the file that tells of all others, or say that this is no prepared table."""
    try:
        return store.read(_META)
    except FileNotFoundError:
        msg = f"{store.called} is no prepared table: it has no {_META}."
        raise InvalidTable(msg) from None


def _arrays_in(store: Store) -> dict[str, int]:
    """Return the arrays with their length; other names lead nowhere."""
    return {name: size for name, size in store.sizes().items() if _NAME.fullmatch(name)}


def is_published(url: str) -> bool:
    """Tell whether a prepared table is there."""
    with remote_errors(url, InvalidTable, "read"):
        return Store(url).exists(_META)


def refuse_used(url: str) -> None:
    """Refuse to write where anything is but what a run of ours has left that was killed."""
    with remote_errors(url, CannotWrite, "written"):
        store = Store(url)
        store.refuse_used(_claimed(store))


def claim(work: str, names: Sequence[str]) -> None:
    """Note in a folder of work which files its run is about to write beside it.

    They are its own from now on: removed if it fails, and by the next run if it is killed.
    """
    with remote_errors(work, CannotWrite, "written"):
        Store(work).write(CLAIM, json.dumps(list(names)).encode())


def _claimed(store: Store) -> list[str]:
    """Return the files that runs write, or were writing when they were killed."""
    found: list[str] = []
    for work in store.works():
        with suppress(FileNotFoundError, TypeError, ValueError):
            names = json.loads(store.read(f"{work}/{CLAIM}"))
            found += [name for name in names if _NAME.fullmatch(name)]
    return found


@contextmanager
def publishing(url: str) -> Iterator[None]:
    """Leave nothing of a prepared table in an object store if it does not come to its end.

    What lies there for the while of writing goes in any case, and first what a run has left that
    was killed: one at a time writes to an address. What no run has claimed is not touched.
    """
    with remote_errors(url, CannotWrite, "written"):
        store = Store(url)
        left = _claimed(store)
        store.refuse_used(left)
        store.remove(left)
        store.sweep()
    try:
        yield
    except BaseException:
        with suppress(Exception):
            if not Store(url).exists(_META):
                store.remove(_claimed(store))
        raise
    finally:
        store.sweep()


def publish(folder: Path, url: str) -> None:
    """Write a prepared folder to an object store: the file without which it does not open last."""
    with remote_errors(url, CannotWrite, "written"):
        store = Store(url)
        arrays = sorted(folder.glob("*.npy"))
        claim(store.work(secrets.token_hex(8)), [path.name for path in arrays])
        for path in arrays:
            store.put(path, path.name)
        store.write(_META, (folder / _META).read_bytes())


def copied(url: str) -> Path:
    """Return a copy of a prepared folder, in the cache of prepared tables: made, or as it is."""
    with remote_errors(url, InvalidTable, "read"):
        store = Store(url)
        meta = _meta_in(store)
        key = hashlib.sha256(meta + store.url.encode()).hexdigest()[:24]
        folder = private_folder("tables") / key
        if (folder / _META).is_file():
            return folder
        try:
            with writing_folder(folder) as part:
                mark(part)
                for name in _arrays_in(store):
                    store.get(name, part / name)
                (part / _META).write_bytes(meta)
        except CannotWrite:
            if not (folder / _META).is_file():  # else another process has made it
                raise
        return folder


class RemoteFolder:
    """A copy of a prepared folder whose rows are fetched when they are asked for.

    Parameters
    ----------
    url : str
        Its address.
    whole : bool
        Whether all of it is there, or its arrays alone.

    Attributes
    ----------
    folder : Path
        The copy, which goes with this object.
    """

    def __init__(self, url: str, *, whole: bool = True) -> None:
        with remote_errors(url, InvalidTable, "read"):
            self._store = Store(url)
            until_then = ExitStack()
            self.folder = until_then.enter_context(scratch_folder())
            weakref.finalize(self, until_then.pop_all().close)
            if whole:
                (self.folder / _META).write_bytes(_meta_in(self._store))
            self._sizes = _arrays_in(self._store)
            self._fetched: set[tuple[str, int, int]] = set()
            for name, size in self._sizes.items():
                with (self.folder / name).open("wb") as file:
                    file.write(self._store.read(name, 0, min(size, _HEADER_BYTES)))
                    file.truncate(size)

    def fetch(self, part: str, nouns: set[str] | None = None) -> None:
        """Fetch arrays of a part of the rows, whole: all of them, or those that are named."""
        for name, size in self._sizes.items():
            noun = name.removeprefix(f"{part}_").removesuffix(".npy")
            if name.startswith(f"{part}_") and (nouns is None or noun in nouns):
                self._copy(name, 0, size)

    def fetch_rows(
        self, part: str, lo: int, hi: int, nouns: frozenset[str] = frozenset()
    ) -> None:  # fmt: skip
        """Fetch some rows of a part of them, of all arrays or those that are named."""
        for name in self._sizes:
            noun = name.removeprefix(f"{part}_").removesuffix(".npy")
            if name.startswith(f"{part}_") and (not nouns or noun in nouns):
                array: Any = mapped(self.folder / name)
                if not array.size:
                    continue
                first, row = int(array.offset), int(array.strides[0])
                self._copy(name, first + lo * row, first + hi * row)

    def _copy(self, name: str, start: int, end: int) -> None:
        if start >= end or (name, start, end) in self._fetched:
            return
        with (
            remote_errors(f"{self._store.called}/{name}", InvalidTable, "read"),
            (self.folder / name).open("r+b", buffering=0) as file,
        ):
            for at, block in self._store.blocks(name, start, end):
                left = memoryview(block)
                while left:
                    done = os.pwrite(file.fileno(), left, at + len(block) - len(left))
                    left = left[done:]
        self._fetched.add((name, start, end))


@dataclass(frozen=True)
class RemoteRows(Dataset):
    """Rows of which a part is fetched when it is asked for; nothing else of them may be used.

    Attributes
    ----------
    remote : RemoteFolder or None
        Where they come from.
    of : str
        Which rows of it: "train" or "validation".
    """

    remote: RemoteFolder | None = None
    of: str = ""

    def part(self, lo: int, hi: int) -> Dataset:
        """Return the rows at positions lo to hi."""
        assert self.remote is not None  # noqa: S101
        if self.index is None:
            self.remote.fetch_rows(self.of, lo, hi)
        elif lo < hi:
            self.remote.fetch_rows(self.of, int(self.index[lo]), int(self.index[hi - 1]) + 1)
        return super().part(lo, hi)
