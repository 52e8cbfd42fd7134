"""Intervals of rows of a table are those of statsmodels, on dummies."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

from gradstep import InvalidModel, InvalidParameter, fit_table
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
    monkeypatch.setattr(mean_intervals, "MOST_NUMBERS", 70)  # rows in parts
    np.testing.assert_array_equal(model.mean_intervals(TABLE), ends)


def test_what_there_is_not():
    with pytest.raises(InvalidModel, match="no standard errors, so there are no intervals: not as"):
        fitted("fare", inference="none").mean_intervals(TABLE)
    with pytest.raises(InvalidParameter, match=r"the loss is Poisson\(\). Fit two quantiles"):
        fitted("rides", loss="poisson").prediction_intervals(TABLE)
    with pytest.raises(InvalidParameter, match="each class by itself"):
        fitted("zone", loss="modified_huber", max_iter=1, tol=None).mean_intervals(TABLE)
    with pytest.raises(InvalidParameter, match="level=95"):
        fitted("fare").mean_intervals(TABLE, 95)
