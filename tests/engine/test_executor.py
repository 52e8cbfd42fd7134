"""Who computes on the rows changes no bit, and the engine reads rows through them alone."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.executor import on_group
from gradstep.engine.restart import run
from gradstep.engine.state import Validation
from gradstep.errors import InvalidParameter
from gradstep.objective.classification import Hinge, LogLoss, Softmax
from gradstep.objective.penalties import L1
from gradstep.objective.regression import Poisson, SquaredError
from gradstep.optim.optimizers import SGD
from gradstep.rows import shards
from gradstep.rows.dataset import Dataset
from tests.engine.automatic.problems import case, problem, sized


class Elsewhere:
    """Another machine: tasks and results cross a wire, and come back in another order."""

    most_bytes = 1 << 10

    def __init__(self, data):
        self.data, self.sent = data, 0

    def run(self, task, groups, own=None):
        wire = pickle.dumps(task)
        found = {}
        for at in reversed(range(len(groups))):
            parts = [self.data.part(*bounds) for bounds in groups[at]]
            result = on_group(pickle.loads(wire), parts, None if own is None else own[at])
            found[at] = pickle.loads(pickle.dumps(result))
            self.sent += 1
        return [found[at] for at in range(len(groups))]

    def take(self, at):
        return self.data.permuted(at)

    def close(self):
        pytest.fail("whoever opened it closes it")


def elsewhere(data):
    """Return what a driver knows of data that lie elsewhere: no number of a feature."""
    rows = data.rows
    blind = rows._replace(values=np.full_like(rows.values, np.nan))
    return replace(data, rows=blind, executor=Elsewhere(data))


CASES = {
    "newton": ("newton", LogLoss(), {}),
    "least squares": ("newton", SquaredError(), {}),
    "sample": ("sampled", Poisson(), {}),
    "quasi-newton": ("quasi-newton", LogLoss(), {}),
    "joint": ("sampled", Softmax(), {}),
    "diagonal": ("diagonal", LogLoss(), {"max_epochs": 12}),
    "kinks": ("newton", Hinge(), {}),
    "l1": ("newton", LogLoss(), {"penalty": L1(0.03)}),
}


@pytest.fixture(autouse=True)
def _many_shards(monkeypatch):
    monkeypatch.setattr(shards, "_SHARD_BYTES", 1 << 11)
    monkeypatch.setattr(shards, "_NUMBERS_A_FEATURE", 0.1)


@pytest.mark.parametrize("name", CASES)
def test_another_executor_has_the_same_bits(name):
    size, loss, changes = CASES[name]
    data, _ = sized(size, loss)
    assert len(data.shards()) > 8
    of = problem(data, **case(size, loss) | changes)
    here, there = run(of, data, of.start()), elsewhere(data)
    found = run(of, there, of.start())
    assert there.executor.sent > 8
    assert found.outcome is here.outcome
    for key, array in here.state.to_arrays().items():
        assert array.tobytes() == found.state.to_arrays()[key].tobytes(), key


def test_held_out_rows_are_scored_there(monkeypatch):
    data, _ = sized("sampled", LogLoss())
    of = problem(data, **case("sampled", LogLoss()))
    parts = data.part(0, 3000), data.part(3000, data.n)

    def score(z):
        return float(z.mean())

    for how in (None, score):
        here = run(of, parts[0], of.start(), validation=Validation(parts[1], how))
        far = [elsewhere(part) for part in parts]
        found = run(of, far[0], of.start(), validation=Validation(far[1], how))
        assert found.state.best_score == here.state.best_score > -np.inf
        assert far[1].executor.sent > 0


def test_steps_that_follow_each_other_are_refused():
    data, _ = sized("newton", LogLoss())
    of = problem(data, loss=LogLoss(), optimizer=SGD())
    with pytest.raises(InvalidParameter, match="cannot be spread over machines"):
        run(of, elsewhere(data), of.start())


def test_mini_batches_of_the_automatic_method_are_refused():
    data, _ = sized("diagonal", LogLoss())
    of = problem(data, loss=LogLoss(), penalty=L1(0.01))
    with pytest.raises(InvalidParameter, match="use an l2 penalty"):
        run(of, elsewhere(data), of.start())
    assert StepKind.VARIANCE_REDUCED.words == "variance-reduced steps"


def test_a_part_is_computed_here():
    data, _ = sized("newton", LogLoss())
    assert elsewhere(data).part(0, 9).executor is None
    assert elsewhere(data).select(np.arange(9, dtype=np.uint32)).executor is None
    assert isinstance(elsewhere(data).executor.take(np.arange(3)), Dataset)
