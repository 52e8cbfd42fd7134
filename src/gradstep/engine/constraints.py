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

_NEAR = 4.0 * np.finfo(np.float64).eps  # of a bound


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

    @property
    def allow_zero(self) -> bool:
        """Whether all coefficients may be zero: the best constant prediction keeps to them."""
        return bool((self.low <= 0.0).all() and (self.high >= 0.0).all())

    def of_scaled(
        self, scale: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the bounds of weights that are coefficients once multiplied by a scale.

        Rounded inwards, so that products keep to the coefficients' bounds to the last bit.
        """
        low, high = self.low / scale, self.high / scale
        low = np.where(low * scale < self.low, np.nextafter(low, np.inf), low)
        high = np.where(high * scale > self.high, np.nextafter(high, -np.inf), high)
        return np.minimum(low, high), high

    def at_bound(self, coef: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which coefficients have an increment at one of its bounds, but for rounding."""
        own = self.increments(coef)
        near = [np.where(np.isfinite(b), _NEAR * np.abs(b), 0.0) for b in (self.low, self.high)]
        return np.asarray((own <= self.low + near[0]) | (own >= self.high - near[1]))
