"""A curve of a number: cubic B-splines, of which four at most are there at any value.

Between two knots the curve is a cubic polynomial, twice continuously differentiable at knots, and
beyond the outer ones it goes on as a straight line. Straight lines and constants are such curves,
so it takes the place of the number's own weight. De Boor, A Practical Guide to Splines (1978).

The line goes as far as the knots reach once more. A number beyond, a typo as likely as not, counts
as that far out and no farther, in the curve and in its crosses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gradstep.data.features.columns import NumberColumn
from gradstep.data.features.terms.options import LEAST_KNOTS, MOST_KNOTS

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from gradstep.data.features.terms.counts import ValueCounts

__all__ = ["SplineColumn", "knots_of"]

_DEGREE = 3
_OUTER = 0.01  # share of the numbers beyond each of the outer knots


@dataclass(frozen=True)
class SplineColumn:
    """A number that became a curve: a feature for each B-spline, and one for missing.

    Attributes
    ----------
    source : str
        The column.
    knots : tuple of float
        In rising order.
    mean, scale : float
        Of the number, for crosses with others; where it is missing it is the mean.
    indicator : bool
        Whether it was found missing, which is then a feature.
    part : str
        "days" for those of a date.
    """

    source: str
    knots: tuple[float, ...]
    mean: float
    scale: float
    indicator: bool = False
    part: str = ""

    @property
    def number(self) -> NumberColumn:
        """The number that it is a curve of."""
        return NumberColumn(self.source, self.mean, self.scale, self.indicator, self.part)

    @property
    def name(self) -> str:
        """What the column is called."""
        return self.number.name

    def read(self, frame: pl.DataFrame) -> NDArray[np.floating]:
        """Return the column's numbers, none of them too far out; NaN where missing."""
        reach = self.knots[-1] - self.knots[0]
        low, high = self.knots[0] - reach, self.knots[-1] + reach
        found: NDArray[np.floating] = np.clip(self.number.read(frame), low, high)
        return found

    @property
    def group(self) -> str:
        """What it counts as a part of, where importance is told."""
        return self.source

    @property
    def size(self) -> int:
        """How many features it has."""
        return len(self.knots) + _DEGREE - 1

    n_places: ClassVar[int] = _DEGREE + 1  # features that a row has, at most

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """Where each B-spline is centred; as weights they make the straight line y = x."""
        t = self._all_knots
        return np.array([t[i + 1 : i + 1 + _DEGREE].mean() for i in range(self.size)])

    @cached_property
    def names(self) -> list[str]:
        """What the features are called: each for the values that it matters most at."""
        return [f"{self.name} near {centre:.6g}" for centre in self.centres]

    @cached_property
    def _all_knots(self) -> NDArray[np.float64]:
        """The knots, and three more on each side, as far apart as the outer ones."""
        t = np.array(self.knots)
        more = np.arange(_DEGREE, 0, -1)
        return np.concatenate(
            [t[0] - more * (t[1] - t[0]), t, t[-1] + more[::-1] * (t[-1] - t[-2])]
        )

    @cached_property
    def _pieces(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]:
        """The polynomials: where each begins, its coefficients (pieces, powers, 4), its first.

        The first and last pieces are the straight lines beyond the knots.
        """
        from scipy.interpolate import BSpline

        t, size = self._all_knots, self.size
        splines = BSpline(t, np.eye(size), _DEGREE)
        whole = [splines(t[_DEGREE:size], nu=m) / math.factorial(m) for m in range(_DEGREE, -1, -1)]
        inner = np.stack(whole, axis=1)  # (pieces, powers from the highest, splines)
        first = np.arange(size - _DEGREE, dtype=np.int32)
        inner = np.stack([each[:, i : i + 4] for i, each in zip(first, inner, strict=True)])
        begin, h = np.array(self.knots), self.knots[-1] - self.knots[-2]
        low, high = np.zeros((2, _DEGREE + 1, _DEGREE + 1))
        low[2:] = inner[0][2:]  # slope and value at the first knot
        last = inner[-1]
        high[2] = (3.0 * last[0] * h + 2.0 * last[1]) * h + last[2]
        high[3] = ((last[0] * h + last[1]) * h + last[2]) * h + last[3]
        return (
            np.concatenate([begin[:1], begin]),
            np.concatenate([low[None], inner, high[None]]),
            np.concatenate([first[:1], first, first[-1:]]),
        )

    def amounts(self, x: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return for each number the first feature that it has, and the amounts of four.

        Parameters
        ----------
        x : ndarray of shape (n,)
            Numbers; the mean is taken where they are missing.
        """
        begin, coef, first = self._pieces
        x = np.where(np.isnan(x), self.mean, x).astype(np.float64)
        piece = np.searchsorted(begin[1:], x, side="right")
        u = (x - begin[piece])[:, None]
        found = coef[piece, 0]
        for power in range(1, _DEGREE + 1):
            found = found * u + coef[piece, power]
        return first[piece], found

    def check(self) -> bool:
        """Tell whether knots rise, and numbers are finite."""
        numbers = (*self.knots, self.mean, self.scale)
        rising = all(low < high for low, high in pairwise(self.knots))
        return (
            all(map(math.isfinite, numbers))
            and rising
            and LEAST_KNOTS <= len(self.knots) <= MOST_KNOTS
            and self.scale > 0.0
        )


def knots_of(counts: ValueCounts, wanted: int) -> tuple[float, ...]:
    """Return up to so many knots: quantiles, the outer ones with a hundredth beyond each.

    Where one value is so frequent that few different ones are left, each value counts once.
    """
    shares = np.linspace(_OUTER, 1.0 - _OUTER, wanted)
    knots = np.unique(counts.quantiles(shares))
    if 2 * knots.size <= wanted:
        knots = np.unique(np.append(knots, counts.quantiles(shares, each=True)))
        knots = knots[np.unique(np.linspace(0, knots.size - 1, wanted).round().astype(np.intp))]
    return tuple(knots.tolist())
