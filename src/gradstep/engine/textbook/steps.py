"""Which kernel takes the steps of a run, with which scratch memory, and which threads help it.

The plain kernel works for every problem; it shares large batches among threads. Two others give the
same results to rounding, and cost what a batch touches instead of all features: one in place, for
plain SGD, and a lazy one. The choice depends on the problem and the data alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.engine.kernels.batches import (
    Batches,
    Iterate,
    Outputs,
    Scratch,
    Standardised,
    piece_room,
    run_batches,
    run_batches_in_place,
)
from gradstep.engine.kernels.compiled_losses import compiled_loss
from gradstep.engine.kernels.launch import launch
from gradstep.engine.kernels.lazy import PERIOD, bring_up_to_date, run_lazily
from gradstep.engine.kernels.pieces import close, new_queue, threads
from gradstep.engine.kernels.tiles import Data
from gradstep.objective.penalties import BoundedEach, ScaledEach
from gradstep.optim.optimizers import FTRL, SGD
from gradstep.optim.schedules import Adaptive, Constant, Exponential, StepDecay
from gradstep.rows.layouts import CsrRows
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TextbookState
    from gradstep.rows.layouts import Rows

__all__ = ["Run", "Steps", "UpdateKind", "many_features", "pieces_of", "show_params", "update_kind"]

# Rows of a piece at least; with fewer, sharing a batch costs more than it saves.
_PIECE_ROWS = 128
_MOST_PIECES = 8
_NUMBER_BYTES = 8
# Numbers that a piece reads at least, per parameter.
_NUMBERS_FOR_A_PARAMETER = 8
# Features per feature that a batch touches, from which steps skip the others; with fewer, stepping
# all of them in order is faster (measured from 2⁹ to 2¹⁸ features).
_MANY_IN_PLACE = 4
_MANY_LAZILY = 16
# Schedules whose rate stands still within an epoch (or nearly so).
_STEADY = (Constant, Adaptive, StepDecay, Exponential)


def pieces_of(batch_size: int, row_bytes: int, n_parameters: int) -> int:
    """Return how many pieces a batch is cut into; it depends on the data, never on the machine.

    Each piece has its own gradient, which must cost less than its rows.

    Parameters
    ----------
    batch_size : int
        Rows of a batch.
    row_bytes : int
        Memory of a row.
    n_parameters : int
        Parameters of one output.
    """
    by_rows = batch_size // _PIECE_ROWS
    least = _NUMBER_BYTES * _NUMBERS_FOR_A_PARAMETER * n_parameters
    return max(1, min(by_rows, batch_size * row_bytes // least, _MOST_PIECES))


class UpdateKind(Enum):
    """How steps are taken; the value says it in words."""

    PLAIN = "all features in each step"
    IN_PLACE = "the features of a batch, the weights times a number"
    LAZY = "the features of a batch, the others when they come up"


def many_features(rows: Rows, batch_size: int, times: int) -> bool:
    """Tell whether there are many times as many features as a batch touches.

    Parameters
    ----------
    rows : Rows
        The rows, in a layout with `n_touched`.
    batch_size : int
        Rows of a batch.
    times : int
        How many times.
    """
    touched: int = rows.n_touched(batch_size)  # type: ignore[attr-defined]
    return rows.n_features >= times * touched


def update_kind(problem: Problem, rows: Rows, batch_size: int) -> UpdateKind:
    """Return how steps are taken; it depends on problem and data, never on the machine.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    rows : Rows
        The rows.
    batch_size : int
        Rows of a batch.
    """
    optimizer, penalty = problem.optimizer, problem.penalty
    if problem.average_from or not hasattr(rows, "list_touched"):
        return UpdateKind.PLAIN
    own = problem.scale, problem.penalty_scales, problem.constraints
    if any(each is not None for each in own):
        return UpdateKind.PLAIN
    if type(optimizer) is SGD and hasattr(penalty, "shrink"):
        here = isinstance(rows, CsrRows) or many_features(rows, batch_size, _MANY_IN_PLACE)
        return UpdateKind.IN_PLACE if here else UpdateKind.PLAIN
    if not (hasattr(optimizer, "idle") and hasattr(penalty, "strengths")):
        return UpdateKind.PLAIN
    if type(optimizer) is FTRL and any(penalty.strengths()):
        steady = isinstance(problem.schedule, _STEADY)
        if not steady:  # each step would be a period of its own
            return UpdateKind.PLAIN
    return UpdateKind.LAZY if many_features(rows, batch_size, _MANY_LAZILY) else UpdateKind.PLAIN


def _penalties_of(problem: Problem) -> ScaledEach | BoundedEach | None:
    """Return what makes each weight's own penalty, bounds included; None if all are the same."""
    units, how = problem.penalty_units, problem.standardisation
    if problem.constraints is None:
        return None if units is None else ScaledEach(readonly(units))
    ones = np.ones(problem.n_features)
    bounds = problem.constraints.of_scaled(ones if how is None else how.scale)
    return BoundedEach(readonly(ones if units is None else units), *map(readonly, bounds))


def show_params(problem: Problem, state: TextbookState) -> None:
    """Bring all features up to date at the end of an epoch, or at a pause.

    At a pause, the state also keeps what was there before, and the run goes on from that; otherwise
    the last bits of a result would depend on where it paused.
    """
    if not state.since.size or state.behind.size:
        return
    since = state.since
    if state.batch:
        state.behind = np.vstack((state.params, state.slots))
        since = since.copy()
    launch(
        bring_up_to_date, (problem.penalty, problem.optimizer), state.params, state.slots, since,
        np.zeros(state.params.size), state.clock,
    )  # fmt: skip
    if not state.batch:
        state.since, state.clock = np.zeros(0, np.int32), np.zeros((0, 0))


class Run(NamedTuple):
    """A run of batches: their numbers in the epoch, and their rows.

    Attributes
    ----------
    batches : range
        Numbers of the batches.
    rows, y, sample_weight
        Arrays that have the rows.
    order : ndarray of uint32
        Row numbers in these arrays: first those of the run, then some more, for prefetching.
    n : int
        Rows of the run.
    """

    batches: range
    rows: Any
    y: Any
    sample_weight: Any
    order: NDArray[np.uint32]
    n: int

    def part(self, lo: int, hi: int, batch_size: int) -> Run:
        """Return the batches at positions lo to hi."""
        first, end = lo * batch_size, min(hi * batch_size, self.n)
        return self._replace(batches=self.batches[lo:hi], order=self.order[first:], n=end - first)


class Steps:
    """Takes the steps of a problem on rows of one layout.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    rows : Rows
        The rows, for their layout and size.
    batch_size : int
        Rows of a batch.
    mean_weight : float
        Gradients are divided by this, and by the number of rows.

    Attributes
    ----------
    helpers : int
        How many other threads share batches.
    read_twice : bool
        Whether a batch's rows are read again once all its scores are known.
    """

    def __init__(self, problem: Problem, rows: Rows, batch_size: int, mean_weight: float) -> None:
        self._problem = problem
        self._batch_size = batch_size
        self._mean_weight = mean_weight
        self._tile = rows.tile_rows()
        k, size = problem.n_outputs, problem.size
        self._kind = update_kind(problem, rows, batch_size)
        self.read_twice = self._kind is not UpdateKind.PLAIN
        pieces = 1 if self.read_twice else pieces_of(batch_size, rows.row_bytes(), size // k)
        if self._kind is UpdateKind.IN_PLACE:
            self._work = np.empty(2 * batch_size * k)
        else:
            self._work = np.zeros((pieces, piece_room(size, self._tile, k)))
        room = problem.n_features + 1 if self._kind is UpdateKind.LAZY else 0
        self._touched = (np.empty(room, np.int32), np.empty(room, np.int32))
        self._ahead = np.empty(size if hasattr(problem.optimizer, "lookahead") else 0)
        how = problem.standardisation
        self._standardised = (
            None if how is None else Standardised(readonly(how.shift), readonly(how.scale))
        )
        self._in_units = np.empty(0 if how is None else size)
        self._outputs = Outputs(
            k, problem.fit_intercept, problem.intercept_factor, problem.average_from
        )
        self._each = _penalties_of(problem)
        self._queue = new_queue() if pieces > 1 else None
        self.helpers = min(pieces, threads()) - 1
        self._pool = ThreadPoolExecutor(self.helpers, "gradstep-help") if self.helpers else None

    def close(self) -> None:
        """End the helpers."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def train_on(self, run: Run, state: TextbookState, rates: NDArray[np.float64]) -> None:
        """Train on a run of batches; changes the state in place."""
        problem = self._problem
        data = Data(run.rows, run.y, run.sample_weight)
        batches = Batches(
            run.order, run.n, self._batch_size, problem.last_batch == "mean", self._mean_weight,
            rates,
        )  # fmt: skip
        iterate = Iterate(state.params, state.slots, state.average, state.counters, state.sums)
        call = (batches, self._outputs, iterate)
        state.batch = run.batches.stop
        loss = compiled_loss(problem.loss)
        if self._kind is UpdateKind.IN_PLACE:
            two = (loss, problem.penalty)
            launch(run_batches_in_place, two, *call, data, self._work)
            return
        components = (loss, problem.penalty, problem.optimizer)
        if self._kind is UpdateKind.LAZY:
            self._resume(state)
            waiting = (state.since, state.clock)
            launch(
                run_lazily, components, *call, data, PERIOD, self._tile, waiting, self._touched,
                self._work[0],
            )  # fmt: skip
            return
        point = self._ahead if self._ahead.size else state.params
        if self._in_units.size:
            point = self._in_units
        scratch = Scratch(self._tile, self._ahead, self._in_units, point, self._work)
        shared = (data, self._standardised, self._each, scratch, self._queue)

        def take_part(helping: bool) -> None:
            launch(run_batches, components, *call, *shared, helping)

        if self._queue is not None:
            self._queue[:] = 0
        helpers: list[Future[None]] = []
        if self._pool is not None:
            helpers = [self._pool.submit(take_part, helping=True) for _ in range(self.helpers)]
        try:
            take_part(helping=False)
        finally:
            for helper in helpers:
                close(self._queue)  # if an error kept the kernel from closing it
                helper.result()

    def _resume(self, state: TextbookState) -> None:
        """Start to record which features are behind, or restore the record from before a pause."""
        if not state.since.size:
            optimizer: Any = self._problem.optimizer
            state.since = np.zeros(self._problem.n_features + 1, np.int32)
            state.clock = np.zeros(optimizer.clock_shape(PERIOD))
        elif state.behind.size:
            state.params[:], state.slots[:] = state.behind[0], state.behind[1:]
            state.behind = np.zeros((0, 0))
