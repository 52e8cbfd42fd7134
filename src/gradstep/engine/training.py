"""The loop: shuffle each epoch, walk in batches, update, report, maybe stop.

`train` takes a state and returns a state. It may stop after any batch and go on later: the
order of rows is a function of (seed, epoch), and everything else that evolves is in the state.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.baseline import Baseline
from gradstep.engine.callbacks import Callbacks, End, EpochEnd, Start
from gradstep.engine.evaluation import mean_loss, scores
from gradstep.engine.state import EpochRecord, Outcome, Problem, TrainState, Validation
from gradstep.engine.textbook.epoch import Walk
from gradstep.engine.textbook.steps import show_params
from gradstep.errors import Diverged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = ["ADVICE", "judge", "stalled", "train"]

ADVICE = "The steps are too long"  # how what to do about a divergence begins


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
    excess_of: Callable[[NDArray[np.float64]], float] | None = None,
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
    excess_of : callable, optional
        Returns how far the objective at some parameters is above its least value.

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
    state = state.copy().seen_through(problem.lens)
    last_epoch = problem.max_epochs if until_epoch is None else until_epoch
    if incremental and state.batch == 0:
        state.seen += (0.0, data.weight_sum, data.n)
    mean_weight = state.seen[1] / state.seen[2] if incremental else data.mean_weight
    told = Callbacks(callbacks)
    baseline = Baseline(problem.loss, data, problem.n_outputs, state.start, incremental)
    began = time.perf_counter()
    outcome: Outcome | None = None
    error: BaseException | None = None
    try:
        told.on_start(Start(problem, data, state))
        with Walk(problem, data, mean_weight) as walk:
            while outcome is None:
                if state.epoch >= last_epoch:
                    outcome = Outcome.MAX_EPOCHS if until_epoch is None else Outcome.PAUSED
                    break
                epoch_began, rate, rows = time.perf_counter(), 0.0, 0
                more = state.epoch + 1 < last_epoch
                for run in walk.epoch(state.epoch, state.batch, at_most=max_batches, more=more):
                    rates = walk.rates(state, run.batches)
                    walk.train_on(run, state, rates)
                    rate = float(rates[-1])
                    rows += run.n
                    if max_batches is not None:
                        max_batches -= len(run.batches)
                if state.batch < walk.n_batches:
                    show_params(problem, state)
                    outcome = Outcome.PAUSED
                    break
                seconds = time.perf_counter() - epoch_began
                loss = _end_of_epoch(problem, state, baseline)
                score = judge(problem, state, validation)
                excess = None if excess_of is None else excess_of(state.current())
                record = EpochRecord(
                    state.epoch, loss, score, rate, rows / max(seconds, 1e-9), seconds,
                    excess=excess,
                )  # fmt: skip
                if told.on_epoch_end(EpochEnd(record, problem, data, state)):
                    outcome = Outcome.CALLBACK
                elif stalled(problem, state, loss, score, validation):
                    by_score = validation is not None and validation.stops
                    outcome = Outcome.VALIDATION if by_score else Outcome.CONVERGED
    except BaseException as exception:
        error = exception
        raise
    finally:
        told.on_end(End(outcome, error, state.epoch, time.perf_counter() - began))
    return state, outcome


def _end_of_epoch(problem: Problem, state: TrainState, baseline: Baseline) -> float:
    """Close the epoch's books; return its running objective, or raise `Diverged`."""
    state.epoch += 1
    state.batch = 0
    state.multiply_scale_in()
    show_params(problem, state)
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
    settles = getattr(problem.schedule, "settles", False)
    if not finite or (not settles and baseline.diverged(running, state.current(), seen)):
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
        f"{ADVICE} for the scale of the features: use learning_rate='auto', which "
        f"takes columns of any scale, or scale them (sklearn.preprocessing.StandardScaler), or "
        f"lower the learning rate ({problem.schedule!r})."
    )


def judge(problem: Problem, state: TrainState, validation: Validation | None) -> float | None:
    """Judge the held-out rows; keep the parameters if they are the best so far."""
    if validation is None:
        return None
    held_out, k = validation.data, problem.n_outputs
    if validation.score is None:
        score = -mean_loss(problem.loss, held_out, state.current(), k)
    else:
        score = validation.score(scores(held_out.rows, state.current(), k, held_out.index))
    if score > state.best_score:
        state.best_score = score
        state.best_params = state.current().copy()
    return score


def stalled(
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
