"""Sums over rows are NumPy's, for every loss and layout, whoever computes them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pytest

from gradstep.engine import executor
from gradstep.engine.evaluation import mean_loss
from gradstep.engine.kernels.sums import tile_second_derivatives
from gradstep.engine.row_sums import HessianOptions, RowSums
from gradstep.objective.classification import LogLoss, OneVsRest, Softmax
from gradstep.objective.losses import curvature, is_smooth, slope, value
from gradstep.objective.regression import Pinball, Poisson, SquaredError
from gradstep.objective.smoothed import Smoothed
from gradstep.rows import shards
from gradstep.rows.dataset import Dataset
from tests.contracts.losses import JOINT_LOSSES, LOSSES
from tests.contracts.nouns import NOUNS, classes_of
from tests.engine.cases import csr, dense, matrix
from tests.rows.test_table_rows import coded, one_hot
from tests.rows.test_term_rows import matrix as matrix_of_terms
from tests.rows.test_term_rows import terms
from tests.uncompiled import among, compiled_if, uncompiled

N, P = 150, 5  # more rows than fit into one go
ROWS = {
    "dense": dense(matrix(N, P)),
    "float32": dense(matrix(N, P).astype(np.float32)),
    "csr": csr(matrix(N, P, density=0.5)),
    "table": coded(N),
    "terms": terms(N),
}
MATRICES = {
    "dense": matrix(N, P),
    "float32": matrix(N, P).astype(np.float32).astype(np.float64),
    "csr": matrix(N, P, density=0.5),
    "table": one_hot(ROWS["table"]),
    "terms": matrix_of_terms(ROWS["terms"]),
}
WEIGHT = np.random.default_rng(7).integers(1, 5, N).astype(float)
SOME_ROWS = np.random.default_rng(8).integers(0, N, 140).astype(np.uint32)  # some more than once
ONE_WIDTH = np.array([[1e-4], [1.0]])
WIDTHS = np.array([[0.1, 0.2, 0.8, 3.2], [1.0, 1.0, 0.9, 0.3]])
EXACT = {"rtol": 1e-9, "atol": 1e-12}


@dataclass(frozen=True)
class Sum:
    """A loss at random parameters on rows of a layout, and what NumPy makes of it."""

    loss: Any
    layout: str = "dense"
    weighted: bool = True

    @property
    def joint(self):
        return type(self.loss) in JOINT_LOSSES

    @property
    def k(self):
        return 3 if self.joint else 2

    @property
    def numbers(self):
        return MATRICES[self.layout]

    @cached_property
    def y(self):
        targets = np.arange(3.0) if self.joint else np.array(LOSSES[type(self.loss)].targets)
        return np.random.default_rng(3).choice(targets, (N, 1 if self.joint else 2))

    @property
    def weight(self):
        return WEIGHT if self.weighted else np.ones(N)

    @property
    def data(self):
        return Dataset(ROWS[self.layout], self.y, WEIGHT if self.weighted else None)

    @cached_property
    def params(self):
        size = self.k * (self.numbers.shape[1] + 1)
        return np.random.default_rng(4).normal(size=size) * 0.7

    def scores(self, params):
        k, p = self.k, self.numbers.shape[1]
        return self.numbers @ params[: k * p].reshape(k, p).T + params[k * p :]

    def peer(self, which, z):
        """Return scikit-learn's values or slopes of scores (N, k)."""
        if self.joint:
            return JOINT_LOSSES[type(self.loss)].peer(self.loss, self.k)[which](self.y[:, 0], z)
        both = LOSSES[type(self.loss)].peer(self.loss)
        return np.column_stack(
            [both[which](*np.ascontiguousarray([self.y[:, c], z[:, c]])) for c in range(self.k)]
        )

    def value(self, params):
        each = self.peer(0, self.scores(params)).reshape(N, -1).sum(axis=1)
        return np.average(each, weights=self.weight)

    def gradient(self, params):
        slopes = self.peer(1, self.scores(params)) * self.weight[:, None] / self.weight.sum()
        return np.append((slopes.T @ self.numbers).ravel(), slopes.sum(axis=0))

    def curvatures(self, params, widths, pairs):
        """Return the curvatures of each row, (N, pairs): by differences of the peer's slopes."""
        z = self.scores(params)
        found = np.full((N, pairs), 0.0 if pairs == self.k else -np.inf)
        for width, share in widths.T:
            column = 0
            for c in range(self.k):
                step = width * (np.arange(self.k) == c)
                rise = share * (self.peer(1, z + step) - self.peer(1, z - step)) / (2.0 * width)
                for d in [c] if pairs == self.k else range(c + 1):
                    found[:, column] = np.maximum(found[:, column], rise[:, d])
                    column += 1
        return found[:, :pairs]

    @property
    def all_pairs(self):
        return 6 if type(self.loss) is Softmax else self.k

    def row_sums(self, data=None):
        return RowSums(self.data if data is None else data, self.k)


def examples():
    """Return the examples of every class of losses, wherever it is defined."""
    cases = {**LOSSES, **JOINT_LOSSES}
    return [loss for cls in classes_of(NOUNS["loss"]) for loss in cases[cls].losses]


JUMPING = [loss for loss in examples() if not (is_smooth(loss) or curvature(loss))]
SOME_LOSSES = [SquaredError(), Pinball(0.25), Softmax()]
# Each layout is compiled with one loss, dense rows with two.
COMPILED = [
    ("dense", SquaredError()), ("dense", LogLoss()), ("csr", Softmax()), ("table", SquaredError()),
]  # fmt: skip


def on_layouts(losses, layouts):
    """Have losses tested on layouts."""
    cases = compiled_if(among(COMPILED), product(layouts, losses))
    return pytest.mark.parametrize("layout, loss", cases, ids=repr)


some_losses = pytest.mark.parametrize(
    "loss", compiled_if(lambda loss: among(COMPILED)(("dense", loss)), SOME_LOSSES), ids=repr
)
every_loss = pytest.mark.parametrize(
    "loss", compiled_if(lambda loss: among(COMPILED)(("dense", loss)), examples()), ids=repr
)


# --- gradients ----------------------------------------------------------------------------


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


# --- curvatures ---------------------------------------------------------------------------


def standardisation(of):
    """Return a shift and a scale; rows that are not dense are not shifted."""
    rng, p = np.random.default_rng(5), of.numbers.shape[1]
    shift = rng.normal(size=p) if of.layout in {"dense", "float32"} else np.zeros(p)
    return shift, rng.uniform(0.5, 2.0, p)


def through(of, shift, scale):
    return np.column_stack([(of.numbers - shift) * scale, np.ones(N)])


def products(of, h, A, rows=slice(None)):
    """Return Σ weight·h·x·xᵀ / Σ weight for each column of h."""
    share = of.weight[rows] / of.weight[rows].sum()
    h = h[rows] * share[:, None]
    return np.einsum("np,ni,nj->pij", h, A[rows], A[rows], optimize=True)


def bends(of, widths, pairs, shift=None, scale=None):
    p = of.numbers.shape[1]
    shift = np.zeros(p) if shift is None else shift
    return HessianOptions(pairs, widths, shift, np.ones(p) if scale is None else scale)


def curvatures(of, widths, pairs, rows=None, shift=None, scale=None):
    with of.row_sums(None if rows is None else of.data.select(rows)) as summed:
        how = bends(of, widths, pairs, shift, scale)
        return summed.hessian(of.loss, of.params, how)


class TestCurvatures:
    @every_loss
    def test_are_rises_of_the_slope(self, loss):
        of = Sum(loss)
        widths = ONE_WIDTH if is_smooth(loss) else WIDTHS
        shift, scale = standardisation(of)
        found = curvatures(of, widths, of.all_pairs, None, shift, scale)
        h = of.curvatures(of.params, widths, of.all_pairs)
        expected = products(of, h, through(of, shift, scale))
        size = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * size)
        np.testing.assert_array_equal(found, np.transpose(found, (0, 2, 1)))

    @pytest.mark.parametrize(
        "loss",
        compiled_if(
            lambda loss: among(COMPILED)(("dense", loss)), (f for f in examples() if is_smooth(f))
        ),
        ids=repr,
    )
    def test_of_a_smooth_loss_are_second_differences_of_the_value(self, loss):
        of, h, p = Sum(loss), 1e-3, P
        matrices = curvatures(of, ONE_WIDTH, of.all_pairs)
        whole = np.zeros((of.k, p + 1, of.k, p + 1))
        at = [(c, d) for c in range(of.k) for d in range(c + 1) if of.all_pairs > of.k or c == d]
        for (c, d), block in zip(at, matrices, strict=True):
            whole[c, :, d] = whole[d, :, c] = block
        with of.row_sums() as summed:
            for seed in range(3):
                to = np.random.default_rng(seed).normal(size=(of.k, p + 1))
                flat = np.append(to[:, :p].ravel(), to[:, p])
                up, here, down = (
                    summed.gradient(loss, of.params + s * h * flat)[0] for s in (1, 0, -1)
                )
                second = (up - 2.0 * here + down) / h**2
                found = np.einsum("ci,cidj,dj->", to, whole, to)
                assert found == pytest.approx(second, rel=1e-4, abs=1e-8 * abs(here))

    @on_layouts(SOME_LOSSES, ROWS)
    def test_of_every_layout(self, loss, layout):
        of = Sum(loss, layout)
        widths = ONE_WIDTH if is_smooth(loss) else WIDTHS
        shift, scale = standardisation(of)
        found = curvatures(of, widths, of.all_pairs, None, shift, scale)
        h = of.curvatures(of.params, widths, of.all_pairs)
        expected = products(of, h, through(of, shift, scale))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)

    @on_layouts(SOME_LOSSES, ROWS)
    def test_of_a_sample(self, loss, layout):
        of = Sum(loss, layout)
        found = curvatures(of, WIDTHS, of.k, SOME_ROWS)
        h = of.curvatures(of.params, WIDTHS, of.k)
        expected = products(of, h, through(of, 0.0, 1.0), SOME_ROWS)
        np.testing.assert_allclose(found, expected, **EXACT)

    @pytest.mark.parametrize("p", range(14))
    def test_of_any_number_of_features(self, p):
        """The products of dense rows are unrolled: eight at a time, then two, then one."""
        X, y = matrix(N, 14)[:, :p], np.zeros((N, 1))
        with RowSums(Dataset(dense(X), y, WEIGHT), 1) as summed:
            how = HessianOptions(1, np.array([[0.5], [1.0]]), np.zeros(p), np.ones(p))
            (found,) = summed.hessian(SquaredError(), np.zeros(p + 1), how)
        A = np.column_stack([X, np.ones(N)])
        np.testing.assert_allclose(found, (A.T * WEIGHT) @ A / WEIGHT.sum(), **EXACT)

    def test_of_pairs_over_several_widths_stay_in_their_room(self):
        """Uncompiled: compiled code looks at no bounds."""
        k, z = 3, np.array([0.3, -0.2, 0.5])
        out = np.zeros((6, 1))
        order, work = np.zeros(1, np.uint32), np.empty(2 * k)
        tile_second_derivatives(Softmax(), np.zeros((1, 1)), order, 0, 1, k, WIDTHS, z, out, work)
        assert np.isfinite(out).all()
        assert out[0, 0] > 0.0


class TestLook:
    """One look tells what several would."""

    @on_layouts(examples(), ROWS)
    def test_at_all_that_is_to_be_seen(self, loss, layout):
        of = Sum(loss, layout)
        widths = ONE_WIDTH if is_smooth(loss) else WIDTHS
        shift, scale = standardisation(of)
        with of.row_sums() as summed:
            seen = summed.evaluate(loss, of.params, bends(of, widths, of.all_pairs, shift, scale))
            assert summed.rows_read == N
            mean, gradient = summed.gradient(loss, of.params)
        assert seen.loss == pytest.approx(mean, rel=1e-13)
        np.testing.assert_allclose(seen.gradient, gradient, **EXACT)
        alone = curvatures(of, widths, of.all_pairs, None, shift, scale)
        np.testing.assert_allclose(seen.hessian, alone, **EXACT)

    @uncompiled
    @pytest.mark.parametrize("loss", [loss for loss in JUMPING if type(loss) in LOSSES], ids=repr)
    def test_through_several_widths_at_once(self, loss):
        of, near, far = Sum(loss), Smoothed(loss, 0.2), Smoothed(loss, 0.8)
        with of.row_sums() as summed:
            seen = summed.evaluate(near, of.params, bends(of, WIDTHS, of.k), before=far, plain=loss)
            assert summed.rows_read == N
            found = [summed.gradient(each, of.params) for each in (near, far, loss)]
        means = seen.loss, seen.before, seen.plain
        np.testing.assert_allclose(means, [mean for mean, _ in found], rtol=1e-12)
        np.testing.assert_allclose(seen.gradient, found[0][1], **EXACT)
        np.testing.assert_allclose(seen.hessian, curvatures(of, WIDTHS, of.k), **EXACT)


class TestSquares:
    @on_layouts(SOME_LOSSES, ["dense", "csr", "table"])
    def test_are_those_of_numpy(self, loss, layout):
        of = Sum(loss, layout)
        with of.row_sums() as summed:
            found = summed.hessian_diagonal(loss, of.params, WIDTHS)
        h = of.curvatures(of.params, WIDTHS, of.k) * of.weight[:, None] / of.weight.sum()
        expected = np.append((h.T @ of.numbers**2).ravel(), h.sum(axis=0))
        np.testing.assert_allclose(found, expected, **EXACT)


# --- threads ------------------------------------------------------------------------------


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
