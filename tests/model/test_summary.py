"""The table of statistics of a model, in text, as a frame and in a notebook."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

from gradstep import MiniBatchRegressor, TableClassifier, TableRegressor, fit_table, prepare
from gradstep.model.intervals import wald_by_column
from tests.uncompiled import uncompiled

pytestmark = uncompiled

N = 200
RNG = np.random.default_rng(6)
KM, COLOUR = RNG.normal(size=N), RNG.choice(["red", "<b>green", "blue"], N, p=[0.5, 0.3, 0.2])
FARE = 3.0 + KM + 2.0 * (COLOUR == "blue") + RNG.normal(size=N)
TABLE = pl.DataFrame({"km": KM, "colour": COLOUR, "fare": FARE})
ZONE = np.digitize(FARE, [2.5, 4.0])


def test_is_that_of_dummies():
    """With an intercept that is for numbers of 0 and the most frequent level."""
    dummies = np.column_stack([KM, COLOUR == "blue", COLOUR == "<b>green", np.ones(N)])
    theirs = sm.OLS(FARE, dummies.astype(float)).fit(cov_type="HC1", use_t=True)
    found = fit_table(TABLE, "fare", penalty=None, validation=0.0).model.summary(level=0.9)
    frame = {row["feature"]: row for row in found.frame().to_dicts()}
    assert set(frame) == {"km", "colour=blue", "colour=<b>green", "(intercept)"}
    assert frame["colour=blue"]["against"] == "colour=red"
    for at, name in enumerate(("km", "colour=blue", "colour=<b>green", "(intercept)")):
        row = frame[name]
        low, high = theirs.conf_int(0.1)[at]
        expected = [theirs.params[at], theirs.bse[at], theirs.tvalues[at], low, high]
        names = ("coefficient", "standard_error", "statistic", "low", "high")
        np.testing.assert_allclose([row[each] for each in names], expected, rtol=1e-6)
    assert "90 % from" in str(found)
    assert "colour=blue (against colour=red)" in str(found)


def test_in_a_notebook_names_are_escaped():
    found = fit_table(TABLE, "fare", penalty=None, validation=0.0).model
    for html in (found.summary()._repr_html_(), prepare(TABLE, "fare")._repr_html_()):
        assert "<b>green" not in html
    assert "colour=&lt;b&gt;green" in found.summary()._repr_html_()
    shown = prepare(TABLE.rename({"km": "<i>km"}), "fare")._repr_html_()
    assert "&lt;i&gt;km" in shown
    assert "2 of 2 used, as 4 features" in shown
    arrays = MiniBatchRegressor(penalty=None).fit(KM[:, None], FARE)
    inference = arrays.inference(KM[:, None], FARE)
    assert "<td><bdi>x0</bdi></td>" in inference._repr_html_()


def test_of_several_classes_and_of_curves():
    model = TableClassifier(alpha=1e-3).fit(TABLE.drop("fare"), ZONE)
    text = str(model.summary())
    assert "2: km" in text
    assert "(intercept)" not in text  # known about their mean alone
    curved = TableRegressor(splines=["km"], alpha=1e-3).fit(TABLE, "fare")
    found = curved.summary()
    assert "(intercept)" not in str(found)
    assert found.tests == wald_by_column(curved.model_)
    assert {test["column"] for test in found.tests} == {"km", "colour"}


def test_without_standard_errors_it_says_why():
    found = fit_table(TABLE, "fare", penalty="l1", alpha=0.01, validation=0.0).model.summary()
    assert "No standard errors: an l1 penalty moves coefficients to zero" in str(found)
    assert "std. error" not in str(found)
    assert found.frame()["standard_error"].null_count() == found.frame().height


def test_of_many_coefficients_it_shows_some():
    words = TABLE.with_columns(colour=pl.Series((np.arange(N) % 110).astype(str)))
    model = fit_table(words, "fare", kinds={"colour": "category"}, alpha=0.1, validation=0.0).model
    found = model.summary()
    assert len(found.coefficients) == 101  # and the intercept
    assert f"and {found.more} more coefficients" in str(found)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_level_is_a_share(level):
    with pytest.raises(ValueError, match="must be a share between 0 and 1"):
        fit_table(TABLE, "fare", penalty=None, validation=0.0).model.summary(level)
