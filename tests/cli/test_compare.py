"""`gradstep compare`: a table in the terminal, a page, and what it refuses."""

from __future__ import annotations

import pytest

from tests.reporting.pages import check
from tests.uncompiled import uncompiled


@uncompiled
@pytest.mark.parametrize("columns", [60, 100])
def test_the_notebook_fits_the_terminal(gradstep, columns):
    status, out, err = gradstep("compare", "--batch-size", "64,all", "--max-iter", "2",
                                "--learning-rate", "0.05,3", columns=columns)  # fmt: skip
    assert (status, err) == (0, "")
    lines = out.split("\n")
    assert max(map(len, lines)) <= columns
    assert "notebook" in out
    assert ("steps" in lines[4] + lines[3]) is (columns == 100)
    flat = " ".join(out.split())
    assert "batch 64, rate 0.05" in flat or columns == 60
    assert "× largest curvature" in flat
    assert "Noise The gradient of a batch" in flat


@pytest.mark.uncompiled
def test_a_table_gives_a_page_and_json(tmp_path, trips, told):
    found = told("compare", trips, "-t", "fare", "--only", "km,hour", "--batch-size", "256,all",
                 "--max-iter", "1", "--no-cache", "-o", "page.html")  # fmt: skip
    assert found["report"] == "page.html"
    check((tmp_path / "page.html").read_text())
    assert [run["run"] for run in found["runs"]] == ["batch 256", "all rows", "automatic"]
    assert len(found["history"]) == 6
    assert found["noise"]["near"]["rows"] > 0.0
    assert (found["steps"], found["rows"] + found["held_out"]) == ("standardised columns", 900)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("--batch-size 0", "--batch-size 0 must be a whole number >= 1."),
        ("--batch-size 1,x", "x is no number of rows"),
        ("--optimizer adamm", "--optimizer adamm is not known. Did you mean 'adam'?"),
        ("--optimizer svrg", "--optimizer svrg is the automatic method"),
        ("--learning-rate fast", "--learning-rate fast is not known."),
        ("--shuffle often", "--shuffle often is not known. It must be one of exact, blocks, none."),
        ("x.csv -t y --epsilon 2", "--epsilon would change nothing: it is a part of --loss"),
        ("x.csv -t y --penalty none --alpha 2", "--alpha would change nothing: it is a part"),
        ("--batch-size 1,2,3,4,5 --learning-rate 1,2,3,4,5", "These are 25 runs"),
        ("-t fare --seed 3", "--target and --random-state would change nothing without a TABLE"),
        ("-o mine.html", "did not write it as a report"),
        ("-o -", "- is no name of a page. Name a file, or /dev/stdout"),
        ("none.csv -t y", "none.csv"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, monkeypatch, gradstep, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.html").write_text("mine")
    status, out, err = gradstep("compare", *arguments.split())
    assert (status, out) == (1, "")
    assert words in " ".join(err.split())


def test_a_table_needs_a_target(trips, gradstep):
    status, _, err = gradstep("compare", trips)
    assert status == 2
    assert "--target" in err


def test_help_stands_in_groups(gradstep):
    status, out, _ = gradstep("compare", "--help", columns=80)
    assert status == 0
    assert "What is compared" in out
    assert out.partition("─ Options")[2].partition("╰")[0].count("--") == 1
