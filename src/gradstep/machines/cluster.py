"""A cluster to train on: one that runs already, or one started on this machine."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradstep.data.preparing.prepared import digest_of
from gradstep.errors import ClusterLost, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.rows.dataset import Dataset

__all__ = ["connected", "spread"]

_LOCAL = re.compile(r"local(?::(\d+))?")
_CONNECT_TIMEOUT = 30


@contextmanager
def connected(where: str) -> Iterator[Any]:
    """Connect to a cluster, or start one; a context, which ends what it has started.

    Parameters
    ----------
    where : str
        The address of a scheduler (``tcp://HOST:8786``, ``tls://HOST:8786``), or ``local`` or
        ``local:N``: N worker processes on this machine, by default one for each processor, that
        nothing outside of it can reach.

    Yields
    ------
    distributed.Client

    Raises
    ------
    InvalidParameter
        If it is neither, or Dask is not installed.
    ClusterLost
        If the scheduler does not answer.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        msg = "A cluster needs Dask: pip install 'gradstep[dask]'."
        raise InvalidParameter(msg) from error
    local = _LOCAL.fullmatch(where)
    if local is None and not re.match(r"(tcp|tls|ucx|ws|wss)://", where):
        msg = (
            f"{where!r} is no cluster: give the address of a Dask scheduler (tcp://HOST:8786), or "
            "local:N for N worker processes on this machine."
        )
        raise InvalidParameter(msg)
    if local is None:
        try:
            client = Client(where, timeout=_CONNECT_TIMEOUT)
        except OSError as error:
            msg = (
                f"No scheduler answers at {where} ({error}). Start one (dask scheduler), or mend "
                "the address."
            )
            raise ClusterLost(msg) from error
        with client:
            yield client
        return
    workers = int(local[1]) if local[1] else None
    if workers == 0:
        msg = "local:0 has no workers: give their number, as in local:2."
        raise InvalidParameter(msg)
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, host="127.0.0.1", memory_limit=0,
            # no dashboard; the scheduler has an HTTP server even so, on a port that is free
            dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False},
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client


def spread(
    prepared: PreparedTable,
    client: Any,
    *,
    allow_mixed: bool = False,
    watch: Callable[[int, int], None] | None = None,
) -> PreparedTable:
    """Return a prepared table whose rows are computed on by the workers of a cluster.

    Parameters
    ----------
    prepared : PreparedTable
        One in a folder, which the workers find under the same path.
    client : distributed.Client
        The cluster.
    allow_mixed : bool
        Whether workers may compute with other versions or processors than this machine.
    watch : callable, optional
        Called with (shards done, shards in all) while a task runs.

    Raises
    ------
    InvalidParameter
        If the table lies in the memory of this process.
    """
    from gradstep.machines.dask_executor import DaskExecutor  # imports Dask
    from gradstep.machines.worker import Place

    folder = prepared.folder
    if folder is None:
        msg = (
            "The prepared table lies in the memory of this process, where no worker can read it. "
            "Prepare it into a folder that the workers share: gradstep prepare -o FOLDER, or "
            "prepare(table, target, out=FOLDER)."
        )
        raise InvalidParameter(msg)
    digest = digest_of(folder)

    def there(data: Dataset, part: str) -> Dataset:
        place = Place(prepared.address or str(folder.absolute()), digest, part)
        executor = DaskExecutor(
            client, place, data.shards(), allow_mixed=allow_mixed, watch=watch
        )  # fmt: skip
        return replace(data, executor=executor)

    held_out = prepared.validation
    return replace(
        prepared,
        train=there(prepared.train, "train"),
        validation=None if held_out is None else there(held_out, "validation"),
    )
