"""The mean of the iterates, exact zeros, and sparse weights."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from gradstep import MiniBatchClassifier, MiniBatchRegressor

FULL = {"learning_rate": 0.05, "batch_size": 60, "alpha": 0.1, "tol": None}


def iterates(rows, n):
    """Return the weights after each of n steps with full batches."""
    return [MiniBatchRegressor(max_iter=k, **FULL).fit(*rows).coef_ for k in range(1, n + 1)]


@pytest.mark.parametrize(
    "average, first",
    [(True, 0), (1, 0), (60, 0), (61, 1), (180, 2), (10**6, None), (False, None), (0, None)],
)
def test_average_is_the_mean_of_the_iterates_from_a_number_of_rows_on(numbers, average, first):
    each = iterates(numbers, 6)
    model = MiniBatchRegressor(max_iter=6, average=average, **FULL).fit(*numbers)
    expected = each[-1] if first is None else np.mean(each[first:], axis=0)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-13)


@pytest.fixture
def mostly_noise():
    """80 rows of twelve features, of which two matter."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(80, 12))
    return X, 3.0 * X[:, 0] - 2.0 * X[:, 5] + 0.1 * generator.normal(size=80)


# With full batches an iterate's zeros are exact; a mean of noisy iterates has none of its own.
@pytest.mark.parametrize("batch_size, average", [(80, False), (16, True), (16, 80 * 50)])
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_l1_sets_weights_that_do_not_matter_to_zero(mostly_noise, penalty, batch_size, average):
    model = MiniBatchRegressor(
        penalty=penalty,
        alpha=0.3,
        l1_ratio=0.9,
        batch_size=batch_size,
        optimizer="sgd",
        max_iter=200,
        tol=None,
        average=average,
    ).fit(*mostly_noise)
    np.testing.assert_array_equal(np.flatnonzero(model.coef_), [0, 5])


def test_l2_sets_none(mostly_noise):
    model = MiniBatchRegressor(alpha=0.3, max_iter=20, tol=None).fit(*mostly_noise)
    assert model.coef_.all()


class TestSparsify:
    @pytest.mark.parametrize("cls", [MiniBatchRegressor, MiniBatchClassifier])
    def test_changes_no_prediction_and_densify_undoes_it(self, two_classes, cls):
        model = cls(max_iter=3, tol=None).fit(*two_classes)
        coef, predictions = model.coef_, model.predict(two_classes.X)
        assert model.sparsify() is model
        assert sp.issparse(model.coef_)
        assert model.coef_.shape == (1, 3)
        np.testing.assert_array_equal(model.predict(two_classes.X), predictions)
        assert model.densify() is model
        np.testing.assert_array_equal(model.coef_, coef)
        assert model.coef_.shape == coef.shape

    def test_keeps_the_shape_of_several_outputs(self, two_numbers):
        model = MiniBatchRegressor(max_iter=3, tol=None).fit(*two_numbers)
        coef = model.coef_
        np.testing.assert_array_equal(model.sparsify().coef_.toarray(), coef)
        np.testing.assert_array_equal(model.densify().coef_, coef)

    def test_stores_no_zeros(self, mostly_noise):
        model = MiniBatchRegressor(penalty="l1", alpha=0.3, max_iter=200, tol=None)
        assert model.fit(*mostly_noise).sparsify().coef_.nnz == 2

    def test_twice_is_once(self, numbers):
        model = MiniBatchRegressor(max_iter=3, tol=None).fit(*numbers)
        coef = model.densify().densify().coef_
        np.testing.assert_array_equal(model.sparsify().sparsify().coef_.toarray()[0], coef)
