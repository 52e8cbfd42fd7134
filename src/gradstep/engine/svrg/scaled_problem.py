"""What is known of a problem before its first step: its lens, its penalty, how to go about it."""

from __future__ import annotations

import math
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.row_sums import Passes
from gradstep.engine.standardisation import Lens
from gradstep.objective.classification import OneVsRest
from gradstep.objective.losses import curvature, is_smooth
from gradstep.objective.regression import SquaredError
from gradstep.objective.smoothed import smoothed
from gradstep.optim.solvers import Exact
from gradstep.rows.dataset import are_classes, score_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.engine.statistics import Columns
    from gradstep.rows.dataset import Dataset

__all__ = ["ALWAYS_NEWTON", "Facts", "Way"]

ALWAYS_NEWTON = 64  # features up to which the curvature of all rows costs no more than steps
_WIDEST = 1024  # parameters that a matrix of curvatures is made for,
_WIDEST_SPARSE = 2048  # and where rows have few of them
_MOST_NUMBERS = 1 << 24  # of the matrices of all outputs, of which some copies are made
_CHEAP_PRODUCTS = 5e8  # of all curvatures: some 20 ms
_AFFORDABLE_PRODUCTS = 1e10  # where they need to be summed once
_SCATTERED = 8  # products in a row of the matrix in the time of one that is not
_STEPS_PAY = 40  # rows a feature from which mini-batch steps beat a Newton step
_PLAIN_PAYS = 200  # rows a feature from which a plain epoch comes within 1 % of the optimum
_PLAIN_ROWS = 2000
_FEW = 10  # rows of a sample, at least, that a feature's squares must not hang on
_UNEVEN_ROWS_A_FEATURE = 100


class Way(Enum):
    """How an epoch goes from anchor to anchor."""

    PLAIN = "mini-batch steps"
    REDUCED = "variance-reduced steps"
    NEWTON = "a Newton step"
    DIAGONAL = "variance-reduced steps in a diagonal metric"


class Facts:
    """What is known of a problem.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    data : Dataset
        The rows.
    columns : Columns
        Their statistics.

    Attributes
    ----------
    k, q : int
        Number of outputs; of parameters of an output, its intercept included.
    lens : Lens
        How features are centred and scaled.
    unit : ndarray of shape (p,)
        What a weight behind the lens is multiplied by to be penalised.
    l1, ridge : ndarray of shape (q,)
        Strengths of the l1 penalty, and curvatures of the l2 penalty, behind the lens.
    only_prox : bool
        Whether the penalty is known by its proximal map alone.
    smooth, bounded, quadratic : bool
        Whether the loss has a second derivative, a bound of it, a constant one.
    """

    def __init__(self, problem: Problem, data: Dataset, columns: Columns) -> None:
        self.problem, self.data, self.columns = problem, data, columns
        self.k, p = problem.n_outputs, problem.n_features
        self.q = p + 1
        centred = problem.fit_intercept and columns.measured
        spread = columns.deviation if centred or not columns.measured else columns.length
        self.lens = Lens.through(columns.mean if centred else np.zeros(p), spread, self.k)
        scales = np.ones(p) if problem.penalty_scales is None else problem.penalty_scales
        self.unit = scales * self.lens.scale
        strengths = getattr(problem.penalty, "strengths", None)
        self.only_prox = strengths is None
        l1, l2 = (0.0, 0.0) if strengths is None else strengths()
        self.l1 = np.append(l1 * self.unit, 0.0)
        self.ridge = np.append(l2 * self.unit * self.unit, 0.0)
        self.has_l1 = bool(self.l1.any())
        self.smooth = is_smooth(problem.loss)
        self.bounded = curvature(problem.loss) is not None
        self.quadratic = isinstance(problem.loss, SquaredError)

    @property
    def has_optimality(self) -> bool:
        """Whether the length of the step says how near the optimum is: not where slopes jump."""
        return self.smooth or self.bounded

    @property
    def pairs(self) -> int:
        """How many matrices of curvatures: one for each pair of outputs of a joint loss."""
        if self.quadratic:
            return 1
        loss = self.problem.loss
        if hasattr(loss, "row_slopes") and not isinstance(loss, OneVsRest):
            return self.k * (self.k + 1) // 2
        return self.k

    @cached_property
    def products(self) -> int:
        """Products of a row's features for its curvatures, as if all were of contiguous numbers."""
        each, rows = self.q * self.q, self.data.rows
        if hasattr(rows, "n_touched"):
            each = min(each, (rows.n_touched(1) + 2) ** 2 * _SCATTERED)
        return each * self.pairs

    @property
    def is_solved_at_once(self) -> bool:
        """Whether one sum over rows of few features is the end of it: least squares."""
        sparse = self.products < self.q * self.q
        return self.quadratic and sparse and self.data.n * self.products <= _AFFORDABLE_PRODUCTS

    @property
    def all_is_cheap(self) -> bool:
        """Whether the curvatures of all rows cost no more than steps, or once and for all."""
        return self.products <= ALWAYS_NEWTON**2 * self.k or self.is_solved_at_once

    def is_uneven(self, rows: int) -> bool:
        """Tell whether a feature's squares may hang on rows that an even draw would miss."""
        columns, lens = self.columns, self.lens
        if not columns.measured:
            return True
        farthest = np.maximum(np.abs(columns.high - lens.shift), np.abs(columns.low - lens.shift))
        return bool(((farthest * lens.scale) ** 2 > rows / _FEW).any())

    @property
    def _steps_hardly_pay(self) -> bool:
        """Whether rows that are far out make steps short: not dense ones of a bounded curvature."""
        harmless = self.bounded and self.columns.measured
        return not harmless and self.is_uneven(_UNEVEN_ROWS_A_FEATURE * self.q)

    @property
    def _widest(self) -> int:
        return _WIDEST_SPARSE if hasattr(self.data.rows, "n_touched") else _WIDEST

    @property
    def _has_room(self) -> bool:
        """Whether a matrix for each output is not too much for the memory."""
        return min(self.pairs, self.k) * self.q**2 <= _MOST_NUMBERS

    @property
    def can_step_as_newton(self) -> bool:
        """Whether there are few enough parameters for a matrix of them."""
        joint = self.pairs > self.k
        if joint:
            return self.q * self.k <= self._widest + self.k
        return self.q <= self._widest + 1 and self._has_room

    def way(self) -> Way:
        """Return how epochs go, once the first is over."""
        if isinstance(self.problem.optimizer, Exact):
            return Way.NEWTON
        if self.q > self._widest + 1 or self.only_prox or not self._has_room:
            return Way.DIAGONAL
        n, joint = self.data.n, self.pairs > self.k
        newton = (
            self.all_is_cheap
            or n * self.products <= _CHEAP_PRODUCTS
            or n <= _STEPS_PAY * self.q * (self.k if joint else 1)
            or not self.smooth
            or self.has_l1
            or self._steps_hardly_pay
        )
        if newton and self.can_step_as_newton:
            return Way.NEWTON
        return Way.DIAGONAL if self.has_l1 else Way.REDUCED

    def starts_plain(self, way: Way) -> bool:
        """Tell whether the first epoch takes plain steps."""
        if isinstance(self.problem.optimizer, Exact):
            return False
        if way is Way.DIAGONAL:
            return True
        if self.quadratic and way is Way.NEWTON and (not self.has_l1 or self.all_is_cheap):
            return False  # the first Newton step is the last
        return self.data.n >= max(_PLAIN_PAYS * self.q, _PLAIN_ROWS)

    def batch_size(self, way: Way, length: float) -> int:
        """Return the rows of a batch: as given, or by what a step and a row cost.

        With t0 the time of a step and t1 that of a row, sqrt(t0 / t1 · R²) rows are best (where
        mini-batches pay off linearly up to R²), R² being the mean length of rows in the metric.
        """
        n = self.data.n
        if self.problem.batch_size:
            return min(self.problem.batch_size, n)
        if way is Way.DIAGONAL:  # a step costs all features, a row those that it has
            touched = max(1, self.data.rows.row_bytes() // 8)
            best, least, most = self.q * self.k / (4.0 * touched), 64, 4096
        else:
            best = math.sqrt((self.q / 10.0 + 1000.0 / self.q) * max(length, 1.0))
            least, most = 16, 256
        power = int(2 ** round(math.log2(min(max(best, least), most))))
        return max(1, min(power, n // 50))

    # ------------------------------------------------------------------ sizes of things

    @cached_property
    def of_classes(self) -> bool:
        """Whether the targets are classes."""
        return are_classes(self.problem.loss, self.data)

    @cached_property
    def score_unit(self) -> float:
        """What counts as one in scores: 1, or the spread of a target that is a score itself."""
        return score_unit(self.problem.loss, self.data)

    def loss_at(self, params: NDArray[np.float64], data: Dataset) -> float:
        """Return the mean loss of rows at a point, by the sums that rounds need anyway."""
        loss = self.problem.loss
        with Passes(data, self.k) as passes:
            if self.has_optimality:
                return passes.look(loss, params).loss
            return passes.plain_loss(smoothed(loss, 1.0), params, loss)
