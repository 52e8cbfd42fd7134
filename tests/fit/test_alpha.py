"""Alpha by itself: judged as a loop over parts judges it, the path as long as it needs to be."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import gradstep
from gradstep import Checkpoint, Outcome, fit_table
from gradstep.engine.automatic import class_folds
from gradstep.fit import alpha_trials as choosing
from tests.checkpoints.stops import Stop


def noise(n=150, p=12, of_classes=False):
    """Many columns that say nothing, and one that does."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p))
    y = x[:, 0] + 2.0 * rng.normal(size=n)
    target = np.where(y > 0.0, "yes", "no") if of_classes else y
    return pl.DataFrame({f"x{j}": x[:, j] for j in range(p)} | {"y": target})


def parts_of(fit):
    """Return features and targets, and the parts: alike, by the order of targets."""
    train = fit.prepared.train
    order = np.argsort(train.y[:, 0], kind="stable")
    return train.rows.values, train.y[:, 0], [np.sort(order[part::5]) for part in range(5)]


def held_out_losses(X, y, parts, alpha):
    """Return the loss of least squares, each part predicted by a ridge regression on the others."""
    errors = []
    for part in parts:
        rest = np.setdiff1d(np.arange(y.size), part)
        errors.append(Ridge(alpha * y.size).fit(X[rest], y[rest]).predict(X[part]) - y[part])
    return 0.5 * (np.concatenate(errors) ** 2).mean()


class TestIsJudged:
    def test_of_least_squares_by_each_row(self):
        fit = fit_table(noise(60, 4), "y", refit=False)
        X, y, _ = parts_of(fit)
        value, known = fit.alpha.value, fit.alpha.losses
        assert known[value] <= min(known.values()) * 1.001
        assert fit.model.provenance["penalty"] == f"L2(alpha={value!r})"
        for alpha, loss in known.items():
            expected = held_out_losses(X, y, np.arange(y.size)[:, None], alpha)
            assert loss == pytest.approx(expected, rel=2e-2)  # the mean is that of all rows

    def test_of_more_rows_by_parts(self, monkeypatch):
        monkeypatch.setattr(choosing, "_QUICK", 0)
        monkeypatch.setattr(choosing, "_QUICK_FEW", 0)
        monkeypatch.setattr(choosing, "_QUICK_PARTS", 0)
        fit = fit_table(noise(), "y")
        X, y, parts = parts_of(fit)
        for alpha, loss in fit.alpha.losses.items():
            assert loss == pytest.approx(held_out_losses(X, y, parts, alpha), rel=5e-3)

    def test_of_l1_from_where_nothing_is_left(self):
        fit = fit_table(noise(), "y", penalty="l1")
        known = fit.alpha.losses
        assert min(known) < fit.alpha.value < max(known)
        strongest = fit_table(fit.prepared, penalty="l1", alpha=max(known), refit=False)
        assert np.abs(strongest.model.coef_).max() < 0.02

    @pytest.mark.parametrize("together", [True, pytest.param(False, marks=pytest.mark.slow)])
    def test_of_classes_by_parts(self, monkeypatch, together):
        if not together:
            monkeypatch.setattr(class_folds, "_MOST_NUMBERS", 0)
        fit = fit_table(noise(of_classes=True), "y")
        X, y, parts = parts_of(fit)
        assert min(fit.alpha.losses) >= 0.01 / y.size
        for alpha, loss in fit.alpha.losses.items():
            total = 0.0
            for part in parts:
                rest = np.setdiff1d(np.arange(y.size), part)
                oracle = LogisticRegression(C=1.0 / (alpha * y.size), tol=1e-8)
                z = oracle.fit(X[rest], y[rest]).decision_function(X[part])
                total += np.logaddexp(0.0, -y[part] * z).sum()
            assert loss == pytest.approx(total / y.size, rel=5e-3)

    def test_of_classes_where_one_row_has_nearly_all_the_weight(self):
        """One less its share of the weights is 0: the others' are summed by themselves."""
        weight = np.ones(noise().height)
        weight[3] = 1e19
        table = noise(of_classes=True).with_columns(w=pl.Series(weight))
        fit = fit_table(table, "y", sample_weight="w", validation=0)
        assert np.isfinite(list(fit.alpha.losses.values())).all()
        assert len(fit.alpha.losses) > 1

    def test_by_later_rows_where_those_are_held_out(self):
        table = noise().with_columns(t=pl.arange(150))
        fit = fit_table(table, "y", time_column="t", drop=["t"], refit=False)
        assert fit.alpha.judge == "the rows held out"
        rmse = fit.validation["rmse"]
        assert fit.alpha.losses[fit.alpha.value] == pytest.approx(0.5 * rmse**2, rel=1e-6)


class TestPath:
    def test_goes_on_to_stronger_ones(self):
        table = noise().with_columns(y=pl.Series(np.random.default_rng(3).normal(size=150)))
        fit = fit_table(table, "y")
        assert fit.alpha.value == max(fit.alpha.losses) >= 100.0
        assert fit.alpha.in_words.endswith(", the strongest of them")

    def test_goes_on_to_weaker_ones_and_ends_where_nothing_changes(self):
        x = np.random.default_rng(0).normal(size=(200, 2))
        table = pl.DataFrame(
            {"a": x[:, 0], "b": x[:, 1], "y": x @ [1.0, 2.0] + 1e-3 * x[:, 0] ** 2}
        )
        fit = fit_table(table, "y")
        assert fit.alpha.value < 1e-4
        assert fit.validation["r2"] > 0.9999

    @pytest.mark.parametrize(
        "options, penalty",
        [
            ({"alpha": 0.25}, "L2(alpha=0.25)"),
            ({"optimizer": "adam", "max_iter": 1}, "L2(alpha=0.0001)"),
            ({"penalty": gradstep.L2(3.0)}, "L2(alpha=3.0)"),
            ({"penalty": None}, "NoPenalty()"),
        ],
    )
    def test_is_not_walked_where_there_is_nothing_to_choose(self, options, penalty):
        fit = fit_table(noise(), "y", **options)
        assert (fit.alpha, fit.model.provenance["penalty"]) == (None, penalty)

    @pytest.mark.parametrize("classes", [False, True])
    def test_has_one_strength_at_least_where_columns_say_nothing(self, classes):
        """The first strength is weaker than the weakest that classes are tried with."""
        y = np.repeat([1.0, 2.0], 40)
        table = pl.DataFrame(
            {"x": [-1.0, 1.0] * 39 + [-1.0, 1.000001], "y": [f"c{v}" for v in y] if classes else y}
        )
        fit = fit_table(table, "y", validation=0.0, task="auto" if classes else "regression")
        assert np.abs(fit.model.coef_).max() < 1e-5

    def test_nor_where_rows_are_too_few(self):
        fit = fit_table(noise(9), "y", validation=0.0)
        assert (fit.alpha, fit.model.provenance["penalty"]) == (None, "L2(alpha=0.0001)")


class TestOfManyRows:
    """One part is held out, and each trial a run that can be interrupted, and go on."""

    @pytest.fixture(autouse=True)
    def _many(self, monkeypatch):
        monkeypatch.setattr(class_folds, "_MOST_NUMBERS", 0)
        monkeypatch.setattr(choosing, "_CHEAP", 0)
        monkeypatch.setattr(choosing, "_DEAR", 0)
        monkeypatch.setattr(choosing, "_ROUGHLY", 1e-9)  # so that trials have some epochs

    def test_is_near_that_of_all_parts(self, monkeypatch):
        table = noise(400, of_classes=True)
        one = fit_table(table, "y")
        monkeypatch.setattr(choosing, "_DEAR", 1e9)
        two = fit_table(table, "y")
        assert one.alpha.judge.endswith(" of the rows to train on")
        assert two.alpha.judge == "2 fifths of the rows in turn"
        assert 0.05 < one.alpha.value / two.alpha.value < 20.0

    def test_interrupted_gives_the_best_so_far(self):
        fit = fit_table(noise(400, of_classes=True), "y", callbacks=[Stop(12)])
        assert fit.outcome is Outcome.INTERRUPTED
        assert "while alpha was being chosen" in fit.notes[-1]
        assert fit.refit is None
        assert fit.validation["log_loss"] < fit.baseline["log_loss"]

    def test_interrupted_goes_on_to_the_same_bits(self, tmp_path):
        table, stops = noise(400, of_classes=True), 0
        whole = fit_table(table, "y")
        while True:
            callbacks = [Stop(4), Checkpoint(tmp_path, "1epochs", resume=True)]
            fit = fit_table(table, "y", callbacks=callbacks)
            if fit.outcome is not Outcome.INTERRUPTED:
                break
            stops += 1
        assert stops > 3
        assert fit.model.params.tobytes() == whole.model.params.tobytes()
        assert fit.alpha == whole.alpha
        assert fit.refit == whole.refit
