"""The defaults through the public faces: what they take, refuse, warn of, and leave to others."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge, SGDRegressor

import gradstep
from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.engine.row_sums import RowSums
from gradstep.errors import InvalidParameter
from tests.slow import slow
from tests.uncompiled import compiled_if, uncompiled

RNG = np.random.default_rng(17)
SCALES = np.array([1e-5, 1.0, 1e4])
SHIFTS = np.array([0.0, 1e3, -20.0])
X = (RNG.normal(size=(500, 3)) + SHIFTS) * SCALES
Z = (X / SCALES - SHIFTS) @ [1.0, -2.0, 0.5]
Y = Z + RNG.normal(size=500)
LABELS = np.where(Z + RNG.logistic(size=500) > 0.0, "yes", "no")


def in_deviations(coef):
    return np.atleast_2d(coef) * X.std(axis=0)


class TestWhereScikitLearnFails:
    """y = x₁ and three normal columns times thirty: SGDRegressor ends at -10⁶ or worse."""

    def test_the_defaults_solve_it(self):
        raw = np.random.default_rng(0).normal(size=(2000, 3)) * 30.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert SGDRegressor(random_state=0).fit(raw, raw[:, 0]).score(raw, raw[:, 0]) < -1e5
        model = MiniBatchRegressor().fit(raw, raw[:, 0])
        assert model.score(raw, raw[:, 0]) > 1.0 - 1e-6


class TestExact:
    @pytest.mark.parametrize(
        "ours, theirs",
        [
            ({"penalty": None}, LinearRegression()),
            ({"penalty": "l2", "alpha": 0.1}, Ridge(500 * 0.1, solver="cholesky")),
            ({"penalty": "l1", "alpha": 0.1}, Lasso(0.1, tol=1e-14, max_iter=10**6)),
            (
                {"penalty": "elasticnet", "alpha": 0.1, "l1_ratio": 0.3},
                ElasticNet(0.1, l1_ratio=0.3, tol=1e-14, max_iter=10**6),
            ),
        ],
        ids=["none", "l2", "l1", "elasticnet"],
    )
    def test_is_the_solution_behind_a_scaler(self, ours, theirs):
        model = MiniBatchRegressor(optimizer="exact", **ours).fit(X, Y)
        scaled = (X - X.mean(axis=0)) / X.std(axis=0)
        expected = theirs.fit(scaled, Y).coef_
        np.testing.assert_allclose(in_deviations(model.coef_)[0], expected, rtol=1e-7, atol=1e-9)
        assert model.converged_

    def test_of_sparse_rows_in_two_parts(self):
        """A number that stands in a matrix twice is their sum."""
        dense = np.where(RNG.random((300, 5)) < 0.4, RNG.normal(size=(300, 5)), 0.0)
        y = dense @ np.arange(5.0) + RNG.normal(size=300)
        at = dense.nonzero()
        row, column = (np.tile(part, 2) for part in at)
        twice = sp.coo_array((np.tile(0.5 * dense[at], 2), (row, column)), shape=dense.shape)
        parts = sp.csr_matrix((300, 5))
        starts = np.searchsorted(np.sort(row), np.arange(301))
        order = np.argsort(row, kind="stable")
        parts = sp.csr_matrix((twice.data[order], column[order], starts), shape=dense.shape)
        assert not parts.has_canonical_format
        found = MiniBatchRegressor(optimizer="exact").fit(parts, y)
        whole = MiniBatchRegressor(optimizer="exact").fit(sp.csr_matrix(dense), y)
        np.testing.assert_allclose(found.coef_, whole.coef_, rtol=1e-12)
        assert found.n_iter_ == whole.n_iter_ == 1

    def test_is_refused_where_there_is_none(self):
        with pytest.raises(InvalidParameter, match="optimizer='svrg' with tol=1e-8"):
            MiniBatchRegressor(optimizer="exact", loss="huber").fit(X, Y)


class TestWhatDoesNotGoTogether:
    @pytest.mark.parametrize(
        "options, says",
        [
            ({"eta0": 0.1}, "eta0=0.1 has no meaning"),
            ({"optimizer": "svrg", "learning_rate": 0.1}, "learning_rate=0.1 cannot be used"),
            ({"optimizer": "svrg", "precondition": False}, "precondition=False cannot be used"),
            ({"optimizer": "svrg", "average": True}, "average=True cannot be used"),
        ],
        ids=["eta0", "rate", "precondition", "average"],
    )
    def test_is_refused(self, options, says):
        with pytest.raises(InvalidParameter, match=says):
            MiniBatchRegressor(**options).fit(X, Y)

    @uncompiled
    def test_the_perceptron_has_no_optimum(self):
        with pytest.raises(InvalidParameter, match="least loss"):
            MiniBatchClassifier(loss="perceptron", optimizer="svrg").fit(X, LABELS)
        assert MiniBatchClassifier(loss="perceptron").fit(X, LABELS).score(X, LABELS) > 0.6

    def test_rounds_need_all_rows(self):
        with pytest.raises(InvalidParameter, match="which partial_fit cannot"):
            MiniBatchRegressor(optimizer="svrg").partial_fit(X, Y)

    def test_is_refused_before_a_table_is_read(self, tmp_path):
        missing = tmp_path / "no_such_table.csv"
        with pytest.raises(InvalidParameter, match="cannot be used with optimizer='svrg'"):
            gradstep.fit_table(missing, "y", loss="huber", optimizer="svrg", learning_rate=0.1)


class TestWarnings:
    def test_of_classes_that_can_be_separated(self):
        labels = np.where(Z > 0.0, "yes", "no")
        with pytest.warns(ConvergenceWarning, match="can be separated: without a penalty"):
            model = MiniBatchClassifier(penalty=None).fit(X, labels)
        assert not model.converged_
        assert model.score(X, labels) == 1.0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            MiniBatchClassifier().fit(X, labels)
            MiniBatchClassifier(penalty=None).fit(X, LABELS)

    def test_classes_that_cannot_be_separated_cost_no_pass(self, monkeypatch):
        monkeypatch.setattr(RowSums, "mean_loss", lambda *_: pytest.fail("a pass more"))
        MiniBatchClassifier(penalty=None).fit(X, LABELS)

    def test_of_max_iter_speaks_of_what_can_be_changed(self):
        with pytest.warns(ConvergenceWarning, match="Raise max_iter or tol"):
            MiniBatchRegressor(loss="poisson", max_iter=1, tol=1e-12).fit(X, np.exp(Z))


class TestOtherOptimizers:
    @pytest.mark.parametrize(
        "name",
        compiled_if(
            {"sgd", "adam"}.__contains__,
            ["sgd", "momentum", "nesterov", "adagrad", "adam", "ftrl"],
        ),
    )
    def test_take_raw_columns_at_the_automatic_rate(self, name):
        model = MiniBatchRegressor(optimizer=name).fit(X, Y)
        best = 1.0 - np.var(Y - LinearRegression().fit(X, Y).predict(X)) / np.var(Y)
        assert model.score(X, Y) > best - 0.01
        assert model.history_[-1].excess > 0.0

    def test_without_the_metric_columns_stay_as_they_are(self):
        """The widest column then decides the rate, and the others hardly move."""
        model = MiniBatchRegressor(optimizer="sgd", precondition=False, max_iter=5, tol=None)
        off = in_deviations(model.fit(X, Y).coef_)[0]
        on = in_deviations(model.set_params(precondition=True).fit(X, Y).coef_)[0]
        assert abs(off[0]) < 0.01
        assert abs(on[0]) > 0.9


class TestStreams:
    def test_go_on_after_a_fit(self):
        """One more row tells nothing of how wide the columns are."""
        model = MiniBatchRegressor().fit(X, Y)
        before = model.predict(X)
        model.partial_fit(X[:1], Y[:1])
        assert model.coef_.all()
        assert np.abs(model.predict(X) - before).max() < 1.0

    @pytest.mark.parametrize(
        "optimizer",
        ["auto", "adam", pytest.param("momentum", marks=[uncompiled, pytest.mark.slow])],
    )
    def test_that_begin_with_one_row(self, optimizer):
        model = MiniBatchRegressor(optimizer=optimizer).partial_fit(X[:1], Y[:1])
        for _ in range(60):
            for start in range(0, 500, 50):
                part = slice(start, start + 50)
                model.partial_fit(X[part], Y[part])
        assert model.score(X, Y) > 0.7


class TestBits:
    @pytest.mark.parametrize("loss", ["squared_error", "log_loss", "pinball", "poisson"])
    @pytest.mark.parametrize("n", [500, 5000])
    def test_a_power_of_two_of_a_column_changes_no_prediction(self, loss, n):
        rng = np.random.default_rng(n)
        wide = rng.normal(size=(n, 3)) + np.array([0.0, 5.0, -1.0])
        score = wide @ [1.0, -0.5, 0.2]
        y = {
            "squared_error": score, "pinball": score + rng.standard_t(2.0, n),
            "log_loss": (score + rng.logistic(size=n) > 0.0) + 0, "poisson": rng.poisson(2.0, n),
        }[loss]  # fmt: skip
        kind = MiniBatchClassifier if loss == "log_loss" else MiniBatchRegressor
        factor = 2.0 ** np.array([30, -17, 3])
        one, other = (kind(loss=loss).fit(rows, y) for rows in (wide, wide * factor))
        assert other.intercept_.tobytes() == one.intercept_.tobytes()
        assert (other.coef_ * factor).tobytes() == one.coef_.tobytes()


class TestUnitsOfTheTarget:
    """They do not matter, nor do a few targets that are far out."""

    @uncompiled
    @pytest.mark.parametrize("scale", [1e-12, 1e9, 1e16])
    @pytest.mark.parametrize("loss, power", [("gamma", 1.5), ("poisson", 1.5), ("tweedie", 3.0)])
    def test_with_a_logarithmic_link(self, loss, power, scale):
        y = RNG.gamma(2.0, np.exp(0.3 * Z) / 2.0)
        model = MiniBatchRegressor(loss=loss, power=power, penalty=None, tol=1e-7)
        near = model.fit(X, y)
        expected = in_deviations(near.coef_)
        found = in_deviations(model.fit(X, scale * y).coef_)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert model.converged_

    @pytest.mark.parametrize(
        "loss", compiled_if("pinball".__eq__, ["pinball", "huber", "epsilon_insensitive"])
    )
    def test_with_gross_outliers(self, loss):
        y = Z.copy()
        y[[5, 6]] = 1e8, -1e5
        model = MiniBatchRegressor(loss=loss, penalty=None).fit(X, y)
        np.testing.assert_allclose(in_deviations(model.coef_)[0], [1.0, -2.0, 0.5], atol=0.15)

    @uncompiled
    @pytest.mark.parametrize("optimizer", ["sgd", "adam", *slow("momentum", "adagrad", "rmsprop")])
    @pytest.mark.parametrize("loss", ["squared_error", "pinball"])
    def test_with_other_optimizers(self, loss, optimizer):
        model = MiniBatchRegressor(loss=loss, optimizer=optimizer, penalty=None).fit(X, 1e5 * Y)
        assert model.score(X, 1e5 * Y) > 0.8


class TestWhereItStarts:
    @pytest.mark.parametrize(
        "options",
        [
            {"coef_init": 5.0 / SCALES * [1.0, -1.0, 1.0]},
            {"intercept_init": [500.0]},
            {"coef_init": [0.0, 0.3, 0.0]},
        ],
        ids=["coef", "intercept", "coef at a shifted column"],
    )
    def test_a_start_that_is_worse_than_the_best_constant_does_no_harm(self, options):
        y = np.exp(0.3 * Z)
        expected = MiniBatchRegressor(loss="poisson", tol=1e-6).fit(X, y)
        model = MiniBatchRegressor(loss="poisson", tol=1e-6).fit(X, y, **options)
        np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-4)

    def test_a_start_at_the_optimum_is_used(self):
        first = MiniBatchClassifier(tol=1e-8).fit(X, LABELS)
        again = MiniBatchClassifier(tol=None, max_iter=1)
        again.fit(X, LABELS, coef_init=first.coef_, intercept_init=first.intercept_)
        np.testing.assert_allclose(again.coef_, first.coef_, rtol=1e-6)


class TestTheBestConstantIsTheOptimum:
    @uncompiled
    @pytest.mark.parametrize("loss", ["hinge", "log_loss", "squared_hinge"])
    def test_one_row_of_a_class(self, loss):
        labels = np.arange(500) == 3
        rows = np.random.default_rng(1).normal(size=(500, 4))
        model = MiniBatchClassifier(loss=loss).fit(rows, labels)
        assert model.n_iter_ < 50

    @uncompiled
    def test_a_constant_target(self):
        model = MiniBatchRegressor(loss="epsilon_insensitive").fit(X, np.full(500, 3.0))
        assert model.n_iter_ < 50
        np.testing.assert_allclose(model.predict(X), 3.0, atol=0.1 + 1e-9)


@uncompiled
def test_a_part_of_a_stream_may_hold_no_events():
    model = MiniBatchRegressor(loss="poisson").partial_fit(X, np.exp(0.3 * Z))
    model.partial_fit(X[:1], [0.0])
    assert np.isfinite(model.coef_).all()


@uncompiled
def test_where_the_best_constant_has_no_loss_it_is_the_model():
    """All targets lie within epsilon of it; scores of 10,000 have no digits to spare."""
    y = 1e4 + 0.01 * RNG.random(500)
    model = MiniBatchRegressor(loss="epsilon_insensitive").fit(X, y)
    assert np.abs(y - model.predict(X)).max() <= 0.1
    np.testing.assert_array_equal(model.coef_, 0.0)


@pytest.mark.parametrize("loss", ["pinball", *slow("epsilon_insensitive")])
def test_targets_of_a_period_do_not_hide_their_spread(loss):
    """The unit of scores is told by some of the targets: not by those of one hour of the day."""
    n = 4096 * 24
    hour, rng = np.arange(n) % 24, np.random.default_rng(0)
    X = np.column_stack([np.sin(hour / 24 * 2 * np.pi), np.cos(hour / 24 * 2 * np.pi)])
    y = np.where(hour == 0, 1e-6, X @ [30.0, 10.0] + 50.0) * (1.0 + 0.01 * rng.normal(size=n))
    model = MiniBatchRegressor(loss=loss, penalty=None).fit(X, y)
    other = MiniBatchRegressor(loss=loss, penalty=None).fit(X[:-100], y[:-100])
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=0.02)
