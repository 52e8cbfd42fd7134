"""Folders of prepared tables: complete or not to be opened, whatever happens to them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gradstep import CannotWrite, InvalidTable, open_prepared, prepare
from gradstep.data.preparing import prepare as making
from gradstep.data.preparing import prepared as storing
from gradstep.data.preparing import second_pass
from tests.data.cases import arrays, bits, leftovers, numbered
from tests.examples import examples

N = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A prepared table of two parts with weights, whole."""
    path = tmp_path_factory.mktemp("prepared") / "whole"
    prepare(numbered(N), "y", sample_weight="w", validation=0.2, out=path)
    return path


@pytest.fixture
def copy(folder, tmp_path):
    """One of it that may be damaged."""
    return shutil.copytree(folder, tmp_path / "copy")


class TestWhole:
    def test_opens_as_it_was_made(self, folder):
        made = prepare(numbered(N), "y", sample_weight="w", validation=0.2)
        opened = open_prepared(folder, verify=True)
        assert bits(opened) == bits(made)
        assert (opened.encoding, opened.target) == (made.encoding, made.target)
        assert opened.meta["rows"] == made.meta["rows"]
        assert opened.folder == folder
        assert repr(opened) == repr(made)

    def test_holds_plain_arrays_and_meta(self, folder):
        names = {p.name for p in folder.iterdir()}
        nouns = ("values", "codes", "y", "weight")
        assert names == {"meta.json"} | {f"{p}_{n}.npy" for p in ("train", "validation")
                                         for n in nouns}  # fmt: skip
        for path in folder.glob("*.npy"):
            np.load(path, allow_pickle=False)

    def test_cannot_be_changed_through_the_arrays(self, folder):
        for array in arrays(open_prepared(folder).train).values():
            assert not array.flags.writeable

    @pytest.mark.parametrize(
        "table",
        [
            numbered(60).select("x", "y"),
            numbered(60).select("colour", "y"),
            numbered(60).with_columns((pl.col("z") > 90).alias("y")),
            numbered(60).with_columns(pl.col("colour").alias("y")),
            numbered(60).select(pl.col("z").cast(pl.Float32), "y"),
        ],
        ids=["numbers", "categories", "booleans", "classes", "float32"],
    )
    def test_of_any_columns(self, table, tmp_path):
        prepare(table, "y", out=tmp_path / "p")
        opened, made = open_prepared(tmp_path / "p", verify=True), prepare(table, "y")
        assert bits(opened) == bits(made)
        assert opened.target == made.target


class TestWriting:
    @pytest.mark.parametrize("content", [None, "notes"])
    def test_what_exists_is_not_touched(self, content, tmp_path, monkeypatch):
        """Which is seen before the table is read."""
        monkeypatch.setattr(making, "open_table", lambda *_, **__: pytest.fail("it was opened"))
        path = tmp_path / "p"
        path.mkdir()
        if content:
            (path / content).write_text("keep")
        with pytest.raises(CannotWrite, match=r"p exists already\. Choose another folder"):
            prepare(numbered(N), "y", out=path)
        assert leftovers(path) == ([content] if content else [])

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
    @pytest.mark.parametrize("at", ["seal", "new_array", "put"])
    def test_a_failure_leaves_nothing(self, at, error, tmp_path, monkeypatch):
        calls = []

        def fails(*args, **kwargs):
            calls.append(at)
            raise error(errno.EIO, "broken")

        monkeypatch.setattr(making if at == "seal" else second_pass, at, fails)
        with pytest.raises(CannotWrite if error is OSError else error):
            prepare(numbered(N), "y", out=tmp_path / "p")
        assert calls
        assert leftovers(tmp_path) == []

    @pytest.mark.parametrize("call", range(1, 9))
    def test_no_space(self, call, tmp_path, monkeypatch):
        """Whichever array it is that finds none."""
        calls, allocate = [], os.posix_fallocate

        def full(*args):
            calls.append(args)
            if len(calls) == call:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return allocate(*args)

        monkeypatch.setattr(os, "posix_fallocate", full)
        with pytest.raises(CannotWrite, match=r"p cannot be written: No space left.*Free some"):
            prepare(numbered(N), "y", sample_weight="w", validation=0.2, out=tmp_path / "p")
        assert leftovers(tmp_path) == []

    def test_no_space_on_a_real_disk(self, tmp_path):
        """A tmpfs of 64 KB."""
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
        if (
            shutil.which("mount") is None
            or subprocess.run(mount, capture_output=True, check=False).returncode
        ):
            pytest.skip("a file system cannot be mounted here")
        try:
            with pytest.raises(CannotWrite, match="No space left"):
                prepare(numbered(20_000), "y", out=disk / "p")
            assert leftovers(disk) == []
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)  # maps may live on

    @pytest.mark.parametrize("call", range(1, 12))
    def test_a_disk_that_fails_to_keep(self, call, tmp_path, monkeypatch):
        """At whichever fsync."""
        calls, sync = [], os.fsync

        def broken(handle):
            calls.append(handle)
            if len(calls) == call:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            sync(handle)

        monkeypatch.setattr(os, "fsync", broken)
        try:
            prepare(numbered(N), "y", sample_weight="w", validation=0.2, out=tmp_path / "p")
        except CannotWrite as error:
            assert "Input/output error" in str(error)  # noqa: PT017
        assert all(not name.endswith(".part") for name in leftovers(tmp_path))
        if (tmp_path / "p").exists():  # it had its name already
            open_prepared(tmp_path / "p", verify=True)

    def test_a_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(CannotWrite, match="file/p cannot be written"):
            prepare(numbered(N), "y", out=tmp_path / "file" / "p")

    @pytest.mark.parametrize("at", ["put", "seal"])
    def test_killed(self, at, tmp_path):
        """What is left behind does not open, and is not in the way of another try."""
        numbered(N).write_parquet(tmp_path / "t.parquet")
        program = f"""
            import os
            from gradstep.data.preparing import prepare as making, second_pass
            {"making" if at == "seal" else "second_pass"}.{at} = lambda *_, **__: os._exit(9)
            making.prepare({str(tmp_path / "t.parquet")!r}, "y", out={str(tmp_path / "p")!r})
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
        assert done.returncode == 9
        (part,) = (p for p in tmp_path.iterdir() if p.suffix == ".part")
        for path in (tmp_path / "p", part):
            with pytest.raises(InvalidTable, match=r"no prepared table: it has no meta\.json"):
                open_prepared(path)
        os.utime(part, (0, 0))
        prepare(tmp_path / "t.parquet", "y", out=tmp_path / "p")
        open_prepared(tmp_path / "p", verify=True)
        assert not part.exists()


class TestDamaged:
    def refused(self, path, says, **options):
        with pytest.raises(InvalidTable) as caught:
            open_prepared(path, **options)
        assert says in str(caught.value)
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize("name", ["train_values", "train_y", "validation_codes"])
    def test_a_truncated_array(self, copy, name):
        path = copy / f"{name}.npy"
        os.truncate(path, path.stat().st_size - 8)
        self.refused(copy, f"{name}.npy is not as long as it was")

    @pytest.mark.parametrize("name", ["train_values", "train_y", "validation_weight"])
    def test_a_missing_array(self, copy, name):
        (copy / f"{name}.npy").unlink()
        self.refused(copy, f"{name}.npy is missing")

    @pytest.mark.parametrize("name", ["train_values", "train_weight", "validation_codes"])
    def test_a_flipped_bit(self, copy, name):
        flip(copy / f"{name}.npy", -100)
        self.refused(copy, f"{name}.npy is not what was written", verify=True)

    @pytest.mark.filterwarnings("ignore:Reading `.npy`")
    @settings(examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, 127), st.integers(0, 7), st.sampled_from(["values", "codes", "y"]))
    @example(8, 1, "codes")  # a longer header: the numbers begin later
    def test_a_header_that_says_something_else(self, copy, byte, bit, noun):
        """Is refused, or says the same: no array is read beyond its end."""
        path = copy / f"train_{noun}.npy"
        content = path.read_bytes()
        flip(path, byte, bit)
        try:
            opened = open_prepared(copy)
        except InvalidTable as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert arrays(opened.train)[noun].nbytes == len(content) - 128
            assert len(arrays(opened.train)[noun]) == opened.meta["rows"]["train"]
        finally:
            path.write_bytes(content)

    def test_changed_meta(self, copy):
        path = copy / "meta.json"
        path.write_text(path.read_text().replace("colour", "coluor"))
        self.refused(copy, "meta.json is damaged: its checksum differs")

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"meta": 3}', '{"meta": "{"}', "\0"])
    def test_other_meta(self, copy, text):
        (copy / "meta.json").write_text(text)
        self.refused(copy, "meta.json cannot be read")

    def test_a_newer_format(self, copy):
        path = copy / "meta.json"
        meta = json.loads(json.loads(path.read_text())["meta"])
        text = json.dumps({**meta, "format": 99, "version": "7.1"})
        digest = hashlib.sha256(text.encode()).hexdigest()
        path.write_text(json.dumps({"meta": text, "sha256": digest}))
        self.refused(
            copy, f"format 99; this version of gradstep reads formats up to {storing.FORMATS[-1]}"
        )
        self.refused(copy, "gradstep 7.1")

    def test_a_folder_of_something_else(self, tmp_path):
        self.refused(tmp_path, "no prepared table")
        self.refused(tmp_path / "none", "no prepared table")

    def test_pickles_are_not_read(self, copy):
        """They could run code."""
        path = copy / "train_y.npy"
        size = path.stat().st_size
        np.save(path, np.array([print] * 3, dtype=object))
        with path.open("ab") as file:
            file.write(b"\0" * (size - path.stat().st_size))
        self.refused(copy, "train_y.npy cannot be read")


def flip(path, byte, bit=3):
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)
