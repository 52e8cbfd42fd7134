"""Sums over rows are NumPy's, for every loss and layout, whoever computes them."""

from __future__ import annotations

import threading
import time
from itertools import product

import numpy as np
import pytest

from gradstep.engine import executor
from gradstep.engine.evaluation import mean_loss
from gradstep.engine.row_sums import HessianOptions, RowSums
from gradstep.objective.classification import OneVsRest, Softmax
from gradstep.objective.losses import slope, value
from gradstep.objective.regression import Poisson, SquaredError
from gradstep.objective.smoothed import Smoothed
from gradstep.rows import shards
from gradstep.rows.dataset import Dataset
from tests.contracts.losses import LOSSES
from tests.engine.cases import csr, dense, matrix
from tests.engine.kernels.sums import (
    EXACT,
    JUMPING,
    ONE_WIDTH,
    ROWS,
    SOME_LOSSES,
    SOME_ROWS,
    WEIGHT,
    WIDTHS,
    P,
    Sum,
    examples,
    on_layouts,
    some_losses,
)
from tests.uncompiled import among, compiled_if, uncompiled


class TestGradient:
    @on_layouts(examples(), ROWS)
    def test_is_that_of_numpy(self, loss, layout):
        of = Sum(loss, layout)
        with of.row_sums() as summed:
            mean, gradient = summed.gradient(loss, of.params)
        assert mean == pytest.approx(of.value(of.params), rel=1e-10)
        expected = of.gradient(of.params)
        np.testing.assert_allclose(
            gradient, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max()
        )

    @on_layouts(examples(), ROWS)
    def test_agrees_with_finite_differences(self, loss, layout):
        of, h = Sum(loss, layout), 1e-5
        with of.row_sums() as summed:
            mean, gradient = summed.gradient(loss, of.params)
            to = np.random.default_rng(0).normal(size=gradient.size)
            up, down = (summed.gradient(loss, of.params + s * to)[0] for s in (h, -h))
        size = np.abs(gradient).max() + abs(mean)
        assert gradient @ to == pytest.approx((up - down) / (2.0 * h), abs=1e-7 * size)

    @pytest.mark.parametrize(
        "layout, loss",
        compiled_if(
            among([("dense", SquaredError()), ("csr", SquaredError())]),
            product(ROWS, SOME_LOSSES),
        ),
        ids=repr,
    )
    def test_without_weights_all_weigh_one(self, loss, layout):
        of = Sum(loss, layout, weighted=False)
        with of.row_sums() as summed:
            mean, gradient = summed.gradient(loss, of.params)
        assert mean == pytest.approx(of.value(of.params), rel=1e-10)
        np.testing.assert_allclose(gradient, of.gradient(of.params), **EXACT)

    @some_losses
    def test_of_part_of_the_rows(self, loss):
        of = Sum(loss)
        part = of.data.select(SOME_ROWS)
        copy = Dataset(dense(of.numbers[SOME_ROWS]), of.y[SOME_ROWS], WEIGHT[SOME_ROWS])
        with of.row_sums(part) as summed, of.row_sums(copy) as expected:
            found = summed.gradient(loss, of.params), expected.gradient(loss, of.params)
        assert found[0][0] == pytest.approx(found[1][0], rel=1e-13)
        np.testing.assert_allclose(found[0][1], found[1][1], **EXACT)
        assert summed.rows_read == SOME_ROWS.size

    @pytest.mark.parametrize("layout", compiled_if({"dense", "table"}.__contains__, ROWS))
    def test_in_shards(self, layout, monkeypatch):
        monkeypatch.setattr(shards, "_SHARD_BYTES", 64)
        of = Sum(SquaredError(), layout)
        monkeypatch.setattr(shards, "_NUMBERS_A_FEATURE", 1)
        assert len(of.data.shards()) > 10
        with of.row_sums() as summed:
            mean, gradient = summed.gradient(of.loss, of.params)
        assert mean == pytest.approx(mean_loss(of.loss, of.data, of.params, of.k), rel=1e-13)
        np.testing.assert_allclose(gradient, of.gradient(of.params), **EXACT)

    @uncompiled
    def test_beyond_the_numbers_it_is_not_finite(self):
        of = Sum(Poisson())
        with of.row_sums() as summed:
            mean, gradient = summed.gradient(of.loss, 1e3 * of.params)
        assert not np.isfinite(mean)
        assert not np.isfinite(gradient).all()


class TestSmoothed:
    """The mean of a loss around a score."""

    WIDTH = 0.6
    SHIFTS = WIDTH * (np.arange(8) - 3.5) / 4.0

    @uncompiled
    @pytest.mark.parametrize("loss", JUMPING, ids=repr)
    def test_is_the_mean_over_shifted_intercepts(self, loss):
        of = Sum(loss)
        if isinstance(loss, OneVsRest):
            smoothed = OneVsRest(Smoothed(loss.loss, self.WIDTH))
        else:
            smoothed = Smoothed(loss, self.WIDTH)
        shifted = [of.params + np.append(np.zeros(of.k * P), np.full(of.k, s)) for s in self.SHIFTS]
        with of.row_sums() as summed:
            mean, gradient = summed.gradient(smoothed, of.params)
        assert mean == pytest.approx(np.mean([of.value(params) for params in shifted]), rel=1e-12)
        np.testing.assert_allclose(
            gradient, np.mean([of.gradient(params) for params in shifted], axis=0), **EXACT
        )

    @pytest.mark.parametrize("loss", [loss for loss in JUMPING if type(loss) in LOSSES], ids=repr)
    def test_an_eighth_of_a_jump_is_left(self, loss):
        smoothed, z = Smoothed(loss, self.WIDTH), np.linspace(-6.0001, 6.0002, 4801)  # no tie
        for y in LOSSES[type(loss)].targets:
            if abs(y) > 5.0:
                continue
            sharp, soft = (np.array([slope(f, y, s) for s in z]) for f in (loss, smoothed))
            assert np.diff(soft).max() <= np.diff(sharp).max() / 8.0 + 1e-12
            assert np.all(np.diff(soft) >= -1e-12)
            integral = np.cumsum(soft[:-1] + soft[1:]) * 0.5 * (z[1] - z[0])
            rise = np.array([value(smoothed, y, s) for s in z[1:]]) - value(smoothed, y, z[0])
            np.testing.assert_allclose(integral, rise, atol=0.01)


class TestSquares:
    @on_layouts(SOME_LOSSES, ["dense", "csr", "table"])
    def test_are_those_of_numpy(self, loss, layout):
        of = Sum(loss, layout)
        with of.row_sums() as summed:
            found = summed.hessian_diagonal(loss, of.params, WIDTHS)
        h = of.second_derivatives(of.params, WIDTHS, of.k) * of.weight[:, None] / of.weight.sum()
        expected = np.append((h.T @ of.numbers**2).ravel(), h.sum(axis=0))
        np.testing.assert_allclose(found, expected, **EXACT)


class TestThreads:
    N, P = 14_000, 64

    @pytest.mark.parametrize(
        "layout, loss",
        [
            ("dense", SquaredError()),
            ("csr", Softmax()),
            pytest.param("dense", Softmax(), marks=pytest.mark.slow),
            pytest.param("csr", SquaredError(), marks=pytest.mark.slow),
        ],
        ids=repr,
    )
    def test_their_number_changes_no_bit(self, layout, loss, monkeypatch):
        k = 3
        X = matrix(self.N, self.P, density=0.7)
        rng = np.random.default_rng(0)
        y = (
            rng.integers(0, 3, (self.N, 1)) * 1.0
            if isinstance(loss, Softmax)
            else rng.normal(size=(self.N, k))
        )
        data = Dataset({"dense": dense, "csr": csr}[layout](X), y, rng.random(self.N))
        params, found = rng.normal(size=k * (self.P + 1)) / 8.0, []
        how = HessianOptions(k, ONE_WIDTH, np.zeros(self.P), np.ones(self.P))
        for threads in (1, 2, 3):
            monkeypatch.setattr(executor, "threads", lambda threads=threads: threads)
            assert len(data.shards()) > 3
            with RowSums(data, k) as summed:
                mean, gradient = summed.gradient(loss, params)
                curvature = summed.hessian(loss, params, how)
                squares = summed.hessian_diagonal(loss, params, ONE_WIDTH)
                both = summed.evaluate(loss, params, how)
                assert summed.rows_read == 4 * self.N
            arrays = np.array([mean]), gradient, curvature, squares, both.gradient, both.hessian
            found.append([array.tobytes() for array in arrays])
        assert found[0] == found[1] == found[2]

    @pytest.mark.parametrize("fails", ["the caller", "another", "both"])
    def test_an_error_of_a_piece_reaches_the_caller_and_ends_the_others(self, fails, monkeypatch):
        monkeypatch.setattr(executor, "threads", lambda: 2)
        caller, met, did = threading.current_thread(), threading.Barrier(2), []

        def work(_shard, piece):
            mine = threading.current_thread() is caller
            if piece < 2:
                met.wait(10.0)  # until each of the two has one
            did.append(piece)
            if fails == "both" or mine == (fails == "the caller"):
                raise ArithmeticError("caller" if mine else "another")
            time.sleep(0.01)

        data = Dataset(dense(matrix(4, 2)), np.zeros((4, 1)))
        expected = "another" if fails == "another" else "caller"
        run = executor.Threads(data)
        with pytest.raises(ArithmeticError, match=expected):
            run.run(work, [[(0, 4)]] * 100, list(range(100)))
        run.close()
        assert len(did) < 10

    def test_an_error_in_one_reaches_the_caller_and_none_is_left(self, monkeypatch):
        monkeypatch.setattr(executor, "threads", lambda: 2)
        data = Dataset(dense(matrix(self.N, self.P)), np.zeros((self.N, 1)))
        with pytest.raises(TypeError), RowSums(data, 1) as summed:
            summed.gradient(object(), np.zeros(self.P + 1))
        assert not [t for t in threading.enumerate() if t.name.startswith("gradstep-sums")]
