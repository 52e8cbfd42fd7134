"""Executors: who computes on the rows. Here threads of this process; on a cluster, its workers.

An executor runs a *task*, a pure function of a shard, on groups of shards. It returns the result of
each group in order; the result of several shards is their sum. No bit of it depends on the
executor, and no code of the engine may.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.kernels.pieces import threads
from gradstep.rows.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from gradstep.rows.shards import Bounds, Executor, Task

__all__ = ["Threads", "added", "cut_positions", "executor_of", "on_group"]


def added(one: Any, other: Any) -> Any:
    """Return the sum of two results, which may overwrite the first.

    Arrays and numbers are added, tuples part by part; other records have a method ``merged``.
    """
    if isinstance(one, np.ndarray):
        one += other
        return one
    if hasattr(one, "merged"):
        return one.merged(other)
    if isinstance(one, tuple):
        return tuple(map(added, one, other))
    return one + other


def on_group(task: Task, shards: Iterable[Any], own: Any = None) -> Any:
    """Return the sum of a task's results on some shards.

    A task that is `summed_in_place` adds each shard to the arrays of the first; one that has
    `on_shards` takes them all.
    """
    if hasattr(task, "on_shards"):
        return task.on_shards(shards, own)
    if getattr(task, "summed_in_place", False):
        each = iter(shards)
        return reduce(task.onto, each, task(next(each)))  # type: ignore[attr-defined]
    return reduce(added, (task(shard) if own is None else task(shard, own) for shard in shards))


def cut_positions(
    at: NDArray[np.uint32], bounds: Sequence[Bounds]
) -> list[NDArray[np.uint32]]:  # fmt: skip
    """Cut ascending positions by shards; return them counted from the start of their shard.

    Examples
    --------
    >>> cut_positions(np.array([1, 2, 7]), [(0, 5), (5, 10)])
    [array([1, 2], dtype=uint32), array([2], dtype=uint32)]
    """
    cuts = np.searchsorted(at, [lo for lo, _ in bounds[1:]])
    parts = zip(np.split(at, cuts), bounds, strict=True)
    return [(part - lo).astype(np.uint32, copy=False) for part, (lo, _) in parts]


class Threads:
    """Runs tasks in threads of this process.

    Parameters
    ----------
    data : Dataset
        The rows.
    """

    most_bytes = 1 << 27

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._shards: dict[Bounds, Dataset] = {}
        self._pool: ThreadPoolExecutor | None = None

    @cached_property
    def _views(self) -> Dataset:
        """Views that are no memory maps, which take ten times as long to cut."""
        rows, y, weight = self._data.for_kernels
        weighted = self._data.sample_weight is not None
        own = self._data.index, self._data.shuffled
        return Dataset(rows, y, weight if weighted else None, *own)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _shard(self, bounds: Bounds) -> Dataset:
        if bounds not in self._shards:
            whole = bounds == (0, self._data.n)
            self._shards[bounds] = self._data if whole else self._views.part(*bounds)
        return self._shards[bounds]

    def take(self, at: NDArray[np.uint32]) -> Dataset:
        """Return a copy of the rows at ascending positions."""
        return self._views.permuted(at)

    def run(
        self, task: Task, groups: Sequence[Sequence[Bounds]], own: Sequence[Any] | None = None
    ) -> list[Any]:
        """Run a task on groups of shards; this thread takes its share of them."""
        if len(groups) == 1:  # nothing to share
            shards = [self._shard(bounds) for bounds in groups[0]]
            if len(shards) == 1 and own is None and not hasattr(task, "on_shards"):
                return [task(shards[0])]
            return [on_group(task, shards, None if own is None else own[0])]
        todo, done = deque(enumerate(groups)), [None] * len(groups)

        def take() -> None:
            try:
                while todo:
                    try:
                        at, group = todo.popleft()
                    except IndexError:  # another thread was faster
                        return
                    shards = [self._shard(bounds) for bounds in group]
                    done[at] = on_group(task, shards, None if own is None else own[at])
            finally:
                todo.clear()  # after an error, no thread goes on

        others: list[Future[None]] = []
        try:
            more = min(threads(), len(groups)) - 1
            if more > 0 and self._pool is None:
                self._pool = ThreadPoolExecutor(threads(), "gradstep-sums")
            if self._pool is not None:
                others.extend(self._pool.submit(take) for _ in range(more))
            take()
        finally:
            begun = [other for other in others if not other.cancel()]
            wait_for(begun)
        for other in begun:
            other.result()  # or its error
        return done


def executor_of(data: Dataset) -> Executor:
    """Return the executor of these rows: theirs, or threads."""
    return Threads(data) if data.executor is None else data.executor
