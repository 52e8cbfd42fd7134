"""scikit-learn's own callbacks, from 1.9 on: told of each epoch, and able to stop the run."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gradstep import Diverged, MiniBatchClassifier, MiniBatchRegressor, Outcome

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has none")

BRIEF = {"learning_rate": 0.05, "max_iter": 4, "tol": None}


class Log:
    """Writes down which task begins and ends, and what the model predicts then."""

    def __init__(self, X, *, stop_in=None, fail_in=None):
        self.X, self.stop_in, self.fail_in = X, stop_in, fail_in
        self.calls, self.predictions, self.metadata = [], [], []

    def setup(self, **_):
        self.calls.append("setup")

    def teardown(self, **_):
        self.calls.append("teardown")

    def on_fit_task_begin(self, _estimator, context):
        self.calls.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, _estimator, context, *, metadata=None, fitted_estimator=None):
        self.calls.append(("end", context.task_name, context.task_id))
        self.metadata.append(metadata)
        if fitted_estimator is not None:
            self.predictions.append(fitted_estimator.predict(self.X))
        if context.task_name != "epoch":
            return False
        if context.task_id == self.fail_in:
            msg = "the callback's own"
            raise RuntimeError(msg)
        return context.task_id == self.stop_in


def epochs(n):
    """Return the calls for n epochs, each begun and ended."""
    return [(hook, "epoch", i) for i in range(n) for hook in ("begin", "end")]


def test_are_told_of_each_epoch(numbers):
    log = Log(numbers.X)
    model = MiniBatchRegressor(**BRIEF).set_callbacks(log)
    assert model.fit(*numbers) is model
    fit = [("begin", "fit", 0), *epochs(4), ("end", "fit", 0)]
    assert log.calls == ["setup", *fit, "teardown"]


def test_every_task_that_begins_ends_when_the_run_converges(numbers):
    log = Log(numbers.X)
    model = MiniBatchRegressor(learning_rate=0.05, tol=1e6, n_iter_no_change=2).set_callbacks(log)
    model.fit(*numbers)
    assert model.outcome_ is Outcome.CONVERGED
    begun = [call[1:] for call in log.calls if call[0] == "begin"]
    ended = [call[1:] for call in log.calls if call[0] == "end"]
    assert sorted(begun) == sorted(ended)
    assert log.calls[:8] == ["setup", ("begin", "fit", 0), *epochs(3)]


def test_may_stop_the_run(numbers):
    log = Log(numbers.X, stop_in=1)
    model = MiniBatchRegressor(**BRIEF).set_callbacks(log).fit(*numbers)
    assert model.n_iter_ == 2
    assert model.outcome_ is Outcome.CALLBACK
    assert log.calls == [
        "setup", ("begin", "fit", 0), *epochs(2), ("end", "fit", 0), "teardown"
    ]  # fmt: skip


@pytest.mark.parametrize("cls", [MiniBatchRegressor, MiniBatchClassifier])
def test_are_given_a_model_that_predicts_as_if_the_run_had_ended(two_classes, cls):
    log = Log(two_classes.X)
    cls(**BRIEF).set_callbacks(log).fit(*two_classes)
    for done in range(1, 5):
        until = cls(**{**BRIEF, "max_iter": done}).fit(*two_classes)
        np.testing.assert_array_equal(log.predictions[done - 1], until.predict(two_classes.X))


def test_are_given_the_fitted_model_at_the_end(numbers):
    log = Log(numbers.X)
    model = MiniBatchRegressor(**BRIEF).set_callbacks(log).fit(*numbers)
    assert len(log.predictions) == 4 + 1
    np.testing.assert_array_equal(log.predictions[-1], model.predict(numbers.X))


def test_are_given_the_weights(numbers):
    weight = np.arange(60.0)
    log = Log(numbers.X)
    MiniBatchRegressor(**BRIEF).set_callbacks(log).fit(*numbers, sample_weight=weight)
    assert all(metadata["sample_weight"] is weight for metadata in log.metadata)


def test_are_torn_down_when_one_of_them_fails(numbers):
    log = Log(numbers.X, fail_in=1)
    with pytest.raises(RuntimeError, match="the callback's own"):
        MiniBatchRegressor(**BRIEF).set_callbacks(log).fit(*numbers)
    assert log.calls[-2:] == [("end", "epoch", 1), "teardown"]


def test_are_torn_down_when_training_diverges(numbers):
    log = Log(numbers.X)
    model = MiniBatchRegressor(learning_rate=1e3, max_iter=50).set_callbacks(log)
    with pytest.raises(Diverged):
        model.fit(*numbers)
    assert log.calls[-1] == "teardown"


def test_are_torn_down_when_our_own_callback_fails(numbers):
    class Fails:
        def on_start(self, _start):
            msg = "our own"
            raise RuntimeError(msg)

    log = Log(numbers.X)
    with pytest.raises(RuntimeError, match="our own"):
        MiniBatchRegressor(callbacks=[Fails()], **BRIEF).set_callbacks(log).fit(*numbers)
    assert log.calls.count("setup") == log.calls.count("teardown")


def test_serve_many_fits_and_clones(numbers):
    log = Log(numbers.X)
    model = MiniBatchRegressor(**BRIEF).set_callbacks(log).fit(*numbers).fit(*numbers)
    clone(model).fit(*numbers)
    assert log.calls.count("setup") == log.calls.count("teardown") == 3
    model.set_callbacks().fit(*numbers)
    assert log.calls.count("setup") == 3


def test_work_beside_our_own(numbers):
    class Stop:
        def on_epoch_end(self, event):
            return event.record.epoch == 2

    log = Log(numbers.X)
    model = MiniBatchRegressor(callbacks=[Stop()], **BRIEF).set_callbacks(log).fit(*numbers)
    assert model.n_iter_ == 2
    assert [call for call in log.calls if "epoch" in call][:4] == epochs(2)


def test_scoring_monitor_has_the_score_after_each_epoch(numbers):
    monitor = callback.ScoringMonitor(scoring="r2")
    MiniBatchRegressor(**BRIEF).set_callbacks(monitor).fit(*numbers)
    each = [entry for entry in monitor.get_logs().data if entry["task_name"] == "epoch"]
    assert len(each) == 4
    for done, entry in enumerate(each, start=1):
        until = MiniBatchRegressor(**{**BRIEF, "max_iter": done}).fit(*numbers)
        assert entry["r2"] == pytest.approx(until.score(*numbers), rel=1e-12)


@pytest.mark.parametrize("where", ["alone", "in a pipeline", "in a search"])
def test_progress_bar_shows_our_fit(numbers, where, capsys):
    model = MiniBatchRegressor(**BRIEF)
    whole = {
        "alone": model,
        "in a pipeline": make_pipeline(StandardScaler(), model),
        "in a search": GridSearchCV(model, {"alpha": [0.0, 1.0]}, cv=2, error_score="raise"),
    }[where]
    whole.set_callbacks(callback.ProgressBar()).fit(*numbers)
    assert "MiniBatchRegressor" in capsys.readouterr().out


def test_is_what_set_callbacks_asks_for():
    with pytest.raises(TypeError, match="FitCallback"):
        MiniBatchRegressor().set_callbacks(object())
