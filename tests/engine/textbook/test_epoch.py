"""The walk: neither the cuts between calls of the kernel nor fetching ahead change a bit."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.engine.textbook import epoch as walk
from gradstep.engine.textbook.epoch import EpochBatches
from gradstep.errors import InvalidData
from gradstep.rows.dataset import Dataset
from tests.engine.cases import PROBLEMS, csr, dense, fit, matrix, problem, regression, same_bits
from tests.examples import examples

DENSE = regression()
SPARSE = regression(p=40, layout=csr, density=0.1)
WEIGHTED = regression(weighted=True, k=2)
ROW = 3 * 8  # bytes of a row of DENSE


def parts(data, done=0, **changes):
    """Return the batches of each run of the first epoch, and the rows that it reads."""
    with EpochBatches(problem(data, **changes), data, 1.0) as walked:
        runs = list(walked.epoch(0, done))
        return [list(run.batches) for run in runs]


class TestCuts:
    @examples(60)
    @given(PROBLEMS, st.integers(1, 5000), st.sampled_from([DENSE, SPARSE, WEIGHTED]))
    def test_change_no_bit(self, changes, run_bytes, data):
        of = problem(data, **changes)
        whole, _, told = fit(of, data)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(walk, "_RUN_BYTES", run_bytes)
            cut, _, told_cut = fit(of, data)
        assert same_bits(cut, whole)
        assert told_cut == told

    def test_happen(self, monkeypatch):
        assert parts(DENSE) == [[0, 1, 2, 3, 4, 5, 6]]
        monkeypatch.setattr(walk, "_RUN_BYTES", 2 * 8 * ROW)
        assert parts(DENSE) == [[0, 1], [2, 3], [4, 5], [6]]
        assert parts(DENSE, last_batch="drop") == [[0, 1], [2, 3], [4, 5]]
        assert parts(DENSE, done=3) == [[3, 4], [5, 6]]
        monkeypatch.setattr(walk, "_RUN_BYTES", 1)
        assert parts(DENSE, batch_size=20) == [[0], [1], [2]]


class TestGathering:
    """Rows copied ahead by a second thread train as rows in place do."""

    @pytest.fixture
    def gathers(self, monkeypatch):
        """Gather whatever the size, in short runs."""

        def switch_on():
            monkeypatch.setattr(walk, "threads", lambda: 2)
            monkeypatch.setattr(walk, "_GATHER_BYTES", 0)
            monkeypatch.setattr(walk, "_GATHERED_BYTES", 2 * 8 * ROW)

        return switch_on

    @pytest.mark.parametrize(
        "data",
        [
            DENSE,
            SPARSE,
            WEIGHTED,
            WEIGHTED.select(np.arange(1, 53, 2, dtype=np.uint32)),
            SPARSE.select(np.arange(1, 53, 2, dtype=np.uint32)),
        ],
        ids=["dense", "csr", "weighted, two outputs", "part, weighted", "part, csr"],
    )
    def test_same_bits(self, data, gathers):
        of = problem(data)
        in_place, _, told = fit(of, data)
        gathers()
        copied, _, told_copied = fit(of, data)
        assert same_bits(copied, in_place)
        assert told_copied == told

    def test_gathers_those_rows(self, gathers):
        gathers()
        with EpochBatches(problem(DENSE), DENSE, 1.0) as walked:
            runs = [
                (run.rows.values[run.order[: run.n]].copy(), run.y[run.order[: run.n]].copy())
                for run in walked.epoch(0, 0)
            ]
            copies = [not np.shares_memory(run.rows.values, DENSE.rows.values)
                      for run in walked.epoch(1, 0)]  # fmt: skip
        assert all(copies)
        assert len(runs) == 4
        rows, y = (np.concatenate(part) for part in zip(*runs, strict=True))
        assert not np.array_equal(rows, DENSE.rows.values)  # shuffled
        back = np.lexsort(rows.T), np.lexsort(DENSE.rows.values.T)
        np.testing.assert_array_equal(rows[back[0]], DENSE.rows.values[back[1]])
        np.testing.assert_array_equal(y[back[0]], DENSE.y[back[1]])

    @pytest.mark.parametrize("shuffle", ["blocks", "none"])
    def test_only_scattered_rows(self, shuffle, gathers):
        gathers()
        with EpochBatches(problem(DENSE, shuffle=shuffle), DENSE, 1.0) as walked:
            runs = list(walked.epoch(0, 0))
        assert len({run.rows.values.ctypes.data for run in runs}) == 1
        assert all(run.rows.values.shape == (53, 3) for run in runs)

    def test_rows_that_are_read_twice(self, gathers, monkeypatch):
        """A step in place on a batch beyond the cache: in whatever order, copies are cheaper."""
        for shuffle, copied in (("blocks", True), ("exact", True)):
            monkeypatch.setattr(walk, "_GATHER_ROW_BYTES", 0)
            monkeypatch.setattr(walk, "_CACHED_BYTES", 8 * SPARSE.rows.row_bytes() - 1)
            gathers()
            with EpochBatches(problem(SPARSE, shuffle=shuffle), SPARSE, 1.0) as walked:
                assert (len({id(run.rows.values) for run in walked.epoch(0, 0)}) > 1) == copied
            monkeypatch.setattr(walk, "_CACHED_BYTES", 8 * SPARSE.rows.row_bytes())
            with EpochBatches(problem(SPARSE, shuffle=shuffle), SPARSE, 1.0) as walked:
                assert {run.rows.n_rows for run in walked.epoch(0, 0)} == {53}

    def test_one_thread_does_not(self, gathers, monkeypatch):
        gathers()
        monkeypatch.setattr(walk, "threads", lambda: 1)
        with EpochBatches(problem(DENSE), DENSE, 1.0) as walked:
            assert all(
                np.shares_memory(run.rows.values, DENSE.rows.values) for run in walked.epoch(0, 0)
            )

    def test_threads_end(self, gathers):
        def refuse(epoch, n):
            if epoch:
                raise RuntimeError(epoch)
            return np.arange(n)

        gathers()
        before = {*threading.enumerate()}
        fit(problem(DENSE), DENSE)
        with pytest.raises(RuntimeError):
            fit(problem(DENSE, shuffle=refuse), DENSE)
        fit(problem(DENSE), DENSE, max_batches=3)
        assert {*threading.enumerate()} <= before  # those of others may have ended

    def test_big_data(self):
        """As it comes, without a patch: what gathers and reads ahead by itself."""
        big = Dataset(dense(matrix(600_000, 7, seed=1)), np.ones((600_000, 1)))
        of = problem(big, batch_size=64, max_epochs=2)
        ahead, _, told = fit(of, big)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(walk, "threads", lambda: 1)
            patch.setattr(walk, "_RUN_BYTES", 1 << 30)
            plain, _, told_plain = fit(of, big)
        assert same_bits(ahead, plain)
        assert told == told_plain


def test_a_wrong_order_is_told():
    with pytest.raises(InvalidData, match="permutation of range"):
        fit(problem(DENSE, shuffle=lambda _, n: np.zeros(n, int)), DENSE)
