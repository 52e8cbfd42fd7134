"""Where a CSV file is not a table: a compiled look at every byte before it is parsed.

A reader that meets a short row may fill it with missing values, silently. This scan counts the
fields of each record (quotes, and line ends within them, understood) at about a gigabyte a
second, and gives the line of the first record that differs from the header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.jit import compiled

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ENDLESS", "UNCLOSED", "BadRecord", "first_bad_record"]

UNCLOSED, ENDLESS = -1, -2
_QUOTE, _NEWLINE, _RETURN = 34, 10, 13


class BadRecord(NamedTuple):
    """A record with another number of fields than expected.

    Attributes
    ----------
    line : int
        The line of the file where it begins, from 1.
    fields : int
        Its fields; 0 for an empty line; `UNCLOSED` if the file ends inside quotes, `ENDLESS` if
        it goes on and on.
    """

    line: int
    fields: int


@compiled
def _scan(data: Any, separator: int, expected: int, state: Any) -> bool:
    """Go on over `data`; return True at a bad record, which `state` then describes.

    `state`: fields of this record so far, whether inside quotes, line, line of this record's
    start, whether the record has any byte, its length so far.
    """
    start = -state[5]
    fields, quoted, line, begin, filled = state[0], state[1], state[2], state[3], state[4]
    found = False
    for i in range(data.size):
        byte = data[i]
        if byte == _QUOTE:
            quoted = 1 - quoted
            filled = 1
        elif byte == _NEWLINE:
            line += 1
            if quoted == 0:
                if filled == 0:
                    fields = 0
                if fields != expected and not (filled == 0 and expected == 1):
                    found = True
                    break
                fields, filled, begin, start = 1, 0, line, i + 1
        elif quoted == 0:
            if byte == separator:
                fields += 1
                filled = 1
            elif byte != _RETURN:
                filled = 1
    state[0], state[1], state[2], state[3], state[4] = fields, quoted, line, begin, filled
    state[5] = data.size - start
    return found


def first_bad_record(
    blocks: Iterable[bytes], separator: str, expected: int, *, longest: int = 1 << 62
) -> BadRecord | None:
    r"""Return the first record without the expected number of fields; None if all have it.

    Parameters
    ----------
    blocks : iterable of bytes
        The file, header included.
    separator : str
        One character.
    expected : int
        Number of fields.
    longest : int
        Bytes after which a record is not read to its end, about.

    Examples
    --------
    >>> first_bad_record([b"a,b\n1,2\n", b'"x\ny",4\n5\n'], ",", 2)
    BadRecord(line=5, fields=1)
    """
    state = np.array([1, 0, 1, 1, 0, 0], np.int64)
    for block in blocks:
        if _scan(np.frombuffer(block, np.uint8), ord(separator), expected, state):
            return BadRecord(int(state[3]), int(state[0]))
        if state[5] > longest:
            return BadRecord(int(state[3]), ENDLESS)
    fields, quoted, _, begin, filled, _ = state.tolist()
    if quoted:
        return BadRecord(begin, UNCLOSED)
    if filled and fields != expected:
        return BadRecord(begin, fields)
    return None
