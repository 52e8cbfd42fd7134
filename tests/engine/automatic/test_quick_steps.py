"""Quick steps end no sooner where features depend on each other, whatever their gains tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.records import Outcome
from gradstep.objective.classification import LogLoss
from gradstep.objective.penalties import L2
from gradstep.objective.regression import SquaredError
from tests.engine.automatic.problems import Objective, with_a_pair, with_factors

ROUGHLY = {"loss": LogLoss(), "tol": 1e-3}


@pytest.mark.parametrize("alpha", [1e-4, 1e-2])
@pytest.mark.parametrize("n, p", [(1500, 400), (400, 1400)])
@pytest.mark.parametrize("many, own", [(1, 0.1), (5, 1e-2), (9, 1.0), (12, 1e-3), (20, 0.1)])
def test_a_run_ends_no_sooner_where_features_depend_on_each_other(n, p, many, own, alpha, solve):
    """The gains shrink long before the optimum there, and small eigenvalues are met late."""
    for data, X in (with_factors(n, p, many, own, noise=0.3), with_a_pair(n, p)):
        changes = ROUGHLY | {"loss": SquaredError(), "penalty": L2(alpha)}
        ran = solve(data, **changes)
        assert ran.outcome is Outcome.OPTIMAL
        told = ran.records[-1].optimality
        exact = solve(data, **changes | {"tol": 1e-9}).params
        objective = Objective.of(data, X, **changes)
        least, at_start = objective(exact)[0], 0.5 * data.y.var()
        # a matrix of few rows, in single precision, tells it to a percent or two
        room = 1.1 if n < p and StepKind.NEWTON in ran.kinds else 1.01
        assert objective(ran.params)[0] - least <= (room * told**2 + 1e-13) * (at_start - least)


@pytest.mark.parametrize("alpha", [1e-4, 1e-2])
@pytest.mark.parametrize("many, own", [(5, 1e-2), (12, 1e-2), (20, 0.1)])
def test_nor_does_one_of_classes(many, own, alpha, solve):
    for data, X in (with_factors(500, 2000, many, own, 0.3), with_a_pair(500, 2000)):
        changes = ROUGHLY | {"penalty": L2(alpha)}
        data = replace(data, y=np.where(data.y > 0.0, 1.0, -1.0))  # noqa: PLW2901
        exact = solve(data, **changes | {"tol": 1e-9}).params
        objective = Objective.of(data, X, **changes)
        least, at_start = objective(exact)[0], objective(objective.start)[0]
        ran = objective(solve(data, **changes).params)[0]
        assert ran - least <= 2e-6 * (at_start - least)
