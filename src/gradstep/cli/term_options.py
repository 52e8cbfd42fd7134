"""Options that make terms of columns, and how their text is read."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from gradstep.cli.options import split
from gradstep.data.features.terms.formula import with_formula
from gradstep.data.features.terms.options import AUTO, KNOTS
from gradstep.errors import InvalidParameter

__all__ = ["Cross", "Formula", "Log", "Poly", "Spline", "added", "parts", "terms"]

TERMS = "Terms: curves, crosses, powers"  # a group of its own in --help

Spline = Annotated[
    list[str] | None,
    typer.Option(
        "--spline",
        rich_help_panel=TERMS,
        metavar="COLUMN[:KNOTS]|auto",
        help=f"Make a column a curve, by default of {KNOTS} knots; auto finds those where it pays, "
        "and crosses that do (comma between, or repeated).",
    ),
]
Cross = Annotated[
    list[str] | None,
    typer.Option(
        "--cross",
        rich_help_panel=TERMS,
        metavar="COLUMN:COLUMN",
        help="What two columns say together: pairs of levels, a slope for each level, a product "
        r"(comma between, or repeated; \: in a name).",
    ),
]
Poly = Annotated[
    list[str] | None,
    typer.Option(
        "--poly",
        rich_help_panel=TERMS,
        metavar="COLUMN:POWER",
        help="Powers of a column, too (comma between, or repeated).",
    ),
]
Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        rich_help_panel=TERMS,
        metavar="COLUMN",
        help="The logarithm of a column in its place (comma between, or repeated).",
    ),
]

Formula = Annotated[
    str | None,
    typer.Option(
        "--formula",
        rich_help_panel=TERMS,
        metavar="FORMULA",
        help="Target, columns and terms at once: 'price ~ bs(carat) + color*clarity'.",
    ),
]


def terms(
    target: str | None,
    *,
    formula: str | None,
    only: list[str] | None,
    spline: list[str] | None,
    cross: list[str] | None,
    poly: list[str] | None,
    log: list[str] | None,
) -> tuple[str | None, dict[str, Any]]:
    """Return the target, and keyword arguments of `gradstep.prepare`, for the terms typed."""
    if formula is not None:
        typed = {"--only": only, "--spline": spline, "--cross": cross, "--poly": poly, "--log": log}
        if both := [option for option, values in typed.items() if values]:
            msg = f"--formula says which columns and terms there are: leave {', '.join(both)} away."
            raise InvalidParameter(msg)
        return with_formula(target, {"formula": formula})
    splines = [_spline(text) for text in split(spline)]
    for option, columns in (("--spline", [c for c, _ in splines]), ("--poly", _columns(poly))):
        if twice := [c for at, c in enumerate(columns) if c in columns[:at]]:
            msg = f"{option} has {twice[0]} twice. Leave one away."
            raise InvalidParameter(msg)
    found = {
        "splines": splines,
        "crosses": [_cross(text) for text in split(cross)],
        "polynomials": dict(_poly(text) for text in split(poly)),
        "logs": [parts(text)[0] for text in split(log)],
    }
    return target, {name: value for name, value in found.items() if value}


def added(chosen: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments with those of terms: kinds that were typed stay."""
    kinds = {**found.get("kinds", {}), **chosen["kinds"]}
    return {**chosen, **found, "kinds": kinds}


def parts(text: str) -> list[str]:
    r"""Return what stands between colons; one of a name is written ``\:``.

    Examples
    --------
    >>> parts("carat:color"), parts(r"at 10\:30:8")
    (['carat', 'color'], ['at 10:30', '8'])
    """
    return [part.replace("\\:", ":") for part in re.split(r"(?<!\\):", text)]


def _columns(values: list[str] | None) -> list[str]:
    return [parts(text)[0] for text in split(values)]


def _spline(text: str) -> tuple[str, int]:
    found = parts(text)
    if text == AUTO:
        return AUTO, 0
    if len(found) == 1 and found[0]:
        return found[0], KNOTS
    return _numbered("--spline", text, "COLUMN:KNOTS, such as carat:20")


def _poly(text: str) -> tuple[str, int]:
    return _numbered("--poly", text, "COLUMN:POWER, such as age:2")


def _numbered(option: str, text: str, form: str) -> tuple[str, int]:
    column, number, *more = [*parts(text), ""]
    if more != [""] or not column or not number.isdecimal():
        msg = f"{option} {text} must be {form}."
        raise InvalidParameter(msg)
    return column, int(number)


def _cross(text: str) -> tuple[str, str]:
    found = parts(text)
    if len(found) != 2 or not all(found):
        msg = f"--cross {text} must be of two columns, such as color:clarity."
        raise InvalidParameter(msg)
    return found[0], found[1]
