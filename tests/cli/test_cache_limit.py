"""The cache keeps to its limit: the least recently used tables go, those in use never."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import gradstep as gs
from gradstep.cache_folder import last_used
from gradstep.data.preparing import cache


@pytest.fixture
def train(told, trips):
    """Return a function that trains, by a seed of its own: what was told."""

    def train(seed):
        return told("train", trips, "-t", "fare", "--only", "km,hour", "--max-iter", "1",
                    "--cache", "kept", "--random-state", seed)  # fmt: skip

    return train


@pytest.fixture
def kept(train, told):
    """Three tables, used in the order of their names."""
    for seed in (1, 2, 3):
        train(seed)
    folders = sorted(Path(entry["folder"]) for entry in told("cache", "--cache", "kept")["tables"])
    for age, folder in zip((300, 200, 100), folders, strict=True):
        os.utime(folder / "CACHEDIR.TAG", (1e9 - age, 1e9 - age))
    return folders


@pytest.fixture
def three(kept, monkeypatch):
    """A limit that three tables keep to, four do not."""
    size = max(map(cache.bytes_of, kept))
    monkeypatch.setenv("GRADSTEP_CACHE_LIMIT", str(int(3.5 * size)))
    return kept


class TestLimit:
    def test_lets_the_least_recently_used_go_and_says_so_once(self, train, three, told):
        (note,) = (note for note in train(4)["notes"] if "made room" in note)
        assert note.startswith("GS303: 1 prepared table (")
        assert "GRADSTEP_CACHE_LIMIT" in note
        assert [folder.exists() for folder in three] == [False, True, True]
        assert len(told("cache", "--cache", "kept")["tables"]) == 3
        assert not any("made room" in note for note in train(4)["notes"])
        assert sorted(Path("kept").iterdir()) == sorted(Path("kept").glob("[0-9a-f]*"))

    def test_knows_what_is_used_again(self, train, three):
        before = last_used(three[0])
        for seed in (1, 2, 3):
            train(seed)
        assert last_used(three[0]) > before
        os.utime(three[1] / "CACHEDIR.TAG", (0, 0))
        train(4)
        assert [folder.exists() for folder in three] == [True, False, True]

    def test_spares_what_is_in_use(self, train, three):
        prepared = cache.open_kept(three[0])
        os.utime(three[0] / "CACHEDIR.TAG", (0, 0))
        rows = prepared.train
        del prepared
        train(4)
        assert [folder.exists() for folder in three] == [True, False, True]
        del rows
        os.utime(three[0] / "CACHEDIR.TAG", (0, 0))
        train(5)
        assert not three[0].exists()

    def test_spares_what_is_not_ours(self, train, three, monkeypatch):
        """Nor marked, nor a link, nor named as tables are."""
        (three[0] / "CACHEDIR.TAG").unlink()
        shutil.copytree(three[1], "elsewhere")
        Path("kept", "0" * 24).symlink_to("../elsewhere")
        shutil.copytree(three[1], Path("kept", "thesis"))
        monkeypatch.setenv("GRADSTEP_CACHE_LIMIT", "0")
        train(4)
        assert [folder.exists() for folder in three] == [True, False, False]
        assert Path("elsewhere", "meta.json").exists()
        assert Path("kept", "thesis").exists()
        assert Path("kept", "0" * 24).is_symlink()

    def test_that_is_no_size(self, fails, trips, monkeypatch):
        monkeypatch.setenv("GRADSTEP_CACHE_LIMIT", "much")
        message = fails("train", trips, "-t", "fare", "--cache", "kept")
        assert "GRADSTEP_CACHE_LIMIT much is no size. Write it as 2GB, or 500MB." in message

    def test_is_a_share_of_a_small_disk(self, tmp_path, monkeypatch):
        monkeypatch.delenv("GRADSTEP_CACHE_LIMIT", raising=False)
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=4_000))
        assert cache.cache_limit(tmp_path / "new" / "tables") == 1_000
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=1 << 50))
        assert cache.cache_limit(tmp_path / "new" / "tables") == 20_000_000_000


class TestListing:
    @pytest.mark.parametrize("at", ["bytes_of", "last_used", "read_meta"])
    def test_goes_on_while_tables_disappear(self, told, kept, monkeypatch, at):
        where = {"bytes_of": "gradstep.data.preparing.cache.bytes_of",
                 "last_used": "gradstep.cli.cache.last_used",
                 "read_meta": "gradstep.data.preparing.prepared.read_meta"}[at]  # fmt: skip
        real = {"bytes_of": cache.bytes_of, "last_used": last_used,
                "read_meta": gs.data.preparing.prepared.read_meta}[at]  # fmt: skip

        def racing(folder):
            if folder == kept[1]:
                shutil.rmtree(folder, ignore_errors=True)
            return real(folder)

        monkeypatch.setattr(where, racing)
        tables = told("cache", "--cache", "kept")["tables"]
        assert {Path(entry["folder"]) for entry in tables} == {kept[0], kept[2]}
