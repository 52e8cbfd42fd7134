"""Damaged files, and such as claim more than they hold: a typed error, soon, in little memory."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gradstep import InvalidTable, fit_table, prepare
from gradstep.data.sources import svmlight, text_files

ROWS = b"x,y\n" + b"".join(b"%d,%d\n" % (i, i % 7) for i in range(2_000))
SPARSE = b"".join(b"%d 1:%d 2:3\n" % (i % 2, i) for i in range(2_000))


def refused(path, says, target="y"):
    with pytest.raises(InvalidTable, match=says):
        prepare(path, target, validation=0.0)


class TestNames:
    @pytest.mark.parametrize("suffix", [".csv", ".svm"])
    @pytest.mark.parametrize(
        "name, says",
        [
            ("~nobody-of-that-name/x", "'~nobody-of-that-name/x.*' cannot be opened: Could not"),
            ("a" * 5000, "'aaaa.*…' cannot be opened: File name too long"),
            ("a\0b", "cannot be opened: the name has a NUL"),
            (
                os.fsdecode(b"n\xff"),
                r"'n\\udcff.*' cannot be opened: the name is not UTF-8. Rename",
            ),
        ],
        ids=["no user", "too long", "NUL", "not UTF-8"],
    )
    def test_that_no_file_can_have(self, name, says, suffix, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        if "xff" in says or "udc" in says:
            (tmp_path / f"{name}{suffix}").write_bytes(ROWS)
        refused(name + suffix, says, "y" if suffix == ".csv" else "label")

    def test_in_a_folder_or_a_pattern(self, tmp_path):
        (tmp_path / os.fsdecode(b"n\xff.csv")).write_bytes(ROWS)
        refused(tmp_path, "the name is not UTF-8")
        refused(str(tmp_path / "*.csv"), "the name is not UTF-8")
        refused("*" * 5000 + ".csv", "File name too long")


class TestText:
    @pytest.fixture
    def write(self, tmp_path):
        def write(content, name="t.csv"):
            (tmp_path / name).write_bytes(content)
            return tmp_path / name

        return write

    def test_lines_that_end_with_cr_alone(self, write):
        refused(write(b"x,y\r1,2\r3,4\r"), r"t\.csv ends its lines with CR alone.*Convert it")
        refused(write(b"x,y\n1,2\r3,4\r"), r"t\.csv, line 2: the row has 3 fields")

    def test_a_name_of_very_many_characters(self, write):
        refused(write(b"x" * 200_000 + b",y\n1,2\n"), "line 1: a column has a name of more than")

    def test_a_cell_of_very_many_characters_before_what_is_wrong(self, write):
        rows = b"x,y,t\n" + b"1,2,a\n" * 12_000 + b'2,3,"' + b"q" * 200_000 + b'"\nz,3,b\n'
        refused(write(rows), r"t\.csv, line 12003: column 'x' has the value 'z'")

    def test_a_stray_quote_in_the_header(self, write):
        """All of the file is one name then; each line was counted again for each."""
        path = write(b'x,"y\n' + b"1,2\n" * 400_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        refused(path, "a column has a name of more than")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10.0

    @pytest.mark.parametrize("pack", [gzip.compress, bytes])
    def test_a_header_that_does_not_end(self, write, monkeypatch, pack):
        monkeypatch.setattr(text_files, "LONGEST_LINE", 1 << 16)
        name = "t.csv.gz" if pack is gzip.compress else "t.csv"
        refused(write(pack(b"x" * (1 << 17)), name), "line 1: the row that begins there is longer")
        refused(write(pack(b'x,"y\n' + b"1,2\n" * (1 << 15)), name), "line 1: the row that begins")

    def test_a_packed_row_that_does_not_end(self, write, monkeypatch):
        monkeypatch.setattr(text_files, "LONGEST_LINE", 1 << 16)
        monkeypatch.setattr(text_files, "_SCAN_BYTES", 1 << 12)
        for row in (b"a" * (1 << 18), b'1,"' + b"1,2\n" * (1 << 17)):
            path = write(gzip.compress(b"x,y\n" + b"1,2\n" * 5000 + row), "t.csv.gz")
            refused(path, "line 5002: the row that begins there is longer than 0 MB")

    def test_rows_of_any_length_that_end(self, write, monkeypatch):
        """Many of them are no long one."""
        monkeypatch.setattr(text_files, "LONGEST_LINE", 1 << 10)
        monkeypatch.setattr(text_files, "_SCAN_BYTES", 100)
        path = write(gzip.compress(ROWS), "t.csv.gz")
        assert prepare(path, "y", validation=0.0).n_rows == 2_000

    @pytest.mark.parametrize("pack", [gzip.compress, bytes])
    def test_sparse_text_that_does_not_end(self, write, monkeypatch, pack):
        monkeypatch.setattr(svmlight, "LONGEST_LINE", 1 << 16)
        monkeypatch.setattr(svmlight, "_BLOCK_BYTES", 1 << 12)
        name = "t.svm.gz" if pack is gzip.compress else "t.svm"
        refused(write(pack(SPARSE + b"1 " * (1 << 17)), name), "has a line of more than", "label")

    def test_control_characters_in_sparse_text(self, write):
        for text, line in ((b"\x0c", 1), (b"1 1:1\n\x0b\n", 2), (b"1 1:1 \x0c\n", 1)):
            refused(write(text, "t.svm"), f"line {line}: .* is no ", "label")

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is told there")
    @pytest.mark.slow
    def test_gigabytes_in_a_megabyte(self, write):
        """In a process of its own, whose memory at its peak is known."""
        packed = gzip.compress(b"x,y\n1,2\n") + gzip.compress(b"a" * (1 << 26)) * 40
        program = r"""
import re, sys
from gradstep import InvalidTable, fit_table, prepare
try:
    prepare(sys.argv[1], "y")
except InvalidTable as error:
    print(error)
print(re.search(r"VmHWM:\s*(\d+) kB", open("/proc/self/status").read())[1])
"""
        done = subprocess.run(
            [sys.executable, "-c", program, str(write(packed, "t.csv.gz"))],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        said, peak = done.stdout.splitlines()
        assert "line 3: the row that begins there is longer than 64 MB" in said
        assert int(peak) < 700_000


@pytest.mark.parametrize("rows, name", [(ROWS, "t.csv.gz"), (SPARSE, "t.svm.gz")])
def test_damaged_gzip(rows, name, tmp_path):
    """Cut, or with some bits flipped: what still unpacks, with its checksum, is the same."""
    whole, path = gzip.compress(rows, mtime=0), tmp_path / name
    target = "y" if rows is ROWS else "label"
    path.write_bytes(whole)
    expected = prepare(path, target, validation=0.0).train.y
    draw = np.random.default_rng(0)
    for turn in range(60):
        damaged = bytearray(whole)
        if turn % 3 == 0:
            del damaged[draw.integers(len(damaged)) :]
        else:
            for _ in range(1 + turn % 4):
                damaged[draw.integers(len(damaged))] ^= 1 << draw.integers(8)
        path.write_bytes(damaged)
        try:
            found = prepare(path, target, validation=0.0).train.y
        except InvalidTable as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.filterwarnings("ignore:GS001")
def test_dates_beyond_all_times(tmp_path):
    """Days fit into fewer bytes than their microseconds: Polars panicked."""
    days = pl.Series([-(1 << 31), None, 0, (1 << 31) - 1] * 10, dtype=pl.Int32).cast(pl.Date)
    pl.DataFrame({"d": days, "y": [1.0, 2.0, 3.0, 5.0] * 10}).write_parquet(tmp_path / "t.parquet")
    prepared = prepare(tmp_path / "t.parquet", "y", validation=0.0)
    assert np.isfinite(prepared.train.rows.values).all()
    fit = fit_table(prepared, None, max_iter=2)
    assert np.isfinite(fit.model.predict(tmp_path / "t.parquet")).all()
