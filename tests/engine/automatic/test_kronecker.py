"""The preconditioner of many outputs, beside the Kronecker product that it stands for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradstep.engine.automatic.kronecker import KroneckerPreconditioner
from gradstep.engine.automatic.state import Factors
from gradstep.objective.classification import Softmax


def random_factors(q, k):
    rng = np.random.default_rng(q)
    x, z = rng.normal(size=(50, q)), rng.normal(size=(9, k))
    return Factors(x.T @ x / 50, Softmax().score_hessian(z, None) + 0.01 * np.eye(k))


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_it_solves_with_the_kronecker_product_and_the_ridge(ridge):
    q, k = 5, 4
    factors, gradient = random_factors(q, k), np.random.default_rng(1).normal(size=(k, q))
    of = SimpleNamespace(problem=SimpleNamespace(fit_intercept=True), ridge=np.full(q, ridge))
    whole = np.kron(factors.outputs, factors.features) + ridge * np.eye(q * k)
    expected = -np.linalg.solve(whole, gradient.ravel()).reshape(k, q)
    found = KroneckerPreconditioner(of, factors).direction(gradient)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_step_leads_down_whatever_is_penalised_and_leaves_intercepts_that_are_not_fitted():
    q, k = 5, 4
    factors, gradient = random_factors(q, k), np.random.default_rng(1).normal(size=(k, q))
    gradient[:, -1] = 0.0
    ridge = np.array([1e-6, 10.0, 0.0, 0.3, 0.0])
    of = SimpleNamespace(problem=SimpleNamespace(fit_intercept=False), ridge=ridge)
    step = KroneckerPreconditioner(of, factors).direction(gradient)
    assert (step * gradient).sum() < 0.0
    assert not step[:, -1].any()


def test_scores_that_softmax_does_not_see_and_dependent_columns_do_no_harm():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))[:, [0, 1, 2, 0]]
    outputs = Softmax().score_hessian(rng.normal(size=(9, 3)), rng.random(9))
    of = SimpleNamespace(problem=SimpleNamespace(fit_intercept=True), ridge=np.zeros(4))
    slopes = rng.normal(size=(40, 3))
    slopes -= slopes.mean(axis=1, keepdims=True)
    step = KroneckerPreconditioner(of, Factors(x.T @ x / 40, outputs)).direction(slopes.T @ x)
    assert np.isfinite(step).all()
    assert np.abs(step.sum(axis=0)).max() < 1e-6 * np.abs(step).max()
