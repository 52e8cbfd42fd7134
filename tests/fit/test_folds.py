"""Cross-validation, and rows that are left for a test."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from gradstep import Diverged, InvalidParameter, Outcome, fit_table
from tests.fit.tables import counts, linear, three
from tests.uncompiled import uncompiled


class TestFolds:
    def test_are_fits_of_the_other_rows(self):
        """Each is what a fit says that was given its rows as a table to validate on."""
        table = linear(90)
        fit = fit_table(table, "y", validation=0.0, cv=3, tol=1e-9)
        train, frame = fit.prepared.train, table.to_numpy()
        rows = fit.prepared.encoding.encode(table).values
        order = [int(np.abs(rows - row).sum(axis=1).argmin()) for row in train.rows.values]
        assert sorted(order) == list(range(90))
        for part, found in enumerate(fit.folds):
            held_out = order[30 * part : 30 * part + 30]
            others = np.setdiff1d(order, held_out)
            scaled = (frame[:, :5] - frame[:, :5].mean(axis=0)) / frame[:, :5].std(axis=0)
            oracle = LinearRegression().fit(scaled[others], frame[others, 5])
            error = oracle.predict(scaled[held_out]) - frame[held_out, 5]
            assert found["rows"] == 30
            assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=0.02)
        whole = fit_table(table, "y", validation=0.0, tol=1e-9)
        assert fit.model.params.tobytes() == whole.model.params.tobytes()
        assert whole.folds == []

    def test_of_classes_with_weights(self):
        table = three(150).with_columns(w=pl.Series([1.0, 2.0, 0.0] * 50))
        fit = fit_table(table, "y", sample_weight="w", class_weight="balanced", cv=2, alpha="auto")
        train = fit.prepared.train
        assert [fold["rows"] for fold in fit.folds] == [train.n // 2, train.n - train.n // 2]
        total = sum(np.sum(fold["confusion"]) for fold in fit.folds)
        of_class = np.array(fit.prepared.meta["class_weights"])[train.targets()[:, 0].astype(int)]
        assert total == pytest.approx((train.weights() / of_class).sum())

    @pytest.mark.parametrize(
        "options, words",
        [
            ({"cv": 100}, r"cv=100 of fit_table must be .* <= 50"),
            ({"cv": 1}, r"cv=1 of fit_table must be .* >= 2"),
            ({"cv": 2, "loss": "poisson", "exposure": "o"}, "with an offset or an exposure"),
        ],
    )
    def test_that_cannot_be_are_refused_before_training(self, options, words):
        table, planned = counts(50).with_columns(o=pl.lit(0.5)), []
        with pytest.raises(InvalidParameter, match=words):
            fit_table(table, "y", validation=0.0, on_plan=planned.append, **options)
        assert planned == []

    @uncompiled
    def test_end_where_a_run_would(self):
        """A signal that comes when the model is there already ends them, and leaves it whole."""

        class Ends:
            runs = 0

            def on_start(self, _start):
                self.runs += 1

            def on_pause(self, _pause):
                return Outcome.INTERRUPTED if self.runs == 3 else None

        table, options = linear(60), {"validation": 0.0, "optimizer": "adam", "max_iter": 2}
        fit = fit_table(table, "y", cv=4, callbacks=[Ends()], **options)
        assert fit.folds == []
        assert fit.notes[-1] == ("GS112: Interrupted in the cross-validation, which is left out.")
        whole = fit_table(table, "y", **options)
        assert fit.model.params.tobytes() == whole.model.params.tobytes()
        assert fit.outcome is whole.outcome

    @uncompiled
    def test_of_which_a_part_diverges_are_left_out(self, monkeypatch):
        def diverges(*_arguments, **_by_index):
            msg = "Training diverged."
            raise Diverged(msg, epoch=1)

        monkeypatch.setattr("gradstep.fit.table.evaluate_folds", diverges)
        fit = fit_table(linear(60), "y", cv=2, optimizer="adam", max_iter=2)
        assert fit.notes[-1] == (
            "GS112: Cross-validation is left out: of a part, Training diverged."
        )
