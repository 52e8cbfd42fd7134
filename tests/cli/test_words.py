"""The command line speaks of what was typed, and overwrites what it wrote itself."""

from __future__ import annotations

import warnings
from pathlib import Path

import polars as pl
import pytest

import gradstep as gs
from gradstep.cli import main as cli
from gradstep.cli.speaking import in_options

ONE = ("-t", "fare", "--only", "km,hour,colour", "--max-iter", "1", "--no-cache")


@pytest.mark.parametrize(
    "message, spoken",
    [
        ("tol=-1.0 of fit_table must be", "--tol -1.0 must be"),
        ("l1_ratio=3.0 of ElasticNet must be", "--l1-ratio 3.0 must be"),
        ("with task='regression' it", "with --task regression it"),
        ("Use loss='a b'.", "Use --loss 'a b'."),
        ("with ElasticNet(alpha=0.1, tol=0.15) it", "with ElasticNet(alpha=0.1, tol=0.15) it"),
        ("a column distol=3, x-tol=2", "a column distol=3, x-tol=2"),
        ("tol=1e-4, which", "--tol 1e-4, which"),
    ],
)
def test_parameters_become_options(message, spoken):
    assert in_options(message, ["tol", "l1_ratio", "task", "loss", "alpha"]) == spoken


class TestErrors:
    @pytest.mark.parametrize(
        "arguments, words",
        [
            ("-t fare --task regression --loss hinge", "--loss hinge is none of regression: with"),
            ("-t colour --task regression", "Use --task classification"),
            ("-t fare --task classification", "is continuous: "),
            ("-t fare --max-iter 0", "error: --max-iter 0 must be a whole number >= 1."),
            ("-t fare --alpha -3", "error: --alpha -3.0 must be"),
        ],
    )
    def test_name_what_was_typed(self, fails, trips, arguments, words):
        assert words in fails("train", trips, *arguments.split())

    @pytest.mark.uncompiled
    @pytest.mark.parametrize("verb", ["predict", "evaluate"])
    def test_of_swapped_arguments_say_so(self, gradstep, fails, trips, verb):
        gradstep("train", trips, *ONE, "-m", "m.safetensors")
        assert "m.safetensors is a model, and" in fails(verb, trips, "m.safetensors")
        assert "is no model of gradstep" in fails(verb, trips, trips)
        assert "none.safetensors does not exist" in fails(verb, "none.safetensors", trips)

    def test_of_files_are_ours(self, fails, trips, monkeypatch):
        def refused(*_):
            raise PermissionError(13, "Permission denied", "secret.csv")

        monkeypatch.setattr("gradstep.model.file.load", refused)
        assert fails("show", "m.safetensors") == "error: secret.csv: Permission denied."

    @pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.ndjson", "t.svm", "."])
    def test_of_tables_that_may_not_be_read(self, fails, home, monkeypatch, name):
        """In the same words whatever the format; `chmod` stops no superuser, who may run tests."""
        (home / "t.csv").touch()
        (home / name).touch()
        monkeypatch.setattr("os.access", lambda path, *_, **__: str(path) != name)
        message = fails("train", name, "-t", "label")
        assert message == f"error: {name} cannot be read: Permission denied."

    def test_of_places_to_write_advise_what_helps(self, fails, trips, home):
        """To free space helps on a full disk alone."""
        (home / "there").mkdir()
        message = fails("train", trips, *ONE, "-m", "there")
        assert message == "error: there cannot be written: it is a folder. Choose another place."


def test_warnings_of_libraries_are_for_debugging(capsys, monkeypatch):
    ours, others = "warning [GS301]: of ours", ["warning: of Polars", "warning: of Python"]
    for debug, shown in ([], [ours]), (["--debug"], [ours, *others]):
        monkeypatch.setattr("sys.argv", ["gradstep", *debug])
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = cli.say_warning
            warnings.warn("GS301: of ours", gs.GradstepWarning, stacklevel=1)
            warnings.warn("of Polars", pl.exceptions.PerformanceWarning, stacklevel=1)
            warnings.warn("of Python", DeprecationWarning, stacklevel=1)
        assert capsys.readouterr().err.split("\n")[:-1] == shown


@pytest.mark.uncompiled
class TestExistingFiles:
    def test_of_ours_are_replaced(self, gradstep, trips):
        for _ in range(2):
            assert gradstep("train", trips, *ONE)[0] == 0
            for name in ("p.csv", "p.parquet", "p.ndjson"):
                made = gradstep("predict", "trips-fare.safetensors", trips, "-o", name)
                assert made[0] == 0

    def test_of_others_ask_for_force(self, gradstep, fails, trips):
        gradstep("train", trips, *ONE)
        model = "trips-fare.safetensors"
        Path("notes.txt").write_text("mine")
        assert "give --force" in fails("train", trips, *ONE, "-m", "notes.txt")
        for name in ("mine.csv", "mine.parquet", "mine.ndjson"):
            Path(name).write_text("mine")
            assert f"{name} exists" in fails("predict", model, trips, "-o", name)
            assert Path(name).read_text() == "mine"
            assert gradstep("predict", model, trips, "-o", name, "--force")[0] == 0
        assert gradstep("train", trips, *ONE, "-m", "notes.txt", "--force")[0] == 0
        Path("empty.csv").touch()
        assert gradstep("predict", model, trips, "-o", "empty.csv")[0] == 0


@pytest.mark.uncompiled
def test_a_cache_that_cannot_be_written_is_noted_once(gradstep, trips, monkeypatch):
    monkeypatch.setenv("GRADSTEP_CACHE_DIR", "/dev/null/cache")
    status, _, err = gradstep("train", trips, *ONE[:-1])
    assert status == 0
    assert (
        err.count("\n")
        == err.count("note [GS301]: the cache /dev/null/cache cannot be written (Not")
        == 1
    )


class TestClearing:
    @pytest.mark.parametrize(
        "arguments, words",
        [
            (["--clear"], "--tables (prepared tables"),
            (["--tables"], "would change nothing"),
            (["--clear", "--kernels", "--cache", "kept"], "no --kernels in it"),
        ],
    )
    def test_needs_to_know_what(self, fails, arguments, words):
        assert words in fails("cache", *arguments)

    @pytest.mark.uncompiled
    def test_leaves_the_other(self, told, gradstep, trips, tmp_path, monkeypatch):
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path / "cache"))
        gradstep("train", trips, *ONE[:-1])
        kernels = tmp_path / "cache/kernels/old"
        kernels.mkdir(parents=True, mode=0o700)
        (kernels / "k.bin").write_bytes(b"k" * 100)
        (kernels / "CACHEDIR.TAG").write_bytes(
            next((tmp_path / "cache/tables").glob("*/CACHEDIR.TAG")).read_bytes()
        )
        assert len(told("cache", "--clear", "--kernels")["tables"]) == 0
        assert not kernels.exists()
        assert len(told("cache", "--clear", "--tables")["tables"]) == 1
        assert told("cache")["tables"] == []
