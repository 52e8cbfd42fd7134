"""Write the page of what is faster, and its pictures, from results that were measured before.

Run from the root of the repository::

    python -m benchmarks.page build/bench/*.json --out docs/benchmarks

Takes the JSON files of ``solvers`` (any kind), ``limit`` and ``epoch_time``, told apart by what
they have; of a cell that several have, the last counts. Others are passed over, and named. What
was measured, with machine and versions, is kept in ``measured`` beside the page: cells that are
measured anew take the place of the same ones there, and the rest of the page stays as it was.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.plots import draw_all
from benchmarks.records import read_json
from benchmarks.solvers.cases import KINDS
from benchmarks.solvers.files import Run, merged, read, write
from benchmarks.solvers.results import LEVEL, LOST, MISSED, Result, verdict
from benchmarks.solvers.table import notes, ratio_of, sorted_results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.records import CellResult

WORDS = Path(__file__).parent / "solvers" / "would_win.toml"
PAGE, MEASURED = "solvers.md", "measured"
UNKNOWN = "not known yet"
RED = "🟥 **LOST**"
_MARKS = {LOST: RED, MISSED: "🟥 **MISSED**", LEVEL: "⬜ level"}
_TITLES = {
    "cases": "All cases",
    "scaling": "More rows, features, classes",
    "papers": "Cases of others' benchmarks",
    "rough": "To a rough optimum",
}
_ABOUT = {
    "papers": "Published times, to see the order of magnitude: machines, rows and objectives are "
    "others, so no ratio follows. Logistic regression of the airline table in benchm-ml (32 cores "
    "of an Amazon c3.8xlarge, 2015; reading not counted but for Vowpal Wabbit, which ran on one "
    "core), 1 and 10 million rows: H2O 2 and 5 s, Spark MLlib 5 and 35, R's glmnet 5 and 90, "
    "Vowpal Wabbit 10 (ten passes) and 15, scikit-learn's liblinear 25 and, on a machine with 250 "
    "GB, 360. benchopt publishes curves of objectives against time.\n",
    "rough": "Libraries that step for a few rows come to an excess of 1e-2, not 1e-6, in a fair "
    "time. Their epochs, and the best learning rate of a small grid, are chosen off the clock.\n",
}
_PICTURES = {
    "solvers": "Each case's bar is its fastest peer, with the spread of rounds; marks are all",
    "peers": "Each peer over its cases: the geometric mean, least to most",
    "scaling": "Seconds of a fit against rows, features and classes",
    "batches": "Nanoseconds a row of an epoch against the batch size",
    "bandwidth": "The share of the memory's bandwidth that epochs use",
}
HEAD = """# The table

Whole fits beside the strongest solvers that we know, each asked for the loosest setting that
reaches the same objective, which NumPy computes of all. `python -m benchmarks.page` writes this
page from what `make bench` measured ([how](../../benchmarks/README.md#solvers)); all rounds, the
machine and versions are in `measured`, beside it. No other page claims more than it says.
"""


def would_win(case: str, peer: str, path: Path = WORDS) -> str:
    """Return what would win a cell that is lost, from the file of such words."""
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["cells"]:
        if fnmatchcase(case, entry["case"]) and fnmatchcase(peer, entry.get("peer", "*")):
            return str(entry["words"])
    return UNKNOWN


def page(runs: list[Run], pictures: list[str], epochs: Sequence[CellResult] = ()) -> str:
    """Return the page in Markdown: what is lost first.

    Parameters
    ----------
    runs : list of Run
        Of `solvers`, at most one of a kind and a number of threads.
    pictures : list of str
        Those that are there, by name.
    epochs : sequence of CellResult
        Of `epoch_time`: what is lost there stands with the rest.
    """
    parts = [HEAD, _warning(runs), "## What is lost\n", _lost(runs, epochs)]
    parts += [f"![{_PICTURES[name]}]({name}.svg)\n\n*{_PICTURES[name]}.*\n" for name in pictures]
    for run in runs:
        parts += [f"## {_title(run)}\n", _ABOUT.get(run.about["kind"], ""), _table(run)]
        parts.append("".join(f"- {note}\n" for note in _notes(run)))
    return "\n".join(part for part in parts if part)


def _warning(runs: list[Run]) -> str:
    if not any(run.about["quick"] for run in runs):
        return ""
    return (
        "**From a quick run**, which says that all works, not what is faster: a tenth of the rows, "
        "one round.\n"
    )


def _lost(runs: list[Run], epochs: Sequence[CellResult]) -> str:
    rows = list(_lost_epochs(epochs))
    for run in runs:
        for result in run.results:
            if result.verdict == MISSED:
                why = result.sides[0].skipped
                rows.append([_MARKS[MISSED], result.case, _title(run), "", "", why])
            for peer in result.lost_to:
                ratio = ratio_of(result.ratios[peer])
                rows.append(
                    [RED, result.case, _title(run), peer, ratio, would_win(result.case, peer)]
                )
    if not rows:
        return "No cell.\n"
    header = ["", "case", "in", "to", "times as long as gradstep", "what would win it"]
    count = len({(row[1], row[2]) for row in rows})
    told = f"{count} of {len(epochs) + sum(len(run.results) for run in runs)} cells.\n\n"
    return told + _markdown(header, rows)


def _lost_epochs(epochs: Sequence[CellResult]) -> Iterator[list[str]]:
    """Yield a line for each peer whose epoch takes less time than ours."""
    for cell in epochs:
        ours = next((one for one in cell.timed() if one.is_ours), None)
        for peer in cell.timed() if ours is not None else ():
            ratios = [b / a for a, b in zip(ours.epoch_seconds, peer.epoch_seconds, strict=False)]
            if not peer.is_ours and verdict(ratios) == LOST:
                name, words = cell.cell.name, would_win(cell.cell.name, peer.name)
                yield [RED, name, "An epoch", peer.name, ratio_of(ratios), words]


def _title(run: Run) -> str:
    about = run.about
    threads = about["threads"]
    on = f"{threads} thread{'s' * (threads > 1)}" if threads else "threads as each likes"
    return f"{_TITLES[about['kind']]}, {on}"


def _table(run: Run) -> str:
    header = ["case", "gradstep, s", "fastest peer", "times as long", "", "others: times as long"]
    return _markdown(header, [_row(result) for result in sorted_results(run.results)])


def _row(result: Result) -> list[str]:
    ours, ratios, first = result.sides[0], result.ratios, result.nearest
    told = f"{median(ours.seconds):.3g}" if ours.seconds else ours.skipped
    others = [
        f"{side.name} {_short(ratios[side.name])}"
        for side in sorted(result.sides[1:], key=lambda s: median(ratios.get(s.name, [1e9])))
        if side.name in ratios and side.name != first
    ]
    others += [
        f"{side.name}: {side.skipped or 'not compared'}"
        for side in result.sides[1:] if side.name not in ratios
    ]  # fmt: skip
    mark = _MARKS.get(result.verdict, result.verdict)
    ratio = ratio_of(ratios[first]) if first else ""
    return [result.case, told, first, ratio, mark, "<br>".join(others)]


def _short(each: list[float]) -> str:
    mark = {LOST: f" {RED}", LEVEL: " level"}.get(verdict(each), "")
    return f"{median(each):.2f}{mark}"


def _notes(run: Run) -> list[str]:
    about = run.about
    rounds = f"{about['repeats']} round{'s' * (about['repeats'] > 1)} that count"
    all_of_them = len(list(KINDS[about["kind"]](quick=about["quick"])))
    of = f"{len(run.results)} of {all_of_them} cases"
    return [f"{about['date']}, {rounds}, {of}", *notes(run.results, about)]


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(
        "| " + " | ".join(entry.replace("|", "\\|").replace("\n", " ") for entry in line) + " |\n"
        for line in lines
    )


def sort_files(files: list[Path]) -> dict[str, list[Path]]:
    """Tell files apart by what is in them.

    Parameters
    ----------
    files : list of Path
        JSON files of benchmarks.

    Returns
    -------
    dict of str to list of Path
        Of ``solvers``, ``limit``, ``epochs`` and ``others``.
    """
    found: dict[str, list[Path]] = {"solvers": [], "limit": [], "epochs": [], "others": []}
    for path in files:
        content: dict[str, Any] = json.loads(path.read_text())
        has = {"results": "solvers", "points": "limit", "cells": "epochs"}
        kind = next((kind for key, kind in has.items() if key in content), "others")
        found[kind].append(path)
    return found


def _keep(folder: Path, runs: list[Run], found: dict[str, list[Path]]) -> None:
    """Keep what was measured, a file for each kind of run, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    before, kept = {*folder.glob("*.json")}, set()
    for run in runs:
        of = run.about
        quick = "quick-" if of["quick"] else ""
        path = folder / f"{quick}{of['kind']}-{of['threads']}-{of['excess']:g}.json"
        write(path, run)
        kept.add(path)
    for kind in ("limit", "epochs"):
        for path in found[kind][-1:]:
            kept.add(folder / f"{kind}.json")
            if path.resolve().parent != folder.resolve():
                shutil.copy(path, folder / f"{kind}.json")
    for path in before - kept:
        path.unlink()


def main(
    files: Annotated[list[Path], typer.Argument(help="JSON files of benchmarks.")],
    *,
    out: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("docs/benchmarks"),
    anew: Annotated[
        bool, typer.Option("--anew", help="Nothing of what was measured before is kept.")
    ] = False,
) -> None:
    """Write the page and its pictures."""
    found = sort_files(files)
    for path in found["others"]:
        print(f"{path}: nothing for the page")
    before = sort_files([] if anew else sorted((out / MEASURED).glob("*.json")))
    found["solvers"] = before["solvers"] + found["solvers"]
    for kind in ("limit", "epochs"):
        found[kind] = found[kind] or before[kind]
    if (out / PAGE).exists() and not any(before.values()) and not anew:
        message = (
            f"{out / MEASURED} has nothing of what {out / PAGE} tells: give all files, with --anew"
        )
        raise typer.BadParameter(message)
    try:
        runs = merged(read(path) for path in found["solvers"])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not runs:
        message = "no results of benchmarks.solvers among them"
        raise typer.BadParameter(message)
    order = list(_TITLES)
    runs.sort(key=lambda run: (order.index(run.about["kind"]), run.about["threads"] != 1))
    _keep(out / MEASURED, runs, found)
    pictures = draw_all(runs, found["limit"], found["epochs"], out)
    path = out / PAGE
    _, cells = read_json(found["epochs"])
    path.write_text(page(runs, pictures, cells), encoding="utf-8")
    print(path)


if __name__ == "__main__":
    typer.run(main)
