"""Columns of text: the words that scikit-learn takes, weighed as it does."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from gradstep import InvalidParameter, InvalidTable, fit_table, load, prepare, save
from gradstep.data.features import encoding, text
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


def test_words_of_little_text_are_in_memory_together(monkeypatch):
    """They take a hundred times what the text takes, and rows may have much of it."""
    whole = profiled(TEXTS)
    sizes, words_of = [], text.words_of

    def noted(piece):
        sizes.append(int(piece.str.len_bytes().sum()))
        return words_of(piece)

    monkeypatch.setattr(text, "words_of", noted)
    monkeypatch.setattr(text, "_PIECE_BYTES", 100)
    column = profiled(TEXTS, 3).column_of(99)
    longest = max(len((each or "").encode()) for each in TEXTS)
    assert column == whole.column_of(99)
    assert dense(column, TEXTS).tolist() == dense(whole.column_of(99), TEXTS).tolist()
    assert sum(sizes) == 3 * sum(len((each or "").encode()) for each in TEXTS)
    assert max(sizes) < 100 + longest


def test_the_beginning_of_a_long_text_counts(monkeypatch):
    monkeypatch.setattr(text, "LONGEST_TEXT", 9)
    column = profiled(["good bad much longer", "good"]).column_of(99)
    assert sorted(column.words) == ["good"]
    alone = profiled(["good bad much longer"]).column_of(99)
    assert sorted(alone.words) == ["bad", "good", "good bad"]


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
    others = profile.words.filter(~pl.col("bucket").is_in(column.buckets))
    assert others["rows"].max() <= min(column.counts)
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


def test_rows_with_many_words_are_encoded_in_pieces(monkeypatch, tmp_path):
    """A row may have 256 words of each column: of 65,536 rows that are gigabytes."""

    def made():
        here, there = prepare(TABLE, "y", **asked), prepare(TABLE, "y", out=tmp_path / "p", **asked)
        parts = [part for rows in (here, there) for part in (rows.train, rows.validation)]
        arrays = [(p.rows.values, p.rows.places, p.rows.amounts, p.targets()) for p in parts]
        shutil.rmtree(tmp_path / "p")
        return [array.tobytes() for each in arrays for array in each]

    asked = {"kinds": {"comment": "text"}, "validation": 0.3}
    model = fit_table(TABLE, "y", max_iter=1, alpha=1e-3, kinds=asked["kinds"]).model
    whole, scores, sizes = made(), model.table_scores(TABLE), []
    monkeypatch.setattr(encoding, "_MOST_BYTES", 1000)
    encode = Encoding.encode

    def noted(self, frame, *others):
        sizes.append(frame.height * self.row_bytes)
        return encode(self, frame, *others)

    monkeypatch.setattr(Encoding, "encode", noted)
    assert made() == whole
    assert model.table_scores(TABLE).tobytes() == scores.tobytes()
    assert len(sizes) > 20
    assert max(sizes) <= 1000


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
