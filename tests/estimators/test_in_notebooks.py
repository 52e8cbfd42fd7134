"""What notebooks show of estimators of tables."""

from __future__ import annotations

import re

import polars as pl

from gradstep import TableRegressor


def test_notebooks_see_escaped_words():
    table = pl.DataFrame({
        "<b>km</b>": [float(i % 7) for i in range(60)], "colour": ["red", "green"] * 30,
        "fare": [3.0 + 2.0 * (i % 7) + i % 3 for i in range(60)],
    })  # fmt: skip
    model = TableRegressor()
    assert "<table><caption>" not in model._repr_html_()
    model.fit(table, "fare")
    html = model._repr_html_().rpartition("<table><caption>fare</caption>")[2]
    assert "&lt;b&gt;km&lt;/b&gt; adds" in html
    assert "<b>" not in html
    assert model._repr_mimebundle_()["text/html"].count("<caption>fare") == 1
    assert re.fullmatch(r"TableRegressor\(alpha=0\.1\)", repr(TableRegressor(alpha=0.1)))
