"""Mini-batch steps in a metric, over some of the rows: plain, or corrected by an anchor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.kernels.launch import launch
from gradstep.engine.kernels.svrg import run_in_diagonal_metric, run_in_full_metric
from gradstep.engine.row_sums import RUN_ROWS
from gradstep.engine.svrg.scaled_problem import Way
from gradstep.rows.order import order_of
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradstep.engine.row_sums import Passes
    from gradstep.engine.svrg.hessian import Curvatures
    from gradstep.engine.svrg.preconditioner import FullMetric
    from gradstep.engine.svrg.scaled_problem import Facts

__all__ = ["MiniBatches"]

_SAFE = 0.5  # of the longest step that is stable on average
_LONGEST = 0.5  # change of scores in a step, where the curvature has no bound


class MiniBatches:
    """What takes mini-batch steps.

    Parameters
    ----------
    facts, passes, curvatures
        The problem, what counts the rows read, and the metrics.

    Attributes
    ----------
    metric : FullMetric or None
        In which steps are taken; None for a diagonal one.
    short : float
        What steps have been shortened to.
    """

    def __init__(self, facts: Facts, passes: Passes, curvatures: Curvatures) -> None:
        self._facts, self._passes, self._curvatures = facts, passes, curvatures
        problem, data = facts.problem, facts.data
        self._order = order_of(
            problem.shuffle, data.n, problem.seed, data.rows.row_bytes(), shuffled=data.shuffled
        )[0]
        self._orders: dict[int, Any] = {}
        self._done_rows = 0
        self._of_metric: tuple[NDArray[np.float64], float] | None = None
        self._metric: FullMetric | None = None
        self.short = 1.0

    @property
    def metric(self) -> FullMetric | None:
        """The metric."""
        return self._metric

    @metric.setter
    def metric(self, metric: FullMetric) -> None:
        self._metric, self._of_metric = metric, None

    def run(
        self,
        start: NDArray[np.float64],
        anchor: NDArray[np.float64] | None,
        gradient: NDArray[np.float64] | None,
        rows: int,
    ) -> NDArray[np.float64] | None:
        """Take steps over some rows.

        Parameters
        ----------
        start : ndarray of shape (size,)
            Where, in the features' own units.
        anchor, gradient : ndarray of shape (size,), optional
            The anchor, and the gradient of the mean loss of all rows there.
        rows : int
            How many.

        Returns
        -------
        ndarray of shape (size,) or None
            The mean of the iterates of the second half; None if they left the numbers.
        """
        facts, data, k = self._facts, self._facts.data, self._facts.k
        lens = facts.lens
        params = lens.standardised(start)
        average, none = np.zeros_like(params), np.zeros(params.size)
        full = self._metric is not None
        batch, rate, longest, of_metric = self._in_full() if full else self._in_diagonal(start)
        batch = min(batch, rows)
        steps, taken = rows // batch, 0
        kernel = run_in_full_metric if full else run_in_diagonal_metric
        # Among the noise of plain steps a jump of the slope does no harm.
        loss = facts.problem.loss if anchor is None else self._curvatures.loss
        components = (loss,) if full else (loss, facts.problem.penalty)
        for order in self._take(steps * batch, max(batch, RUN_ROWS // batch * batch)):
            launch(
                kernel, components, readonly(data.rows), readonly(data.y),
                readonly(data.sample_weight), readonly(order), batch, data.mean_weight, k,
                data.rows.tile_rows(), readonly(lens.shift), readonly(lens.scale),
                *map(readonly, of_metric), rate * self.short, longest, anchor is not None,
                readonly(none if anchor is None else anchor),
                readonly(none if gradient is None else gradient),
                taken, steps // 2, params, average,
            )  # fmt: skip
            taken += order.size // batch
        self._passes.rows_read += steps * batch
        return lens.in_units(average) if np.isfinite(average).all() else None

    def _in_full(self) -> tuple[int, float, float, tuple[NDArray[np.float64], ...]]:
        facts = self._facts
        assert self._metric is not None  # noqa: S101
        if self._of_metric is None:
            inverse = self._metric.inverses()
            self._of_metric = inverse, self._curvatures.mean_length(self._metric.at, inverse)
        inverse, length = self._of_metric
        batch = facts.batch_size(Way.REDUCED, length)
        bend = float(self._metric.diagonal()[:, -1].mean())
        longest = math.inf if facts.bounded else _LONGEST * facts.score_unit * math.sqrt(bend)
        return batch, _SAFE / (1.0 + length / batch), longest, (inverse, facts.ridge)

    def _in_diagonal(
        self, start: NDArray[np.float64]
    ) -> tuple[int, float, float, tuple[NDArray[np.float64], ...]]:
        facts = self._facts
        batch = facts.batch_size(Way.DIAGONAL, float(facts.q))
        inverse, rate, bend = self._curvatures.diagonal(start, batch)
        longest = math.inf if facts.bounded else _LONGEST * facts.score_unit * math.sqrt(bend)
        flat = np.concatenate([inverse[:, :-1].reshape(-1), inverse[:, -1]])
        return batch, _SAFE * rate, longest, (flat, facts.unit)

    def _take(self, rows: int, at_once: int) -> Iterator[NDArray[np.uint32]]:
        """Yield the next rows of the shuffled order, going on from one epoch to the next."""
        data = self._facts.data
        epoch, at = divmod(self._done_rows, data.n)
        if at + rows > data.n:  # what is left of an order is fewer rows: take the next one
            epoch, at = epoch + 1, 0
        if epoch not in self._orders:
            self._orders = {epoch: self._order(epoch)}
        self._done_rows = epoch * data.n + at + rows
        order = self._orders[epoch]
        for lo in range(at, at + rows, at_once):
            yield data.rows_at(order[lo : min(lo + at_once, at + rows)])
