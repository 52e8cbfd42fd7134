"""Callbacks: told of the start, of each epoch and of the end; one of them may stop the run."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from gradstep import (
    Callback,
    Diverged,
    EarlyStopping,
    History,
    InvalidComponent,
    InvalidParameter,
    MiniBatchClassifier,
    MiniBatchRegressor,
    Outcome,
    ProgressBar,
)

BRIEF = {"learning_rate": 0.05, "penalty_scale": "unit", "max_iter": 4, "tol": None}


class Log:
    """Writes down what it is told, and stops or fails in an epoch if asked to."""

    def __init__(self, name="", *, into=None, stop_in=None, fail_in=None):
        self.name, self.stop_in, self.fail_in = name, stop_in, fail_in
        self.calls = [] if into is None else into
        self.end = None

    def on_start(self, start):
        self.calls.append((self.name, "start", start.state.epoch))

    def on_epoch_end(self, event):
        self.calls.append((self.name, "epoch", event.record.epoch))
        if event.record.epoch == self.fail_in:
            msg = "the callback's own"
            raise RuntimeError(msg)
        return event.record.epoch == self.stop_in

    def on_end(self, end):
        self.calls.append((self.name, "end", end.epochs))
        self.end = end


class TestCalls:
    def test_come_in_order(self, numbers):
        log = Log()
        MiniBatchRegressor(callbacks=[log], **BRIEF).fit(*numbers)
        assert [call[1:] for call in log.calls] == [
            ("start", 0), ("epoch", 1), ("epoch", 2), ("epoch", 3), ("epoch", 4), ("end", 4)
        ]  # fmt: skip
        assert log.end.outcome is Outcome.MAX_EPOCHS
        assert log.end.error is None
        assert log.end.seconds > 0.0

    def test_reach_every_callback_even_when_one_stops_the_run(self, numbers):
        calls = []
        logs = [Log("first", into=calls, stop_in=2), Log("second", into=calls)]
        model = MiniBatchRegressor(callbacks=logs, **BRIEF).fit(*numbers)
        assert calls[2:] == [
            ("first", "epoch", 1), ("second", "epoch", 1),
            ("first", "epoch", 2), ("second", "epoch", 2),
            ("first", "end", 2), ("second", "end", 2),
        ]  # fmt: skip
        assert model.n_iter_ == 2
        assert model.outcome_ is log_outcome(logs) is Outcome.CALLBACK

    def test_carry_what_is_fixed_and_what_has_evolved(self, numbers):
        seen = []

        class Look:
            def on_epoch_end(self, event):
                seen.append((event.problem.max_epochs, event.data.n, event.params.copy()))

        model = MiniBatchRegressor(callbacks=[Look()], **BRIEF).fit(*numbers)
        assert [s[:2] for s in seen] == [(4, 60)] * 4
        np.testing.assert_array_equal(seen[-1][2], [*model.coef_, *model.intercept_])

    def test_come_once_for_a_partial_fit(self, numbers):
        log = Log()
        model = MiniBatchRegressor(callbacks=[log], learning_rate=0.05)
        model.partial_fit(*numbers).partial_fit(*numbers)
        assert [call[1:] for call in log.calls] == [
            ("start", 0), ("epoch", 1), ("end", 1), ("start", 1), ("epoch", 2), ("end", 2)
        ]  # fmt: skip

    def test_end_with_the_error_when_training_diverges(self, numbers):
        log = Log()
        with pytest.raises(Diverged) as diverged:
            MiniBatchRegressor(callbacks=[log], learning_rate=1e3, max_iter=50).fit(*numbers)
        assert log.end.error is diverged.value
        assert log.end.outcome is None
        assert log.calls[-1] == ("", "end", diverged.value.epoch)

    def test_end_for_all_when_one_of_them_fails(self, numbers):
        calls = []
        logs = [Log("first", into=calls), Log("second", into=calls, fail_in=2)]
        with pytest.raises(RuntimeError, match="the callback's own") as failed:
            MiniBatchRegressor(callbacks=logs, **BRIEF).fit(*numbers)
        assert [call[:2] for call in calls[-2:]] == [("first", "end"), ("second", "end")]
        assert all(log.end.error is failed.value for log in logs)

    def test_end_for_those_that_were_started_when_another_fails_to_start(self, numbers):
        class FailsToStart:
            def on_start(self, _start):
                msg = "the callback's own"
                raise RuntimeError(msg)

        log = Log()
        with pytest.raises(RuntimeError, match="the callback's own"):
            MiniBatchRegressor(callbacks=[log, FailsToStart()], **BRIEF).fit(*numbers)
        assert [call[1] for call in log.calls] == ["start", "end"]


def log_outcome(logs):
    (outcome,) = {log.end.outcome for log in logs}
    return outcome


class TestProtocol:
    @pytest.mark.parametrize("hook", ["on_start", "on_epoch_end", "on_end"])
    def test_one_hook_is_enough(self, numbers, hook):
        called = []
        one = type("One", (), {hook: lambda _self, event: called.append(event)})
        MiniBatchRegressor(callbacks=[one()], **BRIEF).fit(*numbers)
        assert len(called) == (4 if hook == "on_epoch_end" else 1)

    def test_what_is_built_in_satisfies_it(self):
        assert isinstance(Log(), Callback)
        for built_in in (History(), EarlyStopping(), ProgressBar()):
            assert any(hasattr(built_in, hook) for hook in ("on_start", "on_epoch_end", "on_end"))

    @pytest.mark.parametrize(
        "callbacks, message",
        [
            ([History], r"History'> has none \(it is a class: make an instance\)"),
            (
                [3],
                "one or more of the methods on_start, on_epoch_end, on_pause, on_end; 3 has none",
            ),
            ([History(), lambda _event: True], "<lambda> at .* has none"),
        ],
    )
    def test_what_does_not_is_refused_before_training(self, numbers, callbacks, message):
        with pytest.raises(InvalidComponent, match=message):
            MiniBatchRegressor(callbacks=callbacks, **BRIEF).fit(*numbers)

    def test_a_tuple_will_do(self, numbers):
        history = History()
        MiniBatchRegressor(callbacks=(history,), **BRIEF).fit(*numbers)
        assert len(history.records) == 4

    def test_none_that_answers_is_no_reason_to_stop(self, numbers):
        class Silent:
            def on_epoch_end(self, _event):
                return None

        assert MiniBatchRegressor(callbacks=[Silent()], **BRIEF).fit(*numbers).n_iter_ == 4


class TestHistory:
    def test_keeps_what_the_model_keeps(self, numbers):
        history = History()
        model = MiniBatchRegressor(callbacks=[history], **BRIEF).fit(*numbers)
        assert history.records == model.history_
        assert history.objectives == []

    def test_starts_afresh_with_each_fit(self, numbers):
        history = History(full_objective=True)
        model = MiniBatchRegressor(callbacks=[history], **BRIEF)
        model.fit(*numbers)
        model.set_params(max_iter=2).fit(*numbers)
        assert len(history.records) == len(history.objectives) == 2

    @pytest.mark.parametrize("average", [False, True])
    def test_has_the_objective_of_all_rows_at_the_epochs_weights(self, numbers, average):
        X, y = numbers
        weight = np.arange(60.0)
        history = History(full_objective=True)
        model = MiniBatchRegressor(callbacks=[history], alpha=0.2, average=average, **BRIEF)
        model.fit(X, y, sample_weight=weight)
        loss = np.average(0.5 * (model.predict(X) - y) ** 2, weights=weight)
        expected = loss + 0.2 * 0.5 * np.sum(model.coef_**2)
        assert history.objectives[-1] == pytest.approx(expected, rel=1e-12)


class TestEarlyStopping:
    def run(self, rows, stopping, **fit):
        model = MiniBatchRegressor(
            callbacks=[stopping], learning_rate=0.05, max_iter=300, tol=None, batch_size=60
        )
        return model.fit(*rows, **fit)

    @pytest.mark.parametrize("patience", [1, 4])
    @pytest.mark.parametrize("monitor", ["loss", "validation", "full_objective"])
    def test_waits_for_an_improvement(self, numbers, monitor, patience):
        stopping = EarlyStopping(monitor, min_delta=1e6, patience=patience)
        model = self.run(numbers, stopping, X_val=numbers.X, y_val=numbers.y)
        assert model.n_iter_ == 1 + patience  # the first epoch is always an improvement
        assert model.outcome_ is Outcome.CALLBACK

    def test_by_the_loss_ends_where_its_curve_flattens(self, numbers):
        model = self.run(numbers, EarlyStopping(min_delta=0.01, patience=1))
        falls = -np.diff(model.loss_curve_)
        assert falls[-1] <= 0.01 < falls[:-1].min()

    def test_by_the_loss_ends_at_the_target(self, numbers):
        curve = self.run(numbers, EarlyStopping(target=1.0)).loss_curve_
        assert curve[-1] <= 1.0 < curve[-2]

    def test_by_validation_ends_when_the_score_reaches_the_target(self, numbers):
        stopping = EarlyStopping("validation", target=0.9)
        scores = self.run(numbers, stopping, X_val=numbers.X, y_val=numbers.y).validation_scores_
        assert scores[-2] < 0.9 <= scores[-1]

    def test_by_the_full_objective_ends_when_that_reaches_the_target(self, numbers):
        history = History(full_objective=True)
        MiniBatchRegressor(
            callbacks=[history, EarlyStopping("full_objective", target=1.0)],
            learning_rate=0.05, max_iter=300, tol=None, batch_size=60,
        ).fit(*numbers)  # fmt: skip
        assert history.objectives[-1] <= 1.0 < history.objectives[-2]

    def test_starts_afresh_with_each_fit(self, numbers):
        stopping = EarlyStopping(min_delta=1e6, patience=2)
        assert [self.run(numbers, stopping).n_iter_ for _ in range(3)] == [3, 3, 3]

    def test_needs_validation_rows_to_watch_them(self, numbers):
        with pytest.raises(InvalidParameter, match="pass X_val and y_val to fit, or set early_st"):
            self.run(numbers, EarlyStopping("validation"))

    @pytest.mark.parametrize(
        "parameters, message",
        [
            ({"monitor": "accuracy"}, "'accuracy'.* one of 'loss', 'validation', 'full_obj"),
            ({"patience": 0}, "patience=0 .*>= 1"),
            ({"patience": "many"}, "patience.*'many'"),
            ({"min_delta": -0.1}, "min_delta=-0.1 .*>= 0"),
            ({"min_delta": float("nan")}, "min_delta=nan"),
            ({"min_delta": None}, "min_delta.*None"),
            ({"target": "low"}, "target.*'low'"),
        ],
    )
    def test_refuses_wrong_parameters(self, parameters, message):
        with pytest.raises(InvalidParameter, match=message):
            EarlyStopping(**parameters)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


class TestProgressBar:
    @pytest.fixture(autouse=True)
    def ordinary_terminal(self, monkeypatch):
        monkeypatch.setenv("TERM", "xterm-256color")
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)

    def test_elsewhere_prints_plain_lines(self, numbers):
        stream = io.StringIO()
        model = MiniBatchRegressor(callbacks=[ProgressBar(stream)], **BRIEF).fit(*numbers)
        lines = stream.getvalue().splitlines()
        assert re.fullmatch(
            rf"epoch 1/4  loss {model.loss_curve_[0]:.6g}  [\d.]+( [kMG])? rows/s", lines[0]
        )
        assert lines[-2].startswith(f"epoch 4/4  loss {model.loss_curve_[-1]:.6g}")
        assert re.fullmatch(
            r"4 epochs in \d+\.\d\d s: All epochs were run: max_iter of them\.", lines[-1]
        )
        assert "\x1b" not in stream.getvalue()

    def test_prints_one_line_a_second_at_most(self, numbers):
        stream = io.StringIO()
        MiniBatchRegressor(callbacks=[ProgressBar(stream)], max_iter=300, tol=None).fit(*numbers)
        assert len(stream.getvalue().splitlines()) < 30

    def test_shows_the_validation_score(self, numbers):
        stream = io.StringIO()
        model = MiniBatchRegressor(callbacks=[ProgressBar(stream)], early_stopping=True, **BRIEF)
        model.fit(*numbers)
        assert f"validation {model.validation_scores_[0]:.4f}" in stream.getvalue()

    @pytest.mark.parametrize("columns", [20, 40, 80, 200])
    def test_on_a_terminal_draws_a_bar(self, numbers, columns, monkeypatch):
        monkeypatch.setenv("COLUMNS", str(columns))
        stream = Terminal()
        model = MiniBatchRegressor(callbacks=[ProgressBar(stream)], **BRIEF).fit(*numbers)
        shown = stream.getvalue()
        assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)
        lines = ESCAPES.sub("", shown).replace("\r", "\n").splitlines()
        assert lines[-1].startswith("4 epochs in ")
        if columns >= 80:
            last = [line for line in lines if "epoch " in line][-1]
            assert "epoch 4/4" in last
            assert f"loss {model.loss_curve_[-1]:.6g}" in last
            assert "━" in last

    def test_on_a_terminal_gives_the_cursor_back_when_training_fails(self, numbers):
        stream = Terminal()
        with pytest.raises(Diverged):
            MiniBatchRegressor(callbacks=[ProgressBar(stream)], learning_rate=1e3, max_iter=50).fit(
                *numbers
            )
        shown = stream.getvalue()
        assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)
        assert "epochs in" not in shown

    def test_serves_many_fits(self, numbers):
        stream = Terminal()
        model = MiniBatchRegressor(callbacks=[ProgressBar(stream)], **BRIEF)
        model.fit(*numbers).fit(*numbers)
        assert ESCAPES.sub("", stream.getvalue()).count("4 epochs in ") == 2

    @pytest.mark.parametrize("cls", [MiniBatchRegressor, MiniBatchClassifier])
    @pytest.mark.parametrize("verbose", [1, True, 2])
    def test_is_what_verbose_shows_on_stderr(self, two_classes, cls, verbose, capsys):
        cls(verbose=verbose, **BRIEF).fit(*two_classes)
        captured = capsys.readouterr()
        assert "epoch 4/4" in captured.err
        assert "4 epochs in" in captured.err
        assert captured.out == ""

    def test_is_not_shown_without_verbose_nor_by_partial_fit(self, numbers, capsys):
        MiniBatchRegressor(**BRIEF).fit(*numbers)
        MiniBatchRegressor(verbose=1).partial_fit(*numbers)
        captured = capsys.readouterr()
        assert captured.out + captured.err == ""
