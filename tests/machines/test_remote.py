"""Prepared tables in an object store: written, copied, and read by workers shard by shard."""

from __future__ import annotations

import platform
import sys

import fsspec
import numpy as np
import pytest

from gradstep import CannotWrite, InvalidTable, fit_table, load, open_prepared, prepare
from gradstep.cli.main import main
from gradstep.data.preparing import remote
from gradstep.data.preparing.prepared import digest_of, open_part
from tests.machines.test_same_bits import bits, sparse_text, table

pytestmark = pytest.mark.usefixtures("_many_shards")


@pytest.mark.parametrize("coded", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_model_has_the_same_bits(store, client, tmp_path, coded):
    here = prepare(table("two", coded=coded), "y", out=tmp_path / "here")
    there = prepare(table("two", coded=coded), "y", out=store)
    assert there.address == store
    assert digest_of(there.folder) == digest_of(here.folder)
    expected = bits(fit_table(here, alpha=1e-3))
    assert bits(fit_table(open_prepared(store), alpha=1e-3, client=client)) == expected


def test_a_worker_fetches_what_it_is_asked_for(store, tmp_path):
    there = prepare(table("number"), "y", out=store)
    data = open_part(store, "train", digest_of(there.folder))
    lo, hi = there.train.shards()[3]
    part = data.part(lo, hi)
    np.testing.assert_array_equal(part.rows.values, there.train.rows.values[lo:hi])
    np.testing.assert_array_equal(part.y, there.train.y[lo:hi])
    assert not data.rows.values[hi:].any()
    assert not data.rows.values[64:lo].any()  # a header is read with some rows after it


@pytest.mark.slow
def test_sparse_text(store, client, tmp_path):
    sparse_text(tmp_path / "rows.svm")
    there = prepare(tmp_path / "rows.svm", "label", out=store)
    here = prepare(tmp_path / "rows.svm", "label", out=tmp_path / "here")
    assert bits(fit_table(there, client=client)) == bits(fit_table(here))


def test_what_is_there_is_not_replaced(store):
    prepare(table("number"), "y", out=store)
    with pytest.raises(CannotWrite, match="memory://bucket/trips exists already"):
        prepare(table("number"), "y", out=store)


def test_what_is_not_there_is_told(store, monkeypatch):
    with pytest.raises(InvalidTable, match="memory://bucket/trips is no prepared table"):
        open_prepared(store)
    with pytest.raises(InvalidTable, match=r"nonesuch://bucket/t cannot be read: Protocol not"):
        open_prepared("nonesuch://bucket/t")
    there = prepare(table("number"), "y", out=store)
    with pytest.raises(InvalidTable, match=r"memory://bucket/trips is another table for a worker"):
        open_part(store, "train", "0" * 64)
    opened = open_part(store, "train", digest_of(there.folder))
    fsspec.filesystem("memory").pipe_file("/bucket/trips/train_y.npy", b"")
    with pytest.raises(InvalidTable, match=r"trips/train_y\.npy has become shorter"):
        opened.part(0, 10)
    fsspec.filesystem("memory").rm("/bucket/trips/train_y.npy")
    with pytest.raises(InvalidTable, match=r"train_y\.npy cannot be read"):
        open_part(store, "train", digest_of(there.folder))
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InvalidTable, match=r"pip install 'gradstep\[remote\]'"):
        open_prepared(store)


def test_a_full_disk_is_that_of_the_machine(store, monkeypatch):
    there = prepare(table("number"), "y", out=store)
    opened = open_part(store, "train", digest_of(there.folder))

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remote.os, "pwrite", fails)
    with pytest.raises(CannotWrite, match=rf"scratch on {platform.node()} cannot be written: No"):
        opened.part(0, 10)


def test_through_the_command_line(store, tmp_path, monkeypatch, capsys):
    table("number").write_parquet(tmp_path / "rows.parquet")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gradstep", *map(str, words), "--json"])
        with pytest.raises(SystemExit, match=r"\A0\Z"):
            main()
        assert capsys.readouterr().err == ""

    run("prepare", tmp_path / "rows.parquet", "--target", "y", "-o", store)
    run("train", store, "-m", tmp_path / "m.safetensors")
    assert load(tmp_path / "m.safetensors").params.any()
