"""The Hessian of many dense features by products of matrices, beside NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.engine import row_sums, wide_hessian
from gradstep.engine.executor import Threads
from gradstep.engine.row_sums import HessianOptions, RowSums
from gradstep.objective.classification import LogLoss, OneVsRest
from gradstep.objective.regression import SquaredError
from gradstep.rows.dataset import Dataset
from tests.engine.cases import dense, matrix


@pytest.fixture(name="wide")
def all_is_wide(monkeypatch):
    """Let few features count as many, and several parts of rows and columns be made of them."""
    monkeypatch.setattr(row_sums, "is_wide", lambda *_, **__: True)
    monkeypatch.setattr(wide_hessian, "_ROWS", 100)
    monkeypatch.setattr(wide_hessian, "_COLUMNS", 8)
    return monkeypatch


def rows(n=530, p=30, k=1, *, weighted=False):
    X = matrix(n, p) * np.geomspace(0.1, 10.0, p) + 5.0
    rng = np.random.default_rng(1)
    y = np.where(rng.random((n, k)) < 0.5, 1.0, -1.0)
    weight = rng.integers(1, 4, n).astype(float) if weighted else None
    options = HessianOptions(k, np.array([[1e-4], [1.0]]), X.mean(axis=0), 1.0 / X.std(axis=0))
    return Dataset(dense(X), y, weight), X, options


def expected(X, options, h):
    x = np.column_stack([(X - options.shift) * options.scale, np.ones(len(X))])
    return np.stack([(x.T * own) @ x for own in h])


@pytest.mark.usefixtures("wide")
class TestProducts:
    @pytest.mark.parametrize("weighted", [False, True])
    def test_of_least_squares(self, weighted):
        data, X, options = rows(weighted=weighted)
        weight = np.ones(data.n) if data.sample_weight is None else data.sample_weight
        with RowSums(data, 1) as sums:
            found = sums.hessian(SquaredError(), np.zeros(31), options)
            single = sums.hessian(SquaredError(), np.zeros(31), options._replace(single=True))
        exactly = expected(X, options, [weight / weight.sum()])
        np.testing.assert_allclose(found, exactly, atol=1e-12)
        np.testing.assert_array_equal(found, np.transpose(found, (0, 2, 1)))
        np.testing.assert_allclose(single, exactly, atol=1e-5)
        assert np.abs(single - exactly).max() > 1e-9

    @pytest.mark.uncompiled
    def test_of_each_output_beside_losses_and_gradient(self):
        data, X, options = rows(n=230, p=12, k=2, weighted=True)
        loss = OneVsRest(LogLoss())
        params = np.random.default_rng(0).normal(size=26) * 0.1
        with RowSums(data, 2) as sums:
            found = sums.evaluate(loss, params, options)
            plain = sums.evaluate(loss, params)
        chance = 1.0 / (1.0 + np.exp(-(X @ params[:24].reshape(2, 12).T + params[24:])))
        h = (chance * (1.0 - chance)).T * data.sample_weight / data.sample_weight.sum()
        np.testing.assert_allclose(found.hessian, expected(X, options, h), atol=1e-8)
        np.testing.assert_array_equal(found.gradient, plain.gradient)
        assert found.loss == plain.loss


@pytest.mark.parametrize("most_bytes", [1, 1 << 14])
def test_no_bit_depends_on_how_many_parts_are_held_at_once_or_who_makes_them(wide, most_bytes):
    data, _, options = rows(n=4000)
    wide.setattr(Dataset, "shards", lambda self: [(at, at + 50) for at in range(0, self.n, 50)])
    with RowSums(data, 1) as sums:
        usual = sums.hessian(SquaredError(), np.zeros(31), options)
    wide.setattr(Threads, "most_bytes", most_bytes)
    wide.setattr("gradstep.engine.executor.threads", lambda: 3)
    with RowSums(data, 1) as sums:
        found = sums.hessian(SquaredError(), np.zeros(31), options)
    np.testing.assert_array_equal(found, usual)
