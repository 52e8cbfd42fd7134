"""The minimum of a quadratic with l1: of few coordinates compiled, of many with BLAS.

Of many, sweeps of coordinate descent, or sets of active coordinates, find which are zero, conjugate
gradients solve for the others, and LAPACK where these take too long (docs/adr/0054).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dsymv

from gradstep.engine.blas import cholesky, one_blas_thread
from gradstep.engine.kernels.linalg import DEPENDENT, descend, minimise_quadratic

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LARGE", "minimise_with_l1"]

# Sweeps of coordinate descent, at most.
_MOST_SWEEPS = 20_000
# Columns of a matrix that LAPACK factorises, on one thread; compiled loops take ten times as long.
LARGE = 384
# Sweeps of a round; after one that has changed no sign, those that are not zero are solved for.
_SWEEPS, _MOST_ROUNDS, _MOST_SOLVES = 8, 32, 3
# Twice what a step gains that ends them, as a share of what can be gained, nearly.
_DESCENDED = 1e-20
# Norm of the residual at which conjugate gradients end, as a share of that of zero; their steps.
_RESIDUAL, _MOST_STEPS = 1e-11, 60
# Coordinates from which sets of active ones are tried first: then sweeps wait for the memory that
# holds the matrix. How many sets, and how nearly each is solved for; one that changes more than
# this share of what the one before has changed ends them.
_MANY, _MOST_SETS, _NEARLY, _SETTLES = 1024, 6, 1e-5, 0.5
# A slope may be off by so much of what it is the sum of, and be no larger than l1 nevertheless.
_ROUNDING = 1e-14
_AT_THE_EDGE = 1.0 + 1e-9


def minimise_with_l1(
    matrix: NDArray[np.float64], g: NDArray[np.float64], x: NDArray[np.float64],
    l1: NDArray[np.float64], ridge: NDArray[np.float64],
) -> bool:  # fmt: skip
    """Minimise g·x + ½ x·M·x + Σ ½ ridge_j x_j² + Σ l1_j |x_j|, from `x` on, in place.

    Parameters
    ----------
    matrix : ndarray of shape (q, q)
        Symmetric, with ridge of unit diagonal.
    g, l1, ridge : ndarray of shape (q,)
        The linear part; strengths of the two penalties.
    x : ndarray of shape (q,)
        Where to start; the minimiser afterwards.

    Returns
    -------
    bool
        Whether it is the minimiser.
    """
    if x.size >= LARGE:
        with one_blas_thread():  # for all below, at once: to enter takes as long as a small product
            if _minimise_large(matrix, g, x, l1, ridge):
                return True
    return bool(minimise_quadratic(matrix, g, x, l1, ridge, _MOST_SWEEPS))


def _minimise_large(
    matrix: NDArray[np.float64], g: NDArray[np.float64], x: NDArray[np.float64],
    l1: NDArray[np.float64], ridge: NDArray[np.float64],
) -> bool:  # fmt: skip
    """Do the same, of many coordinates; where that is not the minimum, x is nearer to it."""
    own = np.einsum("ii->i", matrix) + ridge
    gain = float(np.divide(g * g, own, out=np.zeros_like(g), where=own > 0.0).sum())
    size, solves = math.sqrt(gain), 0
    if x.size >= _MANY:
        found = _by_active_sets(matrix, g, x, l1, ridge, own, size)
        if found is not None:
            x[:] = found
            return True
    for _ in range(_MOST_ROUNDS):
        signs = np.sign(x)
        over = descend(matrix, g, x, l1, ridge, _SWEEPS, _DESCENDED * gain)
        if not over and not np.array_equal(np.sign(x), signs):
            continue
        found = _on_support(matrix, g, x, l1, ridge, _RESIDUAL * size)
        if found is not None:
            x[:] = found
            return True
        solves += 1
        if solves == _MOST_SOLVES:
            break
    return False


def _by_active_sets(
    matrix: NDArray[np.float64], g: NDArray[np.float64], x: NDArray[np.float64],
    l1: NDArray[np.float64], ridge: NDArray[np.float64], own: NDArray[np.float64], size: float,
) -> NDArray[np.float64] | None:  # fmt: skip
    """Return the minimum by sets of coordinates that are not zero, None if these do not settle.

    Each set, with signs, is what a proximal step of each coordinate by itself from the last point
    leaves, the next point the minimum there (primal-dual active sets: Hintermüller, Ito, Kunisch,
    SIAM Journal on Optimization 13, 2003). `own` is the diagonal with ridge; residuals are measured
    by `size`.
    """
    unit = np.divide(1.0, own, out=np.zeros_like(own), where=own > 0.0)
    signs, changed = np.full(x.size, np.nan), math.inf
    for sets in range(_MOST_SETS + 1):
        to = x - unit * (g + _product(matrix, x) + ridge * x)
        now = np.where(np.abs(to) > unit * l1, np.sign(to), 0.0)
        differ = int((now != signs).sum())
        if not differ:
            return _on_support(matrix, g, x, l1, ridge, _RESIDUAL * size)
        if differ > _SETTLES * changed or sets == _MOST_SETS:
            return None
        signs, changed = now, differ
        there = ((now != 0.0) | (l1 == 0.0)) & (own > 0.0)
        wanted = np.where(there, -(g + now * l1), 0.0)
        found, near = _nearly_solved(
            matrix, ridge, there, wanted, np.where(there, x, 0.0), _NEARLY * size
        )
        if found is None or not near:
            return None
        x = found
    return None


def _on_support(
    matrix: NDArray[np.float64], g: NDArray[np.float64], x: NDArray[np.float64],
    l1: NDArray[np.float64], ridge: NDArray[np.float64], tolerance: float,
) -> NDArray[np.float64] | None:  # fmt: skip
    """Return the minimum if it has the zeros and the signs of x, else None.

    `tolerance` is a norm of the residual that is taken for zero.
    """
    there = ((x != 0.0) | (l1 == 0.0)) & (np.einsum("ii->i", matrix) + ridge > 0.0)
    signs = np.sign(x)
    wanted = np.where(there, -(g + signs * l1), 0.0)
    found = _solved(matrix, ridge, there, wanted, np.where(there, x, 0.0), tolerance)
    if found is None or (found * signs < 0.0)[l1 > 0.0].any():
        return None
    slope = np.abs(g + _product(matrix, found))
    rounding = _ROUNDING * (np.abs(g) + np.abs(found).sum())  # no product is larger
    zero = ~there & (l1 > 0.0)
    return None if (slope > l1 * _AT_THE_EDGE + rounding)[zero].any() else found


def _product(matrix: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the product of a symmetric matrix, of which half is read, with a vector."""
    product: NDArray[np.float64] = dsymv(1.0, matrix.T, v)
    return product


def _solved(
    matrix: NDArray[np.float64], ridge: NDArray[np.float64], there: NDArray[np.bool_],
    wanted: NDArray[np.float64], x: NDArray[np.float64], tolerance: float,
) -> NDArray[np.float64] | None:  # fmt: skip
    """Return the solution of a linear system of some coordinates; the others are zero.

    By conjugate gradients from x on, and if they take too long by factors.
    """
    nearly, near = _nearly_solved(matrix, ridge, there, wanted, x, tolerance)
    if near or nearly is None:
        return nearly
    at = np.flatnonzero(there)
    block = matrix[np.ix_(at, at)]
    np.einsum("ii->i", block)[:] += ridge[at]
    lower = cholesky(block, DEPENDENT)
    if lower is None:
        return None
    half = solve_triangular(lower, wanted[at], lower=True, check_finite=False)
    x = np.zeros_like(x)
    x[at] = solve_triangular(lower.T, half, lower=False, check_finite=False)
    return x


def _nearly_solved(
    matrix: NDArray[np.float64], ridge: NDArray[np.float64], there: NDArray[np.bool_],
    wanted: NDArray[np.float64], x: NDArray[np.float64], tolerance: float,
) -> tuple[NDArray[np.float64] | None, bool]:  # fmt: skip
    """Return where conjugate gradients lead from x on, and whether the residual is small enough.

    None, where the matrix is not positive definite.
    """

    def product(v: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(there, _product(matrix, v) + ridge * v, 0.0)

    residual = wanted - product(x)
    square, direction = float((residual * residual).sum()), residual
    for _ in range(_MOST_STEPS):
        if square <= tolerance * tolerance:
            return x, True
        image = product(direction)
        curvature = float((direction * image).sum())
        if not curvature > 0.0:
            return None, False
        step = square / curvature
        x, residual = x + step * direction, residual - step * image
        before, square = square, float((residual * residual).sum())
        direction = residual + (square / before) * direction
    return x, False
