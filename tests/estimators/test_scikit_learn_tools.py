"""Inside pipelines, grids and cross-validation; cloned, pickled, in other processes."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from gradstep import (
    Adam,
    Cosine,
    Diverged,
    EarlyStopping,
    ElasticNet,
    Gamma,
    History,
    Huber,
    MiniBatchClassifier,
    MiniBatchRegressor,
    Outcome,
    ProgressBar,
)
from tests.uncompiled import uncompiled

BRIEF = {"max_iter": 5, "tol": None}


class TestGrids:
    def search(self, model, grid, rows):
        found = GridSearchCV(model, grid, cv=2, error_score="raise").fit(*rows)
        scores = found.cv_results_["mean_test_score"]
        assert np.isfinite(scores).all()
        return np.round(scores, 6)

    @uncompiled
    def test_over_rates_of_every_kind_with_eta0(self, numbers):
        """eta0 means something under some of the rates only; the grid runs all the same."""
        rates = [0.01, 0.1, np.float64(0.05), 1, "constant", "invscaling", "optimal", "adaptive"]
        grid = {"learning_rate": rates, "eta0": [None, 0.1]}
        model = MiniBatchRegressor(alpha=1.0, optimizer="adagrad", **BRIEF)
        different = 3 + 1 + 2 + 1  # three small rates, 1, two decays from eta0, "optimal"
        assert len(set(self.search(model, grid, numbers))) == different

    @uncompiled
    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
    def test_over_rates_of_an_array(self, numbers, dtype):
        rates = np.array([1, 2], dtype=dtype)
        model = MiniBatchRegressor(optimizer="adagrad", **BRIEF)
        assert len(set(self.search(model, {"learning_rate": rates}, numbers))) == 2

    def test_over_penalties(self, numbers):
        grid = {"penalty": ["l2", "l1", "elasticnet", None], "alpha": [0.0, 0.5]}
        scores = self.search(MiniBatchRegressor(**BRIEF), grid, numbers)
        assert len(set(scores)) == 1 + 3  # alpha=0 is no penalty

    def test_over_batches_and_shuffles(self, numbers):
        grid = {"batch_size": [1, 16, np.int64(7), 1000], "shuffle": [True, False, "blocks"]}
        scores = self.search(MiniBatchRegressor(learning_rate=0.01, **BRIEF), grid, numbers)
        assert len(set(scores)) >= 8

    @pytest.mark.parametrize("name", ["shuffle", "fit_intercept", "average", "early_stopping"])
    def test_over_truth_values_of_an_array(self, numbers, name):
        grid = {name: np.array([True, False])}
        model = MiniBatchRegressor(learning_rate="constant", batch_size=8, **BRIEF)
        assert len(set(self.search(model, grid, numbers))) == 2

    @uncompiled
    def test_over_optimizers_by_name_and_object(self, two_classes):
        grid = {"optimizer": ["sgd", "adam", Adam(beta1=0.5)], "class_weight": [None, "balanced"]}
        scores = self.search(MiniBatchClassifier(learning_rate=0.05, **BRIEF), grid, two_classes)
        assert len(scores) == 6

    def test_at_random(self, numbers):
        space = {"learning_rate": loguniform(1e-3, 1e-1), "alpha": loguniform(1e-6, 1.0)}
        found = RandomizedSearchCV(
            MiniBatchRegressor(**BRIEF), space, n_iter=4, cv=2, random_state=0, error_score="raise"
        )
        assert 1e-3 < found.fit(*numbers).best_params_["learning_rate"] < 1e-1

    def test_go_on_past_a_point_that_diverges(self, numbers):
        grid = {"learning_rate": [0.05, 1e3]}
        search = GridSearchCV(MiniBatchRegressor(**BRIEF), grid, cv=2)
        with (
            pytest.warns(FitFailedWarning, match="(?s)2 fits failed.*Diverged"),
            pytest.warns(UserWarning, match="scores are non-finite"),
        ):
            search.fit(*numbers)
        assert search.best_params_ == {"learning_rate": 0.05}


def test_cross_validation(two_classes):
    scores = cross_val_score(MiniBatchClassifier(**BRIEF), *two_classes, cv=3, error_score="raise")
    assert scores.shape == (3,)
    assert scores.mean() > 0.8


def test_pipeline_with_frames_between_its_steps(numbers):
    frame = pd.DataFrame(numbers.X * [1.0, 1e4, 1e-4], columns=["a", "b", "c"])
    pipeline = make_pipeline(StandardScaler(), MiniBatchRegressor(max_iter=50, tol=None))
    pipeline.set_output(transform="pandas").fit(frame, numbers.y)
    assert pipeline.score(frame, numbers.y) > 0.99
    assert pipeline[-1].feature_names_in_.tolist() == ["a", "b", "c"]


def test_pipeline_passes_weights_on(numbers):
    weight = np.arange(60.0)
    pipeline = make_pipeline(StandardScaler(), MiniBatchRegressor(**BRIEF))
    weighted = pipeline.fit(*numbers, minibatchregressor__sample_weight=weight)[-1].coef_
    assert not np.array_equal(weighted, pipeline.fit(*numbers)[-1].coef_)


def test_meta_estimators(two_classes):
    X, y = two_classes
    bagged = BaggingClassifier(MiniBatchClassifier(**BRIEF), n_estimators=3, random_state=0)
    assert bagged.fit(X, y).score(X, y) > 0.8
    several = MultiOutputClassifier(MiniBatchClassifier(**BRIEF))
    assert several.fit(X, np.column_stack([y, 1 - y])).predict(X).shape == (60, 2)


COMPONENTS = {
    "loss": Huber(epsilon=0.5),
    "penalty": ElasticNet(alpha=0.1, l1_ratio=0.5),
    "optimizer": Adam(amsgrad=True),
    "learning_rate": Cosine(0.05),
}


class TestClone:
    @uncompiled
    def test_of_components_trains_the_same_model(self, numbers):
        model = MiniBatchRegressor(**COMPONENTS, **BRIEF).fit(*numbers)
        twin = clone(model)
        assert not hasattr(twin, "coef_")
        assert {name: type(getattr(twin, name)) for name in COMPONENTS} == {
            name: type(component) for name, component in COMPONENTS.items()
        }
        assert twin.fit(*numbers).coef_.tobytes() == model.coef_.tobytes()

    def test_has_callbacks_of_its_own(self, numbers):
        model = MiniBatchRegressor(
            learning_rate="constant", callbacks=[History(), EarlyStopping(target=0.0)], **BRIEF
        )
        model.fit(*numbers)
        twin = clone(model).set_params(max_iter=2).fit(*numbers)
        assert len(model.callbacks[0].records) == 5
        assert len(twin.callbacks[0].records) == 2

    def test_of_a_function_keeps_it(self):
        def rate(epoch, _step):
            return 0.1 / (1.0 + epoch)

        assert clone(MiniBatchRegressor(learning_rate=rate)).learning_rate is rate


class TestFittedAttributes:
    """Formats that run no code, as skops, store numbers, text, arrays, tuples and dataclasses."""

    @pytest.mark.parametrize("cls", [MiniBatchRegressor, MiniBatchClassifier])
    def test_are_of_plain_types(self, two_classes, cls):
        model = cls(**BRIEF).fit(*two_classes)
        assert isinstance(model.outcome_, Outcome)
        values = list(vars(model).values())
        while values:
            value = values.pop()
            if dataclasses.is_dataclass(value):
                values += vars(value).values()
            elif isinstance(value, (list, tuple)):
                values += value
            else:
                plain = (type(None), bool, int, float, str, np.ndarray, np.generic)
                assert isinstance(value, plain), value

    def test_how_a_run_ended_is_known_once_there_was_one(self):
        assert not hasattr(MiniBatchRegressor(), "outcome_")


class TestTags:
    @pytest.mark.parametrize(
        "loss, positive",
        [("squared_error", False), ("poisson", True), ("gamma", True), ("tweedie", True),
         (Gamma(), True), ("unknown", False)],
    )  # fmt: skip
    def test_say_which_losses_need_positive_targets(self, loss, positive):
        assert get_tags(MiniBatchRegressor(loss)).target_tags.positive_only is positive


class TestPickle:
    @uncompiled
    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    def test_predicts_the_same_bits(self, numbers, protocol):
        model = MiniBatchRegressor(**COMPONENTS, **BRIEF).fit(*numbers)
        copy = pickle.loads(pickle.dumps(model, protocol))
        assert copy.predict(numbers.X).tobytes() == model.predict(numbers.X).tobytes()
        assert copy.outcome_ is model.outcome_
        assert copy.history_ == model.history_

    def test_of_a_classifier_keeps_its_labels(self, three_classes):
        names = np.array(["x", "y", "z"])
        model = MiniBatchClassifier(**BRIEF).fit(three_classes.X, names[three_classes.y])
        copy = pickle.loads(pickle.dumps(model))
        assert copy.predict(three_classes.X).tolist() == model.predict(three_classes.X).tolist()

    def test_leaves_the_progress_bars_stream_behind(self, numbers, tmp_path, capsys):
        with (tmp_path / "log").open("w") as stream:
            model = MiniBatchRegressor(
                learning_rate=0.1, callbacks=[ProgressBar(stream)], **BRIEF
            ).fit(*numbers)
            copy = pickle.loads(pickle.dumps(model))
        copy.fit(*numbers)
        assert "5 epochs" in capsys.readouterr().err


@pytest.mark.slow
class TestOtherProcesses:
    def test_search_as_here(self, two_classes):
        grid = {"alpha": [1e-4, 1.0], "loss": ["log_loss", Huber(0.5)]}
        model = MiniBatchClassifier(callbacks=[History()], **BRIEF)
        here, there = (
            GridSearchCV(model, grid, cv=2, n_jobs=n, error_score="raise").fit(*two_classes)
            for n in (1, 2)
        )
        np.testing.assert_array_equal(
            there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"]
        )
        assert there.best_estimator_.coef_.tobytes() == here.best_estimator_.coef_.tobytes()

    def test_send_divergence_back(self, numbers):
        search = GridSearchCV(
            MiniBatchRegressor(**BRIEF), {"learning_rate": [1e3, 1e4]}, cv=2, n_jobs=2,
            error_score="raise",
        )  # fmt: skip
        with pytest.raises(Diverged, match="Training diverged in epoch") as error:
            search.fit(*numbers)
        assert error.value.epoch >= 1
