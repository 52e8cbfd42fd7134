"""What a worker does: open the prepared table, run a task on some shards of it.

A worker keeps what it has opened, and nothing else: any worker takes any shard at any time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from gradstep.data.preparing.prepared import open_part
from gradstep.engine.executor import on_group
from gradstep.errors import MixedMachines
from gradstep.machines.identity import identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.rows.dataset import Dataset
    from gradstep.rows.shards import Bounds, Task

__all__ = ["Place", "run_on_worker"]

_OPEN = 8  # parts of tables that a worker keeps open


class Place(NamedTuple):
    """Where rows lie: any worker finds them.

    Attributes
    ----------
    folder : str
        Of a prepared table, on storage that all workers share.
    digest : str
        SHA-256 of what the folder says of itself; of another table, it is another.
    part : str
        "train" or "validation".
    """

    folder: str
    digest: str
    part: str


@lru_cache(maxsize=_OPEN)
def _opened(place: Place) -> Dataset:
    return open_part(place.folder, place.part, place.digest)


@lru_cache(maxsize=1024)
def _shard(place: Place, bounds: Bounds) -> Dataset:
    return _opened(place).part(*bounds)


def run_on_worker(
    place: Place,
    task: Task,
    groups: Sequence[Sequence[Bounds]],
    own: Sequence[Any],
    driver: dict[str, str] | None,
) -> list[Any]:
    """Run a task on groups of shards; see `gradstep.rows.shards.Executor.run`.

    Parameters
    ----------
    driver : dict or None
        What the driver computes with, if this machine must compute with the same.
    """
    if driver is not None and driver != identity():
        raise MixedMachines.between(driver, identity())
    return [
        on_group(task, [_shard(place, bounds) for bounds in group], argument)
        for group, argument in zip(groups, own, strict=True)
    ]
