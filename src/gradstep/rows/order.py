"""The order of rows: from (seed, epoch) to row positions, made one epoch ahead.

The order is a pure function, never a generator with a state to be saved, so a run can go
on at any epoch.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.errors import InvalidData
from gradstep.rows.dataset import row_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    # From an epoch to what gives its row numbers: order[lo:hi].
    Order = Callable[[int], Any]

__all__ = ["ReadAhead", "order_of", "order_once"]

# A block is what is read in one go, a window what is permuted together: 16 KB of memory
# and eight of them stay in the second-level cache.
_BLOCK_BYTES = 1 << 14
_WINDOW_BLOCKS = 8
# What is read from disk in one go, and what is in memory at once: 4 MB.
_DISK_BLOCK_BYTES = 1 << 18
_DISK_WINDOW_BLOCKS = 16
_BEFORE_ANY_EPOCH = (1 << 32) - 1
_WORTH_A_THREAD = 1 << 16  # rows; below, handing over costs more than it saves


def order_of(
    shuffle: Any, n: int, seed: int, row_bytes: int, *, shuffled: bool = False
) -> tuple[Order, bool]:
    """Return the function epoch → order, and whether it may run in another thread.

    Parameters
    ----------
    shuffle : {"exact", "blocks", "none"} or callable
        ``callable(epoch, n)`` returns the order itself; epochs are counted from 0.
    n : int
        Number of rows.
    seed : int
        What the order is a function of, besides the epoch.
    row_bytes : int
        Memory of a row, for the size of blocks.
    shuffled : bool
        Whether the rows lie in random order already: then both "exact" and "blocks" visit
        large blocks in random order, and rows within a window of them.
    """
    if callable(shuffle):
        return lambda epoch: checked_order(shuffle(epoch, n), n), False
    if shuffle == "none" or n == 1:  # as a stream's rows come one by one
        return lambda _epoch: AsTheyLie(n), False
    if n > 1 << 32:
        msg = (
            f"{n:,} rows are more than are shuffled, 2^32, for mini-batches. optimizer='auto' with "
            "an l2 penalty sums over all rows, which has no limit; or take shuffle=False."
        )
        raise InvalidData(msg)

    from gradstep.rows.kernels.shuffling import (  # imports Numba
        BlockOrder,
        block_shuffle,
        exact_shuffle,
    )

    if shuffled:
        rows = max(1, _DISK_BLOCK_BYTES // max(1, row_bytes))
        return (
            lambda epoch: BlockOrder(
                n, seed, epoch, block_rows=rows, window_blocks=_DISK_WINDOW_BLOCKS
            ),
            False,
        )
    if shuffle == "exact":
        return lambda epoch: exact_shuffle(n, seed, epoch), n >= _WORTH_A_THREAD
    block_rows = max(1, _BLOCK_BYTES // max(1, row_bytes))
    return (
        lambda epoch: block_shuffle(
            n, seed, epoch, block_rows=block_rows, window_blocks=_WINDOW_BLOCKS
        ),
        n >= _WORTH_A_THREAD,
    )


class AsTheyLie:
    """The rows in the order in which they lie: ``order[lo:hi]``."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __getitem__(self, part: slice) -> NDArray[np.uint32]:
        """Return the rows at positions ``lo:hi``."""
        kind = np.uint32 if self._n <= 1 << 32 else np.int64  # as `row_numbers` has them
        return np.arange(part.start, min(part.stop, self._n), dtype=kind)


def order_once(n: int, seed: int) -> NDArray[np.uint32]:
    """Return the order in which blocks lie in memory, so that neighbours are there by chance."""
    from gradstep.rows.kernels.shuffling import exact_shuffle  # imports Numba

    return exact_shuffle(n, seed, _BEFORE_ANY_EPOCH)


def checked_order(order: Any, n: int) -> NDArray[np.uint32]:
    """Return a user's order as row numbers, once it is known to be a permutation."""
    array = np.asarray(order)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        msg = (
            f"shuffle(epoch, n) must return {n} integers, a permutation of range({n}); "
            f"it returned an array of shape {array.shape} and dtype {array.dtype}."
        )
        raise InvalidData(msg)
    if n and (array.min() < 0 or array.max() >= n or np.bincount(array, minlength=n).max() > 1):
        msg = (
            f"shuffle(epoch, n) must return a permutation of range({n}): each row once. It "
            f"returned numbers from {array.min()} to {array.max()}, some of them repeated or "
            "outside."
        )
        raise InvalidData(msg)
    return row_numbers(array.copy(), n)  # the user's own may change


class ReadAhead:
    """Orders by epoch, each made by a second thread while the one before is trained on.

    The thread changes no order: it only asks for it early.
    """

    def __init__(self, order: Order, *, in_thread: bool) -> None:
        self._order = order
        self._pool = ThreadPoolExecutor(1, "gradstep-order") if in_thread else None
        self._coming: tuple[int, Future[Any]] | None = None
        self._latest: tuple[int, Any] = (-1, None)

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def order(self, epoch: int, *, more: bool = True) -> Any:
        """Return the order of an epoch; start on the next one's if there will be `more`.

        It is kept until another epoch's is asked for: one may be trained on in several parts.
        """
        if self._latest[0] == epoch:
            return self._latest[1]
        self._latest = (-1, None)  # let go of, before another one is made
        if self._pool is None:
            order = self._order(epoch)
        else:
            if self._coming is not None and self._coming[0] == epoch:
                order = self._coming[1].result()
            else:
                order = self._order(epoch)
            self._coming = (epoch + 1, self._pool.submit(self._order, epoch + 1)) if more else None
        self._latest = (epoch, order)
        return order
