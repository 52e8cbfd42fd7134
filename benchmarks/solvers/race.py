"""A race: the loosest tolerance of each side that reaches the target, then all in turns."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.solvers.cases import Case
    from benchmarks.solvers.peers import Side

__all__ = ["Found", "Result", "race", "race_apart"]

PATIENCE = 30.0  # seconds of one fit
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Found(NamedTuple):
    """What a side did: seconds of each round at a tolerance, or why there are none."""

    name: str
    seconds: list[float]
    tolerance: float
    excess: float
    skipped: str = ""


class Result(NamedTuple):
    """A race's end: its case, and the sides, gradstep first."""

    case: str
    sides: list[Found]

    @property
    def ratios(self) -> dict[str, list[float]]:
        """How many times as long as gradstep each peer takes, round by round."""
        ours = self.sides[0].seconds
        return {
            s.name: [t / o for t, o in zip(s.seconds, ours, strict=True)]
            for s in self.sides[1:]
            if s.seconds and ours
        }

    @property
    def lost_to(self) -> list[str]:
        """The peers that take less time."""
        return [name for name, each in self.ratios.items() if median(each) < 1.0]


def race_apart(
    case: Case, *, threads: int, excess: float, repeats: int, verbose: bool = False
) -> Result:
    """Race in a process that may use so many processors: all libraries see no others."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    environment = os.environ | dict.fromkeys(_THREADS, str(threads))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        order = {"case": list(case), "cores": cores, "excess": excess, "repeats": repeats}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.solvers.race", json.dumps(order), str(out)],
            env=environment, check=False, stderr=subprocess.PIPE, text=True,
            stdout=None if verbose else subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no word"])[-1]
            return Result(case.name, [Found("gradstep", [], np.nan, np.nan, why)])
        name, found = json.loads(out.read_text())
    return Result(name, [Found(*side) for side in found])


def race(case: Case, *, excess: float, repeats: int, say: Callable[[str], None]) -> Result:
    """Let all sides that can do a case take turns.

    Parameters
    ----------
    case : Case
        What is fitted.
    excess : float
        The target: F - F* at most so much of F(best constant) - F*, F* being the least that any
        side came to at any tolerance that was tried.
    repeats : int
        Rounds that count; one before them does not.
    """
    from benchmarks.solvers.peers import sides

    task = case.make()
    o, tried = task.objective, {}
    failed: dict[str, str] = {}  # what a library says of a case that it cannot do
    least = np.inf
    for side in sides(task):
        _compiled(side)
        ours = not tried  # gradstep goes to the end: it says what the others are asked for
        tried[side] = _ladder(
            side, say, failed, -np.inf if ours else least + excess * (o.of_constant - least)
        )
        least = min([least, *(rung.value for rung in tried[side])])
    for side, rungs in tried.items():  # whose target was too easy, before another came lower
        target = least + excess * (o.of_constant - least)
        tried[side] = rungs + _ladder(side, say, failed, target, rungs)
        least = min([least, *(rung.value for rung in tried[side])])
    gap = o.of_constant - least
    chosen: dict[Any, float] = {}
    found: dict[str, Found] = {}
    for side, rungs in tried.items():
        good = [rung for rung in rungs if rung.value - least <= excess * gap]
        if good:
            chosen[side] = good[0].tolerance
            at = (good[0].value - least) / gap
            found[side.name] = Found(side.name, [], good[0].tolerance, at)
        else:
            nearest = min((rung.value for rung in rungs), default=np.nan)
            slow = any(rung.seconds > PATIENCE for rung in rungs)
            why = f"> {PATIENCE:.0f} s" if slow else failed.get(side.name, "misses the target")
            found[side.name] = Found(side.name, [], np.nan, (nearest - least) / gap, why)
    for turn in range(-1, repeats):
        for side, tol in chosen.items():
            seconds = _timed(side, tol)[1]
            if turn >= 0:
                found[side.name].seconds.append(seconds)
    return Result(case.name, list(found.values()))


class _Rung(NamedTuple):
    tolerance: float
    value: float
    seconds: float


def _ladder(
    side: Side, say: Callable[[str], None], failed: dict[str, str], target: float,
    before: Sequence[_Rung] = (),
) -> list[_Rung]:  # fmt: skip
    """Try tolerances after those before, loosest first, until one reaches the target."""
    rungs: list[_Rung] = []
    if before and (before[-1].value <= target or before[-1].seconds > PATIENCE):
        return rungs
    for tol in side.tolerances[len(before) :]:
        try:
            model, seconds = _timed(side, tol)
            value = side.value(model)
        except Exception as error:  # noqa: BLE001  (a peer's own, whatever it is)
            failed[side.name] = f"{type(error).__name__}: {error}"[:160]
            say(f"{side.name} at {tol:g}: {failed[side.name]}")
            break
        rungs.append(_Rung(tol, value, seconds))
        say(f"{side.name} at {tol:g}: {value:.12g} in {seconds:.2f} s")
        last = [rung.value for rung in [*before, *rungs][-3:]]
        settled = len(last) == 3 and np.ptp(last) <= 1e-13 * abs(value)
        if value <= target or seconds > PATIENCE or settled:
            break
    return rungs


def _compiled(side: Side) -> None:
    """Fit once, so that no time counts in which kernels are compiled."""
    with contextlib.suppress(Exception):  # it is told where the side is tried
        _timed(side, side.tolerances[0])


def _timed(side: Side, tol: float) -> tuple[Any, float]:
    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begun = perf_counter()
        model = side.fit(tol)
        return model, perf_counter() - begun


def _main() -> None:
    from benchmarks.solvers.cases import Case

    order = json.loads(sys.argv[1])
    os.sched_setaffinity(0, order["cores"])
    found = race(
        Case(*order["case"]), excess=order["excess"], repeats=order["repeats"],
        say=lambda line: print(line, flush=True),
    )  # fmt: skip
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    _main()
