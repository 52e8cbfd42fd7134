"""Standardised features: centred and scaled, without a copy of the data.

Parameters w, b of features in their own units, and w̃, b̃ of standardised ones, give a row the
same score: w̃_j = w_j / scale_j and b̃ = b + Σ shift_j w_j. All parameters are one array: weights
of each output, then intercepts (size,); or a line for each output, its intercept last (k, p + 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Standardisation"]


@dataclass(frozen=True)
class Standardisation:
    """How features are standardised: x ↦ (x - shift)·scale.

    Attributes
    ----------
    shift, scale : ndarray of shape (p,)
        A scale of 0 takes a feature out.
    k : int
        Number of outputs.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    k: int

    @classmethod
    def of(cls, center: NDArray[np.float64], deviation: NDArray[np.float64], k: int) -> Self:
        """Return that of a StandardScaler; a column of deviation 0 is taken out."""
        with np.errstate(divide="ignore"):
            return cls(center, np.where(deviation > 0.0, 1.0 / deviation, 0.0), k)

    def _by_output(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        p = self.shift.size
        w, b = flat[: self.k * p].reshape(self.k, p), flat[self.k * p :]
        return np.concatenate([w, b[:, None]], axis=1)

    def gradient(self, in_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a gradient (size,), of features in their units, as one of standardised ones.

        Its shape is (k, p + 1).
        """
        p = self.shift.size
        g, g_b = in_units[: self.k * p].reshape(self.k, p), in_units[self.k * p :]
        scaled = (g - self.shift * g_b[:, None]) * self.scale
        return np.concatenate([scaled, g_b[:, None]], axis=1)

    def in_units(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (k, p + 1) of standardised features as (size,), of their units."""
        w = scaled[:, :-1] * self.scale
        b = scaled[:, -1] - (w * self.shift).sum(axis=1)
        return np.concatenate([w.reshape(-1), b])

    def scaled_params(self, in_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) of features in their units as (k, p + 1), of standardised."""
        p = self.shift.size
        w, b = in_units[: self.k * p].reshape(self.k, p), in_units[self.k * p :]
        with np.errstate(divide="ignore", invalid="ignore"):
            wide = np.where(self.scale > 0.0, w / self.scale, 0.0)
        return np.concatenate([wide, (b + (w * self.shift).sum(axis=1))[:, None]], axis=1)

    def flat_in_units(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) of standardised features as (size,), of their units."""
        return self.in_units(self._by_output(flat))

    def flat(self, in_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) of features in their units as (size,), of standardised."""
        scaled = self.scaled_params(in_units)
        return np.concatenate([scaled[:, :-1].reshape(-1), scaled[:, -1]])
