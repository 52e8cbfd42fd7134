"""One run, for arrays and for tables: from a plan and a start to parameters and a record."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.callbacks import History
from gradstep.engine.checkpoint import Checkpoint
from gradstep.engine.checkpoint_folder import Content, EndedRun
from gradstep.engine.records import Outcome
from gradstep.errors import ClusterLost, Diverged, InvalidCheckpoint
from gradstep.objective.penalties import sets_zeros
from gradstep.optim.solvers import is_automatic
from gradstep.tensor_file import MISSTATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.engine.callbacks import End, EpochEnd
    from gradstep.engine.records import EpochRecord
    from gradstep.engine.restart import TrainResult
    from gradstep.engine.state import Problem, TrainState, Validation
    from gradstep.fit.plan import Plan
    from gradstep.model.model import Model
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["RunResult", "keeping_best", "run", "start_of"]


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Attributes
    ----------
    params : ndarray of shape (size,)
        The model's parameters: of the epoch with the best validation score, if there is one, else
        of the last epoch.
    problem : Problem
        The problem of the last attempt: a restart lowers the learning rate.
    state : TrainState or None
        Where the run ended; None if it was interrupted.
    outcome : Outcome
        How the run ended.
    records : list of EpochRecord
        One for each epoch.
    notes : list of Note
        What a person should know.
    columns : Columns or None
        Statistics of the columns, if the plan uses them.
    score : float
        Score of the parameters on the validation rows; -inf if there are none.
    """

    params: NDArray[np.float64]
    problem: Problem
    state: TrainState | None
    outcome: Outcome
    records: list[EpochRecord]
    notes: list[Note] = field(default_factory=list)
    columns: Columns | None = None
    score: float = -math.inf


class _Best:
    """Keeps the best parameters so far: by validation, else the last epoch's."""

    def __init__(self, start: TrainState) -> None:
        self.params, self.score = start.best_params, start.best_score
        if self.params is None and start.epoch:  # a run that goes on
            self.params = start.current()

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Keep them."""
        state = event.state
        if state.best_params is None:
            self.params = state.current().copy()
        else:
            self.params, self.score = state.best_params, state.best_score

    def on_end(self, end: End) -> None:
        """Forget the parameters of a run that diverged, unless a validation score chose them."""
        if isinstance(end.error, Diverged) and self.score == -math.inf:
            self.params = None

    @contextmanager
    def left_by_a_lost_cluster(self) -> Iterator[None]:
        """Hand the best parameters to the error of a lost cluster."""
        try:
            yield
        except ClusterLost as error:
            error.params = self.params
            raise


def run(
    chosen: Plan,
    data: Dataset,
    start: TrainState,
    *,
    validation: Validation | None = None,
    callbacks: Sequence[Any] = (),
    may_restart: bool = False,
    keep_interrupted: bool = False,
) -> RunResult:
    """Train to the end.

    Parameters
    ----------
    chosen : Plan
        What is fixed.
    data : Dataset
        The rows to train on.
    start : TrainState
        Where to start from.
    validation : Validation, optional
        Held-out rows.
    callbacks : sequence of Callback
        Called at the start, after each epoch and at the end.
    may_restart : bool
        Whether a run that diverges is started again with a shorter step.
    keep_interrupted : bool
        Whether Ctrl-C ends the run with the best parameters so far, if there are any.

    Raises
    ------
    Diverged
        If the objective is no longer finite, or far too large, and no shorter step was allowed or
        none helped.
    """
    from gradstep.fit.empty_features import fewer_features  # imports Numba

    rest = {"may_restart": may_restart, "keep_interrupted": keep_interrupted}
    fewer = fewer_features(chosen, data, start)
    if fewer is None:
        return _run(chosen, data, start, validation, callbacks, **rest)
    checkpoint, others = _apart(callbacks)  # of this run, so that it goes on as what it was
    seen = [*map(fewer.callback, others), *([] if checkpoint is None else [checkpoint])]
    judged_by = fewer.validation(validation)
    return fewer.result(_run(fewer.plan, fewer.data, fewer.start, judged_by, seen, **rest))


def _run(
    chosen: Plan, data: Dataset, start: TrainState, validation: Validation | None,
    callbacks: Sequence[Any], *, may_restart: bool, keep_interrupted: bool,
) -> RunResult:  # fmt: skip
    """Train to the end, with these features."""
    from gradstep.engine import restart  # imports Numba

    problem = _with_tol_of_loss(chosen.problem, data, validation)
    checkpoint, others = _apart(callbacks)
    history = History()
    found = None if checkpoint is None else checkpoint.begin_run([history, *others])
    if checkpoint is not None and isinstance(found, EndedRun):
        checkpoint.end_run(found)
        return _replayed(found, problem, chosen.columns)
    goes_on = over = None
    if checkpoint is not None and isinstance(found, Content):
        goes_on, over = _state_in(found, problem, data, checkpoint.path), found.how
        if over is not None:
            checkpoint.skip_run(goes_on, over)
    best = _Best(start if goes_on is None else goes_on)
    listeners = [history, best, *others, *([] if checkpoint is None else [checkpoint])]
    try:
        with best.left_by_a_lost_cluster():
            ended = restart.run(
                problem, data, start, goes_on=goes_on, over=over, columns=chosen.columns,
                validation=validation, callbacks=listeners, may_restart=may_restart,
            )  # fmt: skip
    except KeyboardInterrupt:
        if not keep_interrupted or best.params is None:
            raise
        result = RunResult(
            best.params, problem, None, Outcome.INTERRUPTED, history.records,
            columns=chosen.columns, score=best.score,
        )  # fmt: skip
    else:
        result = _result_of(ended, data, history.records, chosen.columns, validation)
        if result.outcome is Outcome.INTERRUPTED and not np.isfinite(result.params).all():
            if best.params is None:  # it was diverging, in its first epoch
                raise KeyboardInterrupt
            result = replace(result, params=best.params)
    if checkpoint is not None:
        restarts = 0 if result.state is None else result.state.restarts
        checkpoint.end_run(
            EndedRun(
                result.params, result.score, result.outcome, restarts, result.records, result.notes
            )
        )
    return result


@contextmanager
def keeping_best(model_of: Callable[[NDArray[np.float64]], Model]) -> Iterator[None]:
    """Give the error of a lost cluster the model of the best parameters so far."""
    try:
        yield
    except ClusterLost as error:
        if error.params is not None:
            error.model = model_of(error.params)
        raise


def _apart(callbacks: Sequence[Any]) -> tuple[Checkpoint | None, list[Any]]:
    """Return the checkpoint among callbacks, which is called last, and the others."""
    found = next((each for each in callbacks if isinstance(each, Checkpoint)), None)
    return found, [each for each in callbacks if each is not found]


def _replayed(found: EndedRun, problem: Problem, columns: Columns | None) -> RunResult:
    """Return the result of a run that had ended when the checkpoint was written."""
    from gradstep.engine.restart import shortened  # imports Numba

    return RunResult(
        found.params, shortened(problem, found.restarts), None, found.outcome, found.records,
        found.notes, columns, found.score,
    )  # fmt: skip


def _state_in(found: Content, problem: Problem, data: Dataset, path: Path) -> TrainState:
    """Return the state in a checkpoint, if it is one of this problem."""
    from gradstep.engine.state_check import state_of  # imports Numba

    try:
        return state_of(problem, found.state, data.n)
    except MISSTATED as error:
        msg = f"The checkpoint in {path} is damaged: {error}. Delete {path} to begin anew."
        raise InvalidCheckpoint(msg) from error


def _result_of(
    ended: TrainResult, data: Dataset, records: list[EpochRecord], columns: Columns | None,
    validation: Validation | None,
) -> RunResult:  # fmt: skip
    """Return the result of a run that has ended, of the epoch that is the model's."""
    from gradstep.engine.textbook.proximal_finish import polish  # imports Numba

    problem, state = ended.problem, ended.state
    params, score = state.best_params, state.best_score
    last = records[-1].validation if records else None
    if last is not None and validation is not None and validation.takes_last(ended.outcome):
        params, score = None, last
    params = state.current() if params is None else params
    if state.averaged and sets_zeros(problem.penalty) and records:
        params = polish(problem, data, params, records[-1].learning_rate)
    return RunResult(params, problem, state, ended.outcome, records, ended.notes, columns, score)


def _with_tol_of_loss(problem: Problem, data: Dataset, validation: Validation | None) -> Problem:
    """Return the problem with `tol` multiplied by the best constant's loss, if a loss is watched.

    The automatic method watches its steps instead, and a validation score has its own unit.
    """
    by_score = validation is not None and validation.stops and validation.score is not None
    if is_automatic(problem.optimizer) or by_score or problem.tol is None:
        return problem
    from gradstep.engine.baseline import Baseline  # imports Numba

    baseline = Baseline(problem.loss, data, problem.n_outputs, np.zeros(problem.size))
    return replace(problem, tol=problem.tol * baseline.scale)


def start_of(
    problem: Problem,
    data: Dataset,
    coef: NDArray[np.float64] | None = None,
    intercept: NDArray[np.float64] | None = None,
    *,
    at_constant: bool,
) -> TrainState:
    """Return the first state: given weights, the best constant prediction, or zeros.

    Parameters
    ----------
    problem, data
        What is fixed, and the rows.
    coef, intercept : ndarray, optional
        Weights to start from. An optimizer that goes to the optimum starts from the best constant
        instead, if that has the lower objective: far from the optimum the second derivative of a
        loss may be 0, so that no step can be computed.
    at_constant : bool
        Whether to start from the best constant if no weights are given; else from zeros, as in the
        textbook. From the constant, the weights of a category's levels, which together could
        replace the intercept, become differences from it.
    """
    from gradstep.engine.baseline import best_constant  # these import Numba
    from gradstep.engine.evaluation import mean_loss

    k, given = problem.n_outputs, coef is not None or intercept is not None
    automatic = is_automatic(problem.optimizer)
    constant = None
    if problem.fit_intercept and (automatic if given else at_constant):
        constant = best_constant(problem.loss, data.sample_without_features(), k)
    elif not problem.fit_intercept and intercept is not None:
        intercept = np.zeros(k)
    other = problem.start(None, constant)
    if not given:
        return other
    state = problem.start(coef, intercept)
    if not automatic or np.array_equal(other.current(), state.current()):
        return state
    with np.errstate(all="ignore"):
        of_other, of_state = (
            mean_loss(problem.loss, data, at, k) + problem.penalty_of(at)
            for at in (other.current(), state.current())
        )
    return state if of_state <= of_other else other
