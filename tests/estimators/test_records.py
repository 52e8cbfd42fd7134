"""What a fitted estimator says of its run."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier, SGDRegressor

from gradstep import EpochRecord, Outcome
from tests.estimators.textbook import MiniBatchClassifier, MiniBatchRegressor
from tests.uncompiled import uncompiled


class TestHistory:
    def test_has_one_record_for_each_epoch(self, numbers):
        model = MiniBatchRegressor(max_iter=4, tol=None).fit(*numbers)
        assert [record.epoch for record in model.history_] == [1, 2, 3, 4]
        assert all(isinstance(record, EpochRecord) for record in model.history_)
        assert [record.loss for record in model.history_] == model.loss_curve_
        assert all(record.validation is None for record in model.history_)
        assert model.validation_scores_ is None

    def test_has_the_rate_of_each_epochs_last_step(self, numbers):
        model = MiniBatchRegressor(
            learning_rate="invscaling", eta0=0.1, power_t=0.5, batch_size=20, max_iter=3, tol=None
        ).fit(*numbers)  # three steps an epoch
        rates = [record.learning_rate for record in model.history_]
        np.testing.assert_allclose(rates, 0.1 / np.sqrt([3, 6, 9]), rtol=1e-15)

    def test_has_speeds_that_fit_the_durations(self, numbers):
        model = MiniBatchRegressor(max_iter=4, tol=None).fit(*numbers)
        for record in model.history_:
            assert record.seconds > 0.0
            assert record.rows_per_second * record.seconds == pytest.approx(60.0)


class TestLossCurve:
    def test_is_the_objective_before_each_step_and_the_penalty_after(self, numbers):
        X, y = numbers
        model = MiniBatchRegressor(
            alpha=0.1, learning_rate=0.05, batch_size=60, max_iter=1, tol=None
        ).fit(X, y)
        expected = 0.5 * np.mean(y**2) + 0.1 * 0.5 * np.sum(model.coef_**2)
        assert model.loss_curve_ == pytest.approx([expected], rel=1e-13)

    def test_weighs_the_rows(self, numbers):
        X, y = numbers
        weight = np.arange(60.0)
        model = MiniBatchRegressor(alpha=0.0, batch_size=60, max_iter=1, tol=None)
        model.fit(X, y, sample_weight=weight)
        expected = np.average(0.5 * y**2, weights=weight)
        assert model.loss_curve_ == pytest.approx([expected], rel=1e-13)

    def test_falls(self, numbers):
        curve = MiniBatchRegressor(batch_size=60, max_iter=30, tol=None).fit(*numbers).loss_curve_
        assert np.all(np.diff(curve) < 0.0)
        assert curve[-1] < 0.1 * curve[0]


class StopAfter:
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, event):
        return event.record.epoch == self.epoch


class TestOutcome:
    @pytest.mark.parametrize(
        "parameters, outcome, converged, epochs",
        [
            pytest.param({"tol": None}, Outcome.MAX_EPOCHS, False, 8, id="all epochs"),
            # The first epoch is always an improvement, the next ones never by a million.
            pytest.param(
                {"tol": 1e6, "n_iter_no_change": 3}, Outcome.CONVERGED, True, 4, id="objective"
            ),
            pytest.param(
                {"tol": 1e6, "n_iter_no_change": 2, "early_stopping": True},
                Outcome.VALIDATION,
                True,
                3,
                id="validation",
            ),
            pytest.param(
                {"tol": None, "callbacks": [StopAfter(5)]},
                Outcome.CALLBACK,
                False,
                5,
                id="callback",
            ),
            pytest.param(
                {"tol": 1e6, "n_iter_no_change": 1, "callbacks": [StopAfter(2)]},
                Outcome.CALLBACK,
                False,
                2,
                id="callback before objective",
            ),
        ],
    )
    @pytest.mark.parametrize("cls", [MiniBatchRegressor, MiniBatchClassifier])
    def test_says_how_the_run_ended(self, two_classes, cls, parameters, outcome, converged, epochs):
        model = cls(max_iter=8, **parameters).fit(*two_classes)
        assert model.outcome_ is outcome
        assert model.converged_ is converged
        assert model.n_iter_ == len(model.history_) == epochs

    @pytest.mark.parametrize(
        "outcome, words",
        [
            (Outcome.OPTIMAL, ["optimum", "tol"]),
            (Outcome.ROUNDING, ["optimum", "floating-point"]),
            (Outcome.STALLED, ["objective", "optimum", "coordinate descent"]),
            (Outcome.CONVERGED, ["objective", "tol", "n_iter_no_change"]),
            (Outcome.VALIDATION, ["validation score", "tol", "n_iter_no_change"]),
            (Outcome.MAX_EPOCHS, ["max_iter"]),
            (Outcome.CALLBACK, ["callback"]),
            (Outcome.PAUSED, ["batches"]),
        ],
    )
    def test_has_a_sentence_that_names_what_decided(self, outcome, words):
        assert all(word in outcome.sentence for word in words)
        assert outcome.sentence[0].isupper()
        assert outcome.sentence.endswith(".")

    def test_of_every_kind_has_a_sentence_of_its_own(self):
        assert len({outcome.sentence for outcome in Outcome}) == len(list(Outcome)) == 9

    def test_not_converged_is_a_warning(self, numbers):
        with pytest.warns(ConvergenceWarning, match=r"MiniBatchRegressor .*max_iter=2 .*tol=1e-09"):
            model = MiniBatchRegressor(max_iter=2, tol=1e-9).fit(*numbers)
        assert not model.converged_

    def test_the_warning_points_to_the_callers_line(self, numbers):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            MiniBatchRegressor(max_iter=2, tol=1e-9).fit(*numbers)
        assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    "ours, theirs, loss",
    [
        (MiniBatchRegressor, SGDRegressor, "squared_error"),
        (MiniBatchClassifier, SGDClassifier, "hinge"),
    ],
)
@pytest.mark.parametrize("patience", [1, 3])
def test_stops_in_the_same_epoch_as_scikit_learn(two_classes, ours, theirs, loss, patience):
    settings = {
        "loss": loss,
        "penalty": None,
        "learning_rate": "constant",
        "eta0": 0.01,
        "shuffle": False,
        "n_iter_no_change": patience,
    }
    mine = ours(batch_size=1, **settings).fit(*two_classes)
    share = two_classes.y.mean()  # ours is a share of the best constant's loss, theirs a loss
    constant = 0.5 * share * (1 - share) if loss == "squared_error" else 2 * min(share, 1 - share)
    other = theirs(tol=1e-3 * constant, **settings).fit(*two_classes)
    assert mine.n_iter_ == other.n_iter_ < 1000
    np.testing.assert_allclose(mine.coef_, other.coef_, rtol=1e-9)


@pytest.mark.parametrize(
    "batch_size, last_batch, steps",
    [(25, "scale", 9), (25, "mean", 9), (25, "drop", 6), (20, "drop", 9), (1000, "drop", 3)],
)
def test_t_counts_steps(numbers, batch_size, last_batch, steps):
    model = MiniBatchRegressor(batch_size=batch_size, last_batch=last_batch, max_iter=3, tol=None)
    assert model.fit(*numbers).t_ == steps


class TestSeed:
    def model(self, random_state):
        return MiniBatchRegressor(random_state=random_state, batch_size=8, max_iter=2, tol=None)

    def fit(self, rows, random_state):
        return self.model(random_state).fit(*rows)

    @pytest.mark.parametrize("seed", [0, 17, np.int64(3), 2**40])
    def test_an_int_is_taken_as_it_is(self, numbers, seed):
        assert self.fit(numbers, seed).seed_ == seed

    def test_the_same_call_gives_the_same_bits(self, numbers):
        assert self.fit(numbers, 5).coef_.tobytes() == self.fit(numbers, 5).coef_.tobytes()

    def test_another_seed_gives_another_order(self, numbers):
        assert self.fit(numbers, 5).coef_.tobytes() != self.fit(numbers, 6).coef_.tobytes()

    @pytest.mark.parametrize("make", [lambda: None, lambda: np.random.RandomState(1)])
    def test_anything_else_is_drawn_from_once_and_kept(self, numbers, make):
        first = self.fit(numbers, make())
        assert isinstance(first.seed_, int)
        assert self.fit(numbers, first.seed_).coef_.tobytes() == first.coef_.tobytes()

    def test_a_generator_goes_on_from_fit_to_fit(self, numbers):
        generator = np.random.RandomState(1)
        model = self.model(generator)
        seeds = [model.fit(*numbers).seed_ for _ in range(3)]
        assert len(set(seeds)) == 3
        generator = np.random.RandomState(1)
        assert [self.fit(numbers, generator).seed_ for _ in range(3)] == seeds

    def test_none_differs_from_fit_to_fit(self, numbers):
        assert len({self.fit(numbers, None).seed_ for _ in range(3)}) == 3

    def test_partial_fit_draws_in_the_first_call(self, numbers):
        model = MiniBatchRegressor(random_state=None, batch_size=8)
        seeds = {model.partial_fit(*numbers).seed_ for _ in range(3)}
        assert len(seeds) == 1


class TestEta0:
    def test_that_is_given_is_kept(self, numbers):
        assert MiniBatchRegressor(eta0=0.03, max_iter=1, tol=None).fit(*numbers).eta0_ == 0.03

    @uncompiled
    @pytest.mark.parametrize(
        "cls, loss, curvature",
        [
            (MiniBatchRegressor, "squared_error", 1.0),
            (MiniBatchRegressor, "huber", 1.0),
            (MiniBatchClassifier, "log_loss", 0.25),
            (MiniBatchClassifier, "hinge", 1.0),
        ],
    )
    def test_is_taken_from_the_data_as_documented(self, two_classes, cls, loss, curvature):
        X, y = two_classes
        weight = np.arange(60.0)
        model = cls(loss, max_iter=1, tol=None).fit(X, y, sample_weight=weight)
        square = np.average((X**2).sum(axis=1), weights=weight)
        assert model.eta0_ == pytest.approx(0.4 / (curvature * square), rel=1e-12)

    @uncompiled
    def test_of_a_loss_without_bound_is_taken_at_the_mean_target(self, numbers):
        X, y = numbers.X, np.arange(60.0)
        model = MiniBatchRegressor("poisson", max_iter=1, tol=None).fit(X, y)
        curvature = y.mean()  # of exp(z) - y z where exp(z) is the mean
        square = (X**2).sum(axis=1).mean()
        assert model.eta0_ == pytest.approx(0.4 / (curvature * square), rel=1e-12)

    @uncompiled
    @pytest.mark.parametrize("optimizer", ["adagrad", "adam"])
    def test_of_optimizers_without_scale_is_a_number(self, numbers, optimizer):
        model = MiniBatchRegressor(optimizer=optimizer, max_iter=1, tol=None)
        assert model.fit(numbers.X * 1000.0, numbers.y).eta0_ == 0.01

    @pytest.mark.parametrize("learning_rate", [0.05, "optimal", lambda _epoch, _step: 0.05])
    def test_is_unused_by_rates_that_bring_their_own(self, numbers, learning_rate):
        models = [
            MiniBatchRegressor(
                learning_rate=learning_rate, eta0=eta0, alpha=1.0, max_iter=2, tol=None
            )
            for eta0 in (None, 0.5)
        ]
        with_, without = (model.fit(*numbers).coef_.tobytes() for model in models)
        assert with_ == without
