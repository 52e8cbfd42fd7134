"""The preconditioner: the Hessian of loss and l2 penalty, and the steps that it gives.

It is for standardised features; the intercept is the last parameter. It has a matrix for each
output, or one for all outputs of a joint loss, from all rows or from a sample. If there are too
many features for a matrix, the preconditioner is diagonal.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.automatic.box import minimum_within
from gradstep.engine.automatic.l1_minimum import LARGE, minimise_with_l1
from gradstep.engine.blas import cholesky, solve_in_single
from gradstep.engine.kernels.linalg import DEPENDENT, factor, solve
from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.state import Diagonal, Matrices
    from gradstep.engine.constraints import Constraints

__all__ = ["DiagonalPreconditioner", "Preconditioner", "factored"]

# A joint loss is blind to a shift of all outputs if the Hessian's sums over outputs are no larger
# than this share of its largest entry.
_BLIND = 1e-4
# Second derivative that such a direction is given, relative to the mean diagonal.
_DEGENERATE = 1e-3
# Least pivot, of a matrix of unit diagonal, with which a factor in single precision is used: its
# rounding errors are some 1e-6.
_DEPENDENT_IN_SINGLE = 1e-3


class Preconditioner:
    """The Hessian as a preconditioner; a function of the problem and of `Matrices`.

    Parameters
    ----------
    of : ScaledProblem
        The problem, of which shape and penalty are used.
    matrices : Matrices
        The mean Hessian of the loss: a block for each output, or for each pair of outputs.
    """

    def __init__(self, of: ScaledProblem, matrices: Matrices) -> None:
        self.matrices = matrices
        self._of, self._l1 = of, of.l1  # a path changes of.l1 afterwards, so keep ours
        hessian = matrices.hessian
        if not of.problem.fit_intercept:
            hessian = hessian.copy()
            hessian[:, -1, :] = hessian[:, :, -1] = 0.0
        self.k, self.q = of.k, of.q
        self.joint = hessian.shape[0] > of.k
        self.ridge = np.tile(of.ridge, of.k) if self.joint else of.ridge
        self.hessian = _joined(hessian, of.k, of.ridge) if self.joint else hessian
        diagonals = self.hessian.reshape(len(self.hessian), -1)[:, :: self.hessian.shape[1] + 1]
        own = np.sqrt(diagonals + self.ridge)
        self.scale = np.divide(1.0, own, out=np.zeros(own.shape), where=own > 0.0)

    @cached_property
    def _scaled(self) -> NDArray[np.float64]:
        """The Hessian of the loss, scaled so that with the penalty it has a unit diagonal."""
        scaled: NDArray[np.float64] = self.hessian * self.scale[:, :, None]
        scaled *= self.scale[:, None, :]
        return scaled

    @cached_property
    def _lower(self) -> list[NDArray[Any]]:
        """The lower Cholesky factor of each block, scaled to a unit diagonal."""
        whole = self.hessian.copy()
        whole.reshape(len(whole), -1)[:, :: whole.shape[1] + 1] += self.ridge  # the diagonals
        whole *= self.scale[:, :, None]
        whole *= self.scale[:, None, :]
        # Levels of a category nearly depend on each other, with the intercept.
        single = not self.matrices.whole and isinstance(self._of.data.rows, DenseRows)
        return [factored(block, whole=self.matrices.whole, single=single) for block in whole]

    def _blocks(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        return each.reshape(1, -1) if self.joint else each

    def direction(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the step to the minimum of the quadratic model: (k, q), for a smooth penalty."""
        step = -self._blocks(gradient) * self.scale
        for c, x in enumerate(step):
            lower = self._lower[c % len(self._lower)]
            (solve_in_single if lower.dtype == np.float32 else solve)(lower, x)
        step *= self.scale
        return step.reshape(gradient.shape)

    def step_to_minimum(
        self, gradient: NDArray[np.float64], params: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], bool]:
        """Return the step to the minimum of the quadratic model, penalty and constraints included.

        Parameters
        ----------
        gradient : ndarray of shape (k, q)
            Gradient of loss and l2 penalty.
        params : ndarray of shape (k, q)
            Parameters that it was taken at, within the constraints.

        Returns
        -------
        step : ndarray of shape (k, q)
        solved : bool
            Whether that is the minimum; False if coordinate descent gave up.
        """
        if self._of.constraints is not None:
            return self._step_within(self._of.constraints, gradient, params)
        if self._of.has_l1:
            return self._step_with_l1(gradient, params)
        return self.direction(gradient), True

    def _step_with_l1(
        self, gradient: NDArray[np.float64], params: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], bool]:
        blocks, at_params = self._blocks(gradient), self._blocks(params)
        strengths = np.tile(self._l1, self.k) if self.joint else self._l1
        step, all_solved = np.empty_like(blocks), True
        for c, (g, x0) in enumerate(zip(blocks, at_params, strict=True)):
            at = c % self.hessian.shape[0]
            # Scaled to a unit diagonal, in terms of the parameters themselves: y = x / scale.
            scale, scaled = self.scale[at], self._scaled[at]
            ridge = self.ridge * scale * scale
            with np.errstate(divide="ignore", invalid="ignore"):
                y0 = np.where(scale > 0.0, x0 / scale, 0.0)
            linear = g * scale - np.einsum("ij,j->i", scaled, y0) - ridge * y0
            y = y0.copy()
            solved = minimise_with_l1(scaled, linear, y, strengths * scale, ridge)
            all_solved = all_solved and bool(solved)
            step[c] = np.where(y == 0.0, -x0, (y - y0) * scale)  # to zero itself, not nearly
        return step.reshape(gradient.shape), all_solved

    def _step_within(
        self, constraints: Constraints, gradient: NDArray[np.float64], params: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], bool]:
        """Return the step to the minimum within constraints, found in terms of increments."""
        # Of standardised features x the coefficients are scale·x, their increments u: x = A·u.
        scale = self._of.standardisation.scale
        there = scale > 0.0
        to_scaled = np.eye(self.q)
        for j in np.flatnonzero(constraints.chained):
            to_scaled[j] += to_scaled[j - 1]
        to_scaled[:-1] *= np.where(there, 1.0 / np.where(there, scale, 1.0), 0.0)[:, None]
        whole = self.hessian[0] + np.diag(self.ridge)
        matrix = np.einsum("ij,jk->ik", to_scaled.T, np.einsum("ij,jk->ik", whole, to_scaled))
        own = np.sqrt(np.diag(matrix))
        unit = np.where(own > 0.0, 1.0 / np.where(own > 0.0, own, 1.0), 0.0)
        matrix = matrix * unit[:, None] * unit[None, :]
        coef = np.where(there, params[0, :-1] * scale, 0.0)
        # The intercept, which is free, counts from where it is: it may be far larger than the rest.
        start = np.append(constraints.increments(coef), 0.0)
        low, high = np.append(constraints.low, -np.inf), np.append(constraints.high, np.inf)
        fixed = unit == 0.0
        stretch = np.where(fixed, 1.0, own)
        low, high, start = (np.where(fixed, 0.0, each * stretch) for each in (low, high, start))
        start = np.clip(start, low, high)
        linear = np.einsum("ij,i->j", to_scaled, gradient[0]) * unit
        linear -= np.einsum("ij,j->i", matrix, start)
        l1 = self._l1 * np.diag(to_scaled) * unit
        found, solved = minimum_within(matrix, linear, start, low, high, l1)
        step = np.einsum("ij,j->i", to_scaled, (found - start) * unit)
        return step[None, :], solved

    def square(self, step: NDArray[np.float64]) -> float:
        """Return the square of a step's length: dᵀMd, M being this Hessian with the l2 penalty."""
        total = 0.0
        for c, d in enumerate(self._blocks(step)):
            matrix = self.hessian[c % self.hessian.shape[0]]
            total += float(np.einsum("i,ij,j->", d, matrix, d) + np.add.reduce(self.ridge * d * d))
        return total


class DiagonalPreconditioner:
    """The diagonal of the Hessian; a function of the problem and of `Diagonal`.

    Parameters
    ----------
    of : ScaledProblem
        The problem, of which the penalty is used.
    diagonal : Diagonal
        Second derivatives.
    """

    def __init__(self, of: ScaledProblem, diagonal: Diagonal) -> None:
        own, intercepts = diagonal
        whole = np.concatenate([own, intercepts[:, None]], axis=1) + of.ridge
        with np.errstate(divide="ignore"):
            self._inverse = np.where(whole > 0.0, 1.0 / whole, 0.0)
        self._inverse[:, -1] *= of.problem.fit_intercept

    def direction(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the step (k, q) at a gradient (k, q): minus the inverse times the gradient."""
        return -self._inverse * gradient


def factored(
    matrix: NDArray[np.float64], *, whole: bool, single: bool = False
) -> NDArray[Any]:  # fmt: skip
    """Return the lower Cholesky factor of a symmetric matrix of unit diagonal.

    If it is not that of the `whole` data, but of a sample or of sums in single precision, it leads
    near the minimum alone, and so does a factor in single precision, which is then tried if
    `single` asks for it.
    """
    if matrix.shape[0] >= LARGE:
        known = cholesky(matrix, _DEPENDENT_IN_SINGLE, single=True) if single else None
        known = cholesky(matrix, DEPENDENT) if known is None else known
        if known is not None:
            return known
    if factor(matrix) and not whole:
        # A column that depends on others only in this sample must be free to move.
        own = np.einsum("ii->i", matrix)
        own[np.isinf(own)] = 1.0
    return matrix


def _joined(
    blocks: NDArray[np.float64], k: int, ridge: NDArray[np.float64]
) -> NDArray[np.float64]:  # fmt: skip
    """Return the matrix of all outputs together, from the blocks of pairs of outputs."""
    q = blocks.shape[1]
    whole = np.zeros((k, q, k, q))
    pair = 0
    for c in range(k):
        for d in range(c + 1):
            whole[c, :, d, :] = whole[d, :, c, :] = blocks[pair]
            pair += 1
    # A joint loss may not change if the same is added to all outputs (softmax does not). Then
    # difference quotients must not say otherwise. If no penalty changes either, this direction gets
    # a small second derivative, which changes no optimum.
    common = whole.sum(axis=2)
    if np.abs(common).max(initial=0.0) <= _BLIND * np.abs(whole).max(initial=0.0):
        for c in range(k):
            whole[c, :, c, :] -= common[c]
    own = np.mean([np.diag(whole[c, :, c, :]) for c in range(k)], axis=0)
    blind = np.where(ridge > 0.0, 0.0, _DEGENERATE * own)
    for c in range(k):
        for d in range(k):
            whole[c, :, d, :][np.diag_indices(q)] += blind / k
    return whole.reshape(1, k * q, k * q)
