"""What a fitted classifier looks like, and what it says of a row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score

from gradstep import MiniBatchClassifier
from tests.examples import examples
from tests.uncompiled import compiled_if, uncompiled

BRIEF = {"max_iter": 3, "tol": None}
FULL = {"batch_size": 60, "learning_rate": 0.1, "max_iter": 20, "tol": None}


class TestShapes:
    @pytest.mark.parametrize("loss", ["log_loss", "hinge"])
    def test_two_classes(self, two_classes, loss):
        X, y = two_classes
        ours = MiniBatchClassifier(loss, **BRIEF).fit(X, y)
        theirs = SGDClassifier(loss, **BRIEF).fit(X, y)
        assert ours.coef_.shape == theirs.coef_.shape == (1, 3)
        assert ours.intercept_.shape == theirs.intercept_.shape == (1,)
        assert ours.decision_function(X).shape == theirs.decision_function(X).shape == (60,)

    @pytest.mark.parametrize("loss", compiled_if("log_loss".__eq__, ["log_loss", "hinge"]))
    def test_three_classes(self, three_classes, loss):
        X, y = three_classes
        ours = MiniBatchClassifier(loss, **BRIEF).fit(X, y)
        theirs = SGDClassifier(loss, **BRIEF).fit(X, y)
        assert ours.coef_.shape == theirs.coef_.shape == (3, 3)
        assert ours.intercept_.shape == theirs.intercept_.shape == (3,)
        assert ours.decision_function(X).shape == theirs.decision_function(X).shape == (60, 3)


class TestLabels:
    @pytest.mark.parametrize(
        "labels",
        [
            np.array(["no", "yes"]),
            np.array(["yes", "no"]),  # the first one met is not the first one sorted
            np.array([False, True]),
            np.array([-1, 1]),
            np.array([2.0, 5.0]),
            np.array(["a", "b"], dtype=object),
        ],
        ids=lambda labels: f"{labels.dtype}-{labels[0]}",
    )
    def test_are_given_back_as_they_came(self, two_classes, labels):
        X, y = two_classes.X, labels[two_classes.y]
        model = MiniBatchClassifier().fit(X, y)
        np.testing.assert_array_equal(model.classes_, np.sort(labels))
        predicted = model.predict(X)
        assert predicted.dtype == y.dtype
        assert accuracy_score(y, predicted) > 0.9

    def test_several_classes_are_predicted_well(self, three_classes):
        y = np.array(["low", "middle", "high"])[three_classes.y]
        for loss in ("log_loss", "hinge"):
            model = MiniBatchClassifier(loss, max_iter=200, tol=None).fit(three_classes.X, y)
            assert model.classes_.tolist() == ["high", "low", "middle"]
            assert model.score(three_classes.X, y) > 0.9

    def test_the_positive_class_is_the_second_one_sorted(self, two_classes):
        X, y = two_classes.X, np.array(["b", "a"])[two_classes.y]
        model = MiniBatchClassifier(**BRIEF).fit(X, y)
        positive = model.decision_function(X) > 0.0
        np.testing.assert_array_equal(model.predict(X) == "b", positive)

    def test_the_largest_score_wins(self, three_classes):
        model = MiniBatchClassifier(**BRIEF).fit(*three_classes)
        scores = three_classes.X @ model.coef_.T + model.intercept_
        np.testing.assert_allclose(model.decision_function(three_classes.X), scores, rtol=1e-12)
        np.testing.assert_array_equal(model.predict(three_classes.X), scores.argmax(axis=1))


def with_scores(loss, y):
    """Return a model of two features and what gives it any wanted scores: the features."""
    model = MiniBatchClassifier(loss, max_iter=1, tol=None)
    k = len(set(y))
    outputs = 1 if k == 2 else k
    model.fit(np.eye(outputs)[np.arange(len(y)) % outputs], y)
    model.coef_, model.intercept_ = np.eye(outputs), np.zeros(outputs)
    return model


TWO_LABELS, THREE_LABELS = [0, 1] * 3, [0, 1, 2] * 2
SCORES = st.floats(-800.0, 800.0) | st.floats(-2.0, 2.0)


@uncompiled
class TestProbabilities:
    @pytest.mark.parametrize("labels", [TWO_LABELS, THREE_LABELS], ids=["two", "three"])
    @pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
    def test_sum_to_one_and_agree_with_the_prediction(self, loss, labels):
        model = with_scores(loss, labels)

        @examples(50)
        @given(arrays(float, (4, model.n_features_in_), elements=SCORES))
        def check(scores):
            probabilities = model.predict_proba(scores)
            assert probabilities.shape == (4, len(model.classes_))
            assert ((probabilities >= 0.0) & (probabilities <= 1.0)).all()
            np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-15)
            predicted = probabilities[np.arange(4), model.predict(scores)]
            np.testing.assert_array_equal(predicted, probabilities.max(axis=1))

        check()

    @pytest.mark.parametrize("labels", [TWO_LABELS, THREE_LABELS], ids=["two", "three"])
    def test_of_modified_huber_are_scikit_learns(self, labels):
        ours = with_scores("modified_huber", labels)
        theirs = SGDClassifier("modified_huber", max_iter=1, tol=None)
        theirs.fit(np.eye(ours.n_features_in_)[np.array(labels) % ours.n_features_in_], labels)
        theirs.coef_, theirs.intercept_ = ours.coef_, ours.intercept_
        nobody = np.full((1, ours.n_features_in_), -3.0)  # no class claims the row
        scores = np.vstack([nobody, np.random.default_rng(0).normal(size=(50, nobody.size))])
        np.testing.assert_allclose(
            ours.predict_proba(scores), theirs.predict_proba(scores), rtol=1e-14, atol=1e-16
        )

    def test_of_the_log_loss_are_the_logistic_function_and_softmax(self):
        z = np.array([[-30.0], [-1.0], [0.0], [2.0]])
        logistic = 1.0 / (1.0 + np.exp(-z[:, 0]))
        both = with_scores("log_loss", TWO_LABELS).predict_proba(z)
        np.testing.assert_allclose(both[:, 1], logistic, rtol=1e-14)

        z = np.array([[1.0, 2.0, 3.0], [-5.0, 0.0, 5.0]])
        softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        each = with_scores("log_loss", THREE_LABELS).predict_proba(z)
        np.testing.assert_allclose(each, softmax, rtol=1e-14)

    def test_have_logarithms(self, three_classes):
        model = MiniBatchClassifier(**BRIEF).fit(*three_classes)
        logs = model.predict_log_proba(three_classes.X)
        np.testing.assert_allclose(np.exp(logs), model.predict_proba(three_classes.X), rtol=1e-13)

    @pytest.mark.filterwarnings("error")
    def test_of_zero_have_a_logarithm_without_warning(self):
        logs = with_scores("modified_huber", TWO_LABELS).predict_log_proba([[5.0]])
        np.testing.assert_array_equal(logs, [[-np.inf, 0.0]])

    @pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
    @pytest.mark.parametrize("loss", ["hinge", "perceptron", "squared_error"])
    def test_are_no_attribute_where_the_loss_gives_none(self, loss, method):
        model = MiniBatchClassifier(loss)
        assert not hasattr(model, method)
        with pytest.raises(AttributeError) as refused:
            getattr(model, method)
        reason = str(refused.value.__cause__)
        assert repr(loss) in reason
        assert "loss='log_loss'" in reason


class TestTrainedTogether:
    @uncompiled
    def test_hinge_is_each_class_against_the_rest(self, three_classes):
        X, y = three_classes
        together = MiniBatchClassifier("hinge", **FULL).fit(X, y)
        for c in range(3):
            alone = MiniBatchClassifier("hinge", **FULL).fit(X, y == c)
            np.testing.assert_allclose(together.coef_[c], alone.coef_[0], rtol=1e-12)
            np.testing.assert_allclose(together.intercept_[c], alone.intercept_[0], rtol=1e-12)

    @uncompiled
    def test_log_loss_is_softmax(self, three_classes):
        """Each gradient of softmax sums to zero over the classes, so from zero the weights do."""
        model = MiniBatchClassifier(**FULL).fit(*three_classes)
        assert abs(model.coef_).max() > 0.1
        np.testing.assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-14)
        np.testing.assert_allclose(model.intercept_.sum(), 0.0, atol=1e-14)

    def test_n_jobs_changes_nothing(self, three_classes):
        models = [MiniBatchClassifier(n_jobs=n, **BRIEF).fit(*three_classes) for n in (None, 2, -1)]
        assert len({model.coef_.tobytes() for model in models}) == 1


class TestClassWeight:
    def weighted(self, rows, sample_weight=None, **parameters):
        model = MiniBatchClassifier(learning_rate=0.1, **BRIEF, **parameters)
        return model.fit(*rows, sample_weight=sample_weight).coef_

    @uncompiled
    def test_a_dict_weighs_each_classs_rows(self, three_classes):
        by_class = self.weighted(three_classes, class_weight={0: 3.0, 2: 0.5})
        by_row = self.weighted(three_classes, np.array([3.0, 1.0, 0.5])[three_classes.y])
        np.testing.assert_allclose(by_class, by_row, rtol=1e-13)

    @uncompiled
    def test_balanced_gives_all_classes_the_same_say(self, three_classes):
        y = three_classes.y
        by_class = self.weighted(three_classes, class_weight="balanced")
        by_row = self.weighted(three_classes, (60.0 / (3.0 * np.bincount(y)))[y])
        np.testing.assert_allclose(by_class, by_row, rtol=1e-13)

    @uncompiled
    def test_multiplies_the_sample_weight(self, two_classes):
        of_rows = np.random.default_rng(0).uniform(0.5, 2.0, size=60)
        both = self.weighted(two_classes, of_rows, class_weight={1: 4.0})
        product = self.weighted(two_classes, of_rows * np.where(two_classes.y == 1, 4.0, 1.0))
        np.testing.assert_allclose(both, product, rtol=1e-13)

    @uncompiled
    def test_in_a_partial_fit_counts_for_the_classes_that_come(self, two_classes):
        X, y = two_classes
        model = MiniBatchClassifier(learning_rate=0.1, class_weight={1: 4.0, 9: 2.0})
        model.partial_fit(X, y, classes=[0, 1, 9])
        plain = MiniBatchClassifier(learning_rate=0.1)
        plain.partial_fit(X, y, classes=[0, 1, 9], sample_weight=np.where(y == 1, 4.0, 1.0))
        np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-13)
