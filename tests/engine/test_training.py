"""Runs of the loop: stopping, cutting and going on change no bit of them; how they end."""

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
from tests.engine.cases import (
    PARTS,
    PROBLEMS,
    SOME,
    csr,
    dense,
    fit,
    fit_in_parts,
    problem,
    regression,
    same_bits,
)

DATA = regression()
SPARSE = regression(p=40, layout=csr, density=0.1)
WEIGHTED = regression(weighted=True)


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
