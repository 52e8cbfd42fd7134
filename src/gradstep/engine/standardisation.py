"""Standardised features: centred and scaled, without a copy of the data.

Parameters w, b of features in their own units and w̃, b̃ of standardised features give a row the
same score if w̃_j = w_j / scale_j and b̃ = b + Σ shift_j w_j. Parameters have one of two forms:

- *flat*, (size,): the weights of each output, then all intercepts;
- *by output*, (k, p + 1): a row for each output, its intercept last. `scaled_params` are the
  parameters of standardised features in this form.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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
        A feature with a scale of 0 is left out.
    k : int
        Number of outputs.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    k: int

    @classmethod
    def of(cls, center: NDArray[np.float64], deviation: NDArray[np.float64], k: int) -> Self:
        """Return the standardisation of a StandardScaler, without columns of deviation 0."""
        with np.errstate(divide="ignore"):
            return cls(center, np.where(deviation > 0.0, 1.0 / deviation, 0.0), k)

    def _by_output(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        p = self.shift.size
        w, b = flat[: self.k * p].reshape(self.k, p), flat[self.k * p :]
        return np.concatenate([w, b[:, None]], axis=1)

    @cached_property
    def _has_all(self) -> bool:
        """Whether no feature is left out."""
        return bool((self.scale > 0.0).all())

    def _divided(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return numbers of the features (k, p), divided by their scales; 0 where left out."""
        if self._has_all:
            return each / self.scale
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.scale > 0.0, each / self.scale, 0.0)

    def gradient(self, in_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradient (k, p + 1) for standardised features, from that for their units."""
        p = self.shift.size
        g, g_b = in_units[: self.k * p].reshape(self.k, p), in_units[self.k * p :]
        scaled = (g - self.shift * g_b[:, None]) * self.scale
        return np.concatenate([scaled, g_b[:, None]], axis=1)

    def gradient_in_units(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradient (size,) for the features' units, from that of standardised ones.

        That of a feature that is left out is not known, but that its standardised one is zero.
        """
        own = self._divided(scaled[:, :-1])
        return np.concatenate([(own + self.shift * scaled[:, -1:]).reshape(-1), scaled[:, -1]])

    def in_units(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) in the features' units, from scaled ones (k, p + 1)."""
        w = scaled[:, :-1] * self.scale
        b = scaled[:, -1] - (w * self.shift).sum(axis=1)
        return np.concatenate([w.reshape(-1), b])

    def scaled_params(self, in_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scaled parameters (k, p + 1), from those in the features' units (size,)."""
        p = self.shift.size
        w, b = in_units[: self.k * p].reshape(self.k, p), in_units[self.k * p :]
        wide = self._divided(w)
        return np.concatenate([wide, (b + (w * self.shift).sum(axis=1))[:, None]], axis=1)

    def flat_in_units(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) in the features' units, from flat scaled ones (size,)."""
        return self.in_units(self._by_output(flat))

    def flat(self, in_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return flat scaled parameters (size,), from those in the features' units (size,)."""
        scaled = self.scaled_params(in_units)
        return np.concatenate([scaled[:, :-1].reshape(-1), scaled[:, -1]])
