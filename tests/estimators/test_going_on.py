"""Where a fit starts: given weights, warm starts, and partial fits."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from gradstep import MiniBatchClassifier, MiniBatchRegressor

STILL = {"learning_rate": 1e-14, "alpha": 0.0, "max_iter": 1, "tol": None}
FULL = {"learning_rate": 0.1, "batch_size": 60, "alpha": 0.01, "tol": None}


class TestInit:
    def test_is_where_a_regressor_starts(self, numbers):
        model = MiniBatchRegressor(**STILL)
        model.fit(*numbers, coef_init=[1.0, 2.0, 3.0], intercept_init=[4.0])
        np.testing.assert_allclose(model.coef_, [1.0, 2.0, 3.0], atol=1e-10)
        np.testing.assert_allclose(model.intercept_, [4.0], atol=1e-10)

    def test_is_where_several_outputs_start(self, two_numbers):
        coef, intercept = np.arange(6.0).reshape(2, 3), np.array([7.0, 8.0])
        model = MiniBatchRegressor(**STILL)
        model.fit(*two_numbers, coef_init=coef, intercept_init=intercept)
        np.testing.assert_allclose(model.coef_, coef, atol=1e-10)
        np.testing.assert_allclose(model.intercept_, intercept, atol=1e-10)

    @pytest.mark.parametrize("shape", [(3,), (1, 3)])
    def test_of_two_classes_may_have_either_shape(self, two_classes, shape):
        coef = np.array([1.0, 2.0, 3.0]).reshape(shape)
        model = MiniBatchClassifier(**STILL).fit(*two_classes, coef_init=coef, intercept_init=4.0)
        np.testing.assert_allclose(model.coef_, [[1.0, 2.0, 3.0]], atol=1e-10)
        np.testing.assert_allclose(model.intercept_, [4.0], atol=1e-10)

    def test_of_an_intercept_that_is_not_fitted_is_dropped(self, numbers):
        model = MiniBatchRegressor(fit_intercept=False, **STILL)
        assert model.fit(*numbers, intercept_init=[4.0]).intercept_ == [0.0]

    def test_is_not_changed(self, numbers):
        coef, intercept = np.zeros(3), np.zeros(1)
        MiniBatchRegressor(max_iter=2, tol=None).fit(*numbers, coef, intercept)
        assert not coef.any()
        assert not intercept.any()


class TestWarmStart:
    def test_goes_on_from_the_fit_before(self, numbers):
        model = MiniBatchRegressor(warm_start=True, max_iter=3, **FULL)
        model.fit(*numbers).fit(*numbers)
        whole = MiniBatchRegressor(max_iter=6, **FULL).fit(*numbers)
        np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-13)
        np.testing.assert_allclose(model.intercept_, whole.intercept_, rtol=1e-13)

    def test_is_not_the_default(self, numbers):
        model = MiniBatchRegressor(max_iter=3, **FULL).fit(*numbers)
        once = model.coef_.tobytes()
        assert model.fit(*numbers).coef_.tobytes() == once

    def test_yields_to_given_weights(self, numbers):
        model = MiniBatchRegressor(warm_start=True, **STILL)
        model.fit(*numbers, coef_init=[9.0, 9.0, 9.0])
        model.fit(*numbers, coef_init=[1.0, 2.0, 3.0])
        np.testing.assert_allclose(model.coef_, [1.0, 2.0, 3.0], atol=1e-10)

    @pytest.mark.parametrize("classes", [2, 3])
    def test_goes_on_from_sparse_weights(self, two_classes, three_classes, classes):
        rows = two_classes if classes == 2 else three_classes
        model = MiniBatchClassifier(warm_start=True, max_iter=3, **FULL)
        model.fit(*rows).sparsify().fit(*rows)
        whole = MiniBatchClassifier(max_iter=6, **FULL).fit(*rows)
        np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-12)

    def test_counts_epochs_and_steps_afresh(self, numbers):
        model = MiniBatchRegressor(warm_start=True, max_iter=3, **FULL)
        model.fit(*numbers).fit(*numbers)
        assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (3, 3, 3)


class Steps:
    """A learning rate that keeps the steps it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, _epoch, step):
        self.asked.append(step)
        return 0.01


class TestPartialFit:
    def test_is_one_epoch(self, numbers):
        part = MiniBatchRegressor(learning_rate=0.05, batch_size=16).partial_fit(*numbers)
        whole = MiniBatchRegressor(learning_rate=0.05, batch_size=16, max_iter=1, tol=None)
        assert part.coef_.tobytes() == whole.fit(*numbers).coef_.tobytes()
        assert part.n_iter_ == 1

    @pytest.mark.parametrize(
        "optimizer", ["sgd", pytest.param("momentum", marks=pytest.mark.uncompiled)]
    )
    def test_repeated_is_as_many_epochs(self, numbers, optimizer):
        settings = {"learning_rate": 0.01, "batch_size": 16, "optimizer": optimizer}
        part = MiniBatchRegressor(**settings)
        for _ in range(4):
            part.partial_fit(*numbers)
        whole = MiniBatchRegressor(max_iter=4, tol=None, **settings).fit(*numbers)
        np.testing.assert_allclose(part.coef_, whole.coef_, rtol=1e-13)
        assert part.n_iter_ == 1  # of the last call, as in scikit-learn

    def test_goes_on_counting_steps(self, numbers):
        rate = Steps()
        model = MiniBatchRegressor(learning_rate=rate, batch_size=20)
        for _ in range(2):
            model.partial_fit(*numbers)
        assert rate.asked == [0, 1, 2, 3, 4, 5]
        assert model.t_ == 6

    def test_over_chunks_reaches_a_good_regression(self):
        generator = np.random.default_rng(0)
        model = MiniBatchRegressor()
        for _ in range(50):
            X = generator.normal(size=(100, 3))
            model.partial_fit(X, X @ [1.0, -2.0, 0.5] + 3.0)
        np.testing.assert_allclose(model.coef_, [1.0, -2.0, 0.5], atol=0.02)
        np.testing.assert_allclose(model.intercept_, [3.0], atol=0.02)

    def test_over_chunks_of_one_class_each_reaches_a_good_classification(self, three_classes):
        X, y = three_classes
        model = MiniBatchClassifier(learning_rate=0.05)
        for _ in range(100):
            for c in (0, 1, 2):
                model.partial_fit(X[y == c], y[y == c], classes=[0, 1, 2])
        assert model.score(X, y) > 0.9

    def test_needs_the_classes_once(self, three_classes):
        X, y = three_classes
        model = MiniBatchClassifier().partial_fit(X[:1], y[:1], classes=[2, 0, 1])
        np.testing.assert_array_equal(model.classes_, [0, 1, 2])
        model.partial_fit(X, y).partial_fit(X, y, classes=[0, 1, 2])
        assert model.predict_proba(X).shape == (60, 3)

    def test_takes_its_rate_from_the_first_rows(self, numbers):
        X, y = numbers
        model = MiniBatchRegressor().partial_fit(X, y)
        first = model.eta0_
        assert model.partial_fit(X / 8.0, y).eta0_ == first

    def test_goes_on_from_weights_that_the_user_sets(self, numbers):
        model = MiniBatchRegressor(learning_rate=0.1, batch_size=60, alpha=0.0)
        for _ in range(3):
            model.partial_fit(*numbers)
        model.coef_, model.intercept_ = np.array([1.0, 2.0, 3.0]), np.array([4.0])
        model.partial_fit(*numbers)
        error = numbers.X @ [1.0, 2.0, 3.0] + 4.0 - numbers.y
        expected = [1.0, 2.0, 3.0] - 0.1 * error @ numbers.X / 60
        np.testing.assert_allclose(model.coef_, expected, rtol=1e-12)
        np.testing.assert_allclose(model.intercept_, 4.0 - 0.1 * error.mean(), rtol=1e-12)

    def test_goes_on_from_weights_changed_in_place(self, two_classes):
        model = MiniBatchClassifier(**STILL).partial_fit(*two_classes, classes=[0, 1])
        model.coef_[0, 1] = 5.0
        model.partial_fit(*two_classes)
        np.testing.assert_allclose(model.coef_, [[0.0, 5.0, 0.0]], atol=1e-10)

    @pytest.mark.parametrize("changes", [{}, {"alpha": 2.0}, {"optimizer": "momentum"}])
    def test_row_by_row_keeps_nothing_that_a_parameter_decides(self, numbers, changes):
        """What is kept between calls saves time alone: a copy without it goes the same way."""
        X, y = numbers
        model = MiniBatchRegressor().partial_fit(X, y)
        for i in range(6):
            copy = pickle.loads(pickle.dumps(model))
            copy._shown = None
            if i == 3:
                model.set_params(**changes)
            copy.set_params(**model.get_params())
            model.partial_fit(X[i : i + 1], y[i : i + 1])
            copy.partial_fit(X[i : i + 1], y[i : i + 1])
            assert copy.coef_.tobytes() == model.coef_.tobytes()
        plain = MiniBatchRegressor().partial_fit(X, y)
        for i in range(6):
            plain.partial_fit(X[i : i + 1], y[i : i + 1])
        assert (plain.coef_.tobytes() == model.coef_.tobytes()) == (not changes)

    def test_of_an_average_starts_it_again_at_weights_that_the_user_sets(self, numbers):
        model = MiniBatchRegressor(average=True, **STILL)
        for _ in range(3):
            model.partial_fit(*numbers)
        model.coef_ = np.array([1.0, 2.0, 3.0])
        model.partial_fit(*numbers)
        np.testing.assert_allclose(model.coef_, [1.0, 2.0, 3.0], atol=1e-10)

    def test_goes_on_after_a_fit(self, numbers):
        model = MiniBatchRegressor(max_iter=3, **FULL).fit(*numbers).partial_fit(*numbers)
        whole = MiniBatchRegressor(max_iter=4, **FULL).fit(*numbers)
        np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-13)

    def test_goes_on_from_the_best_weights_of_a_fit(self):
        X = np.linspace(-1.0, 1.0, 20)[:, None]
        model = MiniBatchRegressor(
            alpha=0.0, learning_rate=0.2, batch_size=20, max_iter=60, tol=None
        ).fit(X, 2.0 * X[:, 0], X_val=X, y_val=X[:, 0])
        best = model.coef_.copy()
        model.set_params(learning_rate=1e-14).partial_fit(X, 2.0 * X[:, 0])
        np.testing.assert_allclose(model.coef_, best, atol=1e-10)

    def test_goes_on_from_sparse_weights(self, numbers):
        model = MiniBatchRegressor(max_iter=3, **FULL).fit(*numbers).sparsify()
        model.partial_fit(*numbers)
        whole = MiniBatchRegressor(max_iter=4, **FULL).fit(*numbers)
        np.testing.assert_allclose(np.ravel(model.coef_), whole.coef_, rtol=1e-13)

    def test_goes_on_after_pickle(self, numbers):
        model = MiniBatchRegressor(
            optimizer="momentum", learning_rate=0.01, batch_size=16, penalty="elasticnet",
            penalty_scale="unit",
        )  # fmt: skip
        model.partial_fit(*numbers)
        copy = pickle.loads(pickle.dumps(model))
        there, here = copy.partial_fit(*numbers), model.partial_fit(*numbers)
        assert there.coef_.tobytes() == here.coef_.tobytes()

    def test_a_fit_afterwards_starts_afresh(self, numbers):
        fresh = MiniBatchRegressor(max_iter=2, **FULL).fit(*numbers)
        model = MiniBatchRegressor(max_iter=2, **FULL).partial_fit(*numbers).fit(*numbers)
        assert model.coef_.tobytes() == fresh.coef_.tobytes()
        assert model.n_iter_ == 2

    def test_takes_a_unit_of_weight_for_granted_no_more_than_fit(self, numbers):
        """Only weights relative to their mean over all rows so far count."""
        plain, tripled = MiniBatchRegressor(**FULL), MiniBatchRegressor(**FULL)
        for _ in range(3):
            plain.partial_fit(*numbers, sample_weight=np.ones(60))
            tripled.partial_fit(*numbers, sample_weight=np.full(60, 3.0))
        np.testing.assert_allclose(tripled.coef_, plain.coef_, rtol=1e-13)

    def test_of_several_targets_keeps_their_shape(self, two_numbers):
        model = MiniBatchRegressor().partial_fit(*two_numbers).partial_fit(*two_numbers)
        assert model.coef_.shape == (2, 3)
        assert model.predict(two_numbers.X).shape == (60, 2)

    @pytest.mark.uncompiled
    def test_takes_sparse_rows_after_dense_ones(self, numbers):
        X, y = numbers
        mixed = MiniBatchRegressor(**FULL).partial_fit(X, y).partial_fit(sp.csr_array(X), y)
        dense = MiniBatchRegressor(**FULL).partial_fit(X, y).partial_fit(X, y)
        np.testing.assert_allclose(mixed.coef_, dense.coef_, rtol=1e-12)
