"""Statistics and moments of dense rows in one pass, which is all that a least squares fit takes.

Products are summed about a point near the means, that of a few rows, and then moved to the means.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.kernels.moments import sum_products
from gradstep.engine.kernels.sums import dense_products
from gradstep.engine.row_sums import RowSums
from gradstep.engine.row_tasks import RUN_ROWS
from gradstep.engine.symmetric import symmetric
from gradstep.rows.moments import Moments
from gradstep.rows.readonly import readonly
from gradstep.rows.statistics import Columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = ["measured_with_moments"]

# Rows of a tile; numbers of rows that the point is the mean of, and such rows at least.
_TILE, _FEW_NUMBERS, _FEW_ROWS = 128, 1 << 15, 64


@dataclass(frozen=True)
class _Sums:
    """Extremes of the features; weighted products of features, target and 1: a lower triangle."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    products: NDArray[np.float64]

    def merged(self, other: _Sums) -> _Sums:
        """Return those of both parts."""
        return _Sums(
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.products + other.products,
        )


@dataclass(frozen=True)
class _Products:
    """The task that sums them about a point of features and target, (p + 1,)."""

    shift: NDArray[np.float64]

    def __call__(self, shard: Dataset) -> _Sums:
        """Sum over a shard."""
        rows, y, weight = shard.for_kernels
        values: Any = rows.values  # type: ignore[attr-defined]
        p = self.shift.size - 1
        low, high = np.full(p, np.inf), np.full(p, -np.inf)
        matrix = np.zeros((p + 2, p + 2))
        for at in range(0, shard.n, RUN_ROWS):
            order = readonly(shard.rows_between(at, min(at + RUN_ROWS, shard.n)))
            sum_products(
                rows, values, y, weight, order, dense_products(), _TILE, readonly(self.shift), low,
                high, matrix,
            )  # fmt: skip
        return _Sums(low, high, matrix)


def measured_with_moments(data: Dataset) -> Dataset:
    """Return dense rows with their statistics and moments: one pass.

    Parameters
    ----------
    data : Dataset
        The rows, with one target; they may be elsewhere.
    """
    weight = data.weight_sum
    apart = max(1, data.n // max(_FEW_ROWS, _FEW_NUMBERS // data.rows.n_features))
    with RowSums(data, 1) as row_sums, np.errstate(all="ignore"):
        few: Any = row_sums.take(np.arange(0, data.n, apart, dtype=np.uint32))
        shift = np.append(*(x.mean(axis=0, dtype=np.float64) for x in (few.rows.values, few.y)))
        sums: _Sums = row_sums.total(_Products(shift), 8 * (shift.size + 1) ** 2)
        offset = sums.products[-1, :-1] / weight
        products = symmetric(sums.products[None, :-1, :-1])[0]
        products -= weight * np.multiply.outer(offset, offset)
        mean, square = shift + offset, np.maximum(products.diagonal()[:-1], 0.0)
        alike = (sums.low == sums.high) & np.isfinite(square)  # extremes do not tell of NaN
    mean[:-1] = np.where(alike, sums.low, mean[:-1])
    columns = Columns(weight, mean[:-1], np.where(alike, 0.0, square), sums.low, sums.high)
    moments = Moments(weight, mean, products)
    return replace(data, columns=columns, moments=moments, moments_at_constants=True)
