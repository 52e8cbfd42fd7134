"""NDJSON files: where in them something is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gradstep.data.sources.bad_value import BadValue

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["bad_json", "line_of_json"]


def bad_json(path: Path, types: Collection[str], name: str) -> str | BadValue | None:
    """Say where a file of JSON lines is wrong: a line that is no object, a value that is no number.

    Parameters
    ----------
    path : Path
        The file.
    types : collection of str
        The columns that hold numbers; may be empty.
    name : str
        What the message calls the file.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                return f"{name}, line {number}: it is no JSON object ({error})."
            if not isinstance(row, dict):
                return f"{name}, line {number}: it is no JSON object."
            for column in types:
                value = row.get(column)
                if value is not None and not isinstance(value, (int, float)):
                    return BadValue(f"{name}, line {number}", column, str(value), "number")
    return None


def line_of_json(path: Path, column: str, value: str) -> int | None:
    """Return the first line whose object has this value in a column."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip() and str(json.loads(line).get(column)) == value:
                return number
    return None
