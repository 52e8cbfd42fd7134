"""Tables in an object store: workers read them there, and write predictions beside them."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import fsspec
import pytest

from gradstep import (
    CannotWrite,
    InvalidTable,
    evaluate,
    fit_table,
    predict_parts,
    prepare,
    save,
    scratch,
)
from gradstep.cli.main import main
from gradstep.data.sources import pieces as cutting
from gradstep.data.sources import store_copies
from gradstep.model import by_pieces, prediction_files
from tests.machines.test_prepare import stored
from tests.machines.test_same_bits import bits, table

pytestmark = pytest.mark.usefixtures("_many_shards")
CUTS = [0, 200, 201, None]


@pytest.fixture
def rows(store, tmp_path, monkeypatch):
    """Return a table in files here, and its address in a store."""
    monkeypatch.setattr(cutting, "_LEAST_BYTES", 0)
    (tmp_path / "rows").mkdir()
    for at, (lo, hi) in enumerate(pairwise(CUTS)):
        table("number")[lo:hi].write_parquet(tmp_path / "rows" / f"{at}.parquet")
    fsspec.filesystem("memory").put(str(tmp_path / "rows"), "/bucket/rows", recursive=True)
    yield tmp_path / "rows", "memory://bucket/rows"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)
    store_copies._kept.clear()


@pytest.fixture
def model(rows):
    return fit_table(prepare(rows[0], "y"), alpha=1e-3).model


@pytest.mark.slow
def test_a_fit_has_the_same_bits(rows, store, client, tmp_path):
    here, there = rows
    expected = bits(fit_table(prepare(here, "y"), alpha=1e-3))
    assert bits(fit_table(there, "y", alpha=1e-3, client=client, cache=tmp_path / "c")) == expected
    prepared = prepare(there, "y", out=store, client=client)
    assert bits(fit_table(prepared, alpha=1e-3, client=client)) == expected


def test_predictions_and_metrics_are_those_of_the_files(rows, client, model, tmp_path):
    here, there = rows
    out = "memory://bucket/predictions"
    predict_parts(model, here, tmp_path / "parts")
    parts = predict_parts(model, f"{there}/*.parquet", out, client=client)
    expected = {p.name: p.read_bytes() for p in (tmp_path / "parts").iterdir()}
    found = {str(name): content for name, content in stored(out).items()}
    manifests = [json.loads(each.pop("_SUCCESS")) for each in (found, expected)]
    assert found == expected
    assert [part.pop("source") for part in manifests[0]["parts"]] == [
        f"{there}/{at}.parquet" for at in range(3)
    ]
    assert len(parts) == 3
    assert evaluate(model, there, client=client) == evaluate(model, here)
    with pytest.raises(CannotWrite, match="memory://bucket/predictions exists already"):
        predict_parts(model, here, out, client=client)


def test_the_command_line_does(rows, client, model, tmp_path, monkeypatch, capsys):
    _, there = rows
    save(model, tmp_path / "m.safetensors")

    def run(*words):
        where = ["--dask", client.scheduler.address]
        monkeypatch.setattr(sys, "argv", ["gradstep", *map(str, words), *where])
        with pytest.raises(SystemExit, match=r"\A0\Z"):
            main()
        return capsys.readouterr().out

    out = "memory://bucket/out"
    told = run("predict", tmp_path / "m.safetensors", there, "-o", out)
    assert told.endswith(f" predictions in {out}\n")
    assert "_SUCCESS" in {str(path) for path in stored(out)}
    assert json.loads(run("evaluate", tmp_path / "m.safetensors", there, "--json"))["r2"] > 0.0


def test_a_full_disk_is_that_of_the_machine(rows, model, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left on device")

    for module, name in ((prediction_files, "_write_parquet"), (scratch, "temporary_folder")):
        monkeypatch.setattr(module, name, fails)
        with pytest.raises(CannotWrite, match=r"scratch on .* cannot be written: No space"):
            predict_parts(model, rows[0], "memory://bucket/p")
    assert not stored("memory://bucket/p")


def test_what_fails_leaves_no_part(rows, client, model, monkeypatch):
    here, there = rows
    fsspec.filesystem("memory").pipe_file("/bucket/rows/2.parquet", b"PAR1 no table PAR1")
    with pytest.raises(InvalidTable, match=r"rows/2\.parquet is no parquet file, or a damaged one"):
        predict_parts(model, there, "memory://bucket/p", client=client)
    assert not stored("memory://bucket/p")

    def fails(place, *_):
        assert len(stored(place)) == 3
        raise CannotWrite(place)

    monkeypatch.setattr(by_pieces, "_finish", fails)
    with pytest.raises(CannotWrite):
        predict_parts(model, here, "memory://bucket/p", client=client)
    assert not stored("memory://bucket/p")
