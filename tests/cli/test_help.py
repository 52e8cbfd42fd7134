"""What --help shows: options in groups, with the values that they take."""

from __future__ import annotations

import sys

import pytest
import typer.core
from rich.table import Table
from typer import rich_utils

from gradstep.cli import method_options
from gradstep.cli.options import one_of
from gradstep.fit import components


@pytest.mark.parametrize(
    "listed, known",
    [
        ("LOSSES", components.LOSSES),
        ("PENALTIES", [*components.PENALTIES, "none"]),
        ("OPTIMIZERS", ["auto", *components.OPTIMIZERS, *components.SOLVERS]),
        ("LEARNING_RATES", ["auto", *components.LEARNING_RATES]),
    ],
)
def test_names_of_components_are_all_listed(listed, known):
    assert set(getattr(method_options, listed).split()) == set(known)


def test_values_are_listed_and_completed():
    short, long = one_of("What.", "drop error"), one_of("What.", "squared_error huber hinge")
    assert (short["metavar"], short["help"]) == ("drop|error", "What.")
    assert long["help"] == "What. One of squared_error, huber, hinge."
    assert long["autocompletion"]("hu") == ["huber"]


@pytest.mark.parametrize("columns", [60, 80])
def test_options_stand_in_groups_that_fit(gradstep, columns):
    status, out, _ = gradstep("train", "--help", columns=columns)
    assert status == 0
    groups = ["Arguments", "Options", "What is predicted", "Penalty",
              "Constraints on coefficients", "Training", "Rows held out",
              "Columns and values", "Terms: curves, crosses, powers",
              "What is written, and how it runs"]  # fmt: skip
    found = [line.split("─ ")[1].partition(" ─")[0] for line in out.split("\n") if "╭─" in line]
    assert found == groups
    assert max(map(len, out.split("\n"))) <= columns
    options = out.partition("─ Options")[2].partition("╰")[0]
    assert options.count("--") == 1  # --help alone: all others are in a group


def test_names_are_never_cut_off(gradstep):
    """However narrow the terminal: what does not fit goes on in the next line."""
    _, out, _ = gradstep("train", "--help", columns=60)
    assert "…" not in out.replace("utf-16, …;", "")
    cells = [line.split("│")[1][38:] for line in out.split("\n") if line.startswith("│")]
    flat = "".join(cell.strip() for cell in cells)
    for name in ("squared_epsilon_insensitive", "modified_huber"):
        assert name in flat
    _, out, _ = gradstep("predict", "--help", columns=60)
    assert "--interval-…" not in out


@pytest.mark.parametrize("another", ["without tables", "of another kind", "without Rich"])
def test_another_typer_shows_its_help(gradstep, monkeypatch, another):
    """How it makes tables is its own; names are only cut off again if it does so otherwise."""
    monkeypatch.setattr(rich_utils, "rich_format_help", lambda **_: sys.stdout.write("its help"))
    if another == "without tables":
        monkeypatch.delattr(rich_utils, "Table")
    elif another == "of another kind":
        monkeypatch.setattr(rich_utils, "Table", print)
    else:
        monkeypatch.setattr(typer.core, "HAS_RICH", False)
        monkeypatch.setitem(sys.modules, "typer.rich_utils", None)
        monkeypatch.delattr(typer, "rich_utils")
    status, out, _ = gradstep("train", "--help")
    assert status == 0
    assert ("its help" if another != "without Rich" else "--target") in out
    assert getattr(rich_utils, "Table", None) in {None, print, Table}  # as it was


def test_paragraphs_are_filled(gradstep):
    """Not broken where the source is."""
    _, out, _ = gradstep("train", "--help", columns=80)
    lines = out.partition("Ctrl-C")[2].partition("╭")[0].rstrip().split("\n")
    assert len(lines) > 2
    assert min(len(line.rstrip()) for line in lines[1:-1]) > 60
