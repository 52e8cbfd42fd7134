"""Whole fits beside the strongest solvers, at equal objective.

Run from the root of the repository::

    python -m benchmarks.solvers [--quick] [--only narrow --only wide] [--threads 1] [--json FILE]

Each case has a process of its own, pinned to so many processors. A side's setting is the least of a
ladder that reaches the target; then all sides take turns, and the whole call counts.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003  (Typer reads it)
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.grids import print_grids
from benchmarks.machine import describe_machine
from benchmarks.solvers.apart import Settings, cores_for, race_apart
from benchmarks.solvers.cases import KINDS, rough
from benchmarks.solvers.files import Run, read, write
from benchmarks.solvers.peers import versions
from benchmarks.solvers.table import grid_of, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.solvers.cases import Case
    from benchmarks.solvers.results import Result

EXCESS, ROUGH_EXCESS = 1e-6, 1e-2


def main(
    *,
    quick: Annotated[bool, typer.Option(help="A tenth of the rows, one round.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="A part of names; may be repeated.")
    ] = None,
    grow: Annotated[
        bool, typer.Option("--scaling", help="Cases of more and more rows, features, classes.")
    ] = False,
    published: Annotated[
        bool, typer.Option("--papers", help="Cases of others' benchmarks.")
    ] = False,
    loose: Annotated[
        bool, typer.Option("--rough", help="Cases to an excess of 1e-2, small steps take part.")
    ] = False,
    threads: Annotated[
        int, typer.Option(min=0, help="Processors that a case may use; 0: as each library likes.")
    ] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Cases at a time.")] = 1,
    excess: Annotated[
        float | None, typer.Option(help="The target, as a share of the gap (1e-6; --rough 1e-2).")
    ] = None,
    verbose: Annotated[bool, typer.Option(help="Print every trial.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 3,
    out: Annotated[Path | None, typer.Option("--json", help="Results are written here.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the cases that the file of --json has.")
    ] = False,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    """Race gradstep against its peers."""
    if grow + published + loose > 1:
        message = "one of --scaling, --papers, --rough"
        raise typer.BadParameter(message)
    kind = "scaling" if grow else "papers" if published else "rough" if loose else "cases"
    target = excess or (ROUGH_EXCESS if loose else EXCESS)
    settings = Settings(threads, target, 1 if quick else repeats, verbose)
    try:
        cores = cores_for(jobs, threads)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--jobs") from None
    cases = list(KINDS[kind](quick=quick))
    chosen = [case for case in cases if not only or any(part in case.name for part in only)]
    about = {
        "kind": kind, "quick": quick, "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(), "threads": threads, "jobs": jobs, "excess": target,
        "repeats": settings.repeats, "versions": versions(),
    }  # fmt: skip
    results = _kept(out, about) if resume and out is not None else {}
    small = {case.name for case in rough(quick=quick)}
    for case, result in _raced(
        [c for c in chosen if c.name not in results], settings, cores, small
    ):
        results[case.name] = result
        print(" | ".join(row_of(result)), flush=True)
        if out is not None:
            write(out, _run(about, cases, results))
    print_grids([grid_of(_run(about, cases, results).results, about)], markdown=markdown)


def _run(about: dict[str, Any], cases: list[Case], results: dict[str, Result]) -> Run:
    done = [case for case in cases if case.name in results]
    return Run(about, done, [results[case.name] for case in done])


def _raced(
    chosen: list[Case], settings: Settings, cores: list[list[int]], small: set[str]
) -> Iterator[tuple[Case, Result]]:
    """Yield results as they come, so many cases at a time as there are sets of processors."""
    free: SimpleQueue[list[int]] = SimpleQueue()
    for each in cores:
        free.put(each)

    def run(case: Case) -> Result:
        own = free.get()
        try:
            return race_apart(case, settings, own, small_batches=case.name in small)
        finally:
            free.put(own)

    with ThreadPoolExecutor(len(cores)) as pool:
        futures = {pool.submit(run, case): case for case in chosen}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _kept(path: Path, about: dict[str, Any]) -> dict[str, Result]:
    """Return the results of a file that were made in the same way, with times of gradstep's."""
    if not path.exists():
        return {}
    run = read(path)
    for key in ("kind", "quick", "threads", "excess", "repeats", "versions"):
        if run.about[key] != about[key]:
            message = f"{path} has {key} {run.about[key]}, not {about[key]}"
            raise typer.BadParameter(message, param_hint="--resume")
    return {result.case: result for result in run.results if result.sides[0].seconds}


if __name__ == "__main__":
    typer.run(main)
