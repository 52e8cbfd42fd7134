"""How an epoch is walked: its order, cut into runs of batches, fetched, handed to the kernel.

The kernel is called for a run of batches at a time. Where rows are short and there are many,
reading them in random order is what costs: a second thread copies the rows of the next
run, one after another, while the kernel works on the last. The kernel then does the same
arithmetic on the same numbers in the same order, so neither the thread nor the copy changes a
bit, and whether they are used depends on what pays alone.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from gradstep.data.order import ReadAhead, order_of, order_once
from gradstep.engine.kernels import gather, launch, run_batches, run_batches_in_place
from gradstep.engine.readonly import readonly
from gradstep.engine.rows import CsrRows
from gradstep.errors import InvalidComponent
from gradstep.optim.optimizers import SGD
from gradstep.optim.schedules import Horizon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from types import TracebackType

    from numpy.typing import NDArray

    from gradstep.data.dataset import Dataset
    from gradstep.engine.rows import Rows
    from gradstep.engine.state import Problem, TrainState

__all__ = ["Run", "Walk"]

_RUN_BYTES = 1 << 22  # of rows in one call of the kernel: a millisecond of work, and in cache
_AHEAD = 1  # runs gathered ahead of the kernel
_GATHER_BYTES = 1 << 25  # data below it stays in cache anyway
_GATHER_ROW_BYTES = 1 << 11  # rows above it are read fast enough where they are


class Run(NamedTuple):
    """A run of batches: their numbers in the epoch, and their rows.

    Attributes
    ----------
    batches : range
        Numbers of the batches.
    rows, y, sample_weight
        Where the rows are.
    order : ndarray of uint32
        Row numbers there, first the run's, then (for prefetching) what follows.
    n : int
        Rows of the run.
    """

    batches: range
    rows: Any
    y: Any
    sample_weight: Any
    order: NDArray[np.uint32]
    n: int


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
        weight = None if data.sample_weight is None else self._weight
        gather(
            readonly(data.rows), readonly(data.y), readonly(data.sample_weight),
            readonly(order), self._rows, self._y, weight,
        )  # fmt: skip
        return Run(
            batches, readonly(self._rows), readonly(self._y), readonly(weight), self._order[:n], n
        )


class Walk:
    """The walk over a dataset, epoch after epoch; a context, since it may own threads.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    data : Dataset
        The rows.
    mean_weight : float
        What gradients are divided by, besides the number of rows.

    Attributes
    ----------
    batch_size, n_batches, n_rows : int
        Rows of a batch, batches of an epoch, rows of an epoch.
    """

    def __init__(self, problem: Problem, data: Dataset, mean_weight: float) -> None:
        self._problem = problem
        self._mean_weight = mean_weight
        n = data.n
        self.batch_size = min(problem.batch_size, n)
        dropped = n % self.batch_size if problem.last_batch == "drop" else 0
        self.n_rows = n - dropped
        self.n_batches = -(-self.n_rows // self.batch_size)
        order, in_thread = order_of(problem.shuffle, n, problem.seed, data.rows.row_bytes())
        if problem.shuffle == "blocks":
            data = data.permuted(order_once(n, problem.seed))
        self._data = data
        self._orders = ReadAhead(order, in_thread=in_thread)
        self._gather = self._gathering_pays()
        many_cores = len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else True
        self._pool = (
            ThreadPoolExecutor(_AHEAD, "gradstep-rows") if self._gather and many_cores else None
        )
        self._buffers = cycle([_Buffer() for _ in range(_AHEAD + 1)])
        self._in_place = (
            isinstance(data.rows, CsrRows)
            and type(problem.optimizer) is SGD
            and hasattr(problem.penalty, "shrink")
            and not problem.average_from
        )
        self._tile = data.rows.tile_rows()
        scratch = self.batch_size if self._in_place else self._tile
        params = 0 if self._in_place else 2 * problem.size
        self._work = np.empty(params + 2 * scratch * problem.n_outputs)

    def _gathering_pays(self) -> bool:
        rows = self._data.rows
        scattered = self._problem.shuffle == "exact" or callable(self._problem.shuffle)
        many = rows.n_rows * rows.row_bytes() >= _GATHER_BYTES
        return scattered and many and rows.row_bytes() <= _GATHER_ROW_BYTES

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._orders.close()
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
            Batches done of it.
        at_most : int, optional
            Batches to yield at most.
        more : bool
            Whether the next epoch will be walked, too.
        """
        order = self._orders.order(epoch, more=more)
        length = max(1, _RUN_BYTES // max(1, self._data.rows.row_bytes() * self.batch_size))
        end = self.n_batches if at_most is None else min(self.n_batches, done + at_most)
        parts = (range(at, min(at + length, end)) for at in range(done, end, length))
        if not self._gather:
            for batches in parts:
                yield self._where_they_are(order, batches)
            return
        if self._pool is None:
            for batches in parts:
                yield self._gathered(order, batches, next(self._buffers))
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
        at = readonly(data.rows_at(order[lo : hi + 64]))  # with what is asked for ahead of use
        return Run(
            batches,
            readonly(data.rows),
            readonly(data.y),
            readonly(data.sample_weight),
            at,
            hi - lo,
        )

    def _gathered(self, order: NDArray[np.uint32], batches: range, buffer: _Buffer) -> Run:
        lo, hi = self._span(batches)
        return buffer.fill(self._data, self._data.rows_at(order[lo:hi]), batches)

    def _span(self, batches: range) -> tuple[int, int]:
        return batches.start * self.batch_size, min(batches.stop * self.batch_size, self.n_rows)

    def rates(self, state: TrainState, batches: range) -> NDArray[np.float64]:
        """Return the learning rate of each batch's step."""
        number = np.arange(len(batches))
        schedule = self._problem.schedule
        rates = schedule.rates(
            state.steps + number,
            state.epoch + (batches.start + number) / self.n_batches,
            Horizon(self._problem.max_epochs, self.n_batches),
        )
        rates = np.asarray(rates, dtype=np.float64) * state.rate_factor
        if rates.shape != number.shape or not np.all(np.isfinite(rates) & (rates >= 0.0)):
            msg = (
                f"{schedule!r} must give {number.size} finite learning rates >= 0 for the steps "
                f"from {state.steps} on; it gave {rates!r}."
            )
            raise InvalidComponent(msg)
        return rates

    def train_on(self, run: Run, state: TrainState, rates: NDArray[np.float64]) -> None:
        """Train on a run of batches; changes the state in place."""
        problem = self._problem
        divide_by_own = problem.last_batch == "mean"
        if self._in_place:
            launch(
                run_batches_in_place, (problem.loss, problem.penalty),
                run.rows, run.y, run.sample_weight,
                run.order, 0, run.n, self.batch_size, divide_by_own, self._mean_weight, rates,
                problem.n_outputs, problem.fit_intercept, problem.intercept_factor,
                state.params, state.counters, self._work, state.sums,
            )  # fmt: skip
        else:
            launch(
                run_batches, (problem.loss, problem.penalty, problem.optimizer),
                run.rows, run.y, run.sample_weight,
                run.order, 0, run.n, self.batch_size, divide_by_own, self._mean_weight, rates,
                problem.n_outputs, problem.fit_intercept, problem.intercept_factor,
                problem.average_from, self._tile, state.params, state.slots, state.average,
                state.counters, self._work, state.sums,
            )  # fmt: skip
        state.batch = run.batches.stop
