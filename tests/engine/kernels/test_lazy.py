"""Lazy steps: those of the plain kernel, to rounding, at the cost of what a batch touches."""

from __future__ import annotations

import copy
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.engine.textbook import epoch as walk
from gradstep.engine.textbook import steps
from gradstep.engine.textbook.steps import UpdateKind, update_kind
from gradstep.objective.classification import Softmax
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty
from gradstep.optim import schedules
from gradstep.optim.optimizers import FTRL, SGD, AdaGrad, Adam, At, Momentum, Nesterov
from gradstep.optim.schedules import Constant, Cosine, InvScaling, WarmUp
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import CsrRows, DenseRows, TableRows
from tests.engine.cases import (
    PARTS,
    PROBLEMS,
    SOME,
    classes,
    csr,
    dense,
    fit,
    fit_in_parts,
    problem,
    regression,
    same_bits,
)
from tests.examples import examples
from tests.slow import slow_unless
from tests.uncompiled import among, compiled_if, uncompiled

OPTIMIZERS = [SGD(), Momentum(), AdaGrad(), FTRL()]
PENALTIES = [NoPenalty(), L1(0.02), L2(0.3), ElasticNet(0.1, 0.3)]
# Each optimizer with one penalty, on weighted rows of a CSR matrix: one is compiled, in the slow
# tests another, whose formula is the longest.
SOME_PAIRS = [*zip(OPTIMIZERS, (*PENALTIES[1:], NoPenalty()), strict=True)]
COMPILED = SOME_PAIRS[:1]
ALL_PAIRS = [*product(OPTIMIZERS, PENALTIES)]
OTHER_PAIRS = [*zip(OPTIMIZERS, reversed(PENALTIES), strict=True)]
VARYING = WarmUp(Cosine(0.05), epochs=0.5)
RATES = [Constant(0.05), InvScaling(0.05, 0.3), VARYING]


def table(n=120, columns=4, categories=20, seed=0, k=1):
    """Return rows of three numbers and four codes, some of which are none, with k targets."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, categories, (n, columns)) + np.arange(columns) * categories + 3
    codes[rng.random(codes.shape) < 0.1] = -1
    rows = TableRows(rng.normal(size=(n, 3)), codes.astype(np.int32), 3 + columns * categories)
    return Dataset(rows, rng.normal(size=(n, k)))


SPARSE = regression(120, 80, layout=csr, density=0.05, weighted=True)
TWO = regression(120, 80, k=2, layout=csr, density=0.05, weighted=True)
TABLE = table()
CLASSES = classes(120, 60, layout=csr, density=0.06)


def force(patch, way):
    patch.setattr(steps, "update_kind", lambda *_: way)


def both(of, data, **options):
    """Train by plain and by lazy steps."""
    found = []
    for way in (UpdateKind.PLAIN, UpdateKind.LAZY):
        with pytest.MonkeyPatch.context() as patch:
            force(patch, way)
            found.append(fit(of, data, **options))
    return found


def assert_equal(one, other, within=1e-9):
    """States and records of two runs: equal relative to the largest number of their kind."""
    (ours, outcome, told), (theirs, other_outcome, other_told) = one, other
    assert outcome is other_outcome
    for name in ("params", "slots", "counters", "sums"):
        a, b = getattr(ours, name), getattr(theirs, name)
        for row, same in zip(np.atleast_2d(a), np.atleast_2d(b), strict=True):
            np.testing.assert_allclose(row, same, rtol=within, atol=within * np.abs(same).max())
    zeros = (ours.params == 0.0) != (theirs.params == 0.0)
    assert np.abs(ours.params - theirs.params)[zeros].max(initial=0.0) < 1e-12
    np.testing.assert_allclose(
        [record[1] for record in told], [record[1] for record in other_told], rtol=within
    )


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


class Counting(NamedTuple):
    """Not an optimizer: counts the steps of each weight, and how often it was caught up."""

    def n_slots(self):
        return 2

    def step(self, penalty, params, gradient, slots, lo, hi, at):
        for j in range(lo, hi):
            slots[0, j] += 1.0

    def clock_shape(self, period):
        return 1, 1

    def tick(self, penalty, clock, now, at):
        return True

    def idle(self, penalty, params, gradient, slots, j, clock, since, now):
        slots[1, j] += 1.0


class TestCost:
    @uncompiled
    @pytest.mark.parametrize("layout", ["csr", "table"])
    def test_does_not_grow_with_the_features(self, layout):
        """The same rows, among a hundred times as many features."""
        rows = SPARSE.rows if layout == "csr" else TABLE.rows
        stepped, caught_up = [], []
        for width in (rows.width, 100 * rows.width):
            data = Dataset(rows._replace(width=width), SPARSE.y)
            of = problem(data, optimizer=Counting(), fit_intercept=False, max_epochs=2)
            with pytest.MonkeyPatch.context() as patch:
                force(patch, UpdateKind.LAZY)
                state, _, _ = fit(of, data)
            stepped.append(state.slots[0].sum())
            # at the end of an epoch, all that are not up to date are brought there
            caught_up.append(state.slots[1].sum() - 2 * (width - rows.width))
        assert stepped[0] == stepped[1] > 0
        assert caught_up[0] == caught_up[1] > 0

    @pytest.mark.parametrize("rows", [SPARSE.rows, TABLE.rows], ids=["csr", "table"])
    def test_lists_each_feature_once(self, rows):
        matrix = np.zeros((rows.n_rows, rows.width), bool)
        for i in range(rows.n_rows):
            if isinstance(rows, CsrRows):
                matrix[i, rows.columns[rows.starts[i] : rows.starts[i + 1]]] = True
            else:
                matrix[i, :3] = True
                matrix[i, [code for code in rows.codes[i] if code >= 0]] = True
        order = np.random.default_rng(1).permutation(rows.n_rows).astype(np.uint32)
        since = np.arange(rows.width) % 5
        marks, features, before = since.copy(), *np.full((2, rows.width + 1), -1)
        n = rows.list_touched(order, 10, 30, marks, 7, features, before)
        wanted = np.flatnonzero(matrix[order[10:30]].any(axis=0))
        np.testing.assert_array_equal(np.sort(features[:n]), wanted)
        np.testing.assert_array_equal(before[:n], since[features[:n]])
        np.testing.assert_array_equal(np.flatnonzero(marks == 7), wanted)
        assert rows.n_touched(20) >= n / 2


class OwnPenalty(NamedTuple):
    def value(self, w):
        return 0.0 * w

    def prox(self, x, step):
        return x


class TestWhichWay:
    def wide(self, rows, touched):
        return rows._replace(width=touched)

    @pytest.mark.parametrize(
        "optimizer, penalty, changes, way",
        [
            (AdaGrad(), L2(), {}, UpdateKind.LAZY),
            (Momentum(), L1(), {}, UpdateKind.LAZY),
            (SGD(), L1(), {}, UpdateKind.LAZY),
            (SGD(), L2(), {}, UpdateKind.IN_PLACE),
            (SGD(), NoPenalty(), {}, UpdateKind.IN_PLACE),
            (FTRL(), L1(), {}, UpdateKind.LAZY),
            (FTRL(), L1(), {"schedule": schedules.Exponential()}, UpdateKind.LAZY),
            (FTRL(), L1(), {"schedule": VARYING}, UpdateKind.PLAIN),
            (FTRL(), NoPenalty(), {"schedule": VARYING}, UpdateKind.LAZY),
            (AdaGrad(), L2(), {"schedule": VARYING}, UpdateKind.LAZY),
            (AdaGrad(), L2(), {"average_from": 1}, UpdateKind.PLAIN),
            (SGD(), L2(), {"average_from": 1}, UpdateKind.PLAIN),
            (Adam(), L2(), {}, UpdateKind.PLAIN),
            (Nesterov(), L1(), {}, UpdateKind.PLAIN),
            (AdaGrad(), OwnPenalty(), {}, UpdateKind.PLAIN),
            (SGD(), OwnPenalty(), {}, UpdateKind.PLAIN),
        ],
    )
    @pytest.mark.parametrize("data", [SPARSE, TABLE], ids=["csr", "table"])
    def test_with_many_features(self, data, optimizer, penalty, changes, way):
        of = problem(data, optimizer=optimizer, penalty=penalty, **changes)
        assert update_kind(of, data.rows._replace(width=10_000), 8) is way

    @pytest.mark.parametrize("data", [SPARSE, TABLE], ids=["csr", "table"])
    def test_depends_on_what_a_batch_touches(self, data):
        touched = data.rows.n_touched(8)
        for optimizer, penalty, many, way, else_way in (
            (AdaGrad(), L2(), 16, UpdateKind.LAZY, UpdateKind.PLAIN),
            (SGD(), L2(), 4, UpdateKind.IN_PLACE, UpdateKind.PLAIN),
        ):
            of = problem(data, optimizer=optimizer, penalty=penalty)
            enough = data.rows._replace(width=many * touched)
            fewer = data.rows._replace(width=many * touched - 1)
            assert update_kind(of, enough, 8) is way
            if not (way is UpdateKind.IN_PLACE and data is SPARSE):  # there it always pays
                assert update_kind(of, fewer, 8) is else_way
                assert update_kind(of, enough, 9) is else_way

    def test_dense_rows(self):
        rows = DenseRows(np.ones((3, 10_000)))
        of = problem(Dataset(rows, np.ones((3, 1))), optimizer=AdaGrad())
        assert update_kind(of, rows, 1) is UpdateKind.PLAIN

    @uncompiled
    def test_as_it_comes(self):
        """Without a patch: few rows of many features, and the same as dense ones."""
        wide = regression(40, 4000, layout=csr, density=0.001, weighted=True)
        full = regression(40, 4000, layout=dense, density=0.001, weighted=True)
        of = problem(wide, optimizer=SGD(), penalty=L1(0.1), batch_size=4)
        assert update_kind(of, wide.rows, 4) is UpdateKind.LAZY
        assert_equal(fit(of, wide), fit(of, full), within=1e-8)
