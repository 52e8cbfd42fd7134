"""Sums over sparse rows of every length, in any order within a row, by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.engine.row_sums import HessianOptions, RowSums
from gradstep.objective.regression import SquaredError
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import CsrRows

P, MOST = 23, 13
LOSS, WIDTHS = SquaredError(), np.ones((2, 1))


def rows_of_every_length(backwards, dtype, index):
    """Return three rows of each length from 0 on, and the same as a matrix."""
    rng = np.random.default_rng(0)
    lengths = np.tile(np.arange(MOST + 1), 3)
    starts = np.concatenate([[0], lengths.cumsum()])
    columns = np.concatenate([np.sort(rng.choice(P, m, replace=False)) for m in lengths])
    if backwards:  # every other row
        for first, end in zip(starts[:-1:2], starts[1::2], strict=True):
            columns[first:end] = columns[first:end][::-1]
    values = rng.normal(size=columns.size).astype(dtype)
    X = np.zeros((lengths.size, P))
    X[np.repeat(np.arange(lengths.size), lengths), columns] = values
    return CsrRows(values, columns.astype(index), starts, P), X


@pytest.mark.parametrize("dtype, index", [(np.float64, np.int32), (np.float32, np.int64)])
@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled"])
@pytest.mark.parametrize("backwards", [False, True], ids=["sorted", "unsorted"])
def test_are_those_of_numpy(backwards, shuffled, dtype, index):
    rows, X = rows_of_every_length(backwards, dtype, index)
    n, k = len(X), 2
    rng = np.random.default_rng(1)
    order = rng.permutation(n).astype(np.uint32) if shuffled else None
    y, weight = rng.normal(size=(n, k)), rng.uniform(0.5, 2.0, n)
    params = rng.normal(size=k * (P + 1))
    scale = rng.uniform(0.5, 2.0, P)
    data = Dataset(rows, y, weight, order)
    total = weight.sum()
    ones = np.column_stack([X, np.ones(n)])
    z = X @ params[: k * P].reshape(k, P).T + params[k * P :]
    options = HessianOptions(k, WIDTHS, np.zeros(P), np.ones(P))
    with RowSums(data, k) as sums:
        found = sums.evaluate(LOSS, params, options)
        taken = np.arange(n) if order is None else order
        np.testing.assert_allclose(sums.scores(params), z[taken], rtol=1e-12)
        squares = sums.row_squares(np.arange(n, dtype=np.uint32), np.zeros(P), scale)[:, 0]
        diagonal = sums.hessian_diagonal(LOSS, params, WIDTHS)
    off = (z - y) * weight[:, None]
    np.testing.assert_allclose(found.loss, 0.5 * ((z - y) * off).sum() / total, rtol=1e-13)
    gradient = off.T @ ones / total
    np.testing.assert_allclose(found.gradient[: k * P], gradient[:, :-1].ravel(), rtol=1e-11)
    np.testing.assert_allclose(found.gradient[k * P :], gradient[:, -1], rtol=1e-11)
    hessian = (ones * weight[:, None]).T @ ones / total
    np.testing.assert_allclose(found.hessian, [hessian] * k, rtol=1e-12, atol=1e-15)
    own = np.diag(hessian)
    np.testing.assert_allclose(diagonal[: k * P], np.tile(own[:-1], k), rtol=1e-12)
    np.testing.assert_allclose(diagonal[k * P :], own[-1], rtol=1e-12)
    np.testing.assert_allclose(squares, ((X * scale) ** 2).sum(axis=1)[taken], rtol=1e-12)
