"""Intervals of rows of a table are those of statsmodels, on dummies."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

from gradstep import InvalidModel, InvalidParameter, fit_table, load, predict_parts, save
from gradstep.model import mean_intervals
from tests.uncompiled import uncompiled

pytestmark = uncompiled

N = 200
RNG = np.random.default_rng(6)
KM, COLOUR = RNG.normal(size=N), RNG.choice(["red", "green", "blue"], N)
SCORE = 0.5 + 0.5 * KM + (COLOUR == "blue")
TABLE = pl.DataFrame({
    "km": KM,
    "colour": COLOUR,
    "area": RNG.uniform(0.5, 2.0, N),
    "fare": SCORE + RNG.normal(size=N),
    "paid": np.where(SCORE + RNG.logistic(size=N) > 0.5, "yes", "no"),
    "zone": np.array(["a", "b", "c"])[np.digitize(SCORE + RNG.normal(size=N), [0.0, 1.0])],
}).with_columns(rides=RNG.poisson(np.exp(0.3 * SCORE)))  # fmt: skip
DUMMIES = np.column_stack([np.ones(N), KM, COLOUR == "blue", COLOUR == "green"]).astype(float)
SOME = slice(0, 30)


def fitted(target, **asked):
    only = ["km", "colour"]
    asked = {"only": only, "penalty": None, "validation": 0.0, "tol": 1e-9} | asked
    return fit_table(TABLE, target, **asked).model


def test_of_squared_error():
    theirs = sm.OLS(TABLE["fare"].to_numpy(), DUMMIES).fit()
    expected = theirs.get_prediction(DUMMIES[SOME]).summary_frame(alpha=0.1)
    model = fitted("fare", inference="model")
    found = model.mean_intervals(TABLE[SOME], 0.9)
    np.testing.assert_allclose(found, expected[["mean_ci_lower", "mean_ci_upper"]], rtol=1e-6)
    found = model.prediction_intervals(TABLE[SOME], 0.9)
    np.testing.assert_allclose(found, expected[["obs_ci_lower", "obs_ci_upper"]], rtol=1e-6)


@pytest.mark.parametrize("target, loss", [("fare", None), ("paid", None), ("zone", None)])
def test_where_columns_determine_each_other_as_without_one_of_them(target, loss, tmp_path):
    """Of rows in which they still do: what their coefficients add up to is known."""
    table = TABLE.with_columns(twice=2.0 * pl.col("km") - pl.col("area") + 1.0, nothing=pl.lit(3.0))
    asked = {"penalty": None, "validation": 0.0, "tol": 1e-9, "loss": loss}
    only = ["km", "colour", "area"]
    alone = fit_table(table, target, only=only, **asked).model
    whole = fit_table(table, target, only=[*only, "twice", "nothing"], **asked).model
    names = np.array(whole.encoding.feature_names())
    lost = whole.covariance.undetermined[:, :-1].any(axis=0)
    assert set(names[lost]) == {"km", "area", "twice"}
    save(whole, tmp_path / "m")
    for model in (whole, load(tmp_path / "m")):
        found = model.mean_intervals(table)
        np.testing.assert_allclose(found, alone.mean_intervals(table), rtol=1e-5)
        moved = pl.Series([0.0, 0.1, -3.0, 0.0, 1e3])
        apart = table[:5].with_columns(twice=pl.col("twice") + moved)
        lost = np.isnan(model.mean_intervals(apart)).reshape(5, -1)
        assert lost.all(axis=1).tolist() == lost.any(axis=1).tolist()
        assert np.flatnonzero(lost.any(axis=1)).tolist() == [1, 2, 4]
    if target == "fare":
        ends = whole.prediction_intervals(table), alone.prediction_intervals(table)
        np.testing.assert_allclose(*ends, rtol=1e-6)


@pytest.mark.parametrize("target, family", [("paid", "Binomial"), ("rides", "Poisson")])
def test_of_probabilities_and_counts(target, family):
    y = TABLE[target].to_numpy()
    y = y == "yes" if target == "paid" else y
    theirs = sm.GLM(y, DUMMIES, family=getattr(sm.families, family)()).fit(cov_type="HC1")
    z, V = DUMMIES[SOME] @ theirs.params, theirs.cov_params() * N / (N - 4)
    half = 1.959964 * np.sqrt(np.einsum("ij,jk,ik->i", DUMMIES[SOME], V, DUMMIES[SOME]))
    link = theirs.model.family.link.inverse
    expected = np.column_stack([link(z - half), link(z + half)])
    loss = None if target == "paid" else "poisson"
    found = fitted(target, loss=loss).mean_intervals(TABLE[SOME])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_of_an_exposure():
    model = fitted("rides", loss="poisson", exposure="area")
    ends = model.mean_intervals(TABLE[SOME])
    predicted = model.predict(TABLE[SOME])
    np.testing.assert_allclose(np.sqrt(ends.prod(axis=1)), predicted, rtol=1e-9)


def test_of_several_classes(monkeypatch):
    model = fitted("zone")
    ends, found = model.mean_intervals(TABLE), model.predict_proba(TABLE)
    assert ends.shape == (N, 3, 2)
    assert ((ends[..., 0] < found) & (found < ends[..., 1])).all()
    monkeypatch.setattr(mean_intervals, "_MOST_PRODUCTS", 700)  # rows in parts
    np.testing.assert_array_equal(model.mean_intervals(TABLE), ends)


def columns(model, table=TABLE, interval=0.9, **asked):
    """Return what is predicted, with intervals."""
    return pl.concat(model.predict_batches(table, interval=interval, **asked))


@pytest.mark.parametrize("role", ["sample_weight", "offset"])
def test_a_new_target_is_one_of_mean_weight_and_of_its_own_offset(role):
    y, area = TABLE["fare"].to_numpy(), TABLE["area"].to_numpy()
    weight, offset = (area, 0.0) if role == "sample_weight" else (np.ones(N), area)
    theirs = sm.WLS(y - offset, DUMMIES, weights=weight / weight.mean()).fit()
    expected = theirs.get_prediction(DUMMIES).summary_frame(alpha=0.1)
    model = fitted("fare", inference="model", **{role: "area"})
    for of, ends, names in (
        (None, ["prediction_low", "prediction_high"], ["obs_ci_lower", "obs_ci_upper"]),
        ("mean", ["mean_low", "mean_high"], ["mean_ci_lower", "mean_ci_upper"]),
    ):
        found = columns(model, interval_of=of, keep=["area"])
        assert found.columns == ["area", "prediction", *ends]
        ours = found.select(ends).to_numpy() - (area[:, None] if role == "offset" else 0.0)
        np.testing.assert_allclose(ours, expected[names], rtol=1e-6)


def test_columns_of_classes():
    two, three = fitted("paid"), fitted("zone")
    each = ["probability_no", "probability_yes"]
    ends = [name + end for name in each for end in ("", "_low", "_high")]
    found = columns(two)
    assert found.columns == ["prediction", *ends]
    p = found.select(ends).to_numpy()
    assert ((p >= 0.0) & (p <= 1.0)).all()
    np.testing.assert_array_equal(p[:, 4:], two.mean_intervals(TABLE, 0.9))
    np.testing.assert_allclose(p[:, [2, 1]], 1.0 - p[:, 4:], rtol=1e-12)
    found = columns(three)
    for at, name in enumerate("abc"):
        own = found.select(f"probability_{name}_{end}" for end in ("low", "high"))
        np.testing.assert_array_equal(own, three.mean_intervals(TABLE, 0.9)[:, at])
    assert found.width == 10


def test_columns_say_what_they_are_of():
    counts = columns(fitted("rides", loss="poisson"))
    assert counts.columns == ["prediction", "mean_low", "mean_high"]
    assert (counts["mean_low"] < counts["prediction"]).all()
    assert columns(fitted("fare", loss="pinball")).columns[1:] == ["quantile_low", "quantile_high"]


def test_a_row_has_the_same_bits_whatever_comes_with_it(tmp_path, monkeypatch):
    model, whole = (model := fitted("zone")), columns(model)
    monkeypatch.setattr(mean_intervals, "_MOST_PRODUCTS", 700)
    assert pl.concat(columns(model, TABLE[at]) for at in range(5)).equals(whole[:5])
    TABLE.write_parquet(tmp_path / "t.parquet")
    predict_parts(model, tmp_path / "t.parquet", tmp_path / "out", interval=0.9)
    assert pl.read_parquet(tmp_path / "out" / "*.parquet").equals(whole)
    told = (tmp_path / "out" / "_SUCCESS").read_text()
    assert '"interval": {\n  "level": 0.9,\n  "of": "mean"\n }' in told
    columns(model, TABLE.with_columns(colour=pl.lit("pink")))
    assert model.unseen == {"colour": N}  # once


def test_what_is_not_known_is_missing():
    model = fit_table(
        TABLE.select("km", "fare", twin=2.0 * pl.col("km")), "fare", penalty=None, validation=0.0
    ).model
    found = columns(model, pl.DataFrame({"km": [1.0, 1.0], "twin": [2.0, 5.0]}))
    assert found["prediction"].null_count() == 0
    assert found["prediction_low"].is_null().to_list() == [False, True]  # it is twice km no more
    none = columns(model, TABLE[:0].select("km", twin="km"), keep=["km"])
    assert none.schema == {"km": pl.Float64(), **found.schema}


def test_columns_that_there_are_not():
    two, fares = fitted("paid"), fitted("fare")
    for model, asked, why in (
        (two, {"interval_of": "target"}, "'paid' has classes: their probabilities have intervals"),
        (two, {"probabilities": False}, "of the probabilities of classes, which are left out"),
        (two, {"keep": ["probability_no_low"]}, "'probability_no_low' cannot be kept"),
        (fares, {"interval": 95}, "interval=95 of Model must be a number > 0 and < 1"),
        (fares, {"interval_of": "all"}, "interval_of='all' of Model must be one of 'target'"),
        (fares, {"interval": None, "interval_of": "mean"}, "would change nothing"),
        (fitted("paid", loss="squared_hinge"), {}, "SquaredHinge.* gives none. loss='log_loss' do"),
    ):
        with pytest.raises(InvalidParameter, match=why):
            columns(model, **asked)
    with pytest.raises(InvalidModel, match="so there are no intervals: an l1 penalty"):
        columns(fitted("fare", penalty="l1", alpha=0.01))
    table = pl.DataFrame({"x": np.arange(60.0), "y": ["a", "a_low", "b"] * 20})
    with pytest.raises(InvalidParameter, match="would be called 'probability_a_low'"):
        columns(fit_table(table, "y", validation=0.0).model, table)


def test_what_there_is_not():
    with pytest.raises(InvalidModel, match="no standard errors, so there are no intervals: not as"):
        fitted("fare", inference="none").mean_intervals(TABLE)
    with pytest.raises(InvalidParameter, match=r"the loss is Poisson\(\). Fit two quantiles"):
        fitted("rides", loss="poisson").prediction_intervals(TABLE)
    with pytest.raises(InvalidParameter, match="each class by itself"):
        fitted("zone", loss="modified_huber", max_iter=1, tol=None).mean_intervals(TABLE)
    with pytest.raises(InvalidParameter, match="level=95"):
        fitted("fare").mean_intervals(TABLE, 95)
