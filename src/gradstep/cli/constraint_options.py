"""Options that keep coefficients to a sign, to bounds, or a curve to one direction."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gradstep.cli.options import split
from gradstep.cli.term_options import parts
from gradstep.errors import InvalidParameter

__all__ = ["Bound", "Monotone", "Nonnegative", "constraints"]

CONSTRAINTS = "Constraints on coefficients"  # a group of its own in --help

Nonnegative = Annotated[
    list[str] | None,
    typer.Option(
        "--nonnegative",
        rich_help_panel=CONSTRAINTS,
        metavar="COLUMN",
        help="Numbers whose coefficient is not to be negative (comma between, or repeated).",
    ),
]
Bound = Annotated[
    list[str] | None,
    typer.Option(
        "--bound",
        rich_help_panel=CONSTRAINTS,
        metavar="COLUMN=LOW:HIGH",
        help="What a number's coefficient keeps to, in the column's unit; either may be left out: "
        "km=0:2, age=:0 (comma between, or repeated).",
    ),
]
Monotone = Annotated[
    list[str] | None,
    typer.Option(
        "--monotone",
        rich_help_panel=CONSTRAINTS,
        metavar="COLUMN[:decreasing]",
        help="Numbers or curves (--spline) whose effect rises, or falls, all along (comma between, "
        "or repeated).",
    ),
]


def constraints(
    nonnegative: list[str] | None, bound: list[str] | None, monotone: list[str] | None
) -> dict[str, Any]:
    """Return keyword arguments of `gradstep.fit_table` for the constraints typed."""
    found: dict[str, Any] = {
        "nonnegative": [_column(text) for text in split(nonnegative)],
        "bounds": _once("--bound", [_bound(text) for text in split(bound)]),
        "monotone": _once("--monotone", [_monotone(text) for text in split(monotone)]),
    }
    return {name: value for name, value in found.items() if value}


def _once(option: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return what was asked of each column; two things of one are refused."""
    found: dict[str, Any] = {}
    for column, asked in pairs:
        if found.setdefault(column, asked) != asked:
            msg = f"{option} is given twice for {column!r}, and not the same. Leave one away."
            raise InvalidParameter(msg)
    return found


def _column(text: str) -> str:
    column, *more = parts(text)
    if more or not column:
        msg = rf"--nonnegative {text} must be COLUMN; a colon of its name is written \:."
        raise InvalidParameter(msg)
    return column


def _bound(text: str) -> tuple[str, tuple[float | None, float | None]]:
    column, is_there, limits = text.rpartition("=")
    low, colon, high = limits.partition(":")
    try:
        pair = tuple(float(limit) if limit else None for limit in (low, high))
    except ValueError:
        pair = None, None
    if not (column and is_there and colon) or pair == (None, None):
        msg = f"--bound {text} must be COLUMN=LOW:HIGH, such as km=0:2, or km=0: for no high one."
        raise InvalidParameter(msg)
    return column.replace("\\:", ":"), (pair[0], pair[1])


def _monotone(text: str) -> tuple[str, str]:
    column, direction, *more = [*parts(text), "increasing"][:3]
    if (
        not column
        or direction not in {"increasing", "decreasing"}
        or more not in ([], ["increasing"])
    ):
        msg = f"--monotone {text} must be COLUMN, COLUMN:increasing or COLUMN:decreasing."
        raise InvalidParameter(msg)
    return column, direction
