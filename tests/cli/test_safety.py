"""What the command line must never do: overwrite what it reads, delete what is not its own."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import polars as pl
import pytest

import gradstep as gs
from gradstep.errors import CannotWrite

FEW = ("-t", "fare", "--only", "km,hour,colour", "--epochs", "2")


class TestTablesAreNotOverwritten:
    @pytest.mark.parametrize("named", ["same", "glob", "folder"])
    def test_by_a_model(self, fails, trips, named):
        before = Path(trips).read_bytes()
        source = {"same": trips, "glob": f"{Path(trips).parent}/*.csv", "folder": trips}[named]
        message = fails("train", source, *FEW, "--no-cache", "-m", trips)
        assert "it would be overwritten. Name another" in message
        assert Path(trips).read_bytes() == before

    def test_by_predictions(self, told, fails, trips):
        model = told("train", trips, *FEW, "--no-cache", "-m", "m.safetensors")["model"]
        before = Path(trips).read_bytes()
        assert "it would be overwritten" in fails("predict", model, trips, "-o", trips)
        assert Path(trips).read_bytes() == before


class TestCache:
    def test_clearing_leaves_what_is_not_ours(self, gradstep, told, trips):
        home = Path("kept")
        told("train", trips, *FEW, "--cache", home)
        for name in ("backup.part", "website", "0123"):
            (home / name).mkdir()
            (home / name / "meta.json").write_text('{"my": "meta"}')
        (home / "film.part").write_text("film")
        assert gradstep("cache", "--cache", home, "--clear")[0] == 0
        left = sorted(path.name for path in home.iterdir())
        assert left == ["0123", "backup.part", "film.part", "website"]

    def test_forgets_what_killed_runs_left_a_day_ago(self, told, trips, tmp_path, monkeypatch):
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path / "cache"))
        left = [tmp_path / "cache" / part for part in ("tables/.a.1.part", "scratch/tmp1")]
        new = [path.with_name(path.name.replace("1", "2")) for path in left]
        for path in (*left, *new):
            path.mkdir(parents=True)
            (path / "rows.npy").write_text("rows")
        for path in left:
            os.utime(path, (0, 0))
        told("train", trips, *FEW)
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in new)

    def test_a_full_disk_does_not_end_a_run(self, told, trips, monkeypatch):
        def full(*_arguments, **_keywords):
            raise CannotWrite(errno.ENOSPC, "no space")

        monkeypatch.setattr("gradstep.data.preparing.prepare.writing", full)
        found = told("train", trips, *FEW, "-m", "m.safetensors")
        monkeypatch.undo()
        assert found["rows"]["read"] == 900

    def test_one_that_was_asked_for_does(self, fails, trips, monkeypatch):
        def full(*_arguments, **_keywords):
            raise CannotWrite(errno.ENOSPC, "no space")

        monkeypatch.setattr("gradstep.data.preparing.prepare.writing", full)
        assert "no space" in fails("train", trips, *FEW, "--cache", "kept")


def test_names_with_commas(told, trips):
    table = pl.read_csv(trips).rename({"km": "km, paid"})
    table.write_csv("commas.csv")
    found = told("train", "commas.csv", "-t", "fare", "--only", r"km\, paid,hour", "--epochs", "2")
    used = {c["source"] for c in found["columns"] if c["kind"] == "NumberColumn"}
    assert used == {"km, paid", "hour"}


def test_names_that_polars_reads_as_patterns():
    table = pl.DataFrame({"*": [1.0, 2.0, 3.0] * 20, "x": [2.0, 4.0, 6.0] * 20})
    fit = gs.fit_table(table, "*", validation=0.0, epochs=3)
    assert fit.prepared.feature_names == ["x"]
    assert fit.model.predict(table).shape == (60,)
    with pytest.raises(gs.InvalidTable, match=r"'\^x\$' of the frame has a name .* Rename it"):
        gs.fit_table(table.rename({"x": "^x$"}), "*")


def test_estimators_on_prepared_tables_are_saved(tmp_path):
    table = pl.DataFrame({"x": [1.0, 2.0, 3.0] * 20, "y": [2.0, 4.0, 6.0] * 20})
    model = gs.MiniBatchRegressor(max_iter=3, tol=None).fit(gs.prepare(table, "y"))
    gs.save(model, tmp_path / "m.safetensors")
    assert (gs.load(tmp_path / "m.safetensors").predict(table) == model.predict(table)).all()
    with pytest.raises(gs.InvalidParameter, match="cannot go on after a fit on a prepared table"):
        model.partial_fit([[1.0]], [1.0])
    with pytest.raises(gs.InvalidParameter, match="save takes a Model"):
        gs.save(gs.MiniBatchRegressor(), tmp_path / "n.safetensors")
