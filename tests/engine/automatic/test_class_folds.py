"""Models of parts that are trained together, beside SciPy's minima of each by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize

from gradstep.engine.automatic import class_folds
from gradstep.engine.automatic.class_folds import ClassFolds, class_folds_pay
from gradstep.engine.statistics import columns_of
from gradstep.objective.classification import Hinge, LogLoss, OneVsRest, Softmax
from gradstep.objective.penalties import L1, L2
from gradstep.objective.regression import Poisson
from gradstep.rows.layouts import DenseRows
from tests.engine.automatic.problems import Objective, problem
from tests.engine.cases import classes, csr, dense

ALPHAS = (1.0, 0.03, 0.001, 3.0)  # there, and back past where the path began


def data_of(k, layout=dense, n=83):
    """Return classes with weights, of features that have units of their own."""
    found = classes(n, 4, k, layout=layout, density=None if layout is dense else 0.4)
    return replace(found, sample_weight=np.random.default_rng(5).integers(1, 4, n).astype(float))


def oracle(data, at, alpha, start=None, **changes):
    """Return parameters of the minimum on the rows that are not in a part, from a start."""
    rest = np.setdiff1d(np.arange(data.n), at)
    X = _matrix(data)
    weight = data.sample_weight[rest]
    own = Objective(
        changes["loss"], X[rest], data.y[rest], weight / weight.sum(),
        alpha * data.sample_weight.sum() / weight.sum() * np.ones(4), changes.get("n_outputs", 1),
        changes.get("fit_intercept", True),
    )  # fmt: skip
    options = {"maxiter": 5000, "ftol": 0.0, "gtol": 1e-9}
    start = own.start if start is None else start
    return X, minimize(own, start, jac=True, method="L-BFGS-B", options=options).x


def _matrix(data):
    rows = data.rows
    if isinstance(rows, DenseRows):
        return rows.values
    return sp.csr_matrix((rows.values, rows.columns, rows.starts), (data.n, 4)).toarray()


def loss_of(k, X, y, params):
    """Return the log losses of rows."""
    z = X @ params[: k * 4].reshape(k, 4).T + params[k * 4 :]
    if k == 1:
        return np.logaddexp(0.0, -y * z[:, 0])
    return np.logaddexp.reduce(z, axis=1) - z[np.arange(len(z)), y.astype(int)]


def folds_of(data, parts, **changes):
    columns = columns_of(data)
    first = problem(data, **changes)
    start = np.zeros(first.size)
    return ClassFolds(first, data, columns, parts, start), first


@pytest.mark.parametrize(
    "k, loss, layout, n_parts",
    [
        (2, LogLoss(), dense, 5),
        (2, LogLoss(), csr, 1),
        (3, Softmax(), dense, 1),
        (3, Softmax(), csr, 5),
    ],
)
def test_losses_are_those_of_models_that_have_not_seen_the_rows(
    k, loss, layout, n_parts, monkeypatch
):
    monkeypatch.setattr(class_folds, "_ENOUGH", 1e-10)
    data = data_of(k, layout)
    outputs = 1 if k == 2 else k
    parts = [np.arange(part, data.n, 5).astype(np.uint32) for part in range(n_parts)]
    changes = {"loss": loss, "n_outputs": outputs}
    folds, first = folds_of(data, parts, **changes)
    ends = [None] * n_parts  # of the oracle, where it goes on
    for alpha in ALPHAS:
        total = weight = 0.0
        for part, at in enumerate(parts):
            X, params = oracle(data, at, alpha, ends[part], **changes)
            ends[part], own = params, data.sample_weight[at]
            total += own @ loss_of(outputs, X[at], data.y[at, 0], params)
            weight += own.sum()
        found = folds.loss(replace(first, penalty=L2(alpha)))
        assert found == pytest.approx(total / weight, rel=1e-4)


def test_the_mean_of_the_models_is_near_the_model_of_all_rows():
    data = data_of(2)
    parts = [np.arange(part, data.n, 5).astype(np.uint32) for part in range(5)]
    folds, first = folds_of(data, parts, loss=LogLoss())
    of = replace(first, penalty=L2(0.01))
    folds.loss(of)
    own = Objective.of(data, _matrix(data), loss=LogLoss(), penalty=L2(0.01))
    least, at_start = own.least(), own(own.start)[0]
    assert own(folds.params(of))[0] - least < 0.01 * (at_start - least)


def test_without_an_intercept_to_the_accuracy_of_trials():
    data = data_of(2)
    parts = [np.arange(part, data.n, 5).astype(np.uint32) for part in range(5)]
    changes = {"loss": LogLoss(), "fit_intercept": False}
    folds, first = folds_of(data, parts, **changes)
    total = 0.0
    for at in parts:
        X, params = oracle(data, at, 0.01, **changes)
        total += data.sample_weight[at] @ loss_of(1, X[at], data.y[at, 0], params)
    found = folds.loss(replace(first, penalty=L2(0.01)))
    assert found == pytest.approx(total / data.sample_weight.sum(), rel=5e-3)


def test_separable_classes_and_a_row_far_out_end(monkeypatch):
    """No model runs away, nor is a Hessian of a sample or of the mean enough for each."""
    monkeypatch.setattr(class_folds, "_ROWS", 1)
    data = data_of(2)
    X = _matrix(data).copy()
    X[7] *= 300.0
    data = replace(data, rows=dense(X), y=np.where(X[:, :1] > 0.0, 1.0, -1.0))
    parts = [np.arange(part, data.n, 5).astype(np.uint32) for part in range(5)]
    folds, first = folds_of(data, parts, loss=LogLoss())
    ends = [None] * 5
    for alpha in 10.0 ** -np.arange(7):
        found, total = folds.loss(replace(first, penalty=L2(alpha))), 0.0
        for part, at in enumerate(parts):
            X, ends[part] = oracle(data, at, alpha, ends[part], loss=LogLoss())
            params = ends[part]
            losses = np.minimum(loss_of(1, X[at], data.y[at, 0], params), 52.0 * np.log(2.0))
            total += data.sample_weight[at] @ losses
        assert found == pytest.approx(total / data.sample_weight.sum(), rel=1e-2)


@pytest.mark.parametrize(
    "changes",
    [{"loss": Hinge()}, {"loss": OneVsRest(LogLoss())}, {"loss": Poisson()}, {"penalty": L1(0.1)}],
)
def test_are_for_the_log_loss_and_l2_alone(changes):
    data = data_of(2)
    assert class_folds_pay(problem(data, loss=LogLoss()), data)
    assert not class_folds_pay(problem(data, **{"loss": LogLoss()} | changes), data)
