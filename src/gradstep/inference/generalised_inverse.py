"""The inverse of a matrix of which features may determine each other: of what rows tell, alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GeneralisedInverse", "generalised_inverse"]

_DEPENDENT = 1e-9  # least eigenvalue over the largest, where features depend on each other
_LOADING = 1e-5  # of a feature in what depends
_SAME = 1e-9  # least singular value of shared directions over the largest


class GeneralisedInverse(NamedTuple):
    """An inverse on the space that a matrix does not turn into nothing, and the rest of it.

    Attributes
    ----------
    matrix : ndarray of shape (size, size)
        The inverse; zero for parameters that are not free.
    dependent : ndarray of bool, shape (size,)
        Parameters that others determine, or that nothing depends on.
    rank : int
        Of the matrix.
    null : ndarray of shape (size, n)
        Its null space, a column for each direction, but for those that nobody asks about.
    """

    matrix: NDArray[np.float64]
    dependent: NDArray[np.bool_]
    rank: int
    null: NDArray[np.float64]


def generalised_inverse(
    whole: NDArray[np.float64], free: NDArray[np.bool_], shared: NDArray[np.float64]
) -> GeneralisedInverse:
    """Return the generalised inverse of a symmetric matrix without negative eigenvalues.

    Parameters
    ----------
    whole : ndarray of shape (size, size)
        The matrix.
    free : ndarray of bool, shape (size,)
        Which parameters there are.
    shared : ndarray of shape (directions, size)
        Directions in its null space that nobody asks about.

    Examples
    --------
    >>> both = np.array([[1.0, 1.0], [1.0, 1.0]])  # two features that are the same
    >>> found = generalised_inverse(both, np.ones(2, bool), np.zeros((0, 2)))
    >>> found.rank, found.dependent.tolist(), np.abs(found.null[:, 0]).round(3).tolist()
    (1, [True, True], [0.707, 0.707])
    """
    size = whole.shape[0]
    inverse, dependent = np.zeros((size, size)), ~free
    at = np.flatnonzero(free & (np.diag(whole) > 0.0))
    dependent[np.flatnonzero(free & (np.diag(whole) <= 0.0))] = True
    own = 1.0 / np.sqrt(np.diag(whole)[at])
    values, vectors = np.linalg.eigh(whole[np.ix_(at, at)] * own * own[:, None])
    kept = values > _DEPENDENT * values[-1]
    vectors_kept = vectors[:, kept] * own[:, None]
    inverse[np.ix_(at, at)] = (vectors_kept / values[kept]) @ vectors_kept.T
    null = vectors[:, ~kept]
    if null.size and shared.size:
        basis, sizes, _ = np.linalg.svd(shared[:, at].T / own[:, None], full_matrices=False)
        basis = basis[:, sizes > _SAME * sizes[0]]  # of joint outputs some follow from others
        null = null - basis @ (basis.T @ null)
    dependent[at[np.abs(null).max(axis=1, initial=0.0) > _LOADING]] = True
    each, lengths, _ = np.linalg.svd(null, full_matrices=False)
    left = np.zeros((size, int((lengths > _LOADING).sum())))
    left[at] = own[:, None] * each[:, : left.shape[1]]
    alone = np.eye(size)[:, free & (np.diag(whole) <= 0.0)]
    return GeneralisedInverse(inverse, dependent, int(kept.sum()), np.hstack([left, alone]))
