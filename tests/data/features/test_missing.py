"""The first row without a value is named, and all are counted, in whatever pieces a table comes."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from gradstep import InvalidTable, prepare
from gradstep.data.features.profile import LevelProfile
from tests.data.cases import in_tiny_pieces
from tests.uncompiled import uncompiled

N = 200  # four chunks
VALUES = {
    "number": [float(i % 7) for i in range(N)],
    "category": [f"level {i % 5}" for i in range(N)],
    "date": [date(2026, 1, 1 + i % 20) for i in range(N)],
    "text": [f"words of row {i % 9}" for i in range(N)],
}


@uncompiled
@pytest.mark.parametrize("kind", VALUES)
def test_of_every_kind_of_column(kind, monkeypatch):
    in_tiny_pieces(monkeypatch)
    gone = {100, 101, 190}
    values = [None if i in gone else value for i, value in enumerate(VALUES[kind])]
    table = pl.DataFrame({"x": values, "y": np.arange(float(N))})
    with pytest.raises(InvalidTable, match=r"'x' .* missing in 3 rows, first in row 101 "):
        prepare(table, "y", kinds={"x": kind}, missing="error")


@pytest.mark.parametrize("first", [2, None])
def test_of_pieces_that_are_counted_from_their_own_first_row(first):
    one, later = LevelProfile("x"), LevelProfile("x")
    one.add(pl.Series(["a" if i != first else None for i in range(5)]), np.arange(5))
    later.add(pl.Series(["a", None, None]), np.arange(3))
    one.merge(later, 5)
    assert one.missing == 2 + (first is not None)
    assert one.first_missing == (6 if first is None else first)
