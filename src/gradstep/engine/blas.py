"""Products and factors of matrices by BLAS, on one thread: pieces of rows have other threads.

With more, small products would wait for each other, and their last bits could hang on how many.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import threadpoolctl
from scipy.linalg.blas import strsv
from scipy.linalg.lapack import dpotrf, spotrf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["cholesky", "one_blas_thread", "solve_in_single"]

_lock = Lock()
_within: list[Any] = []  # one entry for each who is within; the first is what restores the number


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS use one thread until the last one who asked for it, in any thread, has left."""
    with _lock:
        if not _within:
            _let_any_thread_set()
        _within.append(None if _within else _controller().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            last = _within.pop()
            if not _within:
                _let_any_thread_set()
                last.restore_original_limits()
                _let_any_thread_set()


def cholesky(
    matrix: NDArray[np.float64], least_pivot: float, *, single: bool = False
) -> NDArray[Any] | None:
    """Return the lower Cholesky factor of a symmetric matrix, whose lower triangle is read.

    Above the diagonal the factor has what the matrix has there. NumPy's function copies more than
    SciPy's, which is used: it takes a third longer in double precision, four times in single.

    Parameters
    ----------
    matrix : ndarray of shape (q, q)
        Positive definite, or nearly.
    least_pivot : float
        The least square of a number on the factor's diagonal.
    single : bool
        Whether it is computed in single precision.

    Returns
    -------
    ndarray of shape (q, q), of float64 or float32, or None
        None if a pivot is not above the least.

    Examples
    --------
    >>> lower = cholesky(np.array([[4.0, 0.0], [2.0, 5.0]]), 1e-9)
    >>> lower
    array([[2., 0.],
           [1., 2.]])
    >>> cholesky(np.array([[1.0, 0.0], [1.0, 1.0]]), 1e-9) is None
    True
    """
    kind, factor = (np.float32, spotrf) if single else (np.float64, dpotrf)
    # LAPACK's matrices lie column after column: the lower triangle is its upper one.
    own = np.array(matrix, kind, order="C", copy=True).T
    with one_blas_thread():
        upper, failed = factor(own, lower=False, clean=False, overwrite_a=True)
    pivots = np.einsum("ii->i", upper)
    low, high = pivots.min(initial=1.0), pivots.max(initial=1.0)
    if failed or not (low * low > least_pivot and high < np.inf):
        return None
    return np.ascontiguousarray(upper.T)


def solve_in_single(lower: NDArray[np.float32], x: NDArray[np.float64]) -> None:
    """Solve L·Lᵀ·x = b in place, `x` being b at first, with a factor in single precision.

    Examples
    --------
    >>> lower = cholesky(np.array([[4.0, 0.0], [2.0, 5.0]]), 1e-9, single=True)
    >>> x = np.array([1e-60, 3e-60])
    >>> solve_in_single(lower, x)
    >>> x
    array([-6.25e-62,  6.25e-61])
    """
    size = float(np.abs(x).max(initial=0.0)) or 1.0
    with one_blas_thread():
        half = strsv(lower.T, (x / size).astype(np.float32), lower=False, trans=True)
        np.multiply(strsv(lower.T, half, lower=False), size, out=x, dtype=np.float64)


def _let_any_thread_set() -> None:
    """Let this thread set the number: from 3.8 on one thread may, and others do so without effect.

    That one is the first who did, and who enters first need not be who leaves last.
    """
    of_blas = getattr(threadpoolctl, "OpenBLASController", None)  # versions before 3.2 have none
    clear = getattr(of_blas, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


@cache
def _controller() -> threadpoolctl.ThreadpoolController:
    """Look once which libraries this process has loaded; that takes some milliseconds."""
    return threadpoolctl.ThreadpoolController()
