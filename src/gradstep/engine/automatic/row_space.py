"""Newton steps of few rows and many features, from a matrix of the rows.

The Hessian M = XᵀHX + R of n rows and more features, R being that of an l2 penalty on all of them,
is inverted through a matrix of n rows (Woodbury's formula): with K = XR⁻¹Xᵀ and B = I + H^½KH^½,

    M⁻¹v = R⁻¹v - R⁻¹Xᵀ·H^½B⁻¹H^½·XR⁻¹v

B has no eigenvalue below 1, so it is factorised without loss, however the rows depend on each other
(Rasmussen and Williams, "Gaussian processes for machine learning", 2006, section 3.4). K costs n²·p
once for a run, a step n³/3 and two products with the rows. It is the same step as in the space of
the features, so all else is as of Newton steps there.

The minimum has the form w = R⁻¹Xᵀa, with a number for each row (the representer theorem), and
scores Ka + b. So a run that begins at a constant first goes there without reading the features
again; a step costs n³/3 at most, and mostly a few products with K (`row_preconditioner`). Where
some quick steps do without K (`row_descent`), these come first.

K is summed in single precision where its error, some 1e-7 of its largest eigenvalue, stays small
beside the least of B. It is one of the steps alone: where they end all is evaluated as elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.engine.automatic.choice import is_rough
from gradstep.engine.automatic.line_search import backtrack
from gradstep.engine.automatic.row_preconditioner import RowSpacePreconditioner
from gradstep.engine.automatic.row_products import norm_of, row_products
from gradstep.engine.blas import one_blas_thread
from gradstep.engine.kernels.compiled_losses import compiled_loss
from gradstep.engine.kernels.tiles import losses_of_scores
from gradstep.engine.row_tasks import scores
from gradstep.engine.wide_hessian import row_curvatures
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gradstep.engine.automatic.row_preconditioner import RowFactor
    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.smoothing import Smoothing
    from gradstep.rows.dataset import Dataset

__all__ = ["RowSpace"]

# Steps without the features, at most; the share of `tol` that they end at.
_MOST_STEPS, _OF_TOL, _LEAST_TOL = 50, 0.3, 1e-8
_ROUNDING = 1e-14
# Largest eigenvalue of B with which K may be summed in single precision (ADR 0052).
_MOST_IN_SINGLE = 1e6


class _Point(NamedTuple):
    """A point of the form w = R⁻¹Xᵀa: a, intercepts, scores and slopes (k, n), objective."""

    a: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    scores: NDArray[np.float64]
    slopes: NDArray[np.float64]
    objective: float

    @property
    def before(self) -> float:
        """What the line search compares: the objective."""
        return self.objective


class RowSpace:
    """What the steps of a run in the space of its rows have in common; a function of the problem.

    Parameters
    ----------
    of : ScaledProblem
        The problem, for which `gradstep.engine.automatic.choice.has_few_rows` holds.
    data : Dataset
        Its rows, in memory.

    Attributes
    ----------
    passes : int
        Passes over the rows that `solution` took; their matrix is not counted.
    """

    def __init__(self, of: ScaledProblem, data: Dataset) -> None:
        self.passes = 0
        self._of, self._data = of, data
        ridge = of.ridge[:-1]
        self._inverse = np.where(ridge > 0.0, 1.0 / np.where(ridge > 0.0, ridge, 1.0), 0.0)
        self._rows = row_products(of, data)
        self._known: tuple[NDArray[np.float64], float] | None = (
            None  # K; its norm, in single precision
        )
        self._made_of: NDArray[np.float64] | None = None
        self._made: RowSpacePreconditioner | None = None
        self._ended: tuple[NDArray[np.float64], Callable[[Any], float]] | None = None

    def _gram(self, most: float = 0.0) -> NDArray[np.float64]:
        """Return K, in double precision if its error would matter at second derivatives up to."""
        if self._known is not None and not most * self._known[1] > _MOST_IN_SINGLE:
            return self._known[0]
        root = np.sqrt(self._inverse)
        with one_blas_thread():
            if self._known is None and is_rough(self._of):
                with np.errstate(over="ignore", invalid="ignore"):
                    gram = self._rows.gram(root, single=True)
                    norm = norm_of(gram)
                if np.isfinite(norm):
                    self._known = gram, norm
                    return self._gram(most)
            self._known = self._rows.gram(root, single=False), 0.0
        return self._known[0]

    def solution(self, start: NDArray[np.float64], smoothing: Smoothing) -> NDArray[np.float64]:
        """Return about the minimum, from a constant on.

        Parameters
        ----------
        start : ndarray of shape (size,)
            Parameters in the features' own units, all weights being 0.
        smoothing : Smoothing
            The width that second derivatives are smoothed over.
        """
        tol = self._of.problem.tol or _LEAST_TOL
        with one_blas_thread():  # once, which takes as long as a small product
            return self._newton(start, smoothing, (_OF_TOL * tol) ** 2)

    def _newton(
        self, start: NDArray[np.float64], smoothing: Smoothing, enough: float
    ) -> NDArray[np.float64]:
        """Return the same, by Newton steps without the features."""
        of = self._of
        factors: list[RowFactor] = []
        point = first = self._at(np.zeros((of.k, self._data.n)), start[-of.k :])
        for _ in range(_MOST_STEPS):
            kept = self._known
            model = self._model(point.scores.T, smoothing, factors)
            if self._known is not kept:  # in double precision now
                point = self._at(point.a, point.intercepts)
            residual, g_b = point.slopes + point.a, point.slopes.sum(axis=1)
            along = self._scores_of(residual)
            whole = np.einsum("kn,kn->k", residual, along)
            sums, moved = model.in_rows(-along, g_b, whole)
            factors = model.factors
            step = sums - residual
            slope = float((along * step).sum() + (g_b * moved).sum())

            def trial_at(t: float, at: _Point = point, step: Any = (step, moved)) -> _Point:
                return self._at(at.a + t * step[0], at.intercepts + t * step[1])

            noise = _ROUNDING * (abs(first.objective) + abs(point.objective))
            found, _ = backtrack(trial_at, point.objective, slope, noise, smooth=True)
            if found is None:
                break
            point = found
            if of.quadratic or not -slope > enough * (first.objective - point.objective):
                break
        if of.quadratic:  # then it is the same everywhere
            self._made = model
        weights = self._rows.sums(point.a) * self._inverse
        self.passes += 2
        scaled = np.concatenate([weights, point.intercepts[:, None]], axis=1)
        params = of.standardisation.in_units(scaled)
        if not of.quadratic:
            model = self._model(point.scores.T, smoothing, factors)
        self._ended = params, model.square
        return params

    def _scores_of(self, a: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a·K, (k, n)."""
        gram = self._gram()
        with one_blas_thread():
            return a @ gram

    def _at(self, a: NDArray[np.float64], intercepts: NDArray[np.float64]) -> _Point:
        """Return the point with these numbers of the rows (k, n) and intercepts (k,)."""
        of, data = self._of, self._data
        along = self._scores_of(a)
        z = along + intercepts[:, None]
        flat, slopes = z.T.flatten(), np.empty(z.size)
        order = readonly(data.rows_between(0, data.n))
        loss = compiled_loss(of.problem.loss)
        total = losses_of_scores(*data.for_kernels, loss, order, of.k, flat, slopes)
        objective = total / data.weight_sum + 0.5 * float((a * along).sum())
        slopes = slopes.reshape(z.T.shape).T / data.weight_sum
        return _Point(a, intercepts, z, slopes, objective)

    def square_left(
        self, params: NDArray[np.float64], gradient: NDArray[np.float64]
    ) -> float | None:
        """Return the square of the next step's length where `solution` has just ended, else None.

        It is about that, from what the steps there had at hand. It is told once: a run that goes on
        from a written state does not have it.

        Parameters
        ----------
        params : ndarray of shape (size,)
            A point, in the features' own units.
        gradient : ndarray of shape (k, q)
            The gradient there, of standardised features.
        """
        ended, self._ended = self._ended, None
        return None if ended is None or ended[0] is not params else ended[1](gradient)

    def preconditioner(
        self, params: NDArray[np.float64], smoothing: Smoothing
    ) -> RowSpacePreconditioner:
        """Return the preconditioner at a point, in the features' own units."""
        of = self._of
        if self._made is None or (self._made_of is not params and not of.quadratic):
            self._made = self._model(scores(self._data.rows, params, of.k), smoothing)
            self._made_of = params
        return self._made

    def _model(
        self, z: NDArray[np.float64], smoothing: Smoothing, known: Sequence[RowFactor] = ()
    ) -> RowSpacePreconditioner:
        """Return the preconditioner at scores (n, k), perhaps by factors that there are."""
        of, data = self._of, self._data
        z = np.ascontiguousarray(z)
        h = row_curvatures(of.problem.loss, of.k, data, z, smoothing.widths(of), of.blocks)
        h = np.maximum(h / data.weight_sum, 0.0)
        return RowSpacePreconditioner(
            self._rows, self._gram(float(h.max())), self._inverse, h,
            with_intercept=of.problem.fit_intercept, known=known,
        )  # fmt: skip
