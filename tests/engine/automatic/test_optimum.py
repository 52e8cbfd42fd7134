"""Every kind of step comes to SciPy's optimum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from gradstep.engine.automatic import choice
from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.records import Outcome
from gradstep.objective.classification import Hinge, LogLoss, Softmax
from gradstep.objective.losses import is_smooth
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty, Scaled
from gradstep.objective.regression import EpsilonInsensitive, Huber, Pinball, Poisson, SquaredError
from gradstep.rows.dataset import Dataset
from tests.engine.automatic.problems import (
    Objective,
    case,
    one_of_each,
    outputs,
    problem,
    sized,
    targets,
)
from tests.engine.cases import dense, usual_first
from tests.slow import slow


class TestOptimum:
    """What every way comes to is SciPy's minimum: to 1e-8 of the fall."""

    def check(self, solve, name, loss):
        data, X = sized(name, loss)
        found = solve(data, **case(name, loss))
        assert found.outcome in {Outcome.OPTIMAL, Outcome.ROUNDING}
        Objective.of(data, X, **case(name, loss)).assert_solved_by(found.params)
        return found.kinds

    @pytest.mark.parametrize("loss", usual_first(one_of_each(is_smooth)), ids=repr)
    def test_by_newton_steps(self, solve, loss):
        assert set(self.check(solve, "newton", loss)) == {StepKind.NEWTON}

    @pytest.mark.parametrize(
        "loss",
        [LogLoss(), Poisson(), Softmax(), *slow(Huber(0.5))],
        ids=repr,
    )
    def test_from_the_solution_of_a_sample_by_newton_steps(self, solve, loss):
        first, *others = self.check(solve, "sampled", loss)
        assert first is StepKind.SAMPLE
        assert set(others) == {StepKind.NEWTON}

    @pytest.mark.parametrize(
        "loss",
        [LogLoss(), *slow(SquaredError(), Poisson())],
        ids=repr,
    )
    def test_by_quasi_newton_steps(self, solve, loss):
        assert set(self.check(solve, "quasi-newton", loss)) == {StepKind.QUASI_NEWTON}

    def test_from_the_solution_of_a_sample_by_quasi_newton_steps(self, solve, monkeypatch):
        monkeypatch.setattr(choice, "_SAMPLE_PAYS", 1)
        first, *others = self.check(solve, "quasi-newton", LogLoss())
        assert first is StepKind.SAMPLE
        assert set(others) == {StepKind.QUASI_NEWTON}

    @pytest.mark.parametrize(
        "most", [(1024, 2048), (128, 2048), *slow((128, 0))],
        ids=["all blocks", "two factors", "a block for each output"],
    )  # fmt: skip
    def test_by_quasi_newton_steps_of_a_joint_loss(self, solve, most, monkeypatch):
        monkeypatch.setattr(choice, "_MOST_PARAMETERS", most[0])
        monkeypatch.setattr(choice, "_MOST_OUTPUTS", most[1])
        kinds = self.check(solve, "quasi-newton, joint", Softmax())
        assert set(kinds) == {StepKind.QUASI_NEWTON}

    @pytest.mark.parametrize(
        "loss",
        [SquaredError(), LogLoss(), *slow(Huber(0.5), Poisson())],
        ids=repr,
    )
    def test_by_quasi_newton_steps_in_a_diagonal_preconditioner(self, solve, loss):
        assert set(self.check(solve, "diagonal", loss)) == {StepKind.QUASI_NEWTON}

    @pytest.mark.parametrize("changes", [
        {"fit_intercept": False}, {"penalty": NoPenalty()},
        {"penalty_scales": np.geomspace(0.1, 10.0, 8)},
    ], ids=lambda changes: next(iter(changes)))  # fmt: skip
    def test_whatever_the_options(self, solve, changes):
        data, X = sized("sampled", LogLoss())
        changes = {**case("sampled", LogLoss()), **changes}
        found = solve(data, **changes)
        Objective.of(data, X, **changes).assert_solved_by(found.params)
        if "fit_intercept" in changes:
            assert found.params[-1] == 0.0

    @pytest.mark.parametrize("name", ["newton", "diagonal", *slow("quasi-newton")])
    def test_from_wherever_it_starts(self, solve, name):
        data, X = sized(name, LogLoss())
        changes = case(name, LogLoss())
        start = np.random.default_rng(0).normal(size=X.shape[1])
        found = solve(data, problem(data, **changes).start(start, np.array([3.0])), **changes)
        Objective.of(data, X, **changes).assert_solved_by(found.params)

    def test_columns_need_not_be_scaled(self, solve):
        """Nor centred: l2 per deviation makes the objective the same."""
        data, X = sized("sampled", LogLoss())
        spread, away = np.geomspace(1e-6, 1e6, 8), 1e3
        far = Dataset(dense((X + away) * spread), data.y, data.sample_weight)
        near = solve(data, **case("sampled", LogLoss()))
        found = solve(far, penalty_scales=spread, **case("sampled", LogLoss()))
        np.testing.assert_allclose(found.params[:8] * spread, near.params[:8], rtol=1e-5)
        assert found.records[-1].loss == pytest.approx(near.records[-1].loss, rel=1e-10)


class TestPenalties:
    """With l1 zero lies in the subgradient, written out; with a map alone the end is the same."""

    @pytest.mark.parametrize("name, loss, penalty", [
        ("newton", SquaredError(), L1(0.1)), ("newton", SquaredError(), ElasticNet(0.2, 0.5)),
        ("newton", LogLoss(), L1(0.03)), ("newton", Softmax(), ElasticNet(0.03, 0.5)),
        ("diagonal", LogLoss(), L1(0.002)),
        pytest.param("diagonal", SquaredError(), ElasticNet(0.01, 0.5), marks=pytest.mark.slow),
    ], ids=str)  # fmt: skip
    def test_l1(self, solve, name, loss, penalty):
        data, X = sized(name, loss)
        changes = {"loss": loss, "penalty": penalty, "n_outputs": outputs(loss)}
        found = solve(data, **changes)
        assert set(found.kinds) == {StepKind.NEWTON if name == "newton" else StepKind.WORKING_SET}
        slopes = Objective.of(data, X, **changes)(found.params)[1]
        (w, _), (slope, slope_b) = (
            problem(data, **changes).split(a) for a in (found.params, slopes)
        )
        l1 = penalty.strengths()[0]
        assert np.abs(slope_b).max() < 1e-6
        assert np.all(np.abs(slope + l1 * np.sign(w))[w != 0.0] < 1e-6)
        assert np.all(np.abs(slope[w == 0.0]) <= l1 + 1e-9)
        assert 0 < np.count_nonzero(w) < w.size

    @pytest.mark.parametrize(
        "penalty, same",
        [
            pytest.param(Scaled(L1(0.02), 1.5), L1(0.03), marks=pytest.mark.slow),
            pytest.param(Scaled(L2(0.02), 2.0), L2(0.08), marks=pytest.mark.slow),
        ],
        ids=repr,
    )
    def test_that_are_known_by_their_map_alone(self, solve, penalty, same):
        data, _ = sized("newton", LogLoss())
        found = solve(data, loss=LogLoss(), penalty=penalty)
        assert set(found.kinds) == {StepKind.VARIANCE_REDUCED}
        expected = solve(data, loss=LogLoss(), penalty=same)
        assert set(expected.kinds) == {StepKind.NEWTON}
        np.testing.assert_allclose(found.params, expected.params, rtol=1e-5, atol=1e-7)


def by_linear_programming(loss, X, y):
    """Return the least mean loss of one whose slope jumps."""
    n, p = X.shape
    A = np.column_stack([X, np.ones(n), -X, -np.ones(n)])
    free, each = np.zeros(2 * p + 2), np.full(n, 1.0 / n)
    if isinstance(loss, Hinge):
        whole, y = np.hstack([y[:, None] * A, np.eye(n)]), np.ones(n)
        return linprog(np.append(free, each), A_ub=-whole, b_ub=-y).fun
    if isinstance(loss, Pinball):
        both = np.concatenate([free, loss.quantile * each, (1.0 - loss.quantile) * each])
        return linprog(both, A_eq=np.hstack([A, np.eye(n), -np.eye(n)]), b_eq=y).fun
    whole = np.vstack([np.hstack([A, -np.eye(n)]), np.hstack([-A, -np.eye(n)])])
    bound = np.append(y + loss.epsilon, loss.epsilon - y)
    return linprog(np.append(free, each), A_ub=whole, b_ub=bound).fun


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", [Hinge(), Pinball(0.9), *slow(EpsilonInsensitive(0.1))], ids=repr)
def test_where_slopes_jump_the_least_loss_is_that_of_a_linear_program(solve, loss, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 5))
    y = targets(loss, X @ rng.normal(size=5), rng)
    found = solve(Dataset(dense(X), y), loss=loss, penalty=NoPenalty())
    assert found.outcome is Outcome.CONVERGED
    least = by_linear_programming(loss, X, y[:, 0])
    objective = Objective(loss, X, y, np.full(300, 1.0 / 300))
    fall = objective(objective.start)[0] - least
    assert 0.0 <= objective(found.params)[0] - least + 1e-12 < 1e-5 * fall
    assert found.records[-1].loss == pytest.approx(objective(found.params)[0], rel=1e-12)
