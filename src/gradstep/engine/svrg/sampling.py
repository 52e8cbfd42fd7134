"""Which rows the sample of a curvature is made of.

Rows are drawn at random. Where the squares of a column hang on few rows (rare levels, heavy tails,
outliers), an even draw would miss them, and the metric with them. There half of the draw goes by
the squares of the rows, each feature by its own mean, and what is drawn counts for one over its
chance: the mean is the same, and each feature finds some of its rows. Source: Xu, Yang,
Roosta-Khorasani, Ré and Mahoney, "Sub-sampled Newton methods with non-uniform sampling" (2016).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.row_sums import Passes
    from gradstep.engine.svrg.scaled_problem import Facts
    from gradstep.rows.dataset import Dataset

__all__ = ["Sample", "Samples"]

# Looking at a row costs all features, of sparse rows as well. Those that are drawn from are
_POOL = 16  # times as many as are drawn, or
_AFFORDABLE = 300_000_000  # features; and at most
_MOST_IN_POOL = 1 << 20  # rows, or where all are in memory, as dense numbers,
_MOST_IN_MEMORY = 1 << 23
_NO_EPOCH = 1 << 20


class Sample(NamedTuple):
    """A sample of rows.

    Attributes
    ----------
    data : Dataset
        A copy of the rows, with what each counts for as its weight.
    chance : ndarray of float64, shape (data.n,), or None
        How likely each was drawn, 1 being as likely as all; None if all were as likely.
    """

    data: Dataset
    chance: NDArray[np.float64] | None


class Samples:
    """Draws rows of a problem.

    Parameters
    ----------
    facts : Facts
        The problem.
    passes : Passes
        What looks at rows.
    """

    def __init__(self, facts: Facts, passes: Passes) -> None:
        self._facts, self._passes = facts, passes
        self._draws = 0
        self._pool: tuple[NDArray[np.intp], NDArray[np.float64]] | None = None

    def draw(self, rows: int, squares: NDArray[np.float64] | None) -> Sample:
        """Draw rows among those that weigh anything.

        Parameters
        ----------
        rows : int
            How many.
        squares : ndarray of shape (n_features,), optional
            Mean square of each feature, centred and scaled; 1 by default.
        """
        facts, data = self._facts, self._facts.data
        self._draws += 1
        seed = [facts.problem.seed, _NO_EPOCH, self._draws]
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        if not facts.is_uneven(rows):
            weighty = self._weighty
            at = np.sort(rng.integers(0, data.n if weighty is None else weighty.size, rows))
            return Sample(_copied(data, at if weighty is None else weighty[at]), None)
        if self._pool is None:
            there = self._pool_of(rows, rng)
            self._pool = there, self._chances(there, squares)
        there, chances = self._pool
        below = np.cumsum(chances)
        at = np.searchsorted(below, np.sort(rng.random(rows)) * below[-1], side="right")
        at = np.minimum(at, there.size - 1)
        chance = chances[at] * there.size
        drawn = _copied(data, there[at])
        own = 1.0 if drawn.sample_weight is None else drawn.sample_weight
        return Sample(replace(drawn, sample_weight=own / chance), chance)

    @cached_property
    def _weighty(self) -> NDArray[np.intp] | None:
        """Positions of the rows that weigh anything; None if all do."""
        weight = self._facts.data.weights()
        if weight is None or bool(weight.min() > 0.0):
            return None
        return np.flatnonzero(weight > 0.0)

    def _pool_of(self, rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return positions of rows that are looked at before some are drawn: a bounded number."""
        facts, n = self._facts, self._facts.data.n
        most = min(max(_POOL * rows, _AFFORDABLE // facts.q), _MOST_IN_POOL)
        if facts.columns.measured:
            most = _MOST_IN_MEMORY
        there = self._weighty
        if n <= most:
            return np.arange(n) if there is None else there
        drawn = rng.integers(0, n if there is None else there.size, most)
        return np.unique(drawn if there is None else there[drawn])

    def _chances(
        self, there: NDArray[np.intp], squares: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the chance of each row of a pool: half even, half by its squares."""
        lens = self._facts.lens
        factor = lens.scale
        if squares is not None:
            with np.errstate(divide="ignore"):
                factor = np.where(squares > 0.0, factor / np.sqrt(squares), 0.0)
        numbers = self._facts.data.rows_at(there.astype(np.uint32))
        own = self._passes.row_squares(numbers, lens.shift, factor)
        total = float(own.sum())
        if not 0.0 < total < np.inf:
            return np.full(there.size, 1.0 / there.size)
        chances: NDArray[np.float64] = 0.5 / there.size + 0.5 * own / total
        chances /= chances.sum()
        return chances


def _copied(data: Dataset, at: NDArray[np.intp]) -> Dataset:
    """Return a copy of the rows at some positions."""
    return data.permuted(at.astype(np.uint32))
