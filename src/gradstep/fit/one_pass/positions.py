"""Where rows would lie in a prepared table, as far as a fit asks: which fifth, which of the first.

A prepared table is in random order: its first rows stand for all, and its fifths judge strengths of
the penalty. A table that is not prepared has the same samples and the same fifths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.fit.alpha_trials import cuts_of
from gradstep.rows.kernels.shuffling import Buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Positions"]


class Positions:
    """The positions of rows that come one after another.

    Within a bucket the order is made where it matters alone: in those with the first rows, and in
    those that are cut.

    Parameters
    ----------
    n : int
        Number of rows.
    seed : int
        What the order is a function of.
    bucket_rows : int
        Rows of a bucket, about.
    first : int
        Of how many of the first rows the positions are wanted.

    Examples
    --------
    >>> positions = Positions(10, seed=0, bucket_rows=3, first=4)
    >>> found = np.concatenate([positions.of_next(6), positions.of_next(4)])
    >>> np.bincount(positions.parts(found)).tolist(), np.sort(found[found < 4]).tolist()
    ([2, 2, 2, 2, 2], [0, 1, 2, 3])
    """

    def __init__(self, n: int, seed: int, bucket_rows: int, first: int) -> None:
        self._buckets, self._at = Buckets(n, seed, bucket_rows), 0
        self.cuts = np.array(cuts_of(n))
        runs: list[list[tuple[int, int]]] = []  # of buckets beside each other, looked up at once
        for lo, hi in self._buckets.spans():
            if lo < first or ((self.cuts > lo) & (self.cuts < hi)).any():
                if not (runs and runs[-1][-1][1] == lo):
                    runs.append([])
                runs[-1].append((lo, hi))
        self._ordered = [(run[0][0], run[-1][1], self._final(run)) for run in runs]

    def _final(self, run: list[tuple[int, int]]) -> NDArray[np.int64]:
        """Return the positions of the places in buckets beside each other."""
        begin = run[0][0]
        final = np.empty(run[-1][1] - begin, np.int64)
        for lo, hi in run:
            final[lo - begin + self._buckets.permutation(lo, hi)] = np.arange(lo, hi)
        return final

    def of_next(self, count: int) -> NDArray[np.int64]:
        """Return the positions of the next rows; where none matters, others in the bucket."""
        places = self._buckets.places(self._at, count)
        self._at += count
        found = places.copy()
        for lo, hi, final in self._ordered:
            inside = np.flatnonzero((places >= lo) & (places < hi))
            found[inside] = final[places[inside] - lo]
        return found

    def parts(self, positions: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return which part each row belongs to."""
        return np.searchsorted(self.cuts[1:-1], positions, side="right")
