"""The loop in rounds: from anchor to anchor; judge, report, maybe stop."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from gradstep.engine.callbacks import Callbacks, End, EpochEnd, Start
from gradstep.engine.passes import Passes
from gradstep.engine.rounds import Rounds, Way
from gradstep.engine.state import EpochRecord, Outcome
from gradstep.engine.statistics import columns_of
from gradstep.engine.training import judge, stalled
from gradstep.errors import Diverged
from gradstep.optim.solvers import Exact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.data.dataset import Dataset
    from gradstep.engine.rounds import Anchor, Step
    from gradstep.engine.state import Problem, TrainState, Validation
    from gradstep.engine.statistics import Columns

__all__ = ["descend"]

_NUMBERS_END = 1e-14  # of the square root of the loss: steps in the metric below it are noise
_EXACTLY = 1e-11  # tol of the exact solution
_STALLS = 2  # epochs in a row that gain nothing, after which there is nothing to gain


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
            progress = _Progress(problem, rounds, rounds.objective(state.params))
            epoch_began, read = time.perf_counter(), 0
            anchor, step = rounds.first(state.params.copy())
            if not math.isfinite(anchor.objective):
                raise Diverged(_NOT_FINITE, epoch=0)
            while outcome is None:
                if state.epoch >= problem.max_epochs:
                    outcome = Outcome.MAX_EPOCHS
                    break
                if step is None:
                    anchor, step = rounds.advance(anchor)
                seconds = time.perf_counter() - epoch_began
                state.epoch += 1
                objective = rounds.true_objective(anchor)
                if objective <= progress.least:
                    progress.least, state.params[:] = objective, anchor.params
                score = judge(problem, state, validation)
                optimality, excess = progress.see(anchor, objective, step)
                record = EpochRecord(
                    state.epoch, progress.least, score, step.rate,
                    (passes.rows_read - read) / max(seconds, 1e-9), seconds,
                    passes.rows_read / data.n, optimality, excess, step.note,
                )  # fmt: skip
                if told.on_epoch_end(EpochEnd(record, problem, data, state)):
                    outcome = Outcome.CALLBACK
                elif score is not None and validation is not None and validation.stops:
                    if stalled(problem, state, progress.least, score, validation):
                        outcome = Outcome.VALIDATION
                if outcome is None:
                    outcome = progress.outcome()
                step, epoch_began, read = None, time.perf_counter(), passes.rows_read
    except BaseException as exception:
        error = exception
        raise
    finally:
        told.on_end(End(outcome, error, state.epoch, time.perf_counter() - began))
    return state, outcome


_NOT_FINITE = (
    "The objective is not a finite number where training starts: the numbers of the data, or the "
    "weights to start from (coef_init, intercept_init), are too large. Scale the target, or leave "
    "the start to gradstep."
)


class _Progress:
    """How far a run has come, and whether there is any further to go."""

    def __init__(self, problem: Problem, rounds: Rounds, start: float) -> None:
        self.problem, self.rounds, self.start = problem, rounds, start
        self.least = self.last = start
        self.optimality: float | None = None
        self.length: float | None = None
        self.stalls = 0
        self.taken_back = False
        self.gained = math.inf

    def see(
        self, anchor: Anchor, objective: float, step: Step
    ) -> tuple[float | None, float | None]:
        """Return the length of the next step over that at the start, and the excess if known.

        For a quadratic objective, half the square of the step's length is how far the objective
        is above its least value. So the length at the start is taken from the fall since then,
        which costs no look at the rows.
        """
        rounds = self.rounds
        self.gained, self.last = self.last - objective, self.least
        self.taken_back = step.taken_back
        if not rounds.has_optimality:
            return None, None
        length = rounds.step_length(anchor)
        excess = None
        if length is None:
            self.optimality = None
        else:
            fall = max(self.start - anchor.objective, 0.0)
            noise = _NUMBERS_END * math.sqrt(rounds.scale_of_loss)
            whole = math.sqrt(2.0 * fall + length * length)
            self.optimality = 0.0 if length <= noise else length / whole
            if rounds.knows_excess:
                excess = 0.5 * length * length
            nothing = self.gained <= rounds.noise(anchor)
            shorter = self.length is None or length < 0.5 * self.length
            if not step.taken_back:
                self.stalls = self.stalls + 1 if nothing and not shorter else 0
        self.length = length
        return self.optimality, excess

    def outcome(self) -> Outcome | None:
        """Return how the run ends, if it does."""
        problem, rounds = self.problem, self.rounds
        tol = _EXACTLY if isinstance(problem.optimizer, Exact) else problem.tol
        if rounds.has_optimality:
            if tol is not None and self.optimality is not None and self.optimality <= tol:
                return Outcome.OPTIMAL
        elif tol is not None and not self.taken_back:
            self.stalls = self.stalls + 1 if self.gained < tol * rounds.gap else 0
            if self.stalls >= _STALLS and rounds.is_narrow:
                return Outcome.CONVERGED
        if rounds.stuck or (rounds.has_optimality and self.stalls >= _STALLS):
            return Outcome.ROUNDING
        return None
