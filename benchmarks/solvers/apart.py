"""A race in a process of its own, which may hang or crash, and goes on without the culprit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.solvers.ours import NAME
from benchmarks.solvers.race import PATIENCE
from benchmarks.solvers.results import Found, Result
from benchmarks.solvers.trials import FIRST, Trials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.solvers.cases import Case

__all__ = ["Settings", "cores_for", "race_apart"]

LONGEST = 2.0 * PATIENCE  # seconds after which a fit is ended, with the process that makes it
FIRST_TIMES = 5.0  # how many times as long our first fit may take, for which kernels are compiled
CASE_LIMIT = 900.0  # seconds of a case
TRYING = 1.0 / 9.0  # the share of them in which peers are tried
MODULE = "benchmarks.solvers.race"  # what the process runs
STARTS = 12  # of the process of a case: each but the first leaves a side out
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS", "RAYON_NUM_THREADS",
)  # fmt: skip


class Settings(NamedTuple):
    """How cases are raced.

    Attributes
    ----------
    threads : int
        Processors that a case's process may use, all of its libraries; 0 for as many as there are,
        and as each library likes.
    excess : float
        The target.
    repeats : int
        Rounds that count.
    verbose : bool
        Whether each trial is printed.
    longest, limit : float
        Seconds after which a fit is ended, and a case.
    """

    threads: int = 1
    excess: float = 1e-6
    repeats: int = 3
    verbose: bool = False
    longest: float = LONGEST
    limit: float = CASE_LIMIT


def cores_for(jobs: int, threads: int) -> list[list[int]]:
    """Return the processors of each of so many cases at a time, which share none."""
    there = sorted(os.sched_getaffinity(0))
    if not threads:
        return [there] * jobs
    if jobs * threads > len(there):
        message = f"{jobs} case(s) at a time on {threads} processor(s) each, but {len(there)} here"
        raise ValueError(message)
    return [there[i * threads : (i + 1) * threads] for i in range(jobs)]


def race_apart(
    case: Case, settings: Settings, cores: Sequence[int], *, small_batches: bool
) -> Result:
    """Race in a process that may use these processors; without a side that hung or crashed.

    Parameters
    ----------
    case : Case
        What is fitted.
    settings : Settings
        How.
    cores : sequence of int
        The processors.
    small_batches : bool
        Whether libraries that step for a few rows take part.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gradstep-race-") as folder:
        trials, out = Path(folder) / "trials.json", Path(folder) / "result.json"
        order = {
            "case": list(case), "cores": list(cores), "excess": settings.excess,
            "repeats": settings.repeats, "small_batches": small_batches,
            "trials": str(trials), "out": str(out), "until": time.time() + TRYING * settings.limit,
        }  # fmt: skip
        for _ in range(STARTS):
            why = _run(order, settings, began + settings.limit)
            took = time.monotonic() - began
            if out.exists():
                name, found, _ = json.loads(out.read_text())
                return Result(name, [Found(*side) for side in found], took)
            culprit = _running(trials)
            if culprit is None or culprit[0] == NAME or took > settings.limit:
                break
            kept = Trials(trials)
            kept.fail(culprit[0], f"{why}, at {culprit[1]}")
    return Result(case.name, [Found(NAME, [], skipped=why)], time.monotonic() - began)


def _run(order: dict[str, object], settings: Settings, until: float) -> str:
    """Run the process to its end, or end it; return how it ended."""
    threads = settings.threads
    environment = os.environ | (dict.fromkeys(_THREADS, str(threads)) if threads else {})
    trials = Path(str(order["trials"]))
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", MODULE, json.dumps(order)],
            env=environment, stderr=errors, text=True, start_new_session=True,
            stdout=None if settings.verbose else subprocess.DEVNULL,
        ) as process,
    ):  # fmt: skip
        try:
            while process.poll() is None:
                running = _running(trials)
                if running is not None:
                    compiling = running[:2] == (NAME, FIRST)
                    longest = settings.longest * (FIRST_TIMES if compiling else 1.0)
                    if time.time() - running[2] > longest:
                        return f"> {longest:.3g} s"
                if time.monotonic() > until:
                    return f"no end of the case after {settings.limit:.0f} s"
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.kill()
        if process.returncode < 0:
            return f"crashed (signal {-process.returncode})"
        errors.seek(0)
        return (errors.read().strip().splitlines() or ["no word"])[-1][:300]


def _running(trials: Path) -> tuple[str, str, float] | None:
    """Return the side that runs, what with, and since when."""
    if not trials.exists():
        return None
    running = json.loads(trials.read_text())["running"]
    return tuple(running) if running else None
