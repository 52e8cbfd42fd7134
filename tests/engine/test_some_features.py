"""Rows with some of their features: the same numbers as those columns of the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from gradstep.engine.some_features import rows_of
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import CsrRows, DenseRows


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("lo, hi", [(0, 60), (7, 50), (9, 9)])
def test_of_sparse_rows(dtype, index, lo, hi):
    rng = np.random.default_rng(0)
    X = sp.random_array((60, 40), density=0.2, rng=rng, format="csr", dtype=dtype)
    columns = X.indices.astype(index)
    for first, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):  # the order within rows
        columns[first:end], X.data[first:end] = columns[first:end][::-1], X.data[first:end][::-1]
    arrays = X.data, columns, X.indptr.astype(np.int64)
    for array in arrays:
        array.flags.writeable = False
    rows = CsrRows(*arrays, 40).part(lo, hi)
    features = np.flatnonzero(rng.random(40) < 0.5)
    whole = sp.csr_array((X.data, columns, X.indptr), shape=X.shape).toarray()
    data = Dataset(rows, np.zeros((hi - lo, 1)), None)
    found = rows_of(data, features).rows
    assert isinstance(found, CsrRows)
    assert found.is_sound()
    assert found.width == features.size
    assert (found.values.dtype, found.columns.dtype, found.starts.dtype) == (dtype, index, np.int64)
    dense = sp.csr_array((found.values, found.columns, found.starts), (hi - lo, features.size))
    np.testing.assert_array_equal(dense.toarray(), whole[lo:hi, features])


def test_of_dense_rows():
    values = np.random.default_rng(0).normal(size=(20, 9))
    data = Dataset(DenseRows(values), np.zeros((20, 1)), None)
    found = rows_of(data, np.array([1, 4, 8])).rows
    np.testing.assert_array_equal(found.values, values[:, [1, 4, 8]])
    assert found.values.flags.c_contiguous
