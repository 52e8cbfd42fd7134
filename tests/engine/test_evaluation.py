"""Scores and mean loss at fixed parameters."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.engine.evaluation import mean_loss, scores
from gradstep.engine.row_sums import HessianOptions, RowSums
from gradstep.objective.regression import Huber, SquaredError
from gradstep.rows import shards
from gradstep.rows.dataset import Dataset
from tests.engine.cases import csr, dense, matrix, regression

PARAMS = np.linspace(-1.0, 2.0, 2 * 6)  # two outputs of five features


def by_hand(X):
    return X @ PARAMS[:10].reshape(2, 5).T + PARAMS[10:]


@pytest.mark.parametrize("layout", [dense, csr])
class TestScores:
    X = matrix(31, 5, density=0.6)

    def test_equal_numpy(self, layout):
        np.testing.assert_allclose(
            scores(layout(self.X), PARAMS, 2), by_hand(self.X), rtol=1e-12, atol=1e-14
        )

    def test_of_part_of_the_rows(self, layout):
        some = np.array([30, 0, 7, 7], np.uint32)
        whole = scores(layout(self.X), PARAMS, 2)
        np.testing.assert_array_equal(scores(layout(self.X), PARAMS, 2, some), whole[some])

    def test_do_not_depend_on_the_other_rows(self, layout):
        whole = scores(layout(self.X), PARAMS, 2)
        alone = np.concatenate(
            [scores(layout(self.X[i : i + 1]), PARAMS, 2) for i in range(len(self.X))]
        )
        np.testing.assert_array_equal(alone, whole)

    def test_of_no_rows(self, layout):
        assert scores(layout(self.X[:0]), PARAMS, 2).shape == (0, 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layout", [dense, csr])
class TestMeanLoss:
    def data(self, layout, weighted):
        return regression(p=5, k=2, layout=layout, weighted=weighted)

    def by_hand(self, data, rows):
        weight = None if data.sample_weight is None else data.sample_weight[rows]
        error = by_hand(regression(p=5, k=2).rows.values)[rows] - data.y[rows]
        return np.average((0.5 * error**2).sum(axis=1), weights=weight)

    def test_equals_numpy(self, layout, weighted):
        data = self.data(layout, weighted)
        assert mean_loss(SquaredError(), data, PARAMS, 2) == pytest.approx(
            self.by_hand(data, slice(None)), rel=1e-12
        )

    def test_of_part_of_the_rows(self, layout, weighted):
        data, some = self.data(layout, weighted), np.array([3, 50, 7, 1], np.uint32)
        assert mean_loss(SquaredError(), data.select(some), PARAMS, 2) == pytest.approx(
            self.by_hand(data, some), rel=1e-12
        )

    def test_in_shards(self, layout, weighted, monkeypatch):
        data = self.data(layout, weighted)
        whole = mean_loss(SquaredError(), data, PARAMS, 2)
        monkeypatch.setattr(shards, "_SHARD_BYTES", 64)
        monkeypatch.setattr(shards, "_NUMBERS_A_FEATURE", 1)
        assert len(data.shards()) > 8
        assert mean_loss(SquaredError(), data, PARAMS, 2) == pytest.approx(whole, rel=1e-14)


def test_parameters_may_be_read_only():
    data = Dataset(dense(matrix(31, 5)), np.zeros((31, 2)))
    frozen = PARAMS.copy()
    frozen.flags.writeable = False
    assert mean_loss(SquaredError(), data, frozen, 2) == mean_loss(SquaredError(), data, PARAMS, 2)


@pytest.mark.parametrize("with_hessian", [False, True])
def test_sums_of_one_loss_are_not_those_of_the_loss_before(with_hessian):
    """What was compiled for one evaluation is used for the next of the same loss alone."""
    data, p = regression(p=5, k=1), 5
    point = np.linspace(-1.0, 2.0, p + 1)
    z = data.rows.values @ point[:p] + point[p]
    options = HessianOptions(1, np.array([[1e-4], [1.0]]), np.zeros(p), np.ones(p))
    huber, wider = Huber(0.1), Huber(3.0)
    with RowSums(data, 1) as sums:
        for loss in (huber, wider, SquaredError(), huber, huber, SquaredError()):
            found = sums.evaluate(loss, point, options if with_hessian else None)
            each = [loss.value(y, at) for y, at in zip(data.y[:, 0], z, strict=True)]
            assert found.loss == pytest.approx(np.mean(each), rel=1e-12)
            assert (found.hessian is not None) == with_hessian
