"""Queries of Polars that answer differently when they are read again: refused."""

from __future__ import annotations

import polars as pl
import pytest

from gradstep import InvalidTable, prepare
from gradstep.data.preparing import first_pass
from gradstep.data.sources import table as tables
from tests.data.cases import in_tiny_pieces, numbered


class TestQueriesThatAnswerDifferently:
    """The second pass finds other rows than the first: nothing is written beyond an array."""

    @pytest.mark.parametrize("where", ["memory", "disk"])
    @pytest.mark.parametrize(
        "other, at, options",
        [
            (
                lambda t: t.with_columns(z=pl.lit(1e9)),
                4,
                {"time_column": "z"},
            ),  # all are the latest
            (lambda t: t.with_columns(z=pl.lit(-1e9)), 4, {"time_column": "z"}),  # none is
            (lambda t: t[:-1], 4, {"time_column": "z"}),
            (lambda t: t[:-1], 3, {"time_column": "z"}),
            (lambda t: t[:-1], 2, {}),
            (lambda t: t[:256], 2, {}),
            (lambda t: pl.concat([t, t]), 2, {}),
            (lambda t: t[:0], 2, {}),
        ],
        ids=[
            "late",
            "early",
            "fewer times",
            "fewer times counted",
            "fewer",
            "chunks",
            "more",
            "none",
        ],
    )
    @pytest.mark.parametrize("gap", [False, True])
    def test_are_refused(self, other, at, options, where, gap, tmp_path, monkeypatch):
        in_tiny_pieces(monkeypatch)
        monkeypatch.setattr(first_pass, "_KEPT_BYTES", -1)  # read from the file both times
        table = numbered(300)
        if gap:
            table[290, "y"] = None
        read, passes = tables.Table.chunks, []

        def chunks(self, columns=None):
            passes.append(columns)
            if len(passes) == at:
                self._lazy = other(table).lazy()
            return read(self, columns)

        monkeypatch.setattr(tables.Table, "chunks", chunks)
        out = tmp_path / "p" if where == "disk" else None
        with pytest.raises(InvalidTable, match="the query had 300 rows when it was read first"):
            prepare(table.lazy(), "y", validation=0.2, out=out, **options)
        assert not (tmp_path / "p").exists()
