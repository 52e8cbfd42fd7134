"""Estimators of numbers, given text, name the estimators that take it."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pytest

from gradstep import InvalidData, MiniBatchClassifier, MiniBatchRegressor

TABLE = pl.DataFrame({
    "km": [1.0, 2.0, 3.0, 4.0], "colour": ["red", "green", "red", "green"],
    "start": ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"],
}).with_columns(pl.col("start").str.to_date())  # fmt: skip


def pandas_of(frame):
    return pd.DataFrame({c: frame[c].to_list() for c in frame.columns})


@pytest.mark.parametrize("kind, table", [(MiniBatchRegressor, "TableRegressor"),
                                         (MiniBatchClassifier, "TableClassifier")])  # fmt: skip
@pytest.mark.parametrize("of", [pandas_of, lambda frame: frame], ids=["pandas", "polars"])
def test_estimators_of_numbers_point_to_them(kind, table, of):
    with pytest.raises(InvalidData, match=rf"'colour', 'start' \(.*gradstep\.{table} takes text"):
        kind().fit(of(TABLE), [0, 1, 0, 1])


@pytest.mark.parametrize("kind", ["object", "text", "pyarrow"])
def test_estimators_of_numbers_point_to_them_for_arrays_too(kind):
    frame = pd.DataFrame({"km": [1.0, 2.0, 3.0], "colour": ["red", "green", "red"]})
    X = {
        "object": frame.to_numpy(),
        "text": frame.to_numpy().astype(str),
        "pyarrow": pl.from_pandas(frame).to_arrow(),
    }[kind]
    columns = {"object": "1 ", "text": "0, 1 ", "pyarrow": "'colour' "}[kind]
    with pytest.raises(InvalidData) as caught:
        MiniBatchRegressor().fit(X, [1.0, 2.0, 3.0])
    assert f"columns that are none: {columns}(could not" in str(caught.value)
    assert "gradstep.TableRegressor takes text" in str(caught.value)
