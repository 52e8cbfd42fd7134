"""A prepared table in the place of a table: options of preparing would change nothing then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.cli import options as opt
from gradstep.errors import InvalidParameter

if TYPE_CHECKING:
    import typer

    from gradstep.data.preparing.prepared import PreparedTable

__all__ = ["OF_PREPARING", "prepared_table"]

# Parameters of the verbs that prepare a table, or take one that is prepared.
OF_PREPARING = (
    "task", "sample_weight", "class_weight", "offset", "exposure", "validation", "time_column",
    "drop", "only", "kinds", "max_levels", "decimal", "thousands", "na", "encoding", "missing",
    "missing_target", "random_state", "memory", "cache", "no_cache", "spline", "cross", "poly",
    "log", "formula",
)  # fmt: skip


def prepared_table(ctx: typer.Context, table: str) -> PreparedTable | None:
    """Return the prepared table in a folder; None if it is none.

    Raises
    ------
    InvalidParameter
        If options were typed that say how to prepare it.
    """
    from gradstep.data.preparing.place import prepared_in

    prepared = prepared_in(table)
    if prepared is table:
        return None
    idle = opt.given(ctx, OF_PREPARING)
    if idle:
        msg = f"{table} is prepared: {', '.join(idle)} would change nothing. Prepare it anew."
        raise InvalidParameter(msg)
    found: PreparedTable = prepared
    return found
