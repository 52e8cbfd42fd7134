"""Intervals from the path of averaged iterates: its sums, its law, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradstep import (
    SGD,
    InvalidParameter,
    InvScaling,
    MiniBatchClassifier,
    MiniBatchRegressor,
    NoPenalty,
    SquaredError,
)
from gradstep.engine.state import Problem, TextbookState
from gradstep.engine.state_check import state_of
from gradstep.engine.training import train
from gradstep.inference.random_scaling import RandomScaling, covariance_of_path
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows
from tests.uncompiled import uncompiled

RNG = np.random.default_rng(4)
X = RNG.normal(size=(500, 2))
Y = X @ [1.0, -0.5] + 2.0 + RNG.normal(size=500)
DATA = Dataset(DenseRows(X), Y[:, None])
PROBLEM = Problem(
    loss=SquaredError(), penalty=NoPenalty(), optimizer=SGD(), schedule=InvScaling(0.3, 0.51),
    n_features=2, batch_size=4, average_from=1, max_epochs=1, tol=None,
    shuffle="none",
)  # fmt: skip
ASKED = {
    "optimizer": "sgd", "average": True, "learning_rate": "invscaling", "eta0": 0.3,
    "power_t": 0.51, "batch_size": 4, "max_iter": 1, "tol": None, "penalty": None,
}  # fmt: skip


def averages(problem):
    """Return the average after each step of an epoch, written out in NumPy."""
    w, found, rows = np.zeros(3), [], np.column_stack([X, np.ones(500)])
    for step, at in enumerate(range(0, 500, problem.batch_size)):
        x, y = rows[at : at + problem.batch_size], Y[at : at + problem.batch_size]
        w = w - 0.3 / (step + 1) ** 0.51 * (x.T @ (x @ w - y)) / problem.batch_size
        if at + problem.batch_size >= problem.average_from:
            found.append(w)
    return np.cumsum(found, axis=0) / np.arange(1, len(found) + 1)[:, None]


def by_definition(path):
    """Return V / t, as the paper writes it."""
    t = len(path)
    apart = np.arange(1, t + 1)[:, None] * (path - path[-1])
    return apart.T @ apart / t**3


@uncompiled
class TestPath:
    @pytest.mark.parametrize("average_from", [1, 21])
    def test_is_that_of_the_paper(self, average_from):
        problem = replace(PROBLEM, average_from=average_from)
        path = averages(problem)
        found = covariance_of_path(problem, train(problem, DATA, problem.start())[0])
        assert found.iterates == len(path) == 125 - average_from // 4
        np.testing.assert_allclose(found.matrix[0], by_definition(path), rtol=1e-12)
        np.testing.assert_allclose(found.params[0], path[-1])

    def test_some_of_its_points_are_enough(self):
        problem = replace(PROBLEM, batch_size=1)
        state, _ = train(problem, DATA, problem.start())
        assert 490 < state.path.iterates <= 500
        found = covariance_of_path(problem, state)
        np.testing.assert_allclose(found.matrix[0], by_definition(averages(problem)), rtol=0.03)

    def test_is_the_same_wherever_the_run_was_cut(self):
        problem = replace(PROBLEM, batch_size=1)
        whole, _ = train(problem, DATA, problem.start())
        state = problem.start()
        for batches in (200, 7, 150, 1000):
            state, _ = train(problem, DATA, state, max_batches=batches)
            arrays = state.to_arrays()  # as a checkpoint has them
            state = state_of(problem, arrays, DATA.n) if batches < 1000 else state
        for one, other in zip(state.path, whole.path, strict=True):
            assert np.array_equal(one, other)
        assert np.array_equal(state.average, whole.average)

    def test_does_not_change_the_fit(self):
        whole, _ = train(PROBLEM, DATA, PROBLEM.start())
        without = replace(PROBLEM.start(), path=None, counters=np.array([0.0, 0, 0, 0, 1.0]))
        assert isinstance(without, TextbookState)
        kept = replace(PROBLEM, schedule=Unnamed())
        other, _ = train(kept, DATA, kept.start())
        assert other.path is None
        assert np.array_equal(whole.average, other.average)

    def test_a_checkpoint_without_it_is_no_state(self):
        arrays = PROBLEM.start().to_arrays()
        del arrays["path.mean"]
        with pytest.raises(ValueError, match=r"path.mean is missing"):
            state_of(PROBLEM, arrays, DATA.n)
        for wrong in (-1.0, 1.0, np.nan):  # more than are averaged
            arrays = PROBLEM.start().to_arrays() | {"path.iterates": np.array(wrong)}
            with pytest.raises(ValueError, match="do not fit each other"):
                state_of(PROBLEM, arrays, DATA.n)


class Unnamed:
    """The same rates by another class, whose path is not kept."""

    def rates(self, steps, epochs, horizon):
        return InvScaling(0.3, 0.51).rates(steps, epochs, horizon)


@uncompiled
class TestEstimators:
    def test_a_stream_is_as_one_pass(self):
        """In the order of the rows, features standardised anew with each part."""
        one = MiniBatchRegressor(**ASKED, shuffle=False).fit(X, Y)
        many = MiniBatchRegressor(**ASKED, shuffle=False)
        for part in np.array_split(np.arange(500), 5):
            many.partial_fit(X[part], Y[part])
        expected = one.inference(covariance="random_scaling")
        found = many.inference(covariance="random_scaling")
        np.testing.assert_allclose(found.standard_errors, expected.standard_errors, rtol=1e-9)
        standardised = MiniBatchRegressor(**ASKED, precondition=True)
        for part in np.array_split(np.arange(500), 5):
            standardised.partial_fit(X[part] * [1.0, 1e3], Y[part])
        assert standardised.inference(covariance="random_scaling").standard_errors[0, 1] < 1e-3

    def test_what_it_tells(self):
        model = MiniBatchRegressor(**ASKED).fit(X, Y)
        found = model.inference(covariance="random_scaling")
        text = str(found)
        assert "scale  statistic" in text.splitlines()[0]
        assert "from the path of 125 averaged iterates: 95 % is 6.75 of a scale" in text
        assert "125 averaged iterates are few" in text
        half = 6.747 * found.standard_errors
        np.testing.assert_allclose(found.intervals()[:, :, 1] - found.estimates, half, rtol=1e-4)
        np.testing.assert_allclose(found.wald(["x0"])["p"], found.p_values[0, 0], rtol=1e-9)
        ends = found.mean_intervals(X[:3])[:, 0]
        assert ((ends[:, 0] < model.predict(X[:3])) & (model.predict(X[:3]) < ends[:, 1])).all()
        for refused in (
            lambda: found.wald(["x0", "x1"]),
            lambda: found.prediction_intervals(X[:3]),
        ):
            with pytest.raises(InvalidParameter):
                refused()

    def test_of_classes(self):
        y = np.digitize(Y, [1.0, 3.0])
        found = MiniBatchClassifier(**ASKED).fit(X, y).inference(covariance="random_scaling")
        assert found.outputs == [0, 1, 2]
        assert found.estimates.sum(axis=0) == pytest.approx(0.0, abs=1e-12)
        assert (found.standard_errors > 0.0).all()

    @pytest.mark.parametrize(
        "changes, why",
        [
            ({"average": False}, "took no averaged steps. Use optimizer='sgd', average=True"),
            ({"optimizer": "adam"}, "the averages of Adam have no known law"),
            ({"power_t": 0.25}, "do not fall as step**-a with a between 1/2 and 1"),
            ({"learning_rate": "constant"}, "use learning_rate='invscaling' with power_t=0.51"),
            ({"penalty": "l1"}, "an l1 penalty moves coefficients to zero"),
            ({"loss": "epsilon_insensitive"}, "slope of EpsilonInsensitive jumps"),
            ({"max_iter": 3}, "the rows were read 3 times, and it supposes that each comes once"),
            ({"batch_size": 500}, "1 iterates are averaged so far: it needs two"),
        ],
    )
    def test_what_is_not_valid_is_refused(self, changes, why):
        model = MiniBatchRegressor(**ASKED | changes).fit(X, Y)
        with pytest.raises(InvalidParameter, match=r"No random scaling: ") as found:
            model.inference(covariance="random_scaling")
        assert why in str(found.value)

    def test_after_weights_were_set(self):
        model = MiniBatchRegressor(**ASKED).partial_fit(X, Y)
        model.coef_ = model.coef_ + 1.0
        with pytest.raises(InvalidParameter, match="They were set, or are those of the best"):
            model.inference(covariance="random_scaling")
        model.partial_fit(X, Y)  # averages anew, from there
        assert model.inference(covariance="random_scaling").covariance.iterates == 125

    def test_after_other_rates(self):
        model = MiniBatchRegressor(**ASKED | {"power_t": 0.25}).partial_fit(X, Y)
        model.set_params(power_t=0.51).partial_fit(X, Y)
        with pytest.raises(InvalidParameter, match="begun with other rates"):
            model.inference(covariance="random_scaling")

    def test_rows_are_needed_or_not(self):
        model = MiniBatchRegressor(**ASKED).fit(X, Y)
        with pytest.raises(InvalidParameter, match="leave out the rows, weights and clusters"):
            model.inference(X, Y, covariance="random_scaling")
        with pytest.raises(InvalidParameter, match=r"covariance='robust' needs the rows"):
            model.inference()


class TestLaw:
    def test_is_that_of_brownian_motions(self):
        """Against its simulation; the tables of the paper are in its example."""
        n = 200
        steps = np.random.default_rng(0).normal(size=(2000, n)) / np.sqrt(n)
        walk = steps.cumsum(axis=1)
        bridge = walk - np.arange(1, n + 1) / n * walk[:, -1:]
        statistic = walk[:, -1] / np.sqrt((bridge**2).mean(axis=1))
        for x in (1.0, 3.0, 6.747):
            share = (np.abs(statistic) > x).mean()
            assert 2.0 * RandomScaling().sf(x) == pytest.approx(share, abs=0.03)

    def test_at_its_ends(self):
        law = RandomScaling()
        np.testing.assert_allclose(law.sf([0.0, np.inf, -np.inf]), [0.5, 0.0, 1.0], atol=1e-12)
        assert np.isnan(law.sf(np.nan))
        np.testing.assert_allclose(law.ppf([0.025, 0.5, 0.975]), [-6.747, 0.0, 6.747], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(loss):
    """95 % over 120 repetitions; the paper has .90 to .95 for as many steps."""
    truth, hits = np.array([0.0, 0.5, 1.0, 0.3]), []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(20_000, 3))
        score = x @ truth[:3] + truth[3]
        if loss == "log_loss":
            y = (score + rng.logistic(size=20_000) > 0.0).astype(int)
            model = MiniBatchClassifier(**ASKED | {"eta0": 3.0}).fit(x, y)
        else:
            y = score + rng.normal(size=20_000) * np.exp(0.5 * x[:, 0])
            model = MiniBatchRegressor(**ASKED).fit(x, y)
        ends = model.inference(covariance="random_scaling").intervals()[0]
        hits.append((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
    assert 0.91 <= np.mean(hits) <= 0.97
