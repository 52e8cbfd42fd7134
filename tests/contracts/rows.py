"""The table of row layouts: for each class how it is made from a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from gradstep.rows.layouts import CsrRows, DenseRows, TableRows, TermRows

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ROWS", "RowsCase"]


@dataclass(frozen=True)
class RowsCase:
    """How a layout is tested: `make(X)` from a dense float64 matrix, `matrix(rows)` back."""

    make: Callable[[np.ndarray], Any]
    matrix: Callable[[Any], np.ndarray]


def _csr(X: np.ndarray) -> CsrRows:
    sparse = sp.csr_matrix(X)
    indices, starts = sparse.indices.astype(np.int32), sparse.indptr.astype(np.int64)
    return CsrRows(sparse.data, indices, starts, X.shape[1])


def _dense(rows: CsrRows) -> np.ndarray:
    parts = (rows.values, rows.columns, rows.starts)
    return sp.csr_matrix(parts, shape=(rows.n_rows, rows.n_features)).toarray()


def _terms(X: np.ndarray) -> TermRows:
    """Return two numbers, and all else with places and amounts: none where it is 0."""
    codes = np.empty((len(X), 0), np.int32)
    places = np.where(X[:, 2:] != 0.0, np.arange(2, X.shape[1]), -1).astype(np.int32)
    return TermRows(np.ascontiguousarray(X[:, :2]), codes, places, X[:, 2:].copy(), X.shape[1])


def _matrix_of_terms(rows: TermRows) -> np.ndarray:
    X = np.zeros((rows.n_rows, rows.n_features))
    X[:, : rows.values.shape[1]] = rows.values
    at, q = np.nonzero(rows.places >= 0)
    X[at, rows.places[at, q]] = rows.amounts[at, q]
    return X


ROWS: dict[type, RowsCase] = {
    DenseRows: RowsCase(make=DenseRows, matrix=lambda rows: rows.values),
    CsrRows: RowsCase(make=_csr, matrix=_dense),
    # numbers alone; codes are compared with one-hot columns in tests/rows/test_table_rows.py
    TableRows: RowsCase(
        make=lambda X: TableRows(X, np.empty((len(X), 0), np.int32), X.shape[1]),
        matrix=lambda rows: rows.values,
    ),
    TermRows: RowsCase(make=_terms, matrix=_matrix_of_terms),
}
