"""Orders that are made as they are read, and the one shuffle of rows that come one by one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from gradstep.rows.dataset import Dataset
from gradstep.rows.kernels.shuffling import BlockOrder, Buckets, chosen
from gradstep.rows.order import order_of
from tests.engine.cases import dense, fit, matrix, problem, same_bits

N = 1000


def whole(n=N, seed=0, epoch=0, block_rows=10, window_blocks=4):
    order = BlockOrder(n, seed, epoch, block_rows=block_rows, window_blocks=window_blocks)
    return order[0:n]


class TestBlockOrder:
    @given(
        st.integers(1, 300), st.integers(0, 5), st.integers(0, 5), st.integers(1, 40),
        st.integers(1, 9), st.lists(st.integers(0, 300), max_size=6),
    )  # fmt: skip
    def test_is_a_permutation_however_it_is_read(self, n, seed, epoch, rows, blocks, cuts):
        order = BlockOrder(n, seed, epoch, block_rows=rows, window_blocks=blocks)
        at_once = order[0:n]
        assert sorted(at_once.tolist()) == list(range(n))
        edges = sorted({0, n, *(min(cut, n) for cut in cuts)})
        again = BlockOrder(n, seed, epoch, block_rows=rows, window_blocks=blocks)
        parts = [again[lo:hi] for lo, hi in pairwise(edges)]
        np.testing.assert_array_equal(np.concatenate([np.empty(0, np.uint32), *parts]), at_once)
        assert order[n : n + 5].size == 0

    def test_differs_between_epochs_and_seeds(self):
        orders = [whole(seed=s, epoch=e).tolist() for s in range(4) for e in range(4)]
        assert len({tuple(order) for order in orders}) == 16

    def test_a_window_holds_whole_blocks_and_mixes_them(self):
        order = whole()
        window = order[:40]
        blocks, counts = np.unique(window // 10, return_counts=True)
        assert counts.tolist() == [10] * 4
        assert not np.array_equal(blocks, np.arange(4))  # blocks in random order
        in_turn = np.concatenate([np.arange(10 * b, 10 * b + 10) for b in window[::10] // 10])
        assert not np.array_equal(window, in_turn)  # and rows mixed within

    def test_each_row_comes_anywhere(self):
        """Over many seeds, the position of the first row is uniform."""
        at = [int(np.flatnonzero(whole(60, seed, block_rows=6, window_blocks=2) == 0)[0])
              for seed in range(3000)]  # fmt: skip
        assert chisquare(np.bincount(at, minlength=60)).pvalue > 1e-4


class TestTraining:
    def test_the_order_of_shuffled_rows_is_by_blocks(self):
        order, _ = order_of("exact", N, 3, 1 << 14, shuffled=True)
        expected = BlockOrder(N, 3, 2, block_rows=16, window_blocks=16)
        np.testing.assert_array_equal(order(2)[0:N], expected[0:N])

    def test_exact_and_blocks_mean_the_same_for_shuffled_rows(self):
        X = matrix(3000, 4)
        data = Dataset(dense(X), X @ np.ones((4, 1)), shuffled=True)
        one, _, _ = fit(problem(data, shuffle="exact"), data)
        two, _, _ = fit(problem(data, shuffle="blocks"), data)
        assert same_bits(one, two)

    def test_goes_on_at_any_batch(self):
        X = matrix(3000, 4)
        data = Dataset(dense(X), X @ np.ones((4, 1)), shuffled=True)
        of = problem(data, batch_size=7)
        straight, _, _ = fit(of, data)
        half, _, _ = fit(of, data, max_batches=601)
        rest, _, _ = fit(of, data, half)
        assert same_bits(rest, straight)


class TestBuckets:
    @pytest.mark.parametrize("bucket_rows", [1, 7, 10_000])
    def test_final_places_are_those_of_permuting_afterwards(self, bucket_rows):
        later, at_once = Buckets(N, 5, bucket_rows), Buckets(N, 5, bucket_rows)
        order = np.empty(N, np.int64)
        for first in range(0, N, 130):
            count = min(130, N - first)
            order[later.places(first, count)] = np.arange(first, first + count)
        for lo, hi in later.spans():
            order[lo:hi] = order[lo:hi][later.permutation(lo, hi)]
        places = at_once.final_places()[at_once.places(0, N)]
        direct = np.empty(N, np.int64)
        direct[places] = np.arange(N)
        np.testing.assert_array_equal(direct, order)
        assert sorted(order.tolist()) == list(range(N))

    def test_every_permutation_is_as_likely(self):
        seen: dict[tuple[int, ...], int] = {}
        for seed in range(6000):
            buckets = Buckets(4, seed, 2)
            final = tuple(buckets.final_places()[buckets.places(0, 4)].tolist())
            seen[final] = seen.get(final, 0) + 1
        assert len(seen) == 24
        assert chisquare(list(seen.values())).pvalue > 1e-4


class TestChosen:
    def test_depends_on_positions_alone(self):
        all_of_them = chosen(1, 0, N, 0.3, 7)
        np.testing.assert_array_equal(chosen(1, 250, 100, 0.3, 7), all_of_them[250:350])
        assert 0.2 < all_of_them.mean() < 0.4
        assert not np.array_equal(all_of_them, chosen(2, 0, N, 0.3, 7))
        assert not np.array_equal(all_of_them, chosen(1, 0, N, 0.3, 8))

    def test_a_larger_share_holds_the_smaller(self):
        assert chosen(0, 0, N, 0.5)[chosen(0, 0, N, 0.2)].all()
        assert not chosen(0, 0, N, 0.0).any()
        assert chosen(0, 0, N, 1.0).all()
