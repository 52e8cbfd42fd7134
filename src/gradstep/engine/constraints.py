"""Constraints on coefficients, as a box: bounds of each *increment*.

An increment is a coefficient itself or, if its feature is *chained* to the one before, the
difference from that one's coefficient. Chained features are those of a monotone curve: a curve of
B-splines does not fall if no coefficient is less than the one before (de Boor, A Practical Guide to
Splines, 1978, chapter XI).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Constraints"]


class Constraints(NamedTuple):
    """Bounds of the increments of coefficients, in the units of the features.

    Attributes
    ----------
    low, high : ndarray of shape (n_features,)
        Bounds; infinite where there is none.
    chained : ndarray of bool, shape (n_features,)
        Whether the increment of a coefficient is its difference from the one before.

    Examples
    --------
    A coefficient that is not negative, and two of a curve that does not fall.

    >>> low, high = np.array([0.0, -np.inf, 0.0]), np.full(3, np.inf)
    >>> rising = Constraints(low, high, np.array([False, False, True]))
    >>> rising.increments(np.array([0.0, 3.0, 5.0]))
    array([0., 3., 2.])
    >>> rising.coefficients(np.array([0.0, 3.0, 0.0]))
    array([0., 3., 3.])
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    chained: NDArray[np.bool_]

    def increments(self, coef: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the increments, which the bounds are of, of coefficients (n_features,)."""
        before = np.concatenate([[0.0], coef[:-1]])
        return np.asarray(coef - np.where(self.chained, before, 0.0))

    def coefficients(self, increments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coefficients of increments."""
        coef = increments.copy()
        for j in np.flatnonzero(self.chained):
            coef[j] += coef[j - 1]
        return coef

    def at_bound(self, coef: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which coefficients have an increment at one of its bounds."""
        own = self.increments(coef)
        return np.asarray((own <= self.low) | (own >= self.high))
