"""Prepared tables in a cache: those in use are held, the least recently used make room.

A table that is open has a lock on its folder, which the system lets go when the process ends,
however it does. One that makes room first gets a name of a part that is being written, so that
it is whole or not there, and what a killed run leaves of it goes with the next one. Rows that are
mapped stay readable until then, deleted or not.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gradstep.cache_folder import is_marked, last_used, use
from gradstep.checks import read_bytes
from gradstep.data.preparing.prepared import open_prepared
from gradstep.diagnostics.of_machines import CACHE_MADE_ROOM
from gradstep.files import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.diagnostics.diagnostic import Note

__all__ = ["LIMIT", "bytes_of", "cache_limit", "make_room", "open_kept", "tables_in"]

LIMIT = "GRADSTEP_CACHE_LIMIT"
_DEFAULT_LIMIT, _SHARE_OF_DISK = 20_000_000_000, 0.25
_NAME = re.compile(r"[0-9a-f]{24}")


def cache_limit(cache: Path) -> int:
    """Return the bytes that prepared tables in a cache may take together.

    Raises
    ------
    InvalidParameter
        If the environment names one that is no size.
    """
    chosen = os.environ.get(LIMIT)
    if chosen:
        return read_bytes(chosen, LIMIT)
    there = next(
        (folder for folder in (cache, *cache.absolute().parents) if folder.exists()), cache
    )
    with suppress(OSError):
        return min(_DEFAULT_LIMIT, int(_SHARE_OF_DISK * shutil.disk_usage(there).total))
    return _DEFAULT_LIMIT


def tables_in(cache: Path) -> list[Path]:
    """Return the tables that gradstep keeps in a folder, the least recently used first."""
    try:
        found = [path for path in cache.iterdir() if _NAME.fullmatch(path.name) and is_marked(path)]
    except OSError:
        return []
    return sorted(found, key=lambda path: (last_used(path), path.name))


def bytes_of(folder: Path) -> int:
    """Return the size of the files in a folder, which another process may be deleting."""
    size = 0
    for place, _, names in os.walk(folder):  # what disappears meanwhile is passed over
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118
    return size


def open_kept(folder: Path) -> PreparedTable:
    """Open a table of a cache, which is not deleted as long as its rows are in use.

    Raises
    ------
    InvalidTable
        If it is damaged, or just being deleted.
    """
    handle = -1
    with suppress(OSError):  # gone, which `open_prepared` tells; or a disk without locks
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    try:
        prepared = open_prepared(folder)
    except BaseException:
        if handle >= 0:
            os.close(handle)
        raise
    if handle >= 0:
        weakref.finalize(prepared.train, os.close, handle)
    use(folder)
    return prepared


def make_room(cache: Path, coming: int, limit: int) -> list[Note]:
    """Delete the least recently used tables that nobody uses until another one has room.

    Parameters
    ----------
    cache : Path
        The folder with the tables.
    coming : int
        Bytes of the one to come, for which all others may go.
    limit : int
        Bytes of all.

    Returns
    -------
    list of Note
        What a person should know; none if nothing was deleted.
    """
    sizes = {path: bytes_of(path) for path in tables_in(cache)}
    left, gone, freed = sum(sizes.values()), 0, 0
    for path, size in sizes.items():
        if left - freed + coming <= limit:
            break
        with suppress(OSError), _nobody_using(path), temporary_folder(cache) as part:
            path.rename(part / path.name)
            gone, freed = gone + 1, freed + size
    if not gone:
        return []
    tables = "1 prepared table" if gone == 1 else f"{gone:,} prepared tables"
    return [
        CACHE_MADE_ROOM.note(
            f"{tables} ({freed / 1e6:,.1f} MB), least recently used, made room in {cache}, which "
            f"is kept to {limit / 1e6:,.1f} MB ({LIMIT})."
        )
    ]


@contextmanager
def _nobody_using(folder: Path) -> Iterator[None]:
    """Hold a folder of this user that nobody else holds.

    Raises
    ------
    OSError
        If there is none.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(handle).st_uid != os.geteuid():
            raise PermissionError
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
