"""Constraints on the coefficients of a table's columns."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gradstep import InvalidParameter, TableRegressor, fit_table, load, save
from gradstep.engine.constraints import Constraints
from gradstep.fit.column_constraints import ConstraintsOnColumns
from gradstep.fit.constraints import bounds_of
from tests.uncompiled import uncompiled

RNG = np.random.default_rng(1)
N = 300
AGE = RNG.uniform(0.0, 10.0, N)
TABLE = pl.DataFrame({
    "age": AGE, "size": RNG.normal(5.0, 2.0, N), "kind": RNG.choice(["a", "b"], N),
    "y": np.log1p(AGE) + 0.5 * np.sin(3.0 * AGE) + RNG.normal(size=N) / 5.0,
}).with_columns(y=pl.col("y") - 0.4 * pl.col("size"))  # fmt: skip
DATED = TABLE.with_columns(
    when=pl.Series(np.datetime64("2024-01-01") + np.arange(N).astype("timedelta64[D]"))
)
GRID = pl.DataFrame(
    {"age": np.linspace(-20.0, 40.0, 999), "size": [5.0] * 999, "kind": ["a"] * 999}
)
PLAIN = {"alpha": 1e-6, "validation": 0.0}

pytestmark = uncompiled


def coefficient(model, name):
    return model.coef_[0, model.encoding.feature_names().index(name)]


def test_bounds_are_in_the_columns_own_unit():
    model = fit_table(TABLE, "y", bounds={"size": (-0.25, None)}, **PLAIN).model
    assert coefficient(model, "size") == pytest.approx(-0.25, rel=1e-14)
    steps = np.diff(model.predict(GRID.with_columns(size=pl.Series(np.arange(999.0)))))
    np.testing.assert_allclose(steps - coefficient(model, "age") * np.diff(GRID["age"]), -0.25)


def test_what_is_not_negative_is_zero():
    fit = fit_table(TABLE, "y", nonnegative="size", **PLAIN)
    assert coefficient(fit.model, "size") == 0.0
    without = fit_table(TABLE.drop("size"), "y", **PLAIN).model
    np.testing.assert_allclose(fit.model.predict(GRID), without.predict(GRID), rtol=1e-6)
    assert fit.notes == ["GS110: Constraints: 1 of 1 are met at their bound, of size."]


@pytest.mark.parametrize("direction, sign", [("increasing", 1.0), ("decreasing", -1.0)])
def test_a_monotone_curve_is_everywhere(direction, sign):
    free = fit_table(TABLE, "y", splines=["age"], **PLAIN).model.predict(GRID)
    model = fit_table(TABLE, "y", splines=["age"], monotone={"age": direction}, **PLAIN).model
    assert np.diff(free).min() < -1e-3
    assert (sign * np.diff(model.predict(GRID))).min() > -1e-12


def test_a_rising_curve_is_the_best_of_them():
    """Beside the minimum in increments by projected gradients."""
    fit = fit_table(TABLE, "y", splines={"age": 5}, monotone="age", penalty=None, validation=0.0)
    encoded = fit.prepared.encoding.encode(TABLE)
    first = fit.prepared.encoding.starts[-2]
    basis = np.zeros((N, 7))
    for row in range(N):
        basis[row, encoded.places[row] - first] = encoded.amounts[row]
    upper = basis @ np.tril(np.ones((7, 7)))
    others = np.column_stack([TABLE["size"] / 9.0, TABLE["kind"] == "a", np.ones(N)])
    rows, y = np.hstack([upper, others]), TABLE["y"].to_numpy()
    free = np.r_[True, np.zeros(6, bool), np.ones(3, bool)]
    from scipy.optimize import lsq_linear

    low = np.where(free, -np.inf, 0.0)
    theirs = lsq_linear(rows, y, (low, np.inf), method="bvls", tol=1e-14)
    ours = np.mean((fit.model.predict(TABLE) - y) ** 2)
    assert ours == pytest.approx(2.0 * theirs.cost / N, rel=1e-6)


def test_are_told_in_the_plan_and_kept_in_the_file(tmp_path):
    asked = {"nonnegative": ["size"], "monotone": {"age": "decreasing"}}
    fit = fit_table(TABLE, "y", **asked, **PLAIN)
    assert fit.plan.words["Constraints"] == "size not negative, age decreasing"
    save(fit.model, tmp_path / "m.safetensors")
    told = load(tmp_path / "m.safetensors").provenance["constraints"]
    assert told == {"bounds": {"size": [0.0, None]}, "monotone": {"age": "decreasing"}}
    assert "bounds" in fit.model.provenance["no_inference"]


def test_in_words():
    bounds = {"a": (None, 2), "b": (-1, None), "c": (1, 1), "d": (None, None), "e": (0, None)}
    words = "a at most 2, b at least -1, c fixed at 1, d free, e not negative, f decreasing"
    asked = ConstraintsOnColumns(bounds=bounds, monotone={"f": "decreasing"})
    assert asked.in_words() == words
    assert ConstraintsOnColumns(**asked.to_json()).in_words() == words


def test_alpha_is_chosen_under_them():
    fit = fit_table(TABLE, "y", nonnegative="size")
    assert coefficient(fit.model, "size") == 0.0
    assert fit.alpha is not None


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_where_bounds_leave_zero_out_alpha_is_judged_within_them(penalty):
    fit = fit_table(TABLE, "y", bounds={"age": (3.0, 4.0)}, penalty=penalty, cv=3)
    parts = np.mean([part["rmse"] ** 2 for part in fit.folds])
    assert min(fit.alpha.losses.values()) == pytest.approx(parts / 2.0, rel=0.1)


def test_of_an_estimator():
    model = TableRegressor(nonnegative=["size"], alpha=1e-4).fit(TABLE, "y")
    assert coefficient(model.model_, "size") == 0.0


@pytest.mark.parametrize("asked, words", [
    ({"nonnegative": "sise"}, "'sise', which is no column.*mean 'size'"),
    ({"nonnegative": "size", "drop": ["size"]}, "'size', which is no column that the model uses"),
    ({"nonnegative": "kind"}, "'kind', which is no number"),
    ({"nonnegative": 3}, "nonnegative=3 must be columns' names"),
    ({"bounds": {"age": (1, 0)}}, "'age' leave nothing: 1 is above 0"),
    ({"bounds": {"age": 3}}, "must be two numbers"),
    ({"bounds": {"age": (float("nan"), 1)}}, "allow no coefficient"),
    ({"bounds": [1]}, "must map columns"),
    ({"nonnegative": "age", "bounds": {"age": (None, -1)}}, "0 is above -1"),
    ({"nonnegative": "age", "monotone": "age"}, "one of both is enough"),
    ({"monotone": {"age": "up"}}, "must be increasing or decreasing, not 'up'"),
    ({"nonnegative": "age", "splines": ["age"]}, "'age' is a curve"),
    ({"nonnegative": "when"}, "'when', which is no number: it has several coefficients"),
    ({"nonnegative": "age", "crosses": [("age", "kind")]}, "depends on age:kind, too"),
    ({"monotone": "age", "splines": ["age"], "optimizer": "adam"}, "a step of Adam bounds one"),
    ({"monotone": "age", "splines": ["age"], "penalty": "l1"}, "no l1 penalty"),
])  # fmt: skip
def test_what_cannot_be_is_refused(asked, words):
    with pytest.raises(InvalidParameter, match=words):
        fit_table(DATED, "y", **{"alpha": 1e-4, **asked})


@pytest.mark.parametrize("optimizer", ["sgd", "ftrl"])
def test_of_mini_batches_are_kept(optimizer):
    asked = {"bounds": {"age": (0.3, None)}, "monotone": {"size": "increasing"}, "max_iter": 3}
    fit = fit_table(TABLE, "y", optimizer=optimizer, **asked, **PLAIN)
    assert coefficient(fit.model, "size") == 0.0
    assert coefficient(fit.model, "age") >= 0.3
    assert fit.notes[-1].startswith("GS110: Constraints: ")
    assert "of size" in fit.notes[-1] or "age, size" in fit.notes[-1]
    assert fit.notes[-1].endswith(".")


def test_of_svmlight_they_are_refused(tmp_path):
    (tmp_path / "rows.svm").write_text("1 1:2 3:1\n2 1:1 3:2\n" * 9)
    with pytest.raises(InvalidParameter, match="use bounds of MiniBatchRegressor"):
        fit_table(str(tmp_path / "rows.svm"), nonnegative="3")


def test_are_met_to_the_last_bit_in_the_columns_own_unit():
    low, high = RNG.normal(size=500), 5.0 + RNG.normal(size=500)
    unit = np.exp(RNG.normal(size=500))
    least, greatest, _ = bounds_of((low, high), 500, unit)
    assert (least / unit >= low).all()
    assert (greatest / unit <= high).all()
    np.testing.assert_allclose(least / unit, low, rtol=1e-15)


def test_are_met_to_the_last_bit_by_standardised_weights():
    low, high = RNG.normal(size=500), 5.0 + RNG.normal(size=500)
    scale = np.exp(RNG.normal(size=500))
    least, greatest = Constraints(low, high, np.zeros(500, dtype=bool)).of_scaled(scale)
    assert (least * scale >= low).all()
    assert (greatest * scale <= high).all()
    np.testing.assert_allclose(greatest * scale, high, rtol=1e-15)
