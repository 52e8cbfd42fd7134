"""Results as JSON: written after each case, read for the page and the pictures."""

from __future__ import annotations

import json
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.solvers.cases import Case
from benchmarks.solvers.results import Found, Result

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Run", "merged", "read", "write"]


class Run(NamedTuple):
    """What a run measured: about it (machine, versions, how), and each case with its result."""

    about: dict[str, Any]
    cases: list[Case]
    results: list[Result]


def write(path: Path, run: Run) -> None:
    """Write a run, whole or not at all."""
    listed = [
        {
            "case": result.case, "of": case._asdict(), "took": round(result.took, 1),
            "verdict": result.verdict, "sides": [_plain(side) for side in result.sides],
        }
        for case, result in zip(run.cases, run.results, strict=True)
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(run.about | {"results": listed}, indent=1) + "\n")
    part.replace(path)


def read(path: Path) -> Run:
    """Read a run."""
    about = json.loads(path.read_text())
    listed = about.pop("results")
    return Run(
        about,
        [Case(**each["of"]) for each in listed],
        [Result(r["case"], [_found(s) for s in r["sides"]], r["took"]) for r in listed],
    )


def _plain(side: Found) -> dict[str, Any]:
    """Return what JSON has words for: nothing instead of numbers that are none."""
    made = side._asdict()
    return made | {k: None for k, v in made.items() if isinstance(v, float) and not isfinite(v)}


def _found(side: dict[str, Any]) -> Found:
    return Found(**{name: nan if value is None else value for name, value in side.items()})


def merged(runs: Iterable[Run]) -> list[Run]:
    """Return one run of each kind, number of threads and target; of a case of several, the last.

    Raises
    ------
    ValueError
        If runs of one kind are of other machines or versions: what is told about a run is told
        of all its cases.
    """
    found: dict[tuple[Any, ...], Run] = {}
    for run in runs:
        key = tuple(run.about[name] for name in ("kind", "quick", "threads", "excess"))
        before = found.get(key)
        both, about = dict(zip(run.cases, run.results, strict=True)), run.about
        if before is not None:
            both = dict(zip(before.cases, before.results, strict=True)) | both
            about = _of_both(before.about, run.about)
        found[key] = Run(about, list(both), list(both.values()))
    return list(found.values())


def _of_both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return what is told about cases of two runs: the days of both."""
    differ = [name for name in one if name != "date" and one[name] != other.get(name)]
    if differ:
        message = (
            f"two runs of kind {one['kind']!r} differ in {', '.join(differ)}: their cases cannot "
            "stand in one table. Measure all of them anew (page --anew)"
        )
        raise ValueError(message)
    days = sorted({*one["date"].split(" to "), *other["date"].split(" to ")})
    return other | {"date": days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"}
