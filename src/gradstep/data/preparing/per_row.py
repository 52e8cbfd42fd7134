"""Numbers of every row, of which there may be more than memory holds.

Few lie in memory, many in a file without a name, which goes with them. They are mapped, so the
system takes their memory back whenever it needs it.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from gradstep.cache_folder import cache_folder, private_folder
from gradstep.errors import CannotWrite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

__all__ = ["Gathered", "per_row"]

_IN_MEMORY = 1 << 26  # bytes


class Gathered:
    """Numbers that come in pieces.

    Parameters
    ----------
    dtype : dtype
        Their type.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._pieces: list[NDArray[Any]] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the file, if there is one; what `all` returned stays."""
        if self._file is not None:
            self._file.close()

    def add(self, piece: NDArray[Any]) -> None:
        """Take the next ones."""
        self._pieces.append(np.asarray(piece, self._dtype))
        self._bytes += self._pieces[-1].nbytes
        if self._bytes > _IN_MEMORY:
            self._write()

    def all(self) -> NDArray[Any]:
        """Return all of them."""
        if self._file is None:
            return np.concatenate([np.empty(0, self._dtype), *self._pieces])
        self._write()
        return _mapped(self._file.fileno(), self._dtype)

    def _write(self) -> None:
        with _failing_clearly():
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=private_folder("scratch"))  # noqa: SIM115
            for piece in self._pieces:
                self._file.write(np.ascontiguousarray(piece).data)
            self._file.flush()
        self._pieces.clear()


def per_row(n: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return an array for a number of each of n rows, to be filled."""
    kind = np.dtype(dtype)
    size = n * kind.itemsize
    if size <= _IN_MEMORY:
        return np.empty(n, kind)
    with _failing_clearly(), tempfile.TemporaryFile(dir=private_folder("scratch")) as file:
        os.posix_fallocate(file.fileno(), 0, size)  # a full disk must be an error now
        return _mapped(file.fileno(), kind)


def _mapped(handle: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(mmap.mmap(handle, 0), dtype)  # which keeps the file


@contextmanager
def _failing_clearly() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = (
            f"{cache_folder() / 'scratch'} cannot be written: {error.strerror or error}. Numbers "
            "of all rows are kept there. Free some space, or choose another (GRADSTEP_CACHE_DIR)."
        )
        raise CannotWrite(msg) from error
