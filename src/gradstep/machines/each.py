"""Calls a task on each piece of a table, on the workers of a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.machines.dask_executor import DaskExecutor
from gradstep.machines.worker import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradstep.rows.shards import Task

__all__ = ["run_each"]


def run_each(
    client: Any,
    task: Task,
    pieces: Sequence[Any],
    *,
    allow_mixed: bool = False,
    watch: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """Run a task on each piece of a table, on the workers of a cluster.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    task : callable
        From no rows (None) and a piece to its result: pure, or harmless if it is run again.
    pieces : sequence
        As `gradstep.data.sources.pieces.pieces_of` returns them, or what else tells tasks apart.
    allow_mixed, watch
        As of `DaskExecutor`.

    Returns
    -------
    list
        The results, in the order of the pieces.
    """
    if not pieces:
        return []
    executor = DaskExecutor(
        client, NOWHERE, [], allow_mixed=allow_mixed, watch=watch, apart=True
    )  # fmt: skip
    return executor.run(task, [[(0, 0)]] * len(pieces), pieces)
