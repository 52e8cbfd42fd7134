"""What the command line must never do: overwrite what it reads, delete what is not its own."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import polars as pl
import pytest

import gradstep as gs
from gradstep.errors import CannotWrite
from gradstep.files import temporary_folder

FEW = ("-t", "fare", "--only", "km,hour,colour", "--max-iter", "2")


class TestTablesAreNotOverwritten:
    @pytest.mark.parametrize("named", ["same", "glob", "folder"])
    def test_by_a_model(self, fails, trips, named):
        before = Path(trips).read_bytes()
        source = {"same": trips, "glob": f"{Path(trips).parent}/*.csv", "folder": trips}[named]
        message = fails("train", source, *FEW, "--no-cache", "-m", trips)
        assert "it would be overwritten. Name another" in message
        assert Path(trips).read_bytes() == before

    def test_but_a_model_is_by_the_next_of_the_same_prepared_table(self, told, fails, trips):
        told("prepare", trips, "-t", "fare", "-o", "rows")
        for _ in range(2):
            told("train", "rows", "--max-iter", "1", "-m", "m")
        assert "it would be overwritten" in fails("train", "rows", "-m", "rows/meta.json")

    def test_by_predictions(self, told, fails, trips):
        model = told("train", trips, *FEW, "--no-cache", "-m", "m.safetensors")["model"]
        before = Path(trips).read_bytes()
        assert "it would be overwritten" in fails("predict", model, trips, "-o", trips)
        assert Path(trips).read_bytes() == before


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder of the user that has become the cache of gradstep, too."""
    monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path / "home"))
    return tmp_path / "home"


class TestCache:
    def test_clearing_leaves_what_is_not_ours(self, gradstep, told, trips):
        home = Path("kept")
        told("train", trips, *FEW, "--cache", home)
        left = ["0123", "5f2b0c8e9d1a4b3c7e6f8a90", "backup.part", "website"]
        for name in left:
            (home / name).mkdir()
            (home / name / "meta.json").write_text('{"my": "meta"}')
        (home / "film.part").write_text("film")
        (table,) = (path for path in home.iterdir() if (path / "train_y.npy").exists())
        (home / "0123456789abcdef01234567").symlink_to("website")
        assert gradstep("cache", "--cache", home, "--clear", "--tables")[0] == 0
        assert not table.exists()
        assert (home / "0123456789abcdef01234567").is_symlink()
        assert (home / "website/meta.json").exists()
        assert sorted({*left, "film.part"} - {path.name for path in home.iterdir()}) == []

    @pytest.mark.parametrize("verb", ["train", "clear"])
    def test_folders_of_the_user_are_not_deleted(self, gradstep, told, trips, home, verb):
        """Who may have some of these names, and have had them for long."""
        names = ("scratch/thesis", "scratch/tmp1", "kernels/linux-6.1", "kernels/0123456789abcdef",
                 "tables/.a.1.part")  # fmt: skip
        mine = [home / name for name in names]
        for path in mine:
            path.mkdir(parents=True)
            (path / "notes").write_text("mine")
            os.utime(path, (0, 0))
        told("train", trips, *FEW)
        if verb == "clear":
            assert gradstep("cache", "--clear", "--tables", "--kernels")[0] == 0
            assert told("cache")["tables"] == []
        assert all((path / "notes").exists() for path in mine)

    def test_forgets_what_killed_runs_have_left(self, told, trips, home):
        """But not what others name so, nor what a run still holds."""
        name = ".gradstep-01234567-0123456789abcdef.part"
        left = [home / place / name for place in ("tables", "scratch")]
        for path in left:
            path.mkdir(parents=True)
            (path / "rows.npy").write_text("rows")
            os.utime(path, (0, 0))
        with temporary_folder(home / "scratch") as held:
            os.utime(held, (0, 0))
            told("train", trips, *FEW)
            assert held.exists()
            told("cache", "--clear", "--tables", "--kernels")
            assert held.exists()
        assert not any(path.exists() for path in left)

    def test_is_for_its_owner_alone(self, told, trips, home):
        told("train", trips, *FEW)
        assert (home / "tables").stat().st_mode & 0o777 == 0o700

    def test_a_full_disk_does_not_end_a_run(self, told, trips, monkeypatch):
        def full(*_arguments, **_keywords):
            raise CannotWrite(errno.ENOSPC, "no space")

        monkeypatch.setattr("gradstep.data.preparing.prepare.writing_folder", full)
        found = told("train", trips, *FEW, "-m", "m.safetensors")
        monkeypatch.undo()
        assert found["rows"]["read"] == 900

    def test_one_that_was_asked_for_does(self, fails, trips, monkeypatch):
        def full(*_arguments, **_keywords):
            raise CannotWrite(errno.ENOSPC, "no space")

        monkeypatch.setattr("gradstep.data.preparing.prepare.writing_folder", full)
        assert "no space" in fails("train", trips, *FEW, "--cache", "kept")


class TestOutputs:
    @pytest.fixture
    def model(self, told, trips):
        return told("train", trips, *FEW, "--no-cache", "-m", "m.safetensors")["model"]

    def test_planted_links_are_not_followed(self, gradstep, model, later, tmp_path):
        """Nor does a folder of that name, which a run has left, stand in the way."""
        (tmp_path / "victim").write_text("victim")
        (tmp_path / f".x.csv.{os.getpid()}.part").symlink_to("victim")
        (tmp_path / f".x.parquet.{os.getpid()}.part").mkdir()
        for out in ("x.csv", "x.parquet"):
            assert gradstep("predict", model, later, "-o", out)[0] == 0
            assert not Path(out).is_symlink()
        assert (tmp_path / "victim").read_text() == "victim"

    @pytest.mark.parametrize("kind", ["csv", "parquet", "ndjson"])
    def test_pass_through_links_with_the_mode_that_is_there(
        self, gradstep, model, later, kind, tmp_path
    ):
        """The model, too."""
        (tmp_path / "real").mkdir()
        for name in (f"out.{kind}", "n.safetensors"):
            Path("real", name).write_text("old")
            Path("real", name).chmod(0o640)
            Path(name).symlink_to(f"real/{name}")
        gs.save(gs.load(model), "n.safetensors")
        assert gradstep("predict", "n.safetensors", later, "-o", f"out.{kind}", "--force")[0] == 0
        for name in (f"out.{kind}", "n.safetensors"):
            assert Path(name).is_symlink()
            assert Path("real", name).stat().st_mode & 0o777 == 0o640
            assert Path("real", name).stat().st_size > 100

    def test_are_for_whom_the_umask_says(self, told, gradstep, trips, later):
        before = os.umask(0o077)
        kept = ("--report", "r.html", "--checkpoint", "run", "--checkpoint-every", "1epochs")
        try:
            model = told("train", trips, *FEW, "--cache", "kept", "-m", "m.safetensors", *kept)[
                "model"
            ]
            told("compare", "--batch-size", "all", "--max-iter", "1", "-o", "c.html")
            gradstep("predict", model, later, "-o", "out.csv")
            gradstep("predict", model, later, "-o", "out.parquet")
            told("prepare", trips, "-t", "fare", "-o", "rows")
        finally:
            os.umask(before)
        files = ("m.safetensors", "out.csv", "out.parquet", "rows/meta.json", "r.html", "c.html")
        for name in (*files, *Path("run").iterdir()):
            assert Path(name).stat().st_mode & 0o777 == 0o600
        for name in ("rows", "kept", "run"):
            assert Path(name).stat().st_mode & 0o777 == 0o700

    def test_may_be_a_pipe(self, gradstep, told, trips, later, model):
        os.mkfifo("pipe")

        def read_while(*arguments):
            with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as cat:
                found = gradstep(*arguments)
                return found, cat.stdout.read()

        arguments = ("train", trips, *FEW, "--no-cache", "--json", "-m", "pipe")
        (status, _, err), read = read_while(*arguments)
        assert (status, err, read) == (0, "", Path(model).read_bytes())
        found, read = read_while("predict", model, later, "-o", "pipe")
        assert found == (0, "", "200 predictions in pipe\n")
        assert pl.read_csv(read).height == 200
        assert Path("pipe").is_fifo()


def test_names_with_commas(told, trips):
    table = pl.read_csv(trips).rename({"km": "km, paid"})
    table.write_csv("commas.csv")
    found = told(
        "train", "commas.csv", "-t", "fare", "--only", r"km\, paid,hour", "--max-iter", "2"
    )
    used = {c["source"] for c in found["columns"] if c["kind"] == "NumberColumn"}
    assert used == {"km, paid", "hour"}


def test_names_that_polars_reads_as_patterns():
    table = pl.DataFrame({"*": [1.0, 2.0, 3.0] * 20, "x": [2.0, 4.0, 7.0, 2.0, 5.0, 6.0] * 10})
    fit = gs.fit_table(table, "*", validation=0.0, max_iter=3)
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
