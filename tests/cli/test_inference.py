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
    short = ("train", trips, "-t", "fare", *SOME, "--optimizer", "sgd", "--max-iter", "1")
    _, out, _ = gradstep(*short, columns=200)
    assert "Errors  no standard errors: a coefficient lies" in out
    assert "Fit with --optimizer auto and a smaller tol" in " ".join(out.split())
    _, out, _ = gradstep(*short, "--inference", "model", columns=200)
    assert ("note [GS215]: No standard errors: a" in out, "Errors  no" in out) == (True, False)
    gradstep("train", trips, "-t", "fare", *SOME, "--penalty", "l1", "--alpha", "0.01")
    _, out, _ = gradstep("show", "m.safetensors", columns=200)
    assert "no standard errors: an l1 penalty moves coefficients to zero" in out
    assert "must be one of 'robust', 'model', 'none'" in fails(
        "train", trips, "-t", "fare", *SOME, "--inference", "bayes"
    )


@uncompiled
def test_clusters_are_told_and_shown(gradstep, told, fails, trips):
    asked = ("--inference", "cluster=often,hour")
    _, out, _ = gradstep("train", trips, "-t", "fare", *SOME, *asked, columns=250)
    assert "(clustered by often and hour: 4 and 25 clusters, of coefficients" in out
    assert "rows have no 'hour': they count as one cluster." in " ".join(out.split())
    gradstep("prepare", trips, "-t", "fare", "--only", "km", "--cluster", "hour", "-o", "folder")
    out = told("train", "folder", "--inference", "cluster=hour", "-m", "m.safetensors")
    assert out["coefficients"][0]["standard_error"] > 0.0
    _, out, _ = gradstep("show", "m.safetensors", columns=200)
    assert "(clustered by hour: 25 clusters" in out
    assert "does not say which rows have the same 'often': prepare it with --cluster" in fails(
        "train", "folder", "--inference", "cluster=often"
    )
