"""A table that a cluster prepares is the same folder, byte for byte, as the one made here."""

from __future__ import annotations

import bz2
import gzip
import json
import platform
import sys
import zipfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import fsspec
import numpy as np
import polars as pl
import pytest

import gradstep
from gradstep import CannotWrite, InvalidTable, fit_table, open_prepared, prepare
from gradstep.cli.main import main
from gradstep.data.preparing import elsewhere, first_pass, in_store, second_pass
from gradstep.data.preparing import prepare as prepare_module
from gradstep.data.sources import pieces as cutting
from gradstep.data.sources import table as tables
from gradstep.rows import shards

N = 1200
CUTS = [0, 300, 301, 800, N]


def frame():
    """Numbers, gaps, categories, dates, what tells the target, rows without weight or target."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2)) * [1.0, 1e4]
    c = rng.integers(0, 40, N)
    two = np.where(x[:, 0] + rng.logistic(size=N) > 0, "yes", "no").astype(object)
    number = (x[:, 0] + 0.1 * c + rng.normal(size=N)).astype(object)
    for target in (two, number):
        target[rng.random(N) < 0.02] = None
    gaps = x[:, 1].astype(object)
    gaps[700:720] = None
    start = np.datetime64("2026-01-01", "ms")
    return pl.DataFrame({
        "x": x[:, 0],
        "gaps": pl.Series(gaps.tolist(), dtype=pl.Float64),
        "level": [f"level {k}" for k in c],
        "when": start + (rng.integers(0, 9000, N) * 3_600_000).astype("timedelta64[ms]"),
        "w": rng.integers(0, 4, N).astype(float),
        "exposure": rng.uniform(-0.5, 0.5, N),
        "two": pl.Series(two.tolist(), dtype=pl.String),
        "leak": [float(value == "yes") for value in two],
        "copy": pl.Series(two.tolist(), dtype=pl.String),
        "number": pl.Series(number.tolist(), dtype=pl.Float64),
    })  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The table in files."""
    home, table = tmp_path_factory.mktemp("home"), frame()
    for kind in ("csv", "parquet"):
        (home / kind).mkdir()
        for at, (lo, hi) in enumerate(pairwise(CUTS)):
            getattr(table[lo:hi], f"write_{kind}")(home / kind / f"{at}.{kind}")
        getattr(table, f"write_{kind}")(home / f"one.{kind}")
    return home


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Many chunks, pieces, buckets and tasks."""
    monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 128)
    monkeypatch.setattr(cutting, "_LEAST_BYTES", 0)
    monkeypatch.setattr(cutting, "_PIECE_BYTES", 1 << 14)
    monkeypatch.setattr(second_pass, "_BUCKET_BYTES", 1 << 11)
    monkeypatch.setattr(elsewhere, "_GATHERED_BYTES", 1 << 13)
    monkeypatch.setattr(in_store, "_GATHERED_BYTES", 1 << 13)
    monkeypatch.setattr(first_pass, "_KEPT_BYTES", 0)
    monkeypatch.setattr(shards, "_SHARD_BYTES", 1 << 12)
    monkeypatch.setattr(shards, "_NUMBERS_A_FEATURE", 0.1)


def content(folder):
    """Return what a folder holds."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*"))}


CASES = {
    "classes": ("two", {"clusters": ["level", "when"]}),
    "weights, an offset": (
        "number",
        {"sample_weight": "w", "offset": "exposure", "validation": 0.3, "random_state": 3},
    ),
    "none held out": ("number", {"validation": 0.0, "kinds": {"level": "hash:4"}}),
    "by time, terms": (
        "number",
        {
            "time_column": "when",
            "splines": ["auto", "gaps", "when"],
            "crosses": ["gaps:level"],
            "polynomials": {"w": 2},
            "drop": ["two", "copy"],
        },
    ),
    "numbers alone": ("number", {"only": ["x", "gaps"], "sample_weight": "w"}),
}


SLOW = [
    ("classes", "parquet"), ("weights, an offset", "one.csv"), ("none held out", "one.parquet"),
    ("by time, terms", "csv"),
]  # fmt: skip


@pytest.mark.parametrize(
    "case, table",
    [
        ("classes", "csv"),
        ("numbers alone", "csv"),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW),
    ],
)
def test_is_the_same_folder(home, client, tmp_path, table, case):
    target, options = CASES[case]
    here = prepare(home / table, target, out=tmp_path / "here", **options)
    seen = []
    there = prepare(
        home / table, target, out=tmp_path / "there", client=client,
        watch=lambda *at: seen.append(at), **options,
    )  # fmt: skip
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert seen[-1][0] == seen[-1][1] > 3
    assert ("statistics" in there.meta) == (case == "numbers alone")
    if case == "classes":
        warnings = "\n".join(there.meta["warnings"])
        assert "'copy' is a copy of the target" in warnings
        assert "'leak' is the target 'two' in other words" in warnings
    assert here.train.n == there.train.n


class TestAsPeopleWriteThem:
    """Formats are found over all pieces, and files joined by name."""

    @pytest.fixture
    def written(self, tmp_path, monkeypatch):
        """Return a folder of CSV files: decimal commas, days before months, other columns."""
        monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 1 << 9)
        rng = np.random.default_rng(5)
        number = rng.normal(size=N) * 3000.0
        table = pl.DataFrame({
            "price": [f"{x:,.2f}".translate(str.maketrans(",.", ".,")) for x in number],
            "when": [f"{1 + k % 28:02}/{1 + k % 12:02}/2025" for k in range(N)],
            "late": [f"{k if k < 900 else k * 1000:,}".replace(",", " ") for k in range(N)],
            "weight": [f"{1 + k % 3},5" for k in range(N)],
            "level": [f"level {k % 7}" for k in range(N)],
            "thousands": [f"{1 + k % 9}.{k % 1000:03}" for k in range(N)],
            "y": [f"{x / 1000.0:.4f}".replace(".", ",") for x in number + rng.normal(size=N)],
        })  # fmt: skip
        table = table.with_columns(
            price=pl.when(pl.int_range(N) == 1100).then(pl.lit("?")).otherwise("price")
        )
        folder = tmp_path / "written"
        folder.mkdir()
        for at, (lo, hi) in enumerate(pairwise(CUTS)):
            part = table[lo:hi] if at != 2 else table[lo:hi].select(reversed(table.columns))
            part = part.drop("level") if at == 1 else part
            part.write_csv(folder / f"{at}.csv", separator=";")
        return folder

    @pytest.mark.slow
    def test_are_the_same_folder(self, written, client, tmp_path):
        how = {"sample_weight": "weight", "time_column": "when"}
        prepare(written, "y", out=tmp_path / "here", **how)
        there = prepare(written, "y", out=tmp_path / "there", client=client, **how)
        assert content(tmp_path / "there") == content(tmp_path / "here")
        assert {c for c, _ in there.encoding.formats} == {
            "price", "when", "late", "weight", "thousands", "y",
        }  # fmt: skip
        notes = "\n".join(there.meta["warnings"])
        assert "lacks the column 'level'" in notes
        assert "In 'price' '?' is taken as missing" in notes

    @pytest.mark.slow
    def test_a_slip_is_told_with_its_line(self, written, client, tmp_path):
        lines = (written / "3.csv").read_text().splitlines()
        lines[7] = lines[7].replace(lines[7].split(";")[0], "3x", 1)
        (written / "3.csv").write_text("\n".join(lines) + "\n")
        found = []
        for how in ({}, {"client": client, "out": tmp_path / "p"}):
            with pytest.raises(InvalidTable, match=r"3\.csv, line 8: .*'3x'") as error:
                prepare(written, "y", **how)
            found.append(str(error.value))
        assert found[0] == found[1]

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["gz", "bz2", "zip"])
    def test_packed_files(self, written, client, tmp_path, kind):
        text = (written / "3.csv").read_bytes()
        path = tmp_path / f"rows.csv.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("rows.csv", text)
        else:
            path.write_bytes({"gz": gzip, "bz2": bz2}[kind].compress(text))
        for name, how in (("here", {}), ("there", {"client": client})):
            prepare(path, "y", out=tmp_path / name, **how)
        assert content(tmp_path / "there") == content(tmp_path / "here")


@pytest.mark.slow
def test_with_rows_of_another_table_to_validate_on(home, client, tmp_path):
    for name, how in (("here", {}), ("there", {"client": client})):
        prepare(
            home / "csv", "number", validation_table=home / "one.csv", out=tmp_path / name, **how
        )
    assert content(tmp_path / "there") == content(tmp_path / "here")


@pytest.mark.slow
def test_a_task_that_is_run_again_changes_nothing(home, client, tmp_path):
    """Each task is run twice, as it may be where a worker is thought to be dead."""
    from gradstep.data.preparing.prepare import prepare as prepare_by

    def twice(task, pieces):
        for piece in pieces:
            task(None, piece)
            yield task(None, piece)

    prepare(home / "csv", "two", out=tmp_path / "here")
    prepare_by(home / "csv", "two", out=tmp_path / "there", each=twice)
    assert content(tmp_path / "there") == content(tmp_path / "here")


@pytest.mark.slow
def test_a_fit_prepares_there(home, client, tmp_path):
    how = {"sample_weight": "w", "drop": ["two", "copy"]}
    there = fit_table(str(home / "csv"), "number", client=client, cache=tmp_path / "a", **how)
    here = fit_table(str(home / "csv"), "number", cache=tmp_path / "b", **how)
    assert there.model.params.tobytes() == here.model.params.tobytes()
    again = open_prepared(there.prepared.folder, verify=True)
    assert again.train.n == here.prepared.train.n


def test_the_command_line_does(home, client, tmp_path, monkeypatch, capsys):
    prepare(home / "csv", "two", out=tmp_path / "here")
    words = ["prepare", home / "csv", "-t", "two", "-o", tmp_path / "there", "--json"]
    words += ["--dask", client.scheduler.address]
    monkeypatch.setattr(sys, "argv", ["gradstep", *map(str, words)])
    with pytest.raises(SystemExit, match=r"\A0\Z"):
        main()
    assert json.loads(capsys.readouterr().out)["rows"]["read"] == N
    assert content(tmp_path / "there") == content(tmp_path / "here")


def stored(address):
    """Return what a folder in a store holds, but for what lies deeper."""
    system, root = fsspec.url_to_fs(address)
    return {Path(name).relative_to(root): system.cat_file(name) for name in system.find(root)}


class TestInAStore:
    @pytest.mark.parametrize(
        "case",
        [
            "numbers alone",
            *(pytest.param(c, marks=pytest.mark.slow) for c in CASES if c != "numbers alone"),
        ],
    )
    def test_are_the_same_files(self, home, client, store, tmp_path, case):
        target, options = CASES[case]
        prepare(home / "csv", target, out=tmp_path / "here", **options)
        there = prepare(home / "csv", target, out=store, client=client, **options)
        assert stored(store) == content(tmp_path / "here")
        assert there.address == store

    @pytest.mark.slow
    def test_with_rows_of_another_table_to_validate_on(self, home, client, store, tmp_path):
        how = {"validation_table": home / "one.csv"}
        prepare(home / "csv", "number", out=tmp_path / "here", **how)
        prepare(home / "csv", "number", out=store, client=client, **how)
        assert stored(store) == content(tmp_path / "here")

    @pytest.mark.slow
    def test_a_task_that_is_run_again_changes_nothing(self, home, store, tmp_path):
        """The first attempt fails half-way, or is done by one that was thought dead."""
        from gradstep.data.preparing.prepare import prepare as prepare_by

        def again(task, pieces):
            for number, piece in enumerate(pieces):
                with pytest.MonkeyPatch.context() as patch, suppress(CannotWrite):
                    if number % 2:
                        patch.setattr(in_store, "_bytes_of", _fails)
                    task(None, piece)
                yield task(None, piece)

        only = {"only": ["x", "gaps"]}
        prepare(home / "csv", "number", out=tmp_path / "here", **only)
        prepare_by(home / "csv", "number", out=store, each=again, **only)
        assert stored(store) == content(tmp_path / "here")

    def test_what_ends_before_the_end_leaves_nothing(self, home, client, store, monkeypatch):
        system = fsspec.filesystem("memory")
        system.pipe_file("/bucket/trips/.gradstep-0123/00000-ab", b"of one that was killed")
        seen = []

        def fails(*_arguments, **_keywords):
            seen.append(system.find("/bucket/trips"))
            system.pipe_file("/bucket/trips/train_mine.npy", b"of others")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(prepare_module, "seal", fails)
        with pytest.raises(
            CannotWrite, match=rf"scratch on {platform.node()} cannot be written: No space"
        ):
            prepare(home / "csv", "number", out=store, client=client, only=["x"])
        assert "/bucket/trips/train_y.npy" in seen[0]
        assert "/bucket/trips/meta.json" not in seen[0]
        assert [path.name for path in stored(store)] == ["train_mine.npy"]

    def test_what_a_killed_run_has_left_is_no_part_of_the_next(self, home, client, store, tmp_path):
        system, only = fsspec.filesystem("memory"), {"only": ["x", "gaps"], "validation": 0.0}
        prepare(home / "csv", "number", out=tmp_path / "here", **only)
        left = {"train_weight.npy": np.arange(N, dtype=float), "validation_y.npy": np.ones(3)}
        for name, array in left.items():
            with system.open(f"/bucket/trips/{name}", "wb") as file:
                np.save(file, array)
        system.pipe_file("/bucket/trips/.gradstep-01/claim.json", json.dumps([*left]).encode())
        prepare(home / "csv", "number", out=store, client=client, **only)
        assert stored(store) == content(tmp_path / "here")


def _fails(_array):
    raise RuntimeError
    yield


def test_sparse_text_and_frames_are_prepared_here(client, tmp_path):
    prepared = prepare(frame(), "two", out=tmp_path / "a", client=client)
    assert prepared.folder == tmp_path / "a"
    (tmp_path / "rows.svm").write_text("1 1:2\n0 2:1\n" * 50)
    assert prepare(tmp_path / "rows.svm", "label", out=tmp_path / "b", client=client).train.n > 80


class TestErrors:
    def test_count_rows_from_the_first_of_the_table(self, home, client, tmp_path):
        found = []
        for how in ({}, {"client": client, "out": tmp_path / "p"}):
            with pytest.raises(InvalidTable, match=r"'gaps' .*first in row 70\d \(of") as error:
                prepare(home / "csv", "number", missing="error", **how)
            found.append(str(error.value))
        assert found[0] == found[1]

    def test_say_in_which_file(self, home, client, tmp_path):
        folder = tmp_path / "files"
        folder.mkdir()
        for at in range(2):
            frame().write_csv(folder / f"{at}.csv")
        text = (folder / "1.csv").read_text().splitlines()
        text[5] = "inf" + text[5][text[5].index(",") :]
        (folder / "1.csv").write_text("\n".join(text) + "\n")
        with pytest.raises(InvalidTable, match=r"1\.csv: Column 'x' is infinite in row 5 \(of"):
            prepare(folder, "number", out=tmp_path / "p", client=client)
        assert [path.name for path in tmp_path.iterdir()] == ["files"]

    def test_leave_nothing_behind(self, home, client, tmp_path, monkeypatch):
        def fails(*_arguments, **_keywords):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(elsewhere, "write_rows", fails)
        with pytest.raises(gradstep.CannotWrite, match="No space left on device"):
            prepare(home / "csv", "number", out=tmp_path / "p", client=client)
        assert list(tmp_path.iterdir()) == []

    def test_tell_of_a_file_that_changes(self, home, client, tmp_path, monkeypatch):
        frame().write_csv(tmp_path / "rows.csv")
        counts = second_pass.HoldOut.counts

        def meanwhile(self):
            found = counts(self)
            frame().head(900).write_csv(tmp_path / "rows.csv")
            return found

        monkeypatch.setattr(second_pass.HoldOut, "counts", meanwhile)
        with pytest.raises(InvalidTable, match=r"rows\.csv changed while it was being read"):
            prepare(tmp_path / "rows.csv", "number", out=tmp_path / "p", client=client)
