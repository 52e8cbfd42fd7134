"""Tables may pass 2^32 rows: positions do not wrap around, and shards count their own."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradstep import InvalidData
from gradstep.engine.automatic.sampling import Sampler
from gradstep.engine.automatic.smoothing import Smoothing
from gradstep.engine.automatic.state import Sampling
from gradstep.engine.executor import Threads, cut_positions
from gradstep.rows.dataset import Dataset, row_numbers, scattered
from gradstep.rows.layouts import DenseRows
from gradstep.rows.order import order_of

N = 3 << 32


@pytest.fixture(scope="module")
def data():
    """Rows that are all the same ones in memory."""
    return Dataset(DenseRows(np.broadcast_to([[0.5]], (N, 1))), np.broadcast_to([[1.0]], (N, 1)))


def test_positions_do_not_wrap_around(data):
    at = scattered(N, 1000)
    assert at.dtype == np.int64
    assert at[-1] > 2 << 32
    assert np.all(np.diff(at) > 0)
    assert row_numbers(np.arange(3), N - 1).dtype == np.int64
    assert row_numbers(np.arange(3), 1 << 32).dtype == np.uint32


def test_shards_count_their_own(data):
    shards = data.shards()
    assert shards[-1][1] == N
    at = np.array([hi - 1 for _, hi in shards])
    own = cut_positions(at, shards)
    assert all(part.dtype == np.uint32 for part in own)
    assert [int(part[0]) for part in own] == [hi - lo - 1 for lo, hi in shards]


def test_samples_are_of_all_rows(data):
    taken = []
    sums = SimpleNamespace(take=lambda at: taken.append(at) or Threads(data).take(at))
    of = SimpleNamespace(data=data, problem=SimpleNamespace(seed=0), is_uneven=lambda _: False)
    sample, _ = Sampler(of, sums).draw(1000, Sampling(), Smoothing(1.0, 1.0))
    assert sample.n == 1000
    assert np.histogram(taken[0], 3, (0, N))[0].min() > 250


@pytest.mark.parametrize("shuffled", [True, False])
def test_an_order_of_so_many_is_refused(shuffled):
    with pytest.raises(InvalidData, match="12,884,901,888 rows are more than are shuffled, 2"):
        order_of("exact", N, 0, 8, shuffled=shuffled)


def test_as_they_lie_they_have_no_limit():
    order, _ = order_of("none", N, 0, 8)
    assert order(0)[N - 2 : N].tolist() == [N - 2, N - 1]
