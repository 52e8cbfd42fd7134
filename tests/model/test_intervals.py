"""Standard errors of a table's coefficients, against the formulas on dummies; kept in the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

import gradstep
from gradstep import TableClassifier, TableRegressor, fit_table
from gradstep.figures import number
from gradstep.model.coefficients import coefficients, in_words
from gradstep.model.intervals import of_errors, per_deviation, wald_by_column, with_errors
from tests.reporting.models import model_of
from tests.uncompiled import uncompiled

N = 300
RNG = np.random.default_rng(5)
KM = RNG.gamma(2.0, 300.0, N)
COLOUR = RNG.choice(["red", "green", "blue"], N, p=[0.5, 0.3, 0.2])
NOISE = RNG.normal(size=N) * (1.0 + 0.002 * KM)
FARE = 3.0 + 0.01 * KM + 2.0 * (COLOUR == "green") + NOISE
PAID = np.where(0.003 * KM - 2.0 + (COLOUR == "green") + RNG.logistic(size=N) > 0, "yes", "no")
TABLE = pl.DataFrame({"km": KM, "colour": COLOUR, "fare": FARE, "paid": PAID})
# The intercept first, then km, blue and green, each against red, the most frequent.
DUMMIES = np.column_stack([np.ones(N), KM, COLOUR == "blue", COLOUR == "green"]).astype(float)


def fitted(target, **asked):
    other = "paid" if target == "fare" else "fare"
    asked = {"drop": [other], "penalty": None, "validation": 0.0} | asked
    return fit_table(TABLE, target, **asked).model


def errors(model):
    found = with_errors(model, coefficients(model))
    return {entry["feature"]: entry for entry in found}


@pytest.mark.parametrize("inference", ["robust", "model"])
def test_of_numbers_are_those_of_least_squares(inference):
    kind = "HC1" if inference == "robust" else "nonrobust"
    theirs = sm.OLS(FARE, DUMMIES).fit(cov_type=kind, use_t=True)
    model = fitted("fare", inference=inference)
    found = errors(model)
    for name, at in (("km", 1), ("colour=blue", 2), ("colour=green", 3)):
        assert found[name]["standard_error"] == pytest.approx(theirs.bse[at], rel=1e-6)
        assert found[name]["p"] == pytest.approx(theirs.pvalues[at], rel=1e-5, abs=1e-14)
        ends = [found[name]["low"], found[name]["high"]]
        np.testing.assert_allclose(ends, theirs.conf_int()[at], rtol=1e-6)
    assert "standard_error" not in found["colour=red"]  # against itself
    tests = {entry["column"]: entry for entry in wald_by_column(model)}
    expected = theirs.wald_test(np.eye(4)[2:], scalar=True, use_f=True)
    assert tests["colour"]["df"] == 2
    assert tests["colour"]["statistic"] == pytest.approx(float(expected.statistic), rel=1e-6)
    assert tests["colour"]["p"] == pytest.approx(float(expected.pvalue), rel=1e-5)


def test_of_odds_are_those_of_logistic_regression():
    theirs = sm.GLM(PAID == "yes", DUMMIES, family=sm.families.Binomial()).fit(cov_type="HC0")
    found = errors(fitted("paid", tol=1e-8))
    factor = np.sqrt(N / (N - 4))
    for name, at in (("km", 1), ("colour=blue", 2), ("colour=green", 3)):
        assert found[name]["standard_error"] == pytest.approx(factor * theirs.bse[at], rel=1e-6)
    words = in_words(fitted("paid"), found["colour=green"])
    low, high = np.exp([found["colour=green"][end] for end in ("low", "high")])
    assert f"({low:.4g} to {high:.4g}), against colour=red" in words


@pytest.mark.parametrize(
    "value, low, high, words",
    [
        (2.0, 1.0, 3.0, "km adds 2 (1 to 3) to y"),
        (2.0, -1.0, 5.0, "km adds 2 (-1 to 5) to y"),
        (-2.0, -3.0, -1.0, "km takes 2 (1 to 3) from y"),
        (-44.79, -110.8, 21.24, "km adds -44.79 (-110.8 to 21.24) to y"),
    ],
)
def test_of_both_signs_are_of_what_is_added(value, low, high, words):
    entry = {"feature": "km", "coefficient": value, "low": low, "high": high}
    assert in_words(model_of(), entry) == words


def test_are_of_all_rows_after_a_refit():
    whole = fitted("fare")
    refitted = fit_table(TABLE, "fare", drop=["paid"], penalty=None, validation=0.2).model
    assert refitted.covariance.n_rows == N
    ours, theirs = errors(refitted)["km"], errors(whole)["km"]
    assert ours["standard_error"] == pytest.approx(theirs["standard_error"], rel=1e-6)


def test_are_kept_in_the_file(tmp_path):
    model = fitted("fare")
    gradstep.save(model, tmp_path / "m.safetensors")
    again = gradstep.load(tmp_path / "m.safetensors")
    assert errors(again) == errors(model)
    gradstep.save(again, tmp_path / "again.safetensors")
    files = [(tmp_path / name).read_bytes() for name in ("m.safetensors", "again.safetensors")]
    assert files[0] == files[1]


@uncompiled
@pytest.mark.parametrize("asked, why", [
    ({"penalty": "l1"}, "l1 penalty"), ({"inference": "none"}, "not asked for"),
    ({"loss": "epsilon_insensitive"}, "slope of EpsilonInsensitive jumps"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_where_there_are_none_it_is_known_why(asked, why):
    asked = {"alpha": 1e-4, "max_iter": 5, **asked}
    model = fit_table(TABLE, "fare", drop=["paid"], **asked).model
    assert model.covariance is None
    assert why in model.provenance["no_inference"]
    frame = TableRegressor(**asked).fit(TABLE.drop("paid", "fare"), FARE).coefficients()
    assert "standard_error" not in frame.columns


@uncompiled
def test_of_several_classes_and_in_a_frame():
    three = np.digitize(0.003 * KM + RNG.logistic(size=N), [0.0, 2.0])
    labels = np.array(["few", "some", "many"])[three]
    model = TableClassifier(penalty=None, tol=1e-8).fit(TABLE.select("km", "colour"), labels)
    frame = model.coefficients()
    assert frame["standard_error"].drop_nulls().min() > 0.0
    kms = frame.filter(feature="km")
    theirs = sm.MNLogit(three, DUMMIES).fit(disp=0)
    low, many = (kms.filter(pl.col("class") == name)["coefficient"][0] for name in ("few", "many"))
    assert many - low == pytest.approx(theirs.params[1, 1], rel=1e-4)


@uncompiled
def test_estimate_and_interval_of_a_level_are_of_one_quantity():
    table = TABLE.select("km", "colour", "fare")
    model = TableRegressor(penalty=None, tol=1e-8, validation=0.0).fit(table, "fare")
    frame, own = model.coefficients(), model.summary().frame()
    assert frame["against"].drop_nulls().n_unique() == 1  # which is none of the rows
    assert not set(frame["against"]) & set(frame["feature"])
    middles = (frame["low"] + frame["high"]) / 2.0
    np.testing.assert_allclose(frame["coefficient"], middles, rtol=1e-9)
    theirs = dict(own.select("feature", "coefficient").iter_rows())
    assert dict(frame.select("feature", "coefficient").iter_rows()).items() <= theirs.items()
    of = {e["feature"]: e for e in with_errors(model.model_, coefficients(model.model_))}
    assert of["km"]["interval_of"] == "coefficient"
    assert {e["interval_of"] for e in of.values() if e.get("against") and "low" in e} == {
        "difference"
    }


def test_are_told_with_a_caution_where_a_column_gives_the_target_away():
    model = fitted("fare")
    assert of_errors(model) == "; with 95 % confidence intervals (robust)"
    leak = replace(model, provenance={**model.provenance, "notes": ["GS004: ", "GS001: Column"]})
    assert of_errors(leak).endswith(" a column gives the target away: see GS001 first")
    assert of_errors(leak, frozenset({"GS001"})) == of_errors(model)
    forged = replace(model, provenance={"notes": {"GS001": 1}})
    assert of_errors(forged) == of_errors(model)


@uncompiled
def test_of_one_class_against_the_rest_are_of_its_own_coefficient():
    """As of a model of that class alone; about the mean of all is what softmax has."""
    cuts = np.quantile(KM, [0.3, 0.6])
    kind = np.array(["few", "some", "many"])[np.digitize(KM + KM.std() * RNG.normal(size=N), cuts)]
    table, asked = TABLE.select("km", "colour"), {"loss": "squared_hinge", "penalty": None}
    found = [
        fit_table(table.with_columns(kind=of), "kind", validation=0.0, tol=1e-8, **asked).model
        for of in (kind, kind == "many")
    ]
    whole = with_errors(found[0], coefficients(found[0]))
    many = next(e for e in whole if e["feature"] == "km" and e["class"] == "many")
    alone = errors(found[1])["km"]
    assert "centred" not in many
    assert f"({number(many['low'])} to {number(many['high'])})" in in_words(found[0], many)
    for name in ("coefficient", "low", "high", "p"):
        assert many[name] == pytest.approx(alone[name], rel=1e-4)


@uncompiled
def test_of_columns_in_crosses_and_powers_against_statsmodels():
    """A number's coefficient is told where what it is crossed with is 0: far from the mean."""
    rng = np.random.default_rng(3)
    a, b, c = rng.normal(5.0, 1.0, 500), rng.normal(-3.0, 2.0, 500), rng.normal(2.0, 0.5, 500)
    group = rng.choice(["u", "v"], 500, p=[0.7, 0.3])
    y = a + 0.5 * b - 0.3 * a * b + c**2 + (group == "v") * (1.0 + c) + rng.normal(size=500)
    table = pl.DataFrame({"a": a, "b": b, "c": c, "group": group, "y": y})
    model = fit_table(
        table, "y", crosses=[("a", "b"), ("group", "c")], polynomials={"a": 2}, penalty=None,
        validation=0.0,
    ).model  # fmt: skip
    v = (group == "v").astype(float)
    X = np.column_stack([a, b, a * a, a * b, c, v, c * v, np.ones(500)])
    fit = sm.OLS(y, X).fit(cov_type="HC1")
    found = {entry["feature"]: entry for entry in with_errors(model, coefficients(model))}
    for at, name in enumerate(("a", "b", "a^2", "a:b")):
        assert found[name]["coefficient"] == pytest.approx(fit.params[at], rel=1e-6)
        assert found[name]["standard_error"] == pytest.approx(fit.bse[at], rel=1e-6)
    assert found["group=v"]["difference"] == pytest.approx(fit.params[5], rel=1e-6)
    assert "standard_error" not in found["group=v"]  # slopes of all levels and c say the same


def test_on_one_scale_are_deviations_of_encoded_features():
    model = fitted("fare")
    entries = with_errors(model, coefficients(model, references=False))
    found = dict(zip((e["feature"] for e in entries), per_deviation(model, entries), strict=True))
    own = {entry["feature"]: entry for entry in entries}
    spread = [own["km"][name] * KM.std() for name in ("coefficient", "low", "high")]
    np.testing.assert_allclose(found["km"], spread, rtol=1e-6)
    green = [own["colour=green"][name] for name in ("difference", "low", "high")]
    np.testing.assert_allclose(found["colour=green"], green)


@uncompiled
def test_of_a_curve_are_joint_tests_of_its_parts():
    """Its parts add up to one, so each is told against the first: the curve may be level."""
    model = fitted("fare", inference="robust", only=["km"], splines={"km": 5})
    encoded = model.encoding.encode(TABLE, {})
    parts = np.zeros((N, model.encoding.n_features))
    for places, amounts in zip(encoded.places.T, encoded.amounts.T, strict=True):
        parts[np.arange(N), places] += amounts
    np.testing.assert_allclose(parts.sum(axis=1), 1.0)
    design = np.column_stack([np.ones(N), parts[:, 1:]])
    theirs = sm.OLS(FARE, design).fit(cov_type="HC1", use_t=True)
    q = design.shape[1]
    expected = theirs.wald_test(np.eye(q)[1:], scalar=True, use_f=True)
    (found,) = wald_by_column(model)
    assert (found["column"], found["df"]) == ("km", q - 1)
    assert found["statistic"] == pytest.approx(float(expected.statistic), rel=1e-6)
    assert found["p"] == pytest.approx(float(expected.pvalue), rel=1e-4)
