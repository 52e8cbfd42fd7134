"""How far in its files a table has been read, beside where rows lie in them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile

import numpy as np
import polars as pl
import pytest

from gradstep import prepare
from gradstep.data.sources import position
from gradstep.data.sources.opening import open_table
from gradstep.data.sources.position import Position

N = 3000
RNG = np.random.default_rng(0)
FRAME = pl.DataFrame({"x": RNG.normal(size=N), "y": RNG.normal(size=N), "text": ["abc"] * N})
ROWS = (0, 1, 500, 1500, 2999)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(position, "_BLOCK_BYTES", 4096)
    monkeypatch.setattr("gradstep.data.sources.text_files._SCAN_BYTES", 1 << 13)


def starts(text):
    """Return where in it each row begins."""
    lengths = [len(line) for line in text.splitlines(keepends=True)]
    return np.cumsum([0, *lengths])


@pytest.mark.parametrize("suffix", [".csv", ".ndjson"])
def test_of_text_it_is_where_the_rows_end(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    FRAME.write_csv(path) if suffix == ".csv" else FRAME.write_ndjson(path)
    ends = starts(path.read_bytes())[int(suffix == ".csv") :]
    at = Position(open_table(path))
    assert at.size == path.stat().st_size == ends[N]
    for row in ROWS:
        assert abs(at.of_rows(row) - ends[row]) < 40  # a row, or so
    assert at.of_rows(N) == at.size


def test_of_several_files_those_before_count(tmp_path):
    for k in range(3):
        FRAME[k * 1000 : k * 1000 + 1000].write_csv(tmp_path / f"{k}.csv")
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    at = Position(open_table(tmp_path))
    assert at.of_rows(1000) == sizes[0]
    assert abs(at.of_rows(1500) - sizes[0] - sizes[1] / 2) < 200
    assert at.of_rows(2999) <= at.of_rows(3000) == sum(sizes) == at.size


@pytest.mark.parametrize("packed", [".gz", ".bz2", ".xz", ".zip", ".zst"])
def test_of_what_is_packed_it_is_of_the_packed_bytes(tmp_path, packed):
    path, told = tmp_path / f"t.csv{packed}", []
    many = pl.concat([FRAME] * 20)  # Python 3.12 reads 128 KiB of a .gz file at once
    text = many.write_csv().encode()
    if packed == ".zst":
        pl.read_csv(text).lazy().sink_csv(path, compression="zstd", check_extension=False)
    elif packed == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", text)
    else:
        pack = {".gz": gzip, ".bz2": bz2, ".xz": lzma}[packed]
        path.write_bytes(pack.compress(text))
    table = open_table(path, told=lambda *what: told.append(what))
    size = path.stat().st_size
    assert {(what, of) for what, _, of in told} == {("unpacking", size)}
    done = [bytes_ for _, bytes_, _ in told]
    assert done == sorted(done)
    assert done[-1] <= size
    at = Position(table)
    assert at.size == size
    assert abs(at.of_rows(many.height // 2) / size - 0.5) < 0.1
    assert at.of_rows(many.height) == size


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_of_other_formats_it_is_a_share_by_rows(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    FRAME.write_parquet(path) if suffix == ".parquet" else FRAME.write_ipc(path)
    at = Position(open_table(path))
    assert at.of_rows(N // 4) == pytest.approx(at.size / 4, abs=1)
    assert Position(open_table(FRAME)).size == 0


class Told:
    """A `progress` that wants positions."""

    def __init__(self):
        self.shown, self.at = [], (0, 0)

    def position(self, done, size):
        self.at = done, size

    def __call__(self, what, rows):
        self.shown.append((what, rows, *self.at))


def test_is_told_while_a_table_is_prepared(tmp_path):
    path, told = tmp_path / "t.csv.xz", Told()
    path.write_bytes(lzma.compress(FRAME.write_csv().encode()))
    prepare(path, "y", progress=told)
    size = path.stat().st_size
    assert [what for what, *_ in told.shown] == ["unpacking", "reading", "encoding"]
    assert told.shown[1] == ("reading", N, size, size)


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_is_told_of_sparse_text(tmp_path, monkeypatch, packed):
    monkeypatch.setattr("gradstep.data.sources.svmlight._BLOCK_BYTES", 1 << 12)
    path, told = tmp_path / f"t.svm{packed}", Told()
    text = "".join(f"{x:.6f} 1:{y:.6f} 7:1\n" for x, y, _ in FRAME.iter_rows()).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    prepare(path, "label", progress=told)
    reading = [shown for shown in told.shown if shown[0] == "reading"]
    size = path.stat().st_size
    assert reading[-1] == ("reading", N, size, size)
    assert packed or 0 < reading[0][2] < size / 5
