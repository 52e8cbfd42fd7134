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
again; a step costs n³/3 alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from gradstep.engine.automatic.line_search import backtrack
from gradstep.engine.automatic.preconditioner import factored
from gradstep.engine.blas import one_blas_thread
from gradstep.engine.kernels.compiled_losses import compiled_loss
from gradstep.engine.kernels.linalg import solve
from gradstep.engine.kernels.tiles import losses_of_scores
from gradstep.engine.row_tasks import scores
from gradstep.engine.wide_hessian import row_curvatures
from gradstep.rows.layouts import DenseRows
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.smoothing import Smoothing
    from gradstep.engine.row_sums import RowSums
    from gradstep.rows.dataset import Dataset

__all__ = ["RowSpace", "RowSpacePreconditioner"]

# Numbers of a copy of some dense rows, in double precision.
_NUMBERS = 1 << 20
# Steps without the features, at most, and the share of `tol` that they end at.
_MOST_STEPS, _OF_TOL, _LEAST_TOL = 50, 0.3, 1e-8
_ROUNDING = 1e-14


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
    row_sums : RowSums
        What reads rows.
    """

    def __init__(self, of: ScaledProblem, row_sums: RowSums) -> None:
        self._of, data = of, of.data
        if data.executor is not None or data.index is not None:
            data = row_sums.take(np.arange(data.n, dtype=np.uint32))
        self._data = data
        ridge = of.ridge[:-1]
        self._inverse = np.where(ridge > 0.0, 1.0 / np.where(ridge > 0.0, ridge, 1.0), 0.0)
        self._rows: _DenseProducts | _SparseProducts = (
            _DenseProducts(of, data) if isinstance(data.rows, DenseRows)
            else _SparseProducts(of, data)
        )  # fmt: skip
        with one_blas_thread():
            self._gram = self._rows.gram(np.sqrt(self._inverse))
        self._made_of: NDArray[np.float64] | None = None
        self._made: RowSpacePreconditioner | None = None

    def solution(self, start: NDArray[np.float64], smoothing: Smoothing) -> NDArray[np.float64]:
        """Return about the minimum, by Newton steps without the features, from a constant on.

        Parameters
        ----------
        start : ndarray of shape (size,)
            Parameters in the features' own units, all weights being 0.
        smoothing : Smoothing
            The width that second derivatives are smoothed over.
        """
        of = self._of
        point = first = self._at(np.zeros((of.k, self._data.n)), start[-of.k :])
        enough = (_OF_TOL * (of.problem.tol or _LEAST_TOL)) ** 2
        for _ in range(_MOST_STEPS):
            model = self._model(point.scores.T, smoothing)
            if of.quadratic:  # then it is the same everywhere
                self._made = model
            residual, g_b = point.slopes + point.a, point.slopes.sum(axis=1)
            with one_blas_thread():
                along = residual @ self._gram
            sums, moved = model.in_rows(-along, g_b)
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
        with one_blas_thread():
            weights = self._rows.sums(point.a) * self._inverse
        scaled = np.concatenate([weights, point.intercepts[:, None]], axis=1)
        return of.standardisation.in_units(scaled)

    def _at(self, a: NDArray[np.float64], intercepts: NDArray[np.float64]) -> _Point:
        """Return the point with these numbers of the rows (k, n) and intercepts (k,)."""
        of, data = self._of, self._data
        with one_blas_thread():
            along = a @ self._gram
        z = along + intercepts[:, None]
        flat, slopes = z.T.flatten(), np.empty(z.size)
        order = readonly(data.rows_between(0, data.n))
        loss = compiled_loss(of.problem.loss)
        total = losses_of_scores(*data.for_kernels, loss, order, of.k, flat, slopes)
        objective = total / data.weight_sum + 0.5 * float((a * along).sum())
        slopes = slopes.reshape(z.T.shape).T / data.weight_sum
        return _Point(a, intercepts, z, slopes, objective)

    def preconditioner(
        self, params: NDArray[np.float64], smoothing: Smoothing
    ) -> RowSpacePreconditioner:
        """Return the preconditioner at a point, in the features' own units."""
        of = self._of
        if self._made is None or (self._made_of is not params and not of.quadratic):
            self._made = self._model(scores(self._data.rows, params, of.k), smoothing)
            self._made_of = params
        return self._made

    def _model(self, z: NDArray[np.float64], smoothing: Smoothing) -> RowSpacePreconditioner:
        """Return the preconditioner at scores (n, k)."""
        of, data = self._of, self._data
        z = np.ascontiguousarray(z)
        h = row_curvatures(of.problem.loss, of.k, data, z, smoothing.widths(of), of.blocks)
        return RowSpacePreconditioner(
            self._rows, self._gram, self._inverse, np.maximum(h / data.weight_sum, 0.0),
            with_intercept=of.problem.fit_intercept,
        )  # fmt: skip


class RowSpacePreconditioner:
    """The Hessian as a preconditioner, inverted through a matrix of the rows.

    Parameters
    ----------
    rows : object
        Multiplies with the standardised rows.
    gram : ndarray of shape (n, n)
        K, above.
    inverse : ndarray of shape (p,)
        The diagonal of R⁻¹; 0 for features that are left out.
    h : ndarray of shape (1 or k, n)
        Mean second derivatives of the loss, of each output, or the same for all.
    with_intercept : bool
        Whether there is one, which is not penalised.
    """

    def __init__(
        self, rows: _DenseProducts | _SparseProducts, gram: NDArray[np.float64],
        inverse: NDArray[np.float64], h: NDArray[np.float64], *, with_intercept: bool,
    ) -> None:  # fmt: skip
        self._rows, self._inverse, self._with_intercept = rows, inverse, with_intercept
        self._roots = np.sqrt(h)
        self._factors = [_of_rows(gram, root) for root in self._roots]
        # The intercept's own: H^½B⁻¹h^½, and its second derivative once weights follow it.
        self._shares = [self._through(c, root) for c, root in enumerate(self._roots)]
        self._own = [float((r * s).sum()) for r, s in zip(self._roots, self._shares, strict=True)]

    def _through(self, c: int, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return B⁻¹v for an output."""
        lower, scale = self._factors[c]
        x = scores * scale
        solve(lower, x)
        return x * scale

    def direction(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the step to the minimum of the quadratic model: (k, q)."""
        step = np.zeros_like(gradient)
        step[:, :-1] = -gradient[:, :-1] * self._inverse
        with one_blas_thread():
            own = self._rows.scores(step[:, :-1])
        sums, step[:, -1] = self.in_rows(own, gradient[:, -1])
        with one_blas_thread():
            step[:, :-1] += self._rows.sums(sums) * self._inverse
        return step

    def in_rows(
        self, own: NDArray[np.float64], g_b: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what a step has besides -R⁻¹g, as numbers of the rows, and the intercepts' steps.

        Parameters
        ----------
        own : ndarray of shape (k, n)
            Scores of -R⁻¹g, for the gradient g of the weights.
        g_b : ndarray of shape (k,)
            The gradient of the intercepts.
        """
        sums, moved = np.empty_like(own), np.zeros_like(g_b)
        for k, z in enumerate(own):
            c = k % len(self._factors)
            root, share = self._roots[c], self._shares[c]
            u = self._through(c, root * z)
            if self._with_intercept and self._own[c] > 0.0:
                moved[k] = (-g_b[k] - float((root * share * z).sum())) / self._own[c]
                u += moved[k] * share
            sums[k] = -root * u
        return sums, moved


def _of_rows(
    gram: NDArray[np.float64], root: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the factor of B, scaled to a unit diagonal, and that scale."""
    matrix = gram * root
    matrix *= root[:, None]
    np.einsum("ii->i", matrix)[:] += 1.0
    scale = 1.0 / np.sqrt(np.einsum("ii->i", matrix))
    matrix *= scale
    matrix *= scale[:, None]
    return factored(matrix, whole=True), scale


class _DenseProducts:
    """Products with dense rows X, centred and scaled without a copy of them all."""

    def __init__(self, of: ScaledProblem, data: Dataset) -> None:
        rows: Any = data.rows
        self._values: NDArray[Any] = rows.values
        self._shift, self._scale = of.standardisation.shift, of.standardisation.scale

    def _parts(self) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield the rows as they are, in parts that are no large copy in double precision."""
        n, p = self._values.shape
        each = max(1, _NUMBERS // p)
        for lo in range(0, n, each):
            rows = slice(lo, min(lo + each, n))
            yield rows, self._values[rows].astype(np.float64, copy=False)

    def gram(self, factor: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return XD²Xᵀ, D being a diagonal matrix: (n, n)."""
        n, p = self._values.shape
        total, each = np.zeros((n, n)), max(1, 2 * _NUMBERS // n)
        for lo in range(0, p, each):
            own = slice(lo, lo + each)
            x = self._values[:, own] - self._shift[own]
            x *= self._scale[own] * factor[own]
            total += x @ x.T
        return total

    def scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return weights·Xᵀ: (k, n)."""
        own, found = weights * self._scale, np.empty((weights.shape[0], self._values.shape[0]))
        for rows, x in self._parts():
            found[:, rows] = own @ x.T
        return found - (own @ self._shift)[:, None]

    def sums(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of rows, each times a number: (k, p)."""
        total = np.zeros((each.shape[0], self._shift.size))
        for rows, x in self._parts():
            total += each[:, rows] @ x
        total -= np.multiply.outer(each.sum(axis=1), self._shift)
        return total * self._scale


class _SparseProducts:
    """Products with sparse rows X, scaled, but not centred."""

    def __init__(self, of: ScaledProblem, data: Dataset) -> None:
        rows: Any = data.rows
        part = slice(rows.starts[0], rows.starts[-1])
        self._x = sp.csr_array(
            (rows.values[part].astype(np.float64), rows.columns[part], rows.starts - part.start),
            shape=(rows.n_rows, rows.n_features),
        )
        self._scale = of.standardisation.scale
        # In one step, which gives columns in any order that they came in the same sums.
        self._across = self._x.T.tocsr()

    def gram(self, factor: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return XD²Xᵀ, D being a diagonal matrix: (n, n)."""
        own = self._scale * factor
        scaled = self._x.multiply(own * own).tocsr()
        return np.asarray((scaled @ self._across).toarray())

    def scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return weights·Xᵀ: (k, n)."""
        return np.ascontiguousarray((self._x @ (weights * self._scale).T).T)

    def sums(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of rows, each times a number: (k, p)."""
        return np.ascontiguousarray((self._across @ each.T).T) * self._scale
