"""Curvatures of a problem: of all rows or a sample, as a matrix or its diagonal.

Where the slope of a loss jumps (hinge, pinball), or its curvature does (Huber), a curvature is the
rise of the slope over a *width* of scores, and over that width doubled up to `reach` times: what
lies ahead is to be seen before a long step meets it. Both come down as a run comes to its end.
What lies farther away counts for a part, so that no feature is without a curvature.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.row_sums import Bends, Passes
from gradstep.engine.standardisation import Lens
from gradstep.engine.svrg.preconditioner import FullMetric
from gradstep.engine.svrg.sampling import Samples
from gradstep.objective.regression import SquaredError
from gradstep.objective.smoothed import smoothed
from gradstep.optim.solvers import Exact
from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.svrg.sampling import Sample
    from gradstep.engine.svrg.scaled_problem import Facts

__all__ = ["Curvatures"]

_ROWS_A_FEATURE = 20  # of the sample that the metric of mini-batch steps is made from,
_LEAST_ROWS = 2000  # at least
_NEWTON_ROWS_A_FEATURE = 100
_CHEAP_PRODUCTS = 5e8  # that a Newton step's curvature is made of, at least
_LENGTH_ROWS = 512
_LARGEST_ROWS = 4096
_POWER_STEPS = 8
_WIDTH = 1e-4  # of scores, between slopes that a curvature is taken from
# At first, of targets and of classes: wide where the slope jumps, so that few steps come near,
_FIRST_WIDTH, _FIRST_MARGIN = 0.5, 1.0
_BENT_WIDTH, _BENT_MARGIN = 0.25, 0.0625  # and narrower where the curvature does
_AFTER_PLAIN = 0.0625  # the same, where plain steps lead near first
_LAST_WIDTH, _LEAST_WIDTH = 1e-4, 1e-8
_NARROWING = 4.0
_REACH, _FARTHEST_REACH = 3, 20
_BEYOND_REACH, _LEAST_BEYOND = 0.1, 1e-6


class Curvatures:
    """The curvatures of a problem.

    Parameters
    ----------
    facts : Facts
        The problem.
    passes : Passes
        What sums over rows.

    Attributes
    ----------
    is_whole : bool
        Whether the last matrix was made of all rows.
    more_rows : int
        How many times as many rows as usual a sample has.
    """

    def __init__(self, facts: Facts, passes: Passes) -> None:
        self._facts, self._passes = facts, passes
        first = _FIRST_MARGIN if facts.of_classes else _FIRST_WIDTH
        if facts.has_optimality:
            first = _BENT_MARGIN if facts.of_classes else _BENT_WIDTH
        elif facts.starts_plain(facts.way()):
            first = _AFTER_PLAIN
        self._width = (_WIDTH if facts.smooth else first) * facts.score_unit
        self._width_before = self._width
        self._reach, self._beyond = self._kept = _REACH, _BEYOND_REACH
        self._samples = Samples(facts, passes)
        self._sample: Sample | None = None
        self._squares: NDArray[np.float64] | None = None
        self._diagonal: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._of_batch: dict[int, tuple[NDArray[np.float64], float, float]] = {}
        self.is_whole = False
        self.more_rows = 1

    # ------------------------------------------------------------------ widths

    @property
    def loss(self) -> Any:
        """The loss that slopes are taken of: smoothed, where they jump."""
        return self._through(self._width)

    @property
    def loss_before(self) -> Any:
        """The loss that slopes were taken of before the width was narrowed last."""
        return self._through(self._width_before)

    def _through(self, width: float) -> Any:
        loss = self._facts.problem.loss
        return loss if self._facts.has_optimality else smoothed(loss, width)

    @property
    def is_narrow(self) -> bool:
        """Whether the width is as small as it usually needs to be."""
        return self._facts.smooth or self._width <= _LAST_WIDTH * self._facts.score_unit

    @property
    def is_narrowest(self) -> bool:
        """Whether numbers leave no room for a smaller width."""
        return self._width <= _LEAST_WIDTH * self._facts.score_unit

    @property
    def reaches_farthest(self) -> bool:
        """Whether what lies ahead is seen as far as it can be."""
        return self._facts.smooth or self._reach >= _FARTHEST_REACH

    def narrow(self) -> None:
        """Take slopes that are nearer to each other from now on."""
        self._width_before = self._width
        self._width /= _NARROWING
        self._reach = min(self._reach + 2, _FARTHEST_REACH)

    def forget_before(self) -> None:
        """Go on from a point that is known by the loss as it is smoothed now."""
        self._width_before = self._width

    def reach_farther(self) -> None:
        """Look much farther ahead from now on."""
        self._reach = min(2 * self._reach + 2, _FARTHEST_REACH)
        self._beyond = _BEYOND_REACH

    def shorten_reach(self) -> None:
        """Look less far ahead, as after a whole step."""
        self._kept = self._reach, self._beyond
        self._reach = max(0, self._reach - 1)
        if self._facts.bounded:  # there is enough curvature without
            self._beyond = max(0.1 * self._beyond, _LEAST_BEYOND)

    def lengthen_reach(self, t: float) -> None:
        """Look farther ahead after all, since the step had to be shortened to t."""
        self.keep_reach()
        self._reach = min(self._reach + round(-math.log2(t)), _FARTHEST_REACH)
        self._beyond = min(10.0 * self._beyond, _BEYOND_REACH)

    def keep_reach(self) -> None:
        """Look as far ahead as before: there was no step."""
        self._reach, self._beyond = self._kept

    @property
    def _widths(self) -> NDArray[np.float64]:
        """Return widths, and what the curvature over each counts for: beyond reach, a part."""
        if self._facts.smooth:
            return np.array([[self._width], [1.0]])
        doublings = np.arange(_FARTHEST_REACH + 1)
        return np.array([
            self._width * 2.0**doublings, np.where(doublings <= self._reach, 1.0, self._beyond)
        ])  # fmt: skip

    # ------------------------------------------------------------------ matrices

    def _bends(self, pairs: int) -> Bends:
        lens = self._facts.lens
        return Bends(pairs, self._widths, lens.shift, lens.scale)

    @property
    def takes_all(self) -> bool:
        """Whether Newton steps are made of the curvatures of all rows, or nearly."""
        return self._newton_rows >= self._facts.data.n // 2

    @property
    def _newton_rows(self) -> int:
        """How many rows the curvature of a Newton step is made of: all, or the affordable."""
        facts, n = self._facts, self._facts.data.n
        if isinstance(facts.problem.optimizer, Exact) or facts.all_is_cheap:
            return n
        wanted = max(_NEWTON_ROWS_A_FEATURE * facts.q, _CHEAP_PRODUCTS / facts.products)
        return int(min(n, wanted * self.more_rows))

    @property
    def of_looks(self) -> Bends:
        """How a look takes curvatures for the Newton step that follows."""
        return self._bends(self._facts.pairs)

    def for_newton(
        self, params: NDArray[np.float64], seen: NDArray[np.float64] | None
    ) -> FullMetric:
        """Return the metric of a Newton step: what a look has seen, or by another one."""
        self.is_whole = self.takes_all
        if seen is None:
            sample = None if self.is_whole else self._draw(params, self._newton_rows)
            seen = self._look(params, sample, self._facts.pairs)
        return self._metric(params, seen)

    def for_steps(self, params: NDArray[np.float64]) -> FullMetric:
        """Return the metric of mini-batch steps, from a sample: a matrix for each output."""
        facts = self._facts
        wanted = max(_ROWS_A_FEATURE * facts.q, _LEAST_ROWS)
        rows = min(facts.data.n, wanted * self.more_rows)
        self._sample = self._draw(params, rows)
        self.is_whole = False
        return self._metric(params, self._look(params, self._sample, min(facts.pairs, facts.k)))

    def _look(
        self, params: NDArray[np.float64], sample: Sample | None, pairs: int
    ) -> NDArray[np.float64]:
        plain = None if self._facts.has_optimality else self._facts.problem.loss
        data = None if sample is None else sample.data
        return self._passes.curvatures(self.loss, params, self._bends(pairs), data, plain=plain)

    def _metric(self, params: NDArray[np.float64], matrices: NDArray[np.float64]) -> FullMetric:
        facts = self._facts
        return FullMetric(
            matrices, facts.k, facts.ridge, params, fit_intercept=facts.problem.fit_intercept
        )

    def mean_length(self, params: NDArray[np.float64], inverse: NDArray[np.float64]) -> float:
        """Return R², the mean length of the sample's rows in a metric, long rows counting more."""
        facts = self._facts
        sample = self._sample
        assert sample is not None  # noqa: S101
        n = sample.data.n
        at = np.arange(0, n, max(1, n // _LENGTH_ROWS), dtype=np.uint32)
        part, bends = sample.data.select(at), self._bends(facts.k)
        lengths = self._passes.lengths(facts.problem.loss, params, part, bends, inverse) / facts.k
        each = np.ones(at.size) if sample.chance is None else 1.0 / sample.chance[at]
        total = float((each * lengths).sum())
        return max(float((each * lengths * lengths).sum()) / total, 1.0) if total > 0.0 else 1.0

    def _draw(self, params: NDArray[np.float64], rows: int) -> Sample:
        """Return a sample of rows."""
        facts = self._facts
        if facts.columns.measured:  # centred and scaled: all squares have the mean 1
            return self._samples.draw(rows, None)
        if self._squares is None:
            k, p = facts.k, facts.q - 1
            found = self._passes.squares(facts.problem.loss, params, self._widths)
            self._squares = found[: k * p].reshape(k, p).mean(axis=0) * facts.lens.scale**2
        return self._samples.draw(rows, self._squares)

    # ------------------------------------------------------------------ the diagonal

    def diagonal(
        self, params: NDArray[np.float64], batch: int
    ) -> tuple[NDArray[np.float64], float, float]:
        """Return a diagonal metric for mini-batch steps, taken where it is first asked for.

        A feature that few rows have is in few batches: its step must not be that of a feature
        whose curvature is as small, but the same in every batch. So the mean length of rows, over
        the rows of a batch, is added to all.

        Returns
        -------
        inverse : ndarray of shape (k, p + 1)
            Of the metric.
        rate : float
            The longest safe step.
        bend : float
            Mean curvature of the loss.
        """
        facts, k, p = self._facts, self._facts.k, self._facts.q - 1
        scale = facts.lens.scale
        if self._diagonal is None:
            squares = self._passes.squares(facts.problem.loss, params, self._widths)
            bends = squares[k * p :]
            if isinstance(facts.data.rows, DenseRows):  # centred: all squares have the mean 1
                own = bends[:, None] * np.ones(p)
            else:
                own = squares[: k * p].reshape(k, p) * scale**2
            self._diagonal = own * (scale > 0.0), bends
        if batch in self._of_batch:
            return self._of_batch[batch]
        own, bends = self._diagonal
        length = own.sum(axis=1) + bends
        whole = np.concatenate([own, bends[:, None]], axis=1) + length[:, None] / batch
        with np.errstate(divide="ignore"):
            inverse = np.where(whole > 0.0, 1.0 / whole, 0.0)
        inverse[:, :-1] *= scale > 0.0
        inverse[:, -1] *= facts.problem.fit_intercept
        bend = float(bends.mean())
        rate = 1.0 / (1.0 + self._largest(inverse[0], bend))
        self._of_batch[batch] = inverse, rate, bend
        return self._of_batch[batch]

    def _largest(self, inverse: NDArray[np.float64], bend: float) -> float:
        """Return the largest curvature in a diagonal metric, by power iteration on a sample."""
        data, lens = self._facts.data, self._facts.lens
        at = np.linspace(0, data.n - 1, min(data.n, _LARGEST_ROWS)).astype(np.uint32)
        part = replace(data.permuted(at), y=np.zeros((at.size, 1)))
        one = Lens(lens.shift, lens.scale, 1)
        half = np.sqrt(inverse)
        x, most = np.ones((1, half.size)), 0.0
        with Passes(part, 1) as passes:
            for _ in range(_POWER_STEPS):
                x /= math.sqrt(float((x * x).sum()))
                _, raw = passes.gradient(SquaredError(), one.raw(x * half))
                x = one.gradient(raw) * half * bend
                size = math.sqrt(float((x * x).sum()))
                most = max(most, size)
                if not size > 0.0:
                    break
        return most
