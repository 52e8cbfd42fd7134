"""Part `deep`: seconds to an excess of 1e-8 of the gap, beside scikit-learn's exact solvers."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.grids import Grid
from benchmarks.no_tuning.deep_cases import cases
from benchmarks.no_tuning.fits import FitFailed
from benchmarks.no_tuning.high_precision import Keeper, least_value
from benchmarks.no_tuning.timing import PATIENCE, Ours, Peer, needed, timed_fit, timed_ours

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.no_tuning.objective import Objective

EXCESS = 1e-8
# Past the target, so that the run does not end before it.
DEEP = {"optimizer": "svrg", "tol": 1e-9, "penalty_scale": "unit"}
SOLVERS = ("newton-cholesky", "lbfgs", "saga")
TINY = 1e-15
MOST = {"newton-cholesky": 128, "lbfgs": 65_536, "saga": 65_536}


def run_deep(
    keeper: Keeper, say: Callable[[str], None], *, only: str, quick: bool, repeats: int
) -> list[Grid]:
    """Time each case: gradstep and each solver in turn."""
    header = ["case", "gradstep", "its passes", "its excess"]
    for solver in SOLVERS:
        header += [solver, "times as long"]
    grid = Grid("Time to 1e-8 of the gap, l2 with alpha 1e-4", [*header, "result"])
    for case in cases(quick=quick):
        if only in case.name:
            row = _time(case.name, case.make(), keeper, repeats, say)
            grid.rows.append(row)
            say(" | ".join(row))
    grid.notes = [
        "excess: (F − F*) / (F(best constant) − F*); F* from an independent Newton method",
        f"medians of {repeats} rounds in turn, after one unmeasured",
        "a ratio is the median of the rounds' own, with the least and the most",
        f"gradstep: {DEEP}; the end of the first epoch at the target, from the start of fit",
        "scikit-learn: the fewest iterations (to 10 %) that reach the target, found beforehand",
        "that is at least as good as the loosest tolerance that reaches it",
        f"a solver whose fit takes more than {PATIENCE:.0f} s without arriving is cut",
    ]
    return [grid]


def peers(objective: Objective) -> list[Peer]:
    """List the solvers of an objective."""
    from sklearn.linear_model import LogisticRegression, PoissonRegressor

    o = objective
    if o.loss == "poisson":

        def poisson(solver: str) -> Callable[[int], Any]:
            return lambda most: PoissonRegressor(
                alpha=o.alpha, solver=solver, tol=TINY, max_iter=most
            )

        return [Peer(s, poisson(s), MOST[s]) for s in SOLVERS[:2]]

    def logistic(solver: str) -> Callable[[int], Any]:
        C = 1.0 / (len(o.y) * o.alpha)
        return lambda most: LogisticRegression(
            C=C, solver=solver, tol=TINY, max_iter=most, random_state=0
        )

    return [Peer(s, logistic(s), MOST[s]) for s in SOLVERS]


def _time(
    name: str, objective: Objective, keeper: Keeper, repeats: int, say: Callable[[str], None]
) -> list[str]:
    o = objective
    least = least_value(o, keeper).value
    target = least + EXCESS * (o.of_constant - least)
    sides, needs = peers(o), {}
    for peer in sides:
        needs[peer.name] = needed(peer, o, target, keeper, o.value_of)
        say(f"{name}: {peer.name} {needs[peer.name]}")
    ours: list[Ours] = []
    theirs: dict[str, list[float]] = {peer.name: [] for peer in sides}
    for turn in range(-1, repeats):
        try:
            mine = timed_ours(o, target, least, **DEEP)
        except FitFailed as failed:
            return [name, str(failed)[:120], *["–"] * 8, "ERROR"]
        if turn >= 0:
            ours.append(mine)
        for peer in sides:
            iterations = needs[peer.name].iterations
            if iterations is not None:
                seconds = timed_fit(peer.make(iterations), o.X, o.y)
                if turn >= 0:
                    theirs[peer.name].append(seconds)
    return _row(name, ours, theirs, needs)


def _row(
    name: str, ours: list[Ours], theirs: dict[str, list[float]], needs: dict[str, Any]
) -> list[str]:
    mine = [one.to_target for one in ours]
    arrived = bool(np.isfinite(mine).all())
    row = [name, f"{median(mine):.3f} s" if arrived else "–"]
    row += [f"{ours[0].passes:.2f}", f"{ours[0].excess:.1e}"]
    lost = []
    for solver in SOLVERS:
        seconds = theirs.get(solver)
        if seconds is None:
            row += ["–", "–"]
        elif not seconds:
            row += [needs[solver].reason, "–"]
        else:
            each = [t / m for t, m in zip(seconds, mine, strict=True)]
            told = f"{median(each):.2f} ({min(each):.2f}–{max(each):.2f})" if arrived else "–"
            row += [f"{median(seconds):.3f} s", told]
            if not median(each) > 1.0:
                lost.append(solver)
    verdict = f"LOST to {', '.join(lost)}" if lost else "ahead"
    return [*row, verdict if arrived else "MISSED"]
