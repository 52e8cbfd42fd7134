"""Which setting a race takes of each side, and what it says of sides that do not get there."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.solvers import race as module
from benchmarks.solvers.cases import Case
from benchmarks.solvers.ours import NAME
from benchmarks.solvers.race import race
from benchmarks.solvers.side import Side
from benchmarks.solvers.trials import Trials

CASE = Case("dense", "squared_error", "l2", 60, 3)
SETTINGS = (1e-1, 1e-2, 1e-3, 1e-4)


def _least(o):
    """Return the ridge solution, from the normal equations of centred columns."""
    X, y = o.X - o.X.mean(axis=0), o.y - o.y.mean()
    w = np.linalg.solve(X.T @ X / len(y) + o.alpha * np.eye(o.X.shape[1]), X.T @ y / len(y))
    return o.value(w[None], np.array([o.y.mean() - o.X.mean(axis=0) @ w]))


class Sides:
    """Sides whose excess is what they were asked with, times something."""

    def __init__(self, **times):
        self.times, self.calls = times, []

    def make(self, task, name, settings=SETTINGS, rates=()):
        o, least = task.objective, _least(task.objective)

        def fit(setting, rate=0.0):
            self.calls.append((name, setting, rate))
            if callable(self.times[name]):
                return self.times[name](setting, rate)
            return self.times[name] * setting

        def value(excess):
            return least + excess * (o.of_constant - least)

        return Side(name, fit, value, settings, rates)


def _raced(monkeypatch, folder, made, more=(), **options):
    """Race gradstep against sides; `more` has those with settings of their own."""

    def peers(task, *, small_batches):
        del small_batches
        for name in set(made.times) - {NAME} - set(dict(more)):
            yield name, lambda name=name: [made.make(task, name)]
        for name, own in more:
            yield name, lambda name=name, own=own: [made.make(task, name, *own)]

    monkeypatch.setattr(module, "ours", lambda task: made.make(task, NAME, (1e-9, 1e-12)))
    monkeypatch.setattr(module, "sides", peers)
    asked = {"excess": 1e-3, "repeats": 2, "small_batches": True} | options
    result = race(CASE, Trials(folder / "trials.json"), **asked)
    return {side.name: side for side in result.sides}, result


def test_takes_the_first_setting_that_reaches_the_target(monkeypatch, tmp_path):
    found, result = _raced(monkeypatch, tmp_path, Sides(gradstep=1.0, near=0.5, far=50.0))
    assert result.sides[0].name == NAME
    assert found["near"].setting == 1e-3
    assert found["near"].excess == pytest.approx(5e-4, rel=1e-6)
    assert len(found["near"].seconds) == len(found[NAME].seconds) == 2
    assert found["far"].seconds == []
    assert found["far"].skipped.startswith("misses the target; excess 5.0e-03 after")


def test_an_error_of_a_library_is_told_and_the_others_go_on(monkeypatch, tmp_path):
    def fails(setting, rate):
        message = f"no {setting:g}"
        raise RuntimeError(message)

    found, _ = _raced(monkeypatch, tmp_path, Sides(gradstep=1.0, broken=fails, near=1.0))
    assert found["broken"].skipped == "RuntimeError: no 0.1"
    assert len(found["near"].seconds) == 2


def test_a_rate_is_chosen_at_each_setting_beside_the_best_before(monkeypatch, tmp_path):
    def excess(epochs, rate):
        return abs(np.log10(rate / 0.1)) + 0.01 / epochs**2

    made = Sides(gradstep=1.0, steps=excess)
    own = ((1.0, 2.0, 4.0), (1.0, 0.1, 0.01, 0.001))
    found, _ = _raced(monkeypatch, tmp_path, made, [("steps", own)])
    assert (found["steps"].setting, found["steps"].rate) == (4.0, 0.1)
    assert found["steps"].unit == "epochs"
    tried = [call[1:] for call in made.calls if call[0] == "steps"]
    assert tried[1:5] == [(1.0, rate) for rate in own[1]]  # the first compiles
    assert tried[5:8] == [(2.0, 1.0), (2.0, 0.1), (2.0, 0.01)]
    assert (4.0, 0.001) not in tried


def test_a_value_that_is_no_number_reaches_no_target(monkeypatch, tmp_path):
    made = Sides(gradstep=1.0, wild=lambda *_: np.nan)
    found, _ = _raced(monkeypatch, tmp_path, made)
    assert "misses the target" in found["wild"].skipped


def test_a_slow_peer_far_from_the_target_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "HOPELESS", -1.0)
    monkeypatch.setattr(module, "TIMES", -1.0)
    made = Sides(gradstep=1.0, far=1e3)
    _raced(monkeypatch, tmp_path, made)
    assert [call[1] for call in made.calls if call[0] == "far"] == [0.1, 0.1]


def test_a_first_fit_that_takes_too_long_is_a_trial(monkeypatch, tmp_path):
    made = Sides(gradstep=1.0, far=1e3)
    monkeypatch.setattr(module, "PATIENCE", -1.0)
    _raced(monkeypatch, tmp_path, made)
    assert [call[1] for call in made.calls if call[0] == "far"] == [0.1]


def test_trials_that_were_made_are_not_made_again(monkeypatch, tmp_path):
    _raced(monkeypatch, tmp_path, Sides(gradstep=1.0, near=1.0))
    again = Sides(gradstep=1.0, near=1.0)
    found, _ = _raced(monkeypatch, tmp_path, again)
    # Compiling; then rounds, one that does not count and two that do, of several short fits each.
    calls = [call[1] for call in again.calls if call[0] == "near"]
    assert calls == [0.1, *[1e-3] * 3 * module.CALLS]
    assert found["near"].setting == 1e-3


def test_when_the_time_is_up_peers_are_tried_no_more(monkeypatch, tmp_path):
    made = Sides(gradstep=1.0, near=1.0)
    found, _ = _raced(monkeypatch, tmp_path, made, until=0.0)
    assert found["near"].skipped == "not tried: the time of the case was up"
    assert len(found[NAME].seconds) == 2


def test_a_trial_that_may_have_compiled_is_made_once_more(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SLOW", 0.0)
    monkeypatch.setattr(module, "JUMP", 0.0)  # each trial but the first takes so many times as long
    made = Sides(gradstep=1.0, near=0.5)
    found, _ = _raced(monkeypatch, tmp_path, made)
    tried = [call[1] for call in made.calls if call[0] == "near"]
    assert tried[:6] == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]  # the first of all compiles
    assert found["near"].setting == 1e-3
    assert len(Trials(tmp_path / "trials.json").rungs["near"]) == 3
