"""The last proximal step of an averaged model: exact zeros, never a worse objective."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from gradstep import MiniBatchRegressor
from gradstep.engine.evaluation import mean_loss
from gradstep.engine.textbook.proximal_finish import polish
from gradstep.objective.penalties import L1
from gradstep.rows.dataset import Dataset
from tests.engine.cases import csr, dense, fit, matrix, problem

X = matrix(200, 10)
Y = X[:, 0] - 2.0 * X[:, 1] + 0.5 + 0.3 * np.random.default_rng(5).normal(size=200)
WEIGHT = np.random.default_rng(6).integers(1, 4, 200).astype(float)


def averaged(data):
    of = problem(data, penalty=L1(0.1), average_from=1, max_epochs=5)
    return of, fit(of, data)[0]


def objective(of, data, params):
    return mean_loss(of.loss, data, params, 1) + of.penalty_of(params)


@pytest.mark.parametrize(
    "weight", [None, pytest.param(WEIGHT, marks=pytest.mark.uncompiled)], ids=["", "weighted"]
)
@pytest.mark.parametrize("layout", [dense, csr])
@pytest.mark.parametrize("rate", [1e-3, 0.05, 1.0, 1e3])
def test_never_a_worse_objective(rate, layout, weight):
    data = Dataset(layout(X), Y[:, None], weight)
    of, state = averaged(data)
    before = state.current().copy()
    polished = polish(of, data, before, rate)
    assert objective(of, data, polished) <= objective(of, data, before)
    assert not np.array_equal(polished, before)
    np.testing.assert_array_equal(before, state.current())


def test_is_one_proximal_step_on_all_rows():
    data = Dataset(dense(X), Y[:, None])
    of, state = averaged(data)
    w, b = state.current()[:-1], state.current()[-1]
    error = X @ w + b - Y
    moved = w - 0.05 * X.T @ error / 200
    expected = np.append(np.sign(moved) * np.maximum(np.abs(moved) - 0.05 * 0.1, 0.0),
                         b - 0.05 * error.mean())  # fmt: skip
    np.testing.assert_allclose(
        polish(of, data, state.current(), 0.05), expected, rtol=1e-12, atol=1e-16
    )


def test_an_averaged_model_has_exact_zeros():
    model = MiniBatchRegressor(
        penalty="l1", alpha=0.1, average=True, learning_rate=0.3, max_iter=300, tol=None,
        batch_size=200, shuffle=False,
    ).fit(X, Y, coef_init=np.ones(10))  # fmt: skip
    lasso = Lasso(alpha=0.1).fit(X, Y)
    assert (lasso.coef_ == 0.0).sum() >= 6
    np.testing.assert_array_equal(model.coef_ == 0.0, lasso.coef_ == 0.0)
    assert np.all(model._state.current() != 0.0)  # the average that was polished has none
