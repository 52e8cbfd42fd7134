"""Codes on the command line: explained, shown with notes, ignored."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from gradstep.cli.notes import ignored
from gradstep.diagnostics.catalogue import DIAGNOSTICS
from gradstep.diagnostics.of_machines import CHECKPOINT_DAMAGED, CHECKPOINT_NOT_WRITTEN
from gradstep.errors import CheckpointWarning

ONE = ("-t", "fare", "--only", "km,hour,colour,id", "--max-iter", "1", "--no-cache", "--no-refit")


class TestExplain:
    @pytest.mark.parametrize("columns", [50, 120])
    def test_one(self, gradstep, columns):
        status, out, err = gradstep("explain", "gs004", columns=columns)
        assert (status, err) == (0, "")
        assert out.startswith("GS004  A column numbers the rows\n\nA column holds")
        assert "\nWhy  It says where" in out
        assert "\nWhat to do  Leave it out" in out
        assert max(map(len, out.split("\n"))) <= columns

    def test_several(self, gradstep):
        _, out, _ = gradstep("explain", "GS001,GS002", "GS101")
        assert [out.count(f"{code}  ") for code in ("GS001", "GS002", "GS101")] == [1, 1, 1]

    @pytest.mark.parametrize("columns", [40, 100])
    def test_all_are_listed(self, gradstep, columns):
        _, out, _ = gradstep("explain", columns=columns)
        assert [word for word in out.split() if word in DIAGNOSTICS] == list(DIAGNOSTICS)
        assert max(map(len, out.split("\n"))) <= columns

    def test_for_machines(self, told):
        assert [each["code"] for each in told("explain")["diagnostics"]] == list(DIAGNOSTICS)
        (one,) = told("explain", "GS004")["diagnostics"]
        assert set(one) == {"code", "title", "what", "why", "fix"}

    def test_what_there_is_not(self, fails):
        assert "no diagnostic 'GS0004'. Did you mean 'GS004'?" in fails("explain", "GS0004")


def numbered(frame):
    return frame.with_columns(id=pl.arange(frame.height, eager=True))


@pytest.fixture
def table(trips):
    numbered(pl.read_csv(trips, n_rows=300)).write_csv("t.csv")


@pytest.mark.usefixtures("table")
@pytest.mark.uncompiled
class TestIgnore:
    def test_of_train(self, gradstep):
        _, out, _ = gradstep("train", "t.csv", *ONE)
        assert "\nnote [GS004]: Column 'id' numbers the rows." in out
        _, out, _ = gradstep("train", "t.csv", *ONE, "--ignore", "GS001,gs004")
        assert "GS004" not in out

    def test_of_prepare_and_json(self, gradstep, told):
        told_of = told("prepare", "t.csv", "-t", "fare", "--drop", "start", "-o", "one")
        assert [note[:7] for note in told_of["notes"]] == ["GS004: "]
        of = ("prepare", "t.csv", "-t", "fare", "--drop", "start", "--ignore", "GS004", "-o")
        assert told(*of, "two")["notes"] == []
        assert "GS004" not in gradstep(*of, "three")[1]

    def test_of_what_applies_a_model(self, gradstep, later):
        gradstep("train", "t.csv", *ONE, "-m", "m.safetensors", "--ignore", "GS004")
        frame = numbered(pl.read_csv(later, n_rows=50))
        frame.with_columns(pl.lit("pink").alias("colour")).write_csv("later.csv")
        for verb in (["evaluate"], ["predict", "-o", "out.csv"]):
            asked = [verb[0], "m.safetensors", "later.csv", *verb[1:]]
            assert "note [GS210]: 50 values of colour" in "".join(gradstep(*asked)[1:])
            assert "GS" not in "".join(gradstep(*asked, "--ignore", "GS210")[1:])
        gradstep("report", "m.safetensors", "later.csv", "-o", "page.html", "--ignore", "GS210")
        assert "GS210" not in Path("page.html").read_text(encoding="utf-8")

    def test_of_old_names_and_the_cache(self, gradstep, monkeypatch):
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", "/dev/null/cache")
        asked = ["train", "t.csv", *ONE, "--seed", "3", "--dry-run"]
        _, _, err = gradstep(*asked)
        assert [line[:12] for line in err.splitlines()] == ["note [GS306]", "note [GS301]"]
        assert gradstep(*asked, "--ignore", "GS306", "--ignore", "GS301")[2] == ""

    @pytest.mark.parametrize("verb", ["train", "predict", "evaluate", "show", "report", "compare"])
    def test_what_there_is_not(self, fails, verb):
        more = {"train": ["-t", "fare"], "compare": ["-t", "fare"], "show": []}
        asked = ["t.csv", *more.get(verb, ["t.csv"])]
        assert "no diagnostic 'GS4'" in fails(verb, *asked, "--ignore", "GS4")


def test_warnings_are_ignored_by_their_codes(recwarn):
    assert ignored(["GS304"]) == {"GS304"}
    CHECKPOINT_DAMAGED.warn("It is.", CheckpointWarning)
    CHECKPOINT_NOT_WRITTEN.warn("It was not.", CheckpointWarning)
    assert [each.message.code for each in recwarn] == ["GS305"]


@pytest.mark.usefixtures("table")
@pytest.mark.uncompiled
def test_the_page_of_a_fit_explains_its_codes(gradstep):
    gradstep("train", "t.csv", *ONE, "--report", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")
    assert 'href="#GS004"' in page
    assert page.count('id="GS004"') == 1
    assert "What the notes mean" in page
