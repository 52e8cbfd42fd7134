"""Whether a column that is given as an offset does what an exposure does.

An offset is added to the logarithm of the prediction, so the target is proportional to its
exponential; where it is proportional to the column itself, a time or a population was given whose
logarithm should have been. Sums over the rows tell: the quasi-likelihood of counts (McCullagh and
Nelder, 1989, chapter 9), with nothing in the model but a constant, of both. Counts often grow more
slowly than what they are of, so the offset is tried with each coefficient from 0, where it says
nothing, to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gradstep.diagnostics.of_tables import RAW_EXPOSURE
from gradstep.parameters import given

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["OffsetSums"]

_CLEARLY = 10.0  # of log-likelihoods: 22,000 times as likely
_FEWEST_ROWS = 20
_MOST = 100.0  # of an offset: beyond, training refuses it with words of its own
_STEPS = 20  # from the coefficient 0 of an offset to 1


@dataclass
class OffsetSums:
    """Sums over rows of a target y, weights w and an offset o that is above 0 in each of them.

    Attributes
    ----------
    possible : bool
        Whether it is above 0 in each, as exposures are.
    rows : int
        How many.
    w_exp_o : ndarray
        Σ w·exp(t·o) for each coefficient t.
    """

    possible: bool = True
    rows: int = 0
    w_exp_o: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_STEPS + 1))
    w_y: float = 0.0
    w_o: float = 0.0
    w_y_o: float = 0.0
    w_y_log_o: float = 0.0
    w_y2_by_o: float = 0.0

    def add(self, offset: pl.Series, y: NDArray[np.float64], w: NDArray[np.float64] | None) -> None:
        """Add rows; of text, or with values missing, the column is none that this tells of."""
        o = offset.cast(pl.Float64).to_numpy() if offset.dtype.is_numeric() else np.zeros(1)
        self.possible = self.possible and bool(((o > 0.0) & (o < _MOST)).all())
        if not self.possible:
            return
        w = np.ones(y.size) if w is None else w
        w_y = w * y
        self.rows += y.size
        step, scale = np.exp(o / _STEPS), np.ones(o.size)
        for at in range(_STEPS + 1):
            self.w_exp_o[at] += w @ scale
            scale *= step
        self.w_y += float(w_y.sum())
        self.w_o += float(w @ o)
        self.w_y_o += float(w_y @ o)
        self.w_y_log_o += float(w_y @ np.log(o))
        self.w_y2_by_o += float(w_y @ (y / o))

    def merge(self, other: OffsetSums) -> None:
        """Add rows that have been added to another."""
        both = self.possible and other.possible
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        self.possible = both

    @property
    def gain(self) -> float:
        """The rise of the log-likelihood if the column is an exposure, and no offset.

        Of c·o as the mean the quasi-likelihood is Σ w·y·log(o) - Σ w·y·log(Σ w·o), but for what all
        share and the dispersion, which Pearson's statistic estimates.
        """
        if not self.possible or self.rows < _FEWEST_ROWS or self.w_y <= 0.0:
            return 0.0
        of_exposure = self.w_y_log_o - self.w_y * math.log(self.w_o)
        t = np.linspace(0.0, 1.0, _STEPS + 1)
        rise = of_exposure - _maximum(t * self.w_y_o - self.w_y * np.log(self.w_exp_o))
        dispersion = (self.w_y2_by_o * self.w_o / self.w_y - self.w_y) / self.rows
        least = np.finfo(np.float64).eps * self.w_y / self.rows  # of a target without any noise
        return rise / max(dispersion, least)

    def notes(self, column: str) -> list[Note]:
        """Return a note, if the column clearly is an exposure."""
        if not self.gain >= _CLEARLY:  # nor if it is NaN
            return []
        return [
            RAW_EXPOSURE.note(
                f"The offset {column!r} is added to the logarithm of the prediction, but the "
                "target is closer to proportional to the column itself than to its exponential, "
                "or any power of that. If it is an exposure (a time, a population): "
                f"{given('exposure', column)} takes its logarithm."
            )
        ]


def _maximum(values: NDArray[np.float64]) -> float:
    """Return the maximum of a concave function, by the parabola through the largest values."""
    at = min(max(int(values.argmax()), 1), values.size - 2)
    before, middle, after = values[at - 1 : at + 2]
    curvature, slope = 2.0 * middle - before - after, 0.5 * (after - before)
    if abs(slope) < curvature:  # the top lies between the three
        return float(middle + 0.5 * slope * slope / curvature)
    return float(values.max())
