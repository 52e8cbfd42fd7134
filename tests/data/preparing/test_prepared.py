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
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gradstep import CannotWrite, InvalidTable, open_prepared, prepare
from gradstep.data.preparing import prepare as making
from gradstep.data.preparing import prepared as storing
from gradstep.data.preparing import second_pass
from gradstep.data.sources import source_file
from tests.data.cases import arrays, bits, numbered
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


def leftovers(path):
    return sorted(p.name for p in path.iterdir())


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


class TestCache:
    @pytest.fixture
    def source(self, tmp_path):
        path = tmp_path / "t.parquet"
        numbered(N).write_parquet(path)
        return path

    @pytest.fixture
    def reads(self, monkeypatch):
        """Count the tables that were prepared anew."""
        reads, read = [], second_pass.TableMaker.read
        monkeypatch.setattr(
            second_pass.TableMaker, "read", lambda self: (reads.append(1), read(self))
        )
        return reads

    def test_the_second_time_is_not_prepared(self, source, reads, tmp_path):
        cache = tmp_path / "cache"
        first = prepare(source, "y", cache=cache)
        again = prepare(source, "y", cache=cache)
        assert len(reads) == 1
        assert again.folder == first.folder
        assert bits(again) == bits(first) == bits(prepare(source, "y"))

    def test_in_the_users_folder(self, source, reads, tmp_path, monkeypatch):
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path / "mine"))
        prepare(source, "y", cache=True)
        prepare(source, "y", cache=True)
        assert len(reads) == 1
        assert len(leftovers(tmp_path / "mine" / "tables")) == 1

    @pytest.mark.parametrize(
        "options",
        [
            {"random_state": 1},
            {"validation": 0.3},
            {"drop": "z"},
            {"max_levels": 2},
            {"sample_weight": "w"},
        ],
    )
    def test_what_matters_counts(self, options, source, reads, tmp_path):
        prepare(source, "y", cache=tmp_path / "c")
        prepare(source, "y", cache=tmp_path / "c", **options)
        assert len(reads) == 2

    def test_memory_does_not_matter(self, source, reads, tmp_path):
        prepare(source, "y", cache=tmp_path / "c")
        prepare(source, "y", cache=tmp_path / "c", memory=1 << 30)
        assert len(reads) == 1

    def test_a_file_that_changed_is_prepared_again(self, source, reads, tmp_path):
        prepare(source, "y", cache=tmp_path / "c")
        numbered(N, seed=1).write_parquet(source)
        changed = prepare(source, "y", cache=tmp_path / "c")
        assert len(reads) == 2
        assert bits(changed) == bits(prepare(numbered(N, seed=1), "y"))

    @pytest.fixture(params=["small", "large"])
    def text(self, request, tmp_path, monkeypatch):
        """A file that is read whole to be known, and one of which blocks are read."""
        if request.param == "large":
            monkeypatch.setattr(source_file, "_WHOLE_BYTES", 0)
            monkeypatch.setattr(source_file, "_BLOCK_BYTES", 64)
        path = tmp_path / "t.csv"
        numbered(N).write_csv(path)
        assert path.stat().st_size > 64 * 64
        return path

    @pytest.mark.parametrize("how", ["in place", "renamed"])
    @pytest.mark.parametrize("at", [0.0, 0.505, 1.0])
    def test_the_same_size_and_time_are_not_the_same_file(self, text, at, how, reads, tmp_path):
        """As after cp -p, or rsync: one digit differs, wherever it is."""
        before, content = text.stat(), bytearray(text.read_bytes())
        prepare(text, "y", cache=tmp_path / "c", validation=0.0)
        digits = [k for k, c in enumerate(content) if c in b"123" and k > 100]
        content[digits[int(at * (len(digits) - 1))]] ^= 4
        other = text if how == "in place" else tmp_path / "other"
        other.write_bytes(content)
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.rename(text)
        assert (text.stat().st_size, text.stat().st_mtime_ns) == (
            before.st_size,
            before.st_mtime_ns,
        )
        changed = prepare(text, "y", cache=tmp_path / "c", validation=0.0)
        assert len(reads) == 2
        assert bits(changed) == bits(prepare(text, "y", validation=0.0))

    def test_a_file_that_was_touched_is_prepared_again_only_if_it_is_large(
        self, text, reads, tmp_path
    ):
        """Or copied back, or had its mode changed: only its blocks and its times are known."""
        prepare(text, "y", cache=tmp_path / "c")
        prepare(text, "y", cache=tmp_path / "c")
        assert len(reads) == 1
        shutil.copy(text, tmp_path / "copy")
        (tmp_path / "copy").rename(text)
        text.chmod(0o600)
        prepare(text, "y", cache=tmp_path / "c")
        assert len(reads) == 1 + (source_file._WHOLE_BYTES == 0)

    def test_a_file_more_is_prepared_again(self, tmp_path, reads):
        folder = tmp_path / "t"
        folder.mkdir()
        numbered(N).write_parquet(folder / "a.parquet")
        prepare(folder, "y", cache=tmp_path / "c")
        numbered(N).write_parquet(folder / "b.parquet")
        assert prepare(folder, "y", cache=tmp_path / "c").meta["rows"]["read"] == 2 * N

    def test_several_may_fill_it_at_once(self, source, tmp_path):
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _: prepare(source, "y", cache=tmp_path / "c"), range(4)))
        assert len({str(bits(one)) for one in made}) == 1
        (kept,) = (tmp_path / "c").iterdir()
        open_prepared(kept, verify=True)

    def test_a_damaged_one_is_made_again(self, source, reads, tmp_path):
        first = prepare(source, "y", cache=tmp_path / "c")
        (first.folder / "train_y.npy").unlink()
        again = prepare(source, "y", cache=tmp_path / "c")
        assert len(reads) == 2
        assert bits(again) == bits(prepare(source, "y"))

    def test_frames_are_not_kept(self, source, reads, tmp_path):
        """Neither as a table nor as one to validate on: nothing tells one from another."""
        prepare(numbered(N), "y", cache=tmp_path / "c")
        for seed in (1, 2):
            other = numbered(50, seed=seed)
            prepared = prepare(source, "y", validation_table=other, cache=tmp_path / "c")
            np.testing.assert_array_equal(
                prepared.validation.rows.values, prepared.encoding.encode(other).values
            )
        assert not (tmp_path / "c").exists()
