"""Formulas: parsed by formulaic, mapped to terms, or refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from formulaic import model_matrix

import gradstep
from gradstep import fit_table, prepare
from gradstep.data.features.terms.formula import with_formula
from gradstep.errors import InvalidParameter
from tests.uncompiled import uncompiled

NOTHING = {"only": [], "kinds": {}}


@pytest.mark.parametrize("formula, target, options", [
    ("price ~ bs(carat) + color*clarity", "price", {
        "only": ["carat", "clarity", "color"], "splines": {"carat": 10},
        "crosses": [("color", "clarity")],
    }),
    ("price ~ .", "price", {}),
    ("~ a + b", None, {"only": ["a", "b"]}),
    ("y ~ . + bs(x, df=8) + bs(x, df=8):kind", "y", {
        "splines": {"x": 6}, "crosses": [("x", "kind")],
    }),
    ("y ~ poly(age, 3) + log(`odd name`) + C(zip)", "y", {
        "only": ["age", "odd name", "zip"], "polynomials": {"age": 3}, "logs": ["odd name"],
        "kinds": {"zip": "category"},
    }),
    ("y ~ x + I(x**2) + {x**3}", "y", {"only": ["x"], "polynomials": {"x": 3}}),
    ("y ~ (a + b + c)**2", "y", {
        "only": ["a", "b", "c"], "crosses": [("a", "b"), ("a", "c"), ("b", "c")],
    }),
    ("y ~ np.log(a)*C(b)", "y", {
        "only": ["a", "b"], "logs": ["a"], "kinds": {"b": "category"}, "crosses": [("a", "b")],
    }),
])  # fmt: skip
def test_is_options_of_terms(formula, target, options):
    found_target, found = with_formula(None, {"formula": formula})
    assert found_target == target
    found["crosses"] = [tuple(sorted(pair)) for pair in found.get("crosses", [])]
    found["only"].sort()
    options = {**NOTHING, "crosses": [], **options}
    options["crosses"] = [tuple(sorted(pair)) for pair in options["crosses"]]
    assert found == options


@pytest.mark.parametrize("formula, said", [
    ("y ~ x +", "cannot be parsed"),
    ("y ~ a | b", r"several parts \(\|\)"),
    ("y + z ~ x", "several terms on its left"),
    ("log(y) ~ x", r"predicts log\(y\): the left side is a column"),
    ("y ~ 0 + x", "no intercept"),
    ("y ~ 1", "no term on its right"),
    ("y ~ sin(x)", r"has the term sin\(x\): there are columns, and bs\(x\)"),
    ("y ~ x + offset(e)", r"has the term offset\(e\)"),
    ("y ~ bs(x, knots=k)", r"has the term bs\(x, knots=k\)"),
    ("y ~ a:b", "without a beside it.*Write \\* for :"),
    ("y ~ bs(a) + b + a:b", "without a beside it"),
    ("y ~ a*b*c", "crosses are of two columns"),
    ("y ~ bs(a)*bs(b)", "a cross of two curves"),
    ("y ~ bs(a) + log(a)", "has a as two things"),
    ("y ~ I(x**3) + x", r"power of x without all below it: write poly\(x, 3\)"),
    ("y ~ . - a", "leave columns out by drop="),
    ("y ~ . * b", "crosses all columns"),
])  # fmt: skip
def test_what_is_no_term_is_refused(formula, said):
    with pytest.raises(InvalidParameter, match=said):
        with_formula(None, {"formula": formula})


def test_says_what_options_would(tmp_path):
    for options in ({"splines": ["x"]}, {"only": ["x"]}):
        with pytest.raises(InvalidParameter, match=f"leave {next(iter(options))} away"):
            with_formula(None, {"formula": "y ~ x", **options})
    with pytest.raises(InvalidParameter, match="predicts 'y', and the target is 'z'"):
        with_formula("z", {"formula": "y ~ x"})


TABLE = pl.DataFrame({
    "x": np.random.default_rng(0).gamma(2.0, 2.0, 90),
    "kind": ["a", "b", "c"] * 30,
    "z": np.random.default_rng(1).normal(size=90),
    "y": np.random.default_rng(2).normal(size=90),
})  # fmt: skip


@uncompiled
def test_is_fitted_as_formulaic_would():
    """Least squares on its own matrix: the same predictions, but for the penalty."""
    formula = "y ~ log(x)*C(kind) + z + I(z**2)"
    model = fit_table(TABLE, formula=formula, validation=0.0, alpha=1e-12, tol=1e-12).model
    frame = pd.DataFrame(TABLE.to_dict(as_series=False))
    y, X = model_matrix(formula.replace("log(", "np.log("), frame)
    weights = np.linalg.lstsq(X.to_numpy(), y.to_numpy()[:, 0], rcond=None)[0]
    np.testing.assert_allclose(model.predict(TABLE), X.to_numpy() @ weights, rtol=1e-5)


@uncompiled
def test_of_every_front():
    asked = {"formula": "y ~ bs(x, df=6)*kind", "validation": 0.0}
    model = fit_table(TABLE, **asked).model
    assert prepare(TABLE, **asked).encoding == model.encoding
    own = gradstep.TableRegressor(**asked).fit(TABLE.drop("y"), TABLE["y"])
    assert own.model_.encoding == model.encoding
