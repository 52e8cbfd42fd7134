"""An epoch of mini-batches: steps, weights, selection and order are those of a loop by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.objective.penalties import L2
from gradstep.optim.schedules import Constant
from gradstep.rows.dataset import Dataset
from gradstep.rows.order import order_of
from tests.engine.cases import (
    by_hand,
    csr,
    dense,
    fit,
    matrix,
    problem,
    regression,
    reversed_odd,
    same_bits,
)

DATA = regression()
X, Y = DATA.rows.values, DATA.y[:, 0]
WEIGHTED = regression(weighted=True)


def orders(epochs=3, n=53, seed=0):
    order, _ = order_of("exact", n, seed, 24)
    return [order(epoch) for epoch in range(epochs)]


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
