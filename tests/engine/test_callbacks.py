"""Callbacks: when they are called, with what, and the built-in ones."""

from __future__ import annotations

import copy
import io
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from gradstep import (
    Diverged,
    EarlyStopping,
    History,
    InvalidComponent,
    InvalidParameter,
    ProgressBar,
)
from gradstep.engine import callbacks
from gradstep.engine.callbacks import Callback
from gradstep.engine.records import Outcome
from gradstep.engine.slices import Slices
from gradstep.engine.state import Validation
from gradstep.engine.training import train
from gradstep.objective.penalties import NoPenalty
from gradstep.optim.optimizers import Momentum
from gradstep.optim.schedules import Constant
from tests.engine.cases import csr, fit, problem, regression
from tests.uncompiled import uncompiled

DATA = regression()


class Log:
    """Keeps the names of the calls, and their events."""

    def __init__(self):
        self.calls, self.events = [], []

    def _keep(self, name, event):
        self.calls.append(name)
        self.events.append(event)

    def on_start(self, start):
        self._keep("start", start)

    def on_epoch_end(self, event):
        self._keep(event.record.epoch, event)

    def on_end(self, end):
        self._keep("end", end)


class TestProtocol:
    def test_calls_and_events(self):
        log = Log()
        of = problem(DATA)
        fit(of, DATA, callbacks=[log])
        assert log.calls == ["start", 1, 2, 3, "end"]
        start, first, *_, end = log.events
        assert start.problem is first.problem is of
        assert start.data is first.data is DATA
        assert (end.outcome, end.error, end.epochs) == (Outcome.MAX_EPOCHS, None, 3)
        assert end.seconds > 0.0
        assert first.record.seconds > 0.0

    def test_are_told_of_a_failure(self):
        log = Log()
        with pytest.raises(Diverged) as info:
            fit(problem(DATA, schedule=Constant(1e9)), DATA, callbacks=[log])
        assert log.calls == ["start", "end"]
        assert log.events[-1].outcome is None
        assert log.events[-1].error is info.value

    def test_all_are_told_before_one_ends_the_run(self):
        class Stop:
            def on_epoch_end(self, _):
                return True

        log = Log()
        _, outcome, _ = fit(problem(DATA), DATA, callbacks=[Stop(), log])
        assert outcome is Outcome.CALLBACK
        assert log.calls == ["start", 1, "end"]

    def test_one_hook_is_enough(self):
        class OnlyEnd:
            def on_end(self, end):
                self.end = end

        only = OnlyEnd()
        fit(problem(DATA), DATA, callbacks=[only])
        assert only.end.epochs == 3
        assert isinstance(Log(), Callback)
        assert not isinstance(only, Callback)

    @pytest.mark.parametrize(
        "wrong", [object(), History, "History"], ids=["object", "class", "str"]
    )
    def test_what_is_none_is_refused(self, wrong):
        with pytest.raises(InvalidComponent, match="on_start, on_epoch_end, on_pause, on_end"):
            fit(problem(DATA), DATA, callbacks=[wrong])


class TestPauses:
    class Paused:
        """Keeps where it was called; ends the run there with an answer."""

        def __init__(self, at=None, answer=None):
            self.at, self.answer, self.seen, self.outcomes = at, answer, [], []

        def on_pause(self, pause):
            self.seen.append((pause.state.epoch, pause.state.batch))
            self.outcomes.append(pause.outcome)
            return self.answer if self.seen[-1] == self.at else None

        def batches_to(self, state):
            return 3

    def test_are_within_epochs_and_after_each(self):
        paused = self.Paused()
        fit(problem(DATA), DATA, callbacks=[paused])  # 7 batches an epoch
        assert paused.seen[-3:] == [(2, 3), (2, 6), (3, 0)]
        assert {(1, 0), (2, 0)} <= set(paused.seen)
        assert paused.outcomes == [None] * (len(paused.seen) - 1) + [Outcome.MAX_EPOCHS]

    @pytest.mark.parametrize(
        "answer, outcome", [(True, "CALLBACK"), *[(o, o.name) for o in Outcome]]
    )
    def test_end_a_run_where_they_are(self, answer, outcome):
        paused, later = self.Paused((2, 3), answer), self.Paused()
        state, ended, _ = fit(problem(DATA), DATA, callbacks=[paused, later])
        assert (ended.name, state.epoch, state.batch) == (outcome, 2, 3)
        assert later.outcomes[-1] is ended

    def test_change_no_bit_and_no_record(self):
        log, (whole, _, epochs) = Log(), fit(problem(DATA), DATA)
        paused, _, sliced = fit(problem(DATA), DATA, callbacks=[self.Paused(), log])
        assert paused.params.tobytes() == whole.params.tobytes()
        assert sliced == epochs
        for event in log.events[1:-1]:
            assert event.record.rows_per_second * event.record.seconds == pytest.approx(53)

    @uncompiled
    def test_show_the_model_whether_features_wait_for_their_turn(self):
        """Looking at it changes no bit."""
        data = regression(n=41, p=1500, density=0.002, layout=csr)
        of = problem(data, optimizer=Momentum(), batch_size=2)
        seen = {}

        class Look(self.Paused):
            def on_pause(self, pause):
                if pause.state.steps % 2:
                    seen[pause.state.steps] = pause.params.copy()

        whole, *_ = fit(of, data)
        looked, *_ = fit(of, data, callbacks=[Look()])
        assert looked.params.tobytes() == whole.params.tobytes()
        assert len(seen) > 5
        for steps, params in seen.items():
            state, *_ = fit(of, data, max_batches=steps)
            np.testing.assert_array_equal(params, state.current())

    def test_ask_for_the_order_of_an_epoch_once(self):
        asked = []

        def order(epoch, n):
            asked.append(epoch)
            return range(n)

        fit(problem(DATA, shuffle=order), DATA, callbacks=[self.Paused()])
        assert asked == [0, 1, 2]

    def test_come_as_often_as_the_clock_says(self, monkeypatch):
        """Where no callback counts: each slice as long as half a second, as the last ones tell."""
        clock = iter(range(10**6))
        monkeypatch.setattr("gradstep.engine.slices.time.perf_counter", lambda: next(clock) * 1e-2)
        listeners = callbacks.Callbacks([type("Pauses", (), {"on_pause": lambda *_: None})()])
        slices = Slices(listeners, None)
        lengths = []
        for _ in range(6):  # a hundredth of a second each, however long
            lengths.append(slices.begin(None))
            slices.end(0)
        assert lengths == [1, 8, 64, 512, 4096, 32768]
        slices.begin(None)
        for _ in range(99):
            next(clock)
        slices.end(0)  # a whole second
        assert slices.begin(None) == 131072


class TestHistory:
    def test_objectives(self):
        history = History(full_objective=True)
        of = problem(DATA, batch_size=53, shuffle="none", penalty=NoPenalty())
        train(of, DATA, of.start(), callbacks=[history])
        # with full batches the loss after a step is that before the next one
        losses = [record.loss for record in history.records]
        assert len(history.objectives) == 3
        assert history.objectives[:-1] == pytest.approx(losses[1:], rel=1e-12)

    def test_starts_afresh(self):
        history = History(full_objective=True)
        of = problem(DATA)
        for _ in range(2):
            train(of, DATA, of.start(), callbacks=[history])
        assert [record.epoch for record in history.records] == [1, 2, 3]
        assert len(history.objectives) == 3


class TestEarlyStopping:
    @staticmethod
    def epochs(values, monitor="loss", **options):
        """Return after how many epochs a run with these numbers is ended."""
        stopping = EarlyStopping(monitor, **options)
        stopping.on_start(None)

        class Event:
            def __init__(self, value):
                self.full_objective = value
                self.record = type("Record", (), {"loss": value, "validation": value})

        ends = [stopping.on_epoch_end(Event(value)) for value in values]
        return ends.index(True) + 1 if True in ends else None

    def test_patience(self):
        assert self.epochs([3, 2, 2, 2, 1], patience=2) == 4
        assert self.epochs([3, 2, 2, 1, 1, 1], patience=2) == 6
        assert self.epochs([3, 2, 1, 0], patience=1) is None

    def test_min_delta(self):
        assert self.epochs([3, 2.5, 2.0, 1.5], min_delta=0.6, patience=2) == 3
        assert self.epochs([3, 2.5, 2.0, 1.5], min_delta=0.4, patience=2) is None

    def test_validation_rises(self):
        assert self.epochs([1, 2, 3, 2, 2], "validation", patience=2) == 5
        assert self.epochs([1, 2, 3, 4], "validation", patience=1) is None

    def test_target(self):
        assert self.epochs([3, 2, 1], "full_objective", target=2) == 2
        assert self.epochs([0.1, 0.8, 0.9], "validation", target=0.9) == 3

    def test_in_a_run(self):
        held_out = Validation(DATA, lambda _: 1.0, stops=False)
        _, outcome, told = fit(
            problem(DATA, max_epochs=9), DATA, validation=held_out,
            callbacks=[EarlyStopping("validation", patience=2)],
        )  # fmt: skip
        assert (outcome, len(told)) == (Outcome.CALLBACK, 3)

    def test_serves_many_runs(self):
        stopping = EarlyStopping(min_delta=1e9, patience=2)
        for _ in range(2):
            _, _, told = fit(problem(DATA), DATA, callbacks=[stopping])
            assert len(told) == 3  # the first improves on nothing

    def test_needs_validation_rows(self):
        with pytest.raises(InvalidParameter, match="needs validation rows"):
            fit(problem(DATA), DATA, callbacks=[EarlyStopping("validation")])

    @pytest.mark.parametrize(
        "wrong", [{"monitor": "accuracy"}, {"patience": 0}, {"min_delta": -1.0}], ids=str
    )
    def test_refuses(self, wrong):
        with pytest.raises(InvalidParameter, match="EarlyStopping"):
            EarlyStopping(**wrong)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestProgressBar:
    def test_lines(self):
        stream = io.StringIO()
        fit(problem(DATA), DATA, callbacks=[ProgressBar(stream)])
        lines = stream.getvalue().splitlines()
        assert lines[0].startswith("epoch 1/3  loss ")
        assert lines[0].endswith("rows/s")
        assert lines[-2].startswith("epoch 3/3  loss ")
        assert lines[-1].startswith("3 epochs in ")
        assert lines[-1].endswith(Outcome.MAX_EPOCHS.sentence)

    def test_no_more_than_a_line_a_second(self, monkeypatch):
        now = [0.0]

        def monotonic():
            now[0] += 0.4
            return now[0]

        monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=monotonic))
        stream = io.StringIO()
        fit(problem(DATA, max_epochs=7), DATA, callbacks=[ProgressBar(stream)])
        shown = [line.split()[1] for line in stream.getvalue().splitlines()[:-1]]
        assert shown == ["1/7", "4/7", "7/7"]

    def test_validation_is_shown(self):
        stream = io.StringIO()
        held_out = Validation(DATA, lambda _: 0.25)
        fit(problem(DATA), DATA, validation=held_out, callbacks=[ProgressBar(stream)])
        assert "validation 0.2500" in stream.getvalue()

    def test_a_bar_on_a_terminal(self):
        stream = Terminal()
        fit(problem(DATA), DATA, callbacks=[ProgressBar(stream)])
        text = stream.getvalue()
        assert "epoch 3/3" in text
        assert "rows/s" not in text  # a bar, no lines
        assert Outcome.MAX_EPOCHS.sentence in text

    def test_the_bar_is_closed_after_a_failure(self):
        stream = Terminal()
        bar = ProgressBar(stream)
        for _ in range(2):  # a bar left open would refuse the second
            with pytest.raises(Diverged):
                fit(problem(DATA, schedule=Constant(1e9)), DATA, callbacks=[bar])
        assert "epochs in" not in stream.getvalue()

    def test_copies(self):
        bar = ProgressBar(io.StringIO())
        assert copy.deepcopy(bar).stream is None
        assert pickle.loads(pickle.dumps(bar)).stream is None
