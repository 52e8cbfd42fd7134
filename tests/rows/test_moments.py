"""Moments: what follows from them is what NumPy computes from the rows."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.engine.parts import Together
from gradstep.engine.row_sums import HessianOptions, RowSums
from gradstep.objective.regression import SquaredError
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows
from gradstep.rows.moments import Moments
from gradstep.rows.statistics import measure

PARAMS = np.array([0.5, -2.0, 1.0, 3.0])


def rows(n: int, seed: int = 0, far: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3)) + far
    return X, X @ [1.0, 2.0, -1.0] + rng.normal(size=n)


def of(X: np.ndarray, y: np.ndarray) -> Moments:
    return Moments.of(np.column_stack([X, y]).T)


def test_merged_parts_are_the_whole() -> None:
    X, y = rows(50)
    parts = Moments.of_none(4).merged(of(X[:7], y[:7])).merged(of(X[7:], y[7:]))
    whole = of(X, y).merged(Moments.of_none(4))
    np.testing.assert_allclose(parts.mean, np.append(X.mean(axis=0), y.mean()), rtol=1e-13)
    np.testing.assert_allclose(parts.products, whole.products, rtol=1e-12)
    assert parts.weight == 50.0


def test_no_digit_is_lost_far_from_zero() -> None:
    X, y = rows(400, far=1e7)
    parts = of(X[:100], y[:100]).merged(of(X[100:], y[100:]))
    Z = np.column_stack([X, y])
    expected = np.cov(Z.T, bias=True) * 400
    np.testing.assert_allclose(parts.products, expected, rtol=1e-7)


def test_scaled_and_chosen_lines() -> None:
    X, y = rows(60)
    shift, scale = np.array([1.0, 2.0, 3.0, 0.0]), np.array([2.0, 0.5, 4.0, 1.0])
    found = of(X, y).scaled(shift, scale).lines(np.array([2, 0, 3]))
    expected = of(((X - shift[:3]) / scale[:3])[:, [2, 0]], y)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(found.products, expected.products, rtol=1e-12)


def test_least_share_is_what_others_do_not_explain() -> None:
    X, y = rows(80)
    x = X[:, 0] - X[:, 0].mean()
    residual = (y - y.mean()) - x * (x @ (y - y.mean())) / (x @ x)
    expected = (residual @ residual) / ((y - y.mean()) @ (y - y.mean()))
    assert of(X[:, :1], y).least_share == pytest.approx(expected)
    assert of(np.column_stack([X, 2.0 * X[:, 0]]), y).least_share < 1e-12
    assert of(np.column_stack([X, np.ones(80)]), y).least_share == 0.0


@pytest.mark.parametrize("constant", [False, True])
def test_row_sums_follow_from_moments(constant: bool) -> None:
    X, y = rows(3000, far=5.0)
    known = Dataset(DenseRows(X), y[:, None], moments=of(X, y))
    plain = Dataset(DenseRows(X), y[:, None])
    options = HessianOptions(1, np.ones((2, 1)), X.mean(axis=0), np.array([1.0, 2.0, 0.5]))
    params = PARAMS[-1:] if constant else PARAMS
    with RowSums(known, 1) as one, RowSums(plain, 1) as other:
        asked = None if constant else options
        found, expected = (
            sums.evaluate(SquaredError(), params, asked, constant=constant) for sums in (one, other)
        )
        assert one.rows_read == 0
        assert found.loss == pytest.approx(expected.loss, rel=1e-12)
        np.testing.assert_allclose(found.gradient, expected.gradient, rtol=1e-11)
        if not constant:
            assert found.hessian is not None
            np.testing.assert_allclose(found.hessian, expected.hessian, atol=1e-12)
            again = one.hessian(SquaredError(), params, options)
            np.testing.assert_array_equal(again, found.hessian)
            assert one.mean_loss(SquaredError(), params) == found.loss


def test_parts_of_rows_have_no_moments_and_both_together_have() -> None:
    X, y = rows(40)
    data = Dataset(DenseRows(X), y[:, None], moments=of(X, y))
    data = Dataset(data.rows, data.y, columns=measure(data), moments=data.moments)
    assert data.part(0, 10).moments is None
    assert data.select(np.arange(4, dtype=np.uint32)).moments is None
    with Together.of(data, data) as both:
        assert both.moments is not None
        assert both.columns is not None
        assert both.moments.weight == both.columns.weight == 80.0
    with Together.of(data, data.part(0, 10)) as both:
        assert both.moments is None
