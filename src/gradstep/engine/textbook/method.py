"""The textbook method: the rows in batches, and a step for each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.average_path import lines_of, path_of, why_no_path
from gradstep.engine.baseline import Baseline
from gradstep.engine.records import Epoch, Outcome
from gradstep.engine.state import TextbookState
from gradstep.engine.stopping import stalled
from gradstep.engine.textbook.epoch import EpochBatches
from gradstep.engine.textbook.steps import show_params
from gradstep.errors import Diverged

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TrainState
    from gradstep.engine.textbook.steps import Run
    from gradstep.rows.dataset import Dataset

__all__ = ["ADVICE", "Textbook"]

ADVICE = "The steps are too long"  # the beginning of the advice after a divergence


class Textbook:
    """The textbook method for a problem.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    data : Dataset
        The rows.
    state : TextbookState
        The state that the run begins with, or goes on from.
    excess_of : callable, optional
        Returns how far the objective at some parameters is above its least value.
    incremental : bool
        Whether the rows are one part of a stream (see `Baseline`).
    """

    def __init__(
        self, problem: Problem, data: Dataset, state: TextbookState,
        excess_of: Callable[[NDArray[np.float64]], float] | None = None, *,
        incremental: bool = False,
    ) -> None:  # fmt: skip
        self._problem, self._excess_of = problem, excess_of
        mean_weight = state.seen[1] / state.seen[2] if incremental else data.mean_weight
        self._batches = EpochBatches(problem, data, mean_weight)
        self._baseline = Baseline(problem.loss, data, problem.n_outputs, state.start, incremental)
        self._rows = 0  # of the epoch so far, for its speed

    @staticmethod
    def begins(
        problem: Problem, data: Dataset, state: TrainState, *, incremental: bool
    ) -> TextbookState:
        """Return a state of this method, which shares no array with the one given."""
        if not isinstance(state, TextbookState):
            state = problem.start(*problem.split(state.current()))
        state = state.standardised(problem.standardisation).copy()
        if why_no_path(problem):
            state.path = None
        elif state.path is None and not state.averaged:
            state.path = path_of(problem)
        if incremental and state.batch == 0:
            state.seen += (0.0, data.weight_sum, data.n)
        return state

    def close(self) -> None:
        """End the threads."""
        self._batches.close()

    def epoch(
        self, state: TextbookState, max_batches: int | None = None, *, more: bool = True
    ) -> tuple[TextbookState, Epoch | None, int | None]:
        """Train on the epoch's batches, or the rest; see `gradstep.engine.method.Method`."""
        batches, rate = self._batches, 0.0
        for run in batches.epoch(state.epoch, state.batch, at_most=max_batches, more=more):
            rates = batches.rates(state, run.batches)
            self._train_on(run, state, rates)
            rate = float(rates[-1])
            self._rows += run.n
            if max_batches is not None:
                max_batches -= len(run.batches)
        if state.batch < batches.n_batches:
            return state, None, max_batches
        loss = self._end_epoch(state)
        excess = None if self._excess_of is None else self._excess_of(state.current())
        rows, self._rows = self._rows, 0
        return state, Epoch(loss, rate, rows, excess=excess), max_batches

    def show(self, state: TextbookState) -> None:
        """Bring all features up to date; see `gradstep.engine.method.Method`."""
        show_params(self._problem, state)

    def outcome(self, state: TextbookState, epoch: Epoch, *, by_score: bool) -> Outcome | None:
        """Tell whether the objective has stopped improving, unless a score decides."""
        if not by_score and stalled(self._problem, state, -epoch.loss):
            return Outcome.CONVERGED
        return None

    def _train_on(self, run: Run, state: TextbookState, rates: NDArray[np.float64]) -> None:
        """Train on a run of batches, and look at the path of averages where it is due."""
        problem, done = self._problem, 0
        while done < rates.size:
            steps = rates.size - done if state.path is None else self._until_due(state)
            stop = min(done + steps, rates.size)
            part = run.part(done, stop, self._batches.batch_size)
            self._batches.train_on(part, state, rates[done:stop])
            count, done = float(state.counters[2]), stop
            if state.path is not None and count >= state.path.due:
                state.path = state.path.with_average(count, lines_of(problem, state.current()))

    def _until_due(self, state: TextbookState) -> int:
        """Return how many steps may be taken until the path of averages is to be looked at."""
        assert state.path is not None  # noqa: S101
        averaged = int(state.counters[2])
        if averaged:
            return max(1, state.path.due - averaged)
        rows = self._problem.average_from - int(state.counters[1])
        return max(1, -(-rows // self._batches.batch_size))

    def _end_epoch(self, state: TextbookState) -> float:
        """End the epoch; return its running objective, or raise `Diverged`."""
        problem, baseline = self._problem, self._baseline
        state.epoch += 1
        state.batch = 0
        state.multiply_scale_in()
        show_params(problem, state)
        total, weight = state.sums
        state.sums[:] = 0.0
        running = float(total / weight) if weight > 0.0 else 0.0
        params = state.current()
        penalty = problem.penalty_of(params)
        loss = running + penalty
        finite = math.isfinite(loss) and bool(np.isfinite(state.params).all())
        seen = 0.0
        if baseline.incremental:
            state.seen[0] += baseline.at_zero * baseline.constant.weight_sum
            seen = float(state.seen[0] / state.seen[1]) if state.seen[1] > 0.0 else 0.0
        settles = getattr(problem.schedule, "settles", False)
        bounds = problem.constraints
        settles = settles or not (bounds is None or bounds.allow_zero)  # as no constant can be
        if not finite or (not settles and baseline.diverged(running, params, seen)):
            raise Diverged(_why_diverged(problem, state, loss, finite), epoch=state.epoch)
        return loss


def _why_diverged(problem: Problem, state: TextbookState, loss: float, finite: bool) -> str:
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
