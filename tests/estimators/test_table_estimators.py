"""`TableRegressor` and `TableClassifier`: mixed columns in, the model of `fit_table` out."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.class_weight import compute_sample_weight

import gradstep
from gradstep import (
    InvalidData,
    InvalidModel,
    InvalidParameter,
    InvalidTable,
    TableClassifier,
    TableRegressor,
    fit_table,
)
from tests.uncompiled import uncompiled

N = 300


def _table():
    rng = np.random.default_rng(0)
    km, colour = rng.gamma(2.0, 3.0, N), rng.choice(["green", "red", "yellow"], N)
    hours = rng.integers(0, 24, N).astype(object)
    hours[rng.random(N) < 0.1] = None
    score = 0.3 * km + (colour == "green") - 2.0 + rng.logistic(size=N)
    return pl.DataFrame({
        "km": km, "colour": colour, "hour": pl.Series(hours.tolist(), dtype=pl.Int64),
        "start": np.datetime64("2026-01-01") + np.arange(N) % 40,
        "fare": 3.0 + 2.5 * km + 2.0 * (colour == "green") + rng.normal(scale=0.5, size=N),
        "paid": np.where(score > 0, "yes", "no"),
        "ok": score > 0,
        "zone": np.array(["a", "b", "c"])[(score > -1).astype(int) + (score > 1)],
        "often": rng.integers(1, 4, N), "log_exposure": np.log(rng.uniform(0.5, 3.0, N)),
        "claims": rng.poisson(np.exp(0.1 * km - 0.5)),
    })  # fmt: skip


TABLE = _table()
COLUMNS = ["km", "colour", "hour", "start"]
X = TABLE.select(COLUMNS)


def pandas_of(frame):
    return pd.DataFrame({c: frame[c].to_list() for c in frame.columns})


class TestAsFitTable:
    def test_columns_by_name(self):
        model = TableRegressor(only=COLUMNS).fit(TABLE, "fare")
        expected = fit_table(TABLE, "fare", only=COLUMNS, validation=0.0)
        assert model.model_.params.tobytes() == expected.model.params.tobytes()
        assert model.predict(TABLE).tobytes() == expected.model.predict(TABLE).tobytes()
        assert (model.outcome_, model.n_iter_) == (expected.outcome, len(expected.history))
        assert (model.validation_, model.baseline_, model.converged_) == ({}, {}, True)
        assert model.feature_names_out_.tolist() == expected.model.encoding.feature_names()
        np.testing.assert_array_equal(model.coef_, expected.model.coef_[0])
        assert model.score(TABLE, "fare") == pytest.approx(
            r2_score(TABLE["fare"], model.predict(TABLE))
        )

    def test_y_apart_is_the_column(self):
        one = TableRegressor().fit(X, TABLE["fare"])
        other = TableRegressor(only=COLUMNS).fit(TABLE, "fare")
        assert one.model_.params.tobytes() == other.model_.params.tobytes()
        assert one.model_.target.column == "fare"
        assert one.feature_names_in_.tolist() == COLUMNS
        assert one.n_features_in_ == 4
        assert one.score(X, TABLE["fare"]) == pytest.approx(other.score(TABLE, "fare"))

    def test_files_and_queries(self, tmp_path):
        TABLE.write_parquet(tmp_path / "t.parquet")
        expected = fit_table(tmp_path / "t.parquet", "fare", only=COLUMNS, random_state=2)
        for table in (tmp_path / "t.parquet", [str(tmp_path / "t.parquet")], TABLE.lazy()):
            model = TableRegressor(only=COLUMNS, random_state=2).fit(table, "fare")
            assert model.model_.params.tobytes() == expected.model.params.tobytes()
            assert model.validation_ == expected.validation
            assert model.validation_["r2"] > 0.9
            assert model.score(table, "fare") > 0.9
        with pytest.raises(InvalidParameter, match="y must be the name of a column"):
            TableRegressor().fit(TABLE.lazy(), TABLE["fare"])

    def test_prepared(self):
        prepared = gradstep.prepare(TABLE, "fare", only=COLUMNS, validation=0.2)
        model = pickle.loads(pickle.dumps(TableRegressor())).fit(prepared)
        assert model.model_.params.tobytes() == fit_table(prepared).model.params.tobytes()
        with pytest.raises(InvalidParameter, match="prepared already: max_levels would change"):
            TableRegressor(max_levels=3).fit(prepared)

    def test_folder_of_a_prepared_table(self, tmp_path):
        folder = tmp_path / "prepared"
        whole = fit_table(gradstep.prepare(TABLE, "fare", only=COLUMNS, out=folder))
        for fitted in (fit_table(folder), fit_table(str(folder), "fare")):
            assert fitted.model.params.tobytes() == whole.model.params.tobytes()
        assert TableRegressor().fit(folder).model_.params.tobytes() == whole.model.params.tobytes()
        assert gradstep.plan(folder).rows == whole.plan.rows
        with pytest.raises(InvalidParameter, match="prepared already: drop would change nothing"):
            fit_table(folder, drop=["km"])
        with pytest.raises(InvalidParameter, match="for the target 'fare', not 'km'"):
            TableRegressor().fit(folder, "km")
        (folder / "train_y.npy").unlink()
        with pytest.raises(InvalidTable, match="missing: the prepared table is damaged"):
            fit_table(folder)

    @uncompiled
    def test_parameters_reach_the_fit(self):
        asked = {
            "loss": "huber", "epsilon": 0.3, "alpha": 1e-2, "penalty_scale": "unit",
            "optimizer": "adam", "learning_rate": 0.01, "max_iter": 3, "tol": None,
        }  # fmt: skip
        model = TableRegressor(**asked, kinds={"hour": "category"}, drop=["start"]).fit(
            X, TABLE["fare"]
        )
        expected = fit_table(
            TABLE.select([*COLUMNS, "fare"]), "fare", **asked, kinds={"hour": "category"},
            drop=["start"], validation=0.0,
        )  # fmt: skip
        assert model.model_.params.tobytes() == expected.model.params.tobytes()

    def test_held_out_rows(self):
        model = TableRegressor(validation=0.25).fit(X, TABLE["fare"])
        assert 50 < model.validation_["rows"] < 100
        assert model.baseline_["r2"] < 0.1
        model = TableRegressor(validation=TABLE[:50], only=COLUMNS).fit(TABLE, "fare")
        assert model.validation_["rows"] == 50
        model = TableRegressor(time_column="start", only=COLUMNS).fit(TABLE, "fare")
        assert model.validation_["rows"] == (TABLE["start"] > sorted(TABLE["start"])[269]).sum()
        model = TableRegressor().fit(X, TABLE["fare"])
        assert (model.validation_, model.alpha_ in {0.1, 0.01, 1e-3, 1e-4}) == ({}, True)
        assert TableRegressor(alpha=0.5).fit(X, TABLE["fare"]).alpha_ == 0.5

    def test_warnings(self):
        with pytest.warns(ConvergenceWarning, match="ran all max_iter=1 epochs"):
            TableRegressor(max_iter=1, learning_rate=1e-3).fit(X, TABLE["fare"])
        with pytest.warns(UserWarning, match="'km' predicts the target almost perfectly") as told:
            TableRegressor().fit(X, TABLE["km"].alias("y"))
        assert told[0].filename == __file__


class TestWeightsAndOffsets:
    def test_weights_apart_and_as_a_column(self):
        one = TableRegressor().fit(X, TABLE["fare"], TABLE["often"].to_numpy())
        more = TABLE.select([*COLUMNS, "fare", "often"])
        other = TableRegressor().fit(more, "fare", "often")
        assert one.model_.params.tobytes() == other.model_.params.tobytes()
        assert other.feature_names_in_.tolist() == COLUMNS
        repeated = TABLE[np.repeat(np.arange(N), TABLE["often"]).tolist()]
        counted = TableRegressor(alpha=1e-4, tol=1e-9).fit(X, TABLE["fare"], TABLE["often"])
        expected = TableRegressor(alpha=1e-4, tol=1e-9).fit(
            repeated.select(COLUMNS), repeated["fare"]
        )
        np.testing.assert_allclose(counted.predict(X), expected.predict(X), rtol=1e-5)
        assert one.score(X, TABLE["fare"], TABLE["often"]) == pytest.approx(
            other.score(more, "fare", "often")
        )

    def test_offsets_apart_and_as_a_column(self):
        offset = TABLE["log_exposure"].to_numpy()
        one = TableRegressor("poisson").fit(X, TABLE["claims"], offset=offset)
        more = TABLE.select([*COLUMNS, "claims", "log_exposure"])
        other = TableRegressor("poisson").fit(more, "claims", offset="log_exposure")
        assert one.model_.params.tobytes() == other.model_.params.tobytes()
        expected = other.predict(more)
        np.testing.assert_array_equal(one.predict(X, offset=offset), expected)
        np.testing.assert_array_equal(other.predict(X, offset=offset), expected)
        with pytest.raises(InvalidTable, match="'offset' is not a column"):
            one.predict(X)
        with pytest.raises(InvalidParameter, match="fitted without one"):
            TableRegressor().fit(X, TABLE["fare"]).predict(X, offset=offset)

    def test_exposures_are_offsets_once_their_logarithm_is_taken(self, tmp_path):
        more = TABLE.select([*COLUMNS, "claims", pl.col("log_exposure").exp().alias("years")])
        years = more["years"].to_numpy()
        one = TableRegressor("poisson").fit(more, "claims", exposure="years")
        offset = TABLE["log_exposure"].to_numpy()
        expected = TableRegressor("poisson").fit(X, TABLE["claims"], offset=offset)
        np.testing.assert_allclose(one.predict(more), expected.predict(X, offset=offset), rtol=1e-6)
        assert one.feature_names_in_.tolist() == COLUMNS
        other = TableRegressor("poisson").fit(X, TABLE["claims"], exposure=years)
        np.testing.assert_array_equal(other.predict(X, exposure=years), one.predict(more))
        assert other.score(X, TABLE["claims"], exposure=years) == pytest.approx(
            one.score(more, "claims")
        )
        one.save(tmp_path / "m")
        np.testing.assert_array_equal(
            TableRegressor.load(tmp_path / "m").predict(more), one.predict(more)
        )

    def test_a_score_is_with_those_that_are_given(self, tmp_path):
        """Whether the target is a column or comes apart, and in place of the table's own."""
        y, weight = TABLE["claims"], TABLE["often"].to_numpy()
        more = TABLE.select(*COLUMNS, "claims", "often", pl.col("log_exposure").exp().alias("e"))
        exposure = more["e"].to_numpy()[::-1]
        by_name = TableRegressor("poisson", only=COLUMNS).fit(more, "claims", exposure="e")
        apart = TableRegressor("poisson").fit(X, y, exposure=more["e"].to_numpy())
        expected = r2_score(y, by_name.predict(X, exposure=exposure))
        assert by_name.score(more, exposure=exposure) == pytest.approx(expected)
        other = more.with_columns(other=exposure)
        assert by_name.score(other, exposure="other") == pytest.approx(expected)
        assert by_name.score(X, y, exposure=exposure) == pytest.approx(expected)
        called = apart.model_.target.column
        assert apart.score(X.with_columns(y.alias(called)), exposure=exposure) == pytest.approx(
            expected
        )
        assert by_name.score(more) != pytest.approx(expected)
        expected = r2_score(y, by_name.predict(X, exposure=exposure), sample_weight=weight)
        assert by_name.score(more, None, "often", exposure=exposure) == pytest.approx(expected)
        shifted = more.with_columns(pl.col("e").log())
        of_offset = TableRegressor("poisson", only=COLUMNS).fit(shifted, "claims", offset="e")
        zero = np.zeros(N)
        assert of_offset.score(shifted, offset=zero) == pytest.approx(
            r2_score(y, of_offset.predict(X, offset=zero))
        )
        more.write_parquet(tmp_path / "t.parquet")
        with pytest.raises(InvalidParameter, match="exposure must be the name of a column"):
            by_name.score(tmp_path / "t.parquet", exposure=exposure)
        with pytest.raises(InvalidParameter, match="exposure must be the column 'e'"):
            by_name.score(tmp_path / "t.parquet", exposure="often")
        with pytest.raises(InvalidParameter, match=r"offset was given, .* fitted without one"):
            by_name.score(more, offset=zero)

    @pytest.mark.parametrize("role", ["sample_weight", "offset", "exposure"])
    def test_of_another_length(self, role):
        with pytest.raises(InvalidData, match=rf"{role} has shape \(3,\), but X has 300 rows"):
            TableRegressor("poisson").fit(X, TABLE["claims"], **{role: np.ones(3)})


class TestClasses:
    @pytest.mark.parametrize("target", ["paid", "ok", "zone"])
    def test_by_name_and_apart(self, target):
        one = TableClassifier(only=COLUMNS).fit(TABLE, target)
        other = TableClassifier().fit(X, TABLE[target].to_numpy())
        assert one.model_.params.tobytes() == other.model_.params.tobytes()
        assert one.classes_.tolist() == other.classes_.tolist() == sorted(set(TABLE[target]))
        assert set(one.predict(TABLE).tolist()) <= set(one.classes_.tolist())
        k = len(one.classes_)
        each = one.predict_proba(X)
        assert each.shape == (N, k)
        np.testing.assert_allclose(each.sum(axis=1), 1.0)
        assert one.coef_.shape == (1 if k == 2 else k, len(one.feature_names_out_))
        assert one.decision_function(X).shape == ((N,) if k == 2 else (N, k))
        right = accuracy_score(TABLE[target].to_list(), one.predict(X).tolist())
        assert one.score(TABLE, target) == other.score(X, TABLE[target].to_numpy()) == right > 0.5

    def test_labels_keep_their_type(self):
        codes = np.where(TABLE["ok"], 2.0, 5.0)
        assert TableClassifier().fit(X, codes).predict(X).dtype == np.float64
        whole = TableClassifier().fit(X, codes.astype(np.int32))
        assert whole.predict(X).dtype == np.int32

    @pytest.mark.parametrize("weights", ["balanced", {"yes": 7.0}, {"yes": 2.0, "no": 0.5}])
    def test_weights_of_classes(self, weights):
        y = TABLE["paid"].to_numpy()
        each = compute_sample_weight(weights, y)
        model = TableClassifier(class_weight=weights, tol=1e-9).fit(X, y)
        expected = TableClassifier(tol=1e-9).fit(X, y, sample_weight=each)
        found, same = model.predict_proba(X), expected.predict_proba(X)
        np.testing.assert_allclose(found, same, rtol=1e-5)
        both = TableClassifier(class_weight=weights, tol=1e-9).fit(X, y, TABLE["often"])
        expected = TableClassifier(tol=1e-9).fit(X, y, each * TABLE["often"].to_numpy())
        np.testing.assert_allclose(both.predict_proba(X), expected.predict_proba(X), rtol=1e-5)

    def test_of_numbers_are_refused_as_scikit_learn_does(self):
        for y in (TABLE["fare"], "fare"):
            with pytest.raises(InvalidData, match=r"label type: continuous.* TableRegressor pred"):
                TableClassifier().fit(TABLE, y)
        with pytest.raises(InvalidData, match=r"y must be numbers: .*'yes'.* TableClassifier"):
            TableRegressor().fit(X, TABLE["paid"])

    @pytest.mark.slow
    def test_losses_without_probabilities(self):
        model = TableClassifier("hinge").fit(X, TABLE["paid"].to_numpy())
        assert not hasattr(model, "predict_proba")
        with pytest.raises(InvalidData, match="one class"):
            TableClassifier().fit(X, ["a"] * N)


class TestPandas:
    def test_frames_and_what_is_given_back(self):
        frame = pandas_of(X)
        model = TableRegressor().fit(frame, pd.Series(TABLE["fare"].to_list(), name="fare"))
        expected = TableRegressor().fit(X, TABLE["fare"])
        np.testing.assert_allclose(model.predict(frame), expected.predict(X))
        assert isinstance(model.coefficients(), pd.DataFrame)
        assert isinstance(expected.coefficients(), pl.DataFrame)
        assert model.coefficients()["feature"][0] == "km"

    def test_selection(self):
        frame, y = pandas_of(X), TABLE["fare"].to_numpy()
        assert cross_val_score(TableRegressor(), frame, y, cv=3).min() > 0.95
        assert cross_val_score(TableRegressor(), X, y, cv=3).min() > 0.95
        labels = TABLE["paid"].to_numpy()
        scores = cross_val_score(TableClassifier(), frame, labels, cv=3, scoring="roc_auc")
        assert scores.min() > 0.6
        search = GridSearchCV(
            make_pipeline("passthrough", TableRegressor()),
            {"tableregressor__alpha": [1e-4, 10.0]}, cv=2,
        ).fit(frame, y)  # fmt: skip
        assert search.best_params_ == {"tableregressor__alpha": 1e-4}


class TestArrays:
    def test_of_objects(self):
        rows = np.array([X["km"].to_list(), X["colour"].to_list()], dtype=object).T
        model = TableRegressor().fit(rows, TABLE["fare"])
        assert sorted(model.feature_names_out_) == ["x0", "x1=green", "x1=red", "x1=yellow"]
        named = TABLE.select(pl.col("km").alias("x0"), pl.col("colour").alias("x1"))
        expected = TableRegressor().fit(named, TABLE["fare"])
        assert model.model_.params.tobytes() == expected.model_.params.tobytes()
        np.testing.assert_array_equal(model.predict(rows), expected.predict(named))

    def test_where_there_were_names(self):
        numbers = TABLE.select("km", "often")
        model = TableRegressor().fit(numbers, TABLE["fare"])
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            found = model.predict(numbers.to_numpy())
        np.testing.assert_array_equal(found, model.predict(numbers))


class TestFiles:
    def test_as_people_write_them(self, tmp_path):
        """Marks and encoding count for the table to fit, and for those to predict and score."""
        table = TABLE.select(
            pl.col("km").round(3).cast(pl.String).str.replace(".", ",", literal=True),
            pl.col("colour").replace("green", "grün"),
            pl.when(pl.int_range(pl.len()) % 9 > 0).then("hour").otherwise(-999).alias("hour"),
            pl.col("fare").round(2),
        )
        path = tmp_path / "t.csv"
        path.write_bytes(table.write_csv(separator=";").encode("latin-1"))
        asked = {"decimal": ",", "thousands": "", "na": ["-999"], "encoding": "latin-1"}
        with pytest.raises(InvalidTable, match="encoding"):
            TableRegressor().fit(path, "fare")
        with pytest.warns(UserWarning, match="a decimal comma"):
            model = TableRegressor(**asked, kinds={"fare": "number"}).fit(path, "fare")
        assert "hour is missing" in model.feature_names_out_
        assert "colour=grün" in model.feature_names_out_
        assert model.score(path, "fare") == pytest.approx(r2_score(TABLE["fare"].round(2),
                                                                  model.predict(path)))  # fmt: skip
        prepared = gradstep.prepare(TABLE, "fare", validation=0.0)
        for name, value in asked.items():
            with pytest.raises(InvalidParameter, match=f"already: {name} would change nothing"):
                TableRegressor(**{name: value}).fit(prepared)

    @pytest.mark.parametrize("kind, target", [(TableRegressor, "fare"), (TableClassifier, "zone")])
    def test_save_and_load(self, tmp_path, kind, target):
        path = tmp_path / "model.safetensors"
        model = kind(alpha=1e-3, only=COLUMNS, max_levels=50).fit(TABLE, target)
        model.save(path)
        again = kind.load(path)
        assert again.predict(X).tolist() == model.predict(X).tolist()
        assert (again.alpha, again.max_levels, again.only) == (1e-3, 50, None)
        assert again.feature_names_in_.tolist() == model.feature_names_in_.tolist()
        assert gradstep.load(path).predict(X).tolist() == model.predict(X).tolist()
        other = TableRegressor if kind is TableClassifier else TableClassifier
        with pytest.raises(InvalidModel, match=f"{kind.__name__}.load reads it"):
            other.load(path)

    def test_of_the_command_line(self, tmp_path):
        fit = fit_table(TABLE, "fare", only=COLUMNS)
        gradstep.save(fit.model, tmp_path / "m")
        model = TableRegressor.load(tmp_path / "m")
        assert model.predict(X).tolist() == fit.model.predict(X).tolist()
        assert repr(model) == "TableRegressor()"
        gradstep.save(model, tmp_path / "again")
        assert (tmp_path / "m").read_bytes() == (tmp_path / "again").read_bytes()

    def test_a_misstated_estimator(self, tmp_path):
        model = fit_table(TABLE, "fare", only=COLUMNS).model
        model.provenance["estimator"] = {"parameters": {"alfa": 1.0}}
        gradstep.save(model, tmp_path / "m")
        with pytest.raises(InvalidModel, match="misstates the estimator"):
            TableRegressor.load(tmp_path / "m")

    def test_pickle_and_clone(self):
        model = TableClassifier(alpha=1e-3).fit(X, TABLE["paid"].to_numpy())
        again = pickle.loads(pickle.dumps(model))
        assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
        assert clone(model).alpha == 1e-3
        with pytest.raises(NotFittedError):
            clone(model).predict(X)
