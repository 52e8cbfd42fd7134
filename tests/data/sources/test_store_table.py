"""Tables in an object store read as those on this disk; no more is fetched than needed."""

from __future__ import annotations

import gc
import gzip
import io
import lzma
import tracemalloc
import zipfile
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import polars as pl
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from gradstep import InvalidTable
from gradstep.data.sources import local_copy, store_copies, store_files, text_scan, typed_files
from gradstep.data.sources import pieces as cutting
from gradstep.data.sources.opening import files_of, open_table
from gradstep.data.sources.pieces import pieces_of

N, GUESSED = 1200, 100
CUTS = [0, 550, 551, N]


def frame():
    rng = np.random.default_rng(0)
    return pl.DataFrame({
        "x": rng.normal(size=N).round(6),
        "n": rng.integers(0, 9, N).astype(float),
        "level": [f'"{k}", or\n{k % 3}' if k % 5 == 0 else f"level {k % 7}" for k in range(N)],
        "turns": ["?" if k == GUESSED - 4 else str(k) for k in range(N)],
        "late": ["" if k < 551 else f"l{k % 2}" for k in range(N)],
    })  # fmt: skip


WRITERS = {
    "csv": pl.DataFrame.write_csv,
    "tsv": lambda part, path: part.write_csv(path, separator="\t"),
    "parquet": lambda part, path: part.write_parquet(path, row_group_size=200),
    "arrow": lambda part, path: part.write_ipc(path, compression="zstd"),
    "ndjson": pl.DataFrame.write_ndjson,
    "csv.gz": lambda part, path: path.write_bytes(gzip.compress(part.write_csv().encode())),
    "csv.zst": lambda part, path: part.write_csv(path, compression="zstd"),
}


@pytest.fixture
def both(tmp_path, monkeypatch):
    """Return a function that writes a table, in files of a kind, here and into a store."""
    monkeypatch.setattr(cutting, "_LEAST_BYTES", 1 << 13)
    for module in (store_copies, text_scan, typed_files):
        monkeypatch.setattr(module, "INFER_ROWS", GUESSED)
    memory = fsspec.filesystem("memory")

    def write(kind, below=str):
        for at, (lo, hi) in enumerate(pairwise(CUTS)):
            path = tmp_path / "rows" / f"{below(at)}.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            WRITERS[kind](frame()[lo:hi], path)
        memory.put(str(tmp_path / "rows"), "/bucket/rows", recursive=True)
        memory.pipe_file("/bucket/rows/notes.md", b"not a table")
        return tmp_path / "rows", "memory://bucket/rows"

    yield write
    memory.rm("/bucket", recursive=True)
    store_copies._kept.clear()


@pytest.fixture
def taken(monkeypatch):
    """Return the bytes of each range that is asked for."""
    found = []

    def counted(system, path, start=None, end=None, *, by=MemoryFileSystem.cat_file):
        found.append(end - start)
        return by(system, path, start=start, end=end)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", counted)
    monkeypatch.setattr(store_copies, "_HEAD_BYTES", 1 << 9)
    return found


def rows(table):
    return pl.concat(table.chunks())


@pytest.mark.parametrize("kind", WRITERS)
def test_reads_as_the_one_here(both, kind):
    here, there = map(open_table, both(kind))
    assert there.schema == here.schema
    assert [frame.height for frame in there.chunks()] == [
        frame.height for piece in pieces_of(here) for frame in piece.open().chunks()
    ]
    assert rows(there).equals(rows(here))
    assert [piece.name.rpartition("/")[2] for piece in pieces_of(there)] == [
        piece.name.rpartition("/")[2] for piece in pieces_of(here)
    ]


@pytest.mark.parametrize("what", ["*.csv", "[12].csv", "1.csv", ["0.csv", "2.csv", "1.csv"]])
def test_what_a_name_leads_to(both, what):
    here, there = both("csv")
    if isinstance(what, list):
        found = open_table([f"{there}/{name}" for name in what])
        assert rows(found).equals(rows(open_table([here / name for name in what])))
        return
    found = open_table(f"{there}/{what}")
    assert rows(found).equals(rows(open_table(here / what)))
    assert found.name == f"{there}/{what}"


def test_folders_are_columns(both):
    here, there = both("parquet", lambda at: f"year={2024 + at}/part")
    found = rows(open_table(there))
    assert found["year"].unique().to_list() == [2024, 2025, 2026]
    assert found.equals(rows(open_table(here)))


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "arrow"])
def test_opening_fetches_heads(both, taken, kind, monkeypatch):
    _, there = both(kind)
    monkeypatch.setattr(store_copies, "fetched", None)
    table = open_table(there)
    if kind.startswith("csv"):
        lines = [path.read_text().count("\n") for path in table.opened.read]
        assert lines[1] < 5
        assert all(GUESSED < n < 1.5 * GUESSED for n in (lines[0], lines[2]))
    else:
        assert sum(taken) < sum(file.size for file in table.files) / 2


def test_ranges_of_rows_are_fetched_alone(both, taken, monkeypatch):
    monkeypatch.setattr(cutting, "_PIECE_BYTES", 1 << 12)
    here, there = map(open_table, both("parquet"))
    pieces = [piece for piece in pieces_of(there) if piece.rows is not None]
    assert len(pieces) >= 4
    assert rows(there).equals(rows(here))
    store_copies._kept.clear()
    taken.clear()
    pieces[0].open()
    assert sum(taken) < pieces[0].files[0].size


def test_copies_go_with_what_reads_them_and_take_one_handle(both):
    _, there = both("csv")
    before = len(list(Path("/proc/self/fd").iterdir()))
    tables = [open_table(there) for _ in range(4)]
    paths = [path for table in tables for path in table.opened.read]
    assert all(path.is_file() for path in paths)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    del tables
    gc.collect()
    assert not any(path.exists() for path in paths)


def test_what_is_fetched_is_kept_within_bounds(both, monkeypatch):
    monkeypatch.setattr(store_copies, "_KEPT_BYTES", 1 << 10)
    _, there = both("csv")
    table = open_table(there)
    copies = [piece.open() for piece in pieces_of(table)]
    assert len(store_copies._kept) == 1
    assert all(path.is_file() for one in copies for path in one.opened.read)


@pytest.fixture
def told(monkeypatch):
    """Return what the store shall tell of files otherwise than it does."""
    changes = {}

    def info(system, path, *, by=MemoryFileSystem.info):
        return by(system, path) | changes

    def find(system, path, *, by=MemoryFileSystem.find, **how):
        found = by(system, path, **how)
        if not how.get("detail"):
            return found
        return {name: each | changes for name, each in found.items()}

    monkeypatch.setattr(MemoryFileSystem, "info", info)
    monkeypatch.setattr(MemoryFileSystem, "find", find)
    return changes


@pytest.mark.parametrize("change", [{"created": None}, {"size": None}])
def test_files_without_a_version_or_a_size_are_copied_and_hashed(both, told, change):
    here, there = both("parquet", lambda at: f"year={2024 + at}/part")
    told |= change
    found = open_table(there)
    before = found.fingerprint()
    assert rows(found).equals(rows(open_table(here)))
    path = "/bucket/rows/year=2024/part.parquet"
    content = bytearray(fsspec.filesystem("memory").cat_file(path))
    content[100] ^= 1
    assert open_table(there).fingerprint() == before
    fsspec.filesystem("memory").pipe_file(path, bytes(content))
    assert open_table(there).fingerprint() != before


def test_an_address_of_a_file_here_is_its_path(both):
    here, _ = both("csv")
    found = open_table(f"file://{here}/1.csv")
    assert found.fingerprint() == open_table(here / "1.csv").fingerprint()
    assert found.name == f"{here}/1.csv"
    assert rows(open_table([f"file://{here}/0.csv"])).height == CUTS[1]
    assert files_of(f"file://{here}/*.csv") == files_of(str(here))


def test_chained_addresses(both, tmp_path):
    here, there = both("csv")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.write(here / "0.csv", "0.csv")
        archive.write(here / "2.csv", "2.csv")
    fsspec.filesystem("memory").put(str(tmp_path / "two.zip"), "/bucket/two.zip")
    expected = rows(open_table(here / "2.csv"))
    for address in ("zip://2.csv::memory://bucket/two.zip", f"simplecache::{there}/2.csv"):
        found = open_table(address)
        assert found.name == address
        assert rows(found).equals(expected)


@pytest.mark.parametrize("kind", ["tsv", "parquet", "ndjson", "ndjson.xz"])
def test_names_without_a_folder_say_what_a_file_is(both, tmp_path, kind):
    """HTTP alone has a server before the path; elsewhere the name itself may come first."""
    plain = kind.removesuffix(".xz")
    path = both(plain)[0] / f"2.{plain}"
    expected = rows(open_table(path))
    content = path.read_bytes() if kind == plain else lzma.compress(path.read_bytes())
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr(f"t.{kind}", content)
    memory, there = fsspec.filesystem("memory"), f"memory://t.{kind}"
    memory.pipe_file(f"/t.{kind}", content)
    try:
        for address in (f"zip://t.{kind}::file://{tmp_path}/t.zip", there, f"simplecache::{there}"):
            assert rows(open_table(address)).equals(expected)
    finally:
        memory.rm(f"/t.{kind}")


def test_names_of_what_is_not_read_are_refused(tmp_path):
    """As they are here: no text in CSV is looked for in them."""
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.ndjson.gz", gzip.compress(b'{"x": 1}\n'))
    with pytest.raises(InvalidTable, match=r"t\.ndjson\.gz::.* has a suffix that says nothing"):
        open_table(f"zip://t.ndjson.gz::file://{tmp_path}/t.zip")


@pytest.mark.parametrize(
    "url, name",
    [
        ("https://host.org", ""), ("HTTP://host.org/a/t.csv?v=a/b.tsv", "t.csv"),
        ("zip://t.tsv", "t.tsv"), ("zip://a/t.ndjson.gz", "t.ndjson.gz"), ("s3://b/t.csv", "t.csv"),
    ],
)  # fmt: skip
def test_names_in_addresses(url, name):
    assert local_copy._name_in(url) == name


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_pages_are_known_behind_a_byte_order_mark(encoding, monkeypatch):
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    for text, is_page in [("\n<!DOCTYPE html>", True), ("<HTML lang='de'>", True), ("x,y", False)]:
        first = f"{mark}{text}\n".encode(encoding)
        assert local_copy._is_page(first) == is_page
    address = "zip://t.csv::memory://bucket/page.zip"
    monkeypatch.setattr(
        local_copy, "_remote", lambda *_: io.BytesIO(b"\xef\xbb\xbf<!doctype html>")
    )
    with pytest.raises(InvalidTable, match="is a web page, not a table"):
        open_table(address)


@pytest.mark.usefixtures("both")
def test_what_a_file_claims_takes_no_memory():
    text = b"x,y\n1,2\n" + b'3,"' + b"an open quote " * (1 << 20)
    for name, content in (("a.csv", text), ("b.csv.gz", gzip.compress(text, 1))):
        fsspec.filesystem("memory").pipe_file(f"/bucket/open/{name}", content)
        (file,) = store_files.stored_files(f"memory://bucket/open/{name}")
        tracemalloc.start()
        try:
            head = store_copies.head_of(file, "csv")
            assert tracemalloc.get_traced_memory()[1] < len(text) / 2
        finally:
            tracemalloc.stop()
        assert head.path.stat().st_size == len(text)


class TestRefused:
    def test_a_footer_that_is_too_long(self, both, monkeypatch):
        _, there = both("parquet")
        monkeypatch.setattr(store_copies, "_MOST_FOOTER", 1 << 8)
        with pytest.raises(InvalidTable, match=r"rows/0\.parquet says that it has [\d,]+ bytes"):
            open_table(there)

    def test_a_name_that_leads_elsewhere(self, both, tmp_path, monkeypatch):
        _, there = both("csv")
        found = {f"/bucket/rows/{tmp_path}/x.csv": {"type": "file", "size": 4, "ETag": "1"}}
        system = SimpleNamespace(info=lambda _: {"type": "directory"}, find=lambda *_, **__: found)
        url = SimpleNamespace(system=system, path=lambda _: "/bucket/rows")
        monkeypatch.setattr(store_files, "Store", lambda _: url)
        with pytest.raises(InvalidTable, match=r"rows//.*/x\.csv has a folder without a name"):
            open_table(there)
        for below in (f"{tmp_path}/x.csv", "../x.csv", "a//x.csv"):
            with pytest.raises(InvalidTable, match="a folder without a name"):
                store_copies.StoredCopy(below)
        assert not (tmp_path / "x.csv").exists()

    def test_what_is_not_there(self, both):
        _, there = both("csv")
        with pytest.raises(InvalidTable, match=r"memory://bucket/none\.csv does not exist"):
            open_table("memory://bucket/none.csv")
        with pytest.raises(InvalidTable, match=r"rows/\*\.parquet matches no file"):
            open_table(f"{there}/*.parquet")
        fsspec.filesystem("memory").pipe({"/bucket/p/a.npy": b"", "/bucket/p/b.npy": b""})
        with pytest.raises(InvalidTable, match="bucket/p is a folder without any table in it"):
            open_table("memory://bucket/p")
        fsspec.filesystem("memory").pipe_file("/bucket/p/meta.json", b"{}")
        with pytest.raises(InvalidTable, match="bucket/p is a prepared table, whose rows are enc"):
            open_table("memory://bucket/p")
        with pytest.raises(InvalidTable, match="in an object store, and others are not"):
            open_table([f"{there}/0.csv", "0.csv"])

    def test_what_has_changed(self, both):
        _, there = both("csv")
        table = open_table(there)
        text = b"x,n,level,turns,late\n1,2,a,3,b\n"
        fsspec.filesystem("memory").pipe_file("/bucket/rows/2.csv", text)
        with pytest.raises(InvalidTable, match=r"rows/2\.csv changed while it was being read"):
            list(table.chunks())

    def test_a_row_of_the_wrong_length(self, both):
        here, there = both("csv")
        text = (here / "2.csv").read_bytes() + b"too,few\n"
        fsspec.filesystem("memory").pipe_file("/bucket/rows/2.csv", text)
        with pytest.raises(InvalidTable, match=r"memory://bucket/rows/2\.csv, line \d+: the row"):
            list(open_table(there).chunks())

    def test_what_is_empty(self, both):
        _, there = both("parquet")
        fsspec.filesystem("memory").pipe_file("/bucket/rows/1.parquet", b"")
        with pytest.raises(InvalidTable, match=r"memory://bucket/rows/1\.parquet is empty"):
            open_table(there)

    def test_what_claims_more_than_it_holds(self, both):
        here, there = both("parquet")
        data = bytearray((here / "0.parquet").read_bytes())
        data[4:400] = bytes(396)
        fsspec.filesystem("memory").pipe_file("/bucket/rows/0.parquet", bytes(data))
        with pytest.raises(InvalidTable, match=r"rows/0\.parquet is a damaged parquet file"):
            list(open_table(there).chunks())
