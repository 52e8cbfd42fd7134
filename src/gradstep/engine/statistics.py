"""Statistics of the columns of a dataset, as a run uses them: known already, or measured here.

Rows that are not dense are not measured: sparse rows are not centred, and the numbers of a prepared
table were centred and scaled when it was prepared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.engine.row_sums import RowSums
from gradstep.errors import InvalidData
from gradstep.rows.layouts import CsrRows, DenseRows
from gradstep.rows.statistics import Columns, measure

if TYPE_CHECKING:
    from gradstep.rows.dataset import Dataset

__all__ = ["columns_of"]

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


class _Largest(NamedTuple):
    """The size of a sparse shard's number that is farthest from zero, and its column if refused."""

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
    largest = max(float(values.max()), -float(values.min()))
    if largest <= _MOST and not _is_too_small(largest):
        return _Largest(largest, 0)
    return _Largest(largest, int(rows.columns[part][np.abs(values).argmax()]))


def _is_too_small(largest: float) -> bool:
    """Tell whether the squares of numbers that are no larger, and not all zero, underflow."""
    return largest > 0.0 and largest * largest < _LEAST_SQUARE


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
    columns = data.columns
    if columns is None:
        with RowSums(data, 1) as row_sums:
            columns = row_sums.total(measure)
    if ((columns.square >= columns.weight * _LEAST_SQUARE) & (columns.square < np.inf)).all():
        return columns
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
    if _is_too_small(largest):
        raise InvalidData(_TOO_SMALL.format(column, "are", largest))
