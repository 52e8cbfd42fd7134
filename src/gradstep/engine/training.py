"""The loop: shuffle each epoch, walk in batches, update, report, maybe stop.

`train` takes a state and returns a state. It may stop after any batch and go on later: the
order of rows is a function of (seed, epoch), and everything else that evolves is in the state.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.order import ReadAhead, order_of, order_once
from gradstep.engine.baseline import Baseline
from gradstep.engine.callbacks import Callbacks, End, EpochEnd, Start
from gradstep.engine.evaluation import scores
from gradstep.engine.kernels import run_batches
from gradstep.engine.readonly import readonly
from gradstep.engine.state import EpochRecord, Outcome, Problem, TrainState, Validation
from gradstep.errors import Diverged, InvalidComponent
from gradstep.optim.schedules import Horizon

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gradstep.data.dataset import Dataset

__all__ = ["train"]

_RUN_NUMBERS = 1 << 22  # of the data, in one call of the kernel: some 5 ms


def train(
    problem: Problem,
    data: Dataset,
    state: TrainState,
    *,
    validation: Validation | None = None,
    callbacks: Sequence[Any] = (),
    until_epoch: int | None = None,
    max_batches: int | None = None,
    incremental: bool = False,
) -> tuple[TrainState, Outcome]:
    """Train until something says stop.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    data : Dataset
        The rows to train on.
    state : TrainState
        Where to start from (`Problem.start`, or what an earlier call returned); not changed.
    validation : Validation, optional
        Held-out rows, judged after each epoch.
    callbacks : sequence of Callback
        Told of start, epochs and end.
    until_epoch : int, optional
        Epochs to have done when the run ends; `Problem.max_epochs` by default.
    max_batches : int, optional
        Batches after which to pause, even in the middle of an epoch.
    incremental : bool
        Whether the rows are one part of a stream (see `Baseline`).

    Returns
    -------
    state : TrainState
        Where the run ended.
    outcome : Outcome
        How.

    Raises
    ------
    Diverged
        If the objective left the numbers, or is far worse than the best constant's.
    """
    state = state.copy()
    last_epoch = problem.max_epochs if until_epoch is None else until_epoch
    if incremental:
        state.seen += (0.0, data.weight_sum, data.n)
    mean_weight = state.seen[1] / state.seen[2] if incremental else data.mean_weight
    plan = _Plan.of(problem, data, mean_weight)
    told = Callbacks(callbacks)
    baseline = Baseline(problem.loss, data, problem.n_outputs, state.current().copy(), incremental)
    began = time.perf_counter()
    outcome: Outcome | None = None
    error: BaseException | None = None
    told.on_start(Start(problem, data, state))
    try:
        with ReadAhead(plan.order, in_thread=plan.order_in_thread) as orders:
            while outcome is None:
                if state.epoch >= last_epoch:
                    outcome = Outcome.MAX_EPOCHS
                    break
                order = orders.order(state.epoch, more=state.epoch + 1 < last_epoch)
                epoch_began, rate = time.perf_counter(), 0.0
                for batches in plan.runs(state.batch, max_batches):
                    rates = plan.rates(state, batches)
                    plan.run(state, order, batches, rates)
                    rate = float(rates[-1])
                    if max_batches is not None:
                        max_batches -= len(batches)
                if state.batch < plan.n_batches:
                    outcome = Outcome.PAUSED
                    break
                seconds = time.perf_counter() - epoch_began
                loss = _end_of_epoch(problem, state, baseline)
                score = _validate(problem, state, validation)
                speed = plan.rows_of_epoch / max(seconds, 1e-9)
                record = EpochRecord(state.epoch, loss, score, rate, speed, seconds)
                if told.on_epoch_end(EpochEnd(record, problem, data, state)):
                    outcome = Outcome.CALLBACK
                elif _stalled(problem, state, loss, score, validation):
                    by_score = validation is not None and validation.stops
                    outcome = Outcome.VALIDATION if by_score else Outcome.CONVERGED
    except BaseException as exception:
        error = exception
        raise
    finally:
        told.on_end(End(outcome, error, state.epoch, time.perf_counter() - began))
    return state, outcome


@dataclass(frozen=True)
class _Plan:
    """How one epoch over this data is walked."""

    problem: Problem
    data: Dataset
    order: Any
    order_in_thread: bool
    mean_weight: float
    batch_size: int
    n_batches: int
    rows_of_epoch: int
    kernel_rows: tuple[Any, Any, Any]
    tile: int
    work: NDArray[np.float64]

    @classmethod
    def of(cls, problem: Problem, data: Dataset, mean_weight: float) -> _Plan:
        n = data.n
        size = min(problem.batch_size, n)
        dropped = n % size if problem.last_batch == "drop" else 0
        order, in_thread = order_of(problem.shuffle, n, problem.seed, data.rows.row_bytes())
        if problem.shuffle == "blocks":
            data = data.permuted(order_once(n, problem.seed))
        tile = data.rows.tile_rows()
        return cls(
            problem=problem,
            data=data,
            order=order,
            order_in_thread=in_thread,
            mean_weight=mean_weight,
            batch_size=size,
            n_batches=-(-(n - dropped) // size),
            rows_of_epoch=n - dropped,
            kernel_rows=(readonly(data.rows), readonly(data.y), readonly(data.sample_weight)),
            tile=tile,
            work=np.empty(2 * problem.size + 2 * tile * problem.n_outputs),
        )

    def runs(self, done: int, at_most: int | None) -> Iterator[range]:
        """Yield the epoch's batches from `done` on, in runs for one call of the kernel."""
        numbers = max(1, self.data.rows.row_bytes() // 8) * self.batch_size
        length = max(1, _RUN_NUMBERS // numbers)
        end = self.n_batches if at_most is None else min(self.n_batches, done + at_most)
        for first in range(done, end, length):
            yield range(first, min(first + length, end))

    def rates(self, state: TrainState, batches: range) -> NDArray[np.float64]:
        """Return the learning rate of each batch's step."""
        number = np.arange(len(batches))
        rates = self.problem.schedule.rates(
            state.steps + number,
            state.epoch + (batches.start + number) / self.n_batches,
            Horizon(self.problem.max_epochs, self.n_batches),
        )
        rates = np.asarray(rates, dtype=np.float64) * state.rate_factor
        if rates.shape != number.shape or not np.all(np.isfinite(rates) & (rates >= 0.0)):
            msg = (
                f"{self.problem.schedule!r} must give {number.size} finite learning rates >= 0 for "
                f"the steps from {state.steps} on; it gave {rates!r}."
            )
            raise InvalidComponent(msg)
        return rates

    def run(
        self,
        state: TrainState,
        order: NDArray[np.uint32],
        batches: range,
        rates: NDArray[np.float64],
    ) -> None:
        """Train on these batches of the epoch; changes the state in place."""
        problem = self.problem
        lo = batches.start * self.batch_size
        hi = min(batches.stop * self.batch_size, self.rows_of_epoch)
        some_more = order[lo : hi + 64]  # what the kernel asks the memory for ahead of use
        run_batches(
            *self.kernel_rows,
            problem.loss,
            problem.penalty,
            problem.optimizer,
            readonly(self.data.rows_at(some_more)),
            0,
            hi - lo,
            self.batch_size,
            problem.last_batch == "mean",
            self.mean_weight,
            rates,
            problem.n_outputs,
            problem.fit_intercept,
            problem.intercept_factor,
            problem.average_from,
            self.tile,
            state.params,
            state.slots,
            state.average,
            state.counters,
            self.work,
            state.sums,
        )
        state.batch = batches.stop


def _end_of_epoch(problem: Problem, state: TrainState, baseline: Baseline) -> float:
    """Close the epoch's books; return its running objective, or raise `Diverged`."""
    state.epoch += 1
    state.batch = 0
    total, weight = state.sums
    state.sums[:] = 0.0
    running = float(total / weight) if weight > 0.0 else 0.0
    penalty = problem.penalty_of(state.current())
    loss = running + penalty
    finite = math.isfinite(loss) and bool(np.isfinite(state.params).all())
    seen = 0.0
    if baseline.incremental:
        state.seen[0] += baseline.at_zero * baseline.data.weight_sum
        seen = float(state.seen[0] / state.seen[1]) if state.seen[1] > 0.0 else 0.0
    if not finite or baseline.far_worse(running, seen):
        raise Diverged(_why_diverged(problem, state, loss, finite), epoch=state.epoch)
    return loss


def _why_diverged(problem: Problem, state: TrainState, loss: float, finite: bool) -> str:
    what = (
        f"the objective is {loss:.3g}, far above that of the best constant prediction"
        if finite
        else "the objective or the weights are no longer finite numbers"
    )
    return (
        f"Training diverged in epoch {state.epoch} (step {state.steps}): {what}. "
        f"The steps are too long for the scale of the features: scale them "
        f"(sklearn.preprocessing.StandardScaler), or lower the learning rate "
        f"({problem.schedule!r}), or use an optimizer with a step per weight "
        f"(optimizer='adagrad' or 'adam')."
    )


def _validate(problem: Problem, state: TrainState, validation: Validation | None) -> float | None:
    """Judge the held-out rows; keep the parameters if they are the best so far."""
    if validation is None:
        return None
    held_out = validation.data
    z = scores(held_out.rows, state.current(), problem.n_outputs, held_out.index)
    score = validation.score(z)
    if score > state.best_score:
        state.best_score = score
        state.best_params = state.current().copy()
    return score


def _stalled(
    problem: Problem,
    state: TrainState,
    loss: float,
    score: float | None,
    validation: Validation | None,
) -> bool:
    """Tell whether improvement has ended; an adaptive rate may still come down instead."""
    by_score = score is not None and validation is not None and validation.stops
    value = score if by_score and score is not None else -loss
    if problem.tol is not None:
        state.stalled = 0 if value >= state.best + problem.tol else state.stalled + 1
    state.best = max(state.best, value)
    if state.stalled < problem.patience or problem.tol is None:
        return False
    after_stall = getattr(problem.schedule, "after_stall", None)
    factor = after_stall(state.rate_factor) if after_stall is not None else None
    if factor is None:
        return True
    state.rate_factor, state.stalled = factor, 0
    return False


def polish(problem: Problem, data: Dataset, state: TrainState, rate: float) -> NDArray[np.float64]:
    """Return the averaged parameters after one proximal step on all rows.

    An average of iterates has no exact zeros even where every iterate has: one full step with
    an l1 penalty sets them. The step is shortened until the objective does not grow.
    """
    from gradstep.engine.evaluation import mean_loss
    from gradstep.optim.optimizers import SGD

    def objective(params: NDArray[np.float64]) -> float:
        return mean_loss(problem.loss, data, params, problem.n_outputs) + problem.penalty_of(params)

    start = state.current()
    full = replace(
        problem, optimizer=SGD(), batch_size=data.n, average_from=0, shuffle="none"
    )
    plan = _Plan.of(full, data, data.mean_weight)
    limit = objective(start)
    for halvings in range(30):
        trial = full.start(*full.split(start))
        plan.run(trial, plan.order(0), range(1), np.array([rate / 2.0**halvings]))
        if objective(trial.params) <= limit:
            return trial.params
    return start.copy()
