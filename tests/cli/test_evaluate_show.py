"""`gradstep evaluate` and `gradstep show`: how good a model is, and what it says."""

from __future__ import annotations

import math
import re

import numpy as np
import polars as pl
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

import gradstep as gs
from gradstep.data.features.encoding import Encoding, NumberColumn
from gradstep.data.preparing.prepared import Target
from gradstep.model.coefficients import coefficients
from tests.uncompiled import uncompiled

FEW = ("--only", "km,hour,colour", "--no-cache", "--max-iter", "3", "-m", "m.safetensors")


@pytest.fixture
def train(told, trips):
    """Return a function that trains: the model's path."""
    return lambda target, *more: told("train", trips, "-t", target, *FEW, *more)["model"]


class TestEvaluate:
    @pytest.mark.parametrize("weighed", [False, True])
    def test_numbers(self, told, train, trips, later, weighed):
        model = train("fare")
        found = told("evaluate", model, later, *(("--sample-weight", "often") if weighed else ()))
        table = pl.read_csv(later)
        y, mean = table["fare"].to_numpy(), gs.load(model).predict(later)
        s = table["often"].to_numpy() if weighed else None
        constant = gs.load(model).training.constant[0]
        assert constant == pytest.approx(pl.read_csv(trips)["fare"].mean(), rel=0.05)
        assert found.pop("baseline")["rmse"] == pytest.approx(
            root_mean_squared_error(y, np.full(200, constant), sample_weight=s)
        )
        assert found == {
            "rows": 200 if s is None else int((s > 0).sum()),  # weight 0 is no row
            "rmse": pytest.approx(root_mean_squared_error(y, mean, sample_weight=s)),
            "mae": pytest.approx(mean_absolute_error(y, mean, sample_weight=s)),
            "r2": pytest.approx(r2_score(y, mean, sample_weight=s)),
            "unseen": {},
        }

    def test_counts_with_an_offset(self, told, train, later):
        model = train("claims", "--loss", "poisson", "--offset", "log_exposure")
        found = told("evaluate", model, later)
        mean = gs.load(model).predict(later)
        y = pl.read_csv(later)["claims"].to_numpy()
        assert found["deviance"] == pytest.approx(mean_poisson_deviance(y, mean))
        rate = found["baseline"]["deviance"]
        each = np.exp(gs.load(model).training.constant[0] + pl.read_csv(later)["log_exposure"])
        assert rate == pytest.approx(mean_poisson_deviance(y, each))
        no_offset = pl.read_csv(later).with_columns(log_exposure=pl.lit(0.0))
        exposure = np.exp(pl.read_csv(later)["log_exposure"].to_numpy())
        np.testing.assert_allclose(mean, gs.load(model).predict(no_offset) * exposure)

    @uncompiled
    def test_quantiles(self, told, train, later):
        model = train("fare", "--loss", "pinball", "--quantile", "0.9", "--alpha", "1e-4")
        y, mean = pl.read_csv(later)["fare"].to_numpy(), gs.load(model).predict(later)
        found = told("evaluate", model, later)
        assert found["pinball"] == pytest.approx(mean_pinball_loss(y, mean, alpha=0.9))
        assert found["coverage"] == pytest.approx((y <= mean).mean())

    @pytest.mark.parametrize("target", ["paid", "ok", "flag"])
    def test_two_classes(self, told, gradstep, train, later, target):
        model = train(target)
        found, y = told("evaluate", model, later), pl.read_csv(later)[target].to_numpy()
        p, predicted = gs.load(model).predict_proba(later), gs.load(model).predict(later)
        assert found["accuracy"] == pytest.approx(accuracy_score(y, predicted))
        assert found["log_loss"] == pytest.approx(log_loss(y, p))
        assert found["auc"] == pytest.approx(roc_auc_score(y, p[:, 1]))
        positive = y == gs.load(model).classes_[1]
        assert found["pr_auc"] == pytest.approx(average_precision_score(positive, p[:, 1]))
        assert found["brier"] == pytest.approx(brier_score_loss(positive, p[:, 1]))
        assert found["f1"] == pytest.approx(f1_score(positive, predicted == predicted.max()))
        observed, expected = calibration_curve(positive, p[:, 1], n_bins=10, strategy="quantile")
        assert [t["observed"] for t in found["calibration"]] == pytest.approx(observed)
        assert [t["predicted"] for t in found["calibration"]] == pytest.approx(expected)
        baseline = found["baseline"]
        assert (baseline["auc"], baseline["pr_auc"]) == (0.5, pytest.approx(positive.mean()))
        assert baseline["log_loss"] > found["log_loss"]
        _, out, _ = gradstep("evaluate", model, later, columns=50)
        assert max(map(len, out.splitlines())) <= 50
        for words in ("best constant", "Brier score", "tenth of the rows", "observed"):
            assert words in out
        assert found["confusion"] == confusion_matrix(y, predicted).tolist()

    def test_a_threshold(self, told, fails, train, later, tmp_path):
        path, y = train("flag"), pl.read_csv(later)["flag"].to_numpy()
        p = gs.load(path).predict_proba(later)[:, 1]
        first, second = gs.load(path).classes_
        low = float(np.quantile(p, 0.3))
        predicted = np.where(p >= low, second, first)
        found = told("evaluate", path, later, "--threshold", low)
        assert found["accuracy"] == pytest.approx(accuracy_score(y, predicted))
        assert found["confusion"] == confusion_matrix(y, predicted).tolist()
        told("predict", path, later, "--threshold", low, "-o", tmp_path / "p.parquet")
        written = pl.read_parquet(tmp_path / "p.parquet")["prediction"].to_numpy()
        assert (written == predicted).all()
        gs.save(gs.load(path).with_threshold(low), tmp_path / "m.safetensors")
        assert (gs.load(tmp_path / "m.safetensors").predict(later) == predicted).all()
        assert "--threshold 1.5 must" in fails("predict", path, later, "--threshold", "1.5")
        fares = train("fare")
        assert "--threshold 0.3 is" in fails("evaluate", fares, later, "--threshold", "0.3")

    def test_several_classes(self, told, gradstep, train, later):
        model = train("zone")
        found, y = told("evaluate", model, later), pl.read_csv(later)["zone"].to_list()
        p, predicted = gs.load(model).predict_proba(later), gs.load(model).predict(later)
        assert found["accuracy"] == pytest.approx(accuracy_score(y, predicted))
        assert found["log_loss"] == pytest.approx(log_loss(y, p))
        assert found["brier"] == pytest.approx(brier_score_loss(y, p))
        assert found["f1"] == pytest.approx(f1_score(y, predicted, average="macro"))
        assert found["confusion"] == confusion_matrix(y, predicted).tolist()
        right, sure = np.array(y) == predicted, p.max(axis=1)
        observed, expected = calibration_curve(right, sure, n_bins=10, strategy="quantile")
        assert [t["observed"] for t in found["calibration"]] == pytest.approx(observed)
        assert [t["predicted"] for t in found["calibration"]] == pytest.approx(expected)
        status, out, err = gradstep("evaluate", model, later, columns=50)
        assert "tenth of the rows" in out
        assert (status, err) == (0, "")
        assert "true \\ predicted" in out
        assert f"{found['accuracy']:.5g}" in out
        assert max(map(len, out.splitlines())) <= 50

    def test_many_classes_are_cut_off_and_told(self, gradstep, told, trips):
        table = pl.read_csv(trips).with_columns(
            letter=pl.col("km").rank("ordinal").mod(15).map_elements(
                lambda i: chr(97 + int(i)), return_dtype=pl.String
            )
        )  # fmt: skip
        table.write_csv("letters.csv")
        told("train", "letters.csv", "-t", "letter", *FEW)
        _, out, _ = gradstep("evaluate", "m.safetensors", "letters.csv", columns=140)
        assert "others" in out
        assert "10 of 15 classes; --json has all." in out
        rows = [line.split() for line in out.splitlines() if line.split()[:1] == ["a"]]
        assert sum(int(cell) for cell in rows[0][1:]) == 60

    @pytest.mark.parametrize("gap", [None, float("nan")])
    def test_rows_without_the_target_are_left_out(self, told, gradstep, train, later, gap):
        model = train("fare")
        table = pl.read_csv(later).with_columns(
            fare=pl.when(pl.col("km") > 5).then(pl.col("fare")).otherwise(gap)
        )
        table.write_parquet("gaps.parquet")
        n = (table["km"] > 5).sum()
        found = told("evaluate", model, "gaps.parquet")
        assert (found["rows"], found["missing_target"]) == (n, 200 - n)
        assert math.isfinite(found["rmse"])
        note = f"note [GS013]: {200 - n} rows without the target left out."
        assert note in gradstep("evaluate", model, "gaps.parquet")[1]

    @pytest.mark.parametrize(
        "change, arguments, message",
        [
            ({"fare": pl.lit("much")}, (), "The target 'fare' has the value 'much', which is no"),
            ({"fare": pl.lit(None, pl.Float64)}, (), "nothing to evaluate"),
            (
                {"often": pl.lit(0)},
                ("--sample-weight", "often"),
                "'often' are all zero: no row counts",
            ),
            ({"often": pl.lit(-1)}, ("--sample-weight", "often"), "'often' is -1: it must"),
            ({"often": pl.lit("x")}, ("--sample-weight", "often"), "'often' has the value 'x'"),
            ({}, ("--sample-weight", "oftn"), "'oftn' is not a column"),
            ({"km": pl.lit("far")}, (), "'km' has the value 'far'"),
        ],
    )
    def test_errors_are_one_message(self, fails, train, later, change, arguments, message):
        model = train("fare")
        pl.read_csv(later).with_columns(**change).write_parquet("bad.parquet")
        assert message in fails("evaluate", model, "bad.parquet", *arguments)

    def test_an_unknown_class_or_no_target_is_an_error(self, fails, train, later):
        model = train("zone")
        table = pl.read_csv(later)
        table.with_columns(zone=pl.lit("moon")).write_csv("moon.csv")
        assert "has the class 'moon', which training did not see" in fails(
            "evaluate", model, "moon.csv"
        )
        table.drop("zone").write_csv("none.csv")
        assert "'zone' is not a column of none.csv" in fails("evaluate", model, "none.csv")


class TestShow:
    def test_coefficients_give_the_predictions(self, told, train, later):
        model = train("fare")
        found = told("show", model, "--top", "0")
        own = {c["feature"]: c["coefficient"] for c in found["coefficients"]}
        table = pl.read_csv(later)
        mean = next(c["mean"] for c in found["columns"] if c["source"] == "hour")
        z = (
            found["intercept"][0]
            + own["km"] * table["km"].to_numpy()
            + own["hour"] * table["hour"].cast(pl.Float64).fill_null(mean).to_numpy()
            + own["hour is missing"] * table["hour"].is_null().to_numpy()
            + [own[f"colour={c}"] for c in table["colour"]]
        )
        np.testing.assert_allclose(gs.load(model).predict(later), z, rtol=1e-9)

    def test_the_most_important_come_first(self, told, train, trips):
        model = train("fare")
        found = told("show", model, "--top", "3")["coefficients"]
        importance = [c["importance"] for c in found]
        assert len(found) == 3
        assert importance == sorted(importance, reverse=True)
        assert found[0]["feature"] == "km"
        assert found[0]["unit"] == "1"
        shares = told("show", model)["importance"]
        assert [entry["column"] for entry in shares] == ["km", "colour", "hour"]
        assert importance[0] == pytest.approx(shares[0]["share"])
        deviation = pl.read_csv(trips)["km"].std()
        assert shares[0]["deviation"] == pytest.approx(found[0]["coefficient"] * deviation, rel=0.1)

    def test_says_where_the_model_comes_from(self, told, gradstep, train, trips, later):
        model = train("claims", "--loss", "poisson", "--offset", "log_exposure",
                      "--validation", later, "--random-state", "5",
                      "--sample-weight", "often", "--alpha", "1e-4")  # fmt: skip
        known = told("show", model)["provenance"]
        assert known["version"] == gs.__version__
        assert known["source"] == str(trips)
        assert known["fingerprint"][0]["path"] == str(trips)
        assert known["validation_source"] == str(later)
        assert known["asked"]["weight"] == "often"
        assert known["asked"]["offset"] == "log_exposure"
        assert (known["loss"], known["penalty"], known["optimizer"]) == (
            "Poisson()", "L2(alpha=0.0001)", "SVRG(share=0.25)",
        )  # fmt: skip
        assert known["learning_rate"] == "auto"
        assert (known["epochs"], known["outcome"], known["seed"]) == (3, "max_epochs", 5)
        counted = int((pl.read_csv(trips)["often"] > 0).sum())
        assert (known["rows"]["train"], known["rows"]["weightless"]) == (counted, 900 - counted)
        assert known["validation"]["deviance"] < known["baseline"]["deviance"]
        _, out, _ = gradstep("show", model)
        flat = " ".join(out.split())
        for words in (
            "Offset log_exposure",
            f"trips.csv, {counted} rows; gradstep",
            "3 epochs of automatic steps",
            "seed 5. All epochs were run.",
            "Importance share of the variance of the score, and deviation of the column's part",
            "km 9",
            "best constant",
        ):
            assert words in flat

    @pytest.mark.parametrize("columns", [50, 80])
    def test_lists_the_columns_if_asked(self, gradstep, train, columns):
        model = train("ok")
        status, out, err = gradstep("show", model, "--columns", columns=columns)
        assert (status, err) == (0, "")
        assert max(map(len, out.splitlines())) <= columns
        flat = " ".join(out.split())
        assert "Classes false, true" in flat
        assert "colour category 3 levels" in flat
        assert "the odds of true times" in flat
        assert ", against colour=" in flat
        assert "colour=red [:car:]" in out  # as it is: no style, no picture

    @uncompiled
    def test_quantiles_are_named(self, gradstep, train, later):
        model = train("fare", "--loss", "pinball", "--quantile", "0.9", "--alpha", "1e-4")
        shown, judged = (
            gradstep(*verb)[1] for verb in (("show", model), ("evaluate", model, later))
        )
        assert "to the 0.9 quantile of fare" in " ".join(shown.split())
        for out in (shown, judged):
            assert "share at or below (asked for 0.9)" in out
            assert not {"R²", "root", "absolute"} & set(out.split())  # which are of a mean

    def test_factors_close_to_one_can_be_told_from_it(self, told, gradstep, trips):
        pl.read_csv(trips).with_columns(pl.col("km") * 1000.0).write_csv("metres.csv")
        model = told("train", "metres.csv", "-t", "paid", *FEW)["model"]
        coefficient = gs.load(model).coef_[0, 0]
        assert 1e-5 < abs(coefficient) < 1e-3
        units = 10 ** math.ceil(math.log10(1e-3 / abs(coefficient)))  # of which more than 1.001
        told_of = re.search(rf"{units:,} more of km: the odds of yes times ([\d.]+)",
                            gradstep("show", model)[1])  # fmt: skip
        assert float(told_of[1]) == pytest.approx(math.exp(units * coefficient), rel=1e-4)

    def test_says_which_are_listed(self, gradstep, train):
        model = train("fare")
        assert "Coefficients most important first; with 95 %" in " ".join(
            gradstep("show", model)[1].split()
        )
        total = len(coefficients(gs.load(model), references=False))
        some = " ".join(gradstep("show", model, "--top", "2")[1].split())
        assert f"the 2 most important of {total} (--top 0 lists all)" in some

    def test_errors(self, fails, later):
        assert "is no model of gradstep" in fails("show", later)
        assert "none does not exist" in fails("show", "none")
        assert "--top" in fails("show", later, "--top", "-1", status=2)


def test_show_of_a_provenance_that_is_something_else(gradstep, tmp_path):
    """Which a model made by hand may have."""
    encoding = Encoding((NumberColumn("x", 1.0, 2.0),))
    model = gs.Model(encoding, Target("y"), gs.SquaredError(), np.array([0.5, 3.0]))
    model.provenance = {"rows": 3}
    gs.save(model, tmp_path / "m")
    status, out, _ = gradstep("show", tmp_path / "m")
    assert status == 0
    assert "what the file says of it is not what gradstep writes" in " ".join(out.split())


@uncompiled
def test_importance_has_bars_on_a_terminal(gradstep, trips, monkeypatch):
    gradstep("train", trips, "-t", "fare", "--only", "km,colour", "--no-cache", "-m", "m")
    _, piped, _ = gradstep("show", "m")
    assert "█" not in piped
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("gradstep.cli.report.console", _terminal)
    _, shown, _ = gradstep("show", "m")
    line = next(line for line in shown.splitlines() if " km " in line and "%" in line)
    assert line.count("█") > 10


def _terminal():
    from gradstep.cli.report import _Terminal

    return _Terminal(force_terminal=True, highlight=False, color_system=None)
