"""Parquet files: whether what they say of themselves can be, before Polars believes it.

As with Arrow (`arrow_check`): Polars allocates what a page claims to hold, and where that is more
than there is, or below zero, the process ends at once. So the footer is read, and what stands
before each page; of the values nothing. Layout: https://parquet.apache.org/docs/file-format, in
Thrift's compact protocol.
"""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from gradstep.data.sources.footer_check import is_damaged

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_damaged_parquet", "row_groups"]

_MAGIC = b"PAR1"
_FOOTER_END = 8  # bytes: the footer's length, and the magic
_MOST_UNPACKED = 1 << 16  # bytes of a packed one: zstd comes to half of that
_PLAIN = 0  # the codec of pages that are not packed
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3  # kinds of pages
_DEEPEST = 16  # structures within structures; the format has eight
# Kinds of values of Thrift.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


def is_damaged_parquet(path: Path, within: tuple[int, int] | None = None) -> bool:
    """Tell whether a Parquet file claims what cannot be; others are left to Polars.

    It reads the footer and the head of each page, in some 50 µs for each column of a row group; of
    the row groups alone that have rows within a range, if one is given.
    """
    return is_damaged(path, _MAGIC, 2 * _FOOTER_END, partial(_is_sound, within))


def row_groups(data: bytes) -> list[tuple[int, int, int, int]]:
    """Return of each row group the first row, the end of its rows, and where in the file it lies.

    Parameters
    ----------
    data : bytes
        The end of a Parquet file, with all of its footer; of what is none, nothing is returned.
    """
    found, first = [], 0
    try:
        for group in _footer(data)[0].get(4, []):
            columns = [column[3] for column in group[1]]
            begins = [min(c[9], c[11]) if c.get(11, 0) > 0 else c[9] for c in columns]
            ends = [begin + c[7] for begin, c in zip(begins, columns, strict=True)]
            found.append((first, first + group[3], min(begins), max(ends)))
            first += group[3]
    except (IndexError, KeyError, TypeError, ValueError):
        return []
    return found


def _footer(data: Any) -> tuple[dict[int, Any], int]:
    """Return what the footer says, and where it begins."""
    end = len(data) - _FOOTER_END
    begin = end - int.from_bytes(data[end : end + 4], "little")
    if begin < 0:
        msg = "a footer that is longer than the file"
        raise ValueError(msg)
    return _struct(data[begin:end], 0)[0], begin


def _is_sound(within: tuple[int, int] | None, data: Any) -> bool:
    """Tell whether all pages lie in the file, and hold no more than their column is said to."""
    footer, begin = _footer(data)
    if begin < len(_MAGIC):
        return False
    groups = footer.get(4, [])
    rows = [group[3] for group in groups]
    if within is not None:
        lo, hi = within
        ends = list(accumulate(rows))
        groups = [
            group for group, end in zip(groups, ends, strict=True)
            if end > lo and end - group[3] < hi
        ]  # fmt: skip
    return (
        all(n >= 0 for n in rows)
        and sum(rows) == footer[3]
        and all(
            _is_sound_column(data, column[3], begin)
            for group in groups
            for column in group[1]
            if 3 in column and 1 not in column  # else it is encrypted, or lies in another file
        )
    )


def _is_sound_column(data: Any, column: dict[int, Any], end: int) -> bool:
    """Tell whether the pages of a column fill its place."""
    values, at, left = column[5], column[9], column[7]
    dictionary = column.get(11, 0)
    if 0 < dictionary < at:
        at = dictionary
    if min(values, left) < 0 or at < len(_MAGIC) or at + left > end:
        return False
    last, found = at + left, 0
    while at < last and found < values:
        page, body = _struct(data, at)
        unpacked, packed = page[2], page[3]
        at = body + packed
        most = packed if column[4] == _PLAIN else packed * _MOST_UNPACKED
        if min(unpacked, packed) < 0 or at > last or unpacked > most:
            return False
        if page[1] == _DATA_V2:
            about = page[8]
            levels = about.get(5, 0), about.get(6, 0)
            if min(levels) < 0 or sum(levels) > min(packed, unpacked) or about[2] < 0:
                return False
            if not 0 <= about[3] <= about[1]:
                return False
        elif page[1] in {_DATA, _DICTIONARY}:
            about = page[5 if page[1] == _DATA else 7]
        else:
            continue  # an index of pages, which nobody reads
        if not 0 <= about[1] <= max(values, unpacked):
            return False
        found += about[1] if page[1] != _DICTIONARY else 0
    return bool(found == values)


# --------------------------------------------------------------------------- Thrift


def _number(data: Any, at: int) -> tuple[int, int]:
    """Return an unsigned number of up to 64 bits, and where it ends."""
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, at
        shift += 7
        if shift > 63:
            msg = "a number that does not end"
            raise ValueError(msg)


def _struct(data: Any, at: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Return the fields of a structure by their numbers, and where it ends."""
    if depth > _DEEPEST:
        msg = "structures within structures"
        raise ValueError(msg)
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _number(data, at)
            number = (number >> 1) ^ -(number & 1)
        kind = head & 15
        if kind <= _FALSE:
            fields[number] = kind == _TRUE
        else:
            fields[number], at = _value(data, at, kind, depth)
    return fields, at + 1


def _value(data: Any, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """Return a value that is not a truth of a structure, and where it ends."""
    if _I16 <= kind <= _I64:
        found = data[at]
        found, at = (found, at + 1) if found < 0x80 else _number(data, at)
        return (found >> 1) ^ -(found & 1), at
    if kind == _BINARY:
        size, at = _number(data, at)
        return _inside(data, at, size)
    if kind == _STRUCT:
        return _struct(data, at, depth + 1)
    if kind in {_LIST, _SET}:
        head = data[at]
        size, at = (head >> 4, at + 1) if head < 0xF0 else _number(data, at + 1)
        _inside(data, at, size)  # each takes a byte at least
        items, of = [], head & 15
        for _ in range(size):
            item, at = (data[at], at + 1) if of <= _BYTE else _value(data, at, of, depth)
            items.append(item)
        return items, at
    if kind in {_BYTE, _DOUBLE}:
        return _inside(data, at, 1 if kind == _BYTE else 8)
    msg = f"a value of kind {kind}"  # maps too: Parquet has none
    raise ValueError(msg)


def _inside(data: Any, at: int, size: int) -> tuple[None, int]:
    """Pass over some bytes, which must be there."""
    if at + size > len(data):
        msg = "a value that is longer than the file"
        raise ValueError(msg)
    return None, at + size
