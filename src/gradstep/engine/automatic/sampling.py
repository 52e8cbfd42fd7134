"""Which rows the sample of a Hessian is made of.

Rows are drawn at random. If the sum of squares of a column depends on few rows (rare levels, heavy
tails, outliers), an even draw would miss them. Then half of the probability of a row is in
proportion to its squares, each feature divided by its mean square, and a row that is drawn is
weighted by 1/probability: the mean is unbiased, and each feature has some rows. Source: Xu, Yang,
Roosta-Khorasani, Ré and Mahoney, "Sub-sampled Newton methods with non-uniform sampling" (2016).
Measured in ADR 0010.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradstep.rows.dataset import row_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.state import Sampling
    from gradstep.engine.row_sums import RowSums
    from gradstep.rows.dataset import Dataset

__all__ = ["Sampler"]

# Rows of the pool that uneven samples are drawn from, per row that is drawn.
_POOL = 16
# Numbers in the pool, if that gives more rows; a row costs all features, sparse or not.
_AFFORDABLE = 300_000_000
# Rows of the pool at most.
_MOST_IN_POOL = 1 << 20
# The same if the columns are measured, so that rows are dense.
_MOST_IN_MEMORY = 1 << 23
# In a seed, where other random numbers have their epoch: no run has so many.
_NO_EPOCH = 1 << 20


class Sampler:
    """Draws rows of a problem: a function of the data, the seed and the record `Sampling`.

    Parameters
    ----------
    of : ScaledProblem
        The problem.
    row_sums : RowSums
        What reads rows.
    """

    def __init__(self, of: ScaledProblem, row_sums: RowSums) -> None:
        self._of, self._row_sums = of, row_sums
        self._pool: tuple[tuple[int, int], NDArray[np.intp], NDArray[np.float64]] | None = None

    def draw(self, rows: int, sampling: Sampling) -> tuple[Dataset, Sampling]:
        """Draw rows; return a copy with their weights, and the record for the next draw.

        Parameters
        ----------
        rows : int
            How many.
        sampling : Sampling
            The record of the draws before.
        """
        of, data = self._of, self._of.data
        sampling = sampling._replace(draws=sampling.draws + 1)
        rng = self._random(sampling.draws)
        if not of.is_uneven(rows):
            at = np.sort(rng.integers(0, data.n, rows))
            return self._row_sums.take(row_numbers(at, data.n)), sampling
        if not sampling.pool_draw:
            sampling = sampling._replace(pool_draw=sampling.draws, pool_rows=rows)
        there, chances = self._pool_of(sampling, rng)
        below = np.cumsum(chances)
        at = np.searchsorted(below, np.sort(rng.random(rows)) * below[-1], side="right")
        at = np.minimum(at, there.size - 1)
        chance = chances[at] * there.size
        drawn = self._row_sums.take(row_numbers(there[at], data.n))
        own = 1.0 if drawn.sample_weight is None else drawn.sample_weight
        return replace(drawn, sample_weight=own / chance), sampling

    def _random(self, draw: int) -> np.random.Generator:
        seed = [self._of.problem.seed, _NO_EPOCH, draw]
        return np.random.default_rng(np.random.SeedSequence(seed))

    def _pool_of(
        self, sampling: Sampling, rng: np.random.Generator
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the rows that uneven samples are drawn from, and the chance of each.

        Made in the first uneven draw, with its random numbers; anew where a run goes on from a
        written state, which holds no rows.
        """
        key = (sampling.pool_draw, sampling.pool_rows)
        if self._pool is None or self._pool[0] != key:
            first = sampling.draws == sampling.pool_draw
            read = self._row_sums.rows_read
            there = self._positions(sampling.pool_rows, rng if first else self._random(key[0]))
            squares = sampling.squares if sampling.squares.size else None
            self._pool = key, there, self._chances(there, squares)
            if not first:
                self._row_sums.rows_read = read  # counted when it was made first
        return self._pool[1], self._pool[2]

    def _positions(self, rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return positions of rows that are read before some are drawn: a bounded number."""
        of, n = self._of, self._of.data.n
        most = min(max(_POOL * rows, _AFFORDABLE // of.q), _MOST_IN_POOL)
        if of.columns.measured:
            most = _MOST_IN_MEMORY
        return np.arange(n) if n <= most else np.unique(rng.integers(0, n, most))

    def _chances(
        self, there: NDArray[np.intp], squares: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the chance of each row of a pool: half even, half by its squares."""
        standardisation = self._of.standardisation
        factor = standardisation.scale
        if squares is not None:
            with np.errstate(divide="ignore"):
                factor = np.where(squares > 0.0, factor / np.sqrt(squares), 0.0)
        at = row_numbers(there, self._of.data.n)
        own = self._row_sums.row_squares(at, standardisation.shift, factor)
        total = float(own.sum())
        if not 0.0 < total < np.inf:
            return np.full(there.size, 1.0 / there.size)
        chances: NDArray[np.float64] = 0.5 / there.size + 0.5 * own / total
        chances /= chances.sum()
        return chances
