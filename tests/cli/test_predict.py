"""`gradstep predict`: what it writes, where, and what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import gradstep as gs
from gradstep.cli.main import INTERRUPTED
from tests.slow import slow
from tests.uncompiled import uncompiled

FEW = ("--only", "km,hour,colour", "--no-cache", "--max-iter", "3", "-m", "m.safetensors")
READERS = {
    "csv": pl.read_csv,
    "tsv": lambda path: pl.read_csv(path, separator="\t"),
    "parquet": pl.read_parquet,
    "ndjson": pl.read_ndjson,
}


@pytest.fixture
def fares(told, trips):
    """A model of numbers."""
    return told("train", trips, "-t", "fare", *FEW)["model"]


@pytest.fixture
def zones(told, trips):
    """A model of three classes."""
    return told("train", trips, "-t", "zone", *FEW)["model"]


class TestFiles:
    @pytest.mark.parametrize("kind", READERS)
    def test_hold_what_the_model_predicts(self, gradstep, zones, later, kind):
        out = f"new/zones.{kind}"
        status, told, err = gradstep("predict", zones, later, "-o", out, "--keep", "id,zone")
        assert (status, told, err) == (0, f"200 predictions in {out}\n", "")
        found, table, model = READERS[kind](out), pl.read_csv(later), gs.load(zones)
        each = ["probability_airport", "probability_centre", "probability_suburb"]
        assert found.columns == ["id", "zone", "prediction", *each]
        assert found["id"].to_list() == table["id"].to_list()
        assert found["zone"].to_list() == table["zone"].to_list()
        p = found.select(each).to_numpy()
        np.testing.assert_array_equal(p, model.predict_proba(later))
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
        names = np.array(["airport", "centre", "suburb"])
        assert found["prediction"].to_list() == names[p.argmax(axis=1)].tolist()

    def test_hold_no_probabilities_if_not_asked_for(self, gradstep, zones, later):
        gradstep("predict", zones, later, "-o", "out.parquet", "--no-probabilities")
        assert pl.read_parquet("out.parquet").columns == ["prediction"]

    @pytest.mark.parametrize(
        "target, first, names",
        [("ok", bool, 3), ("flag", int, 3), ("paid", str, 3), ("fare", float, 1)],
    )
    def test_hold_classes_as_the_table_does(
        self, told, gradstep, trips, later, target, first, names
    ):
        told("train", trips, "-t", target, *FEW)
        gradstep("predict", "m.safetensors", later, "-o", "out.parquet")
        found = pl.read_parquet("out.parquet")
        assert type(found["prediction"][0]) is first
        assert len(found.columns) == names

    def test_are_replaced_at_once(self, gradstep, fares, later, tmp_path):
        for _ in range(2):
            assert gradstep("predict", fares, later, "-o", "out.csv")[0] == 0
        assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors", "out.csv"]

    @pytest.mark.parametrize("kind", READERS)
    def test_of_a_table_without_rows_have_their_columns(self, gradstep, zones, later, kind):
        pl.read_csv(later).head(0).write_parquet("none.parquet")
        arguments = ("none.parquet", "--keep", "km", "-o", f"out.{kind}")
        assert gradstep("predict", zones, *arguments)[:2] == (0, f"0 predictions in out.{kind}\n")
        if kind != "ndjson":
            assert READERS[kind](f"out.{kind}").columns[:2] == ["km", "prediction"]

    def test_of_truths_have_the_same_columns_with_and_without_rows(
        self, told, gradstep, trips, later
    ):
        told("train", trips, "-t", "ok", *FEW)
        pl.read_csv(later).head(0).write_parquet("none.parquet")
        for table in (later, "none.parquet"):
            gradstep("predict", "m.safetensors", table, "-o", "out.csv")
            columns = pl.read_csv("out.csv").columns
            assert columns == ["prediction", "probability_false", "probability_true"]


class TestStdout:
    def test_is_csv_alone(self, gradstep, fares, later):
        status, out, err = gradstep("predict", fares, later, "--keep", "km")
        assert (status, err) == (0, "")
        found = pl.read_csv(out.encode())
        assert found.columns == ["km", "prediction"]
        np.testing.assert_array_equal(found["prediction"], gs.load(fares).predict(later))

    def test_is_one_json_document_if_asked_for(self, gradstep, zones, later):
        status, out, _ = gradstep("predict", zones, later, "--keep", "id", "--json")
        rows = json.loads(out)
        assert (status, len(rows)) == (0, 200)
        assert [*rows[0]] == ["id", "prediction", "probability_airport", "probability_centre",
                              "probability_suburb"]  # fmt: skip
        pl.read_csv(later).head(0).write_parquet("none.parquet")
        assert json.loads(gradstep("predict", zones, "none.parquet", "--json")[1]) == []

    def test_tells_machines_of_a_file(self, told, fares, later):
        found = told("predict", fares, later, "-o", "out.csv")
        assert found == {"rows": 200, "out": "out.csv", "unseen": {}}

    @pytest.mark.slow
    def test_may_be_closed_early(self, fares, later):
        pl.concat([pl.read_csv(later)] * 500).write_parquet("long.parquet")
        command = f"{sys.executable} -m gradstep predict {fares} long.parquet | head -n 1"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("prediction\n", "")


class TestInterrupts:
    @pytest.mark.parametrize("kind", ["csv", *slow("parquet")])
    def test_leave_no_file(self, fares, later, tmp_path, kind):
        pl.concat([pl.read_csv(later)] * 2000).write_parquet("long.parquet")
        script = (
            "import os, signal; from gradstep.cli import main, progress\n"
            "def interrupt(self, what, rows):\n"
            "    if rows > 100_000:\n"
            "        progress.Progress.__call__ = lambda *_: None\n"
            "        os.kill(os.getpid(), signal.SIGINT)\n"
            "progress.Progress.__call__ = interrupt; main.main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, "predict", fares, "long.parquet", "-o", f"out.{kind}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 130
        assert done.stdout == ""
        assert done.stderr.endswith(f"{INTERRUPTED}\n")
        assert "Traceback" not in done.stderr
        assert sorted(p.name for p in tmp_path.iterdir()) == ["long.parquet", fares]


@uncompiled
class TestIntervals:
    def test_stand_beside_the_predictions(self, gradstep, told, fares, later):
        how = ("--interval", "0.9", "--keep", "id")
        status, out, err = gradstep("predict", fares, later, "-o", "out.csv", *how, columns=200)
        assert (status, err) == (0, "")
        assert out.startswith("200 predictions, with 90 % intervals of a new target (robust, of ")
        found = pl.read_csv("out.csv")
        assert found.columns == ["id", "prediction", "prediction_low", "prediction_high"]
        ends = gs.load(fares).prediction_intervals(later, 0.9)
        np.testing.assert_array_equal(found[:, 2:].to_numpy(), ends)
        how = (*how, "--interval-of", "mean")
        found = told("predict", fares, later, "-o", "out.csv", *how)
        assert found["interval"] == {"level": 0.9, "of": "mean"}
        ends = gs.load(fares).mean_intervals(later, 0.9)
        np.testing.assert_array_equal(pl.read_csv("out.csv")[:, 2:].to_numpy(), ends)

    def test_are_refused_before_anything_is_written(self, fails, fares, later, tmp_path):
        bare = gs.load(fares)
        bare.covariance, bare.provenance["no_inference"] = None, "not asked for"
        gs.save(bare, "bare.safetensors")
        there = sorted(tmp_path.iterdir())
        for model, words, why in (
            ("bare.safetensors", "--interval 0.9", "no standard errors, so there are no intervals"),
            (fares, "--interval 95", "--interval 95.0 must be a number > 0 and < 1"),
            (fares, "--interval-of mean", "a part of --interval 0.95"),
            (fares, "--interval 0.9 --keep prediction_low", "'prediction_low' cannot be kept"),
        ):
            assert why in fails("predict", model, later, *words.split(), "-o", "out.csv")
        assert sorted(tmp_path.iterdir()) == there


class TestUnseen:
    def test_values_are_told_and_counted(self, told, gradstep, trips, later):
        pl.read_csv(trips).drop_nulls().write_csv("whole.csv")
        told("train", "whole.csv", "-t", "fare", *FEW)
        table = pl.read_csv(later).with_columns(
            colour=pl.when(pl.col("km") > 5).then(pl.lit("pink")).otherwise("colour")
        )
        table.write_csv("new.csv")
        pink, gaps = (table["colour"] == "pink").sum(), table["hour"].null_count()
        mean = pl.read_csv("whole.csv")["hour"].mean()
        _, _, err = gradstep("predict", "m.safetensors", "new.csv", "-o", "out.csv")
        assert f"note [GS210]: {pink} values of colour unknown or missing" in err
        given = re.search(
            rf"note \[GS209\]: {gaps} values of hour missing, .* the mean \(([\d.]+)\)", err
        )[1]
        assert float(given) == pytest.approx(mean, rel=1e-3)
        found = told("predict", "m.safetensors", "new.csv", "-o", "out.csv")["unseen"]
        assert found == {"colour": pink, "hour": gaps}
        filled = table.with_columns(pl.col("hour").cast(pl.Float64).fill_null(mean))
        np.testing.assert_allclose(
            pl.read_csv("out.csv")["prediction"], gs.load("m.safetensors").predict(filled)
        )


class TestErrors:
    @pytest.mark.parametrize(
        "arguments, message",
        [
            ("m.safetensors {later} -o out.xls", "out.xls has no suffix that is known"),
            ("m.safetensors {later} -o /proc/none/x.csv", "/proc/none/x.csv cannot be written"),
            ("m.safetensors {later} --keep nope", "'nope' is not a column of"),
            ("m.safetensors none.csv", "none.csv does not exist"),
            ("none.safetensors {later}", "none.safetensors does not exist"),
            ("{later} {later}", "later.csv is no model of gradstep"),
            ("m.safetensors nokm.csv", "nokm.csv lacks a column that the model reads: 'km'"),
            ("m.safetensors text.csv", "text.csv, line 2: column 'km' has the value 'far', which"),
            ("m.safetensors taken.csv --keep prediction", "what a column of predictions is called"),
        ],
    )
    def test_are_one_message(self, fails, fares, later, arguments, message):
        table = pl.read_csv(later)
        table.drop("km").write_csv("nokm.csv")
        table.with_columns(km=pl.lit("far")).write_csv("text.csv")
        table.with_columns(prediction=1).write_csv("taken.csv")
        told = fails("predict", *(a.format(later=later) for a in arguments.split()))
        assert message in told

    def test_of_a_column_called_as_the_probability_of_a_truth(self, told, fails, trips, later):
        told("train", trips, "-t", "ok", *FEW)
        pl.read_csv(later).with_columns(probability_true=1).write_csv("taken.csv")
        message = fails("predict", "m.safetensors", "taken.csv", "--keep", "probability_true")
        assert "'probability_true' cannot be kept" in message

    def test_leave_no_file(self, fails, fares, later, tmp_path):
        table = pl.read_csv(later)
        bad = table.with_columns(km=pl.lit(float("inf")))
        pl.concat([table] * 400 + [bad]).write_parquet("long.parquet")
        for out in ("out.csv", "out.parquet", "out.ndjson"):
            assert "infinite" in fails("predict", fares, "long.parquet", "-o", out)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["long.parquet", "m.safetensors"]

    def test_of_usage_exit_with_2(self, fails, fares):
        assert "TABLE" in fails("predict", fares, status=2)
