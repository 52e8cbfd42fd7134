"""How a run of the automatic method ends, what it records, and that its bits are the seed's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradstep.engine import executor
from gradstep.engine.automatic import l1_minimum
from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.automatic.quadratic_model import QuadraticModel
from gradstep.engine.kernels.linalg import minimise_quadratic
from gradstep.engine.records import Outcome
from gradstep.engine.row_sums import RowSums
from gradstep.engine.statistics import columns_of
from gradstep.errors import Diverged
from gradstep.objective.classification import LogLoss
from gradstep.objective.penalties import L1, L2, NoPenalty, Scaled
from gradstep.objective.regression import SquaredError
from gradstep.optim.optimizers import SGD
from gradstep.optim.schedules import Constant
from gradstep.optim.solvers import SVRG, Exact
from gradstep.rows import shards
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows
from tests.engine.automatic.problems import SIZES, Objective, case, nasty_data, problem, sized
from tests.engine.cases import dense
from tests.uncompiled import uncompiled


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
        monkeypatch.setattr(l1_minimum, "minimise_quadratic", gives_up)
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

    def test_least_squares_take_two_passes(self, solve):
        """Columns, a snapshot with the Hessian; the end follows from that."""
        data, _ = sized("newton", SquaredError())
        (record,) = solve(data).records
        assert record.passes == pytest.approx(2.0, abs=1e-12)
        (record,) = solve(data, columns=columns_of(data)).records
        assert record.passes == pytest.approx(2.0, abs=1e-12)  # whoever has measured them

    def test_what_follows_from_the_hessian_is_what_a_pass_tells(self, solve):
        data, _ = sized("newton", SquaredError())
        found, looked = solve(data), solve(data, tol=1e-15)
        assert looked.records[0].passes == pytest.approx(3.0, abs=1e-12)
        assert found.records[0].loss == pytest.approx(looked.records[0].loss, rel=1e-13)
        ours, theirs = found.ran.state.at.gradient, looked.ran.state.at.gradient
        np.testing.assert_allclose(ours, theirs, rtol=0.0, atol=1e-13)

    def test_with_l1_a_hessian_near_the_optimum_is_kept(self, solve, monkeypatch):
        summed, evaluate = [], RowSums.evaluate

        def watched(self, loss, params, hessian=None, **more):
            summed.append(hessian is not None)
            return evaluate(self, loss, params, hessian, **more)

        monkeypatch.setattr(RowSums, "evaluate", watched)
        data, _ = sized("newton", LogLoss())
        asked = {"loss": LogLoss(), "penalty": L1(1e-3), "tol": 1e-9}
        found = solve(data, **asked)
        assert found.outcome is Outcome.OPTIMAL
        assert summed[-1] is False  # the last steps are those of an earlier Hessian
        monkeypatch.setattr(QuadraticModel, "keeps_hessian", QuadraticModel.knows_hessian)
        anew = solve(data, **asked)
        assert summed[-1] is True
        np.testing.assert_allclose(found.params, anew.params, rtol=1e-8)

    def test_of_least_squares_a_sample_has_one_hessian_while_it_leads_far(self, solve, monkeypatch):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(30_000, 70)) + rng.normal(size=(30_000, 1))
        y = X[:, :5] @ np.ones(5) + rng.normal(size=30_000)
        data = Dataset(dense(X), y[:, None])
        for module in ("choice", "hessian"):  # of fewer products than this all rows are taken
            monkeypatch.setattr(f"gradstep.engine.automatic.{module}.CHEAP_PRODUCTS", 1e7)
        summed, hessian = [], RowSums.hessian

        def watched(self, *asked, **more):
            summed.append(self.data.n)
            return hessian(self, *asked, **more)

        monkeypatch.setattr(RowSums, "hessian", watched)
        asked = {"loss": SquaredError(), "penalty": L1(1e-3), "tol": 1e-5}
        found = solve(data, **asked)
        assert found.outcome is Outcome.OPTIMAL
        steps = sum(record.step.startswith("a Newton step") for record in found.records)
        assert steps > len(summed) == 1
        monkeypatch.setattr(QuadraticModel, "keeps_hessian", QuadraticModel.knows_hessian)
        summed.clear()
        anew = solve(data, **asked)
        assert len(summed) > 1
        np.testing.assert_allclose(found.params, anew.params, atol=1e-4)

    def test_where_little_is_left_of_the_loss_the_last_pass_is_made(self, solve):
        """The loss would be a difference of numbers that are far larger."""
        data, _ = sized("newton", SquaredError())
        exact = replace(data, y=data.rows.values[:, :1] * 3.0 + 1.0)
        record = solve(exact, penalty=L2(0.0)).records[0]
        assert record.passes == pytest.approx(3.0, abs=1e-12)
        assert 0.0 <= record.loss < 1e-25

    def test_an_epoch_of_reduced_steps_takes_its_share(self, solve):
        data, _ = sized("diagonal", LogLoss())
        for share in (0.25, 0.5):
            optimizer = SVRG(share=share)
            penalty = Scaled(L1(0.002), 1.0)  # known by its map alone
            asked = {"loss": LogLoss(), "penalty": penalty, "optimizer": optimizer}
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
        found = solve(data, columns=columns_of(data), may_restart=True, **changes)
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
        ("sampled", {}), ("quasi-newton", {}), ("diagonal", {"penalty": Scaled(L1(0.002), 1.0)}),
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
