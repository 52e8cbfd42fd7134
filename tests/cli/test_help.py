"""What --help shows: options in groups, with the values that they take."""

from __future__ import annotations

import pytest

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
