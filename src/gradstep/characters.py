r"""Characters that act on what shows them: a terminal, a page, a reader's eye.

Names of columns, levels, classes and files come from strangers, and so do model files. A control
character among them could hide a line, rename a window or turn text around, so where people read,
each is written as Python writes it (``\x1b``).
"""

from __future__ import annotations

import re

__all__ = ["ACTS", "acting", "escaped"]

# Controls (C0, DEL, C1), what separates lines, what turns the direction of text, and halves of a
# pair, which stand for bytes of a file's name that are no text.
ACTS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
acting = re.compile(f"[{ACTS}]")
# An error of ours may have lines of details, which are indented: nothing poses as another message.
_ACTING_IN_LINES = re.compile(f"(?!\n  )[{ACTS}]")


def escaped(text: str, *, lines: bool = False) -> str:
    r"""Return a text with all that would act on what shows it written out.

    Parameters
    ----------
    text : str
        The text.
    lines : bool
        Whether it may have further lines, which begin with two spaces.

    Examples
    --------
    >>> print(escaped("fare\x1b[2K\n"))
    fare\x1b[2K\n
    """
    found = _ACTING_IN_LINES if lines else acting
    return found.sub(lambda at: ascii(at[0])[1:-1], text)
