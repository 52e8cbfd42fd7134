"""Datasets: parts and permutations of rows, and what is measured of them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gradstep.rows.dataset import Dataset, _quantiles, mean_square_norm
from tests.engine.cases import csr, dense, matrix

N, P = 41, 5
X = matrix(N, P, density=0.6)
X[[3, 8]] = 0.0
Y = np.arange(2.0 * N).reshape(N, 2)
WEIGHT = np.random.default_rng(2).integers(1, 5, N).astype(float)
SOME_ZERO = WEIGHT - 1.0
SOME = np.array([30, 2, 2, 17, 3, 40], np.uint32)
ODD = np.arange(1, N, 2, dtype=np.uint32)


def to_dense(rows):
    """Return the matrix of a layout."""
    if hasattr(rows, "width"):
        full = np.zeros((rows.n_rows, rows.width))
        for r in range(rows.n_rows):
            at = slice(rows.starts[r], rows.starts[r + 1])
            np.add.at(full[r], rows.columns[at], rows.values[at])
        return full
    return rows.values


@pytest.mark.parametrize("layout", [dense, csr])
class TestRows:
    def test_shape(self, layout):
        assert (layout(X).n_rows, layout(X).n_features) == (N, P)
        np.testing.assert_array_equal(to_dense(layout(X)), X)

    @pytest.mark.parametrize(
        "order", [np.arange(N)[::-1].astype(np.uint32), SOME, SOME[:0]], ids=["all", "some", "none"]
    )
    def test_take(self, layout, order):
        taken = layout(X).take(order)
        assert type(taken) is type(layout(X))
        np.testing.assert_array_equal(to_dense(taken), X[order])

    def test_square_norms(self, layout):
        np.testing.assert_allclose(layout(X).square_norms(), (X**2).sum(axis=1), rtol=1e-13)
        narrow = layout(X.astype(np.float32)).square_norms()
        assert narrow.dtype == np.float64
        np.testing.assert_allclose(narrow, (X**2).sum(axis=1), rtol=1e-6)

    def test_without_features(self, layout):
        bare = layout(X).without_features()
        assert type(bare) is type(layout(X))
        assert (bare.n_rows, bare.n_features) == (N, 0)


@pytest.mark.parametrize("layout", [dense, csr])
class TestParts:
    def test_whole(self, layout):
        data = Dataset(layout(X), Y, WEIGHT)
        assert data.n == N
        assert data.weight_sum == WEIGHT.sum()
        assert data.mean_weight == WEIGHT.mean()

    def test_without_weights(self, layout):
        data = Dataset(layout(X), Y)
        assert (data.weight_sum, data.mean_weight, data.weights()) == (N, 1.0, None)

    def test_select(self, layout):
        part = Dataset(layout(X), Y, WEIGHT).select(ODD)
        assert part.rows.n_rows == N  # no copy
        assert part.n == ODD.size
        assert part.weight_sum == WEIGHT[ODD].sum()
        assert part.mean_weight == pytest.approx(WEIGHT[ODD].mean(), rel=1e-15)
        np.testing.assert_array_equal(part.targets(), Y[ODD])
        np.testing.assert_array_equal(part.weights(), WEIGHT[ODD])
        np.testing.assert_array_equal(part.rows_between(2, 5), ODD[2:5])

    def test_select_from_a_part(self, layout):
        first = np.array([0, 3, 4], np.uint32)
        part = Dataset(layout(X), Y).select(ODD).select(first)
        np.testing.assert_array_equal(part.targets(), Y[ODD[first]])

    @pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
    def test_permuted(self, layout, weight):
        part = Dataset(layout(X), Y, weight).select(ODD)
        order = np.random.default_rng(0).permutation(ODD.size).astype(np.uint32)
        moved = part.permuted(order)
        assert moved.index is None
        np.testing.assert_array_equal(to_dense(moved.rows), X[ODD[order]])
        np.testing.assert_array_equal(moved.y, Y[ODD[order]])
        assert (moved.sample_weight is None) == (weight is None)
        if weight is not None:
            np.testing.assert_array_equal(moved.sample_weight, WEIGHT[ODD[order]])


@pytest.mark.parametrize("layout", [dense, csr])
class TestMeanSquareNorm:
    def test_of_all(self, layout):
        norm = mean_square_norm(Dataset(layout(X), Y))
        assert norm == pytest.approx((X**2).sum(axis=1).mean(), rel=1e-13)

    def test_weighted(self, layout):
        norm = mean_square_norm(Dataset(layout(X), Y, WEIGHT))
        assert norm == pytest.approx(np.average((X**2).sum(axis=1), weights=WEIGHT), rel=1e-13)

    def test_of_part(self, layout):
        norm = mean_square_norm(Dataset(layout(X), Y).select(ODD))
        assert norm == pytest.approx((X[ODD] ** 2).sum(axis=1).mean(), rel=1e-13)

    def test_of_scattered_rows(self, layout):
        """Where there are more numbers than it takes: a period in the rows must not hide.

        One row in three is long, which every third row would miss, or nothing but find.
        """
        size = 30_000
        lengths = np.where(np.arange(size) % 3 == 0, 10.0, 1.0)
        rows = np.full((size, 100), 0.1) * lengths[:, None]
        norm = mean_square_norm(Dataset(layout(rows), np.zeros((size, 1))))
        assert norm == pytest.approx(34.0, rel=0.05)


@pytest.mark.parametrize("layout", [dense, csr])
class TestRowsOfWeightZero:
    def test_are_taken_out(self, layout):
        """Without a copy, but of sparse rows, whose mean length would tell of them."""
        counted = np.flatnonzero(SOME_ZERO > 0.0)
        data = Dataset(layout(X), Y, SOME_ZERO)
        assert data.n == counted.size < N
        assert data.weights().tolist() == SOME_ZERO[counted].tolist()
        np.testing.assert_array_equal(data.targets(), Y[counted])
        at = data.rows_between(0, data.n)
        np.testing.assert_array_equal(to_dense(data.rows.take(at)), X[counted])
        assert data.rows.row_bytes() == layout(X[counted]).row_bytes()

    def test_of_a_part(self, layout):
        part = Dataset(layout(X), Y, None).select(ODD)
        part = Dataset(part.rows, part.y, SOME_ZERO, part.index, shuffled=True)
        np.testing.assert_array_equal(part.targets(), Y[ODD[SOME_ZERO[ODD] > 0.0]])
        assert part.shuffled

    def test_without_any_nothing_changes(self, layout):
        rows, weight = layout(X), np.ones(N)
        data = Dataset(rows, Y, weight)
        assert data.rows is rows
        assert data.y is Y
        assert data.sample_weight is weight
        assert data.index is None

    def test_nothing_but_such_rows(self, layout):
        data = Dataset(layout(X), Y, np.zeros(N))
        assert (data.n, data.weight_sum, data.mean_weight) == (0, 0.0, 0.0)


def test_views_for_kernels_are_not_pickled():
    data = Dataset(dense(matrix(50, 3)), np.zeros((50, 1)), np.ones(50))
    before = len(pickle.dumps(data))
    assert not data.for_kernels[1].flags.writeable
    assert data.for_kernels is data.for_kernels
    assert len(pickle.dumps(data)) == before


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 100, 1001])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 0.5])
def test_quantiles_are_numpys_to_the_bit(n, share):
    numbers = np.random.default_rng(n).normal(size=(n, 2)).round(1)
    shares = (share, 1.0 - share)
    np.testing.assert_array_equal(_quantiles(numbers, shares), np.quantile(numbers, shares, axis=0))
