"""Steps of few rows and many features, beside those of the whole matrix of the features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradstep.engine.automatic.choice import StepKind, has_few_rows, rule_for
from gradstep.engine.automatic.penalty_path import Path
from gradstep.engine.automatic.row_space import RowSpace
from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.engine.automatic.smoothing import Smoothing
from gradstep.engine.records import Outcome
from gradstep.engine.row_sums import RowSums
from gradstep.engine.statistics import columns_of
from gradstep.objective.classification import LogLoss, OneVsRest
from gradstep.objective.penalties import L1, L2, NoPenalty
from gradstep.objective.regression import Poisson, SquaredError
from gradstep.optim.solvers import Exact
from gradstep.rows.dataset import Dataset
from tests.engine.automatic.problems import Objective, few_rows, problem
from tests.engine.cases import csr, dense


def scaled(data, **changes):
    return ScaledProblem(problem(data, **changes), data, columns_of(data))


def assert_flat(objective, params):
    """Assert that a point has next to no gradient, so that it is the minimum."""
    slope, at_start = (np.abs(objective(at)[1]).max() for at in (params, objective.start))
    assert slope <= 1e-9 * at_start


def whole_step(of, X, h, gradient):
    """Return the step (k, q) by the matrix of the features."""
    x = (X - of.standardisation.shift) * of.standardisation.scale
    x = np.column_stack([x, np.full(len(x), float(of.problem.fit_intercept))])
    step = np.zeros_like(gradient)
    for c, g in enumerate(gradient):
        matrix = (x.T * h[c % len(h)]) @ x + np.diag(of.ridge)
        free = np.diag(matrix) > 0.0
        step[c, free] = -np.linalg.solve(matrix[np.ix_(free, free)], g[free])
    return step


@pytest.mark.parametrize("layout", [dense, csr])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.uncompiled
def test_the_step_is_that_of_the_matrix_of_all_features(layout, fit_intercept):
    data, X = few_rows(LogLoss(), n=12, p=30, layout=layout)
    data = replace(data, y=np.column_stack([data.y, -data.y[::-1]]))
    scales = np.linspace(0.5, 2.0, 30)
    of = scaled(
        data, loss=OneVsRest(LogLoss()), n_outputs=2, fit_intercept=fit_intercept,
        penalty_scales=scales,
    )  # fmt: skip
    params = np.random.default_rng(0).normal(size=62)
    params[60:] *= fit_intercept
    with RowSums(data, 2) as sums:
        smoothing = Smoothing.first(of, near=False)
        space = RowSpace(of, data)
        gradient = of.standardisation.gradient(sums.gradient(of.problem.loss, params)[1])
        found = space.preconditioner(params, smoothing).direction(gradient)
    z = X @ params[:60].reshape(2, 30).T + params[60:]
    chance = 1.0 / (1.0 + np.exp(-z))
    h = (chance * (1.0 - chance)).T * data.sample_weight / data.sample_weight.sum()
    expected = whole_step(of, X, h, gradient)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7 * np.abs(expected).max())


ROWS = {
    "dense": {},
    "sparse": {"layout": csr},
    "no intercept": {"fit_intercept": False},
    "scales": {"penalty_scales": np.linspace(0.5, 2.0, 400)},
    "exact": {"optimizer": Exact()},
}


@pytest.mark.parametrize("name", ROWS)
def test_least_squares_is_solved_by_one_step(name, solve):
    changes = dict(ROWS[name])
    data, X = few_rows(SquaredError(), layout=changes.pop("layout", dense))
    ran = solve(data, **changes)
    assert ran.kinds == [StepKind.NEWTON]
    assert ran.outcome is Outcome.OPTIMAL
    assert_flat(Objective.of(data, X, **changes), ran.params)


@pytest.mark.uncompiled
@pytest.mark.parametrize("loss", [LogLoss(), Poisson()])
def test_other_losses_are_solved_by_newtons_method(loss, solve):
    data, X = few_rows(loss)
    data = replace(data, rows=dense(X.astype(np.float32)))
    ran = solve(data, loss=loss)
    assert set(ran.kinds) == {StepKind.NEWTON}
    assert len(ran.kinds) < 15
    Objective.of(data, X.astype(np.float32), loss=loss).assert_solved_by(ran.params)


def test_rows_of_weight_0_and_several_outputs(solve):
    data, X = few_rows(SquaredError())
    y = np.column_stack([data.y[:, 0], data.y[::-1, 0], np.ones(data.n)])
    weight = np.tile([0.0, 1.0, 2.0, 0.5], data.n // 4)
    ran = solve(Dataset(data.rows, y, weight), n_outputs=3)
    assert ran.kinds == [StepKind.NEWTON]
    kept = np.flatnonzero(weight)
    own = Dataset(dense(X[kept]), y[kept], weight[kept])
    assert_flat(Objective.of(own, X[kept], n_outputs=3), ran.params)


@pytest.mark.parametrize("changes", [
    {"penalty": NoPenalty()}, {"penalty": L1(0.1)}, {"penalty_scales": np.arange(400.0)},
], ids=str)  # fmt: skip
def test_where_a_feature_is_not_penalised_there_is_no_such_step(changes):
    data, _ = few_rows(SquaredError())
    assert has_few_rows(scaled(data))
    assert not has_few_rows(scaled(data, **changes))


def test_a_path_of_penalties_goes_on_where_none_is_left():
    data, X = few_rows(SquaredError())
    path = Path(data, columns_of(data), np.zeros(401))
    for alpha in (1.0, 1e-3, 0.0, 1e-2):
        of = problem(data, penalty=L2(alpha))
        found = path.optimum(of)
        if alpha:
            assert_flat(Objective.of(data, X, penalty=L2(alpha)), found)
    assert rule_for(scaled(data)).kind is StepKind.NEWTON
