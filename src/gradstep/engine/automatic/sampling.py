"""Which rows the sample of a Hessian is made of.

Rows are drawn at random. If the sum of squares of a column depends on few rows (rare levels, heavy
tails, outliers), an even draw would miss them, and the preconditioner with them. Then half of the
probability of a row is in proportion to its squares, each feature divided by its mean square; for
dense rows nearly all of it. If second derivatives have no bound and are known at a point near the
optimum, as much is in proportion to them times the squares: some of those rows decide a Hessian
alone. Source: Xu, Yang, Roosta-Khorasani, Ré and Mahoney, "Sub-sampled Newton methods with
non-uniform sampling" (2016). Measured in ADR 0010 and 0025.

The rows with the largest weight over a random number are drawn, and each is weighted by
1/probability: the mean is unbiased, and the rows that weigh most are drawn for certain, once.
Source: Duffield, Lund and Thorup, "Priority sampling for estimation of arbitrary subset sums",
Journal of the ACM 54(6), 2007.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradstep.rows.dataset import row_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.smoothing import Smoothing
    from gradstep.engine.automatic.state import Sampling
    from gradstep.engine.row_sums import RowSums
    from gradstep.rows.dataset import Dataset

__all__ = ["Sampler"]

# Rows of the pool that uneven samples are drawn from, per row that is drawn.
_POOL = 16
# Numbers in the pool, if that gives more rows.
_AFFORDABLE = 300_000_000
# Rows of the pool at most.
_MOST_IN_POOL = 1 << 20
# The same if the columns are measured, so that rows are dense.
_MOST_IN_MEMORY = 1 << 23
# In a seed, where other random numbers have their epoch: no run has so many.
_NO_EPOCH = 1 << 20
_LARGEST = 1e300  # of a sum of squares
# Priorities that tell which are large, and how many times as many as are drawn are looked at.
_SOME, _SPARE = 1 << 12, 2


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

    def draw(self, rows: int, sampling: Sampling, smoothing: Smoothing) -> tuple[Dataset, Sampling]:
        """Draw rows; return a copy with their weights, and the record for the next draw.

        Parameters
        ----------
        rows : int
            How many.
        sampling : Sampling
            The record of the draws before.
        smoothing : Smoothing
            The width that second derivatives are smoothed over.
        """
        of, data = self._of, self._of.data
        sampling = sampling._replace(draws=sampling.draws + 1)
        rng = self._random(sampling.draws)
        if not of.is_uneven(rows):
            at = np.sort(rng.integers(0, data.n, rows))
            return self._row_sums.take(row_numbers(at, data.n)), sampling
        if not sampling.pool_draw:
            sampling = sampling._replace(pool_draw=sampling.draws, pool_rows=rows)
        there, chances = self._pool_of(sampling, smoothing, rng)
        at, counts = _by_priority(chances, rows, rng)
        drawn = self._row_sums.take(row_numbers(there[at], data.n))
        own = 1.0 if drawn.sample_weight is None else drawn.sample_weight
        return replace(drawn, sample_weight=own * counts), sampling

    def _random(self, draw: int) -> np.random.Generator:
        seed = [self._of.problem.seed, _NO_EPOCH, draw]
        return np.random.default_rng(np.random.SeedSequence(seed))

    def _pool_of(
        self, sampling: Sampling, smoothing: Smoothing, rng: np.random.Generator
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
            self._pool = key, there, self._chances(there, sampling, smoothing)
            if not first:
                self._row_sums.rows_read = read  # counted when it was made first
        return self._pool[1], self._pool[2]

    def _positions(self, rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return positions of rows that are read before some are drawn: a bounded number."""
        of, n = self._of, self._of.data.n
        most = min(max(_POOL * rows, _AFFORDABLE // of.numbers_a_row), _MOST_IN_POOL)
        if of.columns.measured:
            most = _MOST_IN_MEMORY
        if n <= most:
            return np.arange(n)
        drawn = np.sort(rng.integers(0, n, most))  # `numpy.unique` takes ten times as long
        once: NDArray[np.intp] = drawn[np.append(True, drawn[1:] > drawn[:-1])]
        return once

    def _chances(
        self, there: NDArray[np.intp], sampling: Sampling, smoothing: Smoothing
    ) -> NDArray[np.float64]:
        """Return the chance of each row of a pool: even, by its squares, by its second derivative.

        As far as they are known.
        """
        of, squares = self._of, sampling.squares
        factor = of.standardisation.scale
        if squares.size:
            with np.errstate(divide="ignore"):
                factor = np.where(squares > 0.0, factor / np.sqrt(squares), 0.0)
        at, hessian_at = row_numbers(there, of.data.n), None
        if sampling.point.size:
            hessian_at = of.problem.loss, smoothing.widths(of), sampling.point
        own = self._row_sums.row_squares(at, of.standardisation.shift, factor, hessian_at)
        most = _LARGEST / there.size
        own = np.nan_to_num(np.minimum(own, most, out=own), copy=False, nan=most)
        total = own.sum(axis=0)
        own /= np.where(total > 0.0, total, 1.0)
        # Every dense row has a square, and the intercept no more than a feature's share of it.
        even = 1.0 / of.q if of.columns.measured else 1.0
        chances: NDArray[np.float64] = own.sum(axis=1)
        chances += even / there.size
        return chances


def _by_priority(
    chances: NDArray[np.float64], rows: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Draw so many, or all there are; return which, ascending, and what each counts for."""
    if rows >= chances.size:
        return np.arange(chances.size), np.ones(chances.size)
    priorities = chances / (1.0 - rng.random(chances.size))
    among = _likely(priorities, rows)
    first = among[np.argpartition(-priorities[among], rows)]
    at, least = np.sort(first[:rows]), priorities[first[rows]]
    return at, np.maximum(1.0, least / chances[at])


def _likely(priorities: NDArray[np.float64], rows: int) -> NDArray[np.intp]:
    """Return positions that have more than so many of the largest among them, mostly few more.

    To part all takes ten times as long as to compare them with a bound that some of them suggest.
    """
    some = np.sort(priorities[:: max(1, priorities.size // _SOME)])
    expected = _SPARE * rows * some.size // priorities.size
    found: NDArray[np.intp] = np.flatnonzero(priorities >= some[-1 - min(expected, some.size - 1)])
    return found if found.size > rows else np.arange(priorities.size)
