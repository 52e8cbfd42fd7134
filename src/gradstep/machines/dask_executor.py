"""An executor on a Dask cluster: pure tasks, several shards each, again where a worker was lost."""

from __future__ import annotations

import pickle
import time
import uuid
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from distributed import KilledWorker, wait
from distributed.client import ClosedClientError
from distributed.comm.core import CommClosedError

from gradstep.engine.executor import cut_positions
from gradstep.engine.row_tasks import Take
from gradstep.errors import ClusterLost
from gradstep.machines.identity import identity
from gradstep.machines.worker import run_on_worker
from gradstep.rows.dataset import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.machines.worker import Place
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.shards import Bounds, Task

__all__ = ["DaskExecutor", "even_parts"]

_TASKS_A_THREAD = 2  # one is ready while one runs; more cost more than they even out
_SCATTERED_BYTES = 1 << 18  # of a task, beyond which it is sent to each worker once
_AGAIN = 20  # times that shards are submitted anew after their worker was killed
_PATIENCE = 60.0  # seconds without a result, and without a worker that computes one
_POLL, _ANSWER = 1.0, 10.0
_SILENT = (
    "The cluster at {} has been silent for {:.0f} s: no result, and no worker that computes one "
    "(Dask pauses those that are short of memory). "
    "Start its scheduler or workers and train again; from a checkpoint, if there is one."
)
_GONE = (
    "The cluster at {} is gone, or for {:.0f} s has had no worker, or only some that Dask has "
    "paused, being short of memory. Start its scheduler or workers, or give them more memory, and "
    "train again; from a checkpoint, if there is one."
)
_KILLED = (
    "The workers of the cluster at {} that were given some rows were lost {} times in a row: they "
    "may be short of memory. Give them more, or fewer threads each."
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
    apart : bool
        Whether each group is a Dask task of its own: for what takes long enough by itself.
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
        apart: bool = False,
    ) -> None:
        self._client, self._place, self._bounds = client, place, bounds
        self._driver = None if allow_mixed else identity()
        self._watch, self._apart = watch, apart
        self._address = client.scheduler.address

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
        try:
            with self._client.as_current():  # which `wait` looks for
                return self._run(task, groups, [None] * len(groups) if own is None else own)
        except (CancelledError, ClosedClientError, CommClosedError) as error:
            raise ClusterLost(_GONE.format(self._address, _PATIENCE)) from error

    def _run(
        self, task: Task, groups: Sequence[Sequence[Bounds]], own: Sequence[Any]
    ) -> list[Any]:  # fmt: skip
        parts, sent = self._parts(groups), task
        if len(pickle.dumps(task)) > _SCATTERED_BYTES:
            sent = self._client.scatter(task, broadcast=True, hash=False)

        def submit(part: list[int], sent: Any) -> Any:
            shards, arguments = [self._sent(groups[at]) for at in part], [own[at] for at in part]
            return self._client.submit(
                run_on_worker, self._place, sent, shards, arguments, self._driver,
                key=f"gradstep-{uuid.uuid4().hex}", pure=False,
            )  # fmt: skip

        pending = {submit(part, sent): (part, 0) for part in parts}
        try:
            # later the task itself, since what was sent may be lost, too
            return self._collected(pending, lambda part: submit(part, task), len(groups))
        finally:
            for future in pending:  # after an error, what has not begun need not begin
                future.release()

    def _collected(
        self,
        pending: dict[Any, tuple[list[int], int]],
        submit: Callable[[list[int]], Any],
        groups: int,
    ) -> list[Any]:
        """Wait for the tasks, by which part they have and how often it was lost; return results."""
        results: list[Any] = [None] * groups
        done, alive_at = 0, time.monotonic()
        while pending:
            ready = _ready(list(pending), "FIRST_COMPLETED" if self._apart else "ALL_COMPLETED")
            seconds = _PATIENCE - (time.monotonic() - alive_at)
            for future, found in self._results_of(ready, seconds):
                part, times = pending.pop(future)
                if found is None and times == _AGAIN:
                    raise ClusterLost(_KILLED.format(self._address, _AGAIN))
                if found is None:
                    pending[submit(part)] = part, times + 1
                else:
                    for at, result in zip(part, found, strict=True):
                        results[at] = result
                    done, alive_at = done + len(found), time.monotonic()
            if not ready and self._is_computing():
                alive_at = time.monotonic()
            if time.monotonic() - alive_at > _PATIENCE:
                raise ClusterLost(_SILENT.format(self._address, _PATIENCE))
            if self._watch is not None:
                self._watch(done, groups)
        return results

    def _results_of(
        self, ready: list[Any], seconds: float
    ) -> Iterator[tuple[Any, list[Any] | None]]:
        """Yield tasks that have ended with their results: those that have some in one message.

        The others one by one, since one error would hide the rest.
        """
        finished = [future for future in ready if future.status == "finished"]
        found: list[Any] = []
        if len(finished) > 1:
            with suppress(TimeoutError, CancelledError, KilledWorker):
                # within the client's loop, `gather` can be awaited, and so given up
                found = self._client.sync(
                    lambda: self._client.gather(finished), callback_timeout=max(seconds, _POLL)
                )
        yield from zip(finished, found, strict=False)
        for future in ready if not found else (f for f in ready if f not in finished):
            yield future, _result_of(future, seconds)

    def _sent(self, group: Sequence[Bounds]) -> Sequence[Any]:
        """Return what a worker is told of the shards of a group."""
        return group

    def _order(self, groups: Sequence[Sequence[Bounds]]) -> Sequence[int]:
        """Return the groups' numbers, those beside each other that one worker should have."""
        return range(len(groups))

    def _parts(self, groups: Sequence[Sequence[Bounds]]) -> list[list[int]]:
        """Return the numbers of the groups that each Dask task has."""
        n, order = len(groups), self._order(groups)
        tasks = n if self._apart else min(n, _TASKS_A_THREAD * self._threads())
        return [list(order[part]) for part in even_parts(n, tasks)]

    def _threads(self) -> int:
        """Return the threads of all workers, once there are any; they come and go."""
        try:
            threads: int = sum(self._ask("ncores").values())
            if not threads:
                self._client.wait_for_workers(1, timeout=_PATIENCE)
                threads = sum(self._ask("ncores").values())
        except (OSError, CancelledError) as error:
            raise ClusterLost(_GONE.format(self._address, _PATIENCE)) from error
        return threads

    def _is_computing(self) -> bool:
        """Tell whether the scheduler answers, and some worker that is not paused has tasks."""
        try:
            tasks, known = self._ask("processing"), self._ask("identity", n_workers=-1)["workers"]
        except (OSError, CancelledError):
            return False
        return any(of and known.get(at, {}).get("status") == "running" for at, of in tasks.items())

    def _ask(self, what: str, **more: int) -> dict[str, Any]:
        """Return what the scheduler knows of its workers; OSError if it does not answer soon."""
        if self._client.scheduler is None:  # the connection is closed
            raise ConnectionError(self._address)
        ask = getattr(self._client.scheduler, what)
        found: dict[str, Any] = self._client.sync(ask, **more, callback_timeout=_ANSWER)
        return found


def even_parts(groups: int, tasks: int) -> list[slice]:
    """Return so many parts of groups, as even as can be, the larger ones first.

    Examples
    --------
    >>> even_parts(7, 3)
    [slice(4, 7, None), slice(0, 2, None), slice(2, 4, None)]
    """
    cuts = [groups * i // max(1, tasks) for i in range(tasks + 1)]
    return sorted(map(slice, cuts, cuts[1:]), key=lambda part: part.start - part.stop)


def _ready(futures: list[Any], until: str) -> list[Any]:
    """Return those that have ended, however, once the first or all have, or a little later."""
    with suppress(TimeoutError, CancelledError):
        wait(futures, timeout=_POLL, return_when=until)
    return [future for future in futures if future.status != "pending"]


def _result_of(future: Any, seconds: float) -> list[Any] | None:
    """Return the results of a task; None if it was lost with its worker, and is to be run again.

    By itself: `as_completed(with_results=True)` never yields the error of a worker that was killed.
    """
    with suppress(TimeoutError, CancelledError, KilledWorker):
        found: list[Any] = future.result(timeout=max(seconds, _POLL))
        return found
    return None
