"""The cache of prepared tables: used while its source is the same, and made again where damaged."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gradstep import open_prepared, prepare
from gradstep.data.preparing import second_pass
from gradstep.data.sources import source_file
from gradstep.files import temporary_folder
from tests.data.cases import bits, leftovers, numbered

N = 400


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

    def test_what_a_killed_run_has_left_goes(self, source, reads, tmp_path):
        """Also where the table is there, so that nothing is written."""
        prepare(source, "y", cache=tmp_path)
        with temporary_folder(tmp_path) as left:
            pass
        left.mkdir()
        os.utime(left, (0, 0))
        prepare(source, "y", cache=tmp_path)
        assert len(reads) == 1
        assert not left.exists()

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
