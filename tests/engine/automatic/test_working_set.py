"""The optimum of l1 and many features: by its own conditions, in float64, and from outside."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit
from sklearn.linear_model import Lasso

from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.engine.automatic import choice, l1_minimum, working_set
from gradstep.engine.automatic.l1_minimum import minimise_with_l1
from gradstep.engine.automatic.preconditioner import Preconditioner
from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.engine.automatic.state import Matrices
from gradstep.engine.statistics import columns_of
from gradstep.objective.penalties import L1
from gradstep.objective.regression import SquaredError
from tests.engine.automatic.problems import problem, sized

N, P = 600, 3000
WORDS = "the optimum of a working set"


def sparse(seed=0, n=N, p=P):
    """Return rows whose features are rarer the higher their number, and scores of ten of them."""
    rng = np.random.default_rng(seed)
    X = sp.random_array((n, p), density=0.01, rng=rng, format="csr", dtype=np.float64)
    common = sp.csr_array(rng.normal(size=(n, 40)) * (rng.random((n, 40)) < 0.5))
    X = sp.csr_array(sp.hstack([common, X[:, 40:]]))
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X, np.asarray(X[:, :10] @ rng.normal(size=10))


def targets(loss, score, rng):
    if loss == "log_loss":
        return (score + rng.logistic(size=score.size) > 0.0).astype(float)
    if loss == "poisson":
        return rng.poisson(np.exp(0.5 * score)).astype(float)
    return score + rng.normal(size=score.size)


def slopes(loss, z, y):
    """Return the derivative of the loss for each score."""
    if loss == "log_loss":
        return expit(z) - y
    if loss == "poisson":
        return np.exp(z) - y
    return np.clip(z - y, -0.1, 0.1) if loss == "huber" else z - y


def fitted(loss, X, y, alpha, **more):
    kind = MiniBatchClassifier if loss == "log_loss" else MiniBatchRegressor
    asked = {"penalty": "l1", "alpha": alpha, "penalty_scale": "unit", "tol": 1e-9} | more
    return kind(loss=loss, **asked).fit(X, y)


@pytest.mark.parametrize("layout", ["sparse", "dense"])
@pytest.mark.parametrize("loss, alpha, ratio", [
    ("squared_error", 0.03, 1.0), ("squared_error", 0.05, 0.6), ("log_loss", 0.01, 1.0),
    pytest.param("poisson", 0.03, 1.0, marks=pytest.mark.slow),
    pytest.param("huber", 0.003, 1.0, marks=pytest.mark.slow),
])  # fmt: skip
def test_zero_lies_in_the_subgradient(loss, alpha, ratio, layout):
    X, score = sparse()
    y = targets(loss, score, np.random.default_rng(1))
    X = X if layout == "sparse" else X.toarray() + np.linspace(0.0, 5.0, P)
    more = {} if ratio == 1.0 else {"penalty": "elasticnet", "l1_ratio": ratio}
    model = fitted(loss, X, y, alpha, **more)
    assert model.history_[0].step.startswith(WORDS)
    assert model.converged_
    coef, intercept = model.coef_.ravel(), float(np.ravel(model.intercept_)[0])
    each = slopes(loss, X @ coef + intercept, y)
    gradient = X.T @ each / N + (1.0 - ratio) * alpha * coef
    l1 = ratio * alpha
    assert 5 < np.count_nonzero(coef) < 400
    assert abs(each.mean()) < 1e-6
    there = coef != 0.0
    np.testing.assert_allclose(gradient[there], -l1 * np.sign(coef[there]), atol=2e-6)
    assert np.abs(gradient[~there]).max() <= l1 + 2e-6


def test_is_that_of_scikit_learn_with_weights_and_single_precision():
    X, score = sparse(3)
    rng = np.random.default_rng(2)
    y, weight = score + rng.normal(size=N), rng.uniform(0.1, 3.0, N)
    expected = Lasso(alpha=0.03, tol=1e-12, max_iter=100_000).fit(X, y, sample_weight=weight)
    model = MiniBatchRegressor(penalty="l1", alpha=0.03, penalty_scale="unit", tol=1e-9)
    model.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-7)
    single = MiniBatchRegressor(penalty="l1", alpha=0.03, penalty_scale="unit", tol=1e-6)
    single.fit(X.astype(np.float32), y, sample_weight=weight)
    np.testing.assert_allclose(single.coef_, expected.coef_, atol=1e-5)


def test_sets_that_grow_come_to_the_same(monkeypatch):
    """However few features are added at a time."""
    X, score = sparse(4)
    y = targets("log_loss", score, np.random.default_rng(3))
    expected = fitted("log_loss", X, y, 0.01)
    monkeypatch.setattr(working_set, "_FEWEST_ADDED", 3)
    model = fitted("log_loss", X, y, 0.01)
    assert model.n_iter_ > expected.n_iter_
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)
    losses = [record.loss for record in model.history_]
    assert losses == sorted(losses, reverse=True)


def test_without_room_mini_batches_go_on(monkeypatch):
    X, score = sparse(5)
    y = targets("log_loss", score, np.random.default_rng(4))
    monkeypatch.setattr(choice, "_MOST_SPARSE", 30)
    model = fitted("log_loss", X, y, 0.003, tol=1e-6)
    steps = [record.step for record in model.history_]
    assert steps[0].startswith(WORDS)
    assert steps[-1] == "variance-reduced steps"
    losses = [record.loss for record in model.history_]
    assert losses == sorted(losses, reverse=True)
    monkeypatch.undo()
    expected = fitted("log_loss", X, y, 0.003)
    assert losses[-1] == pytest.approx(expected.history_[-1].loss, rel=1e-5)


def test_where_all_stay_zero_it_ends_at_the_best_constant():
    X, score = sparse(6)
    y = targets("log_loss", score, np.random.default_rng(5))
    model = fitted("log_loss", X, y, 1.0)
    assert not model.coef_.any()
    assert model.intercept_[0] == pytest.approx(np.log(y.mean() / (1.0 - y.mean())))
    assert model.n_iter_ == 1


def test_copies_of_columns_do_no_harm():
    """Their optimum is not unique; its value is."""
    X, score = sparse(7)
    y = targets("squared_error", score, np.random.default_rng(6))
    once = fitted("squared_error", X, y, 0.03)
    twice = fitted("squared_error", sp.csr_array(sp.hstack([X, X[:, :20]])), y, 0.03)
    assert twice.converged_
    assert twice.history_[-1].loss == pytest.approx(once.history_[-1].loss, rel=1e-9)


@pytest.mark.parametrize(
    "q, correlated, many",
    [
        (400, False, 1024),
        (400, True, 1024),
        (400, True, 384),
        (700, False, 1024),
        (1100, False, 1024),
    ],
)
def test_the_minimum_of_a_large_quadratic(q, correlated, many, monkeypatch):
    """By its subgradient, where a set is so large that LAPACK or conjugate gradients solve it."""
    monkeypatch.setattr(l1_minimum, "_MANY", many)
    swept, descend = [], l1_minimum.descend
    monkeypatch.setattr(l1_minimum, "descend", lambda *a: swept.append(1) or descend(*a))
    rng = np.random.default_rng(q)
    A = rng.normal(size=(3 * q, q)) + (2.0 * rng.normal(size=(3 * q, 1)) if correlated else 0.0)
    matrix = A.T @ A
    own = np.sqrt(np.diag(matrix))
    matrix = matrix / np.outer(own, own)
    ridge, l1 = np.full(q, 1e-4), np.append(rng.uniform(0.0, 0.4, q - 1), 0.0)
    g, x = rng.normal(size=q), np.zeros(q)
    assert minimise_with_l1(matrix, g, x, l1, ridge)
    slope = g + matrix @ x + ridge * x
    assert 0 < np.count_nonzero(x) < q
    assert bool(swept) == (correlated or q < many)  # else sets of active coordinates settle
    np.testing.assert_allclose(slope[x != 0.0], -(l1 * np.sign(x))[x != 0.0], atol=1e-8)
    assert (np.abs(slope) <= l1 + 1e-8)[x == 0.0].all()


@pytest.mark.parametrize("start", ["zero", "the minimum", "anywhere"])
@pytest.mark.parametrize("empty", [False, True], ids=["", "a column of zeros"])
def test_sets_of_active_coordinates_come_to_the_minimum_of_sweeps(start, empty, monkeypatch):
    rng = np.random.default_rng(3)
    q = 400
    A = rng.normal(size=(4 * q, q))
    A[:, 7] *= not empty
    own = np.sqrt((A * A).sum(axis=0))
    A /= np.where(own > 0.0, own, 1.0)
    matrix, g = A.T @ A, rng.normal(size=q) * (own > 0.0)
    ridge, l1 = np.zeros(q), np.append(rng.uniform(0.0, 0.4, q - 1), 0.0)
    expected = np.zeros(q)
    assert minimise_with_l1(matrix, g, expected, l1, ridge)
    monkeypatch.setattr(l1_minimum, "_MANY", 384)
    monkeypatch.setattr(l1_minimum, "descend", lambda *_: pytest.fail("a sweep"))
    x = {"zero": np.zeros(q), "the minimum": expected.copy(), "anywhere": rng.normal(size=q)}[start]
    x[7] *= not empty
    assert minimise_with_l1(matrix, g, x, l1, ridge)
    np.testing.assert_allclose(x, expected, rtol=1e-8, atol=1e-10)


def test_sets_that_do_not_settle_leave_the_start_to_sweeps(monkeypatch):
    rng = np.random.default_rng(4)
    q = 400
    A = rng.normal(size=(2 * q, q)) + 3.0 * rng.normal(size=(2 * q, 4)) @ rng.normal(size=(4, q))
    A /= np.sqrt((A * A).sum(axis=0))
    matrix, g, l1 = A.T @ A, rng.normal(size=q), rng.uniform(0.1, 0.4, q)
    found, starts, descend = [], [], l1_minimum.descend

    def sweep(matrix, g, x, *rest):
        starts.append(x.copy())
        return descend(matrix, g, x, *rest)

    monkeypatch.setattr(l1_minimum, "descend", sweep)
    for many in (384, 1024):
        monkeypatch.setattr(l1_minimum, "_MANY", many)
        x = np.full(q, 0.1)
        minimise_with_l1(matrix, g, x, l1, np.full(q, 1e-6))
        found.append(x)
    assert (starts[0] == 0.1).all()
    np.testing.assert_array_equal(*found)


def test_with_as_many_coefficients_as_rows_it_ends_no_worse_than_before():
    """The quadratic of a set is singular, to rounding: what is found counts, and all is said."""
    X, score = sparse(8, n=120)
    y = targets("squared_error", score, np.random.default_rng(7))
    model = fitted("squared_error", X, y, 1e-4, tol=1e-3, max_iter=20)
    losses = [record.loss for record in model.history_]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.02 * y.var()
    lasso = Lasso(alpha=1e-4, tol=1e-10, max_iter=20_000).fit(X, y)
    at = 0.5 * np.mean((y - lasso.predict(X)) ** 2) + 1e-4 * np.abs(lasso.coef_).sum()
    assert losses[-1] == pytest.approx(at, rel=0.02)


def test_what_comes_back_to_zero_is_zero():
    """And not the rounding error of a step that leads there."""
    data, _ = sized("newton", SquaredError())
    columns = columns_of(data)
    of = ScaledProblem(problem(data, penalty=L1(100.0)), data, columns)
    A = np.random.default_rng(0).normal(size=(50, of.q))
    model = Preconditioner(of, Matrices((A.T @ A / 50)[None], np.zeros(of.q), whole=True))
    for at in np.random.default_rng(1).normal(size=(100, 1, of.q)):
        step, solved = model.step_to_minimum(np.zeros((1, of.q)), at)
        assert solved
        assert not (at + step)[0, :-1].any()
