"""The target of `TableRegressor` and `TableClassifier`: a column, of a formula, or apart."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, r2_score

from gradstep import InvalidData, InvalidParameter, InvalidTable, TableClassifier, TableRegressor

N = 120


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    km, colour = rng.uniform(0.0, 9.0, N), rng.choice(["red", "green"], N)
    fare = 2.0 * km + (colour == "red") + rng.normal(size=N)
    return pl.DataFrame({"km": km, "colour": colour, "fare": fare, "dear": fare > 9.0})


class TestScores:
    """Of a table that has the target, which need not be named again."""

    def test_of_numbers(self, table, tmp_path):
        table = table.drop("dear")
        table.write_csv(tmp_path / "t.csv")
        model = TableRegressor(alpha=1e-3).fit(tmp_path / "t.csv", "fare")
        expected = r2_score(table["fare"], model.predict(table))
        for source in (tmp_path / "t.csv", table, table.lazy(), table.to_pandas()):
            assert model.score(source) == pytest.approx(expected)
        assert model.score(table, "fare") == pytest.approx(expected)

    def test_of_classes(self, table):
        model = TableClassifier(alpha=1e-3, drop="fare").fit(table, "dear")
        assert model.score(table) == accuracy_score(table["dear"], model.predict(table))

    def test_of_a_table_without_it(self, table):
        model = TableRegressor(alpha=1e-3).fit(table, "fare")
        with pytest.raises(InvalidTable, match="'fare' is not a column"):
            model.score(table.drop("fare"))


class TestFormulas:
    def test_name_the_target(self, table):
        model = TableRegressor(alpha=1e-3, formula="fare ~ km + colour").fit(table)
        expected = TableRegressor(alpha=1e-3, only=["km", "colour"]).fit(table, "fare")
        np.testing.assert_array_equal(model.coef_, expected.coef_)
        assert model.score(table) == expected.score(table)

    def test_that_do_not_name_it(self, table):
        with pytest.raises(InvalidData, match="requires y to be passed"):
            TableRegressor(formula="~ km").fit(table)
        with pytest.raises(InvalidParameter, match="predicts 'fare', and the target is 'dear'"):
            TableClassifier(formula="fare ~ km").fit(table, "dear")
