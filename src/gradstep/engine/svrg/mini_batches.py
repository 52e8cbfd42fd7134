"""Mini-batch steps in a preconditioner, over some of the rows: plain, or variance-reduced."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.engine.kernels.launch import launch
from gradstep.engine.kernels.svrg import (
    run_with_diagonal_preconditioner,
    run_with_full_preconditioner,
)
from gradstep.engine.row_sums import RUN_ROWS
from gradstep.engine.svrg.choice import StepKind, batch_size
from gradstep.rows.order import order_of
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradstep.engine.row_sums import RowSums
    from gradstep.engine.svrg.hessian import Hessians
    from gradstep.engine.svrg.preconditioner import Preconditioner
    from gradstep.engine.svrg.scaled_problem import ScaledProblem
    from gradstep.engine.svrg.state import Diagonal, Snapshot

__all__ = ["MiniBatches", "Steps"]

_SAFE = 0.5  # of the longest step that is stable on average
_LONGEST = 0.5  # change of scores in a step, where the second derivative has no bound


class Steps(NamedTuple):
    """How the steps of a run are taken.

    Attributes
    ----------
    batch : int
        Rows of a batch.
    rate : float
        Their length.
    longest : float
        The longest step, in the preconditioner's metric.
    arrays : tuple of ndarray
        Inverse of the preconditioner, and the penalty there: as the kernel takes them.
    full : bool
        Whether the preconditioner is a matrix.
    """

    batch: int
    rate: float
    longest: float
    arrays: tuple[NDArray[np.float64], NDArray[np.float64]]
    full: bool


class MiniBatches:
    """What takes mini-batch steps; keeps nothing that a result depends on.

    Parameters
    ----------
    of, row_sums
        The problem, and what counts the rows read.
    """

    def __init__(self, of: ScaledProblem, row_sums: RowSums) -> None:
        self._of, self._row_sums = of, row_sums
        problem, data = of.problem, of.data
        self._order = order_of(
            problem.shuffle, data.n, problem.seed, data.rows.row_bytes(), shuffled=data.shuffled
        )[0]
        self._orders: dict[int, Any] = {}

    def in_full(self, preconditioner: Preconditioner) -> Steps:
        """Return how steps are taken in a full preconditioner, made for them."""
        of, length = self._of, preconditioner.matrices.mean_length
        batch = batch_size(of, StepKind.REDUCED, length)
        longest = self._longest(preconditioner.of_intercepts)
        arrays = (preconditioner.inverses, of.ridge)
        return Steps(batch, _SAFE / (1.0 + length / batch), longest, arrays, full=True)

    def in_diagonal(self, hessians: Hessians, diagonal: Diagonal) -> Steps:
        """Return how steps are taken in the diagonal preconditioner."""
        of = self._of
        batch = batch_size(of, StepKind.DIAGONAL, float(of.q))
        inverse, rate, of_scores = hessians.diagonal_steps(diagonal, batch)
        flat = np.concatenate([inverse[:, :-1].reshape(-1), inverse[:, -1]])
        arrays = (flat, of.penalty_scale)
        return Steps(batch, _SAFE * rate, self._longest(of_scores), arrays, full=False)

    def _longest(self, of_scores: float) -> float:
        of = self._of
        return math.inf if of.bounded else _LONGEST * of.score_unit * math.sqrt(of_scores)

    def run(
        self, steps: Steps, step_factor: float, loss: Any, start: NDArray[np.float64],
        snapshot: Snapshot | None, rows: int, rows_done: int,
    ) -> tuple[NDArray[np.float64] | None, int]:  # fmt: skip
        """Take steps over some rows.

        Parameters
        ----------
        steps : Steps
            How.
        step_factor : float
            What they are shortened to.
        loss : Loss
            What slopes are taken of.
        start : ndarray of shape (size,)
            From where, in the features' own units.
        snapshot : Snapshot or None
            What corrects the steps; None for plain ones.
        rows : int
            How many rows.
        rows_done : int
            Rows of the shuffled order that are taken already.

        Returns
        -------
        params : ndarray of shape (size,) or None
            The mean of the iterates of the second half; None if they left the numbers.
        rows_done : int
        """
        of, data, standardisation = self._of, self._of.data, self._of.standardisation
        params = standardisation.flat(start)
        average, none = np.zeros_like(params), np.zeros(params.size)
        batch = min(steps.batch, rows)
        n_steps, taken = rows // batch, 0
        kernel = run_with_full_preconditioner if steps.full else run_with_diagonal_preconditioner
        components = (loss,) if steps.full else (loss, of.problem.penalty)
        at_once = max(batch, RUN_ROWS // batch * batch)
        orders, rows_done = self._take(n_steps * batch, at_once, rows_done)
        for order in orders:
            launch(
                kernel, components, readonly(data.rows), readonly(data.y),
                readonly(data.sample_weight), readonly(order), batch, data.mean_weight, of.k,
                data.rows.tile_rows(), readonly(standardisation.shift),
                readonly(standardisation.scale), *map(readonly, steps.arrays),
                steps.rate * step_factor, steps.longest, snapshot is not None,
                readonly(none if snapshot is None else snapshot.params),
                readonly(none if snapshot is None else snapshot.gradient),
                taken, n_steps // 2, params, average,
            )  # fmt: skip
            taken += order.size // batch
        self._row_sums.rows_read += n_steps * batch
        found = standardisation.flat_in_units(average) if np.isfinite(average).all() else None
        return found, rows_done

    def _take(
        self, rows: int, at_once: int, rows_done: int
    ) -> tuple[Iterator[NDArray[np.uint32]], int]:
        """Return the next rows of the shuffled order, going on from one epoch to the next."""
        data = self._of.data
        epoch, at = divmod(rows_done, data.n)
        if at + rows > data.n:  # what is left of an order is fewer rows: take the next one
            epoch, at = epoch + 1, 0
        if epoch not in self._orders:
            self._orders = {epoch: self._order(epoch)}
        order = self._orders[epoch]
        parts = (
            data.rows_at(order[lo : min(lo + at_once, at + rows)])
            for lo in range(at, at + rows, at_once)
        )
        return parts, epoch * data.n + at + rows
