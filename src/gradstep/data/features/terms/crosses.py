"""Terms made of what columns became: powers of a number, and crosses of two columns.

They are made of scaled numbers, (x - mean) / deviation, so a missing number, which is the mean
everywhere, is none in them; a level that training did not see has no crosses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gradstep.data.features.terms.options import MOST_POWER

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MOST_PAIRS",
    "Cross",
    "PairColumn",
    "PowerColumn",
    "ProductColumn",
    "SlopesColumn",
    "VaryingColumn",
]

MOST_PAIRS = 1 << 18  # of levels of two categories with a weight each; of more, pairs share them


@dataclass(frozen=True)
class PowerColumn:
    """A power of a number that has been scaled, scaled itself."""

    source: str
    power: int
    mean: float
    scale: float

    part: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """What the feature is called: the powers below are there, too."""
        return f"{self.source}^{self.power}"

    @property
    def group(self) -> str:
        """What it counts as a part of, where importance is told."""
        return self.source

    def check(self) -> bool:
        """Tell whether it can be what it says."""
        return 2 <= self.power <= MOST_POWER and self.scale > 0.0 and math.isfinite(self.mean)


@dataclass(frozen=True)
class Cross:
    """Two columns: `source` and `other`."""

    source: str
    other: str

    @property
    def name(self) -> str:
        """What the cross is called."""
        return f"{self.source}:{self.other}"

    @property
    def group(self) -> str:
        """What it counts as a part of, where importance is told."""
        return self.name


@dataclass(frozen=True)
class ProductColumn(Cross):
    """The product of two numbers, which are scaled."""

    part: ClassVar[str] = ""
    mean: ClassVar[float] = 0.0
    scale: ClassVar[float] = 1.0


@dataclass(frozen=True)
class PairColumn(Cross):
    """Two categories: a feature for each pair of their levels, of which a row has one."""

    @staticmethod
    def codes(
        one: NDArray[np.int32], two: NDArray[np.int32], sizes: tuple[int, int]
    ) -> NDArray[np.int64]:
        """Return the feature of each row; -1 where either category has none.

        Parameters
        ----------
        one, two : ndarray of int32
            The features of both, from 0 on; -1 for none.
        sizes : (int, int)
            How many each has.
        """
        pair = one.astype(np.int64) * sizes[1] + two
        if sizes[0] * sizes[1] > MOST_PAIRS:
            pair = _mixed(pair)
        return np.where((one < 0) | (two < 0), -1, pair)


def _mixed(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one of `MOST_PAIRS` numbers for each: the finaliser of SplitMix64 (Steele, 2014)."""
    z = numbers.astype(np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) & np.uint64(MOST_PAIRS - 1)).astype(np.int64)


@dataclass(frozen=True)
class VaryingColumn(Cross):
    """A curve and a number, in either order: the number's weight as a curve of the other."""


@dataclass(frozen=True)
class SlopesColumn(Cross):
    """A category and a number, in either order: a weight of the number, or a curve, a level."""
