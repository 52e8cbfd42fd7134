"""Bounds of coefficients: the optimum within them, from public estimators."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear, minimize
from scipy.sparse import csr_array

from gradstep import InvalidParameter, MiniBatchClassifier, MiniBatchRegressor
from gradstep.fit.identity import _text
from tests.uncompiled import uncompiled

RNG = np.random.default_rng(0)
N, P = 300, 6
X = RNG.normal(size=(N, P)) @ RNG.normal(size=(P, P)) * np.exp(RNG.normal(size=P))
W = np.array([1.0, -2.0, 0.0, 3.0, -0.5, 0.2])
Y = X @ W + 5.0 + RNG.normal(size=N)
LOW = np.array([0.0, 0.0, -np.inf, -np.inf, -1.0, 0.0])
HIGH = np.array([np.inf, np.inf, np.inf, 2.0, np.inf, 0.1])
FREE = (np.append(LOW, -np.inf), np.append(HIGH, np.inf))
CLOSE = {"penalty_scale": "unit", "tol": 1e-10}

pytestmark = uncompiled


def test_least_squares_are_those_of_scipy():
    weight = RNG.uniform(0.5, 2.0, N)
    model = MiniBatchRegressor(penalty=None, bounds=(LOW, HIGH), **CLOSE).fit(
        X, Y, sample_weight=weight
    )
    root = np.sqrt(weight)
    rows = np.column_stack([X, np.ones(N)]) * root[:, None]
    theirs = lsq_linear(rows, Y * root, FREE, method="bvls", tol=1e-14).x
    np.testing.assert_allclose(model.coef_, theirs[:-1], rtol=1e-9, atol=1e-10)
    assert model.coef_[1] == 0.0
    assert model.coef_[3] == 2.0
    assert model.coef_[5] == 0.1


def test_bounds_that_hold_no_coefficient_change_nothing():
    free = MiniBatchRegressor(penalty=None, **CLOSE).fit(X, Y)
    wide = MiniBatchRegressor(penalty=None, bounds=(-50.0, 50.0), **CLOSE).fit(X, Y)
    np.testing.assert_allclose(wide.coef_, free.coef_, rtol=1e-9)


@pytest.mark.parametrize("seed", [0, 1])
def test_log_loss_is_that_of_l_bfgs_b(seed):
    z = np.random.default_rng(seed).random(N) < 1.0 / (1.0 + np.exp(-X @ W / 4.0))

    def objective(params):
        score = X @ params[:-1] + params[-1]
        error = 1.0 / (1.0 + np.exp(-score)) - z
        value = np.mean(np.logaddexp(0.0, score) - z * score) + 0.005 * params[:-1] @ params[:-1]
        return value, np.append(X.T @ error / N + 0.01 * params[:-1], error.mean())

    model = MiniBatchClassifier(alpha=0.01, bounds=(LOW, HIGH), **CLOSE).fit(X, z)
    theirs = minimize(
        objective, np.clip(np.zeros(P + 1), *FREE), jac=True, method="L-BFGS-B",
        bounds=list(zip(*FREE, strict=True)), options={"ftol": 1e-15, "gtol": 1e-10},
    )  # fmt: skip
    ours = objective(np.append(model.coef_[0], model.intercept_))[0]
    assert ours <= theirs.fun + 1e-12
    assert (model.coef_[0] >= LOW).all()
    assert (model.coef_[0] <= HIGH).all()


def test_with_l1_no_feasible_neighbour_is_better():
    model = MiniBatchRegressor(penalty="l1", alpha=0.3, bounds=(LOW, HIGH), **CLOSE).fit(X, Y)

    def objective(coef):
        error = Y - X @ coef
        return 0.5 * (error - error.mean()) @ (error - error.mean()) / N + 0.3 * np.abs(coef).sum()

    best = objective(model.coef_)
    for j in range(P):
        for step in (-1e-3, 1e-3):
            moved = model.coef_.copy()
            moved[j] = np.clip(moved[j] + step, LOW[j], HIGH[j])
            assert objective(moved) >= best


@pytest.mark.parametrize("loss", ["huber", "pinball"])
def test_losses_of_other_kinds_keep_to_them(loss):
    coef = MiniBatchRegressor(loss, bounds=(0.0, np.inf)).fit(X, Y).coef_
    assert coef.min() == 0.0
    assert coef.max() > 0.5


@pytest.mark.parametrize("bounds, words", [
    (3, "must be"), ((1.0, 0.0), "above the high one"), ((np.nan, 1.0), "no bound"),
    ((0.0, [1.0, 2.0]), "array of 6 numbers"), ((np.inf, np.inf), "no bound"),
])  # fmt: skip
def test_what_are_no_bounds_is_refused(bounds, words):
    with pytest.raises(InvalidParameter, match=words):
        MiniBatchRegressor(bounds=bounds).fit(X, Y)


@pytest.mark.parametrize("fit, words", [
    (lambda: MiniBatchRegressor(bounds=(0, 1), optimizer="sgd").fit(X, np.stack([Y, Y], 1)),
     "2 outputs"),
    (lambda: MiniBatchRegressor(bounds=(0, 1)).fit(X, np.stack([Y, Y], 1)), "2 outputs"),
    (lambda: MiniBatchClassifier(bounds=(0, 1)).fit(X, np.digitize(Y, [0, 9])), "3 outputs or"),
    (lambda: MiniBatchRegressor(bounds=(0, 1)).fit(np.zeros((2, 3000)), Y[:2]), "too many"),
])  # fmt: skip
def test_where_they_cannot_be_kept_they_are_refused(fit, words):
    with pytest.raises(InvalidParameter, match=words):
        fit()


def test_full_batches_of_standardised_steps_come_to_the_same():
    asked = {"penalty": None, "bounds": (LOW, HIGH), "penalty_scale": "unit"}
    best = MiniBatchRegressor(tol=1e-10, **asked).fit(X[:40], Y[:40])
    model = MiniBatchRegressor(
        optimizer="momentum", batch_size=40, learning_rate=0.3, precondition=True, max_iter=200,
        tol=None, **asked,
    ).fit(X[:40], Y[:40])  # fmt: skip
    np.testing.assert_allclose(model.coef_, best.coef_, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(model.coef_ == 0.0, best.coef_ == 0.0)
    assert model.intercept_ == pytest.approx(best.intercept_, rel=1e-3)


class Watch:
    """Keeps the coefficients of each epoch."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, event):
        self.seen.append(event.state.current()[:P])


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_mini_batches_keep_to_them_in_every_epoch(optimizer, average):
    watch = Watch()
    model = MiniBatchRegressor(
        optimizer=optimizer, penalty="l1", alpha=0.1, bounds=(LOW + 0.1, HIGH + 0.3), max_iter=5,
        tol=None, average=average, callbacks=[watch],
    ).fit(X, Y)  # fmt: skip
    seen = np.array([*watch.seen, model.coef_])
    assert (seen >= LOW + 0.1).all()
    assert (seen <= HIGH + 0.3).all()
    free = MiniBatchRegressor(optimizer=optimizer, max_iter=5, tol=None).fit(X, Y)
    assert ((free.coef_ < LOW + 0.1) | (free.coef_ > HIGH + 0.3)).any()


def test_parts_of_a_stream_keep_to_them():
    model = MiniBatchRegressor(bounds=(0.1, np.inf))
    for rows in np.array_split(np.arange(N), 5):
        model.partial_fit(X[rows], Y[rows])
        assert model.coef_.min() >= 0.1


def test_steps_that_touch_a_batch_alone_keep_to_them():
    """Sparse rows of many features, most of which no batch has."""
    wide = csr_array(np.pad(X, ((0, 0), (0, 500))))
    model = MiniBatchRegressor(
        optimizer="sgd", learning_rate=1e-3, bounds=(0.25, 1.0), max_iter=2, tol=None
    ).fit(wide, Y)
    assert model.coef_.min() == 0.25
    assert (model.coef_[P:] == 0.25).all()


def test_there_are_no_standard_errors():
    model = MiniBatchRegressor(penalty=None, bounds=(LOW, HIGH)).fit(X, Y)
    with pytest.raises(InvalidParameter, match="bounds, and their distribution is not normal"):
        model.inference(X, Y)


def test_a_start_outside_is_brought_within():
    model = MiniBatchRegressor(bounds=(0.0, np.inf), max_iter=1, tol=None)
    model.fit(X, Y, coef_init=-np.ones(P))
    assert model.coef_.min() >= 0.0


def test_a_target_far_from_zero_leaves_no_coefficient_at_its_bound():
    far = MiniBatchRegressor(penalty=None, bounds=(0.0, np.inf), **CLOSE).fit(X, Y / 1e4 + 1e9)
    near = MiniBatchRegressor(penalty=None, bounds=(0.0, np.inf), **CLOSE).fit(X, Y / 1e4)
    np.testing.assert_allclose(far.coef_, near.coef_, rtol=0.1)


def test_a_start_brought_within_keeps_the_mean_score():
    counts = np.random.default_rng(5).poisson(3.0, N)
    bounds = (np.full(P, 1.0) / X.std(axis=0), np.inf)
    model = MiniBatchRegressor("poisson", penalty=None, bounds=bounds)
    model.fit(X + 2000.0 * X.std(axis=0), counts)
    assert np.isfinite(model.intercept_)
    np.testing.assert_array_less(bounds[0] * (1.0 - 1e-15), model.coef_)


def test_steps_leave_no_bound_of_a_constant_column_out():
    constant = np.hstack([np.full((N, 1), 7.0), X])
    bounds = (np.append(1.0, np.full(P, -np.inf)), None)
    model = MiniBatchRegressor(optimizer="sgd", bounds=bounds, max_iter=2, tol=None)
    assert model.fit(constant, Y).coef_[0] == 1.0


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_constant_column_keeps_its_bounds(fit_intercept):
    constant, target = np.hstack([np.ones((N, 1)), X]), Y - Y.mean() + 1.5
    model = MiniBatchRegressor(
        penalty=None, bounds=(np.append(1.0, LOW), np.append(2.0, HIGH)),
        fit_intercept=fit_intercept, **CLOSE,
    ).fit(constant, target)  # fmt: skip
    free = MiniBatchRegressor(penalty=None, bounds=(LOW, HIGH), **CLOSE).fit(X, target)
    assert 1.0 <= model.coef_[0] <= 2.0
    if fit_intercept:
        np.testing.assert_allclose(model.predict(constant), free.predict(X), rtol=1e-9, atol=1e-9)


def test_none_is_no_bound():
    one = MiniBatchRegressor(penalty=None, bounds=(0.0, None)).fit(X, Y)
    other = MiniBatchRegressor(penalty=None, bounds=(0.0, np.inf)).fit(X, Y)
    assert one.coef_.tolist() == other.coef_.tolist()


def test_a_run_with_other_bounds_is_another_run():
    low = np.zeros(2000)
    other = np.append(np.zeros(1000), np.append(1e-12, np.zeros(999)))
    assert _text((low, None)) != _text((other, None))
    assert _text((np.array([0.1]), None)) != _text((np.array([0.1 + 1e-12]), None))
