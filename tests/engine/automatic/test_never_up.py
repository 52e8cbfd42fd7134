"""The objective never rises, however hard the features are to step along."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.automatic.solved_samples import SolvedSamples
from gradstep.engine.records import Outcome
from gradstep.objective.classification import LogLoss
from gradstep.objective.penalties import L1, L2, Scaled
from gradstep.objective.regression import Poisson
from gradstep.rows.dataset import Dataset
from tests.engine.automatic.problems import (
    SIZES,
    Objective,
    case,
    nasty_data,
    one_of_each,
    outputs,
    problem,
    sized,
)
from tests.engine.cases import usual_first

NASTY = (
    "heavy tails", "outlying rows", "correlated", "far from zero", "constant and copied",
    "nearly copied", "rare",
)  # fmt: skip


class TestNeverUp:
    @pytest.mark.parametrize("name", NASTY)
    @pytest.mark.parametrize("loss", usual_first(one_of_each()), ids=repr)
    def test_on_nasty_data(self, solve, loss, name):
        data, X = nasty_data(name, loss)
        changes = {"loss": loss, "n_outputs": outputs(loss), "penalty": L2(1e-6), "max_epochs": 80}
        found = solve(data, **changes)
        losses = [record.loss for record in found.records]
        assert losses == sorted(losses, reverse=True)
        assert all(rise <= 0.0 for rise in found.rises)
        objective = Objective.of(data, X, **changes)
        assert losses[0] <= objective(objective.start)[0] * (1.0 + 1e-12)
        size = abs(objective(objective.start)[0])
        for record, params in zip(found.records[::9], found.models[::9], strict=True):
            assert record.loss == pytest.approx(objective(params)[0], rel=1e-9, abs=1e-9 * size)

    @pytest.mark.parametrize("name, penalty", [
        ("quasi-newton", L2(1e-3)),
        pytest.param("diagonal", L2(1e-2), marks=pytest.mark.slow),
        pytest.param("diagonal", L1(1e-2), marks=pytest.mark.slow),
        pytest.param("diagonal", Scaled(L1(1e-2), 1.0), marks=pytest.mark.slow),
    ], ids=str)  # fmt: skip
    def test_with_many_features_and_rows_that_are_far_out(self, solve, name, penalty):
        """Steps that are too long are shortened, or taken back; the run ends all the same."""
        data, X = sized(name, Poisson())
        X, y = X.copy(), data.y.copy()
        X[7], X[8], y[5] = 1e3 * X[7], 100.0 * X[8], 1e5
        changes = {"loss": Poisson(), "penalty": penalty, "max_epochs": 60}
        found = solve(Dataset(SIZES[name][2](X), y), **changes)
        losses = [record.loss for record in found.records]
        assert losses == sorted(losses, reverse=True)
        assert all(rise <= 0.0 for rise in found.rises)
        rates = [record.learning_rate for record in found.records]
        assert all(0.0 <= rate <= 1.0 for rate in rates)
        assert min(rates) < 1.0 or found.kinds[0] is StepKind.WORKING_SET
        back = [record for record in found.records if "taken back" in record.note]
        assert bool(back) == (found.kinds[0] is StepKind.VARIANCE_REDUCED)
        if name == "quasi-newton":
            assert found.outcome is Outcome.OPTIMAL

    def test_the_solution_of_a_sample_is_not_taken_if_it_is_worse_than_the_start(
        self, solve, monkeypatch
    ):
        data, X = sized("sampled", LogLoss())
        for bad in (100.0, np.nan):
            found = lambda _, state, rows, bad=bad: (state, np.full(9, bad))  # noqa: ARG005, E731
            monkeypatch.setattr(SolvedSamples, "solution", found)
            ran = solve(data, **case("sampled", LogLoss()))
            assert ran.records[0].note == (
                "GS102: the solution of a sample was worse than the start: not taken"
            )
            assert not any(record.note for record in ran.records[1:])
            assert set(ran.kinds) == {StepKind.NEWTON}
            Objective.of(data, X, **case("sampled", LogLoss())).assert_solved_by(ran.params)


def test_math_is_not_warned_about(solve):
    """Warnings are errors here: what overflows on the way is dealt with."""
    data, _ = nasty_data("outlying rows", Poisson())
    start = problem(data).start(np.full(6, 0.01), np.zeros(1))
    found = solve(data, start, loss=Poisson(), penalty=L2(1e-6))
    assert math.isfinite(found.records[-1].loss)
