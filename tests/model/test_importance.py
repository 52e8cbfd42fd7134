"""Which columns matter: the variance of each one's part of the score, over the training rows."""

from __future__ import annotations

import shutil
from html import unescape

import numpy as np
import polars as pl
import pytest

import gradstep
from gradstep import TableClassifier, TableRegressor, fit_table
from gradstep.cli.report import console, tell_importance
from gradstep.errors import InvalidModel
from gradstep.model.coefficients import BELOW_ZERO, coefficients, importance, in_words
from tests.model.test_file import rewritten

N = 400


def _table():
    rng = np.random.default_rng(0)
    age = rng.normal(30.0, 10.0, N)
    deck = rng.choice(["a", "b", "c", "t"], N, p=[0.6, 0.3, 0.09, 0.01])
    fare = rng.gamma(2.0, 10.0, N).astype(object)
    fare[rng.random(N) < 0.2] = None
    score = -0.1 * (age - 30.0) + 2.0 * (deck == "b") + 30.0 * (deck == "t")
    return pl.DataFrame({
        "age": age, "deck": deck, "fare": pl.Series(fare.tolist(), dtype=pl.Float64),
        "start": np.datetime64("2026-01-01") + rng.integers(0, 200, N),
        "code": pl.Series(rng.integers(0, 50, N)).cast(pl.String),
        "weight": rng.integers(1, 4, N),
        "y": score + rng.normal(size=N),
        "of": np.array(["x", "y", "z"])[rng.integers(0, 3, N)],
    })  # fmt: skip


TABLE = _table()
COLUMNS = ["age", "deck", "fare", "start", "code"]
OPTIONS = {"only": COLUMNS, "kinds": {"code": "hash:6"}, "validation": 0.0}


def part(model, column):
    """Return what a column adds to the scores: its part, but for a constant."""
    same = TABLE.with_columns(pl.lit(TABLE[column][0]).cast(TABLE[column].dtype).alias(column))
    return model.table_scores(TABLE) - model.table_scores(same)


@pytest.mark.parametrize("weight", [None, "weight"])
def test_is_the_variance_of_each_part(weight):
    model = fit_table(TABLE, "y", sample_weight=weight, **OPTIONS).model
    weights = np.ones(N) if weight is None else TABLE[weight].to_numpy()
    score = model.table_scores(TABLE)[:, 0]
    found = {entry["column"]: entry for entry in importance(model)}
    for column in COLUMNS:
        both = np.cov(part(model, column)[:, 0], score, aweights=weights, ddof=0)
        assert found[column]["share"] == pytest.approx(both[0, 1] / both[1, 1], rel=1e-6)
        assert abs(found[column]["deviation"]) == pytest.approx(np.sqrt(both[0, 0]), rel=1e-6)
    assert [found[c]["sign"] for c in ("age", "deck", "start", "code")] == [-1, 0, 0, 0]
    assert found["age"]["deviation"] < 0.0 < found["deck"]["deviation"]
    shares = [entry["share"] for entry in importance(model)]
    assert shares == sorted(shares, key=abs, reverse=True)
    assert sum(shares) == pytest.approx(1.0)
    deviation = np.sqrt(np.cov(TABLE["age"], aweights=weights, ddof=0))
    own = next(c for c in coefficients(model) if c["feature"] == "age")["coefficient"]
    assert found["age"]["deviation"] == pytest.approx(own * deviation, rel=1e-6)


def test_below_zero_is_explained(capsys):
    """Each by itself says much, and together they cancel: the smaller one's share is below 0."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=400)
    b = a + 0.3 * rng.normal(size=400)
    model = fit_table(pl.DataFrame({"a": a, "b": b, "y": 2.0 * a - b}), "y", penalty=None).model
    assert min(entry["share"] for entry in importance(model)) < 0.0
    tell_importance(console(), importance(model))
    assert BELOW_ZERO in " ".join(capsys.readouterr().out.split())
    assert BELOW_ZERO in unescape(gradstep.report(model).html)
    alone = fit_table(pl.DataFrame({"a": a, "y": b}), "y", penalty=None).model
    assert BELOW_ZERO not in unescape(gradstep.report(alone).html)


@pytest.mark.slow
def test_of_several_classes_is_about_their_mean():
    model = fit_table(TABLE, "of", **OPTIONS).model
    scores = model.table_scores(TABLE)
    scores -= scores.mean(axis=1, keepdims=True)
    scores -= scores.mean(axis=0)
    for entry in importance(model):
        parts = part(model, entry["column"])
        parts -= parts.mean(axis=1, keepdims=True)
        assert entry["share"] == pytest.approx((parts * scores).sum() / (scores**2).sum(), rel=1e-6)
        assert list(entry["classes"]) == ["x", "y", "z"]
        np.testing.assert_allclose(np.abs(list(entry["classes"].values())), parts.std(axis=0))
    signs = np.sign(model.coef_[:, 0] - model.coef_[:, 0].mean())
    age = next(entry for entry in importance(model) if entry["column"] == "age")
    assert np.sign(list(age["classes"].values())).tolist() == signs.tolist()
    table = TableClassifier(only=COLUMNS).fit(TABLE, "of").importance()
    assert table.columns == ["column", "share", "x", "y", "z"]


def test_columns_that_cancel_have_little():
    rng = np.random.default_rng(1)
    apart = rng.normal(size=(N, 3))
    x, z, c = np.sqrt(N) * np.linalg.qr(apart - apart.mean(axis=0))[0].T  # uncorrelated
    table = pl.DataFrame({"a": 10.0 * x, "b": 10.0 * x + 0.1 * z, "c": c})
    table = table.with_columns(y=10.0 * pl.col("a") - 10.0 * pl.col("b") + 2.0 * pl.col("c"))
    noisy = table.with_columns(pl.col("y") + rng.normal(size=N) * 0.1)
    model = fit_table(noisy, "y", alpha=1e-9, validation=0.0).model
    found = {entry["column"]: entry for entry in importance(model)}
    assert next(iter(found)) == "c"
    assert 0.6 < found["c"]["share"] < 0.95
    assert min(abs(found[name]["deviation"]) for name in "ab") > 20.0 * found["c"]["deviation"]


def test_in_chunks(monkeypatch):
    whole = importance(fit_table(TABLE, "y", sample_weight="weight", **OPTIONS).model)
    monkeypatch.setattr("gradstep.model.training_rows._CHUNK_NUMBERS", 300)
    parts = importance(fit_table(TABLE, "y", sample_weight="weight", **OPTIONS).model)
    for one, other in zip(whole, parts, strict=True):
        assert one.pop("column") == other.pop("column")
        assert one == pytest.approx(other, rel=1e-9)


def test_features_have_what_is_theirs():
    model = fit_table(TABLE, "y", only=["age", "deck", "fare"], validation=0.0).model
    each = {c["feature"]: c["importance"] for c in coefficients(model)}
    shares = {entry["column"]: entry["share"] for entry in importance(model)}
    assert sum(each.values()) == pytest.approx(1.0)
    assert sum(v for k, v in each.items() if k.startswith("deck")) == pytest.approx(shares["deck"])
    assert each["fare"] + each["fare is missing"] == pytest.approx(shares["fare"])


def test_a_rare_level_is_not_the_first_and_is_told_against_the_most_frequent():
    table = TABLE.with_columns(y=pl.col("y") - 26.0 * (pl.col("deck") == "t"))
    model = fit_table(table, "y", only=["age", "deck"], validation=0.0).model
    found = coefficients(model, references=False)
    largest = max(found, key=lambda entry: abs(entry["coefficient"]))
    assert largest["feature"] == "deck=t"  # the four passengers of the titanic's deck
    assert [entry["feature"] for entry in found][:2] == ["age", "deck=b"]
    assert {entry.get("against") for entry in found} == {None, "deck=a"}
    own = dict(zip(model.encoding.feature_names(), model.coef_[0], strict=True))
    for entry in found[1:]:
        assert entry["difference"] == own[entry["feature"]] - own["deck=a"]
    words = in_words(model, found[1])
    assert words == f"deck=b adds {own['deck=b'] - own['deck=a']:.4g} to y, against deck=a"
    whole = [entry["feature"] for entry in coefficients(model)]
    assert sorted(whole) == sorted(own)


def test_is_kept_in_the_file(tmp_path):
    model = TableRegressor(**OPTIONS).fit(TABLE, "y")
    model.save(tmp_path / "m")
    again = TableRegressor.load(tmp_path / "m")
    assert again.importance().equals(model.importance())
    assert again.coefficients().equals(model.coefficients())
    assert again.importance()["column"][0] == "deck"


def test_files_from_before_it_was_kept(tmp_path):
    model = fit_table(TABLE, "y", **OPTIONS).model
    gradstep.save(model, tmp_path / "m")
    rewritten(tmp_path / "m", lambda content: content.update(format=1), without=["training"])
    old = gradstep.load(tmp_path / "m")
    assert old.training is None
    assert old.predict(TABLE).tolist() == model.predict(TABLE).tolist()
    assert importance(old) == []
    sizes = [entry["importance"] for entry in coefficients(old)]
    assert sizes == sorted(sizes, reverse=True)
    assert not any("against" in entry for entry in coefficients(old))
    with pytest.raises(InvalidModel, match="importance of columns is not known"):
        TableRegressor.load(tmp_path / "m").importance()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A model's file."""
    path = tmp_path_factory.mktemp("models") / "m"
    gradstep.save(fit_table(TABLE, "y", **OPTIONS).model, path)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: kept["constant"].append(1.0),
        lambda kept: kept["deviations"].pop(),
        lambda kept: kept["levels"].pop(),
        lambda kept: kept["levels"][0].append(0.5),
        lambda kept: kept["variances"].pop(),
        lambda kept: kept["covariances"][0].append(0.5),
        lambda kept: kept.update(constant=[None]),
        lambda kept: kept.update(constant=["1"]),
        lambda kept: kept.pop("levels"),
    ],
)
def test_what_is_not_of_the_model_is_refused(written, tmp_path, change):
    shutil.copy(written, tmp_path / "m")
    rewritten(tmp_path / "m", lambda content: change(content["training"]))
    with pytest.raises(InvalidModel, match="lacks or misstates something"):
        gradstep.load(tmp_path / "m")


def test_numbers_of_a_file_are_numbers_of_arrays():
    model = fit_table(TABLE, "y", **OPTIONS, inference="none").model
    told = model.training.to_json()
    first, *rest = told["deviations"]
    for given, kept in ((10**40, 1e40), (first, first)):
        content = {**told, "deviations": [given, *rest]}
        found = type(model.training).from_json(content, model.encoding, 1)
        assert found.deviations == (kept, *rest)
        assert {type(x) for x in found.deviations} == {float}
    with pytest.raises(ValueError, match="not of this model"):
        type(model.training).from_json({**told, "deviations": [10**400, *rest]}, model.encoding, 1)
