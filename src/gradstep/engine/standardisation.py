"""A lens over the features: how they look centred and scaled, without a copy of the data.

Parameters w, b of the features as they are, and w̃, b̃ of those seen through the lens, give a row
the same score: w̃_j = w_j / scale_j and b̃ = b + Σ shift_j w_j.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Lens"]


@dataclass(frozen=True)
class Lens:
    """How features look centred and scaled: x ↦ (x - shift)·scale.

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
    def through(cls, center: NDArray[np.float64], deviation: NDArray[np.float64], k: int) -> Self:
        """Return the lens of a StandardScaler; a column of deviation 0 is taken out."""
        with np.errstate(divide="ignore"):
            return cls(center, np.where(deviation > 0.0, 1.0 / deviation, 0.0), k)

    def gradient(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a gradient (size,) as (k, p + 1), for centred and scaled features."""
        p = self.shift.size
        g, g_b = raw[: self.k * p].reshape(self.k, p), raw[self.k * p :]
        seen = (g - self.shift * g_b[:, None]) * self.scale
        return np.concatenate([seen, g_b[:, None]], axis=1)

    def raw(self, seen: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (k, p + 1) of centred and scaled features as (size,), in units."""
        w = seen[:, :-1] * self.scale
        b = seen[:, -1] - (w * self.shift).sum(axis=1)
        return np.concatenate([w.reshape(-1), b])

    def seen(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) as (k, p + 1), for centred and scaled features."""
        p = self.shift.size
        w, b = raw[: self.k * p].reshape(self.k, p), raw[self.k * p :]
        with np.errstate(divide="ignore", invalid="ignore"):
            wide = np.where(self.scale > 0.0, w / self.scale, 0.0)
        return np.concatenate([wide, (b + (w * self.shift).sum(axis=1))[:, None]], axis=1)

    def in_units(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) of centred and scaled features as (size,), in units."""
        p = self.shift.size
        w, b = flat[: self.k * p].reshape(self.k, p), flat[self.k * p :]
        return self.raw(np.concatenate([w, b[:, None]], axis=1))

    def standardised(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) in units as (size,), of centred and scaled features."""
        seen = self.seen(raw)
        return np.concatenate([seen[:, :-1].reshape(-1), seen[:, -1]])
