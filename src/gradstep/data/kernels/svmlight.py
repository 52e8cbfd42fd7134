"""The parser of svmlight's lines: ``label index:value index:value …  # comment``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradstep.jit import compiled, inlined

__all__ = ["parse"]

_SPACE, _TAB, _NEWLINE, _RETURN, _COLON, _HASH = 32, 9, 10, 13, 58, 35
_LARGEST_INDEX = (1 << 31) - 2


@inlined
def _number(data: Any, at: int, tens: Any) -> Any:
    """Return the number that begins at a byte, and where it ends; NaN if there is none.

    To rounding: correctly rounded up to 15 digits and powers of ten up to 22.
    """
    n = data.size
    sign = 1.0
    if at < n and (data[at] == 45 or data[at] == 43):
        sign = -1.0 if data[at] == 45 else 1.0
        at += 1
    mantissa, digits, exponent, seen = 0.0, 0, 0, False
    point = False
    while at < n:
        byte = data[at]
        if 48 <= byte <= 57:
            seen = True
            if digits < 18:
                mantissa = mantissa * 10.0 + (byte - 48)
                digits += 1 if mantissa > 0.0 else 0
                exponent -= 1 if point else 0
            else:
                exponent += 0 if point else 1
        elif byte == 46 and not point:
            point = True
        else:
            break
        at += 1
    if not seen:
        return math.nan, at
    if at < n and (data[at] == 101 or data[at] == 69):
        back = at
        at += 1
        negative = False
        if at < n and (data[at] == 45 or data[at] == 43):
            negative = data[at] == 45
            at += 1
        power, some = 0, False
        while at < n and 48 <= data[at] <= 57:
            power = min(power * 10 + (data[at] - 48), 10_000)
            some = True
            at += 1
        if some:
            exponent += -power if negative else power
        else:
            at = back
    while exponent > 22 and mantissa < 1e300 and mantissa > 0.0:
        mantissa *= tens[22]
        exponent -= 22
    while exponent < -22 and mantissa > 0.0:
        mantissa /= tens[22]
        exponent += 22
    if mantissa > 0.0:
        mantissa = (
            mantissa * tens[min(exponent, 22)] if exponent >= 0 else mantissa / tens[-exponent]
        )
    return sign * mantissa, at


@compiled
def parse(
    data: Any, tens: Any, labels: Any, starts: Any, columns: Any, values: Any, found: Any
) -> None:
    """Parse whole lines.

    `found`: rows, entries, largest index, what is wrong (`_BAD` of the reader), in which line (from
    0), at which byte.
    """
    n = data.size
    at = rows = entries = line = 0
    largest = np.int64(-1)
    while at < n:
        while at < n and (data[at] == _SPACE or data[at] == _TAB or data[at] == _RETURN):
            at += 1
        if at < n and data[at] != _NEWLINE and data[at] != _HASH:
            begin = at
            label, at = _number(data, at, tens)
            ends = at >= n or data[at] == _SPACE or data[at] == _TAB or data[at] == _NEWLINE
            if not (np.isfinite(label) and (ends or data[at] == _RETURN)):
                found[3], found[4], found[5] = 1, line, begin
                return
            labels[rows] = label
            starts[rows] = entries
            before = np.int64(-1)
            while True:
                while at < n and (data[at] == _SPACE or data[at] == _TAB or data[at] == _RETURN):
                    at += 1
                if at >= n or data[at] == _NEWLINE or data[at] == _HASH:
                    break
                begin = at
                if data[at] == 113:  # qid:7 groups rows; not used
                    while at < n and data[at] != _SPACE and data[at] != _NEWLINE:
                        at += 1
                    continue
                index = np.int64(0)
                while at < n and 48 <= data[at] <= 57:
                    index = min(index * 10 + np.int64(data[at] - 48), np.int64(1) << 40)
                    at += 1
                if at == begin:
                    found[3], found[4], found[5] = 3, line, begin
                    return
                if at >= n or data[at] != _COLON:
                    found[3], found[4], found[5] = 2, line, begin
                    return
                if index <= before or index > _LARGEST_INDEX:
                    found[3] = 4 if index <= before else 5
                    found[4], found[5] = line, begin
                    return
                value, at = _number(data, at + 1, tens)
                ends = at >= n or data[at] == _SPACE or data[at] == _TAB or data[at] == _NEWLINE
                if not (np.isfinite(value) and (ends or data[at] == _RETURN or data[at] == _HASH)):
                    found[3], found[4], found[5] = 1, line, begin
                    return
                before = index
                largest = max(largest, index)
                columns[entries] = index
                values[entries] = value
                entries += 1
            rows += 1
        while at < n and data[at] != _NEWLINE:
            at += 1
        at += 1
        line += 1
    starts[rows] = entries
    found[0], found[1], found[2], found[3], found[4] = rows, entries, largest, 0, line
