"""The settings of SGDRegressor and SGDClassifier, taken over as they are, serve as well."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.preprocessing import StandardScaler

from gradstep import MiniBatchClassifier, MiniBatchRegressor

# Its defaults: the first steps of "optimal" are far too long, and then shrink with 1/t.
CLASSIFIER = {"learning_rate": "optimal", "alpha": 1e-4}
REGRESSOR = {"learning_rate": "invscaling", "eta0": 0.01, "power_t": 0.25}


def made(*, return_X_y):
    assert return_X_y
    return make_classification(300, 20, random_state=0)


def standardised(load):
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def serves_as_well(load, loss, batch_size):
    X, y = standardised(load)
    theirs = SGDClassifier(loss, random_state=0, **CLASSIFIER).fit(X, y)
    ours = MiniBatchClassifier(loss, batch_size=batch_size, **CLASSIFIER).fit(X, y)
    return ours.score(X, y) > theirs.score(X, y) - 0.05


LOSSES = ["log_loss", pytest.param("hinge", marks=pytest.mark.slow)]


@pytest.mark.parametrize("batch_size", [1, 64])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, made])
def test_of_classes(load, loss, batch_size):
    assert serves_as_well(load, loss, batch_size)


@pytest.mark.parametrize("batch_size", [1, 8, 64])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
class TestRawColumns:
    """SGDClassifier's objective goes to a million there, and comes down again."""

    def test_of_classes(self, load, loss, batch_size):
        X, y = load(return_X_y=True)
        model = MiniBatchClassifier(loss, batch_size=batch_size, **CLASSIFIER).fit(X, y)
        assert model.score(X, y) > 0.92

    def test_with_the_penalty_of_scikit_learn(self, load, loss, batch_size):
        """The rule is then theirs; where it ends far out, that is said."""
        X, y = load(return_X_y=True)
        ours, theirs = [], []
        for seed in range(4):
            model = MiniBatchClassifier(
                loss, batch_size=batch_size, penalty_scale="unit", random_state=seed, **CLASSIFIER
            )
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                ours.append(model.fit(X, y).score(X, y))
            if load is load_breast_cancer:
                assert "far above that of the best constant prediction" in str(said[0].message)
                assert said[0].category is ConvergenceWarning
                assert not model.converged_
            theirs.append(
                SGDClassifier(loss, random_state=seed, **CLASSIFIER).fit(X, y).score(X, y)
            )
        few_steps = load is load_iris and batch_size == 64  # three an epoch
        assert np.mean(ours) > np.mean(theirs) - (0.2 if few_steps else 0.1)


def test_of_numbers():
    X, y = standardised(load_diabetes)
    theirs = SGDRegressor(random_state=0, **REGRESSOR).fit(X, y)
    ours = MiniBatchRegressor(batch_size=1, **REGRESSOR).fit(X, y)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), abs=0.02)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=0.02)
