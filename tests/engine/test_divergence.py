"""Divergence is an error in its epoch; what only looks like it is none."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep import Diverged, MiniBatchRegressor
from gradstep.engine.baseline import Baseline
from gradstep.engine.records import Outcome
from gradstep.objective.classification import Perceptron
from gradstep.objective.penalties import L2, NoPenalty
from gradstep.optim.schedules import Constant, UserSchedule
from gradstep.rows.dataset import Dataset
from tests.engine.cases import classes, csr, dense, fit, problem, regression

DATA = regression(n=200)
N = 200
X, Y = DATA.rows.values, DATA.y[:, 0]
BEST = 0.5 * np.var(Y)  # mean loss of the best constant


def of(data=DATA, rate=0.05, **changes):
    return problem(data, **{"penalty": NoPenalty(), "schedule": Constant(rate)} | changes)


def full_batch_losses(rate, epochs, params):
    """Return the mean loss before each full-batch step, in NumPy."""
    A = np.column_stack([X, np.ones(N)])
    losses = []
    for _ in range(epochs):
        error = A @ params - Y
        losses.append(0.5 * np.mean(error**2))
        params = params - rate * A.T @ error / N
    return np.array(losses)


# Weights that are right but for one direction, along which the steps are too long.
NEAR = np.append(np.linalg.lstsq(X, Y - 1.0, rcond=None)[0], 1.0) + 1e-3
TOO_LONG = 2.2


class TestIsSeen:
    def test_not_finite(self):
        with pytest.raises(Diverged, match="no longer finite") as info:
            fit(of(rate=1e3, batch_size=1, max_epochs=9), DATA)
        assert info.value.epoch == 1

    def test_finite_but_far_worse(self):
        """In the first epoch whose running loss is ten times the best constant's."""
        losses = full_batch_losses(TOO_LONG, 200, NEAR)
        epoch = 1 + int(np.argmax(losses > 10.0 * BEST))
        assert 3 < epoch < 200
        assert losses[epoch - 1] < 1e3
        long = of(rate=TOO_LONG, batch_size=N, max_epochs=200, shuffle="none")
        with pytest.raises(Diverged, match="far above that of the best constant") as info:
            fit(long, DATA, long.start(NEAR[:-1], NEAR[-1:]))
        assert info.value.epoch == epoch
        assert f"epoch {epoch}" in str(info.value)

    def test_the_test_for_far_worse_is_what_sees_it(self, monkeypatch):
        """Without it the run goes on: so the test above can fail."""
        monkeypatch.setattr(Baseline, "far_worse", lambda *_: False)
        long = of(rate=TOO_LONG, batch_size=N, max_epochs=60, shuffle="none")
        state, _, _ = fit(long, DATA, long.start(NEAR[:-1], NEAR[-1:]))
        assert state.epoch == 60
        assert np.isfinite(state.params).all()

    @pytest.mark.parametrize("batches", [1, 2, 5])
    def test_in_pieces_as_in_one(self, batches):
        """A run that is paused often does not forget where it started."""
        long = of(rate=TOO_LONG, batch_size=N // 2, max_epochs=200, shuffle="none")
        start = long.start(NEAR[:-1], NEAR[-1:])
        with pytest.raises(Diverged) as whole:
            fit(long, DATA, start)

        def in_pieces(state):
            outcome = Outcome.PAUSED
            while outcome is Outcome.PAUSED:
                state, outcome, _ = fit(long, DATA, state, max_batches=batches)

        with pytest.raises(Diverged) as pieces:
            in_pieces(start)
        assert pieces.value.epoch == whole.value.epoch

    def test_constant_targets(self):
        data = Dataset(DATA.rows, np.full((N, 1), 5.0))
        with pytest.raises(Diverged):
            fit(of(data, rate=3.0, batch_size=N, max_epochs=100), data)

    @pytest.mark.parametrize("penalty", [NoPenalty(), L2(0.1)], ids=["", "l2"])
    def test_weights_that_overflow(self, penalty):
        """After the last loss of the epoch, which is still finite; without another warning."""
        data = Dataset(dense(np.full((N, 1), 1e200)), Y[:, None] * 1e150)
        assert np.isfinite(np.mean(data.y**2))
        long = of(data, rate=0.01, batch_size=N, shuffle="none", penalty=penalty)
        with pytest.raises(Diverged, match="no longer finite") as info:
            fit(long, data)
        assert info.value.epoch == 1

    def test_in_sparse_rows_too(self):
        data = regression(N, 40, layout=csr, density=0.1)
        with pytest.raises(Diverged) as info:
            fit(of(data, rate=1e3, batch_size=4), data)
        assert info.value.epoch == 1

    def test_in_an_exploding_stream(self):
        """Of parts, each trained on once; before the numbers overflow."""
        long = of(rate=TOO_LONG)

        def stream():
            state = long.start()
            for seed in range(200):
                part = regression(8, seed=seed)
                state, _, _ = fit(long, part, state, incremental=True, until_epoch=state.epoch + 1)

        with pytest.raises(Diverged, match="far above") as info:
            stream()
        assert info.value.epoch < 50


class TestIsNot:
    """Each run here ends well, although some number looks bad."""

    @pytest.mark.parametrize("batch_size", [1, 8, N])
    def test_a_start_far_from_the_optimum(self, batch_size):
        data = Dataset(DATA.rows, DATA.y + 1e6)
        state, _, told = fit(of(data, rate=1e-4, batch_size=batch_size), data)
        assert told[0][1] > 10.0 * BEST  # which alone would mean divergence
        assert state.epoch == 3

    def test_far_weights_to_start_from(self):
        far = of(batch_size=N, max_epochs=400)
        state, _, told = fit(far, DATA, far.start(np.full(3, 1e5), np.full(1, -1e5)))
        assert told[0][1] > 1e6 * BEST
        assert told[-1][1] < BEST
        assert state.epoch == 400

    def test_a_first_step_too_long_that_is_made_good(self):
        """By the end of the epoch: its mean loss alone would mean divergence."""
        long_first = UserSchedule(lambda _, step: 0.2 if step else 10.0)
        state, _, told = fit(of(schedule=long_first), DATA)
        at_zero = 0.5 * np.mean(Y**2)
        assert told[0][1] > 10.0 * max(BEST, at_zero)
        assert told[-1][1] < 0.1 * BEST
        assert state.epoch == 3

    @pytest.mark.parametrize("y", [0.0, 5.0, 1e9], ids=str)
    def test_constant_targets(self, y):
        data = Dataset(DATA.rows, np.full((N, 1), y))
        state, _, _ = fit(of(data, max_epochs=100), data)
        np.testing.assert_allclose(state.params, [0.0, 0.0, 0.0, y], atol=1e-6 * max(y, 1.0))

    @pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9], ids=str)
    def test_a_start_at_the_optimum(self, scale):
        """Where the start's loss is nothing but rounding."""
        w = scale * np.array([1.0, -2.0, 3.0])
        data = Dataset(dense(X), (X @ w + scale)[:, None])
        problem = of(data)
        state, _, _ = fit(problem, data, problem.start(w, np.array([scale])))
        np.testing.assert_allclose(state.params, [*w, scale], rtol=1e-12)

    def test_constant_targets_at_the_optimum(self):
        data = Dataset(DATA.rows, np.full((N, 1), 0.1))
        problem = of(data)
        fit(problem, data, problem.start(np.full(3, 1e-12), np.array([0.1])))

    @pytest.mark.uncompiled
    def test_the_perceptron(self):
        """Its best constant is zero, with loss zero: nothing can be compared with that."""
        data = classes(N, k=2)
        problem = of(data, rate=100.0, loss=Perceptron(), batch_size=1)
        assert fit(problem, data)[0].epoch == 3

    @pytest.mark.parametrize("seed", range(5))
    def test_a_stream_of_single_rows(self, seed):
        problem = of(rate=0.05)
        state = problem.start()
        for row in np.random.default_rng(seed).permutation(N).astype(np.uint32):
            one = DATA.select(np.array([row]))
            state, _, _ = fit(problem, one, state, incremental=True, until_epoch=state.epoch + 1)
        full, _, _ = fit(of(), DATA)
        np.testing.assert_allclose(state.params, full.params, atol=0.3)

    def test_a_stream_whose_parts_are_constant(self):
        """As sorted rows are: the best constant of a part has no loss at all."""
        by_target = np.argsort(Y)
        problem = of(rate=0.02)
        state = problem.start()
        for at in range(0, N, 10):
            some = by_target[at : at + 10]
            part = Dataset(dense(X[some]), np.full((10, 1), Y[some].mean()))
            state, _, _ = fit(problem, part, state, incremental=True, until_epoch=state.epoch + 1)
        assert state.epoch == N // 10


def test_a_part_of_a_stream_at_the_automatic_rate_is_not_told_to_use_it():
    far = np.random.default_rng(0).normal(size=(64, 2))
    with pytest.raises(Diverged) as caught:
        MiniBatchRegressor().partial_fit(far, 1e200 * far[:, 0])
    assert "learning_rate='auto'" not in str(caught.value)
    assert "at every learning rate" in str(caught.value)
