"""Where gradstep keeps what it can make again: compiled kernels, prepared tables.

Only what is marked as made by gradstep is ever deleted there: the folder may have been somebody's
before, with folders of the same names.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

__all__ = [
    "cache_folder",
    "is_marked",
    "last_used",
    "mark",
    "private_folder",
    "remove_marked",
    "use",
    "why_not_trusted",
    "why_not_writable",
]

_TRUSTED = {0}  # users: the superuser may write anywhere
_MARK = "CACHEDIR.TAG"  # the standard's name and first line: programs that back up skip the folder
_SIGNATURE = b"""Signature: 8a477f597d28d172789f06886806bc55
# Made by gradstep, which can make it again: it may be deleted.
"""


def cache_folder() -> Path:
    """Return the user's cache folder of gradstep (``GRADSTEP_CACHE_DIR`` overrides it).

    It need not exist yet.
    """
    chosen = os.environ.get("GRADSTEP_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_path("gradstep", appauthor=False)


def private_folder(*names: str) -> Path:
    """Return a folder in the cache folder; if it is new, nobody but its owner may enter it."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        folder /= name
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def why_not_writable() -> str:
    """Say why nothing can be kept in the cache folder; empty if it can."""
    try:
        folder = private_folder("kernels")
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(folder, os.W_OK) else os.strerror(errno.EACCES)


def why_not_trusted(found: os.stat_result) -> str:
    """Say why somebody else may have written what would be run; empty if nobody could."""
    if stat.S_ISLNK(found.st_mode):
        return "it is a link"
    if found.st_uid not in {os.geteuid(), *_TRUSTED}:
        return "it belongs to another user"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write to it"
    return ""


def mark(folder: Path) -> None:
    """Mark a folder as made by gradstep."""
    with suppress(FileExistsError), (folder / _MARK).open("xb") as file:
        file.write(_SIGNATURE)


def use(folder: Path) -> None:
    """Note that a folder of gradstep is used now; the time of its mark says so."""
    with suppress(OSError):  # as in a cache that is only read
        os.utime(folder / _MARK)


def last_used(folder: Path) -> float:
    """Return when a folder of gradstep was last used, in seconds; 0 if it is gone."""
    with suppress(OSError):
        return (folder / _MARK).lstat().st_mtime
    return 0.0


def is_marked(folder: Path) -> bool:
    """Tell whether this is a folder, not a link to one, that gradstep has marked."""
    path = folder / _MARK
    with suppress(OSError):
        found = path.lstat()
        if not folder.is_symlink() and stat.S_ISREG(found.st_mode):
            return found.st_size == len(_SIGNATURE) and path.read_bytes() == _SIGNATURE
    return False


def remove_marked(folder: Path) -> None:
    """Remove a folder if gradstep has marked it, as far as that is possible."""
    if is_marked(folder):
        shutil.rmtree(folder, ignore_errors=True)
