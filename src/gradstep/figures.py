"""Figures, as numbers in text (no pictures): how numbers are shown to people, everywhere alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["aligned", "count", "number", "p_value"]

_MOST_WRITTEN_OUT = 15  # digits before the point
_MOST_ZEROS = 4  # after the point, before the first digit


def number(value: float, digits: int = 4) -> str:
    """Return a number with so many significant digits, those before the point all.

    Examples
    --------
    >>> [number(value) for value in (1349.0, 11254.7, 0.125, 19.30049, -0.00001234)]
    ['1,349', '11,255', '0.125', '19.3', '-1.234e-05']
    >>> number(45.34512, 5), number(float("nan"))
    ('45.345', '–')
    """
    if not math.isfinite(value):
        return "–"
    if value == int(value) and abs(value) < 10.0**_MOST_WRITTEN_OUT:
        return f"{int(value):,}"
    size = int(f"{value:.{digits - 1}e}".partition("e")[2])
    if not -_MOST_ZEROS <= size < _MOST_WRITTEN_OUT:
        return f"{value:.{digits}g}"
    text = f"{value:,.{max(0, digits - 1 - size)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(n: int, one: str, more: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "row", "rows"), count(2500, "row", "rows")
    ('1 row', '2,500 rows')
    """
    return f"{n:,} {one if n == 1 else more}"


def p_value(p: float) -> str:
    """Return a p-value with as many digits as matter.

    Examples
    --------
    >>> p_value(0.04321), p_value(1e-20), p_value(float("nan"))
    ('0.0432', '< 1e-16', '–')
    """
    return "< 1e-16" if p < 1e-16 else number(p, 3)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as a table of text: names to the left, numbers to the right.

    Examples
    --------
    >>> print(aligned([["feature", "p"], ["km", "0.5"]]))
    feature    p
    km       0.5
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
