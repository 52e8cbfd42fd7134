"""The loop in rounds: from anchor to anchor; judge, report, maybe stop."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from gradstep.engine.callbacks import Callbacks, End, EpochEnd, Start
from gradstep.engine.row_sums import Passes
from gradstep.engine.state import EpochRecord, Outcome
from gradstep.engine.statistics import columns_of
from gradstep.engine.svrg.method import Rounds
from gradstep.engine.training import judge, stalled
from gradstep.errors import Diverged
from gradstep.optim.solvers import Exact

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TrainState, Validation
    from gradstep.engine.statistics import Columns
    from gradstep.engine.svrg.method import Anchor, Step
    from gradstep.rows.dataset import Dataset

__all__ = ["descend"]

_NUMBERS_END = 1e-14  # of the square root of the loss: steps in the metric below it are noise
_EXACTLY = 1e-11  # tol of the exact solution
_NAMED = 5  # constant columns
_STALLS = 2  # epochs in a row that gain nothing, after which there is nothing to gain
_SHORTER = 0.9  # a step that falls no faster than that, while nothing is gained, is noise


def descend(
    problem: Problem,
    data: Dataset,
    state: TrainState,
    *,
    columns: Columns | None = None,
    validation: Validation | None = None,
    callbacks: Sequence[Any] = (),
) -> tuple[TrainState, Outcome]:
    """Train in rounds until the optimum is reached, or something else says stop.

    Parameters and results are those of `gradstep.engine.training.train`, and

    Parameters
    ----------
    columns : Columns, optional
        The statistics of the columns; measured here if they are not given.
    """
    state = state.copy()
    told = Callbacks(callbacks)
    began = time.perf_counter()
    outcome: Outcome | None = None
    error: BaseException | None = None
    try:
        told.on_start(Start(problem, data, state))
        with Passes(data, problem.n_outputs) as passes:
            if columns is None:
                columns = columns_of(data)
            passes.rows_read += data.n if columns.measured else 0
            rounds = Rounds(problem, data, columns, passes)
            progress = _Progress(problem, rounds, state.params)
            epoch_began, read = time.perf_counter(), passes.rows_read
            anchor, step = rounds.first(state.params.copy())
            progress.check(anchor)
            while outcome is None:
                if state.epoch >= problem.max_epochs:
                    outcome = Outcome.MAX_EPOCHS
                    break
                if step is None:
                    anchor, step = rounds.advance(anchor)
                seconds = time.perf_counter() - epoch_began
                state.epoch += 1
                optimality, excess = progress.see(anchor, step)
                state.params[:] = progress.params
                score = judge(problem, state, validation)
                record = EpochRecord(
                    state.epoch, progress.least, score, step.rate,
                    (passes.rows_read - read) / max(seconds, 1e-9), seconds,
                    passes.rows_read / data.n, optimality, excess,
                    _noted(step, columns if state.epoch == 1 and problem.fit_intercept else None),
                )  # fmt: skip
                if told.on_epoch_end(EpochEnd(record, problem, data, state)):
                    outcome = Outcome.CALLBACK
                elif _scores_stalled(problem, state, record, validation):
                    outcome = Outcome.VALIDATION
                else:
                    outcome = progress.outcome()
                step, epoch_began, read = None, time.perf_counter(), passes.rows_read
    except BaseException as exception:
        error = exception
        raise
    finally:
        told.on_end(End(outcome, error, state.epoch, time.perf_counter() - began))
    return state, outcome


def _noted(step: Step, columns: Columns | None) -> str:
    """Return what a person should know of an epoch; of the first, which columns are constant."""
    if columns is None or not columns.measured:
        return step.note
    constant = (columns.low >= columns.high).nonzero()[0]
    if not constant.size:
        return step.note
    which = ", ".join(map(str, constant[:_NAMED])) + (", ..." if constant.size > _NAMED else "")
    note = f"constant columns have the coefficient 0: {which}"
    return f"{step.note}; {note}" if step.note else note


def _scores_stalled(
    problem: Problem, state: TrainState, record: EpochRecord, validation: Validation | None
) -> bool:
    """Tell whether the validation score has stopped improving, if that is to end the run."""
    if record.validation is None or validation is None or not validation.stops:
        return False
    return stalled(problem, state, record.loss, record.validation, validation)


class _Progress:
    """How far a run has come, and whether there is any further to go.

    Attributes
    ----------
    least : float
        The least objective so far.
    params : ndarray of shape (size,)
        Where.
    """

    def __init__(self, problem: Problem, rounds: Rounds, start: NDArray[np.float64]) -> None:
        self._problem, self._rounds = problem, rounds
        self._start = self._last = self.least = rounds.begin(start)
        self.params = start.copy()
        self._optimality: float | None = None
        self._length: float | None = None
        self._stalls = 0
        self._gained = math.inf
        self._noise, self._highest = 0.0, -math.inf
        self._recent: deque[float] = deque(maxlen=problem.patience + 1)

    def check(self, anchor: Anchor) -> None:
        """Refuse to go on from where the objective is not a number."""
        if not math.isfinite(anchor.objective):
            msg = (
                "The objective is not a finite number where training starts: the numbers of the "
                "data, or the weights to start from (coef_init, intercept_init), are too large. "
                "Scale the target, or leave the start to gradstep."
            )
            raise Diverged(msg, epoch=0)

    def see(self, anchor: Anchor, step: Step) -> tuple[float | None, float | None]:
        """Return the length of the next step over that at the start, and the excess if known.

        For a quadratic objective, half the square of the step's length is how far the objective
        is above its least value. So the length at the start is taken from the fall since then,
        which costs no look at the rows.
        """
        rounds, facts = self._rounds, self._rounds.facts
        objective = anchor.true
        self._gained, self._last = self._last - objective, objective
        if objective < self.least or (facts.has_optimality and objective == self.least):
            self.least, self.params = objective, anchor.params
        if not step.taken_back:  # not the least: the way may lead down from above the start
            self._recent.append(objective)
            self._highest = max(self._highest, objective)
        self._noise = rounds.noise(anchor)
        rounds.fall = max(self._start - self.least, 0.0)
        if not facts.has_optimality:
            return None, None
        length = rounds.step_length(anchor)
        nothing = self._gained <= self._noise
        if length is None:  # there is no model's minimum to tell it by: what counts is the fall
            tol = self._problem.tol or 0.0
            nothing = nothing or self._gained <= tol * tol * rounds.fall
            self._stalls = self._stalls + 1 if nothing and not step.taken_back else 0
            self._optimality = None
            return None, None
        fall = max(self._start - anchor.objective, 0.0)
        whole = math.sqrt(2.0 * fall + length * length)
        noise = _NUMBERS_END * math.sqrt(rounds.size_of_sums(anchor))
        self._optimality = 0.0 if length <= noise else length / whole
        shorter = self._length is None or length < _SHORTER * self._length
        if not step.taken_back:
            self._stalls = self._stalls + 1 if nothing and not shorter else 0
        self._length = length
        return self._optimality, 0.5 * length * length if rounds.knows_excess else None

    def outcome(self) -> Outcome | None:
        """Return how the run ends, if it does."""
        problem, rounds = self._problem, self._rounds
        tol = _EXACTLY if isinstance(problem.optimizer, Exact) else problem.tol
        if rounds.stuck:
            return Outcome.ROUNDING if rounds.facts.has_optimality else Outcome.CONVERGED
        if rounds.facts.has_optimality:
            if tol is not None and self._optimality is not None and self._optimality <= tol:
                return Outcome.OPTIMAL
            return Outcome.ROUNDING if self._stalls >= _STALLS else None
        if tol is None or not rounds.is_narrow or len(self._recent) <= problem.patience:
            return None
        gained = self._recent[0] - self._recent[-1]
        fall = max(rounds.fall, self._highest - self._recent[-1])
        return Outcome.CONVERGED if gained <= max(tol * fall, self._noise) else None
