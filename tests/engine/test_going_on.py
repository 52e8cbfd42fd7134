"""A run goes on from its written state to the same bits, whatever the method and the step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradstep.engine.automatic import choice
from gradstep.engine.automatic.state import AutomaticState
from gradstep.engine.records import Outcome
from gradstep.engine.state import TextbookState, Validation
from gradstep.engine.state_check import state_of
from gradstep.engine.training import train
from gradstep.errors import InvalidParameter
from gradstep.objective.classification import Hinge, LogLoss, Softmax
from gradstep.objective.penalties import L1, L2, Scaled
from gradstep.objective.regression import Poisson, SquaredError
from gradstep.optim.optimizers import Adam
from gradstep.optim.solvers import Exact
from gradstep.rows.dataset import Dataset
from tests.engine.automatic.problems import case, few_rows, nasty_data, problem, sized
from tests.slow import slow_unless

# Each kind of step, each way out of one, each record of the state.
# Each made when it is needed: some are large.
CASES = {
    "newton": lambda: (*sized("newton", LogLoss()), case("newton", LogLoss())),
    "sampled": lambda: (*sized("sampled", Poisson()), case("sampled", Poisson())),
    "quasi-newton": lambda: (*sized("quasi-newton", LogLoss()), case("quasi-newton", LogLoss())),
    "quasi-newton, sampled": lambda: (
        *sized("quasi-newton", LogLoss()),
        case("quasi-newton", LogLoss()),
    ),
    "diagonal": lambda: (
        *sized("diagonal", LogLoss()),
        case("diagonal", LogLoss()) | {"max_epochs": 14},
    ),
    "diagonal, kinks": lambda: (*sized("diagonal", Hinge()), case("diagonal", Hinge())),
    "reduced": lambda: (
        *sized("diagonal", LogLoss()),
        {"loss": LogLoss(), "penalty": Scaled(L1(0.002), 1.0), "max_epochs": 12},
    ),
    "working sets": lambda: (
        *sized("diagonal", LogLoss()),
        {"loss": LogLoss(), "penalty": L1(0.002), "tol": 1e-9},
    ),
    "working sets of least squares": lambda: (
        *sized("diagonal", SquaredError()),
        {"loss": SquaredError(), "penalty": L1(0.002), "tol": 1e-9},
    ),
    "working sets without room": lambda: (
        *sized("diagonal", LogLoss()),
        {"loss": LogLoss(), "penalty": L1(0.0005), "max_epochs": 8},
    ),
    "few rows": lambda: (*few_rows(LogLoss()), {"loss": LogLoss(), "penalty": L2(1e-3)}),
    "kinks": lambda: (*sized("newton", Hinge()), case("newton", Hinge())),
    "l1": lambda: (*sized("newton", LogLoss()), {"loss": LogLoss(), "penalty": L1(0.03)}),
    "rejected": lambda: (
        *nasty_data("outlying rows", Poisson()),
        {"loss": Poisson(), "penalty": L2(1e-6)},
    ),
    "joint": lambda: (*sized("newton", Softmax()), case("newton", Softmax())),
    "quasi-newton, joint": lambda: (
        *sized("quasi-newton, joint", Softmax()),
        case("quasi-newton, joint", Softmax()) | {"max_epochs": 5},
    ),
    "two factors": lambda: (
        *sized("quasi-newton, joint", Softmax()),
        case("quasi-newton, joint", Softmax()) | {"max_epochs": 25},
    ),
    "exact": lambda: (*sized("newton", SquaredError()), {"optimizer": Exact()}),
}


def told(state):
    """Return all of a state but what depends on the clock, which there is none of."""
    return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in state.to_arrays().items()}


def written(state, of, data):
    """Return a state as it comes back from arrays alone, checked as those of a checkpoint."""
    arrays = state.to_arrays()
    assert all(isinstance(a, np.ndarray) and a.dtype.kind in "fiub" for a in arrays.values())
    return state_of(of, {name: a.copy() for name, a in arrays.items()}, data.n)


SLOW = {"diagonal, kinks", "few rows"}  # which have kernels of their own to compile


@pytest.mark.parametrize("name", slow_unless(lambda name: name not in SLOW, CASES))
def test_the_automatic_method_goes_on_after_any_epoch(name, monkeypatch):
    if name == "quasi-newton, sampled":
        monkeypatch.setattr(choice, "_SAMPLE_PAYS", 1)
    if name == "two factors":
        monkeypatch.setattr(choice, "_MOST_PARAMETERS", 128)
    data, _, changes = CASES[name]()
    of = problem(data, **changes)
    whole, outcome = train(of, data, of.start())
    assert isinstance(whole, AutomaticState)
    assert whole.epoch > 2 or name != "working sets of least squares"
    state, ended = of.start(), Outcome.PAUSED
    while ended is Outcome.PAUSED:
        state, ended = train(of, data, state, until_epoch=state.epoch + 1)
        state = written(state, of, data)
        ended = outcome if state.epoch == whole.epoch else ended
    assert told(state) == told(whole)


def test_pairs_that_no_run_has_written_are_refused():
    data, _, changes = CASES["diagonal"]()
    of = problem(data, **changes)
    state, _ = train(of, data, of.start(), until_epoch=5)
    arrays = state.to_arrays()
    steps = arrays["pairs.steps"]
    assert len(steps) > 1
    for other, why in (
        (2.0 * steps, "products"),  # as they were before they were scaled
        (np.full_like(steps, np.nan), "products"),
        (steps[:-1], f"{len(steps) - 1} steps"),
        (steps.astype(np.float64), "steps of float64"),
    ):
        with pytest.raises(ValueError, match=why):
            state_of(of, arrays | {"pairs.steps": other}, data.n)
    assert told(state_of(of, arrays, data.n)) == told(state)


@pytest.mark.parametrize("name", ["newton", "diagonal"])
def test_the_sum_of_arrays_is_of_the_size_of_the_model(name):
    data, X, changes = CASES[name]()
    of = problem(data, **changes)
    state, _ = train(of, data, of.start())
    numbers = sum(array.size for array in state.to_arrays().values())
    k, q = of.n_outputs, X.shape[1] + 1
    assert numbers < 100 + 30 * k * q + 2 * (k * q) ** 2 * (name == "newton")


def test_with_rows_held_out():
    data, _, changes = CASES["sampled"]()
    of = problem(data, **changes, tol=None, max_epochs=6)
    parts = np.split(np.arange(data.n, dtype=np.uint32), [6000])
    rest, held_out = (data.select(part) for part in parts)
    validation = Validation(held_out)
    whole, _ = train(of, rest, of.start(), validation=validation)
    state = of.start()
    for epoch in range(1, whole.epoch + 1):
        state, _ = train(of, rest, state, validation=validation, until_epoch=epoch)
        state = written(state, of, rest)
    assert told(state) == told(whole)


@pytest.mark.uncompiled
def test_the_textbooks_goes_on_after_any_batch():
    data, _, _ = CASES["newton"]()
    of = replace(problem(data), loss=LogLoss(), optimizer=Adam(), batch_size=64, max_epochs=3)
    whole, _ = train(of, data, of.start())
    assert isinstance(whole, TextbookState)
    state, outcome = of.start(), Outcome.PAUSED
    while outcome is Outcome.PAUSED:
        state, outcome = train(of, data, state, max_batches=5)
        state = written(state, of, data)
    assert told(state) == told(whole)


def test_the_automatic_method_has_no_batches_to_pause_after():
    data = Dataset(CASES["newton"]()[0].rows, CASES["newton"]()[0].y)
    of = problem(data)
    with pytest.raises(InvalidParameter, match="no batches to count"):
        train(of, data, of.start(), max_batches=1)
