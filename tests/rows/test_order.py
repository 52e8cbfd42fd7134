"""The order of rows: what is asked for, checked, and made one epoch ahead."""

from __future__ import annotations

import threading
from contextlib import closing

import numpy as np
import pytest

from gradstep.errors import InvalidData
from gradstep.rows.kernels.shuffling import block_shuffle, exact_shuffle
from gradstep.rows.order import ReadAhead, checked_order, order_of, order_once


class TestOrderOf:
    def test_exact(self):
        order, _ = order_of("exact", 100, 7, 80)
        np.testing.assert_array_equal(order(3), exact_shuffle(100, 7, 3))

    def test_none(self):
        order, _ = order_of("none", 5, 7, 80)
        assert order(0)[0:9].tolist() == order(9)[0:5].tolist() == [0, 1, 2, 3, 4]
        assert order(0)[1:3].tolist() == [1, 2]
        assert order(0)[0:5].dtype == np.uint32

    def test_blocks_are_of_16_kilobytes_and_windows_of_eight(self):
        order, _ = order_of("blocks", 1000, 7, 1024)
        expected = block_shuffle(1000, 7, 3, block_rows=16, window_blocks=8)
        np.testing.assert_array_equal(order(3), expected)

    @pytest.mark.parametrize("row_bytes", [0, 1 << 20])
    def test_blocks_of_extreme_rows(self, row_bytes):
        order, _ = order_of("blocks", 100, 7, row_bytes)
        assert sorted(order(0).tolist()) == list(range(100))

    def test_callable(self):
        asked = []

        def backwards(epoch, n):
            asked.append((epoch, n))
            return list(range(n))[::-1]

        order, in_thread = order_of(backwards, 4, 7, 80)
        assert order(2).tolist() == [3, 2, 1, 0]
        assert asked == [(2, 4)]
        assert not in_thread  # a user's function may not be made for threads

    def test_threads_are_for_many_rows(self):
        for shuffle in ("exact", "blocks"):
            assert [order_of(shuffle, n, 0, 80)[1] for n in (1000, 1_000_000)] == [False, True]

    def test_the_order_in_memory_is_none_of_the_epochs(self):
        once = order_once(100, 7)
        assert sorted(once.tolist()) == list(range(100))
        assert all((once != exact_shuffle(100, 7, epoch)).any() for epoch in range(100))
        assert (once != order_once(100, 8)).any()


class TestCheckedOrder:
    @pytest.mark.parametrize("kind", ["u1", "i4", "i8", "u4", "u8", list])
    def test_integers_of_any_kind(self, kind):
        given = [2, 0, 1] if kind is list else np.array([2, 0, 1], kind)
        order = checked_order(given, 3)
        assert order.dtype == np.uint32
        assert order.tolist() == [2, 0, 1]

    def test_is_not_the_users_array(self):
        """Who may shuffle it in place for the next epoch, while this one is read."""
        given = np.array([2, 0, 1], np.uint32)
        assert not np.shares_memory(checked_order(given, 3), given)

    def test_of_nothing(self):
        assert checked_order(np.empty(0, int), 0).size == 0

    @pytest.mark.parametrize(
        "wrong,told",
        [
            ([0, 1], r"3 integers.*shape \(2,\)"),
            ([[0, 1, 2]], r"shape \(1, 3\)"),
            ([0.0, 1.0, 2.0], "dtype float64"),
            ([True, False, True], "dtype bool"),
            (["0", "1", "2"], "dtype <U1"),
            (None, "dtype object"),
            ([0, 1, 1], "each row once.*repeated"),
            ([0, 1, 3], "numbers from 0 to 3"),
            ([-1, 0, 1], "numbers from -1 to 1"),
            (np.array([0, 1, 2**63], np.uint64), "numbers from 0 to"),
        ],
        ids=str,
    )
    def test_refuses(self, wrong, told):
        with pytest.raises(InvalidData, match=told):
            checked_order(wrong, 3)


def order(epoch):
    return exact_shuffle(50, 0, epoch)


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("gradstep-order")]


@pytest.mark.parametrize("in_thread", [False, True], ids=["direct", "ahead"])
class TestReadAhead:
    def test_gives_the_same_orders(self, in_thread):
        asked = [0, 1, 2, 5, 6, 2]  # in a row, with a jump, and back
        with closing(ReadAhead(order, in_thread=in_thread)) as ahead:
            for epoch in asked:
                np.testing.assert_array_equal(ahead.order(epoch), order(epoch))

    def test_makes_the_next_one_while_this_one_is_used(self, in_thread):
        made = {}

        def noted(epoch):
            made[epoch] = threading.current_thread().name
            return order(epoch)

        ahead = ReadAhead(noted, in_thread=in_thread)
        ahead.order(0)
        ahead.order(1, more=False)
        ahead.close()
        assert set(made) == {0, 1}  # none for an epoch that will not come
        assert made[1].startswith("gradstep-order") == in_thread

    @pytest.mark.parametrize("bad_epoch", [0, 1, 2])
    def test_errors_come_where_the_order_is_asked_for(self, in_thread, bad_epoch):
        def failing(epoch):
            if epoch == bad_epoch:
                raise LookupError(epoch)
            return order(epoch)

        with closing(ReadAhead(failing, in_thread=in_thread)) as ahead:
            for epoch in range(bad_epoch):
                ahead.order(epoch)
            with pytest.raises(LookupError, match=f"{bad_epoch}"):
                ahead.order(bad_epoch)

    def test_ends_its_thread(self, in_thread):
        ahead = ReadAhead(order, in_thread=in_thread)
        ahead.order(0)
        assert bool(threads()) == in_thread
        ahead.close()
        assert threads() == []

    def test_ends_its_thread_when_the_next_order_fails(self, in_thread):
        ahead = ReadAhead(lambda epoch: order(0) if epoch == 0 else 1 / 0, in_thread=in_thread)
        ahead.order(0)
        ahead.close()
        assert threads() == []
