"""Rows of a Dask Array: the workers keep them, a block for each shard."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.base import compute
from dask.delayed import delayed
from distributed import wait

from gradstep.errors import InvalidData
from gradstep.machines.dask_executor import DaskExecutor
from gradstep.machines.worker import NOWHERE, Block
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.rows.shards import Bounds

__all__ = ["NotHere", "checked", "keep_blocks", "kept", "written"]

_UNEVEN = 1.5  # times the mean, of blocks that a worker has


def checked(X: Any) -> Any:
    """Return a Dask Array of blocks of whole rows of known number, in single or double precision.

    Raises
    ------
    InvalidData
        If it has no two dimensions, or holds something else than numbers.
    """
    kind = type(X._meta)  # noqa: SLF001  (of the blocks; there is no public name)
    if X.ndim != 2 or X.dtype.kind not in "biuf" or kind is not np.ndarray:
        msg = (
            f"X is a Dask Array of shape {X.shape} with {X.dtype} blocks of "
            f"{kind.__name__}: it must have two dimensions and blocks of numbers, which "
            "are NumPy arrays."
        )
        raise InvalidData(msg)
    if np.isnan(X.shape).any():
        X = X.compute_chunk_sizes()
    dtype = X.dtype if X.dtype == np.float32 else np.dtype(np.float64)
    return X.rechunk({1: -1}).astype(dtype).map_blocks(np.ascontiguousarray)


def written(X: Any, folder: Path) -> NDArray[Any]:
    """Write a Dask Array to a folder, block by block, and return it mapped into memory."""
    whole = _new_file(X, folder)
    X.store(whole, lock=False)
    return whole


def kept(X: Any, folder: Path, client: Any) -> tuple[Any, NDArray[Any], bool]:
    """Have the workers compute a Dask Array and keep its blocks.

    Returns
    -------
    X : dask.array.Array
        The same, computed.
    here : ndarray
        What stands for it here: a file without content, but for the rows that are not finite.
    finite : bool
        Whether all are.
    """
    here = _new_file(X, folder)
    if not here.size:
        return X, here, False
    X = client.persist(X)
    rows_of = delayed(_rows_not_finite)
    (bad,) = compute([rows_of(block) for block in X.to_delayed().ravel()])
    firsts = np.cumsum([0, *X.chunks[0]])
    for first, (at, rows) in zip(firsts, bad, strict=False):
        here[first + at] = rows
    return X, here, not any(at.size for at, _ in bad)


def _new_file(X: Any, folder: Path) -> NDArray[Any]:
    """Return an array that is mapped to a file, which takes no space before it is written to."""
    if not all(X.shape):  # nothing to map
        return np.empty(X.shape, X.dtype)
    return np.lib.format.open_memmap(folder / "X.npy", mode="w+", dtype=X.dtype, shape=X.shape)


def _rows_not_finite(block: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return which rows of a block are not finite, and those rows."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = block.sum(axis=1, dtype=np.float64) if block.size else np.zeros(0)
    at = np.flatnonzero(~np.isfinite(sums))  # of these a sum may have overflowed
    at = at[~np.isfinite(block[at]).all(axis=1)]
    return at, block[at]


class NotHere(DenseRows):
    """Rows of which this process knows how many there are, and how long; the workers have them."""

    def take(self, order: Any) -> DenseRows:
        """Refuse: the rows are asked for by their positions, from the executor."""
        raise NotImplementedError

    def part(self, lo: int, hi: int) -> DenseRows:
        """Refuse: the executor runs tasks on parts."""
        raise NotImplementedError


class _Keeping(DaskExecutor):
    """Runs tasks on shards that workers keep: each where its first block is.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    blocks : dict of Bounds to distributed.Future
        A `Block` for each shard.
    """

    def __init__(self, client: Any, blocks: dict[Bounds, Any]) -> None:
        super().__init__(client, NOWHERE, list(blocks))
        self._blocks = blocks
        holders = client.who_has(list(blocks.values()))
        self._holder = {at: min(holders[block.key], default="") for at, block in blocks.items()}

    def _sent(self, group: Sequence[Bounds]) -> list[Any]:
        return [self._blocks[bounds] for bounds in group]

    def _order(self, groups: Sequence[Sequence[Bounds]]) -> list[int]:
        return sorted(range(len(groups)), key=lambda at: self._holder[groups[at][0]])


def keep_blocks(data: Dataset, X: Any, client: Any) -> Dataset:
    """Return rows of a Dask Array, of which each worker keeps some shards, and computes on them.

    Parameters
    ----------
    data : Dataset
        What stands for the rows here, with their targets and weights; an index may choose some.
    X : dask.array.Array
        All rows, as `kept` returns them.
    client : distributed.Client
        The cluster.
    """
    y, weight, bounds = data.targets(), data.weights(), data.shards()
    rows = X if data.index is None else X[data.index.astype(np.intp)]
    rows = rows.rechunk({0: tuple(hi - lo for lo, hi in bounds)})
    blocks = client.compute(list(rows.to_delayed().ravel()))
    where = _homes(blocks, client)
    futures = [
        client.submit(
            Block, block, y[lo:hi], None if weight is None else weight[lo:hi], pure=False,
            workers=home, allow_other_workers=True,
        )
        for block, (lo, hi), home in zip(blocks, bounds, where, strict=True)
    ]  # fmt: skip
    wait(futures)
    executor = _Keeping(client, dict(zip(bounds, futures, strict=True)))
    stand_in: Any = data.rows
    not_here = NotHere(stand_in.values)
    return Dataset(not_here, data.y, data.sample_weight, data.index, executor=executor)


def _homes(blocks: Sequence[Any], client: Any) -> list[str | None]:
    """Return the worker that is to keep each block: where it is, unless some have far too many.

    (`Client.rebalance` moves what is in the way only of workers that are short of memory.)
    """
    wait(blocks)
    found, threads = client.who_has(blocks), client.nthreads()
    homes = [min(found[block.key], default=None) for block in blocks]
    n, total = len(blocks), sum(threads.values())
    of_each = Counter(homes)
    if all(of_each[at] * total <= _UNEVEN * n * own for at, own in threads.items()):
        return homes
    by_thread = [at for at, own in sorted(threads.items()) for _ in range(own)]
    return [by_thread[i * total // n] for i in range(n)]
