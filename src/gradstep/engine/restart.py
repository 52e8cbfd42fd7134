"""Runs a problem to its end; a run that diverges is started again with a shorter step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.diagnostics.of_fits import RATE_LOWERED
from gradstep.engine.automatic.least_squares import LeastSquares, has_exact_solution
from gradstep.engine.baseline import Baseline
from gradstep.engine.statistics import columns_of
from gradstep.engine.textbook.method import ADVICE
from gradstep.engine.training import train
from gradstep.errors import Diverged
from gradstep.optim.solvers import is_automatic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.engine.records import Outcome
    from gradstep.engine.state import Problem, TrainState, Validation
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["TrainResult", "past_help", "run", "shortened"]

# Restarts at most.
_RESTARTS = 12
# What the learning rate is divided by at each.
_SHORTER = 4.0
# Deviations from which a number is called far out, or this share of √n if that is less.
_FAR_OUT, _ALONE = 100.0, 0.8


@dataclass
class TrainResult:
    """How a run ended.

    Attributes
    ----------
    problem : Problem
        The problem of the last attempt: a restart lowers the learning rate.
    state : TrainState
        Where it ended.
    outcome : Outcome
        How.
    notes : list of Note
        What a person should know.
    """

    problem: Problem
    state: TrainState
    outcome: Outcome
    notes: list[Note] = field(default_factory=list)


def run(
    problem: Problem,
    data: Dataset,
    start: TrainState,
    *,
    goes_on: TrainState | None = None,
    over: Outcome | None = None,
    columns: Columns | None = None,
    validation: Validation | None = None,
    callbacks: Sequence[Any] = (),
    may_restart: bool = False,
) -> TrainResult:
    """Run a problem to its end.

    Parameters
    ----------
    problem, data, validation, callbacks
        As of `gradstep.engine.training.train`.
    start : TrainState
        Where to start from, in each attempt.
    goes_on : TrainState, optional
        The state of an interrupted run, to go on from.
    over : Outcome, optional
        How that run had ended, if it had.
    columns : Columns, optional
        The statistics of the columns, if they are known.
    may_restart : bool
        Whether a run that diverges is started again with a shorter step: for learning rates that
        gradstep chose, not the user.

    Raises
    ------
    Diverged
        If the objective is no longer finite, or far too large, and no shorter step was allowed or
        none helped.
    """
    state, automatic = start if goes_on is None else goes_on, is_automatic(problem.optimizer)
    if over is not None:
        return _result_of(problem, data, state, over)
    excess_of = None
    if may_restart and not automatic and columns is not None and has_exact_solution(problem):
        excess_of = LeastSquares(problem, data, columns).excess
    while True:
        shorter = shortened(problem, state.restarts)
        try:
            ended = train(
                shorter, data, state, columns=columns if automatic else None,
                validation=validation, callbacks=callbacks, excess_of=excess_of,
            )  # fmt: skip
        except Diverged as error:
            if automatic or not may_restart or not hasattr(problem.schedule, "eta0"):
                raise
            if state.restarts >= _RESTARTS:
                raise past_help(shorter, data, error) from error
            state = replace(start, restarts=state.restarts + 1)
        else:
            return _result_of(problem, data, *ended)


def _result_of(problem: Problem, data: Dataset, state: TrainState, outcome: Outcome) -> TrainResult:
    """Return the result of a run, with notes on what a person should know."""
    notes = []
    for n in range(1, state.restarts + 1):
        schedule: Any = shortened(problem, n).schedule
        notes.append(
            RATE_LOWERED.note(
                "The step was too long for this data: the learning rate was brought down to "
                f"{schedule.eta0:.3g}."
            )
        )
    if getattr(problem.schedule, "settles", False) and not is_automatic(problem.optimizer):
        baseline = Baseline(problem.loss, data, problem.n_outputs, state.start)
        notes += baseline.notes(state.current())
    return TrainResult(shortened(problem, state.restarts), state, outcome, notes)


def shortened(problem: Problem, restarts: int) -> Problem:
    """Return the problem after so many restarts: each divides the first learning rate by 4."""
    if not restarts:
        return problem
    schedule: Any = problem.schedule
    return replace(problem, schedule=schedule._replace(eta0=schedule.eta0 / _SHORTER**restarts))


def past_help(problem: Problem, data: Dataset, error: Diverged) -> Diverged:
    """Return the error of a run that no shorter step has helped; it names a column's outlier."""
    what = str(error).partition(ADVICE)[0]
    msg = f"{what}It did so at every learning rate down to {problem.schedule!r}. "
    columns = columns_of(data)
    if columns.measured and columns.low.size:
        apart = np.maximum(columns.high - columns.mean, columns.mean - columns.low) / columns.scale
        j = int(apart.argmax())
        # One number alone among n is sqrt(n) deviations out.
        if apart[j] > min(_FAR_OUT, _ALONE * math.sqrt(data.n)):
            msg += (
                f"Column {j} has a number that lies {apart[j]:.3g} deviations out: clip or "
                "transform it. "
            )
    msg += (
        "Look at the target, and at a loss of your own; or fit all rows at once with "
        "optimizer='auto', which takes no step that leads up."
    )
    return Diverged(msg, epoch=error.epoch)
