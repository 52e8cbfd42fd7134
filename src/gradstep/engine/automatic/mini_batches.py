"""Variance-reduced mini-batch steps over some of the rows, in a diagonal preconditioner."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.automatic.choice import batch_size
from gradstep.engine.kernels.compiled_losses import compiled_loss
from gradstep.engine.kernels.launch import launch
from gradstep.engine.kernels.svrg import reduced_steps
from gradstep.engine.row_sums import RUN_ROWS
from gradstep.rows.order import order_of
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradstep.engine.automatic.hessian import Hessians
    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.state import AutomaticState
    from gradstep.engine.row_sums import RowSums
    from gradstep.rows.order import Order

__all__ = ["MiniBatches"]

# Share that is taken of the longest step that is stable on average (ADR 0010).
_SAFE = 0.5
# Largest change of scores in a step, if the second derivative of the loss has no bound.
_LONGEST = 0.5


class MiniBatches:
    """Takes mini-batch steps; keeps nothing that a result depends on.

    Parameters
    ----------
    of, row_sums
        The problem, and the counter of rows read.
    """

    def __init__(self, of: ScaledProblem, row_sums: RowSums) -> None:
        self._of, self._row_sums = of, row_sums
        self._orders: dict[int, Any] = {}

    @cached_property
    def _order(self) -> Order:
        problem, data = self._of.problem, self._of.data
        return order_of(
            problem.shuffle, data.n, problem.seed, data.rows.row_bytes(), shuffled=data.shuffled
        )[0]

    def run(
        self, hessians: Hessians, state: AutomaticState, rows: int
    ) -> tuple[NDArray[np.float64] | None, int]:
        """Take steps over some rows.

        Parameters
        ----------
        hessians : Hessians
            Gives the longest safe step in the diagonal preconditioner.
        state : AutomaticState
            The steps begin at its snapshot, whose gradient reduces their variance.
        rows : int
            How many rows.

        Returns
        -------
        params : ndarray of shape (size,) or None
            The mean of the iterates of the second half; None if they are not finite.
        rows_done : int
            Rows of the shuffled order that have been taken afterwards.
        """
        of, data, standardisation = self._of, self._of.data, self._of.standardisation
        snapshot, diagonal = state.at, state.diagonal
        assert diagonal is not None  # noqa: S101
        batch = min(batch_size(of), rows)
        inverse, rate, of_scores = hessians.diagonal_steps(diagonal, batch)
        flat = np.concatenate([inverse[:, :-1].reshape(-1), inverse[:, -1]])
        longest = math.inf
        if not of.has_curvature_bound:
            longest = _LONGEST * of.score_unit * math.sqrt(of_scores)
        params = standardisation.flat(snapshot.params)
        average = np.zeros_like(params)
        n_steps, taken = rows // batch, 0
        at_once = max(batch, RUN_ROWS // batch * batch)
        orders, rows_done = self._take(n_steps * batch, at_once, state.rows_done)
        for order in orders:
            launch(
                reduced_steps, (compiled_loss(state.smoothing.loss(of)), of.problem.penalty),
                *data.for_kernels, readonly(order), batch, data.mean_weight, of.k,
                data.rows.tile_rows(), readonly(standardisation.shift),
                readonly(standardisation.scale), readonly(flat), readonly(of.penalty_scale),
                _SAFE * rate * state.step_factor, longest, readonly(snapshot.params),
                readonly(snapshot.gradient), taken, n_steps // 2, params, average,
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
