"""The Hessian of few rows and many features as a preconditioner, inverted by a matrix of the rows.

`row_space` has the formula. For each output it takes solutions of

    B·u = H^½z + m·h^½,   (h^½)ᵀu = t,   B = I + H^½KH^½,

m being what the intercept moves by (without one, m = 0 and nothing is asked of u). A factor of B
solves it at once. Factorising costs as much as many products with K, and second derivatives change
little from step to step, so it is solved by conjugate gradients with an *older* factor, of other
second derivatives H₀: DB₀D, D² = H/H₀, has eigenvalues within those of D² and 1 of B's. Iterates
keep to the condition, as do all steps of a preconditioner that does (Gould, Hribar and Nocedal, "On
the solution of equality constrained quadratic programming problems", SIAM Journal on Scientific
Computing 23(4), 2001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradstep.engine.automatic.preconditioner import factored
from gradstep.engine.blas import one_blas_thread
from gradstep.engine.kernels.linalg import solve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradstep.engine.automatic.row_products import RowProducts

__all__ = ["RowFactor", "RowSpacePreconditioner"]

# Rows for each iteration of conjugate gradients that takes as long as a factorisation.
_ROWS_AN_ITERATION = 40
# What is left of the error, as a share of the step's own length: both of their squares.
_CLOSE = 1e-2**2
# Largest ratio of the roots of second derivatives, earlier ones to these, that is told from more.
_MOST_APART = 1e5
# Largest ratio of second derivatives to earlier ones across which a factor is used.
_MOST_GROWN = 1e6


class RowFactor(NamedTuple):
    """A factor of B, scaled to a unit diagonal; that scale; and the roots h^½ that B is of."""

    lower: NDArray[np.float64]
    scale: NDArray[np.float64]
    root: NDArray[np.float64]

    @classmethod
    def of(cls, gram: NDArray[np.float64], root: NDArray[np.float64]) -> RowFactor:
        """Factorise."""
        scale = 1.0 / np.sqrt(1.0 + root * root * np.einsum("ii->i", gram))
        own = root * scale
        matrix = gram * own
        matrix *= own[:, None]
        np.einsum("ii->i", matrix)[:] = 1.0
        return cls(factored(matrix, whole=True), scale, root)

    def solve(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return B⁻¹v."""
        x = v * self.scale
        solve(self.lower, x)
        return x * self.scale


class RowSpacePreconditioner:
    """The Hessian as a preconditioner, inverted through a matrix of the rows.

    Parameters
    ----------
    rows : RowProducts
        Multiplies with the standardised rows.
    gram : ndarray of shape (n, n)
        K, above.
    inverse : ndarray of shape (p,)
        The diagonal of R⁻¹; 0 for features that are left out.
    h : ndarray of shape (1 or k, n)
        Mean second derivatives of the loss, of each output, or the same for all.
    with_intercept : bool
        Whether there is one, which is not penalised.
    known : sequence of RowFactor
        Factors of other second derivatives, one for each line of `h`; if empty, B is factorised.

    Attributes
    ----------
    factors : list of RowFactor
        Those in use: where an older one does not lead to a step soon, its own.
    """

    def __init__(
        self, rows: RowProducts, gram: NDArray[np.float64], inverse: NDArray[np.float64],
        h: NDArray[np.float64], *, with_intercept: bool, known: Sequence[RowFactor] = (),
    ) -> None:  # fmt: skip
        self._rows, self._inverse, self._gram = rows, inverse, gram
        self._with_intercept = with_intercept
        self._roots = list(np.sqrt(h))
        self.factors = list(known) or [RowFactor.of(gram, root) for root in self._roots]
        self._systems = [self._system(c) for c in range(len(self._roots))]

    def _system(self, c: int) -> _System:
        return _System(self._gram, self._roots[c], self.factors[c], intercept=self._with_intercept)

    def direction(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the step to the minimum of the quadratic model: (k, q)."""
        with one_blas_thread():
            step, sums, _ = self._begun(gradient)
            step[:, :-1] += self._rows.sums(sums) * self._inverse
        return step

    def square(self, gradient: NDArray[np.float64]) -> float:
        """Return the square of that step's length, without the step."""
        with one_blas_thread():
            return self._begun(gradient)[2]

    def _begun(
        self, gradient: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Return a step but for a sum of rows, the numbers of these, the square of its length."""
        step = np.zeros_like(gradient)
        step[:, :-1] = -gradient[:, :-1] * self._inverse
        own = self._rows.scores(step[:, :-1])
        whole = -np.einsum("kp,kp->k", step[:, :-1], gradient[:, :-1])
        sums, step[:, -1] = self.in_rows(own, gradient[:, -1], whole)
        square = whole.sum() + np.vdot(own, sums) - np.vdot(gradient[:, -1], step[:, -1])
        return step, sums, float(square)

    def in_rows(
        self, own: NDArray[np.float64], g_b: NDArray[np.float64], whole: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what a step has besides -R⁻¹g, as numbers of the rows, and the intercepts' steps.

        Parameters
        ----------
        own : ndarray of shape (k, n)
            Scores of -R⁻¹g, for the gradient g of the weights.
        g_b : ndarray of shape (k,)
            The gradient of the intercepts.
        whole : ndarray of shape (k,)
            The square of that step's length: gᵀR⁻¹g.
        """
        sums, moved = np.empty_like(own), np.zeros_like(g_b)
        for k, z in enumerate(own):
            c = k % len(self.factors)
            found = self._systems[c].solution(z, g_b[k], whole[k])
            if found is None:
                self.factors[c] = RowFactor.of(self._gram, self._roots[c])
                self._systems[c] = self._system(c)
                found = self._systems[c].solution(z, g_b[k], whole[k])
                assert found is not None  # noqa: S101
            u, moved[k] = found
            sums[k] = -self._roots[c] * u
        return sums, moved


class _System:
    """The equations of an output, above, and a factor that solves them or leads there."""

    def __init__(
        self,
        gram: NDArray[np.float64],
        root: NDArray[np.float64],
        factor: RowFactor,
        *,
        intercept: bool,
    ) -> None:
        self._gram, self._root, self._factor = gram, root, factor
        self._fresh = factor.root is root
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            apart = np.where(root == factor.root, 1.0, factor.root / root)
            # At most so many times as large is an error as it seems.
            self._grown = max(1.0, float(1.0 / apart.min() ** 2))
        self._apart = np.minimum(apart, _MOST_APART)
        # The intercept's own, and its second derivative once weights follow it.
        self._share = self._through(root)
        self._own = float((root * self._share).sum()) if intercept else 0.0

    def _through(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return about B⁻¹v."""
        if self._fresh:
            return self._factor.solve(v)
        return self._factor.solve(v * self._apart) * self._apart

    def _times(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return B·u."""
        product: NDArray[np.float64] = u + self._root * (self._gram @ (self._root * u))
        return product

    def _kept(
        self, u: NDArray[np.float64], target: float = 0.0
    ) -> tuple[NDArray[np.float64], float]:
        """Return u, moved along the intercept's share until it meets the condition; and how far."""
        if not self._own > 0.0:
            return u, 0.0
        moved = (target - float((self._root * u).sum())) / self._own
        return u + moved * self._share, moved

    def solution(
        self, z: NDArray[np.float64], g_b: float, whole: float
    ) -> tuple[NDArray[np.float64], float] | None:
        """Return u and what the intercept moves by; None if a factor of B costs less.

        `z`, `g_b` and `whole` are those of `RowSpacePreconditioner.in_rows`.
        """
        right = self._root * z
        u, moved = self._kept(self._through(right), -g_b)
        if self._fresh:
            return u, moved
        if self._grown > _MOST_GROWN:
            return None
        residual = right - self._times(u)
        preconditioned, moved = self._kept(self._through(residual))
        direction, size = preconditioned, float((residual * preconditioned).sum())
        for _ in range(max(1, z.size // _ROWS_AN_ITERATION)):
            # The square of the step's length, which is its decrement.
            length = whole - float((right * u).sum()) - g_b * moved
            if size * self._grown <= _CLOSE * length:
                return u, moved
            image = self._times(direction)
            curvature = float((direction * image).sum())
            if not curvature > 0.0:
                return None
            u = u + size / curvature * direction
            residual = residual - size / curvature * image
            preconditioned, moved = self._kept(self._through(residual))
            before, size = size, float((residual * preconditioned).sum())
            direction = preconditioned + size / before * direction
        return None
