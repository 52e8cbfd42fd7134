"""Whether any number of a column comes twice, told by a bounded number of them.

The numbers of a chunk are compared with each other; across chunks a sample of all different ones
is. It holds the numbers whose hash is divisible by a power of two that leaves few enough (Gibbons,
2001), so it depends on all numbers together and not on who read which of them first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Repeats"]

_MOST = 1 << 14  # different numbers that are kept
_HEAD = 1 << 12  # numbers in which most columns repeat one


def _hashed(x: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return a hash of each number, which no other has (SplitMix64's finaliser)."""
    h = (x + 0.0).view(np.uint64).copy()  # -0.0 is 0.0
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        h ^= h >> np.uint64(shift)
        h *= np.uint64(factor)
    return h ^ (h >> np.uint64(31))


@dataclass
class Repeats:
    """Whether a number comes twice.

    Attributes
    ----------
    in_chunk : bool
        Whether one does within a chunk.
    kept : ndarray of uint64
        Hashes of the numbers that are compared across chunks, in rising order.
    twice : ndarray of bool
        Which of them have come twice.
    cut : int
        All hashes that are kept are divisible by 2 to this power.

    Examples
    --------
    >>> repeats = Repeats()
    >>> repeats.add(np.array([17.0, 4.0]))
    >>> bool(repeats)
    False
    >>> repeats.add(np.array([4.0]))
    >>> bool(repeats)
    True
    """

    in_chunk: bool = False
    kept: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    twice: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    cut: int = 0

    def __bool__(self) -> bool:
        """Tell whether any number has come twice, as far as is known."""
        return self.in_chunk or bool(self.twice.any())

    def add(self, x: NDArray[Any]) -> None:
        """Add the numbers of a chunk, none of them NaN."""
        hashes = _hashed(x.astype(np.float64))
        for part in (hashes[:_HEAD], hashes):
            if self.in_chunk:
                return
            part.sort()
            self.in_chunk = bool((part[1:] == part[:-1]).any())
        if not self.in_chunk:
            hashes = hashes[self._divisible(hashes)]
            self._add(hashes, np.zeros(hashes.size, np.bool_))

    def merge(self, other: Repeats) -> None:
        """Add what is known of other rows."""
        self.in_chunk |= other.in_chunk
        self.cut = max(self.cut, other.cut)
        self._add(other.kept, other.twice)

    def _add(self, hashes: NDArray[np.uint64], twice: NDArray[np.bool_]) -> None:
        both = np.concatenate([self.kept, hashes])
        order = np.argsort(both, kind="stable")
        both, twice = both[order], np.concatenate([self.twice, twice])[order]
        same = both[1:] == both[:-1]  # as the one before; three are never alike
        twice[:-1] |= same
        first = np.append(np.ones(min(both.size, 1), np.bool_), ~same)
        self.kept, self.twice = both[first], twice[first]
        while True:
            divisible = self._divisible(self.kept)
            self.kept, self.twice = self.kept[divisible], self.twice[divisible]
            if self.kept.size <= _MOST:
                return
            self.cut += 1

    def _divisible(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (hashes & np.uint64((1 << self.cut) - 1)) == 0
        return found
