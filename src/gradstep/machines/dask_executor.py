"""An executor on a Dask cluster: pure tasks, several shards each, again where a worker was lost."""

from __future__ import annotations

import math
import pickle
import time
import uuid
from asyncio import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from distributed import KilledWorker, wait

from gradstep.engine.executor import cut_positions
from gradstep.engine.kernels.identity import identity
from gradstep.engine.row_tasks import Take
from gradstep.errors import ClusterLost
from gradstep.machines.worker import run_on_worker
from gradstep.rows.dataset import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.machines.worker import Place
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.shards import Bounds, Task

__all__ = ["DaskExecutor"]

_TASKS_A_THREAD = 2  # one is ready while one runs; more cost more than they even out
_SCATTERED_BYTES = 1 << 18  # of a task, beyond which it is sent to each worker once
_AGAIN = 20  # times that shards are submitted anew after their worker was killed
_PATIENCE = 60.0  # seconds without a result, and without a worker that computes one
_POLL, _ANSWER = 1.0, 10.0
_SILENT = (
    "The cluster at {} has been silent for {:.0f} s: no result, and no worker that computes one. "
    "Start its scheduler or workers and train again; from a checkpoint, if there is one."
)
_GONE = (
    "The scheduler at {} cannot be reached any more. Start it and train again; from a checkpoint, "
    "if there is one."
)


class DaskExecutor:
    """Runs tasks on the workers of a cluster.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    place : Place
        Where the rows lie.
    bounds : list of (int, int)
        The shards of the rows.
    allow_mixed : bool
        Whether workers may compute with other versions or processors: then bits may differ.
    watch : callable, optional
        Called with (shards done, shards in all) while a task runs.
    """

    most_bytes = 1 << 20

    def __init__(
        self,
        client: Any,
        place: Place,
        bounds: list[Bounds],
        *,
        allow_mixed: bool = False,
        watch: Callable[[int, int], None] | None = None,
    ) -> None:
        self._client, self._place, self._bounds = client, place, bounds
        self._driver = None if allow_mixed else identity()
        self._watch = watch
        self._address = client.scheduler.address
        self.rounds = 0

    def close(self) -> None:
        """Do nothing: whoever opened the cluster closes it."""

    def take(self, at: NDArray[np.uint32]) -> Dataset:
        """Return a copy of the rows at ascending positions."""
        positions = cut_positions(at, self._bounds)
        there = [i for i, own in enumerate(positions) if own.size]
        found = self.run(Take(), [[self._bounds[i]] for i in there], [positions[i] for i in there])
        return joined(found)

    def run(
        self, task: Task, groups: Sequence[Sequence[Bounds]], own: Sequence[Any] | None = None
    ) -> list[Any]:
        """Run a task on groups of shards, several a Dask task; each group's result in order."""
        own = [None] * len(groups) if own is None else own
        self.rounds += 1
        sent: Any = task
        if len(pickle.dumps(task)) > _SCATTERED_BYTES:
            sent = self._client.scatter(task, broadcast=True, hash=False)
        tasks = max(1, min(len(groups), _TASKS_A_THREAD * self._threads()))
        size = math.ceil(len(groups) / tasks)
        parts = [slice(at, at + size) for at in range(0, len(groups), size)]

        def submit(part: slice) -> Any:
            return self._client.submit(
                run_on_worker, self._place, sent, groups[part], own[part], self._driver,
                key=f"gradstep-{uuid.uuid4().hex}", pure=False,
            )  # fmt: skip

        pending = {submit(part): (part, 0) for part in parts}
        results: list[Any] = [None] * len(groups)
        done, alive_at = 0, time.monotonic()
        while pending:
            ready = _ready(list(pending))
            for future in ready:
                part, times = pending.pop(future)
                found = _result_of(future, last=times >= _AGAIN)
                if found is None:
                    pending[submit(part)] = part, times + 1
                else:
                    results[part] = found
                    done += len(found)
            if ready or self._is_computing():
                alive_at = time.monotonic()
            elif time.monotonic() - alive_at > _PATIENCE:
                raise ClusterLost(_SILENT.format(self._address, _PATIENCE))
            if self._watch is not None:
                self._watch(done, len(groups))
        return results

    def _threads(self) -> int:
        """Return the threads of all workers; they come and go, which changes no bit."""
        try:
            return sum(self._client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise ClusterLost(_GONE.format(self._address)) from error

    def _is_computing(self) -> bool:
        """Tell whether the scheduler answers and some worker has something to do."""
        try:
            busy = self._client.sync(self._client.scheduler.processing, callback_timeout=_ANSWER)
        except (OSError, TimeoutError):
            return False
        return any(busy.values())


def _ready(futures: list[Any]) -> list[Any]:
    """Return those that have ended, however; wait a little if there are none."""
    with suppress(TimeoutError, CancelledError):
        wait(futures, timeout=_POLL, return_when="FIRST_COMPLETED")
    return [future for future in futures if future.status != "pending"]


def _result_of(future: Any, *, last: bool) -> list[Any] | None:
    """Return the results of a task; None if it was lost with its worker, and is to be run again.

    Fetched one by one: `as_completed(with_results=True)` never yields the error of a worker that
    was killed.
    """
    if future.status == "error":
        error = future.exception()
        if not isinstance(error, KilledWorker):
            raise error
        if last:
            msg = (
                f"Every worker that was given some rows was killed, {_AGAIN} times in a row: they "
                "may be short of memory. Give them more, or fewer threads each."
            )
            raise ClusterLost(msg) from error
        return None
    with suppress(TimeoutError, CancelledError, KilledWorker):
        found: list[Any] = future.result(timeout=_PATIENCE)
        return found
    return None
