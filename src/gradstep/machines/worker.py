"""What a worker does: open the prepared table, run a task on some shards of it.

A worker keeps what it has opened, and nothing else: any worker takes any shard at any time. (Of a
Dask Array, Dask keeps the blocks, and makes those of a lost worker again.) Pages
of a shard that has been read are let go of: the system would keep them until it needs the memory,
but Dask counts them, and pauses a worker that has too many.
"""

from __future__ import annotations

import mmap
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.data.preparing.prepared import open_part
from gradstep.engine.executor import on_group
from gradstep.errors import MixedMachines
from gradstep.machines.identity import identity
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gradstep.rows.shards import Bounds, Task

__all__ = ["NOWHERE", "Block", "Place", "let_go", "run_on_worker"]

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


class Block(NamedTuple):
    """A shard that a worker keeps in memory.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_features), C order
    y : ndarray of shape (n_rows, n_targets)
    sample_weight : ndarray of shape (n_rows,) or None
    """

    values: NDArray[Any]
    y: NDArray[np.float64]
    sample_weight: NDArray[np.float64] | None

    def open(self) -> Dataset:
        """Return the rows."""
        return Dataset(DenseRows(self.values), self.y, self.sample_weight)


@lru_cache(maxsize=_OPEN)
def _opened(place: Place) -> Dataset:
    return place.open()


@lru_cache(maxsize=1024)
def _shard(place: Place, bounds: Bounds) -> Dataset:
    return _opened(place).part(*bounds)


def run_on_worker(
    place: Place,
    task: Task,
    groups: Sequence[Sequence[Bounds | Block]],
    own: Sequence[Any],
    driver: dict[str, str] | None,
) -> list[Any]:
    """Run a task on groups of shards; see `gradstep.rows.shards.Executor.run`.

    Parameters
    ----------
    place : Place
        `NOWHERE` if the shards are blocks, or the task finds its rows by itself: it is given None.
    driver : dict or None
        What the driver computes with, if this machine must compute with the same.
    """
    if driver is not None and driver != identity():
        raise MixedMachines.between(driver, identity())
    return [
        on_group(task, _shards(place, group), argument)
        for group, argument in zip(groups, own, strict=True)
    ]


def _shards(place: Place, group: Sequence[Bounds | Block]) -> Iterator[Dataset | None]:
    for at in group:
        if isinstance(at, Block):
            yield at.open()
        elif place == NOWHERE:
            yield None
        else:
            shard = _shard(place, at)
            yield shard
            let_go(shard)


def let_go(data: Dataset) -> None:
    """Let go of the pages of mapped arrays; the system may keep them for who reads them next."""
    rows: Any = data.rows
    for array in (*rows, data.y, data.sample_weight):
        while isinstance(array, np.ndarray):
            array = array.base  # noqa: PLW2901
        if isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            array.madvise(mmap.MADV_DONTNEED)
