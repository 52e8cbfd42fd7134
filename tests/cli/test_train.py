"""`gradstep train`: what it learns and writes, its options, and its errors."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import gradstep as gs
from tests.cli.train import FEW, GIVEN, TWO
from tests.uncompiled import uncompiled


def design(path):
    """Return features by hand: km, hour with gaps at the mean, what is missing, colours."""
    table = pl.read_csv(path)
    hour = table["hour"].to_numpy()
    colours = [(table["colour"] == c).to_numpy() for c in ("green", "red [:car:]", "yellow")]
    return np.column_stack([
        table["km"].to_numpy(), np.where(np.isnan(hour), np.nanmean(hour), hour), np.isnan(hour),
        *colours,
    ])  # fmt: skip


class TestRegression:
    @pytest.fixture
    def fit(self, told, trips, later):
        return told("train", trips, "-t", "fare", *FEW, "--validation", later)

    def test_predicts_as_least_squares_does(self, fit, trips, later):
        x, y = design(trips), pl.read_csv(trips)["fare"].to_numpy()
        exact, *_ = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)
        expected = np.c_[design(later), np.ones(200)] @ exact
        found = gs.load(fit["model"]).predict(later)
        assert np.abs(found - expected).max() < 0.01 * y.std()

    def test_coefficients_are_in_the_columns_own_units(self, fit, trips):
        x, y = design(trips), pl.read_csv(trips)["fare"].to_numpy()
        own = {c["feature"]: c["coefficient"] for c in fit["coefficients"]}
        names = ["km", "hour", "hour is missing", "colour=green", "colour=red [:car:]",
                 "colour=yellow"]  # fmt: skip
        z = x @ [own[name] for name in names] + fit["intercept"][0]
        np.testing.assert_allclose(gs.load(fit["model"]).predict(trips), z, rtol=1e-9)
        assert own["km"] == pytest.approx(2.5, rel=0.01)
        assert y.std() > 5.0

    def test_metrics_are_those_of_the_rows_held_out(self, fit, trips, later):
        y = pl.read_csv(later)["fare"].to_numpy()
        found, constant = fit["validation"], fit["baseline"]
        error = y - gs.load(fit["model"]).predict(later)
        assert found["rows"] == constant["rows"] == 200
        assert found["rmse"] == pytest.approx(math.sqrt((error**2).mean()))
        assert found["mae"] == pytest.approx(np.abs(error).mean())
        assert found["r2"] == pytest.approx(1.0 - (error**2).mean() / y.var())
        apart = y - pl.read_csv(trips)["fare"].mean()
        assert constant["rmse"] == pytest.approx(math.sqrt((apart**2).mean()))
        assert constant["mae"] == pytest.approx(np.abs(apart).mean())

    def test_counts_rows_columns_epochs_and_seconds(self, fit):
        assert fit["rows"] == {"read": 900, "dropped": 0, "train": 900, "validation": 200}
        assert fit["target"]["column"] == "fare"
        assert fit["target"]["classes"] is None
        assert [e["epoch"] for e in fit["history"]] == [*range(1, fit["epochs"] + 1)]
        assert fit["outcome"] == "optimal"
        assert 0.0 < sum(e["seconds"] for e in fit["history"]) <= fit["seconds"]["training"]
        left_out = {c["source"] for c in fit["columns"] if c["kind"] == "LeftOut"}
        assert left_out == {"id", "start", "paid", "ok", "flag", "zone", "claims", "log_exposure",
                            "often"}  # fmt: skip

    def test_keeps_the_weights_of_the_best_epoch(self, told, trips):
        fit = told(
            "train",
            trips,
            "-t",
            "fare",
            *FEW,
            "--max-iter",
            "9",
            "--tol",
            "none",
            "--learning-rate",
            "0.3",
        )
        assert len(fit["history"]) == fit["epochs"] == 9
        assert fit["outcome"] == "max_epochs"
        losses = [-e["validation"] for e in fit["history"]]
        assert losses[-1] > min(losses)
        assert fit["validation"]["rmse"] ** 2 / 2.0 == pytest.approx(min(losses))


class TestTask:
    @uncompiled
    @pytest.mark.parametrize(
        "target, classes",
        [
            ("paid", ["no", "yes"]),
            ("ok", [False, True]),
            ("flag", [0, 1]),
            ("zone", ["airport", "centre", "suburb"]),
            ("fare", None),
            ("claims", None),
        ],
    )
    def test_is_found_from_the_target(self, told, trips, target, classes):
        fit = told("train", trips, "-t", target, *FEW, *GIVEN, "--max-iter", "2")
        assert fit["target"]["classes"] == classes
        metric = "r2" if classes is None else "accuracy"
        assert fit["validation"][metric] > fit["baseline"][metric]

    @uncompiled
    def test_can_be_said(self, told, trips):
        numbers = told(
            "train", trips, "-t", "flag", *FEW, *GIVEN, "--task", "regression", "--max-iter", "1"
        )
        assert numbers["loss"] == "SquaredError()"
        counts = told(
            "train", trips, "-t", "flag", *FEW, *GIVEN, "--loss", "poisson", "--max-iter", "1"
        )
        assert counts["target"]["classes"] is None


class TestOptions:
    def test_alpha_is_chosen_and_told(self, told, trips, gradstep):
        fit = told("train", trips, "-t", "fare", *FEW)
        losses = dict(fit["alpha"]["losses"])
        assert losses[fit["alpha"]["value"]] <= min(losses.values()) * 1.001
        anew = fit["refit"]["alpha"]
        assert gs.load(fit["model"]).provenance["penalty"] == f"L2(alpha={anew!r})"
        flat = " ".join(gradstep("train", trips, "-t", "fare", *FEW)[1].split())
        chosen, refit = f"Chosen alpha {fit['alpha']['value']:g}, chosen by", fit["refit"]["rows"]
        assert chosen in flat
        assert f"Refit to all {refit:,} rows, which choose alpha {anew:g}, in 1 epoch." in flat
        assert refit == fit["rows"]["train"] + fit["rows"]["validation"]
        shown = " ".join(gradstep("show", fit["model"])[1].split())
        assert f"Refit to all {refit:,} rows" in shown
        given = told("train", trips, "-t", "fare", *FEW, "--alpha", "0.5", "--no-refit")
        assert (given["alpha"], given["refit"]) == (None, None)
        assert gs.load(given["model"]).provenance["penalty"] == "L2(alpha=0.5)"

    def test_columns_are_treated_as_asked(self, told, trips):
        arguments = ("--drop", "id,start,paid", "--drop", "ok,flag,zone,claims,log_exposure,often")
        kinds = ("--as", "hour=category,colour=hash:4", "--max-levels", "10")
        fit = told(
            "train", trips, "-t", "fare", *arguments, *kinds, "--no-cache", "--max-iter", "1"
        )
        columns = {c["source"]: c for c in fit["columns"]}
        assert columns["hour"]["kind"] == "LevelColumn"
        assert len(columns["hour"]["levels"]) == 10
        assert columns["hour"]["other"]
        assert columns["hour"]["missing"]
        assert columns["colour"] == {"kind": "HashColumn", "source": "colour", "bits": 4}
        assert columns["id"]["reason"] == "left out on request"

    def test_weights_count_rows_as_often(self, told, trips, later):
        table = pl.read_csv(trips)
        table.filter(table["often"] > 0).write_csv("weighed.csv")
        often = np.repeat(np.arange(900), table["often"].to_numpy())
        table[often.tolist()].write_csv("repeated.csv")
        one, other = (
            told("train", name, "-t", "fare", *FEW, "--validation", later, "--penalty", "none",
                 "-m", f"{name}.safetensors", *more)
            for name, more in (("weighed.csv", ("--sample-weight", "often")), ("repeated.csv", ()))
        )  # fmt: skip
        found, expected = (gs.load(fit["model"]).predict(later) for fit in (one, other))
        assert np.abs(found - expected).max() < 0.02 * expected.std()

    def test_the_latest_rows_are_held_out_by_time(self, told, trips):
        arguments = ("--time-column", "start", "--validation", "0.25", "--no-refit")
        fit = told("train", trips, "-t", "fare", *FEW, *arguments)
        last = pl.read_csv(trips)[-225:]
        error = last["fare"].to_numpy() - gs.load(fit["model"]).predict(last)
        assert fit["rows"]["validation"] == 225
        assert fit["validation"]["rmse"] == pytest.approx(math.sqrt((error**2).mean()))

    @uncompiled
    def test_class_weights(self, told, fails, trips):
        arguments = ("train", trips, "-t", "paid", *FEW, *GIVEN, "--no-refit")
        plain, found = told(*arguments), told(*arguments, "--class-weight", "no=9")
        said = [np.array(fit["validation"]["confusion"])[:, 0].sum() for fit in (plain, found)]
        assert said[1] > said[0]
        assert found["validation"]["rows"] == plain["validation"]["rows"]
        assert "--class-weight no must be balanced, or" in fails(*arguments, "--class-weight", "no")

    def test_a_test_and_folds(self, told, gradstep, trips, later):
        arguments = ("train", trips, "-t", "fare", *FEW, "--test", later, "--cv", "3")
        found = told(*arguments)
        expected = told("evaluate", found["model"], later)
        del expected["unseen"]
        assert found["test"] == expected
        assert [fold["rows"] for fold in found["folds"]] == [273, 274, 274]
        _, out, _ = gradstep(*arguments)
        for words in ("held out", "200 rows of the test", "cross-validation in 3 parts"):
            assert words in out

    @pytest.mark.parametrize(
        "table, words",
        [("none.csv", "none.csv does not exist"), ("x.csv", "The target 'fare' is not a column"),
         ("none.svm", "none.svm does not exist")],
    )  # fmt: skip
    def test_a_test_that_cannot_be_is_refused_before_training(self, fails, trips, table, words):
        Path("x.csv").write_text("km,colour\n1,green\n")
        assert words in fails("train", trips, "-t", "fare", *FEW, "--test", table, "-m", "m")
        assert not Path("m").exists()

    @uncompiled
    def test_what_fails_after_training_says_where_the_model_is(self, fails, trips):
        Path("x.csv").write_text("km,colour,fare\n1,green,3\n")
        told = fails("train", trips, "-t", "fare", *FEW, *GIVEN, "--test", "x.csv", "-m", "m")
        assert "x.csv lacks a column that the model reads: 'hour'" in told
        assert told.endswith("The model is trained, and in m.")
        assert gs.load("m").provenance["rows"]["read"] == 900

    def test_a_checkpoint_is_no_model(self, fails, trips):
        told = fails("train", trips, "-t", "fare", *FEW, "-m", "run", "--checkpoint", "run")
        assert told == (
            "error: --checkpoint run is a folder, and a result goes there: name another."
        )

    @uncompiled
    def test_exposures(self, told, fails, gradstep, trips):
        table = pl.read_csv(trips).with_columns(pl.col("log_exposure").exp().alias("years"))
        table.with_columns(pl.col("years") * 100.0).write_csv("years.csv")
        arguments = ("train", "years.csv", "-t", "claims", *FEW, *GIVEN, "--loss", "poisson")
        found = told(*arguments, "--exposure", "years")
        assert gs.load(found["model"]).exposure == "years"
        assert "Exposure years" in " ".join(gradstep("show", found["model"])[1].split())
        assert "use --exposure years" in fails(*arguments, "--offset", "years")

    def test_no_validation(self, told, gradstep, trips):
        fit = told("train", trips, "-t", "fare", *FEW, "--validation", "0", *TWO)
        assert (fit["rows"]["validation"], fit["validation"], fit["baseline"]) == (0, {}, {})
        assert [e["validation"] for e in fit["history"]] == [None, None]
        status, out, _ = gradstep("show", fit["model"])
        assert status == 0
        assert "best constant" not in out

    def test_undefined_metrics_are_no_nan(self, told, trips):
        pl.read_csv(trips).head(60).with_columns(paid=pl.lit("yes")).write_csv("yes.csv")
        arguments = ("--validation", "yes.csv", "--max-iter", "1")
        fit = told("train", trips, "-t", "paid", *FEW, *arguments)
        assert fit["validation"]["auc"] is None
        told("show", fit["model"])
        assert told("evaluate", fit["model"], "yes.csv")["auc"] is None

    @pytest.mark.parametrize(
        "table, target, name",
        [
            ("a/*.csv", "fare", "a-fare"),
            ("a", "km", "a-km"),
            ("a/x.csv", "km / h", "x-km_h"),
            ("x.csv.gz", "km", "x-km"),
            ("v1.2", "km", "v1.2-km"),
        ],
    )
    def test_the_model_is_named_after_table_and_target(
        self, told, trips, tmp_path, table, target, name
    ):
        rows = pl.read_csv(trips).select("km", "hour", "fare").with_columns(pl.col("km").alias("z"))
        rows = rows.rename({"z": "km / h"}).drop("fare" if target != "fare" else "hour")
        for folder in ("a", "v1.2"):
            (tmp_path / folder).mkdir()
            rows.write_csv(tmp_path / folder / "x.csv")
        subprocess.run(["gzip", "-k", "a/x.csv"], check=True, cwd=tmp_path)
        (tmp_path / "a" / "x.csv.gz").rename(tmp_path / "x.csv.gz")
        fit = told("train", table, "-t", target, "--no-cache", "--max-iter", "1")
        assert fit["model"] == f"{name}.safetensors"
        assert (tmp_path / fit["model"]).is_file()


class TestErrors:
    @pytest.mark.parametrize(
        "arguments, message",
        [
            ("-t fare --drop nope", "--drop nope: 'nope' is not a column of .*trips.csv"),
            ("-t fare --spline nope", "--spline nope: 'nope' is not a column of"),
            ("-t fare --cross km:nope", "--cross: 'nope' is not a column of"),
            ("-t fare --poly nope:2", "--poly: 'nope' is not a column of"),
            ("-t fare --as nope=text", "--as nope=text: 'nope' is not a column of"),
            ("-t fair", "The target 'fair' is not a column of .*trips.csv. Did you mean 'fare'?"),
            ("-t fare --loss poison", "--loss poison is not known. Did you mean 'poisson'?"),
            ("-t fare --penalty l3", "--penalty l3 .* one of l2, l1, elasticnet, none."),
            ("-t fare --optimizer adma", "--optimizer adma is not known. Did you mean 'adam'?"),
            ("-t fare --learning-rate consta", "Did you mean 'constant'?"),
            ("-t fare --learning-rate=-1", "--learning-rate -1.0 must be a finite number > 0"),
            ("-t fare --alpha much", "--alpha much must be a number, or auto"),
            ("-t fare --alpha=-1", "--alpha -1.0 must be a finite number >= 0"),
            ("-t fare --max-iter 0", "--max-iter 0 must be a whole number >= 1"),
            ("-t fare --batch-size 0", "--batch-size 0 must be a whole number >= 1"),
            ("-t fare --task guess", "--task guess must be one of"),
            ("-t fare --task regression --loss hinge", "--loss hinge is none of regression"),
            ("-t fare --as km", "--as km must be COLUMN=KIND"),
            ("-t fare --as km=big", "km=big is no kind of column"),
            ("-t fare --memory 1.2.3G", "--memory 1.2.3G is no size"),
            ("-t fare --validation none.csv", "--validation none.csv is neither a share"),
            ("-t fare --validation 1", "--validation 1.0 must be a number >= 0 and < 1"),
            ("-t claims --loss gamma", "'claims' goes down to 0; the loss Gamma needs y > 0"),
            ("-t fare -m .", "cannot be written: it is a folder"),
            ("-t fare -m /proc/none/m", "/proc/none/m cannot be written"),
            ("-t fare --cache /proc/none", "cannot be written"),
            ("-t fare --cache c --no-cache", "--cache and --no-cache contradict"),
            ("-t fare --dask local:2 --no-cache", "--no-cache and --dask contradict"),
            ("-t fare --penalty none --alpha auto", "--alpha would change nothing"),
            ("-t fare --penalty none --alpha 1", "--alpha would change nothing"),
            ("-t fare --l1-ratio 0.5", "--l1-ratio would change nothing"),
            ("-t fare --loss quantile --quantile 0.9", "known. Did you mean 'pinball'"),
            ("-t fare --quantile 0.9", "--quantile would .* of --loss pinball"),
            ("-t fare --time-column start --validation 0", "Leave one of the two away"),
            ("-t fare --optimizer adam --alpha auto", "--alpha would .* of --optimizer auto, svrg"),
        ],
    )
    def test_are_one_message(self, fails, trips, arguments, message):
        assert re.search(message, fails("train", trips, *arguments.split()))

    def test_of_names_come_before_the_table_is_read(self, fails, tmp_path):
        assert "--optimizer" in fails("train", "none.csv", "-t", "y", "--optimizer", "x")
        assert "none.csv does not exist" in fails("train", "none.csv", "-t", "y")

    @pytest.mark.parametrize(
        "arguments, word",
        [((), "--target"), (("-t", "fare", "--max-iter", "few"), "--max-iter"), (("-x",), "-x")],
    )
    def test_of_usage_exit_with_2(self, fails, trips, arguments, word):
        assert word in fails("train", trips, *arguments, status=2)

    def test_a_rate_that_diverges_is_told_with_what_to_do(self, gradstep, trips):
        status, _, err = gradstep("train", trips, "-t", "fare", *FEW, "--learning-rate", "optimal")
        assert status == 1
        assert "Use another learning rate: 'auto'" in err

    def test_leave_no_file(self, fails, trips, tmp_path):
        fails("train", trips, "-t", "fair")
        assert [*tmp_path.iterdir()] == []
