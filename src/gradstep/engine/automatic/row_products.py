"""Products with few rows of many features, dense or sparse, standardised without a copy of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import scipy.sparse as sp

from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.rows.dataset import Dataset

__all__ = ["RowProducts", "norm_of", "row_products"]

# Numbers of a copy of some dense rows, in double precision.
_NUMBERS = 1 << 20
# Columns that are centred and scaled at a time: of some hundred rows they stay in the second cache.
_COLUMNS = 512
# Steps of the power method; the norm that they tell is at most a little too small.
_POWER_STEPS = 4


class RowProducts(Protocol):
    """Products with standardised rows X."""

    def gram(self, factor: NDArray[np.float64], *, single: bool) -> NDArray[np.float64]:
        """Return XD²Xᵀ, D being a diagonal matrix: (n, n); perhaps summed in single precision."""
        ...

    def scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return weights·Xᵀ: (k, n)."""
        ...

    def sums(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of rows, each times a number: (k, p)."""
        ...


def row_products(of: ScaledProblem, data: Dataset) -> RowProducts:
    """Return what multiplies with the standardised rows."""
    dense = isinstance(data.rows, DenseRows)
    return _DenseProducts(of, data) if dense else _SparseProducts(of, data)


class _DenseProducts:
    """Products with dense rows X, centred and scaled without a copy of them all."""

    def __init__(self, of: ScaledProblem, data: Dataset) -> None:
        rows: Any = data.rows
        self._values: NDArray[Any] = rows.values
        self._shift, self._scale = of.standardisation.shift, of.standardisation.scale

    def _parts(self) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield the rows as they are, in parts that are no large copy in double precision."""
        n, p = self._values.shape
        each = max(1, _NUMBERS // p)
        for lo in range(0, n, each):
            rows = slice(lo, min(lo + each, n))
            yield rows, self._values[rows].astype(np.float64, copy=False)

    def gram(self, factor: NDArray[np.float64], *, single: bool) -> NDArray[np.float64]:
        n, p = self._values.shape
        kind = np.float32 if single else np.float64
        total, product = np.empty((n, n), kind), np.empty((n, n), kind)
        room = np.empty((n, _COLUMNS), kind)
        for lo in range(0, p, _COLUMNS):
            own = slice(lo, min(lo + _COLUMNS, p))
            x = room[:, : own.stop - lo]
            np.subtract(self._values[:, own], self._shift[own], out=x, casting="same_kind")
            x *= (self._scale[own] * factor[own]).astype(kind)
            np.matmul(x, x.T, out=product if lo else total)
            if lo:
                total += product
        return total.astype(np.float64, copy=False)

    def scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        own, found = weights * self._scale, np.empty((weights.shape[0], self._values.shape[0]))
        for rows, x in self._parts():
            found[:, rows] = own @ x.T
        return found - (own @ self._shift)[:, None]

    def sums(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros((each.shape[0], self._shift.size))
        for rows, x in self._parts():
            total += each[:, rows] @ x
        total -= np.multiply.outer(each.sum(axis=1), self._shift)
        return total * self._scale


class _SparseProducts:
    """Products with sparse rows X, scaled, but not centred."""

    def __init__(self, of: ScaledProblem, data: Dataset) -> None:
        rows: Any = data.rows
        part = slice(rows.starts[0], rows.starts[-1])
        self._x = sp.csr_array(
            (rows.values[part].astype(np.float64), rows.columns[part], rows.starts - part.start),
            shape=(rows.n_rows, rows.n_features),
        )
        self._scale = of.standardisation.scale
        # In one step, which gives columns in any order that they came in the same sums.
        self._across = self._x.T.tocsr()

    def gram(self, factor: NDArray[np.float64], *, single: bool) -> NDArray[np.float64]:
        del single  # only large products are faster
        own = self._scale * factor
        scaled = self._x.multiply(own * own).tocsr()
        return np.asarray((scaled @ self._across).toarray())

    def scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.ascontiguousarray((self._x @ (weights * self._scale).T).T)

    def sums(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.ascontiguousarray((self._across @ each.T).T) * self._scale


def norm_of(gram: NDArray[np.float64]) -> float:
    """Return about the largest eigenvalue of a positive matrix, by the power method.

    Examples
    --------
    >>> norm_of(np.diag([1.0, 4.0, 2.0]))
    4.0
    """
    v = gram[np.argmax(np.einsum("ii->i", gram))]
    for _ in range(_POWER_STEPS):
        norm = float(np.linalg.norm(v))
        if not 0.0 < norm < np.inf:
            return norm
        v = gram @ (v / norm)
    return float(np.linalg.norm(v))
