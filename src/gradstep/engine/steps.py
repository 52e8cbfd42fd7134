"""Which kernel takes the steps of a run, with what scratch, and who helps it.

Three kernels do the same arithmetic: in place for plain SGD on sparse rows, together where
batches are large enough to be shared among threads, and the plain one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.engine.board import close, new_board, threads
from gradstep.engine.kernels import (
    help_with_batches,
    launch,
    piece_room,
    run_batches,
    run_batches_in_place,
)
from gradstep.engine.rows import CsrRows
from gradstep.optim.optimizers import SGD

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from gradstep.engine.rows import Rows
    from gradstep.engine.state import Problem, TrainState

__all__ = ["Run", "Steps", "pieces_of"]

_PIECE_ROWS = 128  # below, sharing out a batch costs more than it saves
_MOST_PIECES = 8
_NUMBER_BYTES = 8
_NUMBERS_FOR_A_PARAMETER = 8  # that a piece must read, at least


def pieces_of(batch_size: int, row_bytes: int, n_parameters: int) -> int:
    """Return how many pieces a batch is cut into: a function of the data, never of the machine.

    Each piece has a gradient to itself, which must cost less than its rows.

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


class Steps:
    """What takes the steps of a problem on rows of one layout.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    rows : Rows
        The rows, for their layout and size.
    batch_size : int
        Rows of a batch.
    mean_weight : float
        What gradients are divided by, besides the number of rows.

    Attributes
    ----------
    helpers : int
        How many other threads share in batches.
    read_twice : bool
        Whether a batch's rows are read again once all its scores are known.
    """

    def __init__(self, problem: Problem, rows: Rows, batch_size: int, mean_weight: float) -> None:
        self._problem = problem
        self._batch_size = batch_size
        self._mean_weight = mean_weight
        self._tile = rows.tile_rows()
        k, size = problem.n_outputs, problem.size
        self.read_twice = (
            isinstance(rows, CsrRows)
            and type(problem.optimizer) is SGD
            and hasattr(problem.penalty, "shrink")
            and not problem.average_from
        )
        pieces = 1 if self.read_twice else pieces_of(batch_size, rows.row_bytes(), size // k)
        self._work = np.empty(
            2 * batch_size * k if self.read_twice else (pieces, piece_room(size, self._tile, k))
        )
        self._ahead = np.empty(size if hasattr(problem.optimizer, "lookahead") else 0)
        self._board = new_board() if pieces > 1 else None
        self.helpers = min(pieces, threads()) - 1
        self._pool = ThreadPoolExecutor(self.helpers, "gradstep-help") if self.helpers else None

    def close(self) -> None:
        """End the helpers."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def train_on(self, run: Run, state: TrainState, rates: NDArray[np.float64]) -> None:
        """Train on a run of batches; changes the state in place."""
        problem = self._problem
        data = (run.rows, run.y, run.sample_weight)
        fixed = (
            run.order, 0, run.n, self._batch_size, problem.last_batch == "mean",
            self._mean_weight, rates, problem.n_outputs, problem.fit_intercept,
            problem.intercept_factor,
        )  # fmt: skip
        if self.read_twice:
            launch(
                run_batches_in_place, (problem.loss, problem.penalty), *data, *fixed,
                state.params, state.counters, self._work, state.sums,
            )  # fmt: skip
            state.batch = run.batches.stop
            return
        helping = self._start_helpers(run, state)
        try:
            launch(
                run_batches, (problem.loss, problem.penalty, problem.optimizer), *data, *fixed,
                problem.average_from, self._tile, state.params, state.slots, state.average,
                state.counters, self._board, self._ahead, self._work, state.sums,
            )  # fmt: skip
        finally:
            for helper in helping:
                close(self._board)  # where the kernel did not get that far
                helper.result()
        state.batch = run.batches.stop

    def _start_helpers(self, run: Run, state: TrainState) -> list[Future[None]]:
        if self._board is not None:
            self._board[:] = 0
        if self._pool is None:
            return []
        return [self._pool.submit(self._help, run, state) for _ in range(self.helpers)]

    def _help(self, run: Run, state: TrainState) -> None:
        problem = self._problem
        looks_ahead = hasattr(problem.optimizer, "lookahead")
        launch(
            help_with_batches, (problem.loss,), run.rows, run.y, run.sample_weight,
            run.order, 0, run.n, self._batch_size, problem.n_outputs, self._tile,
            self._ahead if looks_ahead else state.params, self._board, self._work,
        )  # fmt: skip
