"""Terms on the command line: curves, crosses, powers, logarithms."""

from __future__ import annotations

import pytest


def test_of_a_table_are_trained_told_and_used(gradstep, told, trips, later, tmp_path):
    terms = ["--spline", "km:6", "--cross", "km:colour,colour:paid", "--poly", "hour:2"]
    found = told("train", trips, "-t", "fare", "-m", "m", "--no-cache", "--drop", "id", *terms)
    kinds = [column["kind"] for column in found["columns"][1:]]
    assert kinds.count("SplineColumn") == kinds.count("SlopesColumn") == 1
    assert kinds[-3:] == ["PowerColumn", "SlopesColumn", "PairColumn"]
    assert {entry["column"] for entry in found["importance"]} >= {"km", "km:colour", "colour:paid"}
    status, out, _ = gradstep("show", "m", "--columns", "--top", 0)
    assert status == 0
    words = " ".join(out.split())
    assert "km curve 6 knots from" in words
    assert "hour number mean" in words
    assert "powers to 2" in words
    assert "km:colour cross 3 curves" in words
    assert "colour:paid cross 6 pairs of levels" in words
    assert "1 more of hour^2" in words
    assert "Curves what a column adds" in words
    assert " km: fare -" in words
    assert {entry["column"] for entry in told("show", "m")["curves"]} == {"km"}
    assert told("evaluate", "m", later)["r2"] > 0.9
    assert gradstep("predict", "m", later, "-o", tmp_path / "p.csv")[0] == 0


def test_are_prepared(told, gradstep, trips):
    found = told("prepare", trips, "-t", "fare", "-o", "folder", "--log", "km")
    assert "LogColumn" in {column["kind"] for column in found["columns"]}
    words = " ".join(gradstep("train", "folder", "-m", "m")[1].split())
    assert "km logarithm mean" in words
    assert "1 more of log(km)" in words


@pytest.mark.parametrize("typed, said", [
    (["--spline", "km:many"], "--spline km:many must be COLUMN:KNOTS, such as carat:20"),
    (["--spline", "km,km:4"], "--spline has km twice"),
    (["--poly", "km"], "--poly km must be COLUMN:POWER, such as age:2"),
    (["--cross", "km"], "--cross km must be of two columns, such as color:clarity"),
    (["--cross", "km:hour:colour"], "must be of two columns"),
    (["--spline", "colour"], "trips.csv is a category: a spline is one of numbers"),
    (["--log", "log_exposure"], "of which there is no logarithm"),
    (["--formula", "fare ~ sin(km)"], "has the term sin(km): there are columns, and bs(x)"),
    (["--formula", "fare ~ km", "--only", "km"], "leave --only away"),
    (["--formula", "paid ~ km"], "predicts 'paid', and the target is 'fare'"),
    (["--spline", "color"], "Did you mean 'colour'?"),
])  # fmt: skip
def test_what_is_typed_wrong_is_refused(fails, trips, typed, said):
    assert said in fails("train", trips, "-t", "fare", "--no-cache", *typed)


def test_are_written_as_a_formula(told, trips):
    formula = "fare ~ bs(km, df=8)*colour + hour"
    found = told("train", trips, "--formula", formula, "-m", "m", "--no-cache")
    used = [c for c in found["columns"] if c["kind"] != "LeftOut"]
    assert [(c["kind"], c["source"]) for c in used] == [
        ("SplineColumn", "km"), ("NumberColumn", "hour"), ("LevelColumn", "colour"),
        ("SlopesColumn", "km"),
    ]  # fmt: skip
    assert found["target"]["column"] == "fare"


def test_of_a_prepared_table_are_refused(gradstep, fails, trips):
    gradstep("prepare", trips, "-t", "fare", "-o", "folder")
    assert "--spline would change nothing" in fails("train", "folder", "--spline", "km")
