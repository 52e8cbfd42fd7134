"""Quick steps of few rows, and conjugate gradients with an older factor, beside NumPy and SciPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradstep.engine.automatic import row_space
from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.automatic.quadratic_model import QuadraticModel
from gradstep.engine.automatic.quick_steps import can_descend
from gradstep.engine.automatic.row_descent import RowDescent, _Pairs
from gradstep.engine.automatic.row_preconditioner import RowFactor, RowSpacePreconditioner
from gradstep.engine.automatic.row_products import norm_of, row_products
from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.engine.automatic.smoothing import Smoothing
from gradstep.engine.automatic.state import AutomaticState
from gradstep.engine.records import Outcome
from gradstep.engine.row_sums import RowSums
from gradstep.engine.statistics import columns_of
from gradstep.engine.training import train
from gradstep.objective.classification import LogLoss, OneVsRest
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty, Scaled
from gradstep.objective.regression import Poisson, SquaredError
from gradstep.optim.solvers import Exact
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows
from gradstep.rows.moments import Moments
from gradstep.rows.statistics import Columns
from tests.engine.automatic.problems import Objective, few_rows, problem
from tests.engine.cases import dense

P = 1600
ROUGHLY = {"loss": LogLoss(), "penalty": L2(1e-2), "tol": 1e-3}


def scaled(data, **changes):
    return ScaledProblem(problem(data, **changes), data, columns_of(data))


def many(loss=None, n=450, p=P):
    data, X = few_rows(LogLoss() if loss is None else loss, n=n, p=p)
    X = X - X.mean(axis=0)  # without an intercept nothing is centred
    return replace(data, rows=dense(X)), X


def with_common_factor(data, X, size):
    """Return the same with a factor that all features share, which slows L-BFGS down."""
    rng = np.random.default_rng(2)
    X = X + size * rng.normal(size=(len(X), 3)) @ rng.normal(size=(3, X.shape[1]))
    return replace(data, rows=dense(X)), X


def descended(data, **changes):
    """Return the descent of a problem, and where it ends."""
    of = scaled(data, **ROUGHLY | changes)
    start = of.problem.start().params
    descent = RowDescent(of, data, start, Smoothing.first(of, near=False), enough=1e-7)
    return descent, descent.end()


# Least squares of enough data for conjugate gradients.
GRADIENTS = {"loss": SquaredError(), "penalty": L2(1e-3), "tol": 1e-3}


CHANGES = {
    "as it is": {},
    "no intercept": {"fit_intercept": False},
    "scales": {"penalty_scales": np.linspace(0.8, 1.25, P)},
}


class TestDescent:
    @pytest.mark.parametrize("name", CHANGES)
    def test_it_ends_near_the_optimum(self, name):
        changes = CHANGES[name]
        data, X = many()
        descent, found = descended(data, **changes)
        assert descent.passes < 60
        Objective.of(data, X, **ROUGHLY | changes).assert_solved_by(found, rel=1e-7)

    def test_several_outputs(self):
        data, X = many()
        changes = {"n_outputs": 2, "penalty": L2(0.1)}
        data = replace(data, y=np.column_stack([data.y, -data.y[::-1]]))
        _, found = descended(data, **changes)
        Objective.of(data, X, **ROUGHLY | changes).assert_solved_by(found, rel=1e-7)

    def test_classes_one_against_the_rest(self):
        data, X = many()
        classes = np.digitize(X[:, :8].sum(axis=1), [-1.0, 1.0]).astype(float)[:, None]
        changes = ROUGHLY | {"loss": OneVsRest(LogLoss()), "n_outputs": 3, "penalty": L2(0.1)}
        _, found = descended(Dataset(data.rows, classes, data.sample_weight), **changes)
        own = np.where(classes == np.arange(3.0), 1.0, -1.0)
        of = Objective.of(
            Dataset(data.rows, own, data.sample_weight), X, **changes | {"loss": LogLoss()}
        )
        of.assert_solved_by(found, rel=1e-7)

    def test_what_is_left_is_about_what_is_left(self):
        data, X = many()
        of, (descent, found) = scaled(data, **ROUGHLY), descended(data)
        objective = Objective.of(data, X, **ROUGHLY)
        value, gradient = objective(found)
        own = of.standardisation.gradient(gradient)
        left = descent.square_left(own)
        excess = value - objective.least()
        assert 0.2 * excess < 0.5 * left < 100.0 * excess

    def test_where_it_is_slow_it_ends_without_a_result(self):
        data, _ = with_common_factor(*many(), 30.0)
        descent, found = descended(data, penalty=L2(1e-4))
        assert found is None
        assert descent.passes < 40

    def test_where_it_would_not_lead_there_none_begins(self):
        data, _ = many()
        assert can_descend(scaled(data, **ROUGHLY))
        assert not can_descend(scaled(data, **ROUGHLY | {"tol": 1e-6}))
        assert not can_descend(scaled(data, **ROUGHLY | {"tol": None}))
        few, _ = many(n=40)
        assert not can_descend(scaled(few, **ROUGHLY))
        counts, _ = many(Poisson())
        assert not can_descend(scaled(counts, **ROUGHLY | {"loss": Poisson()}))

    @pytest.mark.parametrize(
        "n, p, begins",
        [
            (2000, 8000, True), (2000, 9000, False), (8000, 250, True), (8000, 270, False),
            (8000, 180, False), (400, 1400, True), (300, 1400, False), (1000, 400, False),
        ],
    )  # fmt: skip
    def test_of_least_squares_it_depends_on_rows_and_features(self, n, p, begins):
        """A copy of few rows has 64 MB at most, one of many rows 8; a matrix takes longer."""
        rows = DenseRows(np.broadcast_to(np.zeros((1, 1)), (n, p)))
        data, columns = Dataset(rows, np.zeros((n, 1))), Columns.unmeasured(p)
        of = ScaledProblem(problem(data, **GRADIENTS), data, columns)
        assert can_descend(of) == begins

    @pytest.mark.parametrize(
        "changes",
        [
            {"tol": 1e-5}, {"optimizer": Exact()}, {"penalty": L1(1e-3)},
            {"penalty": ElasticNet(1e-3, 0.5)}, {"penalty": Scaled(L2(1e-3), 1.0)},
            {"penalty": NoPenalty()}, {"penalty": L2(1e-6)},
        ],
    )  # fmt: skip
    def test_of_least_squares_none_begins_where_the_minimum_is_asked_for_otherwise(self, changes):
        data, _ = few_rows(SquaredError(), n=1500, p=400)
        assert can_descend(scaled(data, **GRADIENTS))
        assert not can_descend(scaled(data, **GRADIENTS | changes))
        known = replace(data, moments=Moments(1.0, np.zeros(401), np.eye(401)))
        assert not can_descend(scaled(known, **GRADIENTS))

    def test_pairs_are_those_of_the_updates_of_a_matrix(self):
        """By formula (6.17) of Nocedal and Wright, update after update."""
        rng, size = np.random.default_rng(0), 14
        hessian = rng.normal(size=(size, size))
        hessian = hessian @ hessian.T + np.eye(size)
        pairs, known = _Pairs(size), []
        g = rng.normal(size=size)
        assert pairs.times(g) is g
        for _ in range(13):
            s = rng.normal(size=size)
            pairs.add(s, hessian @ s)
            pairs.add(s, -hessian @ s)  # no second derivative is negative: it is left out
            known.append((s, hessian @ s))
            s, y = known[-1]
            inverse = np.eye(size) * (s @ y) / (y @ y)
            for s, y in known[-10:]:
                left = np.eye(size) - np.outer(s, y) / (s @ y)
                inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
            np.testing.assert_allclose(pairs.times(g), inverse @ g, rtol=1e-6)


GRADIENTS_CHANGES = {
    "as it is": {},
    "no intercept": {"fit_intercept": False},
    "scales": {"penalty_scales": np.geomspace(0.8, 1.25, 900)},
}


def weighted(data):
    weight = np.random.default_rng(1).integers(1, 4, data.n).astype(float)
    return replace(data, sample_weight=weight)


class TestLeastSquares:
    """Conjugate gradients."""

    @pytest.mark.parametrize("n", [350, 2000])
    @pytest.mark.parametrize("name", GRADIENTS_CHANGES)
    def test_ends_near_the_optimum(self, n, name):
        changes = GRADIENTS | GRADIENTS_CHANGES[name]
        data, X = many(SquaredError(), n=n, p=900)
        data = weighted(data)
        descent, found = descended(data, **changes)
        assert descent.passes < 60
        Objective.of(data, X, **changes).assert_solved_by(found, rel=1e-7)

    @pytest.mark.parametrize("n, fit_intercept", [(400, True), (1500, True), (1500, False)])
    def test_tells_at_least_what_is_left(self, n, fit_intercept):
        data, X = many(SquaredError(), n=n, p=800)
        changes = GRADIENTS | {"fit_intercept": fit_intercept}
        of, (descent, found) = scaled(data, **changes), descended(data, **changes)
        objective = Objective.of(data, X, **changes)
        value, _ = objective(found)
        # its own sums: the intercept's is not zero where none is fitted
        with RowSums(data, 1) as sums:
            gradient = sums.gradient(of.problem.loss, found)[1]
        own = of.standardisation.gradient(gradient)
        own[:, :-1] += of.ridge[:-1] * of.standardisation.scaled_params(found)[:, :-1]
        excess = value - objective.least()
        assert 0.0 <= excess <= 0.5 * descent.square_left(own)

    def test_outputs_of_other_units_end_as_near_as_each_alone(self):
        data, X = many(SquaredError(), n=500, p=1200)
        y = np.column_stack([data.y[:, 0], 1e-3 * X[:, 0], np.full(data.n, 3.0)])
        data, changes = replace(data, y=y), GRADIENTS | {"n_outputs": 3}
        descent, found = descended(data, **changes)
        assert descent.passes < 60
        for c in (0, 1):
            one = Objective.of(replace(data, y=y[:, c : c + 1]), X, **GRADIENTS)
            one.assert_solved_by(np.append(found[1200 * c : 1200 * (c + 1)], found[c - 3]), 1e-6)
        np.testing.assert_allclose(found[2400:3600], 0.0, atol=1e-3)
        assert found[-1] == pytest.approx(3.0, rel=1e-6)

    @pytest.mark.parametrize("n", [400, 1500])
    def test_where_it_is_slow_it_soon_ends_without_a_result(self, n):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(n, 800)) * np.geomspace(1.0, 0.03, 800)
        X = X @ np.linalg.qr(rng.normal(size=(800, 800)))[0]
        data = Dataset(dense(X), X @ rng.normal(size=(800, 1)) + rng.normal(size=(n, 1)))
        descent, found = descended(data, **GRADIENTS | {"penalty": L2(1e-10)})
        assert found is None
        assert descent.passes <= 1 + 12

    @pytest.mark.parametrize(
        "n, p, changes",
        [
            (1500, 400, {}), (1500, 400, {"fit_intercept": False}), (500, 1200, {}),
            (500, 1200, {"fit_intercept": False}), (1400, 1200, {"penalty": L2(1e-2)}),
        ],
    )  # fmt: skip
    def test_a_run_says_so_and_ends_there(self, n, p, changes, solve):
        data, X = many(SquaredError(), n=n, p=p)
        data = replace(weighted(data), y=data.y + 5.0)
        ran = solve(data, **GRADIENTS | changes)
        quick = n * p < 1 << 20  # of more, steps in a diagonal are taken
        assert ran.outcome is Outcome.OPTIMAL
        if quick:
            assert ran.kinds == [StepKind.DESCENT]
            assert ran.records[0].excess is None  # what is told is more than that
        Objective.of(data, X, **GRADIENTS | changes).assert_solved_by(ran.params, rel=1e-6)

    @pytest.mark.parametrize("layout", ["index", "start", "target far from zero"])
    def test_runs_of_parts_and_from_elsewhere_end_near_the_optimum(self, layout, solve):
        data, X = many(SquaredError(), n=1500, p=400)
        start = None
        if layout == "index":
            some = np.arange(0, 1500, 2, dtype=np.uint32)
            data, X = replace(data, index=some), X[some]
        elif layout == "start":
            start = problem(data, **GRADIENTS).start(np.full(400, 0.1), [1.0])
        else:
            data = replace(data, y=data.y + 1e8)
            start = problem(data, **GRADIENTS).start(np.zeros(400), [1e8])
        ran = solve(data, start=start, **GRADIENTS)
        assert ran.outcome is Outcome.OPTIMAL
        exact = solve(data, start=start, **GRADIENTS | {"tol": 1e-9})
        unit = np.append(X.std(axis=0), 1.0)
        off = np.linalg.norm((ran.params - exact.params)[:-1] * unit[:-1])
        assert off <= 1e-3 * np.linalg.norm((exact.params * unit)[:-1])

    @pytest.mark.parametrize("n, p", [(1500, 400), (500, 1200)])
    def test_columns_that_are_all_constant(self, n, p, solve):
        y = np.random.default_rng(0).normal(size=(n, 1))
        ran = solve(Dataset(dense(np.ones((n, p))), y), **GRADIENTS)
        assert ran.outcome is Outcome.OPTIMAL
        assert ran.params[-1] == pytest.approx(y.mean(), abs=1e-6)


class TestRuns:
    @pytest.mark.parametrize(
        "loss, size", [(LogLoss(), 0.0), (LogLoss(), 1.0), (Poisson(), 1.0), (SquaredError(), 0.0)]
    )
    def test_in_single_precision_they_end_as_near_as_is_asked(self, loss, size, solve):
        data, X = with_common_factor(*few_rows(loss, n=300, p=720), size)
        changes = ROUGHLY | {"loss": loss, "penalty": L2(1e-3)}
        ran = solve(data, **changes)
        assert ran.outcome is Outcome.OPTIMAL
        assert set(ran.kinds) == {StepKind.NEWTON}
        Objective.of(data, X, **changes).assert_solved_by(ran.params, rel=2e-6)

    @pytest.mark.parametrize("alpha, most", [(1e-12, 1e-3), (1e-90, 1.0)])
    def test_where_it_would_not_do_the_matrix_is_in_double_precision(self, alpha, most, solve):
        data, X = few_rows(SquaredError(), n=60)
        changes = ROUGHLY | {"loss": SquaredError(), "penalty": L2(alpha)}
        ran = solve(data, **changes)
        assert ran.outcome is not Outcome.MAX_EPOCHS
        objective = Objective.of(data, X, **changes)
        assert objective(ran.params)[0] <= most * objective(objective.start)[0]

    def test_one_that_goes_on_after_it_takes_the_same_steps(self, monkeypatch):
        """The first epoch ends early here, and what it had at hand is not in the state."""
        monkeypatch.setattr(row_space, "_OF_TOL", 100.0)
        data, _ = with_common_factor(*many(Poisson(), p=700), 3.0)
        of = problem(data, **ROUGHLY | {"loss": Poisson()})
        whole, outcome = train(of, data, of.start())
        part, _ = train(of, data, of.start(), until_epoch=1)
        assert part.epoch == 1 < whole.epoch
        ended, same = train(of, data, AutomaticState.from_arrays(part.to_arrays()))
        assert (outcome, whole.epoch) == (same, ended.epoch)
        np.testing.assert_array_equal(ended.params, whole.params)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("apart, fewer", [(0.7, 1.0), (0.3, 1e-3), (7.0, 0.0)])
def test_an_older_factor_leads_to_the_same_step(fit_intercept, apart, fewer):
    data, _ = few_rows(LogLoss(), n=400, p=900)
    of, rng = scaled(data, **ROUGHLY | {"fit_intercept": fit_intercept}), np.random.default_rng(0)
    rows, free = row_products(of, data), of.ridge[:-1] > 0.0
    inverse = free / np.where(free, of.ridge[:-1], 1.0)
    gram = rows.gram(np.sqrt(inverse), single=False)
    h = rng.uniform(0.05, 0.25, (1, data.n)) / data.n
    older = h * np.exp(rng.uniform(-apart, apart, h.shape))
    older[0, :3] *= fewer
    gradient = rng.normal(size=(1, of.q))
    gradient[0, -1] *= fit_intercept
    own = RowSpacePreconditioner(rows, gram, inverse, h, with_intercept=fit_intercept)
    expected = own.direction(gradient)
    model = RowSpacePreconditioner(
        rows, gram, inverse, h, with_intercept=fit_intercept,
        known=[RowFactor.of(gram, np.sqrt(older[0]))],
    )  # fmt: skip
    known = model.factors[0]
    found = model.direction(gradient)
    # Second derivatives that are far apart make a factor of its own, which is exact. Where few have
    # grown much, what is left of the error looks smaller than it is.
    assert (model.factors[0] is known) == (apart < 1.0)
    values = (data.rows.values - of.standardisation.shift) * of.standardisation.scale
    x = np.column_stack([values, np.full(data.n, float(fit_intercept))])
    square = model.square(gradient)
    assert square == pytest.approx(-float(np.vdot(gradient, found)), rel=1e-9)
    off = found - expected
    length = float(np.vdot(off, ((off @ x.T) * h) @ x + of.ridge * off))
    assert length <= 2e-4 * -float(np.vdot(gradient, expected))


def test_the_norm_of_a_matrix_of_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 90))
    known = float(np.linalg.eigvalsh(x @ x.T)[-1])
    assert 0.7 * known < norm_of(x @ x.T) <= known * (1.0 + 1e-12)
    assert norm_of(np.zeros((3, 3))) == 0.0
    assert norm_of(np.full((2, 2), np.inf)) == np.inf


def test_a_part_of_the_rows_has_a_matrix_of_its_own():
    data, X = few_rows(LogLoss(), n=60)
    some = np.arange(0, 60, 2, dtype=np.uint32)
    part = Dataset(data.rows, data.y, data.sample_weight, index=some)
    of = scaled(part, **ROUGHLY)
    with RowSums(part, 1) as sums:
        model = QuadraticModel(of, sums)
        found = model.row_space.solution(of.problem.start().params, Smoothing.first(of, near=False))
    own = Dataset(dense(X[some]), data.y[some], data.sample_weight[some])
    Objective.of(own, X[some], **ROUGHLY).assert_solved_by(found, rel=1e-6)
