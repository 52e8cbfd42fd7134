"""Tables that are packed: read as what they hold, refused where they are damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import types
import zipfile
from pathlib import Path

import pytest

import gradstep as gs
from gradstep.data.sources import local_copy
from tests.cli.reading import EXPECTED, GERMAN, PLAIN, bits


def zipped(data, name="t.csv"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def zipped_with(*changes):
    """Return an archive with other bytes: how far from where its two headers begin, and which."""
    data = bytearray(zipped(b"x,y\n1,2\n"))
    for at, byte in changes:
        data[4 + at] = byte
        data[data.index(b"PK\x01\x02") + 6 + at] = byte
    return bytes(data)


PACKED = {"bz2": bz2.compress, "xz": lzma.compress, "gz": gzip.compress, "zip": zipped}


class TestPacked:
    @pytest.mark.parametrize("suffix", PACKED)
    @pytest.mark.parametrize("encoding", ["", "latin-1"])
    def test_text(self, home, suffix, encoding):
        name = "t.zip" if suffix == "zip" else f"t.csv.{suffix}"
        (home / name).write_bytes(PACKED[suffix](GERMAN.encode(encoding or "utf-8")))
        assert bits(gs.prepare(name, "fare", encoding=encoding)) == EXPECTED

    def test_other_formats(self, home):
        PLAIN.write_ndjson("t.ndjson")
        (home / "p.ndjson.xz").write_bytes(lzma.compress((home / "t.ndjson").read_bytes()))
        PLAIN.write_parquet("t.parquet")
        (home / "p.zip").write_bytes(zipped((home / "t.parquet").read_bytes(), "in/t.parquet"))
        assert bits(gs.prepare("p.ndjson.xz", "fare")) == EXPECTED
        assert bits(gs.prepare("p.zip", "fare")) == EXPECTED

    def test_lines_are_those_of_the_file(self, fails, home):
        (home / "t.csv.bz2").write_bytes(bz2.compress(b"x,y\n1,2\n3\n"))
        assert "t.csv.bz2, line 3: the row has 1 fields" in fails(
            "prepare", "t.csv.bz2", "-t", "y", "-o", "p"
        )

    @pytest.mark.parametrize(
        "name, data, message",
        [
            ("t.csv.bz2", b"no", "t.csv.bz2 cannot be unpacked"),
            ("t.csv.xz", lzma.compress(b"x,y\n1,2\n")[:-9], "t.csv.xz cannot be unpacked"),
            ("t.zip", b"no", "t.zip cannot be unpacked"),
            ("t.zip", zipped(b"hello", "notes.md"), "suffix that says nothing of a table"),
            ("t.zip", zipped(b"", "a.csv").replace(b"a.csv", b"\0.csv"), "says nothing of a table"),
            ("t.zip", zipped_with((2, 1)), "t.zip is encrypted. Unpack it, and name"),
            ("t.zip", zipped_with((4, 99)), "t.zip cannot be unpacked: That compression method"),
            (
                "t.zip",
                zipped(b"", "é.csv").replace("é".encode(), b"\xff\xff"),
                "cannot be unpacked",
            ),
        ],
    )
    def test_damaged(self, fails, home, name, data, message):
        (home / name).write_bytes(data)
        assert message in fails("prepare", name, "-t", "y", "-o", "p")

    def test_two_files_in_one(self, fails, home):
        with zipfile.ZipFile("t.zip", "w") as archive:
            archive.writestr("a.csv", "x")
            archive.writestr("b.csv", "x")
        assert "t.zip has 2 files (a.csv, b.csv)" in fails("prepare", "t.zip", "-t", "y", "-o", "p")

    def test_a_full_disk_is_no_damage(self, home, monkeypatch):
        (home / "t.csv.bz2").write_bytes(bz2.compress(GERMAN.encode()))
        full = types.SimpleNamespace(path=Path("/dev/full"))
        monkeypatch.setattr(local_copy, "LocalCopy", lambda _name: full)
        with pytest.raises(gs.CannotWrite, match=r"full cannot be written: No space left"):
            gs.prepare("t.csv.bz2", "fare")

    def test_nothing_is_left_behind(self, home, tmp_path_factory, monkeypatch):
        cache = tmp_path_factory.mktemp("cache")
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(cache))
        (home / "t.csv.bz2").write_bytes(bz2.compress(GERMAN.encode()))
        gs.prepare("t.csv.bz2", "fare")
        assert not list((cache / "scratch").iterdir())
