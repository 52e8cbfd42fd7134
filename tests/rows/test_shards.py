"""The cut of rows into shards: by the data alone, of all rows, none too small."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradstep.rows.dataset import Dataset
from gradstep.rows.shards import by_eights, eights, shard_bounds
from tests.engine.cases import csr, dense, matrix

sizes = st.integers(1, 10**12)


class TestBounds:
    @given(n=sizes, row_bytes=st.integers(0, 10**5), n_features=st.integers(0, 10**5))
    def test_are_those_of_parts_of_all_rows_nearly_alike(self, n, row_bytes, n_features):
        bounds = shard_bounds(n, row_bytes, n_features)
        lows, highs = np.array(bounds, dtype=object).T
        assert (lows[0], highs[-1]) == (0, n)
        assert (lows[1:] == highs[:-1]).all()
        lengths = highs - lows
        assert lengths.max() - lengths.min() <= 1
        assert len(bounds) == 1 or lengths.min() * (row_bytes + 64) >= 1 << 19
        assert lengths.max() * row_bytes < 1 << 31 or lengths.max() == 1

    def test_are_so_many_whatever_the_rows_up_to_64_gigabytes(self):
        assert len(shard_bounds(100, 800, 100)) == 1
        assert len(shard_bounds(10**6, 800, 100)) == 64
        assert len(shard_bounds(8 * 10**7, 800, 100)) == 64
        assert len(shard_bounds(2**33, 800, 100)) == 2**33 * 800 // 2**30

    def test_no_rows_are_one_shard(self):
        assert shard_bounds(0, 8, 1) == [(0, 0)]


class TestEights:
    @given(n=st.integers(1, 200))
    def test_add_up_all_in_order(self, n):
        parts = [(i,) for i in range(n)]
        assert sum(map(tuple, eights(parts)), ()) == tuple(parts)
        assert by_eights(parts, lambda one, other: one + other) == tuple(range(n))


class TestParts:
    def test_have_the_rows_between(self):
        X = matrix(40, 3, density=0.5)
        y, weight = np.arange(40.0)[:, None], np.arange(40.0) % 3
        for layout in (dense, csr):
            data = Dataset(layout(X), y, weight)
            counted = np.flatnonzero(weight)
            part = data.part(5, 20)
            np.testing.assert_array_equal(part.targets(), y[counted[5:20]])
            np.testing.assert_array_equal(part.weights(), weight[counted[5:20]])
            square = part.rows.take(part.rows_between(0, part.n)).square_norms()
            np.testing.assert_allclose(square, (X[counted[5:20]] ** 2).sum(axis=1))

    def test_of_sparse_rows_know_their_own_size(self):
        rows = csr(matrix(40, 9, density=0.3))
        part, copy = rows.part(10, 30), rows.take(np.arange(10, 30))
        assert part.row_bytes() == copy.row_bytes()
        assert part.n_touched(7) == copy.n_touched(7)
        np.testing.assert_array_equal(part.square_norms(), copy.square_norms())
