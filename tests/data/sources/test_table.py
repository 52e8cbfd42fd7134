"""Tables: whatever they come as, the same rows; in chunks that depend on the data alone."""

from __future__ import annotations

import gzip
import os
import threading
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep import InvalidTable, prepare
from gradstep.data.kernels.csv_check import first_bad_record
from gradstep.data.preparing import first_pass
from gradstep.data.preparing.prepared import Target
from gradstep.data.sources import table as tables
from gradstep.data.sources.opening import open_table
from gradstep.data.sources.table import chunk_rows
from tests.data.cases import bits
from tests.examples import examples

N = 300


def made(n=N, seed=0):
    """Return a table of numbers, whole ones too, text that needs quotes, dates and gaps."""
    rng = np.random.default_rng(seed)
    words = ["plain", "a, b", 'say "x"', "two\nlines", "ünï"]
    x = np.round(rng.normal(size=n), 6)
    return pl.DataFrame(
        {
            "x": pl.Series([None if rng.random() < 0.1 else v for v in x], dtype=pl.Float64),
            "n": rng.integers(-5, 90, n),
            "word": [None if rng.random() < 0.1 else words[k] for k in rng.integers(0, 5, n)],
            "day": pl.Series(rng.integers(19_000, 19_400, n)).cast(pl.Int32).cast(pl.Date),
            "y": np.round(rng.normal(size=n), 3),
        }
    )


TABLE = made()


def gz(frame, path):
    path.write_bytes(gzip.compress(frame.write_csv().encode()))


WRITERS = {
    "t.csv": lambda frame, path: frame.write_csv(path),
    "t.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "t.txt": lambda frame, path: frame.write_csv(path, separator=";"),
    "t.csv.gz": gz,
    "t.csv.zst": lambda frame, path: frame.write_csv(path, compression="zstd"),
    "t.CSV": lambda frame, path: frame.write_csv(path),
    "t.parquet": lambda frame, path: frame.write_parquet(path, row_group_size=70),
    "t.pq": lambda frame, path: frame.write_parquet(path),
    "t.arrow": lambda frame, path: frame.write_ipc(path),
    "t.feather": lambda frame, path: frame.write_ipc(path, compression="lz4"),
    "t.parquet with [brackets].parquet": lambda frame, path: frame.write_parquet(path),
    "t[1].csv": lambda frame, path: frame.write_csv(path),
    "t[1].arrow": lambda frame, path: frame.write_ipc(path),
    "bom.csv": lambda frame, path: frame.write_csv(path, include_bom=True),
    "crlf.csv": lambda frame, path: frame.write_csv(path, line_terminator="\r\n"),
}


def pandas(frame):
    """Return a pandas frame with dates as pandas has them."""
    days = frame.with_columns(pl.col(pl.Date).cast(pl.Datetime("us")))
    return pd.DataFrame(
        {c: s.to_numpy() if s.dtype == pl.Datetime else s.to_list() for c, s in
         zip(days.columns, days, strict=True)}
    )  # fmt: skip


FRAMES = {
    "DataFrame": lambda frame: frame,
    "LazyFrame": lambda frame: frame.lazy(),
    "query": lambda frame: frame.with_columns(other=1).lazy().drop("other"),
    "pandas": pandas,
}


def read(source, **options):
    return pl.concat(list(open_table(source, **options).chunks()))


class TestFormats:
    @pytest.mark.parametrize("name", WRITERS)
    def test_prepared_from_a_file(self, name, tmp_path):
        WRITERS[name](TABLE, tmp_path / name)
        prepared = prepare(tmp_path / name, "y", random_state=2)
        expected = prepare(TABLE, "y", random_state=2)
        assert prepared.encoding == expected.encoding
        assert bits(prepared) == bits(expected)

    @pytest.mark.parametrize("name", FRAMES)
    def test_prepared_from_a_frame(self, name):
        prepared = prepare(FRAMES[name](TABLE), "y", random_state=2)
        assert prepared.encoding == prepare(TABLE, "y", random_state=2).encoding
        assert bits(prepared) == bits(prepare(TABLE, "y", random_state=2))

    def test_prepared_from_pyarrow(self):
        assert bits(prepare(TABLE.to_arrow(), "y")) == bits(prepare(TABLE, "y"))

    def test_prepared_from_what_exports_arrow(self):
        class Foreign:
            def __arrow_c_stream__(self, requested_schema=None):
                return TABLE.__arrow_c_stream__(requested_schema)

        assert bits(prepare(Foreign(), "y")) == bits(prepare(TABLE, "y"))

    def test_prepared_from_ndjson(self, tmp_path):
        """Which has dates as text."""
        table = TABLE.drop("day")
        table.write_ndjson(tmp_path / "t.ndjson")
        assert bits(prepare(tmp_path / "t.ndjson", "y")) == bits(prepare(table, "y"))

    def test_levels_of_whole_numbers(self, tmp_path):
        """Are the same whatever they come from."""
        frame = TABLE.select("n", "y")
        encodings = []
        for name in ("t.csv", "t.parquet", "t.ndjson"):
            path = tmp_path / name
            frame.write_ndjson(path) if name == "t.ndjson" else WRITERS[name](frame, path)
            encodings.append(prepare(path, "y", kinds={"n": "category"}).encoding)
        assert encodings[0] == encodings[1] == encodings[2]
        assert "n=7" in encodings[0].feature_names()

    def test_classes_of_whole_numbers_on_request(self, tmp_path):
        """A target of numbers is one of classes if it is asked for as a category."""
        frame = TABLE.select("x", y=pl.col("n") % 3)
        targets = []
        for name in ("t.csv", "t.parquet", "t.ndjson"):
            path = tmp_path / name
            frame.write_ndjson(path) if name == "t.ndjson" else WRITERS[name](frame, path)
            targets.append(prepare(path, "y", kinds={"y": "category"}).target)
        assert targets == [Target("y", ("0", "1", "2"))] * 3

    def test_pandas_types(self):
        frame = pd.DataFrame(
            {
                "int": pd.array([1, None, 3], "Int64"),
                "flag": [True, False, True],
                "kind": pd.Categorical(["a", None, "b"]),
                "mixed": ["a", 2, None],
                "single": np.array([1.5, np.nan, 2.5], np.float32),
                "when": pd.to_datetime(["2024-01-01 10:00", None, "2024-02-01 00:00"]),
                7: [1.0, 2.0, 3.0],
            }
        )
        found = read(frame)
        assert found["int"].to_list() == [1, None, 3]
        assert found["flag"].to_list() == [True, False, True]
        assert found["kind"].to_list() == ["a", None, "b"]
        assert found["mixed"].to_list() == ["a", "2", None]
        assert found.schema["single"] == pl.Float32
        assert found["when"].dt.hour().to_list() == [10, None, 0]
        assert found["7"].to_list() == [1.0, 2.0, 3.0]

    def test_pandas_columns_of_one_name(self):
        with pytest.raises(InvalidTable, match=r"two columns 'a'\. Rename"):
            open_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))


class TestManyFiles:
    def split(self, folder, suffix, cuts=(0, 100, 101, 300)):
        for k, (lo, hi) in enumerate(pairwise(cuts)):
            WRITERS[f"t.{suffix}"](TABLE[lo:hi], folder / f"part{k}.{suffix}")
        return folder

    @pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet", "arrow"])
    @pytest.mark.parametrize("how", ["folder", "glob", "list", "text"])
    def test_are_one_table(self, suffix, how, tmp_path):
        folder = self.split(tmp_path, suffix)
        (folder / "notes.md").write_text("not a table")
        (folder / f".hidden.{suffix}").write_text("not a table")
        source = {
            "folder": folder,
            "glob": str(folder / f"part*.{suffix}"),
            "list": sorted(folder.glob("part*")),
            "text": str(folder),
        }[how]
        assert bits(prepare(source, "y")) == bits(prepare(TABLE, "y"))

    def test_of_a_hive(self, tmp_path):
        """Of folders named column=value: their order is that of the names."""
        rows = TABLE.with_columns(region=pl.Series(["north", "south"] * 150), year=2024)
        for (region,), part in rows.group_by("region", maintain_order=True):
            folder = tmp_path / "year=2024" / f"region={region}"
            folder.mkdir(parents=True)
            part.drop("region", "year").write_parquet(folder / "0.parquet")
        found = read(tmp_path)
        assert found["region"].to_list() == ["north"] * 150 + ["south"] * 150
        assert found["year"].to_list() == [2024] * 300
        prepared = prepare(tmp_path, "y")
        assert bits(prepared) == bits(prepare(rows.sort("region", maintain_order=True), "y"))

    def test_a_column_that_is_empty_in_the_first(self, tmp_path):
        """Has the type that it has in the others."""
        gone = TABLE.with_columns(pl.lit(None).alias("x"), pl.lit(None).alias("day"))
        for suffix in ("csv", "parquet"):
            folder = tmp_path / suffix
            folder.mkdir()
            WRITERS[f"t.{suffix}"](gone[:50], folder / f"a.{suffix}")
            WRITERS[f"t.{suffix}"](TABLE[50:], folder / f"b.{suffix}")
            schema = open_table(folder).schema
            assert (schema["x"], schema["day"]) == (pl.Float64, pl.Date)

    def test_integers_and_floats_agree(self, tmp_path):
        pl.DataFrame({"x": [1, 2]}).write_parquet(tmp_path / "a.parquet")
        pl.DataFrame({"x": [1.5]}).write_parquet(tmp_path / "b.parquet")
        assert read(tmp_path)["x"].to_list() == [1.0, 2.0, 1.5]

    def test_typed_files_may_order_their_columns(self, tmp_path):
        TABLE[:100].write_parquet(tmp_path / "a.parquet")
        TABLE[100:].select(reversed(TABLE.columns)).write_parquet(tmp_path / "b.parquet")
        assert read(tmp_path).equals(TABLE)


class TestTextFiles:
    def test_a_fraction_after_whole_numbers(self, tmp_path):
        (tmp_path / "t.csv").write_text("x,y\n" + "1,2\n" * 20_000 + "1.5,2\n")
        assert read(tmp_path / "t.csv")["x"][-1] == 1.5

    def test_a_fraction_after_whole_numbers_in_ndjson(self, tmp_path):
        (tmp_path / "t.ndjson").write_text('{"x":1}\n' * 20_000 + '{"x":1.5}\n')
        assert read(tmp_path / "t.ndjson")["x"][-1] == 1.5

    @pytest.mark.parametrize("gap", ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "#N/A"])
    def test_what_is_missing(self, gap, tmp_path):
        (tmp_path / "t.csv").write_text(f"x,word\n1,a\n{gap},{gap}\n")
        assert read(tmp_path / "t.csv").rows() == [(1.0, "a"), (None, None)]

    def test_as_text(self, tmp_path):
        (tmp_path / "t.csv").write_text("zip,x\n01234,1\n2,2\n")
        assert read(tmp_path / "t.csv", as_text=["zip"])["zip"].to_list() == ["01234", "2"]

    def test_one_column_may_have_gaps(self, tmp_path):
        (tmp_path / "t.csv").write_text("x\n1\n\n3\n")
        assert read(tmp_path / "t.csv")["x"].to_list() == [1.0, None, 3.0]

    def test_a_header_of_two_lines(self, tmp_path):
        (tmp_path / "t.csv").write_text('"x\nunit",y\n1,2\n')
        assert read(tmp_path / "t.csv").columns == ["x\nunit", "y"]

    @examples(100)
    @given(
        st.lists(st.lists(st.text("ab,\"\n ;'\r", max_size=4), min_size=3, max_size=3), max_size=8),
        st.integers(0, 8),
        st.integers(1, 9),
    )
    def test_a_row_of_another_length_is_found_wherever_it_is(self, rows, at, piece):
        """Whatever the others hold, and however the file is cut into blocks."""

        def line(fields):
            return ",".join('"' + f.replace('"', '""') + '"' for f in fields) + "\n"

        at = min(at, len(rows))
        before = "a,b,c\n" + "".join(map(line, rows[:at]))
        after = "".join(map(line, rows[at:]))

        def checked(text):
            data = text.encode()
            blocks = [data[i : i + piece] for i in range(0, len(data), piece)]
            return first_bad_record(blocks, ",", 3)

        assert checked(before + after) is None
        for fields in (2, 4):
            bad = checked(before + line(["x"] * fields) + after)
            assert bad == (before.count("\n") + 1, fields)


class TestChunks:
    @pytest.mark.parametrize("columns", [1, 63, 64, 65, 1000, 10**9])
    def test_size(self, columns):
        """A function of the columns alone, of bounded memory."""
        rows = chunk_rows(columns)
        assert 1 <= rows <= 1 << 16
        assert rows == 1 or rows * columns <= 1 << 22

    @pytest.mark.parametrize("source", ["DataFrame", "t.csv", "t.csv.zst", "t.parquet", "t.arrow"])
    def test_all_have_it_but_the_last(self, source, tmp_path, monkeypatch):
        monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 64)
        if source in WRITERS:
            WRITERS[source](TABLE, tmp_path / source)
        table = open_table(tmp_path / source if source in WRITERS else TABLE)
        for _ in range(2):  # as often as needed
            chunks = list(table.chunks())
            assert [c.height for c in chunks] == [64, 64, 64, 64, 44]
            found = pl.concat(chunks)
            assert found["word"].to_list() == TABLE["word"].to_list()
            assert found["x"].to_list() == TABLE["x"].to_list()

    def test_of_chosen_columns(self):
        (chunk,) = open_table(TABLE).chunks(["y", "x"])
        assert chunk.columns == ["y", "x"]


class TestChange:
    """Files that change while they are read are noticed."""

    @pytest.fixture(params=[0, 1 << 27], ids=["read-twice", "kept"], autouse=True)
    def _kept(self, request, monkeypatch):
        """Whether a table is small enough to be kept from the first pass."""
        monkeypatch.setattr(first_pass, "_KEPT_BYTES", request.param)

    @pytest.fixture(params=["t.csv", "t.parquet", "t.arrow"])
    def source(self, request, tmp_path, monkeypatch):
        monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 64)
        WRITERS[request.param](TABLE, tmp_path / request.param)
        return tmp_path / request.param

    def replace(self, path, n):
        """Put another table in its place, as a program that writes safely does."""
        WRITERS[path.name](made(n, seed=1), path.with_name(f"new{path.suffix}"))
        path.with_name(f"new{path.suffix}").replace(path)

    @pytest.mark.parametrize("rows", [10, N, 2 * N])
    def test_between_passes(self, source, rows):
        def replace(what, so_far):
            if (what, so_far) == ("reading", N):
                self.replace(source, rows)

        with pytest.raises(
            InvalidTable, match=rf"{source} changed while it was being read: it had"
        ):
            prepare(source, "y", progress=replace)

    @pytest.mark.parametrize("pass_", ["reading", "encoding"])
    def test_within_a_pass(self, source, pass_):
        def replace(what, so_far):
            if (what, so_far) == (pass_, 64):
                self.replace(source, N)

        with pytest.raises(InvalidTable, match=f"{source} changed while"):
            prepare(source, "y", progress=replace)

    @pytest.mark.parametrize("pass_", ["reading", "encoding"])
    def test_gone(self, source, pass_):
        def remove(what, so_far):
            if (what, so_far) == (pass_, 64):
                source.unlink()

        with pytest.raises(InvalidTable, match=rf"{source} disappeared while"):
            prepare(source, "y", progress=remove)

    def test_of_time_alone(self, source):
        """It may have been written again with as many bytes."""
        table = open_table(source)
        os.utime(source, ns=(0, 0))
        with pytest.raises(InvalidTable, match="changed"):
            list(table.chunks())

    @pytest.mark.parametrize("rows", [N - 1, N + 1])
    @pytest.mark.parametrize("out", [False, True])
    def test_of_what_a_query_gives(self, rows, out, tmp_path, monkeypatch):
        """Which is no file: its rows are counted. Nothing is put beyond the end."""
        monkeypatch.setattr("gradstep.data.preparing.first_pass._KEPT_BYTES", 0)  # read twice
        state = {"frame": TABLE}
        query = pl.LazyFrame(TABLE).map_batches(lambda _: state["frame"], schema=TABLE.schema)

        def change(what, so_far):
            state["frame"] = made(rows)

        with pytest.raises(InvalidTable, match=f"the query had {N} rows when it was read first"):
            prepare(query, "y", progress=change, out=tmp_path / "p" if out else None)
        assert not (tmp_path / "p").exists()


def test_chunks_that_are_left_wait_for_no_thread(monkeypatch, tmp_path):
    """The garbage collector may leave them, within the start of a thread: it stood for ever."""
    TABLE.write_csv(tmp_path / "t.csv")
    table, go_on = open_table(tmp_path / "t.csv"), threading.Event()
    monkeypatch.setattr(tables, "_CHECKED_FIRST", -1)
    monkeypatch.setattr(tables.Table, "check_text", lambda _self: go_on.wait(20.0))
    chunks = table.chunks()
    next(chunks)
    began = time.monotonic()
    chunks.close()
    go_on.set()
    assert time.monotonic() - began < 10.0
