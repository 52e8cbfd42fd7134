"""How often each number of a column comes: quantiles and moments of any function of it.

Numbers are told apart by their leading bits, as many as leave few enough different ones. How many
that are depends on all numbers together and not on their order, so counts of parts add up to those
of the whole, exactly, whoever took them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["ValueCounts"]

_MOST = 4096  # different numbers


@dataclass
class ValueCounts:
    """Different numbers, as far as they are told apart, and how often each comes.

    Attributes
    ----------
    keys : ndarray of uint64
        The leading bits of each, in rising order as bits.
    counts : ndarray of int64
        How often it comes.
    cut : int
        How many bits are left away.

    Examples
    --------
    >>> counts = ValueCounts()
    >>> counts.add(np.array([3.0, 1.0, np.nan, 1.0, 2.0]))
    >>> counts.values().tolist(), counts.quantiles(np.array([0.0, 0.5, 1.0])).tolist()
    ([1.0, 2.0, 3.0], [1.0, 1.0, 3.0])
    """

    keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    cut: int = 0

    def add(self, x: NDArray[Any]) -> None:
        """Add numbers; NaN are passed over."""
        there = x[~np.isnan(x)].astype(np.float64) + 0.0  # -0.0 is 0.0
        keys, counts = np.unique(there.view(np.uint64) >> np.uint64(self.cut), return_counts=True)
        self._add(keys, counts)

    def merge(self, other: ValueCounts) -> None:
        """Add what is known of other rows."""
        if other.cut < self.cut:
            self._add(other.keys >> np.uint64(self.cut - other.cut), other.counts)
        else:
            self.keys >>= np.uint64(other.cut - self.cut)
            self.cut = other.cut
            self._add(other.keys, other.counts)

    def _add(self, keys: NDArray[np.uint64], counts: NDArray[np.int64]) -> None:
        both = np.concatenate([self.keys, keys])
        order = np.argsort(both, kind="stable")
        counts = np.concatenate([self.counts, counts])[order]
        self.keys, self.counts = _summed(both[order], counts)
        while self.keys.size > _MOST:
            self.cut += 1
            self.keys, self.counts = _summed(self.keys >> np.uint64(1), self.counts)

    def _in_order(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the numbers in rising order, each from the middle of those that it stands for."""
        middle = np.uint64(1 << self.cut >> 1)
        values = ((self.keys << np.uint64(self.cut)) + middle).view(np.float64)
        order = np.argsort(values)
        return values[order], self.counts[order]

    def values(self) -> NDArray[np.float64]:
        """Return the different numbers, in rising order."""
        return self._in_order()[0]

    def quantiles(self, shares: NDArray[np.float64], *, each: bool = False) -> NDArray[np.float64]:
        """Return the least numbers below or at which these shares of all lie.

        Parameters
        ----------
        shares : ndarray
            From 0 to 1.
        each : bool
            Whether each different number counts once.
        """
        values, counts = self._in_order()
        ranks = np.cumsum(np.ones_like(counts) if each else counts)
        wanted = np.ceil(shares * ranks[-1])
        found: NDArray[np.float64] = values[np.searchsorted(ranks, np.maximum(wanted, 1.0))]
        return found

    def moments(
        self, of: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> tuple[float, float]:
        """Return mean and standard deviation of a function of the numbers."""
        values, counts = self._in_order()
        f = of(values)
        share = counts / counts.sum()
        mean = float((share * f).sum())
        return mean, float(np.sqrt((share * (f - mean) ** 2).sum()))


def _summed(
    keys: NDArray[np.uint64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return sorted keys once each, and the sums of their counts."""
    if not keys.size:
        return keys, counts
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[first], np.add.reduceat(counts, first)
