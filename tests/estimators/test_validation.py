"""Early stopping on a fraction of the rows or on one's own; the best weights are kept."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep import MiniBatchClassifier, MiniBatchRegressor, Outcome


class Training:
    """Keeps the targets of the rows that are trained on."""

    def on_start(self, start):
        self.targets = start.data.targets()[:, 0]


class TestFraction:
    @pytest.mark.parametrize("fraction, left", [(0.1, 54), (0.25, 45), (0.95, 3)])
    def test_of_the_rows_is_held_out(self, numbers, fraction, left):
        rows = Training()
        model = MiniBatchRegressor(
            early_stopping=True, validation_fraction=fraction, max_iter=1, tol=None
        )
        model.set_params(callbacks=[rows]).fit(*numbers)
        assert rows.targets.size == left

    def test_has_the_classes_in_proportion(self, numbers):
        X, y = numbers.X, np.repeat([0, 1], [48, 12])
        rows = Training()
        MiniBatchClassifier(
            early_stopping=True, validation_fraction=0.25, max_iter=1, tol=None, callbacks=[rows]
        ).fit(X, y)
        assert (rows.targets < 0.0).sum() == 36
        assert (rows.targets > 0.0).sum() == 9

    def test_depends_on_the_seed(self, numbers):
        def kept(seed):
            rows = Training()
            MiniBatchRegressor(
                early_stopping=True, max_iter=1, tol=None, random_state=seed, callbacks=[rows]
            ).fit(*numbers)
            return frozenset(rows.targets)

        assert kept(1) == kept(1)
        assert kept(1) != kept(2)

    def test_judges_rows_that_are_not_trained_on(self, numbers):
        rows = Training()
        model = MiniBatchRegressor(early_stopping=True, max_iter=4, tol=None, callbacks=[rows])
        model.fit(*numbers)
        held_out = ~np.isin(numbers.y, rows.targets)
        assert held_out.sum() == 6
        score = model.score(numbers.X[held_out], numbers.y[held_out])
        assert max(model.validation_scores_) == pytest.approx(score, rel=1e-12)

    def test_keeps_the_weights_of_its_rows(self, two_classes):
        X = two_classes.X
        weight = np.random.default_rng(0).uniform(0.1, 5.0, size=60)
        rows = Training()
        model = MiniBatchRegressor(early_stopping=True, max_iter=3, tol=None, callbacks=[rows])
        target = np.arange(60.0)  # so that each row can be told by its target
        model.fit(X, target, sample_weight=weight)
        held_out = ~np.isin(target, rows.targets)
        score = model.score(X[held_out], target[held_out], sample_weight=weight[held_out])
        assert max(model.validation_scores_) == pytest.approx(score, rel=1e-12)


@pytest.fixture
def passing_by():
    """Rows on which training passes the best weight for the validation rows, and goes on."""
    X = np.linspace(-1.0, 1.0, 20)[:, None]
    return {"X": X, "y": 2.0 * X[:, 0], "X_val": X, "y_val": X[:, 0]}


SLOW = {"alpha": 0.0, "learning_rate": 0.2, "batch_size": 20, "fit_intercept": False}


class TestOwnRows:
    def test_are_scored_after_each_epoch_as_score_does(self, passing_by):
        weight = np.arange(1.0, 21.0)
        model = MiniBatchRegressor(max_iter=5, tol=None, **SLOW)
        model.fit(**passing_by, sample_weight_val=weight)
        for epochs, score in enumerate(model.validation_scores_, start=1):
            then = MiniBatchRegressor(max_iter=epochs, tol=None, **SLOW)
            then.fit(passing_by["X"], passing_by["y"])
            again = then.score(passing_by["X_val"], passing_by["y_val"], sample_weight=weight)
            assert score == pytest.approx(again, rel=1e-12)
        assert [record.validation for record in model.history_] == model.validation_scores_

    def test_are_scored_on_the_scale_of_y(self, numbers):
        counts = np.arange(60.0)
        model = MiniBatchRegressor("poisson", max_iter=1, tol=None)
        model.fit(numbers.X, counts, X_val=numbers.X, y_val=counts)
        again = model.score(numbers.X, counts)
        assert model.validation_scores_ == pytest.approx([again], rel=1e-12)

    def test_of_classes_are_scored_by_accuracy(self, three_classes):
        X, y = three_classes
        names = np.array(["x", "y", "z"])
        weight = np.arange(60.0)
        model = MiniBatchClassifier(max_iter=1, tol=None)
        model.fit(X, names[y], X_val=X, y_val=names[y].tolist(), sample_weight_val=weight)
        again = model.score(X, names[y], sample_weight=weight)
        assert model.validation_scores_ == pytest.approx([again], rel=1e-12)
        assert 0.0 < again < 1.0

    def test_alone_record_and_keep_the_best_but_do_not_stop(self, passing_by):
        model = MiniBatchRegressor(max_iter=60, tol=None, **SLOW).fit(**passing_by)
        best = int(np.argmax(model.validation_scores_)) + 1
        assert 1 < best < model.n_iter_ == 60
        assert model.outcome_ is Outcome.MAX_EPOCHS
        assert model.coef_ == pytest.approx([1.0], abs=0.05)  # the last epoch's is 2

    def test_alone_leave_stopping_to_the_objective(self, passing_by):
        model = MiniBatchRegressor(max_iter=500, tol=1e-7, **SLOW).fit(**passing_by)
        alone = MiniBatchRegressor(max_iter=500, tol=1e-7, **SLOW)
        alone.fit(passing_by["X"], passing_by["y"])
        assert model.outcome_ is alone.outcome_ is Outcome.CONVERGED
        assert model.n_iter_ == alone.n_iter_

    @pytest.mark.parametrize("patience", [1, 4])
    def test_stop_when_their_score_falls(self, passing_by, patience):
        model = MiniBatchRegressor(
            early_stopping=True, n_iter_no_change=patience, tol=0.0, max_iter=500, **SLOW
        ).fit(**passing_by)
        best = int(np.argmax(model.validation_scores_)) + 1
        assert model.n_iter_ == best + patience
        assert model.outcome_ is Outcome.VALIDATION

    def test_decide_which_epochs_weights_are_kept(self, passing_by):
        model = MiniBatchRegressor(max_iter=60, tol=None, **SLOW).fit(**passing_by)
        best = int(np.argmax(model.validation_scores_)) + 1
        until = MiniBatchRegressor(max_iter=best, tol=None, **SLOW)
        until.fit(passing_by["X"], passing_by["y"])
        np.testing.assert_array_equal(model.coef_, until.coef_)

    def test_leave_all_given_rows_for_training(self, numbers):
        rows = Training()
        model = MiniBatchRegressor(early_stopping=True, max_iter=1, tol=None, callbacks=[rows])
        model.fit(*numbers, X_val=numbers.X[:10], y_val=numbers.y[:10])
        assert rows.targets.size == 60

    def test_of_several_targets(self, two_numbers):
        X, y = two_numbers
        model = MiniBatchRegressor(max_iter=3, tol=None).fit(X, y, X_val=X, y_val=y)
        assert max(model.validation_scores_) == pytest.approx(model.score(X, y), rel=1e-12)

    def test_with_a_column_of_classes_count_as_a_vector(self, two_classes):
        X, y = two_classes
        scores = [
            MiniBatchClassifier(max_iter=3, tol=None).fit(X, y, X_val=X, y_val=y_val)
            for y_val in (y, y[:, None])
        ]
        assert scores[0].validation_scores_ == scores[1].validation_scores_

    def test_may_have_one_class_only(self, two_classes):
        X, y = two_classes
        model = MiniBatchClassifier(max_iter=3, tol=None)
        model.fit(X, y, X_val=X[y == 1], y_val=y[y == 1])
        assert model.validation_scores_[-1] > 0.5

    def test_with_average_keep_the_mean_of_the_best_epoch(self, passing_by):
        model = MiniBatchRegressor(max_iter=60, tol=None, average=True, **SLOW).fit(**passing_by)
        best = int(np.argmax(model.validation_scores_)) + 1
        until = MiniBatchRegressor(max_iter=best, tol=None, average=True, **SLOW)
        until.fit(passing_by["X"], passing_by["y"])
        assert best < 60
        np.testing.assert_array_equal(model.coef_, until.coef_)
