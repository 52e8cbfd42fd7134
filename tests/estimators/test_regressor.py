"""What a fitted regressor looks like, and what it predicts."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.metrics import r2_score

from gradstep import Huber, MiniBatchRegressor
from tests.uncompiled import uncompiled

BRIEF = {"max_iter": 3, "tol": None}


def test_one_target_has_the_shapes_of_sgd_regressor(numbers):
    ours = MiniBatchRegressor(**BRIEF).fit(*numbers)
    theirs = SGDRegressor(**BRIEF).fit(*numbers)
    assert ours.coef_.shape == theirs.coef_.shape == (3,)
    assert ours.intercept_.shape == theirs.intercept_.shape == (1,)
    assert ours.predict(numbers.X).shape == theirs.predict(numbers.X).shape == (60,)
    assert ours.n_features_in_ == 3


@pytest.mark.parametrize("targets", [1, 2, 3])
def test_a_y_of_two_dimensions_has_the_shapes_of_linear_regression(numbers, targets):
    X, y = numbers.X, np.column_stack([numbers.y] * targets)
    ours, theirs = MiniBatchRegressor(**BRIEF).fit(X, y), LinearRegression().fit(X, y)
    assert ours.coef_.shape == theirs.coef_.shape == (targets, 3)
    assert ours.intercept_.shape == theirs.intercept_.shape == (targets,)
    assert ours.predict(X).shape == theirs.predict(X).shape == (60, targets)


def test_a_column_is_fitted_like_a_vector(numbers):
    vector = MiniBatchRegressor(**BRIEF).fit(numbers.X, numbers.y)
    column = MiniBatchRegressor(**BRIEF).fit(numbers.X, numbers.y[:, None])
    np.testing.assert_array_equal(column.coef_[0], vector.coef_)
    np.testing.assert_array_equal(column.predict(numbers.X)[:, 0], vector.predict(numbers.X))


@pytest.mark.parametrize("loss", ["squared_error", pytest.param("huber", marks=uncompiled)])
def test_several_targets_are_as_many_single_fits(two_numbers, loss):
    X, y = two_numbers
    settings = {"batch_size": 60, "learning_rate": 0.05, "alpha": 0.1, "max_iter": 30, "tol": None}
    together = MiniBatchRegressor(loss, **settings).fit(X, y)
    for column in range(2):
        alone = MiniBatchRegressor(loss, **settings).fit(X, y[:, column])
        np.testing.assert_allclose(together.coef_[column], alone.coef_, rtol=1e-12)
        np.testing.assert_allclose(together.intercept_[[column]], alone.intercept_, rtol=1e-12)


def test_defaults_find_the_weights(numbers):
    model = MiniBatchRegressor(tol=1e-8).fit(*numbers)
    np.testing.assert_allclose(model.coef_, [1.0, -2.0, 0.5], atol=0.01)
    np.testing.assert_allclose(model.intercept_, [3.0], atol=0.01)


@pytest.mark.parametrize("exponent", [-20, -1, 12])
def test_the_unit_of_the_features_changes_no_bit_of_the_predictions(numbers, exponent):
    unit = 2.0**exponent
    metres = MiniBatchRegressor(alpha=0.0, max_iter=5, tol=None).fit(*numbers)
    others = MiniBatchRegressor(alpha=0.0, max_iter=5, tol=None).fit(numbers.X * unit, numbers.y)
    np.testing.assert_array_equal(others.predict(numbers.X * unit), metres.predict(numbers.X))


def test_predictions_are_scores_by_default_and_their_exponential_under_poisson(numbers):
    X, y = numbers
    for loss, link in (("squared_error", lambda z: z), ("poisson", np.exp)):
        model = MiniBatchRegressor(loss, **BRIEF).fit(X, np.abs(y))
        scores = X @ model.coef_ + model.intercept_
        np.testing.assert_allclose(model.predict(X), link(scores), rtol=1e-12)


@uncompiled
def test_pinball_predicts_a_quantile():
    y = np.random.default_rng(0).exponential(size=2000)
    X = np.zeros((2000, 1))
    model = MiniBatchRegressor(
        "pinball", quantile=0.9, eta0=1.0, learning_rate="cosine", max_iter=30
    )
    below = y < model.set_params(tol=None).fit(X, y).predict(X)
    assert below.mean() == pytest.approx(0.9, abs=0.01)


def test_score_is_the_coefficient_of_determination(two_numbers):
    X, y = two_numbers
    weight = np.arange(60.0)
    model = MiniBatchRegressor(**BRIEF).fit(X, y)
    expected = r2_score(y, model.predict(X), sample_weight=weight)
    assert model.score(X, y, sample_weight=weight) == expected


def test_a_row_is_predicted_alike_in_any_company(numbers):
    X = np.vstack([numbers.X] * 5)
    model = MiniBatchRegressor(**BRIEF).fit(*numbers)
    alone = [model.predict(row[None, :])[0] for row in numbers.X]
    np.testing.assert_array_equal(model.predict(X), np.tile(alone, 5))


def test_sparse_rows_are_predicted_as_dense_ones(numbers):
    model = MiniBatchRegressor(**BRIEF).fit(*numbers)
    sparse = model.predict(sp.csr_array(numbers.X))
    np.testing.assert_allclose(sparse, model.predict(numbers.X), rtol=1e-14)


def test_weights_without_intercept_leave_it_at_zero(numbers):
    model = MiniBatchRegressor(fit_intercept=False, **BRIEF).fit(*numbers)
    np.testing.assert_array_equal(model.intercept_, [0.0])
    np.testing.assert_allclose(model.predict(numbers.X), numbers.X @ model.coef_, rtol=1e-12)


@uncompiled
def test_a_component_counts_as_its_name(numbers):
    by_name = MiniBatchRegressor("huber", epsilon=0.5, **BRIEF).fit(*numbers)
    by_object = MiniBatchRegressor(Huber(epsilon=0.5), epsilon=9.0, **BRIEF).fit(*numbers)
    np.testing.assert_array_equal(by_object.coef_, by_name.coef_)
