"""A file that a table is read from: as it was when it was opened, and what tells it from others.

A prepared table is used again only for the same content. A file of up to 64 MB is read for that (in
some 50 ms), and is known by its digest alone: touched, copied back or restored, it is the same.
Of a larger one the head, the tail and blocks between are read, 1 MB, which may miss a change. So
its times count as well. Programs set the time of modification as they like (``cp -p``, rsync);
that of the last change of status is the system's alone. A copy or a ``chmod`` renews it, too: then
the table is prepared once more, which costs time, where the old rows would cost the result.

The inode says no more: a file that replaces another brings a time of its own. And over a network it
may be another number after each mount, so that nothing would be used again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradstep.data.sources.text_files import path_of
from gradstep.errors import InvalidTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["SourceFile", "fingerprint"]

# Of a whole table, and shared out among its files.
_WHOLE_BYTES = 1 << 26
_BLOCKS, _LEAST_BLOCKS, _BLOCK_BYTES = 64, 3, 1 << 14


@dataclass
class SourceFile:
    """A file as it was when it was opened."""

    path: Path
    size: int
    changed: tuple[int, int]
    _digest: str = field(default="", init=False)

    @classmethod
    def of(cls, path: Path) -> SourceFile:
        """Check a file that is to be read.

        Raises
        ------
        InvalidTable
            If there is none, or it may not be read.
        """
        path_of(path)
        try:
            found = path.stat()
        except FileNotFoundError:
            msg = f"{path} does not exist."
            raise InvalidTable(msg) from None
        except OSError as error:
            msg = f"{path} cannot be read: {error.strerror}."
            raise InvalidTable(msg) from None
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            msg = (
                f"{path} is a pipe or a device, and a table is read more than once. Write it to a "
                "file first, and name that."
            )
            raise InvalidTable(msg)
        effective = os.access in os.supports_effective_ids  # whose rights `open` has
        if not os.access(path, os.R_OK, effective_ids=effective):
            msg = f"{path} cannot be read: {os.strerror(errno.EACCES)}."
            raise InvalidTable(msg)
        return cls(path, found.st_size, (found.st_mtime_ns, found.st_ctime_ns))

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.path)

    def check(self) -> None:
        """Refuse to go on with a file that is no longer what it was."""
        try:
            now = self.path.stat()
        except OSError:
            msg = f"{self.path} disappeared while it was being read. Start again once it is back."
            raise InvalidTable(msg) from None
        if (now.st_size, (now.st_mtime_ns, now.st_ctime_ns)) != (self.size, self.changed):
            msg = (
                f"{self.path} changed while it was being read: it had {self.size:,} bytes, and "
                f"now has {now.st_size:,}. Start again once nothing writes to it."
            )
            raise InvalidTable(msg)

    def digest(self, blocks: int | None) -> str:
        """Return the SHA-256 of the file, or of so many blocks of it; it is computed once."""
        if not self._digest and self.size:
            try:
                with self.path.open("rb") as file:
                    if blocks is None:
                        found = hashlib.file_digest(file, "sha256")
                    else:
                        found = hashlib.sha256()
                        for k in range(blocks):
                            at = k * (self.size - _BLOCK_BYTES) // (blocks - 1)
                            found.update(os.pread(file.fileno(), _BLOCK_BYTES, at))
            except OSError as error:
                msg = f"{self.path} cannot be read: {error.strerror}."
                raise InvalidTable(msg) from error
            self._digest = found.hexdigest()
        return self._digest


def fingerprint(files: Sequence[SourceFile]) -> list[dict[str, Any]]:
    """Return what tells this version of a table's files from another."""
    n = max(1, len(files))
    blocks = max(_LEAST_BLOCKS, _BLOCKS // n)
    whole = max(_WHOLE_BYTES // n, blocks * _BLOCK_BYTES)
    entries = []
    for file in files:
        entry: dict[str, Any] = {"path": str(file.path.resolve()), "size": file.size}
        if file.size > whole:
            entry["changed"] = list(file.changed)
        entries.append(entry | {"sha256": file.digest(blocks if file.size > whole else None)})
    return entries
