"""Sums of second derivatives are NumPy's, alone and with losses and gradients."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from gradstep.engine import row_tasks
from gradstep.engine.kernels.compiled_losses import CompiledLoss, tile_second_derivatives
from gradstep.engine.row_sums import HessianOptions, RowSums
from gradstep.objective.classification import Softmax
from gradstep.objective.losses import is_smooth
from gradstep.objective.regression import SquaredError
from gradstep.objective.smoothed import Smoothed
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import TableRows
from tests.contracts.losses import LOSSES
from tests.engine.cases import csr, dense, matrix
from tests.engine.kernels.sums import (
    COMPILED,
    EXACT,
    JUMPING,
    ONE_WIDTH,
    ROWS,
    SOME_LOSSES,
    SOME_ROWS,
    WEIGHT,
    WIDTHS,
    N,
    P,
    Sum,
    every_loss,
    examples,
    on_layouts,
)
from tests.uncompiled import among, compiled_if, uncompiled


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


def options(of, widths, pairs, shift=None, scale=None):
    p = of.numbers.shape[1]
    shift = np.zeros(p) if shift is None else shift
    return HessianOptions(pairs, widths, shift, np.ones(p) if scale is None else scale)


def hessian(of, widths, pairs, rows=None, shift=None, scale=None):
    with of.row_sums(None if rows is None else of.data.select(rows)) as summed:
        asked = options(of, widths, pairs, shift, scale)
        return summed.hessian(of.loss, of.params, asked)


def test_sparse_rows_may_have_their_columns_in_any_order():
    """Only the lower triangle is summed: an element above it would be lost."""
    rng, X = np.random.default_rng(3), matrix(40, 7, density=0.6)
    rows = csr(X)
    values, columns = rows.values.copy(), rows.columns.copy()
    for first, end in pairwise(rows.starts[:30]):  # the others stay as they are
        order = first + rng.permutation(end - first)
        values[first:end], columns[first:end] = rows.values[order], rows.columns[order]
    assert (columns != rows.columns).any()
    asked = HessianOptions(1, ONE_WIDTH, np.zeros(7), np.ones(7))
    A = np.column_stack([X, np.ones(40)])
    for layout in (rows, rows._replace(values=values, columns=columns)):
        with RowSums(Dataset(layout, np.zeros((40, 1))), 1) as sums:
            found = sums.hessian(SquaredError(), np.zeros(8), asked)[0]
        np.testing.assert_allclose(found, A.T @ A / 40, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("score", [0.0, -2.5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layout", ["csr", "table", "float32", "some of a table"])
def test_of_least_squares_where_all_rows_have_one_score(layout, weighted, score, monkeypatch):
    """Whose scores are not computed; the losses and the gradient are those of a pass."""
    rng, n = np.random.default_rng(8), 300
    X = matrix(n, 7, density=0.6)
    rows, index = csr(X), None
    if layout != "csr":
        codes = rng.integers(0, 4, n)
        values = rng.normal(size=(n, 3)).astype(np.float32 if layout == "float32" else np.float64)
        X = np.column_stack([values, np.eye(4)[codes]])
        rows = TableRows(values, (3 + codes[:, None]).astype(np.int32), 7)
        index = np.arange(0, n, 3, dtype=np.uint32) if layout[0] == "s" else None
    y = rng.normal(5.0, 2.0, n)
    weight = rng.uniform(0.1, 2.0, n) if weighted else np.ones(n)
    data = Dataset(rows, y[:, None], weight if weighted else None, index)
    asked = HessianOptions(1, ONE_WIDTH, np.zeros(7), np.ones(7))
    called, kernel = [], row_tasks.sum_at_score
    monkeypatch.setattr(row_tasks, "sum_at_score", lambda *a: (called.append(1), kernel(*a)))
    with RowSums(data, 1) as sums:
        found = sums.evaluate(SquaredError(), np.append(np.zeros(7), score), asked)
        assert called == [1]
        again = sums.evaluate(SquaredError(), np.append(np.full(7, 1e-300), score), asked)
    assert called == [1]
    at = slice(None) if index is None else index
    A, off, share = np.column_stack([X, np.ones(n)])[at], (score - y)[at], weight[at]
    share = share / share.sum()
    assert found.loss == pytest.approx(0.5 * share @ off**2, rel=1e-13)
    np.testing.assert_allclose(found.gradient, A.T @ (share * off), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.hessian[0], (A.T * share) @ A, rtol=1e-13, atol=1e-15)
    for own, theirs in zip(found, again, strict=True):  # the point is the same, and not seen to be
        np.testing.assert_allclose(own, theirs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("columns", [0, 1, 3, 4, 5, 8, 9, 14])
@pytest.mark.parametrize("gone, shuffled", [(0.0, False), (0.1, False), (0.0, True), (0.3, True)])
def test_rows_of_a_table_may_have_any_columns(columns, gone, shuffled):
    """Four lines are added to at once where all codes are there and ascend, else one."""
    rng, n, numbers, levels = np.random.default_rng([columns, int(10 * gone)]), 90, 3, 4
    p = numbers + columns * levels
    codes = numbers + levels * np.arange(columns) + rng.integers(0, levels, (n, columns))
    codes[rng.random((n, columns)) < gone] = -1
    if shuffled:
        codes[: n // 2] = rng.permuted(codes[: n // 2], axis=1)
    rows = TableRows(rng.normal(size=(n, numbers)), codes.astype(np.int32), p)
    one_hot = (codes[:, :, None] == np.arange(p)).any(axis=1).astype(float)
    one_hot[:, :numbers] = rows.values
    A, weight = np.column_stack([one_hot, np.ones(n)]), rng.uniform(0.1, 2.0, n)
    asked = HessianOptions(1, ONE_WIDTH, np.zeros(p), np.ones(p))
    with RowSums(Dataset(rows, np.zeros((n, 1)), weight), 1) as sums:
        found = sums.hessian(SquaredError(), np.zeros(p + 1), asked)[0]
    expected = (A.T * (weight / weight.sum())) @ A
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


class TestHessian:
    @every_loss
    def test_are_rises_of_the_slope(self, loss):
        of = Sum(loss)
        widths = ONE_WIDTH if is_smooth(loss) else WIDTHS
        shift, scale = standardisation(of)
        found = hessian(of, widths, of.all_pairs, None, shift, scale)
        h = of.second_derivatives(of.params, widths, of.all_pairs)
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
        matrices = hessian(of, ONE_WIDTH, of.all_pairs)
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
        found = hessian(of, widths, of.all_pairs, None, shift, scale)
        h = of.second_derivatives(of.params, widths, of.all_pairs)
        expected = products(of, h, through(of, shift, scale))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)

    @on_layouts(SOME_LOSSES, ROWS)
    def test_of_a_sample(self, loss, layout):
        of = Sum(loss, layout)
        found = hessian(of, WIDTHS, of.k, SOME_ROWS)
        h = of.second_derivatives(of.params, WIDTHS, of.k)
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
        loss, order = CompiledLoss(1, 1, 1, 1, Softmax()), np.zeros(1, np.uint32)
        rows = np.zeros((1, 1)), np.empty(0), order, 0, 1
        tile_second_derivatives(loss, *rows, k, WIDTHS, z, out, np.zeros(k), np.empty(2 * k))
        assert np.isfinite(out).all()
        assert out[0, 0] > 0.0


class TestEvaluation:
    """One pass tells what several would."""

    @on_layouts(examples(), ROWS)
    def test_of_all_that_is_asked_for(self, loss, layout):
        of = Sum(loss, layout)
        widths = ONE_WIDTH if is_smooth(loss) else WIDTHS
        shift, scale = standardisation(of)
        with of.row_sums() as summed:
            seen = summed.evaluate(loss, of.params, options(of, widths, of.all_pairs, shift, scale))
            assert summed.rows_read == N
            mean, gradient = summed.gradient(loss, of.params)
        assert seen.loss == pytest.approx(mean, rel=1e-13)
        np.testing.assert_allclose(seen.gradient, gradient, **EXACT)
        alone = hessian(of, widths, of.all_pairs, None, shift, scale)
        np.testing.assert_allclose(seen.hessian, alone, **EXACT)

    @uncompiled
    @pytest.mark.parametrize("loss", [loss for loss in JUMPING if type(loss) in LOSSES], ids=repr)
    def test_through_several_widths_at_once(self, loss):
        of, near, far = Sum(loss), Smoothed(loss, 0.2), Smoothed(loss, 0.8)
        with of.row_sums() as summed:
            seen = summed.evaluate(
                near, of.params, options(of, WIDTHS, of.k), before=far, plain=loss
            )
            assert summed.rows_read == N
            found = [summed.gradient(each, of.params) for each in (near, far, loss)]
        means = seen.loss, seen.before, seen.plain
        np.testing.assert_allclose(means, [mean for mean, _ in found], rtol=1e-12)
        np.testing.assert_allclose(seen.gradient, found[0][1], **EXACT)
        np.testing.assert_allclose(seen.hessian, hessian(of, WIDTHS, of.k), **EXACT)
