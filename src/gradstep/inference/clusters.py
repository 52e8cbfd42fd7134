"""Which cluster each row is in, by number, however many rows there are; and if they are few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.data.preparing.per_row import per_row
from gradstep.diagnostics.of_models import FEW_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["both_ways", "note_of_few", "numbered"]

_ROWS = 1 << 20  # that are looked at together
_ENOUGH = 30  # clusters


def numbered(keys: Callable[[int, int], NDArray[np.int64]], n: int) -> NDArray[np.int64]:
    """Return the number of each row's cluster, from 0 in the order of the keys.

    Memory is bounded but for the keys that differ: the numbers of many rows lie in a file.

    Parameters
    ----------
    keys : callable
        Returns the keys of the rows from lo to hi.
    n : int
        How many rows there are.

    Examples
    --------
    >>> keys = np.array([7, 3, 7])
    >>> numbered(lambda lo, hi: keys[lo:hi], 3)
    array([1, 0, 1])
    """
    cuts = [(lo, min(lo + _ROWS, n)) for lo in range(0, n, _ROWS)]
    known = np.zeros(0, np.int64)
    for lo, hi in cuts:
        known = np.union1d(known, keys(lo, hi))
    codes: NDArray[np.int64] = per_row(n, np.int64)
    for lo, hi in cuts:
        codes[lo:hi] = np.searchsorted(known, keys(lo, hi))
    return codes


def both_ways(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the clusters of rows that are in the same one both ways."""
    width = int(other.max()) + 1
    return numbered(lambda lo, hi: one[lo:hi] * width + other[lo:hi], one.size)


def note_of_few(counts: Sequence[int]) -> list[Note]:
    """Return what a person should know of so many clusters, each way: that they are few.

    Examples
    --------
    >>> [note.code for note in note_of_few([40, 3])], note_of_few([40])
    (['GS208'], [])
    """
    if not counts or min(counts) >= _ENOUGH:
        return []
    few = f"{min(counts)} clusters are few: intervals are usually too short below some thirty."
    return [FEW_CLUSTERS.note(few)]
