"""The plan: what is going to be done with a table, before anything is trained."""

from __future__ import annotations

import polars as pl
import pytest

import gradstep

TRIPS = pl.DataFrame({
    "km": [float(i * 7 % 31) for i in range(90)],
    "by": ["car", "bus", "tram"] * 30,
    "fare": [3.0 + 2.0 * (i * 7 % 31) + (i * i * 13 % 7) for i in range(90)],
    "late": [("no", "yes")[i * i * 5 % 11 > 4] for i in range(90)],
    "claims": [i * 3 % 4 for i in range(90)],
})  # fmt: skip
FEW = {"drop": ["claims"], "random_state": 1}


@pytest.fixture
def untrained(monkeypatch):
    """Make training fail."""
    monkeypatch.setattr("gradstep.fit.table.fit_in_phases", None)


class TestThePlan:
    def test_is_made_without_training(self, untrained):
        made = gradstep.plan(TRIPS, "fare", drop=["late"], only=["km", "by"])
        assert made.rows["read"] == made.rows["train"] + made.rows["validation"] == 90
        assert made.used == ["km", "by"]
        assert made.n_features == 4
        assert (made.target.column, made.target.classes) == ("fare", None)
        assert made.loss == gradstep.SquaredError()
        assert made.to_json()["columns"][2]["became"] == "left out"

    def test_is_what_the_fit_does(self):
        fit = gradstep.fit_table(TRIPS, "fare", max_iter=1, **FEW)
        assert fit.plan == gradstep.plan(TRIPS, "fare", max_iter=1, **FEW)
        assert set(fit.plan.notes) <= set(fit.notes)
        assert fit.plan.n_features == fit.model.encoding.n_features
        model = gradstep.TableRegressor(max_iter=1, tol=None, validation=0.1).fit(TRIPS, "fare")
        assert model.plan_.used == ["km", "by", "late", "claims"]

    @pytest.mark.parametrize(
        "target, options, words",
        [
            ("fare", {}, "SquaredError, as the target is a number"),
            ("late", {}, "LogLoss, as the target is one of 2 classes"),
            ("by", {}, "Softmax, as the target is one of 3 classes"),
            ("claims", {"task": "classification", "drop": []}, "Softmax, for classification, as"),
            ("claims", {"loss": "poisson", "drop": []}, "Poisson, as asked for"),
            ("late", {}, "late, one of 2 classes: no, yes"),
            ("claims", {"drop": []}, "claims, a number from 0 to 3"),
            ("claims", {"drop": []}, 'is a number (task="classification" predicts classes)\n'),
            ("fare", {"penalty": None}, "Penalty   none"),
            (
                "fare",
                {"alpha": "auto"},
                "l2 of standardised features, alpha chosen within the training rows",
            ),
            ("fare", {"alpha": "auto", "optimizer": "sgd"}, "features, alpha 0.0001"),
            ("fare", {"alpha": "auto", "optimizer": "sgd"}, "the best on the rows held out"),
            ("fare", {"penalty": "elasticnet", "penalty_scale": "unit"}, "elasticnet of features,"),
            ("fare", {"penalty": "elasticnet", "l1_ratio": 0.5}, "l1_ratio 0.5"),
            ("fare", {"optimizer": "exact"}, "the solution of least squares itself"),
            ("fare", {"tol": None}, "as far as floating-point numbers allow"),
            ("fare", {"optimizer": "adam", "batch_size": 16}, "in batches of 16 rows, a rate from"),
            ("fare", {"optimizer": "sgd"}, "SGD in batches of 8 rows, a rate from"),
            ("fare", {"optimizer": "sgd", "learning_rate": 0.1}, "SGD in batches of 64 rows, lear"),
            ("fare", {"validation_table": TRIPS}, "features, alpha chosen by the rows held out"),
            (
                "fare",
                {"max_iter": 7, "alpha": 1e-4},
                "at most 7 epochs; short of that, the best on the rows held out",
            ),
            ("fare", {"drop": "by"}, "left out on request"),
        ],
    )
    def test_says_what_and_why(self, untrained, target, options, words):
        assert words in str(gradstep.plan(TRIPS, target, **{**FEW, **options}))

    @pytest.mark.parametrize(
        "target, options, words",
        [
            (
                "claims",
                {"loss": "poisson", "exposure": "time"},
                "Exposure  time, multiplies the prediction: the model is of the rate for 1 of it",
            ),
            (
                "claims",
                {"loss": "poisson", "offset": "time"},
                "Offset    time, added to the score, the logarithm of the prediction, with no",
            ),
            ("fare", {"offset": "time"}, "Offset    time, added to the score, with no coef"),
            ("fare", {"sample_weight": "time"}, "Weights   time, how often each row counts"),
        ],
    )
    def test_says_what_belongs_to_the_row(self, untrained, target, options, words):
        trips = TRIPS.with_columns(time=pl.col("km") % 3.0 + 0.5)
        assert words in str(gradstep.plan(trips, target, **options))

    def test_names_what_is_written(self, untrained, tmp_path):
        kept = gradstep.plan(TRIPS, "fare", callbacks=[gradstep.Checkpoint(tmp_path / "kept")])
        assert kept.writes == {"checkpoint": str(tmp_path / "kept")}
        assert not (tmp_path / "kept").exists()
        prepared = gradstep.prepare(TRIPS, "fare", out=tmp_path / "there")
        assert gradstep.plan(prepared).writes == {"prepared table": str(tmp_path / "there")}

    def test_has_the_notes_of_reading(self, untrained):
        made = gradstep.plan(TRIPS.with_columns(copy="fare"), "fare")
        assert 'drop=["copy"]' in str(made)
        assert repr(made).startswith("<TablePlan: the frame, ")

    def test_refuses_what_the_fit_refuses(self):
        with pytest.raises(gradstep.InvalidTable, match="fair"):
            gradstep.plan(TRIPS, "fair")
        with pytest.raises(gradstep.InvalidParameter, match="hinge"):
            gradstep.plan(TRIPS, "late", task="regression", loss="hinge")
