"""What `gradstep train` says of a model, in words."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import gradstep as gs
from tests.cli.train import FEW, GIVEN, ONE
from tests.uncompiled import uncompiled

MODEL = ("-m", "m.safetensors")


class TestWords:
    def test_tell_what_a_person_needs(self, gradstep, trips):
        status, out, err = gradstep("train", trips, "-t", "fare", *FEW, *ONE)
        assert (status, err) == (0, "")
        flat = " ".join(out.split())
        held_out = int(re.search(r"Rows 900 read, \d+ to train on, (\d+) held out", flat)[1])
        for words in (
            f"{900 - held_out} to train on",
            "Columns 3 of 12 used, as 6 features",
            "colour category 3 levels",
            "start left out left out on request",
            "Target fare, a number from 3.",
            "Loss SquaredError, as the target is a number",
            "Training 1 epoch in ",
            "All epochs were run.",
            f"{held_out} rows model best constant",
            "root mean square error",
            "and deviation of the column's part km 9",
            "] takes",
            "from fare, against colour=green",
            "Model trips-fare.safetensors",
        ):
            assert words in flat
        coef = gs.load("trips-fare.safetensors").coef_[0, 0]
        assert f"1 more of km adds {coef:.4g} (" in out

    def test_point_to_classes_where_numbers_may_be_codes(self, gradstep, trips):
        Path("codes.csv").write_text("x,kind\n" + "".join(f"{i},{i % 3}\n" for i in range(60)))
        _, out, _ = gradstep("train", "codes.csv", "-t", "kind", "--dry-run")
        words = "the target is a number (--task classification predicts classes)"
        assert words in " ".join(out.split())
        _, out, _ = gradstep("train", trips, "-t", "fare", "--dry-run")
        assert "Loss SquaredError, as the target is a number Penalty" in " ".join(out.split())

    def test_write_large_and_small_figures_out(self, gradstep, home):
        """The loss of alpha, and an R² next to 0: without powers of ten."""
        rng = np.random.default_rng(0)
        x, noise = rng.normal(size=(2, 4000))
        pl.DataFrame({"x": x, "y": 1e5 * x + 2e4 * noise}).write_csv("t.csv")
        _, out, _ = gradstep("train", "t.csv", "-t", "y", "--no-cache")
        flat = " ".join(out.split())
        assert re.search(r"chosen by cross-validation \(loss \d{3},\d{3},\d{3}\)", flat)
        assert re.search(r"R² +0\.9\d+ +-0\.00\d+ ", flat)

    def test_of_two_classes_are_odds(self, gradstep, trips):
        _, out, _ = gradstep("train", trips, "-t", "paid", *FEW, "-m", "m.safetensors")
        odds = float(re.search(r"1 more of km: the odds of yes times ([\d.]+)", out)[1])
        model = gs.load("m.safetensors")
        row = pl.DataFrame({"km": [4.0, 5.0], "hour": [1, 1], "colour": ["green", "green"]})
        p = model.predict_proba(row)[:, 1]
        assert odds == pytest.approx(p[1] / (1 - p[1]) / (p[0] / (1 - p[0])), abs=5e-4)

    @uncompiled
    def test_of_several_classes_are_beside_the_average_class(self, gradstep, trips):
        _, out, _ = gradstep("train", trips, "-t", "zone", *FEW, *GIVEN, "-m", "m.safetensors")
        told = (
            r"1 more of km: the odds of airport against the average class times ([\d.]+) "
            r"\([\d.]+ to [\d.]+\)"
        )
        factor = float(re.search(told, " ".join(out.split()))[1])
        row = pl.DataFrame({"km": [4.0, 5.0], "hour": [1, 1], "colour": ["green", "green"]})
        p = gs.load("m.safetensors").predict_proba(row)
        beside = p[:, 0] / np.exp(np.log(p).mean(axis=1))
        assert factor == pytest.approx(beside[1] / beside[0], abs=5e-4)

    @uncompiled
    def test_of_one_class_against_the_rest_are_scores(self, gradstep, trips):
        arguments = ("-t", "zone", *FEW, *GIVEN, "--loss", "hinge", "--optimizer", "sgd", *ONE)
        _, out, _ = gradstep("train", trips, *arguments)
        assert "OneVsRest(loss=Hinge), as asked for" in out
        assert re.search(r"1 more of km: the score of airport [+-]\d", out)
        assert "odds" not in out

    @uncompiled
    def test_of_counts_are_factors(self, gradstep, trips):
        arguments = ("--loss", "poisson", "--offset", "log_exposure", *FEW, *GIVEN, *MODEL)
        _, out, _ = gradstep("train", trips, "-t", "claims", *arguments)
        factor = float(re.search(r"1 more of km: claims times ([\d.]+)", out)[1])
        row = pl.DataFrame({"km": [4.0, 5.0], "hour": [1, 1], "colour": ["green", "green"],
                            "log_exposure": [0.5, 0.5]})  # fmt: skip
        predicted = gs.load("m.safetensors").predict(row)
        assert factor == pytest.approx(predicted[1] / predicted[0], abs=5e-4)
        assert factor == pytest.approx(math.exp(0.1), rel=0.03)

    @pytest.mark.parametrize("columns", [50, 80, 150])
    def test_fit_the_width(self, gradstep, trips, columns):
        arguments = ("-t", "fare", *FEW, "--max-iter", "1")
        _, out, _ = gradstep("train", trips, *arguments, columns=columns)
        assert max(map(len, out.splitlines())) <= columns
