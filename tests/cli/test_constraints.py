"""Constraints on the command line."""

from __future__ import annotations

import pytest

import gradstep as gs
from gradstep.cli.constraint_options import constraints
from tests.uncompiled import uncompiled

FEW = ("--only", "km,hour,colour", "--no-cache", "--alpha", "1e-4")


@uncompiled
def test_are_kept_told_and_written(gradstep, trips):
    asked = ("--bound", "km=0:0.5", "--nonnegative", "hour", "-m", "m.safetensors")
    _, out, _ = gradstep("train", trips, "-t", "fare", *FEW, *asked)
    flat = " ".join(out.split())
    assert "Constraints hour not negative, km from 0 to 0.5" in flat
    assert "met at their bound, of " in flat
    model = gs.load("m.safetensors")
    assert model.coef_[0, 0] == pytest.approx(0.5, rel=1e-14)
    assert model.coef_[0, 1] >= 0.0
    assert "no standard errors" not in out
    shown = " ".join(gradstep("show", "m.safetensors")[1].split())
    assert "Constraints hour not negative, km from 0 to 0.5" in shown
    assert "constraints move coefficients to their bounds" in shown


@uncompiled
def test_steps_of_mini_batches_keep_to_them(gradstep, trips):
    asked = ("--optimizer", "adam", "--max-iter", "1", "--bound", "km=0:0.5", "-m", "m.safetensors")
    status, out, _ = gradstep("train", trips, "-t", "fare", *FEW, *asked)
    assert status == 0
    assert "Constraints km from 0 to 0.5" in " ".join(out.split())
    assert 0.0 <= gs.load("m.safetensors").coef_[0, 0] <= 0.5


@uncompiled
def test_a_curve_falls(gradstep, trips):
    asked = ("--spline", "km", "--monotone", "km:decreasing", "-m", "m.safetensors")
    gradstep("train", trips, "-t", "fare", *FEW, *asked)
    model = gs.load("m.safetensors")
    names = model.encoding.feature_names()
    curve = [w for w, name in zip(model.coef_[0], names, strict=True) if "km near" in name]
    assert curve == sorted(curve, reverse=True)


@pytest.mark.parametrize("typed, words", [
    ("--bound km", "--bound km must be COLUMN=LOW:HIGH"),
    ("--bound km=a:b", "--bound km=a:b must be"),
    ("--bound km=:", "must be COLUMN=LOW:HIGH"),
    ("--monotone km:up", "--monotone km:up must be"),
    ("--nonnegative km:2", "--nonnegative km:2 must be COLUMN; a colon of its name is written"),
    ("--bound km=0:2,km=:3", "--bound is given twice for 'km', and not the same"),
    ("--monotone km,km:decreasing", "--monotone is given twice for 'km', and not the same"),
    ("--spline km --monotone km --optimizer adam --max-iter 1",
     "Use --optimizer auto and --learning-rate auto"),
    ("--nonnegative hou", "'hou', which is no column that the model uses. Did you mean 'hour'"),
    ("--nonnegative colour", "a coefficient for each level"),
])  # fmt: skip
def test_what_is_typed_wrong_is_refused(fails, trips, typed, words):
    assert words in " ".join(fails("train", trips, "-t", "fare", *FEW, *typed.split()).split())


def test_a_colon_of_a_name_may_be_written_as_elsewhere():
    found = constraints(
        [r"at 10\:30"], [r"at 11\:30=0:1", "at 12:30=:1"], [r"at 13\:30:decreasing"]
    )
    assert found["nonnegative"] == ["at 10:30"]
    assert found["bounds"] == {"at 11:30": (0.0, 1.0), "at 12:30": (None, 1.0)}
    assert found["monotone"] == {"at 13:30": "decreasing"}
