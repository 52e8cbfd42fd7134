"""The loop: ask the method for an epoch, validate, record, report, maybe stop.

`train` takes a state and returns a state. It may stop after any epoch, or with the textbook
method after any batch, and go on later to the same bits: the order of rows is a function of (seed,
epoch), and everything else that evolves is in the state.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from gradstep.compiling import Moment
from gradstep.cut_files import refuse_cut_files
from gradstep.engine.automatic.method import Automatic
from gradstep.engine.automatic.state import AutomaticState
from gradstep.engine.callbacks import Callbacks, End, EpochEnd, Pause, Start
from gradstep.engine.evaluation import score_held_out
from gradstep.engine.records import EpochRecord, Outcome
from gradstep.engine.slices import Slices
from gradstep.engine.stopping import stalled
from gradstep.engine.textbook.method import Textbook
from gradstep.errors import InvalidParameter
from gradstep.optim.solvers import is_automatic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TrainState, Validation
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["train"]


def train(
    problem: Problem,
    data: Dataset,
    state: TrainState,
    *,
    columns: Columns | None = None,
    validation: Validation | None = None,
    callbacks: Sequence[Any] = (),
    until_epoch: int | None = None,
    max_batches: int | None = None,
    incremental: bool = False,
    excess_of: Callable[[NDArray[np.float64]], float] | None = None,
) -> tuple[Any, Outcome]:
    """Train until something says stop.

    Parameters
    ----------
    problem : Problem
        What is fixed; its optimizer decides the method.
    data : Dataset
        The rows to train on.
    state : TrainState
        Where to start from (`Problem.start`, or what an earlier call returned); not changed.
    columns : Columns, optional
        The statistics of the columns, if they are known; only the automatic method uses them.
    validation : Validation, optional
        Held-out rows, scored after each epoch.
    callbacks : sequence of Callback
        Called at the start, after each epoch and at the end.
    until_epoch : int, optional
        Number of epochs after which the run ends; `Problem.max_epochs` by default.
    max_batches : int, optional
        Batches after which to pause, even within an epoch; only for the textbook method.
    incremental : bool
        Whether the rows are one part of a stream (see `Baseline`); only for the textbook method.
    excess_of : callable, optional
        Returns how far the objective at some parameters is above its least value.

    Returns
    -------
    state : TrainState
        The state where the run ended, of the method's own class.
    outcome : Outcome
        How it ended.

    Raises
    ------
    Diverged
        If the objective is no longer finite, or is far worse than the best constant's.
    """
    method_of, current = _method_for(
        problem, data, state, columns, excess_of, max_batches=max_batches, incremental=incremental
    )
    last_epoch = problem.max_epochs if until_epoch is None else until_epoch
    listeners = Callbacks(callbacks)
    slices = Slices(listeners, max_batches)
    at_last = Outcome.MAX_EPOCHS if until_epoch is None else Outcome.PAUSED
    outcome = None if current.epoch < last_epoch else at_last
    began = time.perf_counter()
    error: BaseException | None = None
    try:
        listeners.on_start(Start(problem, data, current))
        with closing(method_of()) as method:
            epoch_began = Moment.now().seconds
            while outcome is None:
                # 1. An epoch of the method, or the rest of one, or a slice of it after which the
                #    callbacks are asked whether to go on.
                more = current.epoch + 1 < last_epoch
                current, epoch, left = method.epoch(current, slices.begin(current), more=more)
                slices.end(left)
                refuse_cut_files()
                if epoch is None:
                    over = Outcome.PAUSED if slices.at_end else None
                    outcome = listeners.on_pause(Pause(problem, data, current, over, method.show))
                    if outcome is not None:
                        method.show(current)
                    continue
                seconds = Moment.now().seconds - epoch_began
                # 2. The rows that were held out score it.
                score = score_held_out(problem, current, validation)
                # 3. It is recorded, and the callbacks are called.
                record = EpochRecord.of(current.epoch, epoch, score, seconds)
                if listeners.on_epoch_end(EpochEnd(record, problem, data, current)):
                    outcome = Outcome.CALLBACK
                # 4. Whether the run is over: the score decides that, or the method.
                elif validation is None or score is None or not validation.stops:
                    outcome = method.outcome(current, epoch, by_score=False)
                elif stalled(problem, current, score):
                    outcome = Outcome.VALIDATION
                else:
                    outcome = method.outcome(current, epoch, by_score=True)
                if outcome is None and current.epoch >= last_epoch:
                    outcome = at_last
                # 5. Here, as after a slice, the run could end and go on later.
                if listeners.pauses:
                    pause = Pause(problem, data, current, outcome, method.show)
                    outcome = listeners.on_pause(pause)
                epoch_began = Moment.now().seconds
    except BaseException as exception:
        error = exception
        raise
    finally:
        listeners.on_end(End(outcome, error, current.epoch, time.perf_counter() - began))
    return current, outcome


def _method_for(
    problem: Problem, data: Dataset, state: TrainState, columns: Columns | None, excess_of: Any, *,
    max_batches: int | None, incremental: bool,
) -> tuple[Callable[[], Any], Any]:  # fmt: skip
    """Return a function that makes the method of the optimizer, and its state at the start."""
    if not is_automatic(problem.optimizer):
        if data.executor is not None:
            msg = (
                f"{problem.optimizer!r} takes one step after another, each from where the last one "
                "ended: it cannot be spread over machines. Use optimizer='auto' (with "
                "learning_rate='auto'), or train on this machine."
            )
            raise InvalidParameter(msg)
        begun = Textbook.begins(problem, data, state, incremental=incremental)
        return lambda: Textbook(problem, data, begun, excess_of, incremental=incremental), begun
    if max_batches is not None or incremental:
        msg = f"{problem.optimizer!r} takes whole epochs over all rows: it has no batches to count."
        raise InvalidParameter(msg)
    return lambda: Automatic(problem, data, columns), AutomaticState.of(state)
