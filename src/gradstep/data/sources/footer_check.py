"""Whether a file that begins and ends with a magic word claims what cannot be."""

from __future__ import annotations

import mmap
import os
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["is_damaged"]


def is_damaged(path: Path, magic: bytes, least: int, is_sound: Callable[[Any], bool]) -> bool:
    """Tell whether a file claims what cannot be; one without its magic is left to Polars.

    Parameters
    ----------
    path : Path
        The file.
    magic : bytes
        What it begins and ends with.
    least : int
        Bytes below which it is none.
    is_sound : callable
        Takes its bytes, and tells, or fails on what no sound file has.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < least or file.read(len(magic)) != magic:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[-len(magic) :] != magic:
                return False
            try:
                return not is_sound(data)
            except (IndexError, KeyError, TypeError, ValueError, struct.error):
                return True
