"""Statistics of the columns from one pass over the rows: means, deviations, extremes.

Dense rows are measured tile by tile: the mean, and the sum of squares around it, of a few rows in
cache are merged into those of the rows before (Chan, Golub and LeVeque, 1983). No digits cancel,
however far a column lies from zero, and multiplying a column by 2^k multiplies its mean and
deviation by 2^k, to the bit. Shards (`gradstep.rows.shards`) are measured one by one and merged in
their order, whoever measures them: when a table is prepared, or when rows are first used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gradstep.rows.kernels.statistics import measure_rows
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = ["Columns", "measure"]

_TILE_BYTES = 1 << 15
_ARRAYS = ("mean", "square", "low", "high")


@dataclass(frozen=True)
class Columns:
    """Statistics of the columns.

    Attributes
    ----------
    weight : float
        Sum of the weights of the rows measured.
    mean, square : ndarray of shape (n_features,)
        Weighted means, and weighted sums of the squares around them.
    low, high : ndarray of shape (n_features,)
        Extremes over the rows of positive weight.
    measured : bool
        Whether these were measured; if not they are zeros and ones, which change nothing.
    """

    weight: float
    mean: NDArray[np.float64]
    square: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    measured: bool = True

    @classmethod
    def unmeasured(cls, n_features: int) -> Self:
        """Return the statistics for columns that are neither to be centred nor scaled."""
        zeros, ones = np.zeros(n_features), np.ones(n_features)
        return cls(1.0, zeros, ones, -ones, ones, measured=False)

    @cached_property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviations; exactly zero for a constant column."""
        deviation = np.sqrt(self.square / self.weight)
        own: NDArray[np.float64] = np.where(self.low < self.high, deviation, 0.0)
        own.flags.writeable = False
        return own

    @property
    def length(self) -> NDArray[np.float64]:
        """Root mean squares: deviations from zero."""
        return np.sqrt(self.square / self.weight + self.mean * self.mean)

    @cached_property
    def scale(self) -> NDArray[np.float64]:
        """Deviations; 1 for a constant column, as behind a StandardScaler."""
        deviation, there = self.deviation, self.deviation > 0.0
        return deviation if there.all() else np.where(there, deviation, 1.0)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes, which gives the same bits."""
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return {"weight": self.weight, **arrays}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], n_features: int) -> Self:
        """Return the statistics of so many columns that `to_json` wrote.

        Raises
        ------
        ValueError, TypeError, KeyError
            If they are none.
        """
        weight = float(content["weight"])
        mean, square, low, high = (np.array(content[name], np.float64) for name in _ARRAYS)
        of_all = np.stack([mean, square, low, high])  # or they differ in length
        if of_all.shape != (4, n_features) or not np.isfinite([*of_all.ravel(), weight]).all():
            msg = f"there are no statistics of {n_features} columns"
            raise ValueError(msg)
        if not (weight > 0.0 and (square >= 0.0).all() and (low <= high).all()):
            msg = "no numbers have such statistics"
            raise ValueError(msg)
        return cls(weight, mean, square, low, high)

    def kept(self, later: Columns) -> Columns:
        """Return these statistics, with the later ones for columns that were constant.

        Parameters that are kept in the units of a standardisation need this, since it leaves
        constant columns out.
        """
        if not (self.measured and later.measured and later.weight > 0.0):
            return self
        new = ~(self.low < self.high)
        share = self.weight / later.weight
        return Columns(
            self.weight,
            np.where(new, later.mean, self.mean),
            np.where(new, later.square * share, self.square),
            np.where(new, later.low, self.low),
            np.where(new, later.high, self.high),
        )

    def merged(self, other: Columns) -> Columns:
        """Return the statistics of both parts of a stream together."""
        if not (self.measured and other.measured):
            return self
        if not self.weight > 0.0:
            return other
        if not other.weight > 0.0:
            return self
        weight = self.weight + other.weight
        apart = other.mean - self.mean
        return Columns(
            weight,
            self.mean + apart * (other.weight / weight),
            self.square + other.square + apart * apart * (self.weight * other.weight / weight),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )


def measure(shard: Dataset) -> Columns:
    """Measure the columns of dense rows, in one pass: a task (`gradstep.engine.row_tasks`).

    Parameters
    ----------
    shard : Dataset
        Rows of one dense matrix.

    Examples
    --------
    >>> from gradstep.rows.dataset import Dataset
    >>> from gradstep.rows.layouts import DenseRows
    >>> columns = measure(Dataset(DenseRows(np.array([[1e9], [1e9 + 2.0]])), np.zeros((2, 1))))
    >>> columns.mean, columns.deviation
    (array([1.e+09]), array([1.]))
    """
    values: Any = shard.rows.values  # type: ignore[attr-defined]
    p = values.shape[1]
    tile = max(16, min(_TILE_BYTES // max(1, values[:1].nbytes), 1024))
    rows, weight = readonly(values), readonly(shard.sample_weight)
    mean, square, low, high = np.zeros((4, p))
    low.fill(np.inf)
    high.fill(-np.inf)
    order = readonly(shard.rows_between(0, shard.n))
    with np.errstate(all="ignore"):
        total = measure_rows(rows, weight, order, tile, mean, square, low, high)
    return Columns(float(total), mean, square, low, high)
