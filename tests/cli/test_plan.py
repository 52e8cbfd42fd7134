"""What `train` says before it trains, and `--dry-run`, which stops there."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import gradstep

FARE = ("-t", "fare", "--only", "km,hour,colour", "--max-iter", "1", "--no-cache")


class TestTheDryRun:
    def test_says_what_would_be_done_and_writes_no_model(self, gradstep, trips, tmp_path):
        status, out, err = gradstep("train", trips, *FARE, "--dry-run")
        assert (status, err) == (0, "")
        flat = " ".join(out.split())
        for words in ("Rows 900 read", "as 6 features", "Target fare, a number from",
                      "Loss SquaredError, as the target", "Penalty l2 of", "Method automatic",
                      "Writes model trips-fare.safetensors"):  # fmt: skip
            assert words in flat
        assert "Training" not in out
        assert [*tmp_path.iterdir()] == []

    def test_keeps_the_prepared_table_for_the_run_that_follows(self, gradstep, told, trips):
        kept = ("--cache", "kept")
        plan = told("train", trips, *FARE[:-1], *kept, "--dry-run")["plan"]
        assert plan["writes"]["prepared table"].startswith("kept/")
        assert told("train", trips, *FARE[:-1], *kept)["plan"] == plan

    def test_fails_as_the_run_would(self, fails, trips):
        assert "Did you mean 'fare'?" in fails("train", trips, "-t", "fair", "--dry-run")


@pytest.mark.uncompiled
def test_the_plan_comes_before_the_report_which_does_not_repeat_it(gradstep, trips):
    _, out, _ = gradstep("train", trips, *FARE)
    assert out.index("Columns") < out.index("Method") < out.index("Training")
    assert [out.count(f"\n{head}  ") for head in ("Columns", "Target", "Training")] == [1, 1, 1]


@pytest.mark.uncompiled
def test_sparse_text_knows_its_target(told, fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "t.svm"
    path.write_text("".join(f"{i % 2} 1:{i % 7} 3:1.5\n" for i in range(60)))
    assert told("train", path, "--no-cache", "--dry-run")["plan"]["target"]["column"] == "label"
    assert told("prepare", path, "-o", "p")["target"]["column"] == "label"
    assert gradstep.plan(path, validation=0.0).target.classes == (0, 1)


@pytest.mark.uncompiled
def test_an_exposure_that_is_given_as_an_offset_is_noted(gradstep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    years = rng.uniform(0.1, 3.0, 600)
    table = pl.DataFrame({"x": rng.normal(size=600), "y": rng.poisson(2.0 * years), "years": years})
    table.write_csv("claims.csv")
    asked = ("train", "claims.csv", "-t", "y", "--loss", "poisson", "--no-cache", "--dry-run")
    _, out, _ = gradstep(*asked, "--offset", "years")
    flat = " ".join(out.split())
    assert "note [GS017]: The offset 'years' is added to the logarithm" in flat
    assert "--exposure years takes its logarithm." in flat
    _, out, _ = gradstep(*asked, "--exposure", "years")
    assert "GS017" not in out
