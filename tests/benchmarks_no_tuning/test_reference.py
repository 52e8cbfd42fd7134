"""The benchmark's own losses and solver: what everything else is measured against."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, PoissonRegressor, QuantileRegressor

from benchmarks.no_tuning.high_precision import least
from benchmarks.no_tuning.losses import CLASSIFICATION, KINKED, REGRESSION, loss_named, smoothed
from benchmarks.no_tuning.objective import Objective

STEP = 1e-6


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", [*REGRESSION, *CLASSIFICATION])
def test_slopes_agree_with_differences(rng, name):
    z = rng.normal(size=100)
    y = rng.choice([-1.0, 1.0], 100) if name in CLASSIFICATION else rng.exponential(size=100)
    kinds = [loss_named(name)] + ([smoothed(name, None, 0.3)] if name in KINKED else [])
    for loss in kinds:
        difference = (loss.value(y, z + STEP) - loss.value(y, z - STEP)) / (2.0 * STEP)
        np.testing.assert_allclose(loss.slope(y, z), difference, atol=1e-5)


def test_least_is_that_of_exact_solvers(rng):
    X = rng.normal(size=(300, 3)) * [1.0, 10.0, 0.1]
    score = X @ [1.0, 0.1, -5.0]
    label = (score + rng.logistic(size=300) > 0.0).astype(int)
    count = rng.poisson(np.exp(0.5 * score)).astype(float)
    ones = np.ones(3)
    cases = [
        (Objective(X, label, "log_loss", "l2", ones, 2, alpha=0.01),
         LogisticRegression(C=1.0 / 3.0, solver="newton-cholesky", tol=1e-10)),
        (Objective(X, count, "poisson", "l2", ones, alpha=0.01),
         PoissonRegressor(alpha=0.01, solver="newton-cholesky", tol=1e-10)),
        (Objective(X, score + rng.normal(size=300), "pinball", "l1", ones, alpha=0.01),
         QuantileRegressor(alpha=0.01)),
    ]  # fmt: skip
    for objective, model in cases:
        found = least(objective)
        theirs = objective.value_of(model.fit(objective.X, objective.y))
        gap = objective.of_constant - found.value
        assert found.low <= found.value
        assert abs(theirs - found.value) <= 1e-5 * gap
