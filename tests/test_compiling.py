"""The clock of compilation, and what a bar shows of it."""

from __future__ import annotations

import io
import sys
import time
from contextlib import nullcontext

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

import gradstep.jit  # noqa: F401  (it listens to Numba)
from gradstep.cli import progress
from gradstep.compiling import CLOCK, CompileClock, Moment, seconds_of
from gradstep.engine.callbacks import EpochEnd
from gradstep.engine.records import EpochRecord
from gradstep.engine.state import Problem
from gradstep.objective.penalties import L2
from gradstep.objective.regression import SquaredError
from gradstep.optim.solvers import SVRG


class Recorder:
    """What stands in for a bar on a terminal."""

    def __init__(self, stream):
        self.shown = []

    def show(self, *what, **more):
        self.shown.append((*what, more.get("since") is not None))

    def close(self):
        self.shown.append("closed")


def on_a_terminal(monkeypatch):
    """Let bars be there from the first moment on."""
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "_QUIET_SECONDS", -1.0)
    monkeypatch.setattr(progress, "Bar", Recorder)


def test_the_clock_sums_what_is_compiled_parts_of_it_once():
    clock, told = CompileClock(), []
    clock.told = told.append
    clock.begin()
    clock.begin()
    time.sleep(0.02)
    clock.end()
    assert clock.seconds >= 0.02
    clock.end()
    found = clock.seconds
    assert clock.seconds == found < 10.0
    assert [each is None for each in told] == [False, True]


@pytest.mark.parametrize("fails", [False, True])
def test_numba_moves_it(fails):
    @njit
    def compiled(x):
        return x.no_such_thing if fails else x + 1.0

    began = CLOCK.seconds, Moment.now()
    with pytest.raises(TypingError) if fails else nullcontext():
        compiled(np.float64(1.0))
    assert CLOCK.seconds > began[0]
    assert CLOCK.seconds == CLOCK.seconds  # it stands still again
    found = seconds_of(began[1], Moment.now())
    assert found["compiling"] == pytest.approx(CLOCK.seconds - began[0])
    assert found["preparing"] + found["training"] < 0.5


def test_a_bar_makes_room_and_listens_while_it_is_there(monkeypatch):
    on_a_terminal(monkeypatch)
    with progress.Progress() as bar:
        assert CLOCK.told is not None
        bar("reading", 2000)
        recorder = bar._bar
        with bar.aside():
            assert recorder.shown[-1] == "closed"
        bar("reading", 3000)
        assert bar._bar is not recorder
    assert CLOCK.told is None


def test_what_is_left_is_told_not_a_time(monkeypatch):
    on_a_terminal(monkeypatch)
    bar = progress.Progress()
    bar.position(12_345_678, 31_000_000)
    bar("reading", 2000)
    recorder = bar._bar
    bar._compiling(1.0)
    bar._compiling(None)
    bar("encoding", 500)
    problem = Problem(
        loss=SquaredError(), penalty=None, optimizer=SVRG(), schedule=None, n_features=1,
        max_epochs=50, tol=1e-4,
    )  # fmt: skip
    for left in (0.01, None):
        record = EpochRecord(3, 0.5, -0.25, 1.0, 1e6, 0.1, optimality=left)
        bar.on_epoch_end(EpochEnd(record, problem, None, None))
    assert recorder.shown == [
        ("reading", "12.3 of 31.0 MB, 2,000 rows", 12_345_678, 31_000_000, False),
        ("compiling", "once, 10 to 20 s:", 0, None, True),
        ("reading", "12.3 of 31.0 MB, 2,000 rows", 12_345_678, 31_000_000, False),
        ("encoding", "500 of 2,000 rows", 500, 2000, False),
        ("epoch 3", "loss 0.5, held out 0.25, step 1e-02 → 1e-04", 2.0, 4.0, False),
        ("epoch 3", "loss 0.5, held out 0.25, 1.0 M rows/s", 3.0, 50.0, False),
    ]


def test_alphas_that_are_tried_are_named(monkeypatch):
    """Each is a run of its own, whose epochs begin anew; where rows are held out, it is chosen."""
    on_a_terminal(monkeypatch)
    bar = progress.Progress()
    for alpha, validation in ((0.01, None), (0.001, None), (0.001, -0.25)):
        problem = Problem(
            loss=SquaredError(), penalty=L2(alpha=alpha), optimizer=SVRG(), schedule=None,
            n_features=1, max_epochs=50, tol=1e-4,
        )  # fmt: skip
        record = EpochRecord(1, 0.5, validation, 1.0, 1e6, 0.1, optimality=0.01)
        bar.on_epoch_end(EpochEnd(record, problem, None, None))
    shown = [what for what, *_ in bar._bar.shown]
    assert shown == ["alpha 0.01, epoch 1", "alpha 0.001, epoch 1", "epoch 1"]
