"""The model that is written is of all rows; what is told of it is of the one before."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from gradstep import Outcome, fit_table, prepare
from gradstep.fit import refit as refitting
from tests.fit.test_alpha import noise


def both(prepared):
    """Return all rows as arrays."""
    parts = prepared.train, prepared.validation
    return (
        np.concatenate([part.rows.values[part.rows_between(0, part.n)] for part in parts]),
        np.concatenate([part.targets()[:, 0] for part in parts]),
    )


class StopsInTheRefit:
    """Interrupts the second run that begins."""

    def __init__(self):
        self.runs = 0

    def on_start(self, start):
        self.runs += 1

    def on_pause(self, pause):
        return Outcome.INTERRUPTED if self.runs == 2 else None


class TestOptimum:
    def test_is_that_of_all_rows(self):
        fit = fit_table(noise(), "y", alpha=0.1, tol=1e-10)
        held_back = fit_table(fit.prepared, alpha=0.1, tol=1e-10, refit=False)
        X, y = both(fit.prepared)
        oracle = Ridge(0.1 * y.size, tol=1e-12).fit(X, y)
        np.testing.assert_allclose(fit.model.params[:-1], oracle.coef_, atol=5e-3)
        assert fit.refit.rows == y.size == 150
        assert (fit.validation, fit.baseline) == (held_back.validation, held_back.baseline)
        assert held_back.refit is None
        assert fit.model.params.tobytes() != held_back.model.params.tobytes()
        constant = fit.model.training.constant
        assert constant == pytest.approx([y.mean()])

    @pytest.mark.parametrize("penalty", [None, "l2"])
    def test_is_the_models_though_an_earlier_epoch_predicts_better(self, penalty):
        """Standard errors are those of an optimum; so is what was asked for."""
        given = {"penalty": penalty, **({"alpha": 1e-4} if penalty else {})}
        fit = fit_table(noise(of_classes=True), "y", tol=1e-9, **given)
        told = [record.validation for record in fit.history]
        assert max(told) > told[-1]  # the test would tell nothing else
        assert fit.outcome is Outcome.OPTIMAL
        assert fit.kept_epoch == len(fit.history)
        assert fit.validation["log_loss"] == pytest.approx(-told[-1])
        whole = fit_table(fit.prepared, tol=1e-9, refit=False, **given)
        assert whole.kept_epoch == len(whole.history)

    def test_of_few_rows_chooses_alpha_anew(self):
        fit = fit_table(noise(), "y")
        X, y = both(fit.prepared)
        whole = pl.DataFrame({f"x{j}": X[:, j] for j in range(12)} | {"y": y})
        expected = fit_table(whole, "y", validation=0.0)
        assert fit.refit.alpha == expected.alpha.value
        assert fit.model.provenance["penalty"] == f"L2(alpha={fit.refit.alpha!r})"
        assert fit_table(noise(of_classes=True), "y").refit.alpha is None

    def test_with_weights_and_several_classes(self):
        table = noise(300).with_columns(
            y=(pl.col("y").round() % 3).cast(pl.Int64).cast(pl.String),
            w=pl.Series([1.0, 2.0, 0.0] * 100),
        )
        fit = fit_table(table, "y", sample_weight="w", class_weight="balanced")
        assert fit.refit.rows == fit.prepared.train.n + fit.prepared.validation.n == 200
        assert fit.model.params.shape == (39,)


class TestEarlierEpoch:
    def test_is_named_and_repeated_on_all_rows(self):
        options = {"optimizer": "adam", "learning_rate": 0.05, "max_iter": 30, "tol": None}
        fit = fit_table(noise(), "y", **options)
        scores = [record.validation for record in fit.history]
        assert fit.kept_epoch == int(np.argmax(scores)) + 1 < 30
        assert (fit.refit.epochs, len(fit.history)) == (fit.kept_epoch, 30)

    def test_of_too_many_rows_for_mini_batches_is_noted(self, monkeypatch):
        monkeypatch.setattr(refitting, "_MOST_BYTES", 0)
        fit = fit_table(noise(), "y", optimizer="adam", max_iter=2)
        assert fit.refit is None
        assert "they are too many" in fit.notes[-1]
        assert fit_table(noise(), "y", max_iter=2).refit is not None


class TestNone:
    def test_with_another_table_held_out(self):
        prepared = prepare(noise(), "y", validation_table=noise(40))
        fit = fit_table(prepared)
        assert (fit.refit, fit.validation["rows"]) == (None, 40)

    def test_with_nothing_held_out(self):
        assert fit_table(noise(), "y", validation=0.0).refit is None

    def test_if_it_is_interrupted(self):
        table = noise(of_classes=True)
        fit = fit_table(table, "y", callbacks=[StopsInTheRefit()])
        expected = fit_table(table, "y", refit=False)
        assert fit.outcome is Outcome.INTERRUPTED
        assert fit.notes[-1].startswith("GS108: Interrupted while the model was fitted to all rows")
        assert fit.model.params.tobytes() == expected.model.params.tobytes()
