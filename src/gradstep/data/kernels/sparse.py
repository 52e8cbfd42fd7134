"""Where the entries of sparse rows are put."""

from __future__ import annotations

from typing import Any

from gradstep.jit import compiled

__all__ = ["put_entries"]


@compiled
def put_entries(rows: Any, places: Any, starts: Any, columns: Any, values: Any) -> None:
    """Write the entries of rows to where each row starts; a row whose place is -1 is left out."""
    for i in range(places.size):
        if places[i] >= 0:
            to = starts[places[i]]
            for at in range(rows.starts[i], rows.starts[i + 1]):
                columns[to] = rows.columns[at]
                values[to] = rows.values[at]
                to += 1
