"""Damaged Arrow and Parquet files: a typed error, from a process that goes on."""

from __future__ import annotations

import datetime as dt
import os
import random
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from gradstep import InvalidTable, prepare
from gradstep.data.sources.arrow_check import is_damaged_arrow
from gradstep.data.sources.opening import open_table
from gradstep.data.sources.parquet_check import is_damaged_parquet

N = 300
PACKED = ("uncompressed", "lz4", "zstd")
FRAME = pl.DataFrame({
    "x": [float(i) if i % 5 else None for i in range(N)],
    "text": ["ab"[i % 2] * (i % 20) for i in range(N)],
    "level": pl.Series(["pq"[i % 2] for i in range(N)], dtype=pl.Categorical),
    "day": [dt.date(2020, 1, 1) + dt.timedelta(i) for i in range(N)],
    "list": [[i, i + 1] for i in range(N)],
    "truth": [i % 3 == 0 for i in range(N)],
    "none": [None] * N,
    "same": ["a" * 500] * N,
})  # fmt: skip
READ = """
import sys
from gradstep import InvalidTable
from gradstep.data.sources.opening import open_table
for path in sys.argv[1:]:
    try:
        for _ in open_table(path).chunks():
            pass
    except InvalidTable as error:
        assert path in str(error)
    print(path)
"""


def damaged(content, seed):
    """Return the content with a byte changed, mostly where a file describes itself."""
    rng, content = random.Random(seed), bytearray(content)  # noqa: S311
    at = len(content) - rng.randrange(1, 3000) if seed % 2 else rng.randrange(len(content))
    content[at] ^= 1 << rng.randrange(8)
    return bytes(content)


class TestArrow:
    @pytest.mark.parametrize("packed", PACKED)
    @pytest.mark.parametrize("rows", [0, 1, N])
    def test_whole_files_are_not_refused(self, tmp_path, packed, rows):
        path = tmp_path / "t.arrow"
        FRAME.head(rows).write_ipc(path, compression=packed)
        assert not is_damaged_arrow(path)
        pl.concat([FRAME] * 3, rechunk=False).write_ipc(path, compression=packed)
        assert not is_damaged_arrow(path)

    @pytest.mark.parametrize("packed", ["lz4", "zstd"])
    def test_a_length_that_cannot_be(self, tmp_path, packed):
        """A terabyte in a buffer of some bytes: Polars would end the process."""
        path = tmp_path / "t.arrow"
        FRAME.select("same").write_ipc(path, compression=packed)
        content = path.read_bytes()
        known = (N * 16).to_bytes(8, "little")  # of the views, 16 bytes a row
        assert content.count(known) >= 1
        path.write_bytes(content.replace(known, (1 << 40).to_bytes(8, "little")))
        with pytest.raises(InvalidTable, match=r"t\.arrow is no ipc file, or a damaged one: it "):
            open_table(path)

    def test_what_is_none_is_left_to_polars(self, tmp_path):
        for content in (b"", b"ARROW1", b"x" * 100, b"ARROW1\0\0" + b"x" * 100):
            (tmp_path / "t.arrow").write_bytes(content)
            with pytest.raises(InvalidTable, match=r"t\.arrow is (no ipc file|empty)"):
                open_table(tmp_path / "t.arrow")

    def test_parts_that_lie_outside(self, tmp_path):
        path = tmp_path / "t.arrow"
        FRAME.write_ipc(path)
        content = path.read_bytes()
        path.write_bytes(content[:64] + content[-1500:])  # the footer of a longer file
        assert is_damaged_arrow(path)


class TestParquet:
    @pytest.mark.parametrize("packed", ["uncompressed", "snappy", "gzip", "zstd"])
    @pytest.mark.parametrize("rows", [0, 1, N])
    def test_whole_files_are_not_refused(self, tmp_path, packed, rows):
        path = tmp_path / "t.parquet"
        for options in ({}, {"row_group_size": 70, "data_page_size": 200}):
            FRAME.head(rows).write_parquet(path, compression=packed, **options)
            assert not is_damaged_parquet(path)

    @pytest.mark.parametrize(
        "claim",
        [
            b"\x15\xd9\x04",  # -301 values in a page: Polars would end the process
            b"\x15\xd9\x84\x80\x80\x08",
            b"\x15\xff\xff\xff\xff\x0f",  # and very many
            b"\x15\xfe\xff\xff\xff\x0f",
            b"\x15\xd6\x04",  # one less than the column has
        ],
    )
    def test_a_page_that_claims_what_cannot_be(self, tmp_path, claim):
        path, known = tmp_path / "t.parquet", b"\x15\xd8\x04"  # 300 in a field of 32 bits
        pl.DataFrame({"x": [float(i) for i in range(N)]}).write_parquet(path)
        content = path.read_bytes()
        assert known in content[:40]
        path.write_bytes(content.replace(known, claim, 1))
        with pytest.raises(
            InvalidTable, match=r"t\.parquet is no parquet file, or a damaged .* it "
        ):
            open_table(path)

    def test_structures_without_end(self, tmp_path):
        """Nor numbers, nor places before the file: an error, no exception of another kind."""
        for footer in (b"\x1c" * 5000, b"\xff" * 50, b"", b"\x00", b"\x19\xfc\xff\xff\xff\xff\x0f"):
            (tmp_path / "t.parquet").write_bytes(
                b"PAR1" + b"\0" * 10 + footer + len(footer).to_bytes(4, "little") + b"PAR1"
            )
            assert is_damaged_parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize("kind", [*PACKED, "parquet"])
def test_damage_never_ends_the_process(tmp_path, kind):
    if kind == "parquet":
        FRAME.drop("level").write_parquet(tmp_path / "t.parquet")
    else:
        FRAME.write_ipc(tmp_path / "t.arrow", compression=kind)
    (whole,) = tmp_path.iterdir()
    content = whole.read_bytes()
    paths = [whole.with_stem(f"d{seed}") for seed in range(150)]
    for seed, path in enumerate(paths):
        path.write_bytes(damaged(content, seed))
    found = subprocess.run(
        [sys.executable, "-c", READ, *map(str, paths)],
        env={**os.environ, "RUST_BACKTRACE": "0"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, len(found.stdout.splitlines())) == (0, len(paths)), found.stderr


def test_a_panic_of_polars_is_a_damaged_file(tmp_path, monkeypatch):
    FRAME.write_ipc(tmp_path / "t.arrow")

    def panics(*_arguments, **_keywords):
        msg = "called `Option::unwrap()` on a `None` value"
        raise pl.exceptions.PanicException(msg)

    table = open_table(tmp_path / "t.arrow")
    monkeypatch.setattr(pl.LazyFrame, "collect_batches", panics)
    with pytest.raises(InvalidTable, match=r"t\.arrow cannot be read: called"):
        list(table.chunks())
    monkeypatch.setattr(pl, "scan_ipc", panics)
    with pytest.raises(InvalidTable, match="or a damaged one: called"):
        open_table(tmp_path / "t.arrow")


class TestPipes:
    @pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.svm"])
    def test_are_refused(self, tmp_path, name):
        """Nobody writes to it: opened, it would be waited for without end."""
        os.mkfifo(tmp_path / name)
        with pytest.raises(
            InvalidTable, match=rf"{name} is a pipe or a device.*Write it to a file"
        ):
            prepare(tmp_path / name, "label" if name == "t.svm" else "y")

    def test_of_a_shell(self):
        with pytest.raises(InvalidTable, match="is a pipe or a device"):
            open_table(Path("/dev/null"))
