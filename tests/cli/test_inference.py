"""`--inference`: confidence intervals beside the coefficients, and where there are none, why."""

from __future__ import annotations

from tests.uncompiled import uncompiled

SOME = ("--only", "km,hour,colour", "--no-cache", "-m", "m.safetensors")


@uncompiled
def test_intervals_are_told_and_shown(gradstep, told, trips):
    _, out, _ = gradstep("train", trips, "-t", "fare", *SOME, columns=200)
    assert "with 95 % confidence intervals (robust, of coefficients as the penalty" in out
    shown = told("show", "m.safetensors")
    km = next(entry for entry in shown["coefficients"] if entry["feature"] == "km")
    assert km["low"] < km["coefficient"] < km["high"]
    assert {entry["column"] for entry in shown["tests"]} == {"km", "hour", "colour"}
    _, out, _ = gradstep("show", "m.safetensors", columns=200)
    assert f"1 more of km adds {km['coefficient']:.4g} ({km['low']:.4g} to {km['high']:.4g})" in out


@uncompiled
def test_where_there_are_none_it_is_said_why(gradstep, fails, trips):
    gradstep("train", trips, "-t", "fare", *SOME, "--penalty", "l1", "--alpha", "0.01")
    _, out, _ = gradstep("show", "m.safetensors", columns=200)
    assert "no standard errors: an l1 penalty moves coefficients to zero" in out
    assert "must be one of 'robust', 'model', 'none'" in fails(
        "train", trips, "-t", "fare", *SOME, "--inference", "bayes"
    )
