"""Arrays in files of NumPy's, mapped into memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["mapped"]

# A header is a literal, and CPython 3.11 counts how deep literals are nested for all threads
# together: two that parse at once may end in a SystemError (python/cpython#106905).
_HEADERS = threading.Lock()


def mapped(path: str | Path, *, copied: bool = False) -> Any:
    """Return the array in a file, read-only; or a copy of it, as an empty one cannot be mapped.

    Raises
    ------
    OSError, ValueError, EOFError
        If it cannot be read, or is no such file. Objects are refused.
    """
    with _HEADERS:
        return np.load(path, mmap_mode=None if copied else "r", allow_pickle=False)
