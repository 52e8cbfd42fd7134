"""A problem in standardised features: what is fixed for a run of the automatic method."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.standardisation import Standardisation
from gradstep.objective.classification import OneVsRest
from gradstep.objective.losses import curvature, is_smooth
from gradstep.objective.regression import SquaredError
from gradstep.optim.solvers import Exact
from gradstep.rows.dataset import are_classes, score_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["ScaledProblem"]

# Cost of a scattered product, in contiguous ones.
_SCATTERED = 8
# How near to a bound a parameter counts as at it, relative to the largest, standardised.
_ROUNDING = 1e-13
# A feature's sum of squares must not depend on fewer sampled rows than this.
_FEW = 10


class ScaledProblem:
    """A problem and its data as the automatic method sees them; fixed for a run.

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
        Number of outputs, and of parameters of each output, its intercept included.
    standardisation : Standardisation
        How features are centred and scaled.
    penalty_scale : ndarray of shape (p,)
        What a weight of standardised features is multiplied by to be penalised.
    l1, ridge : ndarray of shape (q,)
        Strength of the l1 penalty, and second derivative of the l2 penalty, for each parameter of
        standardised features.
    constraints : Constraints or None
        Constraints on the weights, in the features' own units.
    only_prox : bool
        Whether the penalty is known by its proximal map alone.
    smooth, has_curvature_bound, quadratic : bool
        Whether the second derivative of the loss exists, has an upper bound, is constant.
    wants_exact : bool
        Whether the exact solution is asked for.
    """

    def __init__(self, problem: Problem, data: Dataset, columns: Columns) -> None:
        self.problem, self.data, self.columns = problem, data, columns
        self.k, p = problem.n_outputs, problem.n_features
        self.q = p + 1
        centred = problem.fit_intercept and columns.measured
        spread = columns.deviation if centred or not columns.measured else columns.length
        center = columns.mean if centred else np.zeros(p)
        self.standardisation = Standardisation.of(center, spread, self.k)
        own, scales = self.standardisation.scale, problem.penalty_scales
        self.penalty_scale = own if scales is None else scales * own
        strengths = getattr(problem.penalty, "strengths", None)
        self.only_prox = strengths is None
        l1, l2 = (0.0, 0.0) if strengths is None else strengths()
        self.l1, self.ridge = np.zeros(self.q), np.zeros(self.q)  # none of the intercept
        np.multiply(l1, self.penalty_scale, out=self.l1[:-1])
        np.multiply(l2 * self.penalty_scale, self.penalty_scale, out=self.ridge[:-1])
        self.has_l1 = l1 != 0.0 and bool(self.l1.any())
        self.constraints = problem.constraints
        self.smooth = is_smooth(problem.loss)
        self.has_curvature_bound = curvature(problem.loss) is not None
        self.quadratic = isinstance(problem.loss, SquaredError)
        self.wants_exact = isinstance(problem.optimizer, Exact)

    @property
    def is_plain(self) -> bool:
        """Whether the minimum of a quadratic model is where its gradient is zero."""
        return not self.has_l1 and self.constraints is None

    def within(self, params: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) within the constraints, if there are any.

        The mean score stays. A parameter that only rounding keeps from a bound is put there.
        """
        if self.constraints is None:
            return params
        low, high, _ = self.constraints
        scaled = self.standardisation.scaled_params(params)
        near = _ROUNDING * np.abs(scaled[:, :-1]).max(initial=0.0)
        near = near * self.standardisation.scale
        own = self.constraints.increments(params[:-1])
        own = np.where(own <= low + near, low, np.where(own >= high - near, high, own))
        coef = self.constraints.coefficients(own)
        moved = float(((coef - params[:-1]) * self.standardisation.shift).sum())
        return np.append(coef, params[-1] - moved)

    @cached_property
    def has_optimality(self) -> bool:
        """Whether a step's length tells how near the optimum is; not if the loss's slope jumps."""
        return self.smooth or self.has_curvature_bound

    @cached_property
    def blocks(self) -> int:
        """Number of blocks of the Hessian: one per output, or pair of outputs of a joint loss.

        Least squares has a single block, the same for all outputs.
        """
        if self.quadratic:
            return 1
        return self.k * (self.k + 1) // 2 if self._is_joint else self.k

    @property
    def _is_joint(self) -> bool:
        loss = self.problem.loss
        return hasattr(loss, "row_slopes") and not isinstance(loss, OneVsRest)

    @property
    def joint(self) -> bool:
        """Whether the Hessian has blocks off its diagonal."""
        return self.blocks > self.k

    @property
    def is_sparse(self) -> bool:
        """Whether rows have few of the features."""
        return hasattr(self.data.rows, "n_touched")

    @cached_property
    def products(self) -> int:
        """Products of two features that a row's Hessian costs, in contiguous ones."""
        each = self.q * self.q
        if self.is_sparse:
            each = min(each, self.numbers_a_row**2 * _SCATTERED)
        return each * self.blocks

    @cached_property
    def numbers_a_row(self) -> int:
        """Features that a row has, about, its intercept and its target."""
        rows: Any = self.data.rows
        return int(rows.n_touched(1)) + 2 if self.is_sparse else self.q

    def is_uneven(self, rows: int) -> bool:
        """Tell whether a feature's sum of squares may depend on rows that an even draw misses."""
        return self._farthest_squared > rows / _FEW

    def is_uneven_by(self, share: float) -> bool:
        """Tell whether more than a share of a feature's sum of squares may be a single row's."""
        return self._farthest_squared > share * self.data.n

    @cached_property
    def _farthest_squared(self) -> float:
        """The square of the largest number there is, centred and scaled; unknown, infinity."""
        columns, standardisation = self.columns, self.standardisation
        if not columns.measured:
            return math.inf
        shift = standardisation.shift
        farthest = np.maximum(np.abs(columns.high - shift), np.abs(columns.low - shift))
        return float(((farthest * standardisation.scale) ** 2).max(initial=0.0))

    @cached_property
    def of_classes(self) -> bool:
        """Whether the targets are classes."""
        return are_classes(self.problem.loss, self.data)

    @cached_property
    def score_unit(self) -> float:
        """The unit of scores: 1, or the spread of the target if scores predict it directly."""
        return 1.0 if self.of_classes else score_unit(self.problem.loss, self.data)
