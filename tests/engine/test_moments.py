"""Statistics and moments of dense rows in one pass, beside NumPy; and what reads rows after it."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep import MiniBatchRegressor
from gradstep.engine.executor import Threads
from gradstep.engine.moments import measured_with_moments
from gradstep.engine.row_sums import HessianOptions, RowSums
from gradstep.engine.statistics import columns_of
from gradstep.fit import plan
from gradstep.objective.penalties import L2
from gradstep.objective.regression import SquaredError
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows


class Twice(SquaredError):
    """Half the squared distance from twice the target."""

    def value(self, y: float, z: float) -> float:
        return 0.5 * (z - 2.0 * y) ** 2

    def slope(self, y: float, z: float) -> float:
        return z - 2.0 * y


def rows(n=1001, p=5, offset=0.0, dtype=np.float64):
    rng = np.random.default_rng(3)
    X = (rng.normal(size=(n, p)) * np.geomspace(0.1, 10.0, p) + offset).astype(dtype)
    y = X @ np.arange(1.0, p + 1.0) + rng.normal(size=n)
    return Dataset(DenseRows(X), y[:, None]), X.astype(np.float64), y


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_are_those_of_numpy(dtype):
    data, X, y = rows(offset=7.0, dtype=dtype)
    found = measured_with_moments(data)
    both = np.column_stack([X, y])
    np.testing.assert_allclose(found.moments.mean, both.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(
        found.moments.products, np.cov(both.T, bias=True) * len(y), rtol=1e-11, atol=1e-9
    )
    columns, expected = found.columns, columns_of(data)
    for name in ("low", "high"):
        np.testing.assert_array_equal(getattr(columns, name), getattr(expected, name))
    np.testing.assert_allclose(columns.deviation, X.std(axis=0), rtol=1e-13)
    assert columns.weight == found.moments.weight == len(y)


def test_a_column_far_from_zero_keeps_its_digits():
    data, X, _ = rows(offset=1e9)
    found = measured_with_moments(data).columns
    np.testing.assert_allclose(found.deviation, X.std(axis=0), rtol=1e-9)


@pytest.mark.parametrize("odd", [0.0, np.nan])
def test_a_constant_column_has_no_deviation_unless_a_number_in_it_is_missing(odd):
    data, X, _ = rows()
    X[:, 2] = 0.1
    X[700, 2] += odd
    found = measured_with_moments(Dataset(DenseRows(X), data.y)).columns
    assert found.deviation[2] == 0.0 or np.isnan(odd)
    assert np.isnan(found.square[2]) == np.isnan(odd)
    assert found.mean[2] == 0.1 or np.isnan(odd)


def test_no_bit_depends_on_who_sums(monkeypatch):
    data, _, _ = rows(4000)
    cuts = [(at, at + 100) for at in range(0, 4000, 100)]
    monkeypatch.setattr(Dataset, "shards", lambda _: cuts)
    usual = measured_with_moments(data)
    monkeypatch.setattr(Threads, "most_bytes", 1)
    monkeypatch.setattr("gradstep.engine.executor.threads", lambda: 3)
    found = measured_with_moments(data)
    np.testing.assert_array_equal(found.moments.products, usual.moments.products)
    np.testing.assert_array_equal(found.columns.mean, usual.columns.mean)


class TestSums:
    """At a constant all follows from moments; elsewhere the Hessian alone."""

    @pytest.mark.parametrize("weights", [0.0, 0.5])
    def test_are_those_of_a_pass(self, weights):
        data, X, _ = rows()
        params = np.append(np.full(5, weights), 0.3)
        options = HessianOptions(1, np.ones((2, 1)), X.mean(axis=0), 1.0 / X.std(axis=0))
        with RowSums(measured_with_moments(data), 1) as known, RowSums(data, 1) as read:
            found = known.evaluate(SquaredError(), params, options)
            expected = read.evaluate(SquaredError(), params, options)
            assert known.rows_read == (data.n if weights else 0)
        np.testing.assert_allclose(found.hessian, expected.hessian, atol=1e-12)
        np.testing.assert_allclose(found.gradient, expected.gradient, rtol=1e-11)
        assert found.loss == pytest.approx(expected.loss, rel=1e-13)


class TestFits:
    """Fits of so few features take this pass and no other."""

    @pytest.mark.parametrize("penalty", [None, "l1", "l2", "elasticnet"])
    @pytest.mark.parametrize("fit_intercept", [True, False])
    def test_end_where_those_do_that_measure_first(self, penalty, fit_intercept, monkeypatch):
        _, X, y = rows(4000, offset=2.0)
        model = MiniBatchRegressor(
            penalty=penalty, alpha=0.01, fit_intercept=fit_intercept, tol=1e-8
        )
        found = model.fit(X, y).coef_
        passes = model.history_[-1].passes
        monkeypatch.setattr(plan, "with_moments", lambda _settings, _loss, data, _k: data)
        monkeypatch.setattr("gradstep.estimators.plans.with_moments", plan.with_moments)
        np.testing.assert_allclose(found, model.fit(X, y).coef_, rtol=1e-9)
        assert passes < model.history_[-1].passes

    def test_of_weighted_rows_are_those_of_rows_that_often(self):
        _, X, y = rows()
        times = np.random.default_rng(1).integers(0, 4, len(y))
        model = MiniBatchRegressor(penalty="l2", alpha=0.1, penalty_scale="unit", tol=1e-8)
        found = model.fit(X, y, sample_weight=times).coef_
        many = model.fit(np.repeat(X, times, axis=0), np.repeat(y, times)).coef_
        np.testing.assert_allclose(found, many, rtol=1e-11)
        ones = model.fit(X, y, sample_weight=np.ones(len(y))).coef_
        np.testing.assert_array_equal(ones, model.fit(X, y).coef_)

    def test_of_a_loss_that_inherits_are_of_its_own_slopes(self):
        _, X, y = rows()
        found = MiniBatchRegressor(loss=Twice(), penalty=None, tol=1e-8).fit(X, y).coef_
        expected = np.linalg.lstsq(np.column_stack([X, np.ones(len(y))]), 2.0 * y, rcond=None)[0]
        np.testing.assert_allclose(found, expected[:-1], rtol=1e-6)

    def test_of_a_penalty_by_its_name_and_as_an_object_are_the_same(self):
        _, X, y = rows()
        named = MiniBatchRegressor(penalty="l2", alpha=0.1).fit(X, y)
        np.testing.assert_array_equal(
            named.coef_, MiniBatchRegressor(penalty=L2(0.1)).fit(X, y).coef_
        )

    def test_read_no_row_again(self):
        _, X, y = rows(4000)
        y = y / y.std() + np.random.default_rng(0).normal(size=len(y))
        assert MiniBatchRegressor().fit(X, y).history_[-1].passes == 1.0
