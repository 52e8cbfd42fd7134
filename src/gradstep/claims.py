"""Locks between processes: a file that takes long to make is made by one, and others wait for it.

A claim is a lock of the operating system on a file beside the one that is made, so it ends with the
process that holds it, however that ends. Whoever holds one waits for no other: nobody can wait in a
circle. Where locks cannot be had, everyone makes the file.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Claims"]

_PAUSE = 0.02  # seconds between two looks at what another process holds
_PATIENCE = 60.0  # seconds that one waits for a process, which may have been stopped


class Claims:
    """What this process is making."""

    def __init__(self) -> None:
        self._held: dict[Path, int] = {}

    def take(self, path: Path) -> None:
        """Claim a file, once no other process has it any more, which may have made it by then."""
        lock = path.with_suffix(".claim")
        try:
            number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(_PAUSE)
                    continue
            except OSError:  # a file system without locks
                pass
            else:
                self._held[path] = number
                return
            os.close(number)
            return

    def give_back(self, path: Path) -> None:
        """End a claim, the file being there or not."""
        number = self._held.pop(path, None)
        if number is not None:
            with suppress(OSError):
                path.with_suffix(".claim").unlink()
            os.close(number)

    def give_back_all(self) -> None:
        """End all claims: what was being made has failed."""
        for path in list(self._held):
            self.give_back(path)
