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
        scale = np.zeros(deviation.shape)
        return cls(center, np.divide(1.0, deviation, out=scale, where=deviation > 0.0), k)

    def is_by(self, shift: NDArray[np.float64], scale: NDArray[np.float64]) -> bool:
        """Tell whether these numbers are its own."""
        pairs = (scale, self.scale), (shift, self.shift)
        return all(a is b or (a.shape == b.shape and (a == b).all()) for a, b in pairs)

    def _by_output(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.k == 1:
            return flat.reshape(1, -1)
        p = self.shift.size
        whole = np.empty((self.k, p + 1))
        whole[:, :-1] = flat[: self.k * p].reshape(self.k, p)
        whole[:, -1] = flat[self.k * p :]
        return whole

    def _flat(self, by_output: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.k == 1:
            return by_output.reshape(-1)
        return np.concatenate([by_output[:, :-1].reshape(-1), by_output[:, -1]])

    @cached_property
    def has_all(self) -> bool:
        """Whether no feature is left out."""
        return bool((self.scale > 0.0).all())

    @cached_property
    def _changes_nothing(self) -> bool:
        """Whether features stay as they are; with many, nothing else is worth a pass over them."""
        return bool((self.scale == 1.0).all()) and not self.shift.any()

    @cached_property
    def _with_intercept(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shift and scale of the features, and of a last one, which is the intercept's: 0 and 1."""
        shift, scale = np.zeros(self.shift.size + 1), np.ones(self.shift.size + 1)
        shift[:-1], scale[:-1] = self.shift, self.scale
        return shift, scale

    def _divided(self, by_output: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return numbers (k, p + 1), but the last, divided by their scales; 0 where left out."""
        scale = self._with_intercept[1]
        if self.has_all:
            return by_output / scale
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(scale > 0.0, by_output / scale, 0.0)

    def gradient(self, in_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradient (k, p + 1) for standardised features, from that for their units."""
        own = self._by_output(in_units)
        if self._changes_nothing:
            return own.copy() if self.k == 1 else own
        shift, scale = self._with_intercept
        return (own - shift * own[:, -1:]) * scale

    def gradient_in_units(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradient (size,) for the features' units, from that of standardised ones.

        That of a feature that is left out is not known, but that its standardised one is zero.
        """
        return self._flat(self._divided(scaled) + self._with_intercept[0] * scaled[:, -1:])

    def in_units(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) in the features' units, from scaled ones (k, p + 1)."""
        if self._changes_nothing:
            return self._flat(scaled.copy() if self.k == 1 else scaled)
        own = np.empty(scaled.shape)
        w = np.multiply(scaled[:, :-1], self.scale, out=own[:, :-1])
        own[:, -1] = scaled[:, -1] - np.add.reduce(w * self.shift, axis=1)
        return self._flat(own)

    def scaled_params(self, in_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scaled parameters (k, p + 1), from those in the features' units (size,)."""
        own = self._by_output(in_units)
        if self._changes_nothing:
            return own.copy() if self.k == 1 else own
        scaled = self._divided(own)
        scaled[:, -1] += np.add.reduce(own[:, :-1] * self.shift, axis=1)
        return scaled

    def flat_in_units(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) in the features' units, from flat scaled ones (size,)."""
        return self.in_units(self._by_output(flat))

    def flat(self, in_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return flat scaled parameters (size,), from those in the features' units (size,)."""
        return self._flat(self.scaled_params(in_units))
