"""Statistics of the columns from one pass over the rows: means, deviations, extremes.

Dense rows are measured tile by tile: the mean, and the sum of squares around it, of a few rows in
cache are merged into those of the rows before (Chan, Golub and LeVeque, 1983). No digits cancel,
however far a column lies from zero, and multiplying a column by 2^k multiplies its mean and
deviation by 2^k, to the bit. Other rows are not measured: sparse rows are not centred, and the
numbers of a prepared table were centred and scaled when it was prepared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from gradstep.engine.kernels.statistics import measure_rows
from gradstep.engine.row_sums import RowSums
from gradstep.errors import InvalidData
from gradstep.rows.layouts import CsrRows, DenseRows
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = ["Columns", "columns_of", "measure"]

_TILE_BYTES = 1 << 15
# The largest number whose square can be summed, and the least square with all its digits.
_MOST, _LEAST_SQUARE = 1e150, 2.0**-1000
_TOO_LARGE = (
    "Column {} of X has numbers as large as {:.3g}, whose squares are beyond floating-point "
    "numbers: divide it by a power of ten."
)
_TOO_SMALL = (
    "The numbers of column {} of X {} no more than {:.3g}, and squares as small are below "
    "floating-point numbers: multiply it by a power of ten."
)


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

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviations; exactly zero for a constant column."""
        deviation: NDArray[np.float64] = np.sqrt(self.square / self.weight)
        return np.where(self.low < self.high, deviation, 0.0)

    @property
    def length(self) -> NDArray[np.float64]:
        """Root mean squares: deviations from zero."""
        return np.sqrt(self.square / self.weight + self.mean * self.mean)

    @property
    def scale(self) -> NDArray[np.float64]:
        """Deviations; 1 for a constant column, as behind a StandardScaler."""
        deviation = self.deviation
        return np.where(deviation > 0.0, deviation, 1.0)

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
    >>> columns = measure(Dataset(DenseRows(np.array([[1e9], [1e9 + 2.0]])), np.zeros((2, 1))))
    >>> columns.mean, columns.deviation
    (array([1.e+09]), array([1.]))
    """
    values: Any = shard.rows.values  # type: ignore[attr-defined]
    p = values.shape[1]
    tile = max(16, min(_TILE_BYTES // max(1, values[:1].nbytes), 1024))
    rows, weight = readonly(values), readonly(shard.sample_weight)
    mean, square, low, high = np.zeros(p), np.zeros(p), np.full(p, np.inf), np.full(p, -np.inf)
    order = readonly(shard.rows_between(0, shard.n))
    with np.errstate(all="ignore"):
        total = measure_rows(rows, weight, order, tile, mean, square, low, high)
    return Columns(float(total), mean, square, low, high)


class _Largest(NamedTuple):
    """The number of a sparse shard that is farthest from zero, and its column."""

    value: float
    column: int

    def merged(self, other: _Largest) -> _Largest:
        """Return the larger of two shards' numbers."""
        return other if other.value > self.value else self


def _largest(shard: Dataset) -> _Largest:
    """Return the largest number of sparse rows: a task."""
    rows: Any = shard.rows
    part = slice(rows.starts[0], rows.starts[-1])
    values = rows.values[part]
    if not values.size:
        return _Largest(-1.0, 0)
    most, least = float(values.max()), float(values.min())
    at, largest = (values.argmax(), most) if most >= -least else (values.argmin(), -least)
    return _Largest(largest, int(rows.columns[part][at]))


def columns_of(data: Dataset) -> Columns:
    """Return the statistics of the columns; of rows that are not dense, `Columns.unmeasured`.

    Raises
    ------
    InvalidData
        If the squares of a column are too large or too small for floating-point numbers.
    """
    if isinstance(data.rows, CsrRows):
        _check_squares(data)
    if not isinstance(data.rows, DenseRows):
        return Columns.unmeasured(data.rows.n_features)
    with RowSums(data, 1) as row_sums:
        columns: Columns = row_sums.total(measure)
    beyond = ~np.isfinite(columns.square)
    if beyond.any():
        j = int(beyond.argmax())
        raise InvalidData(_TOO_LARGE.format(j, max(abs(columns.low[j]), abs(columns.high[j]))))
    below = (columns.low < columns.high) & (columns.square < columns.weight * _LEAST_SQUARE)
    if below.any():
        j = int(below.argmax())
        raise InvalidData(_TOO_SMALL.format(j, "differ by", columns.high[j] - columns.low[j]))
    return columns


def _check_squares(data: Dataset) -> None:
    """Refuse sparse rows if a square overflows, or if all of them underflow."""
    with RowSums(data, 1) as row_sums:
        largest, column = row_sums.total(_largest)
    if largest > _MOST:
        raise InvalidData(_TOO_LARGE.format(column, largest))
    if largest > 0.0 and largest * largest < _LEAST_SQUARE:
        raise InvalidData(_TOO_SMALL.format(column, "are", largest))
