"""Rows of numbers and codes train as the one-hot rows that they stand for."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.engine.evaluation import mean_loss, scores
from gradstep.engine.textbook import epoch as walk
from gradstep.engine.textbook import steps
from gradstep.objective.classification import Hinge, LogLoss, OneVsRest, Softmax
from gradstep.objective.penalties import L1, L2, NoPenalty
from gradstep.objective.regression import Huber, SquaredError
from gradstep.optim import optimizers
from gradstep.optim.schedules import Constant
from gradstep.rows.dataset import Dataset, mean_square_norm
from gradstep.rows.layouts import TableRows
from tests.engine.cases import csr, dense, fit, problem, same_bits
from tests.examples import examples
from tests.uncompiled import among, compiled_if, uncompiled

N = 61
NUMBERS = 3
LEVELS = (4, 2, 7)
WIDTH = NUMBERS + sum(LEVELS)


def coded(n=N, seed=0, *, numbers=NUMBERS, levels=LEVELS, gone=0.2, dtype=np.float64):
    """Return rows of numbers and codes, some of them -1."""
    rng = np.random.default_rng(seed)
    starts = numbers + np.cumsum([0, *levels])
    codes = np.empty((n, len(levels)), np.int32)
    for q, size in enumerate(levels):
        codes[:, q] = starts[q] + rng.integers(0, size, n)
    codes[rng.random(codes.shape) < gone] = -1
    return TableRows(rng.normal(size=(n, numbers)).astype(dtype), codes, int(starts[-1]))


def one_hot(rows):
    """Return the matrix that the rows stand for."""
    X = np.zeros((rows.n_rows, rows.width))
    X[:, : rows.values.shape[1]] = rows.values
    at, column = np.nonzero(rows.codes >= 0)
    X[at, rows.codes[at, column]] = 1.0
    return X


def targets(n, k, kind, seed=1):
    rng = np.random.default_rng(seed)
    if kind == "number":
        return rng.normal(size=(n, k))
    return rng.choice([-1.0, 1.0], (n, 1)) if k == 1 else rng.integers(0, k, (n, 1)).astype(float)


ROWS = coded()
WEIGHT = np.random.default_rng(2).integers(0, 4, N).astype(float)
OPTIMIZERS = [
    optimizers.SGD(),
    optimizers.Momentum(),
    optimizers.Nesterov(),
    optimizers.AdaGrad(),
    optimizers.RMSprop(),
    optimizers.Adam(),
    optimizers.Adam(amsgrad=True),
    optimizers.FTRL(),
]
LOSSES = {
    "one number": (SquaredError(), 1, "number"),
    "three numbers": (SquaredError(), 3, "number"),
    "huber": (Huber(), 1, "number"),
    "two classes": (LogLoss(), 1, "class"),
    "softmax": (Softmax(), 4, "class"),
    "one against the rest": (OneVsRest(Hinge()), 3, "class"),
}


def both(rows, k=1, kind="number", weight=None):
    """Return a dataset of the rows, and of the one-hot matrix."""
    y = targets(rows.n_rows, k, kind)
    return Dataset(rows, y, weight), Dataset(csr(one_hot(rows)), y, weight)


def check_same(rows, *, weight=None, loss="one number", tolerance=1e-12, **changes):
    loss, k, kind = LOSSES[loss]
    mine, theirs = both(rows, k, kind, weight)
    changes = {"loss": loss, "n_outputs": k, "schedule": Constant(0.02), **changes}
    state, outcome, told = fit(problem(mine, **changes), mine)
    expected, outcome_expected, told_expected = fit(problem(theirs, **changes), theirs)
    assert not np.array_equal(state.params, np.zeros(state.params.size))
    np.testing.assert_allclose(state.params, expected.params, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(state.slots, expected.slots, rtol=tolerance, atol=tolerance)
    assert outcome is outcome_expected
    for mine_told, theirs_told in zip(told, told_expected, strict=True):
        assert mine_told[0] == theirs_told[0]
        assert mine_told[1] == pytest.approx(theirs_told[1], rel=tolerance)


class TestAsOneHot:
    @pytest.mark.parametrize(
        "optimizer",
        compiled_if(lambda optimizer: type(optimizer) is optimizers.SGD, OPTIMIZERS),
        ids=str,
    )
    def test_every_optimizer(self, optimizer):
        check_same(ROWS, optimizer=optimizer, penalty=L1(0.01))

    @uncompiled
    @pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
    @pytest.mark.parametrize("penalty", [NoPenalty(), L2(0.1)], ids=str)
    def test_every_optimizer_with_other_penalties(self, optimizer, penalty):
        check_same(ROWS, optimizer=optimizer, penalty=penalty)

    @pytest.mark.parametrize(
        "loss, weighted",
        compiled_if(
            among([("one number", False), ("one number", True)]),
            product(LOSSES, [False, True]),
        ),
    )
    def test_every_kind_of_output(self, loss, weighted):
        check_same(ROWS, loss=loss, weight=WEIGHT if weighted else None)

    @pytest.mark.parametrize("changes", [
        {"shuffle": "blocks"}, {"shuffle": "none", "last_batch": "drop"}, {"last_batch": "mean"},
        {"average_from": 1}, {"fit_intercept": False}, {"batch_size": 1}, {"batch_size": N},
    ], ids=str)  # fmt: skip
    def test_however_it_is_walked(self, changes):
        check_same(ROWS, **changes)

    @examples(40)
    @given(
        st.integers(1, 40), st.integers(0, 5), st.lists(st.integers(1, 6), max_size=4),
        st.floats(0.0, 1.0), st.integers(1, 50), st.integers(0, 99),
    )  # fmt: skip
    def test_of_any_shape(self, n, numbers, levels, gone, batch_size, seed):
        if numbers or levels:
            rows = coded(n, seed, numbers=numbers, levels=tuple(levels), gone=gone)
            check_same(rows, batch_size=batch_size)

    def test_without_numbers(self):
        check_same(coded(numbers=0))

    def test_without_codes(self):
        """They are dense rows."""
        rows = coded(levels=())
        check_same(rows)
        y = targets(N, 1, "number")
        mine, theirs = Dataset(rows, y), Dataset(dense(rows.values), y)
        same = fit(problem(mine), mine)[0].params, fit(problem(theirs), theirs)[0].params
        np.testing.assert_allclose(*same, rtol=1e-12, atol=1e-14)

    @pytest.mark.slow
    def test_of_float32(self):
        check_same(coded(dtype=np.float32), weight=WEIGHT)

    def test_of_all_codes_missing(self):
        rows = coded(gone=1.0)
        assert (rows.codes == -1).all()
        check_same(rows)

    def test_of_features_that_no_row_has(self):
        check_same(replace_width(ROWS, WIDTH + 50), penalty=L1(0.01))

    def test_many_pieces(self):
        """As batches are cut that threads share."""
        assert steps.pieces_of(1400, coded(2).row_bytes(), WIDTH + 1) > 1
        check_same(coded(3000), batch_size=1400, tolerance=1e-11)


def replace_width(rows, width):
    return TableRows(rows.values, rows.codes, width)


class TestSameBits:
    """What computes, and where, changes none."""

    DATA = both(coded(1500), weight=np.arange(1500.0) % 3)[0]

    @pytest.mark.parametrize(
        "loss", ["one number", pytest.param("softmax", marks=pytest.mark.slow)]
    )
    def test_threads(self, loss, monkeypatch):
        component, k, kind = LOSSES[loss]
        data = both(coded(1500), k, kind)[0]
        of = problem(data, batch_size=640, loss=component, n_outputs=k)
        found = []
        for threads in (1, 2, 4):
            monkeypatch.setattr(steps, "threads", lambda threads=threads: threads)
            found.append(fit(of, data))
        alone, *others = found
        for other in others:
            assert same_bits(other[0], alone[0])
            assert other[2] == alone[2]

    @pytest.mark.parametrize("shuffled", [False, True])
    @pytest.mark.parametrize(
        "dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64]
    )
    def test_rows_gathered_ahead(self, shuffled, dtype, monkeypatch):
        rows = coded(900, dtype=dtype)
        data = Dataset(rows, targets(900, 1, "number"), np.arange(900.0) % 3, shuffled=shuffled)
        of = problem(data)
        in_place, _, told = fit(of, data)
        monkeypatch.setattr(walk, "threads", lambda: 2)
        monkeypatch.setattr(walk, "_GATHER_BYTES", 0)
        monkeypatch.setattr(walk, "_GATHERED_BYTES", 3 * 8 * rows.row_bytes())
        with walk.EpochBatches(of, data, 1.0) as walked:
            runs = [np.shares_memory(run.rows.codes, rows.codes) for run in walked.epoch(0, 0)]
        assert len(runs) > 10
        assert not any(runs)
        copied, _, told_copied = fit(of, data)
        assert same_bits(copied, in_place)
        assert told_copied == told

    @pytest.mark.parametrize("parts", [[1], [3, 5, 8], [100, 100]])
    def test_stopped_and_taken_up_again(self, parts):
        of = problem(self.DATA, average_from=5)
        whole, _, _ = fit(of, self.DATA)
        state = of.start()
        for batches in parts:
            state, _, _ = fit(of, self.DATA, state, max_batches=batches)
        state, _, _ = fit(of, self.DATA, state)
        assert same_bits(state, whole)

    def test_read_only(self):
        """As arrays that are mapped from a file are."""
        rows = coded(1500)
        for array in (rows.values, rows.codes):
            array.flags.writeable = False
        data = replace(self.DATA, rows=rows)
        assert same_bits(fit(problem(data), data)[0], fit(problem(self.DATA), self.DATA)[0])


class TestLayout:
    SOME = np.array([30, 2, 2, 17, 60], np.uint32)

    def test_shape(self):
        assert (ROWS.n_rows, ROWS.n_features) == (N, WIDTH)
        assert ROWS.row_bytes() == 8 * NUMBERS + 4 * len(LEVELS)
        assert ROWS.tile_rows() % 4 == 0

    @pytest.mark.parametrize("k", [1, 3])
    def test_scores(self, k):
        params = np.random.default_rng(0).normal(size=k * (WIDTH + 1))
        expected = one_hot(ROWS) @ params[: k * WIDTH].reshape(k, WIDTH).T + params[k * WIDTH :]
        np.testing.assert_allclose(scores(ROWS, params, k), expected, rtol=1e-13, atol=1e-13)
        some = scores(ROWS, params, k, self.SOME)
        assert some.tobytes() == scores(ROWS, params, k)[self.SOME].tobytes()

    def test_mean_loss(self):
        mine, theirs = both(ROWS, weight=WEIGHT)
        params = np.random.default_rng(0).normal(size=WIDTH + 1)
        found = (mean_loss(SquaredError(), data, params, 1) for data in (mine, theirs))
        assert next(found) == pytest.approx(next(found), rel=1e-13)

    def test_take(self):
        taken = ROWS.take(self.SOME)
        np.testing.assert_array_equal(one_hot(taken), one_hot(ROWS)[self.SOME])
        assert not np.shares_memory(taken.codes, ROWS.codes)

    def test_first(self):
        first = ROWS.part(0, 7)
        np.testing.assert_array_equal(one_hot(first), one_hot(ROWS)[:7])
        assert first.n_features == WIDTH
        assert np.shares_memory(first.values, ROWS.values)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_square_norms(self, dtype):
        rows = coded(dtype=dtype)
        norms = (one_hot(rows) ** 2).sum(axis=1)
        assert rows.square_norms().dtype == np.float64
        np.testing.assert_allclose(rows.square_norms(), norms, rtol=1e-13)
        assert mean_square_norm(both(rows)[0]) == pytest.approx(norms.mean(), rel=1e-13)

    def test_without_features(self):
        bare = ROWS.without_features()
        assert type(bare) is TableRows
        assert (bare.n_rows, bare.n_features) == (N, 0)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_copies(self, dtype):
        rows = coded(dtype=dtype)
        room = rows.room_for(self.SOME, None)
        assert room.values.dtype == dtype
        rows.copy_rows(self.SOME, 1, 4, room)
        copied = room.part(0, 3)
        np.testing.assert_array_equal(one_hot(copied), one_hot(rows)[self.SOME[1:4]])
        assert rows.room_for(self.SOME[:2], room) is room
        assert rows.room_for(np.arange(9, dtype=np.uint32), room) is not room

    def test_lists_the_features_of_rows_once(self):
        since, features, before = (np.zeros(WIDTH + 1, np.int32) for _ in range(3))
        since[:] = np.arange(WIDTH + 1) - 100
        was = since.copy()
        n = ROWS.list_touched(self.SOME, 0, 5, since, 7, features, before)
        present = one_hot(ROWS)[self.SOME].any(axis=0)
        present[:NUMBERS] = True
        assert sorted(features[:n].tolist()) == np.flatnonzero(present).tolist()
        assert n <= ROWS.n_touched(5)
        np.testing.assert_array_equal(before[:n], was[features[:n]])
        np.testing.assert_array_equal(since[:WIDTH] == 7, present)
