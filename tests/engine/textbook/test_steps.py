"""Batches shared among threads: the pieces depend on the data, no bit on who computed them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.engine.kernels.batches import (
    Batches,
    Iterate,
    Outputs,
    Scratch,
    piece_room,
    run_batches,
)
from gradstep.engine.kernels.compiled_losses import compiled_loss
from gradstep.engine.kernels.pieces import close, new_queue, publish
from gradstep.engine.kernels.tiles import Data
from gradstep.engine.textbook import steps
from gradstep.engine.textbook.steps import pieces_of
from gradstep.objective.classification import LogLoss, Softmax
from gradstep.objective.penalties import L1, L2
from gradstep.objective.regression import SquaredError
from gradstep.optim.optimizers import SGD, Adam, Nesterov
from gradstep.rows.readonly import readonly
from tests.engine.cases import by_hand, classes, csr, fit, problem, regression, same_bits

REGRESSION = regression(n=1500, p=5)
WEIGHTED = regression(n=1500, p=5, k=2, weighted=True)
SPARSE = regression(n=1500, p=40, layout=csr, density=0.5)
THREE_CLASSES = classes(n=1500, p=5)


class TestPieces:
    @given(st.integers(1, 10**6), st.integers(1, 10**5), st.integers(1, 10**6))
    def test_as_many_as_pay(self, batch_size, row_bytes, n_parameters):
        pieces = pieces_of(batch_size, row_bytes, n_parameters)
        assert 1 <= pieces <= 8
        if pieces > 1:
            assert batch_size >= 128 * pieces
            assert batch_size * row_bytes / pieces >= 64 * n_parameters

    def test_of_dense_rows(self):
        sizes = [64, 255, 256, 512, 4096]
        assert [pieces_of(b, 8 * 100, 101) for b in sizes] == [1, 1, 2, 4, 8]

    def test_not_where_a_gradient_costs_more_than_the_rows(self):
        assert pieces_of(256, 75 * 12, 50_000) == 1

    @pytest.mark.parametrize("last_batch", ["scale", "mean", "drop"])
    def test_are_added_up(self, last_batch):
        """Four pieces a batch, and a short last batch, against the definition of a step."""
        of = problem(REGRESSION, batch_size=600, shuffle="none", last_batch=last_batch)
        state, _, _ = fit(of, REGRESSION)
        *_, (_, _, _, expected) = by_hand(
            REGRESSION.rows.values,
            REGRESSION.y[:, 0],
            [np.arange(1500)] * 3,
            batch_size=600,
            last_batch=last_batch,
        )
        np.testing.assert_allclose(state.params, expected, rtol=1e-12, atol=1e-14)


class TestThreads:
    @pytest.mark.parametrize(
        "data, changes",
        [
            (REGRESSION, {}),
            pytest.param(
                WEIGHTED,
                {
                    "optimizer": Nesterov(0.9),
                    "penalty": L1(0.01),
                    "last_batch": "mean",
                    "average_from": 700,
                },
                marks=pytest.mark.slow,
            ),
            (SPARSE, {"optimizer": Adam()}),
            pytest.param(  # the pieces are those of two targets
                THREE_CLASSES, {"loss": Softmax(), "n_outputs": 3}, marks=pytest.mark.slow
            ),
            pytest.param(  # the pieces are those of ridge
                classes(n=1500, k=2), {"loss": LogLoss()}, marks=pytest.mark.slow
            ),
        ],
        ids=["ridge", "nesterov, weighted, averaged", "csr", "softmax", "logistic"],
    )
    def test_change_no_bit(self, data, changes, monkeypatch):
        of = problem(data, batch_size=640, max_epochs=20, **changes)
        found = []
        for threads in (1, 2, 5):
            monkeypatch.setattr(steps, "threads", lambda threads=threads: threads)
            found.append(fit(of, data))
        alone, *others = found
        for other in others:
            assert same_bits(other[0], alone[0])
            assert other[2] == alone[2]

    def test_helpers_compute_what_is_published(self):
        """A helper alone, before the run is over: all pieces, each in its line."""
        data, k, tile, size = REGRESSION, 1, 16, 6
        params = np.arange(6.0)
        queue, work = new_queue(), np.full((4, piece_room(size, tile, k)), np.nan)
        publish(queue, 4)
        close(queue)
        rows = readonly(np.arange(100, 1500, dtype=np.uint32))
        none = np.zeros(0)
        run_batches(
            Batches(rows, 1400, 600, divide_by_own=False, mean_weight=1.0, rates=np.ones(3)),
            Outputs(k, fit_intercept=True, intercept_factor=1.0, average_from=0),
            Iterate(params, np.zeros((0, size)), none, np.zeros(5), np.zeros(2)),
            compiled_loss(SquaredError()), L2(0.1), SGD(),
            Data(*data.for_kernels), None, None,
            Scratch(tile, none, none, params, work), queue, helping=True,
        )  # fmt: skip
        for piece in range(4):
            of = slice(100 + 150 * piece, 250 + 150 * piece)
            X = np.c_[data.rows.values[of], np.ones(150)]
            error = X @ params - data.y[of, 0]
            np.testing.assert_allclose(work[piece, :size], X.T @ error, rtol=1e-12)
            np.testing.assert_allclose(work[piece, -1], 0.5 * error @ error, rtol=1e-12)

    def test_helpers_take_part(self, monkeypatch):
        """In a run long enough that a second thread gets there in time."""
        monkeypatch.setattr(steps, "threads", lambda: 2)
        helped, launch = [], steps.launch

        def watched(*arguments):
            if arguments[-1] is True:
                helped.append(threading.current_thread().name)
            return launch(*arguments)

        monkeypatch.setattr(steps, "launch", watched)
        fit(problem(REGRESSION, batch_size=256), REGRESSION)
        assert len(helped) == 3  # a run an epoch
        assert all(name.startswith("gradstep-help") for name in helped)
        fit(problem(REGRESSION, batch_size=255), REGRESSION)
        assert len(helped) == 3

    def test_end(self, monkeypatch):
        def refuse(epoch, n):
            if epoch:
                raise RuntimeError(epoch)
            return np.arange(n)

        monkeypatch.setattr(steps, "threads", lambda: 3)
        before = {*threading.enumerate()}
        fit(problem(REGRESSION, batch_size=512), REGRESSION)
        with pytest.raises(RuntimeError):
            fit(problem(REGRESSION, batch_size=512, shuffle=refuse), REGRESSION)
        assert {*threading.enumerate()} <= before  # those of others may have ended
