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

__all__ = ["NOWHERE", "Place", "run_on_worker"]

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

    def open(self) -> Dataset:
        """Open the rows."""
        return open_part(self.folder, self.part, self.digest)


NOWHERE = Place("", "", "")


@lru_cache(maxsize=_OPEN)
def _opened(place: Place) -> Dataset:
    return place.open()


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
    place : Place
        `NOWHERE` if the task finds its rows by itself: it is given None.
    driver : dict or None
        What the driver computes with, if this machine must compute with the same.
    """
    if driver is not None and driver != identity():
        raise MixedMachines.between(driver, identity())
    found = []
    for group, argument in zip(groups, own, strict=True):
        shards: list[Any] = [None] if place == NOWHERE else [_shard(place, at) for at in group]
        found.append(on_group(task, shards, argument))
    return found
