"""Files and folders that are complete, or not there."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from gradstep.errors import CannotWrite

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["sync", "writing"]

_REMOVALS, _BETWEEN = 50, 0.01  # seconds


@contextmanager
def writing(path: Path, *, folder: bool = False, advice: str = "") -> Iterator[Path]:
    """Give a place to write to, which gets its name once all is on the disk, or disappears.

    Parameters
    ----------
    path : Path
        The name; a file of that name is replaced, at once or not at all.
    folder : bool
        Whether it is a folder, which is there already, instead of a file.
    advice : str
        What to do if it cannot be written.

    Raises
    ------
    CannotWrite
        If it cannot be written; what was there is unchanged.
    """
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(mkdtemp(".part", f".{path.name}.", path.parent))
        if folder:
            part.chmod(0o755)
        inner = part if folder else part / path.name
        yield inner
        sync(inner)
        inner.replace(path)
        sync(path.parent)
    except OSError as error:
        if isinstance(error, CannotWrite):
            raise
        msg = f"{path} cannot be written: {error.strerror or error}.{advice}"
        raise CannotWrite(msg) from error
    finally:
        if part is not None:
            _remove(part)


def _remove(part: Path) -> None:
    """Remove what is left; again, where a thread that was stopped has yet created a file in it."""
    for _ in range(_REMOVALS):
        shutil.rmtree(part, ignore_errors=True)
        if not part.exists():
            return
        time.sleep(_BETWEEN)


def sync(path: Path) -> None:
    """Wait until a file, or what a folder lists, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
