"""Measure gradstep's defaults: nothing is scaled, chosen or tuned by hand.

Run from the root of the repository::

    python -m benchmarks.no_tuning --quick
    python -m benchmarks.no_tuning --part random
    python -m benchmarks.no_tuning --part random --seed 17
    python -m benchmarks.no_tuning --part real --only diamonds
"""

from __future__ import annotations

import ast
import os
import sys
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path  # noqa: TC003  (Typer reads annotations at run time)
from typing import Annotated, Any

import typer

from benchmarks.grids import Grid, print_grids
from benchmarks.machine import describe_machine
from benchmarks.no_tuning import fits
from benchmarks.no_tuning.high_precision import Keeper

PACKAGES = ("numpy", "scipy", "scikit-learn", "numba")


class Part(StrEnum):
    """The parts of the benchmark."""

    random = "random"
    real = "real"
    optimum = "optimum"
    wall = "wall"
    deep = "deep"


def main(
    *,
    part: Annotated[list[Part] | None, typer.Option(help="May be repeated; all if none.")] = None,
    quick: Annotated[bool, typer.Option(help="A small run, to see that all works.")] = False,
    only: Annotated[str, typer.Option(help="Part of the names of cases to run.")] = "",
    skip: Annotated[
        list[str] | None, typer.Option(help="A set of part `real` to leave out; may be repeated.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Run one random problem, in detail.")] = None,
    first: Annotated[int, typer.Option(help="First seed of the random problems.")] = 0,
    count: Annotated[int | None, typer.Option(help="How many random problems (1000).")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Rounds of what is timed (5).")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of reference solutions and searches.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE, a parameter instead of its default."),
    ] = None,
) -> None:
    """Run the parts and print one table for each."""
    for setting in settings or []:
        name, _, text = setting.partition("=")
        fits.OVERRIDES[name] = _literal(text)
    keeper = Keeper(cache) if cache is not None else Keeper()
    grids: list[Grid] = []
    if seed is not None:
        _one(seed, keeper)
        return
    for chosen in part or list(Part):
        if chosen is Part.random:
            from benchmarks.no_tuning.random_part import run_random

            grids += run_random(count or (60 if quick else 1000), first, keeper, _say, only)
            continue
        from benchmarks.no_tuning import deep, optimum, real_part, wall

        run = {
            Part.real: real_part.run_real,
            Part.optimum: optimum.run_optimum,
            Part.wall: wall.run_wall,
            Part.deep: deep.run_deep,
        }[chosen]
        more = {"skip": tuple(skip)} if skip and chosen is Part.real else {}
        grids += run(
            keeper, _say, only=only, quick=quick, repeats=repeats or (2 if quick else 5), **more
        )
    if grids:
        grids[-1].notes.append(_machine())
    print_grids(grids, markdown=True)


def _one(seed: int, keeper: Keeper) -> None:
    """Run one random problem and print all that is known of it."""
    from benchmarks.no_tuning.random_part import judge
    from benchmarks.no_tuning.random_problems import random_problem

    objective, what = random_problem(seed)
    model, trail = None, None
    print(f"seed {seed}: {what}")
    print(judge(seed, objective, what, keeper))
    model, trail, seconds = fits.fit_defaults(objective)
    print(f"{seconds:.3f} s; {getattr(model, 'outcome_', '')}")
    print(f"constant {objective.of_constant:.9g}  floor {objective.floor:.9g}")
    print("deviations", objective.scale[:20])
    for passes, value in zip(trail.passes, trail.values(objective), strict=True):
        print(f"{passes:10.3f} passes  F {value:.12g}")


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _machine() -> str:
    facts = describe_machine()
    for name in PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    told = ", ".join(f"{name} {fact}" for name, fact in facts.items())
    changed = f"; not defaults: {fits.OVERRIDES}" if fits.OVERRIDES else ""
    return f"{told}; load {os.getloadavg()[0]:.1f}{changed}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
