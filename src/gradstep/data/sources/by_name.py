"""Several files as one table: their columns are matched by name, and differences are reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.diagnostics.of_tables import LACKING_COLUMN, OTHER_ORDER
from gradstep.errors import InvalidTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["columns_of_all"]

_SHOWN = 20


def columns_of_all(
    names: Sequence[str], types: Sequence[Mapping[str, str]]
) -> tuple[list[str], list[Note]]:
    """Return the columns of files that are one table, and what a person should know.

    One file has them all, the first of those; others may lack some, and order them otherwise.

    Parameters
    ----------
    names : sequence of str
        What the files are called.
    types : sequence of mapping
        For each, column to type; "null" agrees with all.

    Raises
    ------
    InvalidTable
        If a file has a column that the widest lacks, or of another type; with a table of these.

    Examples
    --------
    >>> columns_of_all(["a.csv", "b.csv"], [{"x": "number", "y": "number"}, {"y": "number"}])
    (['x', 'y'], ["GS011: 1 of 2 files lacks the column 'x' (b.csv): it is missing in those rows."])
    """
    whole = max(range(len(types)), key=lambda i: len(types[i]))
    expected = dict(types[whole])
    lacking: dict[str, list[str]] = {}
    reordered: list[str] = []
    for name, found in zip(names, types, strict=True):
        different = [
            column for column, kind in found.items()
            if expected.get(column) != kind
            and not (column in expected and "null" in {expected[column], kind})
        ]  # fmt: skip
        if different:
            _refuse(names[whole], expected, name, found, different)
        # what is missing in all of one file has the type that it has in another
        expected |= {c: k for c, k in found.items() if expected[c] == "null"}
        for column in expected:
            if column not in found:
                lacking.setdefault(column, []).append(name)
        if list(found) != [column for column in expected if column in found]:
            reordered.append(name)
    n = len(names)
    notes = [
        LACKING_COLUMN.note(
            f"{len(files):,} of {n:,} files {'lacks' if len(files) == 1 else 'lack'} the column "
            f"{column!r} ({_some(files)}): it is missing in those rows."
        )
        for column, files in lacking.items()
    ]
    if reordered:
        notes.append(
            OTHER_ORDER.note(
                f"The columns stand in another order in {len(reordered):,} of {n:,} files "
                f"({_some(reordered)}): they go by their names."
            )
        )
    return list(expected), notes


def _some(files: Sequence[str]) -> str:
    return ", ".join(files[:3]) + (", …" if len(files) > 3 else "")


def _refuse(
    whole: str, expected: Mapping[str, str], name: str, found: Mapping[str, str],
    different: Sequence[str],
) -> None:  # fmt: skip
    lacking = [column for column in expected if column not in found]
    lines = [
        f"  {column}: {found.get(column, 'missing')}, expected "
        f"{expected.get(column, 'no such column')}"
        for column in [*lacking, *different][:_SHOWN]
    ]
    msg = f"{name} does not have the columns of {whole}:\n" + "\n".join(lines)
    raise InvalidTable(msg)
