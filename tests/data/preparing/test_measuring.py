"""Statistics that are kept with prepared rows are those that a fit would measure, to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from gradstep import InvalidTable, fit_table, open_prepared, prepare
from gradstep.engine.statistics import columns_of
from gradstep.rows import shards
from tests.data.cases import numbered
from tests.data.preparing.test_claims import forge, read

N = 1500
FIELDS = ("weight", "mean", "square", "low", "high")


@pytest.fixture(autouse=True)
def _many_shards(monkeypatch):
    monkeypatch.setattr(shards, "_SHARD_BYTES", 1 << 11)
    monkeypatch.setattr(shards, "_NUMBERS_A_FEATURE", 0.1)


def frame():
    """Return numbers of unlike spread, one with gaps, and weights."""
    rng = np.random.default_rng(0)
    X = rng.standard_t(3, size=(N, 3)) * [1.0, 1e-6, 1e6]
    gaps = pl.Series([None if i % 7 == 0 else float(x) for i, x in enumerate(X[:, 2])])
    y = X[:, 0] + 1e6 * X[:, 1] + rng.normal(size=N)
    return pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": gaps, "w": rng.integers(0, 3, N), "y": y})


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


def without(prepared):
    """Return a prepared table as if nothing had been kept."""
    return replace(prepared, train=replace(prepared.train, columns=None))


@pytest.mark.parametrize(
    "kind, options",
    [(pl.Float64, {}), (pl.Float64, {"sample_weight": "w"}), (pl.Float32, {"drop": ["w"]})],
)
def test_are_what_a_fit_would_measure(tmp_path, kind, options):
    table = frame().with_columns(pl.col("a", "b", "c", "y").cast(kind))
    here = prepare(table, "y", **options)
    assert len(here.train.shards()) > 8
    for prepared in (here, prepare(table, "y", out=tmp_path / "t", **options)):
        assert same(prepared.train.columns, columns_of(without(prepared).train))
        assert prepared.validation.columns is None
    again = open_prepared(tmp_path / "t")
    assert same(again.train.columns, here.train.columns)


def test_a_part_of_the_rows_has_none():
    train = prepare(frame(), "y", validation=0.0).train
    at = np.arange(10, dtype=np.uint32)
    for part in (train.part(0, 10), train.select(at), train.select(at).part(0, 5)):
        assert part.columns is None
    assert train.permuted(at).columns is None


def test_rows_of_categories_have_none():
    assert prepare(numbered(60), "y").train.columns is None


def test_a_fit_has_the_same_bits_and_a_pass_less():
    prepared = prepare(frame(), "y", validation=0.0)
    how = {"alpha": 1e-4, "inference": "none"}
    kept, measured = (fit_table(each, **how) for each in (prepared, without(prepared)))
    assert kept.model.params.tobytes() == measured.model.params.tobytes()
    assert [r.passes for r in kept.history] == [1.0]  # the Hessian at the start
    assert [r.passes for r in measured.history] == [2.0]


def test_a_folder_of_before_is_measured_by_the_fit(tmp_path):
    kept = prepare(frame(), "y", out=tmp_path / "t", validation=0.0)
    meta = read(tmp_path / "t")
    del meta["statistics"]
    forge(tmp_path / "t", meta)
    before = open_prepared(tmp_path / "t")
    assert before.train.columns is None
    assert same(columns_of(before.train), kept.train.columns)


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": [0.0]}, {"mean": [[0.0] * 5]}, {"mean": {"a": 1}}, {"mean": "x"},
        {"square": [-1.0] * 5}, {"high": [-1e300] * 5}, {"low": [float("nan")] * 5},
        {"weight": 0.0}, {"weight": "x"}, {"weight": float("inf")}, {"weight": None},
    ],
)  # fmt: skip
def test_what_no_numbers_have_is_refused(tmp_path, changes):
    prepare(frame(), "y", out=tmp_path / "t")
    meta = read(tmp_path / "t")
    meta["statistics"] |= changes
    forge(tmp_path / "t", meta)
    with pytest.raises(InvalidTable, match="lacks or misstates something"):
        open_prepared(tmp_path / "t")
