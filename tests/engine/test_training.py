"""The trainer: what a run gives, and that stopping, cutting and going on change no bit of it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.engine.records import Outcome
from gradstep.engine.state import Validation
from gradstep.errors import InvalidComponent
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty
from gradstep.optim import optimizers, schedules
from gradstep.optim.schedules import Constant
from gradstep.rows.dataset import Dataset
from gradstep.rows.order import order_of
from tests.engine.cases import (
    PARTS,
    PROBLEMS,
    SOME,
    by_hand,
    csr,
    dense,
    fit,
    fit_in_parts,
    matrix,
    problem,
    regression,
    reversed_odd,
    same_bits,
)

DATA = regression()
SPARSE = regression(p=40, layout=csr, density=0.1)
X, Y = DATA.rows.values, DATA.y[:, 0]
WEIGHTED = regression(weighted=True)


def orders(epochs=3, n=53, seed=0):
    order, _ = order_of("exact", n, seed, 24)
    return [order(epoch) for epoch in range(epochs)]


def judged(data):
    """Return validation rows with the negative mean square as score."""
    return Validation(data, lambda z: -float(np.mean((z - data.y) ** 2)))


OPTIMIZERS = [
    optimizers.SGD(),
    optimizers.Momentum(),
    optimizers.Nesterov(),
    optimizers.AdaGrad(),
    optimizers.RMSprop(),
    optimizers.Adam(),
    optimizers.Adam(amsgrad=True),
    optimizers.FTRL(),
]


class TestGoingOn:
    """Stopped after any batch and taken up again, a run ends with the same bits."""

    def check(self, of, data, parts, **options):
        whole, outcome, told = fit(of, data, **options)
        again, outcome_again, told_again = fit_in_parts(of, data, parts, **options)
        assert same_bits(again, whole)
        assert (outcome_again, told_again) == (outcome, told)

    @SOME
    @given(PROBLEMS, PARTS, st.sampled_from(OPTIMIZERS), st.booleans())
    def test_dense(self, changes, parts, optimizer, validate):
        of = problem(DATA, **changes, optimizer=optimizer, penalty=ElasticNet(0.01, 0.5))
        validation = judged(regression(11, seed=5)) if validate else None
        self.check(of, DATA, parts, validation=validation)

    @SOME
    @given(PROBLEMS, PARTS, st.sampled_from([L2(0.0), L2(0.1), L2(1e3), L1(0.01)]))
    def test_sparse(self, changes, parts, penalty):
        self.check(problem(SPARSE, **changes, penalty=penalty), SPARSE, parts)

    @SOME
    @given(PROBLEMS, PARTS)
    def test_weighted(self, changes, parts):
        self.check(problem(WEIGHTED, **changes), WEIGHTED, parts)

    def test_each_batch_of_a_stream(self):
        """Of parts with different weights, each trained on once."""
        parts = [regression(20, seed=s, weighted=True) for s in range(3)]
        of = problem(DATA)

        def stream(pauses):
            state = of.start()
            for part in parts:
                end = state.epoch + 1
                for batches in pauses:
                    state, _, _ = fit(
                        of, part, state, incremental=True, until_epoch=end, max_batches=batches
                    )
            return state

        assert same_bits(stream([1, 1, None]), stream([None]))

    @pytest.mark.uncompiled
    def test_the_trained_state_is_a_new_one(self):
        of = problem(DATA, average_from=1, optimizer=optimizers.Momentum(), tol=1e-3)
        state, _, _ = fit(of, DATA, max_batches=10, validation=judged(DATA))
        before = copy.deepcopy(state)
        after, _, _ = fit(of, DATA, state, validation=judged(DATA))
        assert same_bits(state, before)
        assert not same_bits(after, before)
        shared = [
            name
            for name, value in vars(state).items()
            if isinstance(value, np.ndarray) and np.shares_memory(value, vars(after)[name])
        ]
        assert shared == []

    @pytest.mark.parametrize(
        "penalty", [pytest.param(NoPenalty(), marks=pytest.mark.uncompiled), L2(5.0)], ids=str
    )
    def test_a_paused_state_tells_the_weights(self, penalty):
        """In whatever form the kernel keeps them in the middle of an epoch."""
        of = problem(SPARSE, penalty=penalty)
        rows = SPARSE.rows
        full = np.zeros((rows.n_rows, rows.width))
        for r in range(rows.n_rows):
            at = slice(rows.starts[r], rows.starts[r + 1])
            full[r, rows.columns[at]] = rows.values[at]
        paused, outcome, _ = fit(of, SPARSE, max_batches=9)
        same, _, _ = fit(of, Dataset(dense(full), SPARSE.y), max_batches=9)
        assert outcome is Outcome.PAUSED
        np.testing.assert_allclose(paused.current(), same.current(), rtol=1e-12, atol=1e-13)


class TestSteps:
    """Parameters and running losses are those of plain NumPy."""

    @pytest.mark.parametrize("weight", [None, WEIGHTED.sample_weight], ids=["", "weighted"])
    @pytest.mark.parametrize("last_batch", ["scale", "mean", "drop"])
    def test_each_step(self, last_batch, weight):
        of = problem(DATA, last_batch=last_batch)
        data = Dataset(DATA.rows, DATA.y, weight)
        state, last, per_epoch = of.start(), None, {}
        for epoch, rows, loss, params in by_hand(
            X, Y, orders(), weight=weight, last_batch=last_batch
        ):
            state, _, _ = fit(of, data, state, max_batches=1)
            np.testing.assert_allclose(state.params, params, rtol=1e-12, atol=1e-14)
            total, mass = per_epoch.get(epoch, (0.0, 0.0))
            mass += rows.size if weight is None else weight[rows].sum()
            per_epoch[epoch] = total + loss, mass
            last = params
        whole, _, told = fit(of, data)
        np.testing.assert_allclose(whole.params, last, rtol=1e-12, atol=1e-14)
        # the running objective: mean loss before each row's step, and the last penalty
        running = [loss / mass for loss, mass in per_epoch.values()]
        told_loss = [loss for _, loss, _, _ in told]
        assert told_loss[-1] == pytest.approx(
            running[-1] + 0.5 * 0.01 * np.sum(last[:-1] ** 2), rel=1e-12
        )
        assert all(told > ran for told, ran in zip(told_loss, running, strict=True))

    def test_kinds_of_last_batch_differ(self):
        ends = [
            fit(problem(DATA, last_batch=kind), DATA)[0].params
            for kind in ("scale", "mean", "drop")
        ]
        assert not np.allclose(ends[0], ends[1], rtol=1e-6)
        assert not np.allclose(ends[0], ends[2], rtol=1e-6)

    def test_a_batch_above_n_is_n(self):
        whole, _, _ = fit(problem(DATA, batch_size=53), DATA)
        more, _, _ = fit(problem(DATA, batch_size=1000), DATA)
        assert same_bits(more, whole)
        assert more.steps == 3

    def test_counters(self):
        """Of steps, of rows, and the sum of the steps' shares of the penalty."""
        state, _, _ = fit(problem(DATA, batch_size=8), DATA)
        assert state.steps == 3 * 7
        assert state.counters[1] == 3 * 53
        assert state.counters[3] == pytest.approx(3 * (6 + 5 / 8))

    def test_without_intercept_it_stays(self):
        of = problem(DATA, fit_intercept=False)
        state, _, _ = fit(of, DATA, of.start(np.ones(3), np.array([7.0])))
        assert state.params[-1] == 7.0

    def test_the_intercept_has_its_own_rate(self):
        of = problem(DATA, batch_size=53, max_epochs=1, intercept_factor=0.25)
        plain = problem(DATA, batch_size=53, max_epochs=1)
        ours, theirs = fit(of, DATA)[0].params, fit(plain, DATA)[0].params
        np.testing.assert_array_equal(ours[:-1], theirs[:-1])
        assert ours[-1] == pytest.approx(0.25 * theirs[-1], rel=1e-12)

    @pytest.mark.parametrize("average_from", [1, 20, 60])
    def test_the_average_is_that_of_the_iterates(self, average_from):
        state, _, _ = fit(problem(DATA, average_from=average_from), DATA)
        iterates, seen = [], 0
        for _, rows, _, params in by_hand(X, Y, orders()):
            seen += rows.size
            if seen >= average_from:
                iterates.append(params)
        np.testing.assert_allclose(state.current(), np.mean(iterates, axis=0), rtol=1e-12)
        assert not np.allclose(state.current(), state.params, rtol=1e-3)

    def test_no_average_before_its_time(self):
        state, _, _ = fit(problem(DATA, average_from=1000), DATA)
        np.testing.assert_array_equal(state.current(), state.params)


class TestWeights:
    """A row of weight 2 is the row twice, a row of weight 0 is no row."""

    @pytest.mark.parametrize("layout", [dense, csr])
    @pytest.mark.parametrize("k", [1, 2])
    def test_repeated_rows(self, layout, k):
        data = regression(k=k)
        times = np.random.default_rng(4).integers(0, 4, data.n)
        weighted = Dataset(layout(data.rows.values), data.y, times.astype(float))
        repeated = Dataset(
            layout(np.repeat(data.rows.values, times, axis=0)), np.repeat(data.y, times, axis=0)
        )
        full = problem(data, batch_size=1000, max_epochs=20)
        ours, _, told = fit(full, weighted)
        theirs, _, told_theirs = fit(full, repeated)
        np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(
            [loss for _, loss, _, _ in told], [loss for _, loss, _, _ in told_theirs], rtol=1e-12
        )

    def test_only_ratios_count(self):
        """A power of two on all weights changes no bit."""
        double = Dataset(WEIGHTED.rows, WEIGHTED.y, 2.0 * WEIGHTED.sample_weight)
        one, _, told = fit(problem(WEIGHTED), WEIGHTED)
        other, _, told_double = fit(problem(WEIGHTED), double)
        np.testing.assert_array_equal(one.params, other.params)
        assert told == told_double


class TestSelection:
    """Some of the rows, without a copy, train as those rows alone do."""

    @pytest.mark.parametrize("shuffle", ["exact", "blocks", "none"])
    @pytest.mark.parametrize("layout", [dense, csr])
    def test_same_bits(self, layout, shuffle):
        chosen = np.random.default_rng(1).permutation(53)[:30].astype(np.uint32)
        whole = Dataset(layout(X), DATA.y, WEIGHTED.sample_weight)
        copied = Dataset(layout(X[chosen]), DATA.y[chosen], WEIGHTED.sample_weight[chosen])
        of = problem(whole, shuffle=shuffle)
        ours, _, told = fit(of, whole.select(chosen))
        theirs, _, told_theirs = fit(of, copied)
        assert same_bits(ours, theirs)
        assert told == told_theirs


class TestOrder:
    """Which row is visited when: recovered from the mean of the iterates."""

    N = 37

    def visited(self, shuffle, seed):
        """Return the rows in the order in which one epoch visits them.

        Row i has feature i alone, so w_i is 0 until its visit and the same number after it:
        its mean over the steps tells when that was.
        """
        n = self.N
        data = Dataset(dense(np.eye(n)), np.ones((n, 1)))
        of = problem(
            data, shuffle=shuffle, seed=seed, batch_size=1, max_epochs=1, average_from=1,
            fit_intercept=False, penalty=L2(0.0), schedule=Constant(1.0),
        )  # fmt: skip
        mean = fit(of, data)[0].average[:n]
        position = np.rint(n * (1.0 - mean)).astype(int)
        order = np.empty(n, int)
        order[position] = np.arange(n)
        return order

    @pytest.mark.parametrize("seed", [0, 1])
    def test_exact(self, seed):
        order, _ = order_of("exact", self.N, seed, 0)
        np.testing.assert_array_equal(self.visited("exact", seed), order(0))

    def test_none(self):
        np.testing.assert_array_equal(self.visited("none", 0), np.arange(self.N))

    def test_callable(self):
        backwards = np.arange(self.N)[::-1]
        np.testing.assert_array_equal(self.visited(lambda *_: backwards, 0), backwards)

    def test_blocks_visit_each_row_once(self):
        order = self.visited("blocks", 0)
        np.testing.assert_array_equal(np.sort(order), np.arange(self.N))
        assert not np.array_equal(order, self.visited("blocks", 1))

    def test_each_epoch_asks_for_its_own(self):
        asked = []

        def asking(epoch, n):
            asked.append(epoch)
            return reversed_odd(epoch, n)

        fit(problem(DATA, shuffle=asking), DATA)
        assert asked == [0, 1, 2]


class TestEnds:
    """How a run ends."""

    def test_max_epochs(self):
        state, outcome, _ = fit(problem(DATA), DATA)
        assert (outcome, state.epoch) == (Outcome.MAX_EPOCHS, 3)

    def test_until_epoch(self):
        state, outcome, _ = fit(problem(DATA), DATA, until_epoch=2)
        assert (outcome, state.epoch) == (Outcome.PAUSED, 2)
        again, outcome, told = fit(problem(DATA), DATA, state, until_epoch=2)
        assert (outcome, told) == (Outcome.PAUSED, [])
        assert same_bits(again, state)

    def test_paused(self):
        state, outcome, told = fit(problem(DATA), DATA, max_batches=8)
        assert (outcome, state.epoch, state.batch, state.steps) == (Outcome.PAUSED, 1, 1, 8)
        assert len(told) == 1

    def test_paused_between_epochs(self):
        state, outcome, told = fit(problem(DATA), DATA, max_batches=7)
        assert (outcome, state.epoch, state.batch) == (Outcome.PAUSED, 1, 0)
        assert len(told) == 1

    def test_converged(self):
        of = problem(DATA, tol=1e-3, patience=2, max_epochs=500, shuffle="none")
        _, outcome, told = fit(of, DATA)
        assert outcome is Outcome.CONVERGED
        losses = np.array([loss for _, loss, _, _ in told])
        best = np.minimum.accumulate(losses)
        improved = losses[1:] <= best[:-1] - 1e-3
        assert improved[-3]  # the last two epochs did not, those before did or were alone
        assert not improved[-2:].any()
        assert not (~improved[:-2][:-1] & ~improved[:-2][1:]).any()

    def test_validation(self):
        held_out = judged(regression(20, seed=9))
        of = problem(DATA, tol=1e-3, patience=2, max_epochs=500)
        state, outcome, told = fit(of, DATA, validation=held_out)
        assert outcome is Outcome.VALIDATION
        assert state.best_score == max(score for _, _, score, _ in told)

    def test_validation_that_only_looks_on(self):
        looks_on = Validation(DATA, lambda _: 0.0, stops=False)
        _, outcome, told = fit(problem(DATA, tol=1e-9), DATA, validation=looks_on)
        assert outcome is Outcome.MAX_EPOCHS
        assert [score for _, _, score, _ in told] == [0.0] * 3

    def test_the_best_parameters_are_kept(self):
        scores = iter([1.0, 3.0, 2.0])
        kept = []

        class Keep:
            def on_epoch_end(self, event):
                kept.append(event.params.copy())

        validation = Validation(DATA, lambda _: next(scores))
        state, _, _ = fit(problem(DATA), DATA, validation=validation, callbacks=[Keep()])
        np.testing.assert_array_equal(state.best_params, kept[1])
        assert state.best_score == 3.0

    def test_callback(self):
        class Stop:
            def on_epoch_end(self, event):
                return event.record.epoch == 2

        state, outcome, _ = fit(problem(DATA), DATA, callbacks=[Stop()])
        assert (outcome, state.epoch) == (Outcome.CALLBACK, 2)

    def test_each_has_a_sentence(self):
        sentences = {outcome.sentence for outcome in Outcome}
        assert len(sentences) == len(Outcome)
        assert all(sentence.endswith(".") for sentence in sentences)


class TestRates:
    """What the schedule gives is what steps are taken with."""

    def test_adaptive_comes_down(self):
        schedule = schedules.Adaptive(0.1, divisor=5.0, smallest=1e-3)
        of = problem(DATA, schedule=schedule, tol=1e-3, patience=2, max_epochs=500)
        _, outcome, told = fit(of, DATA)
        rates = [rate for *_, rate in told]
        assert outcome is Outcome.CONVERGED
        # as scikit-learn: divided as long as it is above the smallest, so ends below
        steps = sorted(set(rates), reverse=True)
        assert steps == pytest.approx([0.1, 0.02, 0.004, 0.0008])
        assert rates == sorted(rates, reverse=True)

    def test_of_each_step(self):
        asked = []

        def rate(epoch, step):
            asked.append((epoch, step))
            return 0.01

        of = problem(DATA, schedule=schedules.UserSchedule(rate))
        state, _, _ = fit_in_parts(of, DATA, [3, 5])
        assert asked == [(step // 7, step) for step in range(21)]
        constant, _, _ = fit(problem(DATA, schedule=Constant(0.01)), DATA)
        np.testing.assert_array_equal(state.params, constant.params)

    @pytest.mark.parametrize("rate", [np.nan, np.inf, -0.1])
    def test_impossible(self, rate):
        schedule = schedules.UserSchedule(lambda *_: rate)
        with pytest.raises(InvalidComponent, match="finite learning rates >= 0"):
            fit(problem(DATA, schedule=schedule), DATA)

    def test_of_the_wrong_number(self):
        class TooFew(schedules.Constant):
            def rates(self, *_):
                return np.ones(1)

        with pytest.raises(InvalidComponent, match="must give 7 finite learning rates"):
            fit(problem(DATA, schedule=TooFew()), DATA)


class TestSpeed:
    def test_counts_the_rows_of_the_time_it_measured(self):
        """Also in an epoch that was paused: seconds before the pause are not known."""
        records = []

        class Keep:
            def on_epoch_end(self, event):
                records.append(event.record)

        state, _, _ = fit(problem(DATA, max_epochs=1), DATA, max_batches=5)
        fit(problem(DATA, max_epochs=1), DATA, state, callbacks=[Keep()])
        (record,) = records
        assert record.rows_per_second * record.seconds == pytest.approx(53 - 5 * 8, rel=1e-6)


def test_the_full_loss_is_that_after_the_epoch():
    losses = []

    class Keep:
        def on_epoch_end(self, event):
            error = X @ event.params[:-1] + event.params[-1] - Y
            plain = 0.5 * np.average(error**2, weights=event.data.sample_weight)
            penalty = 0.5 * 0.01 * np.sum(event.params[:-1] ** 2)
            losses.append((event.full_loss, plain, event.full_objective - penalty))

    for data in (DATA, WEIGHTED):
        fit(problem(data, average_from=1), Dataset(DATA.rows, DATA.y, data.sample_weight),
            callbacks=[Keep()])  # fmt: skip
    full, plain, objective = np.transpose(losses)
    assert len(full) == 6
    np.testing.assert_allclose(full, plain, rtol=1e-12)
    np.testing.assert_allclose(objective, plain, rtol=1e-12)


def test_many_features_and_rows_left_of_each_tile():
    """Tiles of eight rows, and of rows longer than what is prefetched."""
    wide = matrix(21, 600, seed=2)
    y = wide[:, 0].copy()
    data = Dataset(dense(wide), y[:, None])
    *_, (_, _, _, params) = by_hand(wide, y, orders(n=21), rate=1e-3, batch_size=9)
    state, _, _ = fit(problem(data, schedule=Constant(1e-3), batch_size=9), data)
    np.testing.assert_allclose(state.params, params, rtol=1e-11, atol=1e-15)
