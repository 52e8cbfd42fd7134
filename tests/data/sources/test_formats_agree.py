"""The same table gives the same features and the same model, whatever format it comes in."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import polars as pl
import pytest

import gradstep as gs

N = 150
RNG = np.random.default_rng(5)
TABLE = pl.DataFrame({
    "x": RNG.normal(size=N).round(3),
    "n": RNG.integers(0, 9, N),
    "colour": RNG.choice(["red", "green", None], N).tolist(),
    "paid": [i % 3 == 0 for i in range(N)],
    "day": pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 5, 29), eager=True),
    "at": pl.datetime_range(
        pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 7, 5), "1h", eager=True
    ),
    "utc": pl.datetime_range(
        pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 7, 5), "1h", eager=True, time_zone="UTC"
    ),
    "start": pl.Series([f"{i % 24:02}:{i % 60:02}:00" for i in range(N)]).str.to_time("%H:%M:%S"),
    "price": [f"${1000 + 7 * i:,}.50" for i in range(N)],
    "y": RNG.normal(size=N).round(3),
})  # fmt: skip
WRITERS = {
    "t.csv": lambda frame, path: frame.write_csv(path),
    "t.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "t.parquet": lambda frame, path: frame.write_parquet(path),
    "t.arrow": lambda frame, path: frame.write_ipc(path),
    "t.ndjson": lambda frame, path: frame.write_ndjson(path),
}


def digest(fit):
    """Return the SHA-256 of what a model computes with: all but how text was written."""
    encoding = fit.model.encoding.to_json()
    encoding.pop("formats", None)
    content = json.dumps([encoding, fit.model.target.to_json()]).encode()
    return hashlib.sha256(content + fit.model.params.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """The path of each format, and the model that it gives."""
    folder = tmp_path_factory.mktemp("formats")
    found = {}
    for name, write in WRITERS.items():
        write(TABLE, folder / name)
        found[name] = folder / name, gs.fit_table(folder / name, "y", max_iter=2)
    return found


@pytest.mark.parametrize("name", WRITERS)
def test_models_are_the_same(fits, name):
    expected = digest(gs.fit_table(TABLE, "y", max_iter=2))
    assert digest(fits[name][1]) == expected


@pytest.mark.parametrize("trained", WRITERS)
@pytest.mark.parametrize("asked", WRITERS)
def test_predictions_are_the_same(fits, trained, asked):
    """A model of one format reads the others."""
    model, path = fits[trained][1].model, fits[asked][0]
    np.testing.assert_array_equal(model.predict(path), model.predict(TABLE))
    assert gs.evaluate(model, path) == gs.evaluate(model, TABLE)


@pytest.mark.parametrize("trained", ["t.csv", "t.parquet"])
def test_times_of_day_are_the_same_number(fits, trained, tmp_path):
    """To the last bit: 08:08 is 29,280 seconds, and not 4e-12 more."""
    model = fits[trained][1].model
    times = pl.datetime_range(
        pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 2), "61s", eager=True, closed="left"
    ).dt.time()
    table = TABLE[:1].select(pl.all().repeat_by(times.len()).explode()).with_columns(start=times)
    table.write_ndjson(tmp_path / "t.ndjson")
    np.testing.assert_array_equal(model.predict(tmp_path / "t.ndjson"), model.predict(table))


@pytest.mark.parametrize("folder", ["x=3", "region=5"])
def test_folders_above_a_file_are_no_columns(tmp_path, folder):
    """Neither in place of the file's own, nor beside them: as of other formats."""
    home = tmp_path / folder
    home.mkdir()
    TABLE.write_parquet(home / "t.parquet")
    for source in (home / "t.parquet", home, tmp_path / folder / "*.parquet"):
        prepared = gs.prepare(source, "y")
        assert prepared.encoding == gs.prepare(TABLE, "y").encoding
    below = [c.source for c in gs.prepare(tmp_path, "y").encoding.columns]
    # a folder below what is named is a column
    assert ("region" in below) == (folder == "region=5")
    assert gs.prepare(tmp_path, "y", kinds={}).encoding.numbers[0].mean == pytest.approx(
        TABLE["x"].mean()
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "ndjson"])
class TestFilesOfOneTable:
    def test_go_by_the_names_of_their_columns(self, tmp_path, suffix):
        write = WRITERS[f"t.{suffix}"]
        write(TABLE[:50].select(reversed(TABLE.columns)), tmp_path / f"a.{suffix}")
        write(TABLE[50:100].drop("n"), tmp_path / f"b.{suffix}")
        write(TABLE[100:], tmp_path / f"c.{suffix}")
        prepared = gs.prepare(tmp_path, "y")
        gone = TABLE.with_columns(
            n=pl.Series([None if 50 <= i < 100 else n for i, n in enumerate(TABLE["n"])])
        ).select(reversed(TABLE.columns))
        expected = gs.prepare(gone, "y")
        assert prepared.encoding.columns == expected.encoding.columns
        ours, theirs = prepared.train.rows, expected.train.rows
        np.testing.assert_array_equal(ours.values, theirs.values)
        np.testing.assert_array_equal(ours.codes, theirs.codes)
        lacking, order = prepared.meta["warnings"][:2]
        assert "1 of 3 files lacks the column 'n'" in lacking
        assert f"b.{suffix}" in lacking
        assert "another order in 2 of 3 files" in order

    def test_that_are_no_table(self, tmp_path, suffix):
        write = WRITERS[f"t.{suffix}"]
        write(TABLE[:50], tmp_path / f"a.{suffix}")
        write(TABLE[50:].rename({"n": "m"}), tmp_path / f"b.{suffix}")
        with pytest.raises(gs.InvalidTable, match="does not have the columns of"):
            gs.prepare(tmp_path, "y")
