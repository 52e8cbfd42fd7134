"""`evaluate` says of rows what the fit has said of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gradstep import InvalidTable, evaluate, fit_table
from tests.fit.tables import counts, linear, logistic, three


def as_in_training(found, fit):
    """Compare what `evaluate` has found with what a fit said of the same rows."""
    assert found.pop("baseline") == pytest.approx(fit.baseline, rel=1e-9)
    tenths = found.pop("calibration", []), fit.validation.pop("calibration", [])
    for one, other in zip(*tenths, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert found == pytest.approx(fit.validation, rel=1e-9)


class TestEvaluate:
    def test_is_as_the_validation_said(self):
        table = linear(800)
        fit = fit_table(table[:600], "y", validation_table=table[600:], max_iter=10)
        as_in_training(evaluate(fit.model, table[600:]), fit)

    def test_of_classes(self):
        table = three(800)
        fit = fit_table(table[:600], "y", validation_table=table[600:], max_iter=10)
        found = evaluate(fit.model, table[600:])
        assert found.pop("confusion") == fit.validation.pop("confusion")
        assert found["baseline"].pop("confusion") == fit.baseline.pop("confusion")
        as_in_training(found, fit)

    def test_of_two_classes(self):
        table = logistic(800)
        fit = fit_table(table[:600], "y", validation_table=table[600:], max_iter=10)
        found = evaluate(fit.model, table[600:])
        assert found.pop("confusion") == fit.validation.pop("confusion")
        assert found["baseline"].pop("confusion") == fit.baseline.pop("confusion")
        assert len(found["calibration"]) == 10
        as_in_training(found, fit)

    def test_with_an_offset(self):
        table = counts(800).with_columns(o=pl.Series(np.random.default_rng(5).normal(size=800) / 2))
        fit = fit_table(
            table[:600], "y", loss="poisson", offset="o", validation_table=table[600:], max_iter=10
        )
        as_in_training(evaluate(fit.model, table[600:]), fit)

    def test_a_weight_of_two_is_a_row_twice(self):
        table = linear(300)
        model = fit_table(table, "y", max_iter=3).model
        weight = np.random.default_rng(0).integers(0, 3, 300)
        repeated = table[np.repeat(np.arange(300), weight)]
        one = evaluate(model, table.with_columns(w=pl.Series(weight)), sample_weight="w")
        two = evaluate(model, repeated)
        assert one.pop("rows") == (weight > 0).sum()
        assert two.pop("rows") == weight.sum()
        constant = one.pop("baseline"), two.pop("baseline")
        assert constant[0]["rmse"] == pytest.approx(constant[1]["rmse"], rel=1e-12)
        assert one == pytest.approx(two, rel=1e-12)

    def test_rows_without_a_target_are_left_out_and_counted(self):
        table = linear(100)
        model = fit_table(table, "y", max_iter=3).model
        gone = table.with_columns(
            pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise("y").alias("y")
        )
        found = evaluate(model, gone)
        assert found.pop("missing_target") == 7
        expected = evaluate(model, table[7:])
        assert found.pop("baseline") == pytest.approx(expected.pop("baseline"), rel=1e-12)
        assert found == pytest.approx(expected, rel=1e-12)

    def test_without_any_target(self):
        model = fit_table(linear(100), "y", max_iter=3).model
        with pytest.raises(InvalidTable, match="no row with a value of the target 'y'"):
            evaluate(model, linear(100).with_columns(y=pl.lit(None, pl.Float64)))
