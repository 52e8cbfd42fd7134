"""Lazy steps: those of the plain kernel, to rounding."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.engine.textbook import epoch as walk
from gradstep.engine.textbook import steps
from gradstep.engine.textbook.steps import UpdateKind
from gradstep.objective.classification import Softmax
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty
from gradstep.optim.optimizers import FTRL, SGD, AdaGrad, At, Momentum
from tests.engine.cases import PARTS, PROBLEMS, SOME, fit, fit_in_parts, problem, same_bits
from tests.engine.kernels.lazy import (
    ALL_PAIRS,
    CLASSES,
    COMPILED,
    OPTIMIZERS,
    OTHER_PAIRS,
    PENALTIES,
    RATES,
    SOME_PAIRS,
    SPARSE,
    TABLE,
    TWO,
    VARYING,
    assert_equal,
    both,
    force,
)
from tests.examples import examples
from tests.slow import slow_unless
from tests.uncompiled import among, compiled_if, uncompiled


class TestEqualsThePlainSteps:
    @pytest.mark.parametrize("schedule", RATES, ids=str)
    @pytest.mark.parametrize(
        "optimizer, penalty",
        [*COMPILED, pytest.param(*SOME_PAIRS[1], marks=pytest.mark.slow)],
        ids=str,
    )
    def test_pairs(self, optimizer, penalty, schedule):
        self.check_pair(optimizer, penalty, schedule)

    @uncompiled
    @pytest.mark.parametrize("schedule", slow_unless(VARYING.__eq__, RATES), ids=str)
    @pytest.mark.parametrize("optimizer, penalty", ALL_PAIRS, ids=str)
    def test_every_pair(self, optimizer, penalty, schedule):
        self.check_pair(optimizer, penalty, schedule)

    def check_pair(self, optimizer, penalty, schedule):
        of = problem(TWO, optimizer=optimizer, penalty=penalty, schedule=schedule, batch_size=7)
        assert_equal(*both(of, TWO))
        assert_equal(*both(of, TWO, max_batches=41))

    @SOME
    @given(
        PROBLEMS,
        st.sampled_from(COMPILED),
        st.sampled_from([0.0, 1e-3, 1.0, 30.0]),
        st.sampled_from([2, 16, steps.PERIOD]),
    )
    def test_every_problem(self, changes, pair, alpha, period):
        """Weak and strong penalties; periods that end in the middle of an epoch."""
        self.check_problem(changes, *pair, alpha, period)

    @pytest.mark.slow
    @uncompiled  # to compile them all takes minutes
    @SOME
    @given(
        PROBLEMS,
        st.sampled_from(ALL_PAIRS),
        st.sampled_from([0.0, 1e-3, 1.0, 30.0]),
        st.sampled_from([2, 16, steps.PERIOD]),
    )
    def test_every_problem_and_pair(self, changes, pair, alpha, period):
        self.check_problem(changes, *pair, alpha, period)

    def check_problem(self, changes, optimizer, penalty, alpha, period):
        if hasattr(penalty, "alpha"):
            penalty = penalty._replace(alpha=alpha)
        changes |= {"average_from": 0}
        of = problem(SPARSE, **changes, optimizer=optimizer, penalty=penalty)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(steps, "PERIOD", period)
            assert_equal(*both(of, SPARSE))

    @pytest.mark.parametrize(
        "optimizer, penalty",
        compiled_if(lambda pair: type(pair[0]) is SGD, SOME_PAIRS),
        ids=str,
    )
    @pytest.mark.parametrize("last_batch", ["scale", "mean"])
    def test_tables(self, optimizer, penalty, last_batch):
        of = problem(TABLE, optimizer=optimizer, penalty=penalty, last_batch=last_batch)
        assert_equal(*both(of, TABLE))

    @uncompiled
    @pytest.mark.parametrize("intercept", [True, False])
    @pytest.mark.parametrize("optimizer, penalty", OTHER_PAIRS, ids=str)
    def test_softmax(self, optimizer, penalty, intercept):
        of = problem(
            CLASSES, loss=Softmax(), n_outputs=3, optimizer=optimizer, penalty=penalty,
            fit_intercept=intercept,
        )  # fmt: skip
        assert_equal(*both(of, CLASSES))

    @pytest.mark.parametrize("optimizer, penalty", compiled_if(among(COMPILED), ALL_PAIRS), ids=str)
    def test_from_given_weights(self, optimizer, penalty):
        """Which features that no row has keep, or lose to the penalty."""
        of = problem(SPARSE, optimizer=optimizer, penalty=penalty)
        start = of.start(np.linspace(-1.0, 1.0, 80), np.array([2.0]))
        assert_equal(*both(of, SPARSE, state=start))

    @pytest.mark.parametrize(
        "data", [SPARSE, pytest.param(TABLE, marks=uncompiled)], ids=["csr", "table"]
    )
    def test_in_place(self, data):
        """Plain SGD has a way of its own, on tables as well."""
        of = problem(data)
        with pytest.MonkeyPatch.context() as patch:
            force(patch, UpdateKind.IN_PLACE)
            found = fit(of, data)
            force(patch, UpdateKind.PLAIN)
            assert_equal(found, fit(of, data))


class TestGoingOn:
    @SOME
    @given(PROBLEMS, PARTS, st.sampled_from(COMPILED), st.sampled_from([4, steps.PERIOD]))
    def test_pauses_change_no_bit(self, changes, parts, pair, period):
        self.check_pauses(changes, parts, pair, period)

    @pytest.mark.slow
    @SOME
    @given(PROBLEMS, PARTS, st.sampled_from(SOME_PAIRS), st.sampled_from([4, steps.PERIOD]))
    def test_pauses_change_no_bit_of_any_optimizer(self, changes, parts, pair, period):
        self.check_pauses(changes, parts, pair, period)

    def check_pauses(self, changes, parts, pair, period):
        changes |= {"average_from": 0}
        of = problem(SPARSE, **changes, optimizer=pair[0], penalty=pair[1])
        with pytest.MonkeyPatch.context() as patch:
            force(patch, UpdateKind.LAZY)
            patch.setattr(steps, "PERIOD", period)
            whole, _, told = fit(of, SPARSE)
            again, _, told_again = fit_in_parts(of, SPARSE, parts)
        assert same_bits(again, whole)
        assert told_again == told

    def test_nor_do_copies_by_a_second_thread(self, monkeypatch):
        force(monkeypatch, UpdateKind.LAZY)
        of = problem(SPARSE, optimizer=SGD(), penalty=L1(0.02))
        alone = fit(of, SPARSE)
        monkeypatch.setattr(walk, "threads", lambda: 2)
        monkeypatch.setattr(walk, "_GATHER_BYTES", 0)
        monkeypatch.setattr(walk, "_GATHERED_BYTES", 1)
        helped = fit(of, SPARSE)
        assert same_bits(helped[0], alone[0])

    def test_a_paused_state_is_left_alone(self, monkeypatch):
        force(monkeypatch, UpdateKind.LAZY)
        of = problem(SPARSE, optimizer=SGD(), penalty=L1(0.02))
        paused, _, _ = fit(of, SPARSE, max_batches=5)
        before = copy.deepcopy(paused)
        fit(of, SPARSE, paused)
        still, _, _ = fit(of, SPARSE, paused, max_batches=0)
        assert same_bits(paused, before)
        assert same_bits(still, before)

    def test_nothing_is_kept_after_an_epoch(self, monkeypatch):
        force(monkeypatch, UpdateKind.LAZY)
        state, _, _ = fit(problem(SPARSE, optimizer=SGD(), penalty=L1(0.02)), SPARSE)
        assert (state.since.size, state.clock.size, state.behind.size) == (0, 0, 0)


class TestFormulas:
    """What stands for many idle steps, uncompiled, against the steps one by one."""

    @examples(150)
    @given(
        st.sampled_from([*OPTIMIZERS, Momentum(0.0), Momentum(0.97), AdaGrad(0.1), FTRL(1e-3)]),
        st.sampled_from([NoPenalty(), L1(), L2(), *(ElasticNet(1.0, r) for r in (0.01, 0.5, 1.0))]),
        st.floats(-5.0, 2.0),
        st.sampled_from(["equal", "near", "drifting", "any"]),
        st.integers(0, 2**32 - 1),
    )
    def test_equal_the_steps(self, optimizer, penalty, size, rates, seed):
        rng = np.random.default_rng(seed)
        if hasattr(penalty, "alpha"):
            penalty = penalty._replace(alpha=10.0**size)
        period, p = 64, 6
        clock = np.full(optimizer.clock_shape(period), np.nan)
        params, gradient = rng.normal(size=p), np.zeros(p)
        slots = np.abs(rng.normal(size=(optimizer.n_slots(), p)))
        if type(optimizer) is Momentum:
            slots *= np.sign(rng.normal(size=p))
        spread = {"near": 0.03, "any": 1.0}.get(rates, 0.0)
        first = At(0.1, 1.0, 1, 1.0)
        optimizer.step(penalty, params, gradient, slots, 0, p, first)
        lazily, since, begun = (params.copy(), slots.copy()), np.zeros(p, int), 0
        for t in range(2, 150):
            rate = 0.1 * (1.0 + spread * rng.uniform(-1.0, 1.0))
            share, missed = 1.0, 0.0
            if rates == "drifting":
                rate *= 0.997**t
            elif rates == "any":
                rate *= t % 5 > 0
                share, missed = 1.0 if t % 7 else 0.5, 0.5 * (t // 7)
            here = At(rate, share, t, t - missed)
            now = t - 1 - begun
            if now > period or not optimizer.tick(penalty, clock, now, here):
                for j in range(p):
                    optimizer.idle(
                        penalty, lazily[0], gradient, lazily[1], j, clock, since[j], now - 1
                    )
                begun, now = begun + now - 1, 1
                since[:] = 0
                assert optimizer.tick(penalty, clock, now, here)
            optimizer.step(penalty, params, gradient, slots, 0, p, here)
            j = rng.integers(p)
            optimizer.idle(penalty, lazily[0], gradient, lazily[1], j, clock, since[j], now)
            since[j] = now
            scale = 1e-9 * max(1.0, np.abs(slots).max(initial=0.0))
            assert abs(lazily[0][j] - params[j]) <= 1e-9
            np.testing.assert_allclose(lazily[1][:, j], slots[:, j], rtol=1e-9, atol=scale)

    @pytest.mark.parametrize("penalty", PENALTIES, ids=str)
    def test_strengths(self, penalty):
        l1, l2 = penalty.strengths()
        for w in (-2.0, 0.0, 0.3):
            assert penalty.value(w) == pytest.approx(l1 * abs(w) + 0.5 * l2 * w * w, abs=1e-15)
