"""A column of text on the command line."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tests.uncompiled import uncompiled


@uncompiled
def test_is_read_as_words(gradstep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = ["good food", "not good at all", "good, and quick", None] * 20
    pl.DataFrame({"comment": texts, "y": [1.0, 0.0, 2.0, 0.5] * 20}).write_csv("t.csv")
    gradstep("train", "t.csv", "-t", "y", "--as", "comment=text", "--alpha", "1e-3", "--no-cache")
    assert "comment: not good" in gradstep("show", "t-y.safetensors")[1]
    gradstep("predict", "t-y.safetensors", "t.csv", "-o", "p.csv")
    assert Path("p.csv").read_text().count("\n") == 81
