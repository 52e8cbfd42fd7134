"""What a caller does about overflow in own arithmetic is no matter of gradstep's."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import gradstep
from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.fit.components import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from tests.slow import slow, slow_unless

RNG = np.random.default_rng(8)
# a column of tiny numbers, whose weights are huge, and one of huge ones: their squares underflow
X = RNG.normal(size=(90, 4)) * [1.0, 1e-120, 1e120, 1e3]
Z = X @ [1.0, 1e120, 0.0, 1e-3]
NUMBERS = Z + RNG.normal(size=90)
COUNTS = RNG.poisson(np.exp(0.3 * Z)) + 1.0
TWO = np.where(Z + RNG.logistic(size=90) > 0.0, "yes", "no")
THREE = np.digitize(Z + RNG.logistic(size=90), [-1.0, 1.0])
USUAL = {"squared_error", "log_loss"}
OPTIMIZERS = {
    "auto": {},
    "sgd": {"optimizer": "sgd", "max_iter": 3},
    "adam": {"optimizer": "adam", "max_iter": 3, "penalty": "elasticnet"},
}

every_optimizer = pytest.mark.parametrize("optimizer", slow_unless("adam".__ne__, OPTIMIZERS))


@pytest.fixture(autouse=True)
def _raising():
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def use(est, features, y):
    """Fit, go on, predict far out, judge."""
    est.fit(features, y)
    far = features * 1e4
    names = ("predict", "predict_proba", "predict_log_proba", "decision_function")
    for name in names:
        if hasattr(est, name):
            getattr(est, name)(far)
    est.score(features, y)
    first = {"classes": np.unique(y)} if isinstance(est, MiniBatchClassifier) else {}
    est.partial_fit(features, y, **first)


@every_optimizer
@pytest.mark.parametrize("loss", slow_unless(USUAL.__contains__, REGRESSION_LOSSES))
def test_a_regressor(loss, optimizer):
    y = COUNTS if loss in {"poisson", "gamma", "tweedie"} else NUMBERS
    use(MiniBatchRegressor(loss, **OPTIMIZERS[optimizer]), X, y)


@every_optimizer
@pytest.mark.parametrize("loss", slow_unless(USUAL.__contains__, CLASSIFICATION_LOSSES))
def test_a_classifier(loss, optimizer):
    use(MiniBatchClassifier(loss, **OPTIMIZERS[optimizer]), X, TWO)


@pytest.mark.parametrize("penalty", ["l2", *slow("l1")])
@pytest.mark.parametrize("y", [TWO, *slow(THREE)], ids=["two", "three"])
def test_sparse_rows(y, penalty):
    use(MiniBatchClassifier(penalty=penalty), sp.csr_matrix(X / [1.0, 1.0, 1e120, 1e3]), y)


@pytest.mark.parametrize("y", [NUMBERS, TWO, *slow(COUNTS, THREE.astype(str))])
def test_a_table(y):
    frame = pl.DataFrame({f"x{j}": X[:, j] for j in range(4)} | {"y": y, "w": COUNTS})
    loss = "poisson" if y is COUNTS else None
    model = gradstep.fit_table(frame, "y", loss=loss, sample_weight="w").model
    far = frame.with_columns(x0=pl.col("x0") * 1e6)
    model.predict(far)
    if model.gives_probabilities:
        model.predict_proba(far)
    assert np.isfinite(model.coef_).all()
    gradstep.evaluate(model, frame, sample_weight="w")


def test_what_the_caller_has_set_is_there_afterwards():
    MiniBatchRegressor().fit(X, NUMBERS)
    assert np.geterr()["under"] == "raise"
