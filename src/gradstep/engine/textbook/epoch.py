"""The batches of an epoch: its order, cut into runs, fetched, handed to the kernel.

The kernel is called for a run of many batches, and other threads help it in one of two ways. Large
batches are cut into pieces, and helpers take some of them. If batches are small or rows sparse,
most of the time goes into reading rows in random order; then a second thread copies the rows of the
next run, one after another, while the kernel works on the present one. Either way the same
arithmetic is done on the same numbers in the same order. So no thread changes a bit, and threads
are used only where they save time.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING, Self

import numpy as np

from gradstep.engine.kernels.batches import gather
from gradstep.engine.kernels.pieces import threads
from gradstep.engine.textbook.steps import Run, Steps
from gradstep.errors import InvalidComponent
from gradstep.optim.schedules import Horizon
from gradstep.rows.order import ReadAhead, order_of, order_once
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TextbookState
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.layouts import Rows

__all__ = ["EpochBatches", "Run"]

# Bytes of rows in one call of the kernel: it takes milliseconds, so the call itself costs little.
_RUN_BYTES = 1 << 26
# The same where rows are gathered, so that they are still in cache.
_GATHERED_BYTES = 1 << 22
# Runs that are gathered ahead of the kernel.
_AHEAD = 1
# Smaller data stays in cache, so that gathering saves nothing.
_GATHER_BYTES = 1 << 25
# A batch up to this size is still in cache when it is read a second time.
_CACHED_BYTES = 1 << 20
# Longer rows are read fast enough in random order.
_GATHER_ROW_BYTES = 1 << 11


class _Buffer:
    """Room for the gathered rows of a run; kept, since new memory is slow at first touch."""

    def __init__(self) -> None:
        self._rows: Rows | None = None
        self._y = np.empty((0, 1))
        self._weight = np.empty(0)
        self._order = np.empty(0, np.uint32)

    def fill(self, data: Dataset, order: NDArray[np.uint32], batches: range) -> Run:
        """Copy the rows `order`, and return them as a run."""
        n = order.size
        self._rows = data.rows.room_for(order, self._rows)
        if self._order.size < n:
            self._y = np.empty((n, data.y.shape[1]))
            self._weight = np.empty(n)
            self._order = readonly(np.arange(n, dtype=np.uint32))
        rows, y, sample_weight = data.for_kernels
        weight = self._weight if sample_weight.size else np.empty(0)
        gather(rows, y, sample_weight, readonly(order), self._rows, self._y, weight)
        return Run(
            batches, readonly(self._rows), readonly(self._y), readonly(weight), self._order[:n], n
        )


class EpochBatches:
    """A dataset's batches, epoch after epoch; a context, since it may own threads.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    data : Dataset
        The rows.
    mean_weight : float
        Gradients are divided by this, and by the number of rows.

    Attributes
    ----------
    batch_size, n_batches, n_rows : int
        Rows of a batch, batches of an epoch, rows of an epoch.
    """

    def __init__(self, problem: Problem, data: Dataset, mean_weight: float) -> None:
        self._problem = problem
        n = data.n
        self.batch_size = min(problem.batch_size, n)
        dropped = n % self.batch_size if problem.last_batch == "drop" else 0
        self.n_rows = n - dropped
        self.n_batches = -(-self.n_rows // self.batch_size)
        order, in_thread = order_of(
            problem.shuffle, n, problem.seed, data.rows.row_bytes(), shuffled=data.shuffled
        )
        if problem.shuffle == "blocks" and not data.shuffled:
            data = data.permuted(order_once(n, problem.seed))
        self._data = data
        self._orders = ReadAhead(order, in_thread=in_thread)
        self._steps = Steps(problem, data.rows, self.batch_size, mean_weight)
        gathers = self._gathering_pays()
        self._pool = ThreadPoolExecutor(_AHEAD, "gradstep-rows") if gathers else None
        self._buffers = cycle([_Buffer() for _ in range(_AHEAD + 1 if gathers else 0)])

    def _gathering_pays(self) -> bool:
        if threads() == 1 or self._steps.helpers:
            return False
        rows = self._data.rows
        if rows.n_rows * rows.row_bytes() < _GATHER_BYTES:
            return False
        if self._steps.read_twice and self.batch_size * rows.row_bytes() > _CACHED_BYTES:
            return True
        if self._data.shuffled and self._problem.shuffle != "none":
            return True  # it also reads ahead from the disk
        scattered = self._problem.shuffle == "exact" or callable(self._problem.shuffle)
        return scattered and rows.row_bytes() <= _GATHER_ROW_BYTES

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads."""
        self._orders.close()
        self._steps.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def epoch(
        self, epoch: int, done: int, *, at_most: int | None = None, more: bool = True
    ) -> Iterator[Run]:
        """Yield the epoch's batches from `done` on, in runs for one call of the kernel.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        done : int
            Number of its batches already done.
        at_most : int, optional
            Batches to yield at most.
        more : bool
            Whether another epoch will follow.
        """
        order = self._orders.order(epoch, more=more)
        room = _RUN_BYTES if self._pool is None else _GATHERED_BYTES
        length = max(1, room // max(1, self._data.rows.row_bytes() * self.batch_size))
        end = self.n_batches if at_most is None else min(self.n_batches, done + at_most)
        parts = (range(at, min(at + length, end)) for at in range(done, end, length))
        if self._pool is None:
            for batches in parts:
                yield self._where_they_are(order, batches)
            return
        coming: deque[Future[Run]] = deque()
        for batches in parts:
            coming.append(self._pool.submit(self._gathered, order, batches, next(self._buffers)))
            if len(coming) > _AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()

    def _where_they_are(self, order: NDArray[np.uint32], batches: range) -> Run:
        lo, hi = self._span(batches)
        data = self._data
        at = readonly(data.rows_at(order[lo : hi + 64]))  # with rows that are prefetched
        return Run(batches, *data.for_kernels, at, hi - lo)

    def _gathered(self, order: NDArray[np.uint32], batches: range, buffer: _Buffer) -> Run:
        lo, hi = self._span(batches)
        return buffer.fill(self._data, self._data.rows_at(order[lo:hi]), batches)

    def _span(self, batches: range) -> tuple[int, int]:
        return batches.start * self.batch_size, min(batches.stop * self.batch_size, self.n_rows)

    def rates(self, state: TextbookState, batches: range) -> NDArray[np.float64]:
        """Return the learning rate of each batch's step."""
        number = np.arange(len(batches))
        schedule = self._problem.schedule
        rates = schedule.rates(
            state.steps + number,
            state.epoch + (batches.start + number) / self.n_batches,
            Horizon(self._problem.max_epochs, self.n_batches),
        )
        rates = np.asarray(rates, dtype=np.float64) * state.rate_factor
        if rates.shape != number.shape or not ((rates >= 0.0) & (rates < np.inf)).all():
            msg = (
                f"{schedule!r} must give {number.size} finite learning rates >= 0 for the steps "
                f"from {state.steps} on; it gave {rates!r}."
            )
            raise InvalidComponent(msg)
        return rates

    def train_on(self, run: Run, state: TextbookState, rates: NDArray[np.float64]) -> None:
        """Train on a run of batches; changes the state in place."""
        self._steps.train_on(run, state, rates)
