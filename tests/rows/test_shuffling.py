"""Shuffles: permutations, uniform, functions of (seed, epoch) alone, never the same by accident.

The seeds are fixed, so each test always sees the same numbers. A chi-square sum of d degrees of
freedom lies within five deviations of d but once in a million; broken shuffles are far outside.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.rows.kernels import shuffling
from gradstep.rows.kernels.shuffling import block_shuffle, exact_shuffle, key_of
from tests.examples import examples

BUCKET = shuffling._BUCKET_ROWS
SOME = examples(60)


def is_permutation(order, n):
    return (
        order.dtype == np.uint32
        and order.shape == (n,)
        and (np.bincount(order, minlength=n) == 1).all()
    )


def looks_uniform(counts):
    """Tell whether the counts of equally likely cells are as uneven as chance makes them."""
    counts = np.asarray(counts, dtype=float)
    expected = counts.sum() / counts.size
    chi_square = np.sum((counts - expected) ** 2) / expected
    degrees = counts.size - 1
    return abs(chi_square - degrees) < 5.0 * np.sqrt(2.0 * degrees)


def looks_shuffled(order):
    """Tell whether few rows stand where they were, or beside the row that they were beside.

    Chance leaves about one of each in the whole order.
    """
    order = order.astype(np.int64)
    in_place = np.sum(order == np.arange(order.size))
    together = np.sum(np.abs(np.diff(order)) == 1)
    return in_place < 10 and together < 15


def index_of(n):
    """Return the function from a permutation of n to its number."""
    numbers = {order: number for number, order in enumerate(permutations(range(n)))}
    return lambda order: numbers[tuple(order.tolist())]


# --- the exact shuffle ------------------------------------------------------------------------


class TestPermutation:
    @pytest.mark.parametrize(
        "n",
        [
            *range(10),
            *(k * BUCKET + d for k in (1, 2, 3, 4, 8) for d in (-1, 0, 1, 2)),
            1_000_003,
        ],
    )
    def test_of_n(self, n):
        assert is_permutation(exact_shuffle(n, 3, 5), n)

    @SOME
    @given(st.integers(0, 200_000), st.integers(0, 2**63), st.integers(0, 2**32 - 1))
    def test_of_any_n_seed_and_epoch(self, n, seed, epoch):
        assert is_permutation(exact_shuffle(n, seed, epoch), n)

    def test_more_buckets_than_can_be_written_at_once(self, monkeypatch):
        monkeypatch.setattr(shuffling, "_MOST_BUCKETS", 4)
        order = exact_shuffle(10 * BUCKET, 0, 0)
        assert is_permutation(order, 10 * BUCKET)
        assert looks_shuffled(order)


class TestShuffled:
    @pytest.mark.parametrize("n", [100, BUCKET - 1, 2 * BUCKET + 3, 9 * BUCKET])
    def test_rows_leave_their_place_and_their_neighbours(self, n):
        assert all(looks_shuffled(exact_shuffle(n, seed, 0)) for seed in range(10))

    def test_the_check_can_fail(self):
        """As it does for no shuffle, and for one of whole buckets."""
        n = 4 * BUCKET
        assert not looks_shuffled(np.arange(n))
        by_bucket = np.argsort(np.random.default_rng(0).integers(0, 8, n), kind="stable")
        assert not looks_shuffled(by_bucket)
        assert not looks_uniform(np.bincount([5] * 1000, minlength=24))


class TestUniform:
    @pytest.mark.parametrize("n,orders", [(2, 2000), (3, 3000), (4, 12_000), (5, 12_000)])
    def test_every_order_is_equally_likely(self, n, orders):
        index, cells = index_of(n), len(list(permutations(range(n))))
        seen = [index(exact_shuffle(n, seed, 0)) for seed in range(orders)]
        assert looks_uniform(np.bincount(seen, minlength=cells))

    def test_every_order_is_equally_likely_over_epochs(self):
        index = index_of(4)
        seen = [index(exact_shuffle(4, 0, epoch)) for epoch in range(12_000)]
        assert looks_uniform(np.bincount(seen, minlength=24))

    def test_every_row_is_equally_likely_at_every_position(self):
        n, orders = 23, 6000
        table = np.zeros((n, n))
        for seed in range(orders):
            table[np.arange(n), exact_shuffle(n, seed, 1)] += 1
        assert looks_uniform(table[1:, 1:])  # the rest follows from these

    def test_of_many_buckets(self):
        """The same, in thirty-seconds of an order that needs eight buckets."""
        n, parts = 4 * BUCKET + 8, 32
        table = np.zeros((parts, parts))
        for seed in range(20):
            order = exact_shuffle(n, seed, 0).astype(np.int64)
            np.add.at(table, (np.arange(n) * parts // n, order * parts // n), 1)
        assert looks_uniform(table[1:, 1:])

    def test_neighbours_are_any_two_rows(self):
        n, orders = 12, 6000
        table = np.zeros((n, n))
        for seed in range(orders):
            order = exact_shuffle(n, seed, 2)
            table[order[:-1], order[1:]] += 1
        assert looks_uniform(table[~np.eye(n, dtype=bool)])
        assert np.diag(table).sum() == 0

    def test_neighbours_in_many_buckets(self):
        """About one pair in an order was a pair before, in either direction."""
        steps = np.concatenate(
            [np.diff(exact_shuffle(3 * BUCKET, seed, 0).astype(np.int64)) for seed in range(60)]
        )
        for step in (1, -1, 2, -2):
            assert 30 < np.sum(steps == step) < 95


class TestApart:
    """Orders of different seeds or epochs have nothing to do with each other."""

    def test_epochs_are_independent(self):
        index = index_of(3)
        pairs = [
            6 * index(exact_shuffle(3, seed, 0)) + index(exact_shuffle(3, seed, 1))
            for seed in range(10_000)
        ]
        assert looks_uniform(np.bincount(pairs, minlength=36))

    def test_seeds_are_independent(self):
        index = index_of(3)
        pairs = [
            6 * index(exact_shuffle(3, seed, 0)) + index(exact_shuffle(3, seed + 1, 0))
            for seed in range(0, 20_000, 2)
        ]
        assert looks_uniform(np.bincount(pairs, minlength=36))

    def test_from_what_the_last_epoch_left(self):
        n = 2 * BUCKET + 2
        assert all(
            looks_shuffled(np.argsort(exact_shuffle(n, 0, epoch))[exact_shuffle(n, 0, epoch + 1)])
            for epoch in range(5)
        )

    def test_no_two_are_the_same(self):
        """Also (s, e + 1) and (s + 1, e), which are the same where seeds are added up."""
        orders = {
            exact_shuffle(40, seed, epoch).tobytes() for seed in range(40) for epoch in range(40)
        }
        assert len(orders) == 1600

    def test_keys(self):
        """Of seeds of any size, that of one is not another's with the epoch mixed in."""
        paths = [(s, e, b) for s in range(15) for e in range(15) for b in range(3)]
        large = [(2**32, 0, 0), (0, 2**32 - 1, 0), (2**63, 1, 0), (1, 2**31, 2)]
        assert len({int(key_of(*path)) for path in paths + large}) == len(paths) + len(large)


class TestPinned:
    """What a seed means must not change unnoticed: it would change every model."""

    def test_exact(self):
        assert exact_shuffle(12, 0, 0).tolist() == [0, 11, 2, 1, 6, 3, 10, 8, 7, 5, 9, 4]
        assert exact_shuffle(12, 1, 7).tolist() == [1, 6, 3, 4, 10, 7, 8, 2, 0, 9, 5, 11]
        assert exact_shuffle(100_000, 42, 3)[:5].tolist() == [36144, 59664, 24502, 28879, 56122]

    def test_blocks(self):
        def order(n, **sizes):
            return block_shuffle(n, 5, 2, **sizes).tolist()

        assert order(12, block_rows=2, window_blocks=3) == [4, 5, 7, 2, 6, 3, 8, 1, 11, 10, 9, 0]
        first = order(100_000, block_rows=64, window_blocks=8)[:5]
        assert first == [46967, 22239, 31580, 86120, 90678]

    def test_is_a_function(self):
        first = exact_shuffle(1000, 1, 2)
        exact_shuffle(1000, 9, 9)
        np.testing.assert_array_equal(exact_shuffle(1000, 1, 2), first)


# --- the shuffle of blocks --------------------------------------------------------------------


class TestBlocks:
    @SOME
    @given(
        st.integers(0, 5000), st.integers(1, 700), st.integers(1, 9), st.integers(0, 99),
        st.integers(0, 99),
    )  # fmt: skip
    def test_permutation(self, n, block_rows, window_blocks, seed, epoch):
        order = block_shuffle(n, seed, epoch, block_rows=block_rows, window_blocks=window_blocks)
        assert is_permutation(order, n)

    @SOME
    @given(st.integers(1, 3000), st.integers(1, 99), st.integers(1, 9), st.integers(0, 99))
    def test_a_window_holds_whole_blocks(self, n, block_rows, window_blocks, seed):
        """So memory is read in stretches: each block is finished before the next window."""
        order = block_shuffle(n, seed, 0, block_rows=block_rows, window_blocks=window_blocks)
        left, sizes = order // block_rows, np.bincount(order // block_rows)
        while left.size:
            # the window ends where as many blocks are complete as it has
            blocks = list(dict.fromkeys(left.tolist()))[:window_blocks]
            size = sizes[blocks].sum()
            assert set(left[:size].tolist()) == set(blocks)
            left = left[size:]

    def test_rows_are_permuted_within_a_window(self):
        order = block_shuffle(4096, 0, 0, block_rows=64, window_blocks=8).astype(np.int64)
        assert looks_shuffled(order[:512])
        assert np.sum(np.diff(order // 64) == 0) < 4096 / 8 * 1.5  # not block after block

    def test_of_one_window_is_uniform(self):
        index = index_of(4)
        seen = [
            index(block_shuffle(4, seed, 0, block_rows=2, window_blocks=2))
            for seed in range(12_000)
        ]
        assert looks_uniform(np.bincount(seen, minlength=24))

    def test_of_single_blocks(self):
        """Each of the 3! orders of blocks, times (2!)³ orders of rows, is equally likely."""
        index = index_of(6)
        seen = [
            index(block_shuffle(6, seed, 0, block_rows=2, window_blocks=1)) for seed in range(9600)
        ]
        possible, counts = np.unique(seen, return_counts=True)
        assert possible.size == 48
        assert looks_uniform(counts)

    def test_blocks_come_in_a_new_order_each_epoch(self):
        firsts = [
            int(block_shuffle(1000, 0, epoch, block_rows=10, window_blocks=1)[0]) // 10
            for epoch in range(50)
        ]
        assert len(set(firsts)) > 25

    def test_no_two_are_the_same(self):
        orders = {
            block_shuffle(40, seed, epoch, block_rows=5, window_blocks=2).tobytes()
            for seed in range(30)
            for epoch in range(30)
        }
        assert len(orders) == 900
