"""Part `random`: whether defaults are finite and better than a constant, on random problems."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.grids import Grid
from benchmarks.no_tuning.fits import FitFailed, fit_defaults
from benchmarks.no_tuning.high_precision import Keeper, least_value
from benchmarks.no_tuning.random_problems import random_problem

if TYPE_CHECKING:
    from collections.abc import Callable

SLACK = 1e-6
DIVERGED = 10.0
CHEAP = 1e7  # rows times columns squared, for which the least objective is computed
WITHIN = 0.01


class Case(NamedTuple):
    """What came of a problem."""

    seed: int
    what: str
    verdict: str
    detail: str
    excess: float | None = None
    passes: float = np.nan


def run_random(
    count: int, first: int, keeper: Keeper, say: Callable[[str], None], only: str = ""
) -> list[Grid]:
    """Fit the problems of so many seeds and count what came of them."""
    cases = []
    for seed in range(first, first + count):
        objective, what = random_problem(seed)
        if only not in what:
            continue
        cases.append(judge(seed, objective, what, keeper))
        if cases[-1].verdict != "fine" or seed % 50 == 0:
            say(f"seed {seed}: {cases[-1].verdict}; {what}; {cases[-1].detail}")
    return _grids(cases)


def judge(seed: int, objective: Any, what: str, keeper: Keeper) -> Case:
    """Fit the defaults to a problem and judge the model by its objective."""
    o = objective
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model, trail, seconds = fit_defaults(o)
    except FitFailed as failed:
        if failed.typed:
            return Case(seed, what, f"error {failed.kind}", str(failed))
        return Case(seed, what, "untyped error", f"{failed} ({failed.where})")
    value, span = o.value_of(model), o.of_constant - o.floor
    epochs = len(trail.ended)
    passes = trail.passes[-1] if trail.passes else np.nan
    detail = f"F={value:.9g} constant={o.of_constant:.9g} floor={o.floor:.9g} {epochs} epochs"
    detail += f" {passes:.3g} passes {seconds:.2f} s"
    for name in sorted({w.category.__name__ for w in caught}):
        detail += f" {name}"
    if not (np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()):
        return Case(seed, what, "not finite", detail, None, passes)
    if not value - o.floor <= DIVERGED * span + 1e-12 * abs(o.floor):
        return Case(seed, what, "silent divergence", detail, None, passes)
    if value > o.of_constant + SLACK * max(span, 1e-9 * abs(o.of_constant)):
        return Case(seed, what, "worse than constant", detail, None, passes)
    excess = _excess(o, value, keeper)
    if excess is not None:
        detail += f" excess {excess:.3g}"
    return Case(seed, what, "fine", detail, excess, passes)


def _excess(objective: Any, value: float, keeper: Keeper) -> float | None:
    """Return the share of the gap to the least objective that is left, where it is cheap."""
    n, p = objective.X.shape
    if n * (p + 1.0) ** 2 * objective.k > CHEAP:
        return None
    least = least_value(objective, keeper)
    gap = objective.of_constant - least.value
    if gap <= 1e-6 * max(objective.of_constant - objective.floor, 1e-9 * abs(least.value)):
        return None
    return (value - least.value) / gap


def _grids(cases: list[Case]) -> list[Grid]:
    counted = Counter(case.verdict for case in cases)
    rows = [["problems", str(len(cases)), ""]]
    expected = ["not finite", "worse than constant", "silent divergence", "untyped error"]
    errors = sorted(name for name in counted if name.startswith("error "))
    for name in [*expected, *(errors or ["typed errors"])]:
        seeds = [str(case.seed) for case in cases if case.verdict == name]
        rows.append([name, str(counted[name]), ", ".join(seeds[:40])])
    known = [case for case in cases if case.excess is not None]
    late = [case for case in known if case.excess is not None and case.excess > WITHIN]
    rows += [
        ["least objective known", str(len(known)), ""],
        ["of these within 1 % of the gap", str(len(known) - len(late)), ""],
        ["not within 1 %", str(len(late)), ", ".join(str(case.seed) for case in late[:60])],
    ]
    passes = [case.passes for case in cases if np.isfinite(case.passes)]
    if passes:
        quantiles = np.quantile(passes, [0.5, 0.9, 1.0])
        told = " / ".join(f"{q:.3g}" for q in quantiles)
        rows.append(["passes of a fit: median / 90 % / most", told, ""])
    counts = Grid("Random problems, defaults", ["what", "count", "seeds"], rows)
    counts.notes = [
        "worse: F − F(best constant) > 1e-6 · (F(best constant) − the mean least loss of the rows)",
        "silent divergence: finite, but F − that floor > 10 times that of the best constant",
        "F is computed in NumPy from coef_ and intercept_; gap: F(best constant) − F*",
    ]
    failed = [case for case in cases if case.verdict != "fine" or case in late]
    listed = Grid("Random problems that failed", ["seed", "verdict", "problem", "detail"])
    listed.rows = [
        [str(case.seed), "slow" if case.verdict == "fine" else case.verdict, case.what, case.detail]
        for case in failed
    ]
    return [counts, listed] if failed else [counts]
