"""Arrow files: whether what they say of themselves can be, before Polars believes it.

Polars allocates what a file claims, and where that is more than there is the process ends at once
(SIGABRT), with no error that could be told. So the claims are looked at first: the footer, what
comes before each batch of rows, and how long each buffer is to be once it is unpacked. No values
are read. Layout: https://arrow.apache.org/docs/format/Columnar.html, in Flatbuffers.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

from gradstep.data.sources.footer_check import is_damaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["is_damaged_arrow"]

_MAGIC = b"ARROW1"
_FOOTER_END = 10  # bytes: the footer's length, and the magic
_DICTIONARIES, _BATCHES = 2, 3  # fields of the footer
_MOST_UNPACKED = 1 << 16  # bytes of a packed one: zstd comes to half of that


def is_damaged_arrow(path: Path) -> bool:
    """Tell whether an Arrow file claims what cannot be; one without its magic is left to Polars."""
    return is_damaged(
        path, _MAGIC, 2 * _FOOTER_END,
        lambda data: all(_is_sound(data, *block) for block in _blocks(data)),
    )  # fmt: skip


def _blocks(data: Any) -> Iterator[tuple[int, int, int]]:
    """Yield where each batch begins, how long its description is, and how long its rows are."""
    (length,) = _unpack("<i", data, len(data) - _FOOTER_END)
    footer = _table(data, len(data) - _FOOTER_END - length)
    for field in (_DICTIONARIES, _BATCHES):
        for at in _vector(data, footer, field, 24):
            begin, about, _, body = _unpack("<qiiq", data, at)
            yield begin, about, body


def _is_sound(data: Any, begin: int, about: int, body: int) -> bool:
    """Tell whether a batch lies in the file, and its buffers in the batch."""
    if min(begin, about, body) < 0 or begin + about + body > len(data):
        return False
    marked = _unpack("<i", data, begin)[0] == -1  # absent before version 0.15
    message = _table(data, begin + (8 if marked else 4))
    batch = _child(data, message, 2)
    if batch and _unpack("<b", data, _place(data, message, 1))[0] == 2:  # a dictionary
        batch = _child(data, batch, 1)
    if not batch:
        return False
    place = _place(data, batch, 0)
    (rows,) = _unpack("<q", data, place) if place else (0,)
    nodes = [_unpack("<qq", data, at) for at in _vector(data, batch, 1, 16)]
    buffers = [_unpack("<qq", data, at) for at in _vector(data, batch, 2, 16)]
    counts = [_unpack("<q", data, at)[0] for at in _vector(data, batch, 4, 8)]
    return (
        rows >= 0
        and all(-1 <= missing <= length for length, missing in nodes)
        and all(min(at, n) >= 0 and at + n <= body for at, n in buffers)
        and all(0 <= count <= len(buffers) for count in counts)
        and (not _place(data, batch, 3) or _can_be_unpacked(data, begin + about, buffers))
    )


def _can_be_unpacked(data: Any, body: int, buffers: list[tuple[int, ...]]) -> bool:
    """Tell whether packed buffers claim lengths that they can have, and for which there is room."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    claims = [(n, _unpack("<q", data, body + at)[0]) for at, n in buffers if n >= 8]
    return all(-1 <= claim <= min(memory, n * _MOST_UNPACKED) for n, claim in claims)  # -1: as is


# --------------------------------------------------------------------------- Flatbuffers


def _unpack(form: str, data: Any, at: int) -> tuple[int, ...]:
    if at < 0:
        msg = "a place before the file"
        raise ValueError(msg)
    return struct.unpack_from(form, data, at)


def _table(data: Any, at: int) -> int:
    """Return where the table is that an offset leads to."""
    return at + _unpack("<I", data, at)[0]


def _place(data: Any, table: int, field: int) -> int:
    """Return where a field of a table is; 0 if it has none."""
    known = table - _unpack("<i", data, table)[0]
    (length,) = _unpack("<H", data, known)
    entry = 4 + 2 * field
    offset = _unpack("<H", data, known + entry)[0] if entry + 2 <= length else 0
    return table + offset if offset else 0


def _child(data: Any, table: int, field: int) -> int:
    place = _place(data, table, field)
    return _table(data, place) if place else 0


def _vector(data: Any, table: int, field: int, size: int) -> range:
    """Return where the elements of a vector are."""
    place = _place(data, table, field)
    if not place:
        return range(0)
    begin = _table(data, place)
    (n,) = _unpack("<I", data, begin)
    if begin + 4 + n * size > len(data):
        msg = "a vector that is longer than the file"
        raise ValueError(msg)
    return range(begin + 4, begin + 4 + n * size, size)
