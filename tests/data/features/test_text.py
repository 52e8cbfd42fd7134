"""Columns of text: the words that scikit-learn takes, weighed as it does."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from gradstep import InvalidParameter, InvalidTable, fit_table, load, prepare, save
from gradstep.data.features import text
from gradstep.data.features.encoding import Encoding
from gradstep.data.features.text import TextProfile
from tests.uncompiled import uncompiled

N = 240
RNG = np.random.default_rng(0)
WORDS = ["good", "Bad", "naïve", "at_all", "x1", "a", "É", "don't", "Straße", "日本", "(well)"]
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(0, 9))) + "!" * (k % 2) for k in range(N)]
TEXTS[7] = None
SCORE = np.array([("good" in (t or "")) - ("Bad" in (t or "")) for t in TEXTS])
TABLE = pl.DataFrame({
    "comment": TEXTS, "x": RNG.normal(size=N),
    "y": np.where(SCORE + RNG.logistic(size=N) / 3 > 0, "yes", "no"),
})  # fmt: skip
PLAIN = {"kinds": {"comment": "text"}, "alpha": 1e-3}

pytestmark = uncompiled


def profiled(texts, pieces=1):
    """Return the profile of texts that come in pieces."""
    found = None
    for part in np.array_split(np.arange(len(texts)), pieces):
        one = TextProfile("comment")
        one.add(pl.Series([texts[i] for i in part], dtype=pl.String), np.arange(part.size))
        if found is None:
            found = one
        else:
            found.merge(one, found.rows)
    return found


def dense(column, texts):
    """Return the amounts of all words, with a column for each."""
    features, amounts = column.amounts(pl.Series(texts, dtype=pl.String))
    found = np.zeros((len(texts), column.size + 1))
    np.put_along_axis(found, features, amounts, axis=1)  # -1 is the last
    return found[:, :-1]


def test_is_scikit_learns():
    theirs = TfidfVectorizer(ngram_range=(1, 2), min_df=2)
    expected = theirs.fit_transform([t or "" for t in TEXTS]).toarray()
    column = profiled(TEXTS).column_of(1 << 15)
    names = theirs.get_feature_names_out().tolist()
    assert sorted(column.words) == sorted(names)
    ours = dense(column, TEXTS)[:, [column.words.index(name) for name in names]]
    np.testing.assert_allclose(ours, expected, atol=1e-15)
    new = ["Bad, unknown", "", "good good bad"]
    ours = dense(column, new)[:, [column.words.index(name) for name in names]]
    np.testing.assert_allclose(ours, theirs.transform(new).toarray(), atol=1e-15)


@pytest.mark.parametrize("pieces", [2, 7])
def test_comes_out_the_same_in_pieces(pieces):
    one, many = profiled(TEXTS), profiled(TEXTS, pieces)
    assert one.column_of(99) == many.column_of(99)
    assert (many.missing, many.first_missing, many.rows) == (1, 7, N)


def test_words_that_share_a_bucket_count_as_one(monkeypatch):
    monkeypatch.setattr(text, "_BUCKETS", 3)
    column = profiled(TEXTS).column_of(99)
    assert column.size == 3
    assert not any(" " in word for word in column.words)  # the simplest gives the name
    amounts = dense(column, TEXTS)
    lengths = (amounts**2).sum(axis=1)
    assert np.allclose(lengths[lengths > 0.0], 1.0)
    assert profiled(TEXTS, 5).column_of(99) == column


def test_of_many_words_those_of_most_rows_are_taken_and_of_a_row_the_heaviest(monkeypatch):
    monkeypatch.setattr(text, "MOST_IN_ROW", 2)
    profile = profiled(TEXTS)
    column = profile.column_of(5)
    assert column.size == 5
    kept = {profile.names[b] for b in column.buckets}
    least = min(column.counts)
    assert all(n <= least for b, n in profile.counts.items() if profile.names[b] not in kept)
    assert column.width == 2
    assert (dense(column, TEXTS) > 0.0).sum(axis=1).max() == 2


def test_a_model_learns_them_and_reads_them_anew(tmp_path):
    TABLE.write_csv(tmp_path / "t.csv")
    fit = fit_table(tmp_path / "t.csv", "y", validation=0.0, **PLAIN)
    names = fit.prepared.feature_names
    weights = dict(zip(names, fit.model.coef_[0], strict=True))
    assert weights["comment: good"] > 0.0 > weights["comment: bad"]
    in_memory = fit_table(TABLE, "y", validation=0.0, **PLAIN).model
    assert in_memory.params.tobytes() == fit.model.params.tobytes()
    save(fit.model, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.encoding == fit.model.encoding
    for rows in (TABLE, tmp_path / "t.csv"):
        assert again.predict_proba(rows).tolist() == fit.model.predict_proba(TABLE).tolist()
    empty = TABLE["comment"].eq("").sum()  # which is missing in a CSV file
    told = f"{len(names) - 1} words and pairs of words, {empty + 1}"
    assert fit.plan.columns[0] == ("comment", "text", f"{told} missing")


def test_are_the_same_in_a_folder(tmp_path):
    rows = prepare(TABLE, "y", kinds={"comment": "text"}, out=tmp_path / "rows")
    here = prepare(TABLE, "y", kinds={"comment": "text"})
    assert rows.encoding == here.encoding
    assert rows.train.rows.places.tolist() == here.train.rows.places.tolist()
    assert rows.train.rows.amounts.tolist() == here.train.rows.amounts.tolist()


def test_a_text_without_words_is_left_out():
    table = TABLE.with_columns(comment=pl.lit("! a"))
    fit = fit_table(table, "y", **PLAIN)
    assert fit.prepared.feature_names == ["x"]
    assert "no row has a word" in str(fit.plan)


@pytest.mark.parametrize("asked, kind, words", [
    ({"kinds": {"comment": "text:0"}}, InvalidParameter, "from 1 to 131,072"),
    ({"kinds": {"comment": "text:x"}}, InvalidParameter, "no kind of column"),
    ({**PLAIN, "crosses": [("comment", "x")]}, InvalidTable, "read as words, which are in no"),
    ({**PLAIN, "splines": ["comment"]}, InvalidTable, "is no number"),
    ({**PLAIN, "nonnegative": "comment"}, InvalidParameter, "which is no number"),
])  # fmt: skip
def test_what_cannot_be_is_refused(asked, kind, words):
    with pytest.raises(kind, match=words):
        fit_table(TABLE, "y", **asked)


@pytest.mark.parametrize("change", [
    {"buckets": [5, 5]}, {"buckets": [-1, 5]}, {"counts": [0, 1]}, {"counts": [1, 99]},
    {"words": ["a"]}, {"width": 0}, {"width": 10**9}, {"buckets": [1, 1 << 21]},
    {"buckets": [1, 2.5]}, {"buckets": "ab"}, {"words": [1, 2]},
])  # fmt: skip
def test_a_forged_one_is_refused(change):
    column = {
        "kind": "TextColumn", "source": "t", "rows": 9, "width": 2, "buckets": [1, 5],
        "counts": [2, 3], "words": ["a", "b"],
    }  # fmt: skip
    good = {"columns": [column], "single": False}
    assert Encoding.from_json(json.loads(json.dumps(good))).n_features == 2
    with pytest.raises(ValueError, match=r"TextColumn|cannot be encoded"):
        Encoding.from_json({"columns": [{**column, **change}], "single": False})
