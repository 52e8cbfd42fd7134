"""Estimators on prepared tables: the same weights as on the encoded rows, predictions by name."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone

import gradstep
from gradstep import InvalidData, InvalidParameter, InvalidTable
from gradstep import MiniBatchClassifier as Classifier
from gradstep import MiniBatchRegressor as Regressor
from tests.uncompiled import uncompiled

RNG = np.random.default_rng(0)
N = 2000
FRAME = pl.DataFrame(
    {
        "far": RNG.normal(1e6, 3.0, N),
        "small": RNG.normal(0.0, 1e-5, N),
        "colour": RNG.choice(["red", "green", "blue"], N),
    }
).with_columns(
    y=(pl.col("far") - 1e6) * 2.0 + pl.col("small") * 1e5 + (pl.col("colour") == "red") * 4.0,
)
FRAME = FRAME.with_columns(
    late=pl.col("y") > 0.0,
    kind=pl.when(pl.col("y") > 3).then(pl.lit("c")).otherwise(pl.lit("colour")),
)
ROWS = ("far", "small", "colour")
FIXED = {"max_iter": 40, "tol": None, "penalty": None}


def prepared(target="y", **options):
    return gradstep.prepare(FRAME.select(*ROWS, target), target, **options)


@pytest.fixture(scope="module")
def model():
    return Regressor(**FIXED).fit(prepared(validation=0.0))


class TestRegressor:
    def test_learns_raw_columns(self, model):
        assert np.abs(model.predict(FRAME) - FRAME["y"].to_numpy()).max() < 1e-3
        names = model.feature_names_
        assert set(names) == {"far", "small", "colour=red", "colour=green", "colour=blue"}
        coef = dict(zip(names, model.coef_, strict=True))
        assert coef["far"] == pytest.approx(2.0, rel=1e-4)
        assert coef["small"] == pytest.approx(1e5, rel=1e-4)
        assert coef["colour=red"] - coef["colour=blue"] == pytest.approx(4.0, rel=1e-4)

    def test_coefficients_are_those_of_the_columns_own_units(self, model):
        by_hand = np.full(N, model.intercept_[0])
        for name, coef in zip(model.feature_names_, model.coef_, strict=True):
            column, _, level = name.partition("=")
            x = FRAME[column].to_numpy()
            by_hand += coef * (x == level if level else x)
        np.testing.assert_allclose(by_hand, model.predict(FRAME), rtol=1e-9, atol=1e-7)

    def test_predicts_files_and_queries_by_name(self, model, tmp_path):
        FRAME.select("colour", "y", "small", "far").write_parquet(tmp_path / "rows.parquet")
        expected = model.predict(FRAME)
        np.testing.assert_array_equal(model.predict(tmp_path / "rows.parquet"), expected)
        np.testing.assert_array_equal(model.predict(FRAME.lazy()), expected)
        with pytest.raises(InvalidTable, match="'small'"):
            model.predict(FRAME.drop("small"))

    def test_validation_rows_are_judged(self):
        fitted = Regressor(early_stopping=True, penalty=None).fit(prepared())
        assert len(fitted.validation_scores_) == fitted.n_iter_
        assert fitted.validation_scores_[-1] > 0.999
        with pytest.raises(InvalidParameter, match="needs rows held out"):
            Regressor(early_stopping=True).fit(prepared(validation=0.0))

    def test_survives_pickle_and_clone(self, model):
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.predict(FRAME), model.predict(FRAME))
        assert not hasattr(clone(model), "coef_")

    def test_a_fit_on_arrays_forgets_the_table(self):
        fitted = Regressor(**FIXED).fit(prepared(validation=0.0))
        X = RNG.normal(size=(50, 2))
        fitted.fit(X, X[:, 0])
        assert fitted.predict(X).shape == (50,)
        assert not hasattr(fitted, "feature_names_")

    @pytest.mark.parametrize(
        "given", [{"y": [1.0]}, {"sample_weight": [1.0]}, {"coef_init": [1.0]}, {"X_val": [[1.0]]}]
    )
    def test_what_the_table_has_is_not_given_twice(self, given):
        name = next(iter(given))
        with pytest.raises(InvalidParameter, match=f"{name} cannot be used with a PreparedTable"):
            Regressor().fit(prepared(), **given)

    def test_warm_start_is_refused(self):
        with pytest.raises(InvalidParameter, match="warm_start cannot be used"):
            Regressor(warm_start=True).fit(prepared())


class TestClassifier:
    def test_two_classes(self):
        fitted = Classifier(**FIXED).fit(prepared("late"))
        assert fitted.classes_.tolist() == [False, True]
        assert (fitted.predict(FRAME) == FRAME["late"].to_numpy()).mean() > 0.97
        probabilities = fitted.predict_proba(FRAME)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
        assert ((probabilities[:, 1] > 0.5) == fitted.predict(FRAME)).all()

    @uncompiled
    def test_text_classes_in_a_table_whose_columns_hold_their_names(self):
        fitted = Classifier(loss="hinge", **FIXED | {"max_iter": 10}).fit(prepared("kind"))
        assert fitted.classes_.tolist() == ["c", "colour"]
        assert (fitted.predict(FRAME) == FRAME["kind"].to_numpy()).mean() > 0.95

    def test_several_classes(self):
        table = gradstep.prepare(FRAME.select("far", "small", "y", "colour"), "colour")
        fitted = Classifier(**FIXED).fit(table)
        assert fitted.coef_.shape == (3, 3)
        assert fitted.predict_proba(FRAME).shape == (N, 3)
        assert (fitted.predict(FRAME) == FRAME["colour"].to_numpy()).mean() > 0.6

    def test_the_other_estimator_is_named(self):
        with pytest.raises(InvalidData, match="use MiniBatchRegressor"):
            Classifier().fit(prepared())
        with pytest.raises(InvalidData, match="use MiniBatchClassifier"):
            Regressor().fit(prepared("late"))
