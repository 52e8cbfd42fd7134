"""A race: the least setting of each side that reaches the target, then all in turns."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.solvers.ours import NAME, ours
from benchmarks.solvers.peers import sides
from benchmarks.solvers.results import Found, Result
from benchmarks.solvers.trials import FIRST, Rung, Trials, timed, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.no_tuning.objective import Objective
    from benchmarks.solvers.cases import Case
    from benchmarks.solvers.side import Side

__all__ = ["BUDGET", "HOPELESS", "PATIENCE", "race"]

PATIENCE = 15.0  # seconds of one fit
BUDGET = 10.0  # seconds of all trials of a peer
# A peer whose trials took so long in all is given up if the last took 10 times as long as ours and
# all are still a hundred targets away, or if it took a hundred times as long.
HOPELESS, TIMES, TARGETS = 3.0, 10.0, 100.0
# A peer that takes so many seconds and 10 times as long as we: its trial counts as a round, and it
# runs one more, unless it takes a hundred times as long.
SLOW = 1.0
# A trial that takes so many times as long as the one before, and over a second, is made once more:
# it may have compiled what a tighter tolerance needs.
JUMP = 20.0
# A fit that takes fewer seconds is made several times in a round, and their mean counts.
SHORT, CALLS = 0.1, 10
SETTLED = 1e-5  # the tolerance from which three equal values say that no lower one will follow


def race(
    case: Case, trials: Trials, *, excess: float, repeats: int, small_batches: bool,
    until: float = np.inf,
) -> Result:  # fmt: skip
    """Let all sides that can do a case take turns.

    Parameters
    ----------
    case : Case
        What is fitted.
    trials : Trials
        Those that were made before, and where these are kept.
    excess : float
        The target: F - F* at most so much of F(best constant) - F*, F* being the least that any
        side came to with any setting that was tried.
    repeats : int
        Rounds that count; one before them does not.
    small_batches : bool
        Whether libraries that step for a few rows take part.
    until : float
        The time from which peers are tried no more.
    """
    task = case.make()
    judge = _Judge(task.objective, trials, excess)
    entered: list[Side] = []
    for side in _entering(task, trials, small_batches=small_batches):
        entered.append(side)
        if side.name not in trials.failed and (side.name == NAME or time.time() < until):
            _compiled(side, trials)
            judge.climb(side)
    for side in entered:  # whose target was too easy, before another came lower
        if side.name not in trials.failed and time.time() < until:
            judge.climb(side)
    found = {side.name: judge.found(side) for side in entered}
    found |= {
        name: Found(name, [], skipped=why)
        for name, why in trials.failed.items()
        if name not in found
    }
    _take_turns(entered, judge, found, repeats)
    trials.end()
    return Result(case.name, list(found.values()))


def _take_turns(
    entered: list[Side], judge: _Judge, found: dict[str, Found], repeats: int
) -> None:  # fmt: skip
    """Time all sides that reached the target, in turns."""
    gc.freeze()  # what is there now stays: looking through it before each fit would take longer
    chosen = [(side, rung) for side in entered if (rung := judge.chosen(side)) is not None]
    for side, rung in chosen:
        if _is_slow(rung, judge.ours()):
            found[side.name].seconds.append(rung.seconds)
    for turn in range(-1, repeats):
        for side, rung in chosen:
            if _takes_turn(turn, rung, judge.ours()):
                judge.trials.begin(side.name, f"round {turn + 1}")
                calls = min(CALLS, int(SHORT / max(rung.seconds, 1e-9)) + 1)
                each = [timed(side, rung.setting, rung.rate)[1] for _ in range(calls)]
                if turn >= 0:
                    found[side.name].seconds.append(sum(each) / calls)


def _entering(task: Any, trials: Trials, *, small_batches: bool) -> Iterator[Side]:
    """Yield the sides, gradstep first: it says what the others are asked for."""
    yield ours(task)
    for package, make in sides(task, small_batches=small_batches):
        if package in trials.failed:
            continue
        trials.begin(package, FIRST)
        try:
            theirs = make()
        except Exception as error:  # noqa: BLE001  (a peer's own, whatever it is)
            trials.fail(package, told(error))
            continue
        trials.end()
        yield from theirs


def _is_slow(rung: Rung, ours: float) -> bool:
    return rung.seconds > SLOW and rung.seconds > TIMES * ours


def _takes_turn(turn: int, rung: Rung, ours: float) -> bool:
    return not _is_slow(rung, ours) or (turn == 0 and rung.seconds < TIMES**2 * ours)


class _Judge:
    """Says which setting of a side is enough; all from what was tried."""

    def __init__(self, objective: Objective, trials: Trials, excess: float) -> None:
        self.objective, self.trials, self.target = objective, trials, excess

    def excess(self, value: float) -> float:
        """Return how far a value is above the least, as a share of the gap."""
        least = self.trials.least()
        return (value - least) / (self.objective.of_constant - least)

    def chosen(self, side: Side) -> Rung | None:
        """Return the first trial of a side that reached the target."""
        if side.name in self.trials.failed:
            return None
        rungs = self.trials.rungs.get(side.name, [])
        return next((r for r in rungs if self.excess(r.value) <= self.target), None)

    def ours(self) -> float:
        """Return the seconds of gradstep's fit; endless if it has none."""
        rungs = self.trials.rungs.get(NAME, [])
        good = [r.seconds for r in rungs if self.excess(r.value) <= self.target]
        return good[0] if good else np.inf

    def climb(self, side: Side) -> None:
        """Try settings after those that were tried, until one reaches the target."""
        to_the_end = side.name == NAME
        done = self.trials.rungs.setdefault(side.name, [])
        for setting in side.settings:
            if self._is_over(side, done, to_the_end=to_the_end):
                return
            for rate in self._rates(side, done, setting):
                if any((r.setting, r.rate) == (setting, rate) for r in done):
                    continue
                rung = self._attempt(side, setting, rate)
                if rung is None or (not to_the_end and self.excess(rung.value) <= self.target):
                    return
                if self._is_over(side, done, to_the_end=to_the_end):
                    return

    def _attempt(self, side: Side, setting: float, rate: float) -> Rung | None:
        before = self.trials.rungs[side.name][-1:]
        rung = self.trials.attempt(side, setting, rate)
        if rung is None or not before or rung.seconds < max(SLOW, JUMP * before[0].seconds):
            return rung
        self.trials.rungs[side.name].remove(rung)
        return self.trials.attempt(side, setting, rate)

    def _is_over(self, side: Side, done: Sequence[Rung], *, to_the_end: bool) -> bool:
        if not done:
            return False
        last = [rung.value for rung in done[-3:]]
        still = np.isfinite(last).all() and np.ptp(last) <= 1e-13 * abs(last[-1])
        settled = not side.rates and done[-1].setting <= SETTLED and len(last) == 3 and still
        if settled or done[-1].seconds > PATIENCE:
            return True
        if to_the_end:
            return False
        if self.chosen(side) is not None:
            return True
        spent = sum(rung.seconds for rung in done)
        far = min(self.excess(rung.value) for rung in done) > TARGETS * self.target
        times = done[-1].seconds / self.ours()
        hopeless = (far and times > TIMES) or times > TIMES**2
        return spent > BUDGET or (spent > HOPELESS and hopeless)

    @staticmethod
    def _rates(side: Side, done: Sequence[Rung], setting: float) -> Sequence[float]:
        """Return the rates to try: all at first, then those beside the best before."""
        if not side.rates:
            return (0.0,)
        before = [rung for rung in done if rung.setting < setting]
        if not before:
            return side.rates
        latest = max(rung.setting for rung in before)
        best = min((r for r in before if r.setting == latest), key=lambda rung: rung.value)
        at = side.rates.index(best.rate)
        return side.rates[max(0, at - 1) : at + 2]

    def found(self, side: Side) -> Found:
        """Return what a side came to, before any round."""
        rung = self.chosen(side)
        if rung is not None:
            return Found(
                side.name, [], rung.setting, rung.rate, self.excess(rung.value), unit=side.unit
            )
        rungs = self.trials.rungs.get(side.name, [])
        why = self.trials.failed.get(side.name, "")
        if not rungs:
            return Found(side.name, [], skipped=why or "not tried: the time of the case was up")
        near = min(rungs, key=lambda r: r.value)
        excess = self.excess(near.value)
        told = f"excess {excess:.1e} after {near.seconds:.2g} s"
        if not why:
            slow = rungs[-1].seconds > PATIENCE
            why = f"> {PATIENCE:.0f} s" if slow else "misses the target"
        return Found(
            side.name, [], near.setting, near.rate, excess, f"{why}; {told}", unit=side.unit
        )


def _compiled(side: Side, trials: Trials) -> None:
    """Fit once, so that no time counts in which kernels are compiled; a long fit is a trial."""
    if any(rung.seconds > PATIENCE for rung in trials.rungs.get(side.name, [])):
        return
    setting, rate = side.settings[0], side.rates[-1] if side.rates else 0.0
    trials.begin(side.name, FIRST)
    with contextlib.suppress(Exception):  # it is told where the side is tried
        model, seconds = timed(side, setting, rate)
        if seconds > PATIENCE and side.name != NAME:
            trials.add(side, setting, rate, model, seconds)


def _end_with(parent: int) -> None:
    """End this process soon after the one that started it, however that ends."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _main() -> None:
    from benchmarks.solvers.cases import Case

    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    order = json.loads(sys.argv[1])
    os.sched_setaffinity(0, order["cores"])
    trials = Trials(Path(order["trials"]), lambda line: print(line, flush=True))
    found = race(
        Case(*order["case"]), trials, excess=order["excess"], repeats=order["repeats"],
        small_batches=order["small_batches"], until=order["until"],
    )  # fmt: skip
    Path(order["out"]).write_text(json.dumps(found))


if __name__ == "__main__":
    _main()
