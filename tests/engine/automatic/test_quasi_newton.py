"""Quasi-Newton steps: pairs, samples of the Hessian, and the longest diagonal step."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradstep.engine.automatic import choice, quasi_newton
from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.automatic.hessian import Hessians
from gradstep.engine.automatic.quadratic_model import QuadraticModel
from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.engine.automatic.smoothing import Smoothing
from gradstep.engine.automatic.state import Pairs
from gradstep.engine.records import Outcome
from gradstep.engine.row_sums import RowSums
from gradstep.engine.statistics import columns_of
from gradstep.objective.classification import LogLoss
from gradstep.objective.penalties import L2, NoPenalty
from gradstep.rows.dataset import Dataset
from tests.engine.automatic.problems import Objective, case, problem, sized
from tests.engine.cases import csr, dense


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
        pairs = Pairs()
        for s, y in zip(steps, changes, strict=True):
            pairs = pairs.added(s.reshape(k, q), y.reshape(k, q), float(s @ y), m)

        def inverse(steps, changes, products):
            found = np.linalg.inv(hessian)
            if matrices is None:
                y = changes[-1]
                found = found * products[-1] / (y @ found @ y)
            for s, y, product in zip(steps, changes, products, strict=True):
                across = np.eye(k * q) - np.outer(s, y) / product
                found = across @ found @ across.T + np.outer(s, s) / product
            return found

        def direction(g):
            return -np.linalg.solve(hessian, g.ravel()).reshape(k, q)

        model = SimpleNamespace(preconditioner=lambda _: SimpleNamespace(direction=direction))
        state = SimpleNamespace(pairs=pairs, matrices=matrices)
        g = rng.normal(size=(k, q))
        found = quasi_newton.quasi_newton_direction(model, state, g)
        kept = [np.array(each, np.float64).reshape(m, k * q) for each in pairs]
        own = -inverse(*kept, np.ones(m)) @ g.ravel()
        np.testing.assert_allclose(found.ravel(), own, rtol=1e-9)
        given = -inverse(steps, changes, (steps * changes).sum(axis=1)) @ g.ravel()
        np.testing.assert_allclose(found.ravel(), given, rtol=2e-6)  # they are kept in single
        again = quasi_newton.quasi_newton_direction(model, state, g)  # nothing was written to
        np.testing.assert_array_equal(again, found)
        np.testing.assert_array_equal(np.array(pairs.steps).reshape(m, k * q), kept[0])

    @pytest.mark.parametrize("size", [1e-60, 1.0, 1e60])
    @pytest.mark.parametrize(
        "curvature, kind",
        [(1e-120, "f8"), (1e-80, "f8"), (1e-30, "f4"), (1.0, "f4"), (1e40, "f4"), (1e100, "f8")],
    )
    def test_pairs_stand_for_the_same_second_derivative(self, size, curvature, kind):
        rng = np.random.default_rng(1)
        s = size * rng.normal(size=(2, 3))
        y = s * rng.uniform(0.5, 2.0, size=(2, 3)) * curvature
        pairs = Pairs().added(s, y, float((s * y).sum()), 3)
        own, change = (part[0].astype(np.float64) for part in pairs)
        assert pairs.steps[0].dtype == pairs.changes[0].dtype == kind
        assert (own * change).sum() == pytest.approx(1.0, rel=1e-6)
        np.testing.assert_allclose(change / own, y / s, rtol=1e-6)
        np.testing.assert_allclose(own / own[0, 0], s / s[0, 0], rtol=1e-6)

    def test_once_a_pair_needs_double_precision_all_have_it(self):
        near = np.array([[1.0, 2.0]])
        apart = near * [1e-45, 1.0], near * [1e45, 1.0]  # columns of very different scales
        pairs = Pairs().added(near, near, 5.0, 9)
        before = [np.array(part) for part in pairs]
        for s, y in (apart, (near, near)):
            pairs = pairs.added(s, y, float((s * y).sum()), 9)
        assert {each.dtype for part in pairs for each in part} == {np.dtype(np.float64)}
        for was, part in zip(before, pairs, strict=True):
            np.testing.assert_array_equal(part[0], was[0])
        np.testing.assert_allclose(pairs.steps[1] * pairs.changes[1], [[0.2, 0.8]], rtol=1e-12)

    def test_only_the_last_pairs_are_kept(self):
        pairs = Pairs()
        for i in range(5):
            pairs = pairs.added(np.full((1, 2), i + 1.0), np.full((1, 2), 1.0), 1.0, 3)
        np.testing.assert_array_equal(np.array(pairs.steps)[:, 0, 0], [3, 4, 5])
        pairs = Pairs()
        for i in range(5):
            pairs = pairs.added(np.full((1, 2), 1.0), np.full((1, 2), i + 1.0), 1.0, 3)
        np.testing.assert_array_equal(np.array(pairs.changes)[:, 0, 1], [3, 4, 5])

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
            "ALWAYS_NEWTON": 0, "_NEWTON_PRODUCTS": 0.0, "_LEAST_ROWS": 1, "_LEAST_A_FEATURE": 1,
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


class TestDiagonalFirst:
    """Where a matrix is dear steps begin in a diagonal, and end there if that leads on fast."""

    @staticmethod
    def _problem(monkeypatch, *, correlated, layout=dense, p=30, sampled=False):
        for name, number in {
            "ALWAYS_NEWTON": 0, "_NEWTON_PRODUCTS": 0.0, "CHEAP_PRODUCTS": 0.0,
            "_LEAST_ROWS": 1, "_DIAGONAL_PAYS": 0.1, "_SAMPLE_PAYS": 4 if sampled else 1e9,
        }.items():  # fmt: skip
            monkeypatch.setattr(choice, name, number)
        rng, n = np.random.default_rng(5), 13_000 if sampled else 2500
        X = rng.normal(size=(n, p))
        if correlated:
            X = X @ rng.normal(size=(p, p))
        y = np.where(X[:, :5].mean(axis=1) + rng.logistic(size=n) > 0.0, 1.0, -1.0)
        changes = {"loss": LogLoss(), "penalty": L2(1e-3), "tol": 1e-6}
        return Dataset(layout(X), y[:, None]), X, changes

    @pytest.mark.parametrize("sampled", [False, True])
    @pytest.mark.parametrize("layout", [dense, csr])
    def test_uncorrelated_features_need_no_matrix(self, solve, monkeypatch, layout, sampled):
        data, X, changes = self._problem(
            monkeypatch, correlated=False, layout=layout, sampled=sampled
        )
        found = solve(data, **changes)
        assert found.ran.state.matrices is None
        assert found.ran.state.diagonal is not None
        assert (found.kinds[0] is StepKind.SAMPLE) == sampled
        assert found.outcome is Outcome.OPTIMAL
        assert found.records[-1].passes < 16
        objective = Objective.of(data, X, **changes)
        least, at_start = objective.least(), objective(objective.start)[0]
        assert objective(found.params)[0] - least < 1e-10 * (at_start - least)

    def test_a_first_step_that_does_not_lead_on_is_forgotten(self, solve, monkeypatch):
        data, _, changes = self._problem(monkeypatch, correlated=True)
        monkeypatch.setattr(quasi_newton, "_FAST_AT_FIRST", 0.0)
        tried = solve(data, **changes)
        monkeypatch.setattr(choice, "_DIAGONAL_PAYS", np.inf)
        plain = solve(data, **changes)
        assert tried.ran.state.matrices is not None
        assert tried.ran.state.diagonal is None
        np.testing.assert_array_equal(tried.params, plain.params)
        assert 0.0 < tried.records[-1].passes - plain.records[-1].passes < 2.7

    def test_no_run_ends_before_its_gains_tell_how_far_it_is(self, solve, monkeypatch):
        """In a diagonal a step's length alone can be far too small."""
        data, _, changes = self._problem(monkeypatch, correlated=False)
        found = solve(data, **changes | {"tol": 0.6})
        assert found.ran.state.diagonal is not None
        assert len(found.records) == 3

    def test_a_step_that_would_be_shortened_costs_one_pass(self, solve, monkeypatch):
        """Along what all features share a diagonal's step is far too long."""
        data, X, changes = self._problem(monkeypatch, correlated=False)
        shared = np.random.default_rng(1).normal(size=(X.shape[0], 1)) + data.y
        data = Dataset(dense(X + 30.0 * shared), data.y)
        tried = solve(data, **changes)
        monkeypatch.setattr(choice, "_DIAGONAL_PAYS", np.inf)
        plain = solve(data, **changes)
        np.testing.assert_array_equal(tried.params, plain.params)
        assert tried.records[0].passes - plain.records[0].passes < 2.7  # the diagonal's rows, too

    @pytest.mark.parametrize("sampled", [False, True])
    def test_steps_among_correlated_ones_end_in_a_matrix(self, solve, monkeypatch, sampled):
        data, X, changes = self._problem(monkeypatch, correlated=True, sampled=sampled)
        found = solve(data, **changes)
        assert found.ran.state.matrices is not None
        Objective.of(data, X, **changes).assert_solved_by(found.params)


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
