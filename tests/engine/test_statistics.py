"""Statistics of columns are NumPy's, however far from zero, weighted, cut or scaled."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.engine.statistics import columns_of
from gradstep.errors import InvalidData
from gradstep.rows import shards
from gradstep.rows.dataset import Dataset
from gradstep.rows.statistics import Columns, measure
from tests.engine.cases import SOME, csr, dense, matrix
from tests.rows.test_table_rows import ROWS

SPREADS = np.array([1.0, 1e-3, 1e4, 1e-8])
FIELDS = ("weight", "mean", "square", "low", "high")


def weights(n, seed=5):
    """Return weights, a quarter of them zero, and those of the first rows too."""
    weight = np.random.default_rng(seed).integers(0, 4, n).astype(float)
    weight[:20] = 0.0
    return weight


def rows(X, weight=None, index=None):
    return Dataset(dense(X), np.zeros((len(X), 1)), weight, index)


def numbers(n=400, away=0.0, dtype=np.float64):
    """Return columns of unlike spread, `away` deviations from zero, the last one constant."""
    X = (matrix(n, 4) + away) * SPREADS
    return np.column_stack([X, np.full(n, 0.1)]).astype(dtype)


def by_hand(X, weight=None):
    """Return NumPy's statistics, from differences to the first row, which are exact or nearly."""
    X = np.asarray(X, np.float64)
    weight = np.ones(len(X)) if weight is None else weight
    apart = X - X[0]
    middle = np.average(apart, axis=0, weights=weight)
    square = (weight[:, None] * (apart - middle) ** 2).sum(axis=0)
    counted = X[weight > 0.0]
    return weight.sum(), X[0] + middle, square, counted.min(axis=0), counted.max(axis=0)


def assert_same(columns, expected, rel=1e-12):
    weight, mean, square, low, high = expected
    assert columns.measured
    assert columns.weight == pytest.approx(weight, rel=1e-15)
    spread = np.sqrt(square / weight)
    assert np.all(np.abs(columns.mean - mean) <= rel * spread + 1e-14 * np.abs(mean))
    changing = low < high
    np.testing.assert_allclose(columns.square[changing], square[changing], rtol=rel)
    np.testing.assert_array_equal(columns.low, low)
    np.testing.assert_array_equal(columns.high, high)


def same_bits(one, other):
    return all(
        np.asarray(getattr(one, name)).tobytes() == np.asarray(getattr(other, name)).tobytes()
        for name in FIELDS
    )


class TestDenseRows:
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_equal_numpy(self, dtype, weighted):
        X = numbers(dtype=dtype)
        weight = weights(len(X)) if weighted else None
        columns = columns_of(rows(X, weight))
        assert_same(columns, by_hand(X, weight))
        wide = X.astype(np.float64)
        mean = np.average(wide, axis=0, weights=weight)
        variance = np.average((wide - mean) ** 2, axis=0, weights=weight)
        constant = np.arange(5) == 4
        np.testing.assert_allclose(
            columns.deviation, np.where(constant, 0.0, np.sqrt(variance)), rtol=1e-12
        )
        np.testing.assert_allclose(
            columns.scale, np.where(constant, 1.0, np.sqrt(variance)), rtol=1e-12
        )
        np.testing.assert_allclose(
            columns.length, np.sqrt(np.average(wide**2, axis=0, weights=weight)), rtol=1e-12
        )

    def test_of_part_of_the_rows_in_any_order(self):
        X = numbers()
        index = np.random.default_rng(3).permutation(len(X))[:123].astype(np.uint32)
        weight = weights(len(X))
        columns = columns_of(rows(X, weight, index))
        assert_same(columns, by_hand(X[index], weight[index]))

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("away", [1e6, -1e8, 1e9])
    def test_nothing_cancels_far_from_zero(self, away, weighted):
        X = numbers(6000, away)
        weight = weights(len(X)) if weighted else None
        expected = by_hand(X, weight)
        columns = columns_of(rows(X, weight))
        assert_same(columns, expected, rel=1e-6)
        deviation = np.sqrt(expected[2][:4] / expected[0])
        np.testing.assert_allclose(columns.deviation[:4], deviation, rtol=1e-6)

    def test_nothing_cancels_in_float32(self):
        X = numbers(6000, 1e4, np.float32)
        assert_same(columns_of(rows(X)), by_hand(X), rel=1e-9)

    @given(powers=st.tuples(*[st.integers(-60, 60)] * 5), weighted=st.booleans())
    @SOME
    def test_a_power_of_two_changes_no_bit(self, powers, weighted):
        X, factor = numbers(90, 3.0), 2.0 ** np.array(powers)
        weight = weights(90) if weighted else None
        plain, scaled = columns_of(rows(X, weight)), columns_of(rows(X * factor, weight))
        for name in ("mean", "deviation", "low", "high"):
            expected = getattr(plain, name) * factor
            assert getattr(scaled, name).tobytes() == expected.tobytes()

    def test_rows_of_no_weight_count_for_nothing(self):
        X, weight = numbers(), weights(400)
        other = np.where(weight[:, None] > 0.0, X, 1e100)
        assert same_bits(columns_of(rows(X, weight)), columns_of(rows(other, weight)))

    def test_of_no_columns(self):
        assert columns_of(rows(np.empty((7, 0)))).mean.size == 0

    @pytest.mark.parametrize("weighted", [False, True])
    def test_a_constant_column_has_exactly_no_deviation(self, weighted):
        """Though 0.1 is no sum of powers of two, and its mean is not always itself."""
        X = np.full((5000, 4), [0.1, -1e9 / 3.0, 1e-300, 0.0])
        weight = weights(5000) * 0.1 if weighted else None
        if weighted:
            X[weight == 0.0] = 7.0
        columns = columns_of(rows(X, weight))
        np.testing.assert_array_equal(columns.deviation, 0.0)
        np.testing.assert_array_equal(columns.scale, 1.0)
        np.testing.assert_array_equal(columns.low, columns.high)
        np.testing.assert_allclose(columns.mean, [0.1, -1e9 / 3.0, 1e-300, 0.0], rtol=3e-14)

    def test_a_column_that_changes_in_one_row_has_a_deviation(self):
        X = np.full((5000, 1), 0.1)
        X[4999] = np.nextafter(0.1, 1.0)
        assert columns_of(rows(X)).deviation[0] > 0.0

    @pytest.mark.parametrize("large, shown", [(1e200, r"1e\+200"), (-1e308, r"1e\+308")])
    def test_squares_beyond_the_numbers_are_refused(self, large, shown):
        X = numbers()
        X[333, 2] = large
        with pytest.raises(InvalidData, match=f"Column 2 of X .* as large as {shown},"):
            columns_of(rows(X))

    def test_large_numbers_with_finite_squares_are_not(self):
        X = matrix(400, 2) * 1e150
        assert_same(columns_of(rows(X)), by_hand(X))


class TestMerged:
    X, WEIGHT = numbers(200, 1e3), weights(200)

    def part(self, lo, hi, weight):
        return columns_of(rows(self.X[lo:hi], None if weight is None else weight[lo:hi]))

    @given(cuts=st.lists(st.integers(1, 199), max_size=5, unique=True), weighted=st.booleans())
    @SOME
    def test_parts_tell_what_the_whole_does(self, cuts, weighted):
        weight = self.WEIGHT if weighted else None
        bounds = [0, *sorted(cuts), 200]
        parts = (self.part(lo, hi, weight) for lo, hi in pairwise(bounds))
        merged = reduce(Columns.merged, parts)
        assert_same(merged, by_hand(self.X, weight), rel=1e-11)

    def test_a_part_that_weighs_nothing_changes_no_bit(self):
        whole, nothing = self.part(0, 200, None), self.part(0, 20, self.WEIGHT)
        assert nothing.weight == 0.0
        assert same_bits(whole.merged(nothing), whole)
        assert same_bits(nothing.merged(whole), whole)

    def test_a_column_that_is_constant_in_each_part_may_not_be(self):
        ones, twos = (columns_of(rows(np.full((10, 1), x))) for x in (1.0, 2.0))
        assert ones.merged(twos).deviation[0] == pytest.approx(0.5, rel=1e-15)
        assert ones.merged(ones).deviation[0] == 0.0

    @pytest.mark.parametrize("weighted", [False, True])
    def test_shards_are_parts(self, weighted, monkeypatch):
        weight = self.WEIGHT if weighted else None
        monkeypatch.setattr(shards, "_SHARD_BYTES", 64)
        assert_same(columns_of(rows(self.X, weight)), by_hand(self.X, weight), rel=1e-11)

    @pytest.mark.slow
    def test_many_rows(self):
        X = np.random.default_rng(0).normal(1e6, 1.0, (700_001, 2))
        assert len(rows(X).shards()) > 8
        assert_same(columns_of(rows(X)), by_hand(X), rel=1e-9)

    def test_what_is_not_measured_stays_so(self):
        unmeasured = Columns.unmeasured(5)
        assert unmeasured.merged(self.part(0, 200, None)) is unmeasured


@pytest.mark.parametrize("layout", [csr(matrix(40, 3, density=0.5)), ROWS], ids=["csr", "table"])
def test_other_rows_are_neither_centred_nor_scaled(layout):
    columns = columns_of(Dataset(layout, np.zeros((layout.n_rows, 1))))
    assert not columns.measured
    for name, expected in (("mean", 0.0), ("deviation", 1.0), ("length", 1.0), ("scale", 1.0)):
        found = getattr(columns, name)
        assert found.shape == (layout.n_features,)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n", [1, 3, 4, 7, 1025, 2050])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_four_rows_at_a_time_are_as_one_after_another(n, kind):
    """With weights, rows come one after another."""
    X = np.random.default_rng(n).normal(3.0, 1.0, (n, 5)).astype(kind)
    found, one_by_one = (
        measure(Dataset(dense(X), np.zeros((n, 1)), weight)) for weight in (None, np.ones(n))
    )
    assert_same(found, by_hand(X))
    for name in FIELDS:
        np.testing.assert_allclose(getattr(found, name), getattr(one_by_one, name), rtol=1e-14)
