"""What a model says of tables to predict: it goes by the names of their columns."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import gradstep
from gradstep import InvalidParameter, InvalidTable


@pytest.fixture(scope="module")
def model():
    rows = pl.DataFrame(
        {
            "x": [float(i % 5) for i in range(40)],
            "colour": ["red", "green", "blue", "red"] * 10,
            "day": pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 2, 9), eager=True),
            "o": [0.1 * (i % 3) for i in range(40)],
            "y": [float(i % 5) + (i % 4) for i in range(40)],
        }
    )
    model = gradstep.fit_table(rows, "y", validation=0.0, offset="o", max_iter=20).model
    return model, rows


def test_in_any_order_with_others(model):
    model, rows = model
    other = rows.select("y", "day", pl.lit("extra").alias("extra"), "o", "colour", "x")
    np.testing.assert_array_equal(model.predict(other), model.predict(rows))


@pytest.mark.parametrize("missing", ["x", "colour", "day"])
def test_without_a_column(model, missing):
    model, rows = model
    with pytest.raises(InvalidTable, match=f"lacks a column that the model reads: '{missing}'"):
        model.predict(rows.drop(missing))


def test_without_the_offset(model):
    model, rows = model
    with pytest.raises(InvalidTable, match="'o' is not a column"):
        model.predict(rows.drop("o"))


@pytest.mark.parametrize(
    "change,says",
    [
        (
            pl.lit("many").alias("x"),
            "row 1 .*'x' has the value 'many', which is not a number as the",
        ),
        (pl.col("day").alias("x"), "'x' has type Date, and held numbers"),
        (
            pl.lit("soon").alias("day"),
            "row 1 .*'day' has the value 'soon', which is not a date as the model",
        ),
        (pl.lit(float("inf")).alias("x"), "the frame: column 'x' is infinite in row 1 "),
        (pl.lit(None, pl.Float64).alias("o"), "offset 'o' is missing"),
        (pl.lit("a").alias("o"), "offset 'o' has the value 'a'"),
    ],
)
def test_of_another_type(model, change, says):
    model, rows = model
    with pytest.raises(InvalidTable, match=says):
        model.predict(rows.with_columns(change))


@pytest.mark.filterwarnings("ignore:GS001")
@pytest.mark.parametrize("kind", [pl.Float32, pl.Float64, pl.String])
@pytest.mark.parametrize("asked", [{}, {"splines": ["x"]}])
def test_an_infinite_number_of_any_type_and_term(kind, asked):
    rows = pl.DataFrame({"x": np.arange(80.0), "y": np.arange(80.0) % 7})
    model = gradstep.fit_table(rows, "y", **asked).model
    x = rows["x"].to_numpy().copy()
    x[[20, 50]] = np.nan, -np.inf
    bad = pl.DataFrame({"x": pl.Series(x).fill_nan(None).cast(kind)})
    with pytest.raises(InvalidTable, match=r"'x' is infinite in row 51 \(of the rows, from 1\)"):
        model.predict(bad)


def test_large_numbers_whose_sum_is_infinite_are_none(model):
    model, rows = model
    large = rows.with_columns(pl.lit(3e38).cast(pl.Float32).alias("x"))
    assert np.isfinite(model.predict(large)).all()


def test_numbers_as_text_are_numbers(model):
    model, rows = model
    text = rows.with_columns(pl.col("x").cast(pl.String))
    np.testing.assert_array_equal(model.predict(text), model.predict(rows))


@pytest.mark.parametrize("column", ["x", "colour", "day"])
@pytest.mark.parametrize("dtype", [pl.Null, pl.String])
def test_a_column_that_is_missing_everywhere(model, column, dtype):
    """Whatever type a reader guesses: as where the type is known."""
    model, rows = model
    gone = rows.with_columns(pl.lit(None, dtype).alias(column))
    typed = rows.with_columns(pl.lit(None, rows.schema[column]).alias(column))
    np.testing.assert_array_equal(model.predict(gone), model.predict(typed))
    assert model.unseen[column] == 40


def test_unseen_levels_contribute_nothing_and_are_counted(model):
    model, rows = model
    first = rows.with_columns(pl.lit("pink").alias("colour"))
    second = rows.with_columns(pl.lit("grey").alias("colour"))
    np.testing.assert_array_equal(model.predict(first), model.predict(second))
    assert model.unseen == {"colour": 40}
    model.predict(rows)
    assert not model.unseen


def test_a_file_of_it(model, tmp_path):
    model, rows = model
    bad = rows.write_csv().replace("red", "r,d", 1)
    (tmp_path / "t.csv").write_text(bad)
    with pytest.raises(InvalidTable, match=r"t\.csv, line 2: the row has 6 fields"):
        model.predict(tmp_path / "t.csv")


@pytest.mark.filterwarnings("ignore:GS001")
@pytest.mark.parametrize("name", ["prediction", "probability_no"])
def test_columns_that_are_called_as_what_is_predicted_cannot_be_kept(name):
    rows = pl.DataFrame({"x": [0.0, 1.0] * 20, "y": ["no", "yes"] * 20, name: [1] * 40})
    model = gradstep.fit_table(rows, "y", validation=0.0, max_iter=3, drop=name).model
    with pytest.raises(InvalidParameter, match=f"'{name}' cannot be kept"):
        next(model.predict_batches(rows, keep=[name]))


@pytest.mark.filterwarnings("ignore:GS001")
def test_levels_that_look_like_numbers_in_a_file(tmp_path):
    """As where a model learned from text, and the file to predict has digits alone."""
    rows = pl.DataFrame({"zip": ["01", "22", "x"] * 20, "y": ["1", "2", "no"] * 20})
    model = gradstep.fit_table(rows, "y", validation=0.0, max_iter=20).model
    some = rows.filter(pl.col("zip") != "x")
    some.write_csv(tmp_path / "t.csv")
    assert model.predict(tmp_path / "t.csv").tolist() == ["1", "2"] * 20
    assert not model.unseen
    assert gradstep.evaluate(model, tmp_path / "t.csv")["accuracy"] == 1.0
