"""Terms: curves, crosses, powers and logarithms, against other libraries and by hand."""

from __future__ import annotations

import json
from collections import Counter
from functools import reduce

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import SplineTransformer

import gradstep
from gradstep import fit_table, prepare
from gradstep.data.features.encoding import Encoding
from gradstep.data.features.terms import crosses
from gradstep.data.features.terms.counts import ValueCounts
from gradstep.data.features.terms.spline import SplineColumn, knots_of
from gradstep.errors import InvalidModel, InvalidParameter, InvalidTable
from gradstep.model.coefficients import (
    coefficients,
    curve_in_words,
    importance,
    points_of_curves,
)
from tests.examples import examples
from tests.model.test_file import rewritten
from tests.slow import slow_unless

N = 400


def _table():
    rng = np.random.default_rng(0)
    carat, depth = rng.gamma(3.0, 0.3, N) + 0.2, rng.normal(60.0, 2.0, N)
    color, cut = rng.choice(list("DEF"), N), rng.choice(["good", "ideal"], N)
    price = 5.0 * np.sin(2.0 * carat) + (color == "E") * carat + (cut == "good") * (color == "D")
    gaps = depth.astype(object)
    gaps[rng.random(N) < 0.1] = None
    return pl.DataFrame({
        "carat": carat, "depth": depth, "size": rng.uniform(3.0, 5.0, N),
        "color": color, "cut": cut,
        "gaps": pl.Series(gaps.tolist(), dtype=pl.Float64),
        "day": np.datetime64("2026-01-01") + rng.integers(0, 300, N),
        "price": price + 0.1 * rng.normal(size=N),
    })  # fmt: skip


TABLE = _table()
X = pd.DataFrame(TABLE.to_dict(as_series=False))
ALL = {
    "splines": {"carat": 6, "gaps": 5},
    "crosses": ["color:cut", "depth:color", "carat:cut", "depth:carat", "depth:size", "carat:gaps"],
    "polynomials": {"depth": 3},
}


def encoded(table=TABLE, **terms):
    """Return the encoding of a table with terms, and its rows as a dense frame."""
    encoding = prepare(table, "price", validation=0.0, **terms).encoding
    return encoding, dense(encoding, table)


def dense(encoding, table):
    values, codes, places, amounts = encoding.encode(table)
    found = np.zeros((table.height, encoding.n_features + 1))
    found[:, : values.shape[1]] = values
    np.put_along_axis(found, codes, 1.0, axis=1)
    for q in range(places.shape[1]):
        found[np.arange(table.height), places[:, q]] = amounts[:, q]
    return pd.DataFrame(found[:, :-1], columns=encoding.feature_names())  # -1 stands for none


class TestValueCounts:
    @examples(40)
    @given(
        st.lists(st.floats(-1e300, 1e300).map(lambda x: x), min_size=1, max_size=60),
        st.integers(1, 5),
    )
    def test_of_few_numbers_are_exact(self, numbers, parts):
        x = np.array(numbers)
        counts = [ValueCounts() for _ in range(parts)]
        for each, part in zip(counts, np.array_split(x, parts), strict=True):
            each.add(part)
        for each in counts[1:]:
            counts[0].merge(each)
        shares = np.linspace(0.0, 1.0, 11)
        expected = np.quantile(x + 0.0, shares, method="inverted_cdf")
        np.testing.assert_array_equal(counts[0].quantiles(shares), expected)

    def test_of_many_are_close_and_hang_on_no_order(self):
        x = np.random.default_rng(0).gamma(2.0, 3.0, 20_000) - 4.0
        x[::7] = np.nan
        shares, there = np.linspace(0.01, 0.99, 9), x[~np.isnan(x)]
        whole = ValueCounts()
        whole.add(x)
        found = []
        for order in ([0, 1, 2, 3, 4], [3, 0, 4, 2, 1]):
            parts = [ValueCounts() for _ in range(5)]
            for part, some in zip(parts, np.array_split(x, 5), strict=True):
                part.add(some)
            merged = ValueCounts()
            for at in order:
                merged.merge(parts[at])
            found.append((merged.cut, merged.keys.tolist(), merged.counts.tolist()))
        assert found == [(whole.cut, whole.keys.tolist(), whole.counts.tolist())] * 2
        assert whole.keys.size <= 4096
        few, many = ValueCounts(), ValueCounts()
        few.add(there[:50])
        many.add(there[50:])
        few.merge(many)  # which are told apart by fewer bits
        assert (few.cut, few.keys.tolist()) == (whole.cut, whole.keys.tolist())
        np.testing.assert_allclose(
            whole.quantiles(shares), np.quantile(there, shares), rtol=0.002, atol=0.003
        )
        mean, deviation = whole.moments(np.square)
        assert mean == pytest.approx(np.square(there).mean(), rel=0.02)
        assert deviation == pytest.approx(np.square(there).std(), rel=0.02)


class TestSpline:
    def test_is_that_of_scikit_learn(self):
        x = TABLE["carat"].to_numpy()
        encoding, rows = encoded(splines={"carat": 6})
        (spline,) = encoding.placed
        knots = np.quantile(x, np.linspace(0.01, 0.99, 6), method="inverted_cdf")
        np.testing.assert_array_equal(spline.knots, knots)
        own = SplineTransformer(knots=knots[:, None], extrapolation="linear").fit(x[:, None])
        far = pl.concat([TABLE, TABLE.with_columns(pl.col("carat") * 10.0 - 5.0)])
        reach = knots[-1] - knots[0]  # how far the straight lines go
        x = far["carat"].to_numpy().clip(knots[0] - reach, knots[-1] + reach)
        assert knots[-1] < x.max() < far["carat"].max()
        expected = own.transform(x[:, None])
        found = dense(encoding, far)[spline.names]
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert (np.count_nonzero(found, axis=1) <= 4).all()
        assert "carat" not in rows.columns

    def test_of_a_missing_number_is_that_of_the_mean(self):
        encoding, rows = encoded(splines={"gaps": 5})
        (spline,) = encoding.placed
        gone = TABLE["gaps"].is_null().to_numpy()
        np.testing.assert_array_equal(rows["gaps is missing"], gone)
        first, amounts = spline.amounts(np.array([spline.mean]))
        there = rows[spline.names].to_numpy()[gone][:, first[0] : first[0] + 4]
        np.testing.assert_array_equal(there, np.broadcast_to(amounts, there.shape))
        encoding, _ = encoded(splines=["depth"])  # none is missing in training
        unseen = Counter()
        encoding.encode(TABLE.with_columns(depth=pl.col("gaps")), unseen)
        assert unseen == {"depth": gone.sum()}

    def test_has_knots_where_one_value_is_frequent(self):
        counts = ValueCounts()
        counts.add(np.append(np.zeros(990), np.arange(1.0, 11.0)))
        assert knots_of(counts, 4) == (0.0, 3.0, 7.0, 10.0)

    def test_of_dates_is_one_of_their_days(self):
        encoding, _ = encoded(splines=["day"])
        assert encoding.placed[0].names[0].startswith("day days near ")


class TestCrosses:
    def test_of_categories_are_dummies_of_pairs(self):
        _, rows = encoded(crosses=["color:cut"])
        pairs = pd.get_dummies("color=" + X["color"] + ":cut=" + X["cut"]).astype(float)
        np.testing.assert_array_equal(rows[pairs.columns], pairs)

    def test_of_a_category_and_a_number_are_slopes(self):
        _, rows = encoded(crosses=[("depth", "color")])
        for level in "DEF":
            z = (X["depth"] - X["depth"].mean()) / X["depth"].std(ddof=0)
            found = rows[f"depth:color={level}"]
            np.testing.assert_allclose(found, z * (X["color"] == level), atol=1e-12)

    def test_of_numbers_are_products(self):
        _, rows = encoded(crosses=["depth:carat"])
        np.testing.assert_allclose(rows["depth:carat"], rows["depth"] * rows["carat"], atol=1e-12)

    def test_of_a_category_and_a_curve_are_curves(self):
        encoding, rows = encoded(splines={"carat": 4}, crosses=["cut:carat"])
        for name in encoding.placed[0].names:
            found = rows[f"cut=good:{name}"]
            np.testing.assert_allclose(found, rows[name] * (X["cut"] == "good"), atol=1e-15)

    def test_of_a_curve_and_a_number_are_a_weight_that_is_a_curve(self):
        encoding, rows = encoded(splines={"carat": 4}, crosses=["carat:depth"])
        for name in encoding.placed[0].names:
            np.testing.assert_allclose(
                rows[f"{name}:depth"], rows[name] * rows["depth"], atol=1e-12
            )

    def test_of_very_many_pairs_share_weights(self, monkeypatch):
        monkeypatch.setattr(crosses, "MOST_PAIRS", 4)
        monkeypatch.setattr("gradstep.data.features.terms.applied.MOST_PAIRS", 4)
        _encoding, rows = encoded(crosses=["color:cut"])
        pairs = rows[[f"color:cut#{j}" for j in range(4)]]
        assert (pairs.sum(axis=1) == 1.0).all()
        both = X["color"] + X["cut"]
        first = pairs.groupby(both).first().loc[both]
        np.testing.assert_array_equal(pairs, first)

    def test_have_nothing_of_a_level_that_training_did_not_see(self):
        encoding, _ = encoded(crosses=["color:cut", "depth:color"])
        rows = dense(encoding, TABLE.with_columns(color=pl.lit("Z")))
        assert not rows.filter(like=":").to_numpy().any()


class TestNumbers:
    def test_of_a_polynomial(self):
        _, rows = encoded(polynomials={"depth": 3})
        z = (X["depth"] - X["depth"].mean()) / X["depth"].std(ddof=0)
        for power in (2, 3):
            scaled = (z**power - (z**power).mean()) / (z**power).std(ddof=0)
            np.testing.assert_allclose(rows[f"depth^{power}"], scaled, atol=1e-9)

    def test_of_a_logarithm(self):
        _, rows = encoded(logs="carat")
        x = np.log(X["carat"])
        np.testing.assert_allclose(rows["log(carat)"], (x - x.mean()) / x.std(ddof=0), atol=1e-9)
        assert "carat" not in rows.columns


@pytest.fixture(scope="module")
def model():
    return fit_table(TABLE, "price", alpha=1e-3, validation=0.0, **ALL).model


def test_coefficients_are_in_the_columns_own_units(model):
    """A score is the sum of coefficients times features as one would write them."""
    encoding = model.encoding
    columns = dense(encoding, TABLE)
    gaps, depth = X["gaps"].fillna(X["gaps"].mean()), X["depth"]
    columns["depth"], columns["gaps is missing"] = depth, X["gaps"].isna()
    columns["depth^2"], columns["depth^3"] = depth**2, depth**3
    columns["depth:size"], columns["size"] = depth * X["size"], X["size"]
    columns["carat:gaps"] = X["carat"].clip(*_far(encoding, "carat")) * gaps.clip(
        *_far(encoding, "gaps")
    )
    for name in encoding.placed[0].names:
        columns[f"depth:{name}"] = depth * columns[name]
    for level in "DEF":
        columns[f"depth:color={level}"] = depth * (X["color"] == level)
    days = (pd.to_datetime(X["day"]) - pd.Timestamp("1970-01-01")).dt.days
    columns["day days"] = days
    assert gaps.notna().all()
    scores = columns.to_numpy(float) @ model.coef_[0] + model.intercept_[0]
    np.testing.assert_allclose(scores, model.table_scores(TABLE)[:, 0], rtol=1e-8)


def _far(encoding, column):
    knots = next(c.knots for c in encoding.placed if c.source == column)
    return 2.0 * knots[0] - knots[-1], 2.0 * knots[-1] - knots[0]


def test_importance_is_by_column_and_by_cross(model):
    found = {entry["column"]: entry["share"] for entry in importance(model)}
    assert set(found) == {"carat", "depth", "color", "cut", "gaps", "size", "day", *ALL["crosses"]}
    assert sum(found.values()) == pytest.approx(1.0)
    for column in ("carat", "depth:size"):  # a curve, and a product
        rows = dense(model.encoding, TABLE)
        own = [
            j
            for j, name in enumerate(rows)
            if name.startswith(f"{column} near") and ":" not in name
        ]
        own = own or [list(rows).index(column)]
        part = rows.to_numpy()[:, own] @ model.params[:-1][own]
        share = np.cov(part, model.table_scores(TABLE)[:, 0], ddof=0)
        assert found[column] == pytest.approx(share[0, 1] / share[1, 1], rel=1e-6)
    parts = reduce(
        lambda a, b: a | b, ({e["feature"]: e["importance"]} for e in coefficients(model))
    )
    of_cross = [share for name, share in parts.items() if name.startswith("color=") and ":" in name]
    assert sum(of_cross) == pytest.approx(abs(found["color:cut"]), rel=1e-6)
    assert sum(v for k, v in parts.items() if k.startswith("carat near") and ":" not in k) == (
        pytest.approx(abs(found["carat"]), rel=1e-6)
    )


@pytest.mark.parametrize("target", slow_unless("price".__eq__, ["price", "cut", "color"]))
def test_points_of_curves_are_differences_of_scores(target):
    """About the mean of the classes, where there are several."""
    made = {"splines": {"carat": 6, "day": 4}, "only": ["carat", "day", "size"]}
    model = fit_table(TABLE, target, validation=0.0, **made).model
    found = [entry for entry in points_of_curves(model) if entry["column"] == "carat"]
    assert len(found) == model.n_outputs
    assert len(found[0]["at"]) == 5
    one = TABLE[:1].select(pl.exclude("carat"))
    rows = one.join(pl.DataFrame({"carat": found[0]["at"]}), how="cross")
    scores = model.table_scores(rows)
    scores -= scores.mean(axis=1, keepdims=True) if model.n_outputs > 1 else 0.0
    for entry, own in zip(found, scores.T, strict=True):
        np.testing.assert_allclose(entry["adds"], own - own[2], atol=1e-9)
    words = [curve_in_words(model, entry) for entry in points_of_curves(model)]
    start = {"price": "carat: price ", "cut": "carat: the odds of ideal times ",
             "color": "carat: D times "}  # fmt: skip
    assert words[0].startswith(start[target])
    assert words[-1].startswith("day: ")
    assert " at 2026-0" in words[-1]


def test_a_model_is_kept_in_a_file(model, tmp_path):
    path = tmp_path / "model.safetensors"
    gradstep.save(model, path)
    read = gradstep.load(path)
    assert read.encoding == model.encoding
    np.testing.assert_array_equal(read.predict(TABLE), model.predict(TABLE))
    assert importance(read) == importance(model)


def _spline(content):
    return next(c for c in content["encoding"]["columns"] if c["kind"] == "SplineColumn")


@pytest.mark.parametrize("change", [
    lambda c: _spline(c).update(knots=[1.0, 1.0, 2.0]),
    lambda c: _spline(c).update(knots=[1.0]),
    lambda c: _spline(c).update(knots=["a", "b"]),
    lambda c: _spline(c).update(scale=0.0),
    lambda c: c["encoding"]["columns"].append(
        {"kind": "PairColumn", "source": "color", "other": "depth"}
    ),
    lambda c: c["encoding"]["columns"].append(
        {"kind": "SlopesColumn", "source": "nowhere", "other": "depth"}
    ),
    lambda c: c["encoding"]["columns"].append(_spline(c)),
    lambda c: c["encoding"]["columns"].insert(
        0, {"kind": "PowerColumn", "source": "depth", "power": 2, "mean": 0.0, "scale": 1.0}
    ),
    lambda c: c["training"].update(squares=[]),
])  # fmt: skip
def test_a_file_that_misstates_terms_is_refused(model, tmp_path, change):
    path = tmp_path / "model.safetensors"
    gradstep.save(model, path)
    rewritten(path, change)
    with pytest.raises(InvalidModel, match="damaged"):
        gradstep.load(path)


def test_are_prepared_in_a_folder(tmp_path):
    out = tmp_path / "prepared"
    prepare(TABLE, "price", out=out, **ALL)
    opened, kept = gradstep.open_prepared(out), prepare(TABLE, "price", **ALL)
    assert (
        opened.encoding
        == kept.encoding
        == Encoding.from_json(json.loads(json.dumps(kept.encoding.to_json())))
    )
    for name, array in zip(kept.train.rows._fields, kept.train.rows, strict=True):
        np.testing.assert_array_equal(getattr(opened.train.rows, name), array)
    places = np.lib.format.open_memmap(out / "train_places.npy", mode="r+")
    places[0, 0] = kept.encoding.n_features
    places.flush()
    with pytest.raises(InvalidTable, match="indices of features"):
        gradstep.open_prepared(out)


def test_a_table_without_terms_has_none():
    encoding, _ = encoded()
    assert not encoding.has_terms
    assert "amounts" not in encoding.layout(1)
    assert SplineColumn.__name__ not in str(encoding.to_json())


@pytest.mark.parametrize("terms, error, said", [
    ({"splines": ["carrot"]}, InvalidTable, "'carrot' is not a column.*Did you mean 'carat'"),
    ({"splines": ["color"]}, InvalidTable, "'color' of .* is a category: a spline is one of num"),
    ({"splines": {"carat": 1}}, InvalidParameter, "knots of the spline of 'carat'=1 .*>= 2"),
    ({"splines": ["price"]}, InvalidParameter, "'price' is the target: it can be in no term"),
    ({"splines": ["carat"], "drop": ["carat"]}, InvalidTable, "left out on request.*in no term"),
    ({"splines": ["carat"], "logs": ["carat"]}, InvalidParameter, "a spline and a logarithm"),
    ({"splines": ["two"]}, InvalidTable, "'two' of .* has 2 different values: a curve"),
    ({"polynomials": {"two": 2}}, InvalidTable, "2 different values, through which"),
    ({"polynomials": {"carat": 1}}, InvalidParameter, "power of 'carat'=1 .*>= 2"),
    ({"polynomials": ["carat"]}, InvalidParameter, "must have a power for each column"),
    ({"logs": ["depth0"]}, InvalidTable, "'depth0' of .* goes down to 0, of which there is no log"),
    ({"logs": ["day"]}, InvalidTable, "'day' of .* holds dates"),
    ({"crosses": ["cut:cut"]}, InvalidParameter, "A cross of 'cut' with itself.*cut:2"),
    ({"crosses": ["cut:color", "color:cut"]}, InvalidParameter, "asked for twice"),
    ({"crosses": ["a:b:c"]}, InvalidParameter, "a cross is of two columns"),
])  # fmt: skip
def test_what_cannot_be_a_term_is_refused(terms, error, said):
    table = TABLE.with_columns(
        two=(pl.col("carat") > 1.0).cast(pl.Float64), depth0=(pl.col("depth") - 50.0).clip(0.0)
    ).with_columns(depth0=pl.when(pl.col("two") == 1.0).then(0.0).otherwise(pl.col("depth0")))
    with pytest.raises(error, match=said):
        prepare(table, "price", **terms)


def test_a_value_without_a_logarithm_is_refused_when_predicting():
    model = fit_table(TABLE, "price", logs="carat", max_iter=1).model
    with pytest.raises(InvalidTable, match="'carat' has the value -1, of which there is no log"):
        model.predict(TABLE.with_columns(carat=pl.lit(-1.0)))
