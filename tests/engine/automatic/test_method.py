"""The automatic method comes to the optimum by every kind of step, never rises, and tells how."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from gradstep.engine import executor, training
from gradstep.engine.automatic import choice, preconditioner, quasi_newton
from gradstep.engine.automatic.choice import StepKind, rule_for
from gradstep.engine.automatic.hessian import Hessians
from gradstep.engine.automatic.method import Automatic
from gradstep.engine.automatic.optimality import noise_of
from gradstep.engine.automatic.quadratic_model import QuadraticModel
from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.engine.automatic.smoothing import Smoothing
from gradstep.engine.automatic.state import Pairs
from gradstep.engine.callbacks import History
from gradstep.engine.kernels.linalg import minimise_quadratic
from gradstep.engine.records import Outcome
from gradstep.engine.restart import run
from gradstep.engine.row_sums import RowSums
from gradstep.engine.state import Problem
from gradstep.engine.statistics import columns_of
from gradstep.errors import Diverged
from gradstep.objective.classification import Hinge, LogLoss, OneVsRest, Softmax
from gradstep.objective.losses import is_smooth, target_range
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty, Scaled
from gradstep.objective.regression import (
    EpsilonInsensitive,
    Huber,
    Pinball,
    Poisson,
    SquaredError,
    Tweedie,
)
from gradstep.optim.optimizers import SGD
from gradstep.optim.schedules import Constant
from gradstep.optim.solvers import SVRG, Exact
from gradstep.rows import shards
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows
from gradstep.rows.statistics import Columns
from tests.contracts.losses import JOINT_LOSSES, LOSSES, SIGNS
from tests.contracts.nouns import NOUNS, classes_of
from tests.engine.cases import csr, dense, matrix, usual_first
from tests.slow import slow
from tests.uncompiled import uncompiled

# --- problems, solved and watched ---------------------------------------------------------


def problem(data, **changes):
    return replace(
        Problem(
            loss=SquaredError(),
            penalty=L2(1e-3),
            optimizer=SVRG(),
            schedule=Constant(1.0),
            n_features=data.rows.n_features,
            n_outputs=data.y.shape[1],
            batch_size=0,
            max_epochs=1000,
            tol=1e-8,
        ),
        **changes,
    )


@dataclass
class Solved:
    """A run, and what was seen of it: each step's kind, each snapshot's rise, each model."""

    ran: Any = None
    records: list = field(default_factory=list)
    kinds: list = field(default_factory=list)
    rises: list = field(default_factory=list)
    models: list = field(default_factory=list)

    @property
    def params(self):
        return self.ran.state.current()

    @property
    def outcome(self):
        return self.ran.outcome

    @property
    def bits(self):
        """All but times."""
        told = [(*r[:4], *r[6:]) for r in self.records]
        return self.params.tobytes(), self.outcome, told

    def on_epoch_end(self, event):
        self.models.append(event.params.copy())


@pytest.fixture(name="solve")
def solver(monkeypatch):
    """Return what runs a problem, by the public function, and watches it."""

    def solve(data, start=None, columns=None, *, brake=False, **changes):
        of, seen, history = problem(data, **changes), Solved(), History()

        class Watched(Automatic):
            def _first(self, state):
                state, kind, note = super()._first(state)
                if kind is not None:
                    seen.kinds.append(kind)
                return state, kind, note

            def _advance(self, state):
                before = state.at
                state, kind, note = super()._advance(state)
                if self.of.has_optimality:
                    rise = state.at.objective - before.objective
                    seen.rises.append(rise - noise_of(state, before))
                if state.rejected:
                    assert np.array_equal(state.at.params, before.params)
                seen.kinds.append(kind)
                return state, kind, note

        monkeypatch.setattr(training, "Automatic", Watched)
        seen.ran = run(
            of, data, of.start() if start is None else start, columns=columns,
            callbacks=[history, seen], brake=brake,
        )  # fmt: skip
        seen.records = history.records
        return seen

    return solve


@dataclass(frozen=True)
class Objective:
    """The objective in NumPy, by scikit-learn's losses; l2 has a strength for each feature."""

    loss: Any
    X: Any
    y: Any
    weight: Any
    l2: Any = 0.0
    k: int = 1
    fit_intercept: bool = True

    @classmethod
    def of(cls, data, X, **changes):
        of = problem(data, **changes)
        scales = 1.0 if of.penalty_scales is None else of.penalty_scales
        weight = np.ones(data.n) if data.sample_weight is None else data.sample_weight
        l2 = of.penalty.strengths()[1] * np.broadcast_to(np.square(scales), X.shape[1])
        return cls(of.loss, X, data.y, weight / weight.sum(), l2, of.n_outputs, of.fit_intercept)

    def __call__(self, params):
        """Return value and gradient."""
        k, p = self.k, self.X.shape[1]
        w, b = params[: k * p].reshape(k, p), params[k * p :]
        z = np.ascontiguousarray(self.X @ w.T + b)
        if type(self.loss) in JOINT_LOSSES:
            value, slope = JOINT_LOSSES[type(self.loss)].peer(self.loss, k)
            losses, slopes = value(self.y[:, 0], z), slope(self.y[:, 0], z)
        else:
            value, slope = LOSSES[type(self.loss)].peer(self.loss)
            each = [(np.ascontiguousarray(self.y[:, c]), z[:, c].copy()) for c in range(k)]
            losses = sum(value(*at) for at in each)
            slopes = np.column_stack([slope(*at) for at in each])
        slopes = slopes * self.weight[:, None]
        gradient = (self.X.T @ slopes).T + self.l2 * w
        total = self.weight @ losses + 0.5 * np.sum(self.l2 * w * w)
        g_b = slopes.sum(axis=0) * self.fit_intercept
        return float(total), np.append(gradient.ravel(), g_b)

    @property
    def start(self):
        return np.zeros(self.k * (self.X.shape[1] + 1))

    def least(self):
        """Return SciPy's minimum, which has next to no gradient."""
        found = minimize(
            self, self.start, jac=True, method="L-BFGS-B",
            options={"maxiter": 20_000, "maxfun": 40_000, "ftol": 0.0, "gtol": 1e-9, "maxcor": 30},
        )  # fmt: skip
        assert np.abs(found.jac).max() < 1e-7
        return found.fun

    def assert_solved_by(self, params, rel=1e-8):
        least = self.least()
        assert self(params)[0] - least <= rel * (self(self.start)[0] - least)


def one_of_each(condition=lambda _: True):
    """Return a loss of each class, wherever it is defined, that meets a condition."""
    cases = {**LOSSES, **JOINT_LOSSES}
    usual = {Tweedie: Tweedie(1.5)}
    found = [usual.get(cls, cases[cls].losses[0]) for cls in classes_of(NOUNS["loss"])]
    return [loss for loss in found if condition(loss)]


def targets(loss, z, rng):
    """Return targets that a loss allows, which follow the scores, heavily scattered."""
    z = (z - z.mean()) / np.std(z)
    if type(loss) in JOINT_LOSSES:
        return np.digitize(z + rng.normal(size=z.size), [-0.5, 0.7]).astype(float)[:, None]
    if LOSSES[type(loss)].targets is SIGNS:
        return np.where(z + rng.normal(size=z.size) > 0.2, 1.0, -1.0)[:, None]
    if target_range(loss).low == 0.0:
        return np.exp(0.5 * z + 0.3 * rng.normal(size=z.size))[:, None]
    return (z + rng.standard_t(1.5, z.size))[:, None]


def weight(loss, n, rng):
    """Return weights for one loss: others would be compiled again for them alone."""
    return rng.integers(1, 4, n).astype(float) if isinstance(loss, LogLoss) else None


def outputs(loss):
    return 3 if type(loss) in JOINT_LOSSES else 1


# --- every way to the optimum -------------------------------------------------------------

# Rows, features, layout, density, strength of the penalty: sizes that lead that way.
SIZES = {
    "newton": (1500, 8, dense, None, 1e-3),
    "sampled": (8000, 8, dense, None, 1e-3),
    "quasi-newton": (10_500, 223, dense, None, 1e-3),
    "quasi-newton, joint": (15_100, 74, dense, None, 1e-3),
    "diagonal": (2500, 2100, csr, 0.005, 1e-2),
}


def sized(name, loss):
    """Return data of a size, and the matrix; features share a factor if dense."""
    return _sized(name, (loss, type(loss)))  # losses without parameters are equal, being tuples


@cache
def _sized(name, key):
    loss, _ = key
    n, p, layout, density, _ = SIZES[name]
    rng = np.random.default_rng(len(name))
    X = matrix(n, p, 1, density)
    if density is None:
        X = X + 0.7 * rng.normal(size=(n, 1))
    y = targets(loss, X @ rng.normal(size=p), rng)
    if isinstance(loss, SquaredError):
        y = np.clip(y, -10.0, 10.0)
    rows = layout(X)
    return Dataset(rows, y, None if name == "diagonal" else weight(loss, n, rng)), X


def case(name, loss):
    return {"loss": loss, "n_outputs": outputs(loss), "penalty": L2(SIZES[name][4])}


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
        assert set(found.kinds) == {
            StepKind.NEWTON if name == "newton" else StepKind.VARIANCE_REDUCED
        }
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


# --- which way ----------------------------------------------------------------------------


def even(p):
    """Return what is known of columns without rows that are far out."""
    return Columns(1.0, np.zeros(p), np.ones(p), np.full(p, -4.0), np.full(p, 4.0))


def way(n, p, k=1, layout=None, columns=None, **changes):
    """Return the way of rows that are all one, which takes no memory."""
    rows = DenseRows(np.broadcast_to(np.zeros((1, 1)), (n, p))) if layout is None else layout
    data = Dataset(rows, np.zeros((n, 1)))
    columns = Columns.unmeasured(p) if columns is None else columns
    return rule_for(ScaledProblem(problem(data, n_outputs=k, **changes), data, columns)).kind


class TestChoice:
    @pytest.mark.parametrize("n, p, changes, expected", [
        (10, 5, {}, StepKind.NEWTON),
        (10**6, 60, {}, StepKind.NEWTON),  # few features: no matter how many rows
        (10**6, 60, {"loss": LogLoss()}, StepKind.NEWTON),
        (10**6, 70, {"loss": LogLoss()}, StepKind.QUASI_NEWTON),
        (10**6, 70, {"loss": Poisson()}, StepKind.QUASI_NEWTON),
        (10**6, 70, {"optimizer": Exact()}, StepKind.NEWTON),
        (10**6, 70, {"loss": Pinball()}, StepKind.NEWTON),  # slopes jump
        (10**6, 70, {"penalty": L1(0.1)}, StepKind.NEWTON),
        (20_000, 1000, {}, StepKind.NEWTON),  # few rows a feature, and one step is the last
        (20_000, 1000, {"loss": LogLoss()}, StepKind.QUASI_NEWTON),
        (10**6, 2000, {"loss": LogLoss()}, StepKind.QUASI_NEWTON),
        (10, 2000, {}, StepKind.QUASI_NEWTON),
        (10, 2000, {"penalty": L1(0.1)}, StepKind.VARIANCE_REDUCED),
        (10, 5, {"penalty": Scaled(L2(0.1), 1.0)}, StepKind.VARIANCE_REDUCED),
        (10**6, 5, {"loss": Softmax(), "k": 4}, StepKind.NEWTON),
        (10**6, 500, {"loss": Softmax(), "k": 4}, StepKind.QUASI_NEWTON),
        (10**6, 500, {"loss": Softmax(), "k": 4, "penalty": L1(0.1)}, StepKind.VARIANCE_REDUCED),
        (10**6, 500, {"loss": OneVsRest(LogLoss()), "k": 4, "penalty": L1(0.1)}, StepKind.NEWTON),
    ])  # fmt: skip
    def test_follows_from_sizes(self, n, p, changes, expected):
        assert way(n, p, columns=even(p), **changes) is expected

    def test_of_sparse_rows_follows_from_what_they_have(self):
        sparse = csr(matrix(3000, 1500, density=0.002))
        assert way(3000, 1500, layout=sparse, loss=LogLoss()) is StepKind.NEWTON
        assert way(3000, 1500, loss=LogLoss()) is StepKind.QUASI_NEWTON


# --- never up -----------------------------------------------------------------------------


def nasty(name, n=2400, seed=0):
    """Return features that are hard to step along."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    common = rng.normal(size=(n, 1))
    outlying = X.copy()
    outlying[[5, 6, 7]] *= [[1e4], [-1e3], [50.0]]
    return {
        "heavy tails": rng.standard_t(1.2, (n, 6)),
        "outlying rows": outlying,
        "correlated": X + 300.0 * common,
        "far from zero": (X + 1e5) * np.geomspace(1e-5, 1e5, 6),
        "constant and copied": np.column_stack([X, np.full(n, 0.1), X[:, :3], X @ np.ones(6)]),
        "nearly copied": np.column_stack([X, X + 1e-6 * rng.normal(size=X.shape)]),
        "rare": np.where(rng.random((n, 6)) < 0.005, X, 0.0),
    }[name]


NASTY = (
    "heavy tails", "outlying rows", "correlated", "far from zero", "constant and copied",
    "nearly copied", "rare",
)  # fmt: skip


def nasty_data(name, loss, seed=0):
    X, rng = nasty(name, seed=seed), np.random.default_rng(seed + 1)
    y = targets(loss, X @ rng.normal(size=X.shape[1]), rng)
    if target_range(loss).low == 0.0:
        y[11] = 1e5
    return Dataset(dense(X), y, weight(loss, len(X), rng)), X


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
        assert min(rates) < 1.0
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
            monkeypatch.setattr(Automatic, "_solution_of_sample", found)
            ran = solve(data, **case("sampled", LogLoss()))
            assert ran.records[0].note == (
                "GS102: the solution of a sample was worse than the start: not taken"
            )
            assert not any(record.note for record in ran.records[1:])
            assert set(ran.kinds) == {StepKind.NEWTON}
            Objective.of(data, X, **case("sampled", LogLoss())).assert_solved_by(ran.params)


class TestQuasiNewton:
    """The step is that of the BFGS formula, and the Hessian it begins with lets every way open."""

    @pytest.mark.parametrize("matrices", [object(), None], ids=["full", "diagonal"])
    def test_the_direction_is_that_of_the_dense_formula(self, matrices):
        rng = np.random.default_rng(0)
        k, q, m = 2, 5, 4
        root, other = rng.normal(size=(2, k * q, k * q))
        hessian, whole = root @ root.T + np.eye(k * q), other @ other.T + np.eye(k * q)
        steps = rng.normal(size=(m, k * q))
        changes = steps @ whole
        dense_inverse = np.linalg.inv(hessian)
        if matrices is None:
            s, y = steps[-1], changes[-1]
            dense_inverse = dense_inverse * (s @ y) / (y @ dense_inverse @ y)
        for s, y in zip(steps, changes, strict=True):
            across = np.eye(k * q) - np.outer(s, y) / (s @ y)
            dense_inverse = across @ dense_inverse @ across.T + np.outer(s, s) / (s @ y)

        def direction(g):
            return -np.linalg.solve(hessian, g.ravel()).reshape(k, q)

        model = SimpleNamespace(preconditioner=lambda _: SimpleNamespace(direction=direction))
        pairs = Pairs()
        for s, y in zip(steps, changes, strict=True):
            pairs = pairs.added(s.reshape(k, q), y.reshape(k, q), m)
        state = SimpleNamespace(pairs=pairs, matrices=matrices)
        g = rng.normal(size=(k, q))
        found = quasi_newton.quasi_newton_direction(model, state, g)
        np.testing.assert_allclose(found.ravel(), -dense_inverse @ g.ravel(), rtol=1e-9)

    def test_only_the_last_pairs_are_kept(self):
        pairs = Pairs()
        for i in range(5):
            pairs = pairs.added(np.full((1, 2), i), np.full((1, 2), -i), 3)
        np.testing.assert_array_equal(pairs.steps[:, 0, 0], [2, 3, 4])
        np.testing.assert_array_equal(pairs.changes[:, 0, 1], [-2, -3, -4])

    def test_a_poor_preconditioner_is_taken_anew_from_more_rows(self, solve, monkeypatch):
        drawn, draw = [], Hessians.draw

        def counted(self, params, rows, *others):
            drawn.append(rows)
            return draw(self, params, rows, *others)

        monkeypatch.setattr(Hessians, "draw", counted)
        monkeypatch.setattr(QuadraticModel, "is_poor", lambda *_: True)
        monkeypatch.setattr(quasi_newton, "_POOR_STEPS", 1)
        data, _ = sized("quasi-newton", LogLoss())
        found = solve(data, **case("quasi-newton", LogLoss()), tol=None, max_epochs=9)
        assert drawn == [2000, 4000, 8000]
        assert found.ran.state.sampling.factor == 8  # all rows: nothing is drawn
        assert found.ran.state.matrices.whole

    def test_what_a_sample_misses_is_found_all_the_same(self, solve, monkeypatch):
        """Levels that no row of it has, and the one that they depend on, which is not penalised."""
        for name, number in {
            "ALWAYS_NEWTON": 0, "CHEAP_PRODUCTS": 0.0, "_LEAST_ROWS": 1, "_LEAST_A_FEATURE": 1,
            "_SAMPLE_PASSES": 0,
        }.items():  # fmt: skip
            monkeypatch.setattr(choice, name, number)
        rng = np.random.default_rng(0)
        n, p = 4000, 60
        level = np.concatenate([np.repeat(np.arange(p), 4), rng.integers(0, 5, n - 4 * p)])
        y = np.where(rng.random(n) < 0.3, 1.0, -1.0)
        y[: 4 * p] = np.tile([1.0, -1.0, 1.0, -1.0], p)  # every level has both
        X = (level[:, None] == np.arange(p)).astype(float)
        seen = []
        fill = Hessians._fill

        def filled(self, hessian, sampling):
            seen.append(int((np.einsum("bii->bi", hessian)[0] == 0.0).sum()))
            fill(self, hessian, sampling)

        monkeypatch.setattr(Hessians, "_fill", filled)
        changes = {"loss": LogLoss(), "penalty": NoPenalty()}
        found = solve(Dataset(csr(X), y[:, None]), **changes)
        assert set(found.kinds) == {StepKind.QUASI_NEWTON}
        assert seen[0] > 0
        rates = np.array([np.mean(y[level == j] > 0.0) for j in range(p)])
        counts = np.bincount(level, minlength=p) / n
        least = -counts @ (rates * np.log(rates) + (1.0 - rates) * np.log(1.0 - rates))
        assert found.outcome is Outcome.OPTIMAL
        assert found.records[-1].loss - least < 1e-12


def test_no_period_of_rows_hides_from_the_longest_diagonal_step():
    """Of every other row features are all alike: from them comes the largest eigenvalue."""
    n, p = 2 * 4095 + 1, 30
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    X[1::2] = X[1::2, :1]

    def rate(X):
        data = Dataset(dense(X), np.zeros((n, 1)))
        of = ScaledProblem(problem(data), data, columns_of(data))
        with RowSums(data, 1) as sums:
            hessians = Hessians(of, sums)
            smoothing = Smoothing.first(of, near=False)
            diagonal = hessians.diagonal(np.zeros(p + 1), smoothing)
            return hessians.diagonal_steps(diagonal, 64)[1]

    assert rate(X) == pytest.approx(rate(np.roll(X, 1, axis=0)), rel=1e-3)


# --- how it ends, and what is told --------------------------------------------------------


class TestOutcome:
    DATA, X = sized("newton", LogLoss())
    ASKED = case("newton", LogLoss())

    def test_optimal_as_soon_as_the_step_is_short_enough(self, solve):
        epochs = []
        for tol in (1e-1, 1e-4, 1e-8):
            found = solve(self.DATA, **self.ASKED, tol=tol)
            assert found.outcome is Outcome.OPTIMAL
            *before, last = [record.optimality for record in found.records]
            assert last <= tol < min(before)
            epochs.append(len(found.records))
        assert epochs == sorted(set(epochs))

    @pytest.mark.parametrize("name", ["newton", "diagonal"])
    def test_rounding_where_all_is_asked_for(self, solve, name):
        data, X = sized(name, LogLoss())
        found = solve(data, **case(name, LogLoss()), tol=None)
        assert found.outcome is Outcome.ROUNDING
        Objective.of(data, X, **case(name, LogLoss())).assert_solved_by(found.params, 1e-12)

    @pytest.mark.parametrize("changes", [{}, {"tol": None}, {"optimizer": Exact()}])
    def test_stalled_where_coordinate_descent_gives_up(self, solve, monkeypatch, changes):
        """Its step is taken all the same, while it leads down."""

        def gives_up(*args):
            minimise_quadratic(*args)
            return False

        data, _ = sized("newton", SquaredError())
        asked = {"loss": SquaredError(), "penalty": L1(0.03), **changes}
        expected = solve(data, **asked)
        monkeypatch.setattr(preconditioner, "minimise_quadratic", gives_up)
        found = solve(data, **asked)
        assert expected.outcome in {Outcome.OPTIMAL, Outcome.ROUNDING}
        assert found.outcome is Outcome.STALLED
        assert all(record.optimality is None for record in found.records)
        np.testing.assert_allclose(found.params, expected.params, rtol=1e-9, atol=1e-12)

    def test_max_epochs(self, solve):
        found = solve(self.DATA, **self.ASKED, max_epochs=2)
        assert found.outcome is Outcome.MAX_EPOCHS
        assert [record.epoch for record in found.records] == [1, 2]

    def test_no_epochs_change_nothing(self, solve):
        found = solve(self.DATA, **self.ASKED, max_epochs=0)
        assert (found.outcome, found.records) == (Outcome.MAX_EPOCHS, [])
        np.testing.assert_array_equal(found.params, 0.0)

    def test_at_the_optimum_there_is_nothing_to_do(self, solve):
        first = solve(self.DATA, **self.ASKED)
        start = problem(self.DATA).start(*np.split(first.params, [8]))
        again = solve(self.DATA, start, **self.ASKED)
        assert len(again.records) <= 3
        np.testing.assert_allclose(again.params, first.params, rtol=1e-6)

    def test_beyond_the_numbers_is_an_error(self, solve):
        start = problem(self.DATA).start(np.full(8, 1e200), np.zeros(1))
        changes = {"loss": SquaredError(), "penalty": L2(1.0)}
        with pytest.raises(Diverged, match="not a finite number where training starts"):
            solve(self.DATA, start, **changes)

    def test_a_target_that_no_feature_has_to_do_with_is_met_at_once(self, solve):
        found = solve(replace(self.DATA, y=np.full((self.DATA.n, 1), 1e6)))
        assert found.outcome is Outcome.OPTIMAL
        np.testing.assert_allclose(found.params, [*np.zeros(8), 1e6], rtol=1e-12, atol=1e-6)


class TestRecords:
    def test_passes_are_counted_and_grow(self, solve):
        data, _ = sized("sampled", LogLoss())
        found = solve(data, **case("sampled", LogLoss()))
        told = [record.passes for record in found.records]
        assert 2.5 < told[0] < 3.5  # columns, 2,000 of 8,000 rows some times, the snapshot
        np.testing.assert_array_equal(np.diff(told), 1.0)
        data, _ = sized("quasi-newton", LogLoss())
        found = solve(data, **case("quasi-newton", LogLoss()))
        told = [record.passes for record in found.records]
        assert told[0] == pytest.approx(
            3.0 + 2000 / data.n, abs=1e-12
        )  # the start, and its Hessian
        np.testing.assert_allclose(np.diff(told), 1.0, rtol=1e-12)

    def test_least_squares_take_three_passes(self, solve):
        """Columns, an anchor with the curvature, the end."""
        data, _ = sized("newton", SquaredError())
        (record,) = solve(data).records
        assert record.passes == pytest.approx(3.0, abs=1e-12)
        (record,) = solve(data, columns=columns_of(data)).records
        assert record.passes == pytest.approx(3.0, abs=1e-12)  # whoever has measured them

    def test_an_epoch_of_reduced_steps_takes_its_share(self, solve):
        data, _ = sized("diagonal", LogLoss())
        for share in (0.25, 0.5):
            optimizer = SVRG(share=share)
            asked = {"loss": LogLoss(), "penalty": L1(0.002), "optimizer": optimizer}
            found = solve(data, **asked, max_epochs=3)
            told = [record.passes for record in found.records]
            assert set(found.kinds) == {StepKind.VARIANCE_REDUCED}
            np.testing.assert_allclose(np.diff(told), 1.0 + share, atol=0.02)

    def test_constant_columns_are_named_once_and_have_no_weight(self, solve):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(400, 9))
        X[:, [2, 5]] = 0.1, -7.0
        y = np.where(X[:, 0] + rng.normal(size=400) > 0.0, 1.0, -1.0)[:, None]
        found = solve(Dataset(dense(X), y), loss=LogLoss())
        first, *others = found.records
        assert first.note == "GS103: constant columns have the coefficient 0: 2, 5"
        assert not any(record.note for record in others)
        np.testing.assert_array_equal(found.params[[2, 5]], 0.0)
        X[:, 1:] = 3.0
        first = solve(Dataset(dense(X), y), loss=LogLoss()).records[0]
        assert first.note.endswith(": 1, 2, 3, 4, 5, ...")

    def test_without_an_intercept_a_constant_column_serves_as_one(self, solve):
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.normal(size=(400, 2)), np.full(400, 2.0)])
        found = solve(
            Dataset(dense(X), X @ [[1.0], [2.0], [3.0]]), penalty=NoPenalty(), fit_intercept=False
        )
        np.testing.assert_allclose(found.params, [1.0, 2.0, 3.0, 0.0], rtol=1e-12)
        assert not found.records[0].note


class TestExcess:
    """How far the objective is above its least value, where a formula tells."""

    def by_hand(self, data, X, of, params):
        """Return the excess as a quadratic form around the solution of NumPy's least squares."""
        weight = np.ones(data.n) if data.sample_weight is None else data.sample_weight
        half = np.sqrt(weight / weight.sum())[:, None]
        k, p = of.n_outputs, of.n_features
        center, spread = X.mean(axis=0) * of.fit_intercept, X.std(axis=0)
        A = np.column_stack([(X - center) / spread, np.ones(len(X)) * of.fit_intercept])
        scales = 1.0 if of.penalty_scales is None else of.penalty_scales
        own = np.sqrt(of.penalty.strengths()[1]) * scales / spread
        M = np.vstack([half * A, np.diag(np.append(own, 0.0))])
        best = np.linalg.lstsq(M, np.vstack([half * data.y, np.zeros((p + 1, k))]))[0]
        w, b = of.split(params)
        there = np.column_stack([w * spread, b + w @ center]).T
        return 0.5 * np.sum((M @ (there - best)) ** 2)

    @uncompiled
    @pytest.mark.parametrize("changes", [
        {"penalty": NoPenalty()}, {"penalty": L2(0.1)}, {"fit_intercept": False},
        {"penalty": L2(0.3), "penalty_scales": np.geomspace(0.1, 10.0, 5)},
    ], ids=str)  # fmt: skip
    def test_of_steps_is_that_over_the_solution_of_numpy(self, solve, changes):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(200, 5)) + 2.0 * rng.normal(size=(200, 1)) + 3.0
        y = X @ rng.normal(size=(5, 2)) + rng.normal(size=(200, 2)) - 4.0
        data = Dataset(dense(X), y, rng.integers(1, 4, 200).astype(float))
        changes = {
            "optimizer": SGD(), "schedule": Constant(0.002), "batch_size": 20, "max_epochs": 6,
            "tol": None, **changes,
        }  # fmt: skip
        found = solve(data, columns=columns_of(data), brake=True, **changes)
        told = [record.excess for record in found.records]
        expected = [
            self.by_hand(data, X, problem(data, **changes), params) for params in found.models
        ]
        assert len(told) == 6
        assert min(told) > 1e-6
        np.testing.assert_allclose(told, expected, rtol=1e-6)

    @pytest.mark.parametrize("name", ["heavy tails", "correlated", "far from zero"])
    def test_of_rounds_ends_at_rounding(self, solve, name):
        data, X = nasty_data(name, SquaredError())
        found = solve(data, penalty=NoPenalty())
        objective = Objective.of(data, X, penalty=NoPenalty())
        fall = objective(objective.start)[0] - found.records[-1].loss
        expected = self.by_hand(data, X, problem(data, penalty=NoPenalty()), found.params)
        assert 0.0 <= found.records[-1].excess < 1e-16 * fall
        assert expected < 1e-12 * fall

    def test_is_not_told_where_it_is_not_known(self, solve):
        data, _ = sized("newton", LogLoss())
        for changes in ({"loss": LogLoss()}, {"penalty": L1(0.01)}):
            assert all(record.excess is None for record in solve(data, **changes).records)


class TestBits:
    NAMES = ("newton", "sampled", "quasi-newton", "diagonal")

    def fitted(self, solve, name, **changes):
        data, _ = sized(name, LogLoss())
        return solve(data, **{**case(name, LogLoss()), "max_epochs": 12, **changes})

    @pytest.mark.parametrize("name", NAMES)
    def test_are_those_of_the_seed_whatever_the_threads(self, solve, name, monkeypatch):
        monkeypatch.setattr(shards, "_SHARD_BYTES", 1 << 13)
        ends = []
        for threads in (1, 1, 2, 3):
            monkeypatch.setattr(executor, "threads", lambda threads=threads: threads)
            ends.append(self.fitted(solve, name).bits)
        assert ends[0] == ends[1] == ends[2] == ends[3]

    @pytest.mark.parametrize("name, changes", [
        ("sampled", {}), ("quasi-newton", {}), ("diagonal", {"penalty": L1(0.002)}),
    ])  # fmt: skip
    def test_are_others_with_another_seed(self, solve, name, changes):
        one, other = (self.fitted(solve, name, seed=seed, **changes) for seed in (0, 1))
        assert one.params.tobytes() != other.params.tobytes()

    def test_are_the_same_with_another_seed_where_nothing_is_drawn(self, solve):
        one, other = (self.fitted(solve, "diagonal", seed=seed) for seed in (0, 1))
        assert one.bits == other.bits

    def test_reading_only_changes_none(self, solve):
        data, X = sized("newton", LogLoss())
        X, y, weight = X.copy(), data.y.copy(), data.sample_weight.copy()
        for array in (X, y, weight):
            array.flags.writeable = False
        frozen = solve(Dataset(DenseRows(X), y, weight), **case("newton", LogLoss()))
        assert frozen.bits == solve(data, **case("newton", LogLoss())).bits

    @pytest.mark.parametrize("name", ["sampled", "quasi-newton", "diagonal"])
    def test_a_power_of_two_of_a_column_changes_none_of_the_scores(self, solve, name):
        data, X = sized(name, LogLoss())
        p = X.shape[1]
        factor = 2.0 ** np.resize([0, 40, -40, 3, -7, 1, 20, -20], p)
        other = Dataset(SIZES[name][2](X * factor), data.y, data.sample_weight)
        one, two = (
            solve(d, **{**case(name, LogLoss()), "penalty_scales": s, "max_epochs": 4}).params
            for d, s in ((data, np.ones(p)), (other, factor))
        )
        assert (two[:p] * factor).tobytes() == one[:p].tobytes()
        assert two[p] == one[p]


def test_math_is_not_warned_about(solve):
    """Warnings are errors here: what overflows on the way is dealt with."""
    data, _ = nasty_data("outlying rows", Poisson())
    start = problem(data).start(np.full(6, 0.01), np.zeros(1))
    found = solve(data, start, loss=Poisson(), penalty=L2(1e-6))
    assert math.isfinite(found.records[-1].loss)
