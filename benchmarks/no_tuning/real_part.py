"""Part `real`: defaults on raw columns of real tables, beside plain SGD tuned on scaled ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.grids import Grid
from benchmarks.no_tuning import real_sets
from benchmarks.no_tuning.fits import FitFailed, fit_defaults
from benchmarks.no_tuning.grid import BATCHES, Best, cap, fewest_epochs
from benchmarks.no_tuning.high_precision import Keeper, Least, least_value
from benchmarks.no_tuning.objective import Objective, deviations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.no_tuning.real_sets import RealSet

WITHIN = 0.01
AS_FAST = 1.25
LOOSE = 1e-3
PENALTIES = ("l2", "l1", "elasticnet", None)


class Result(NamedTuple):
    """What came of a set, a loss and a penalty."""

    name: str
    final: float  # the share of the gap that the fitted model leaves
    epochs: int | None  # until the share was first small enough
    passes: float
    all_passes: float
    best: Best
    seconds: float
    error: str = ""

    @property
    def arrived(self) -> bool:
        """Whether the fitted model is near enough."""
        return not self.error and self.final <= WITHIN

    def as_fast(self, spent: float | None) -> bool:
        """Whether it arrived in at most a quarter more than the grid's best."""
        if not self.arrived or spent is None or not np.isfinite(spent):
            return False
        return self.best.epochs is None or spent <= AS_FAST * self.best.epochs

    @property
    def missed(self) -> bool:
        """Whether it did not arrive, or not as fast in passes."""
        return not self.as_fast(self.passes)


def run_real(
    keeper: Keeper,
    say: Callable[[str], None],
    *,
    only: str,
    quick: bool,
    repeats: int,
    skip: tuple[str, ...] = (),
) -> list[Grid]:
    """Run every set, loss and penalty, but for the sets to leave out."""
    del repeats
    results, trivial, loose = [], [], []
    names = real_sets.QUICK if quick else real_sets.NAMES
    skipped = [f"{name}: left out, as asked" for name in names if name in skip]
    names = tuple(name for name in names if name not in skip)
    first_word = only.partition(" ")[0]  # of a set, or of a loss, which every set may have
    for name in [n for n in names if first_word in n] or names:
        try:
            data = real_sets.load(name)
        except real_sets.MissingPackage as reason:
            skipped.append(f"{name}: skipped, {reason}")
            continue
        for label, raw, standard in objectives(data):
            if only not in label:
                continue
            least = least_value(standard, keeper)
            gap = standard.of_constant - least.value
            if gap <= 1e-6 * abs(standard.of_constant):
                trivial.append(label)
                continue
            if least.value - least.low > LOOSE * gap:
                loose.append(label)
            results.append(_measure(label, raw, standard, least, keeper))
            say(" | ".join(_row(results[-1])))
    notes = [*skipped]
    if trivial:
        notes.append(f"left out, the best constant is the optimum: {', '.join(trivial)}")
    if loose:
        told = f"F* is certain to {LOOSE:g} of the gap but for: {', '.join(loose)}"
        notes.append(told)
    return [_shares(results, notes), _table(results)]


def objectives(data: RealSet) -> Iterator[tuple[str, Objective, Objective]]:
    """Yield for each loss and penalty its objective on raw and on standardised columns."""
    scale = deviations(data.X)
    used = scale > 0.0
    standard = data.X[:, used] - data.X[:, used].mean(axis=0)
    standard /= scale[used]
    for loss in data.losses:
        for penalty in PENALTIES:
            raw = Objective(data.X, data.y, loss, penalty, scale, data.n_classes)
            own = replace(raw, X=standard, scale=np.ones(int(used.sum())))
            yield f"{data.name} {loss} {penalty}", raw, own


def _measure(
    label: str, raw: Objective, standard: Objective, least: Least, keeper: Keeper
) -> Result:
    gap = raw.of_constant - least.value
    target = least.value + WITHIN * gap
    best = fewest_epochs(standard, target, keeper)
    try:
        model, trail, seconds = fit_defaults(raw)
    except FitFailed as failed:
        return Result(label, np.nan, None, np.nan, np.nan, best, np.nan, str(failed)[:160])
    first = trail.first_within(raw, target)
    return Result(
        label,
        (raw.value_of(model) - least.value) / gap,
        None if first is None else first + 1,
        np.nan if first is None else trail.passes[first],
        trail.passes[-1] if trail.passes else np.nan,
        best,
        seconds,
    )


def _shares(results: list[Result], notes: list[str]) -> Grid:
    grid = Grid("Real tables, defaults: shares", ["of the cases", "share", "count"])
    total = max(len(results), 1)
    counts = {
        "reach 1 % of the gap": sum(r.arrived for r in results),
        "and in passes within 1.25 of the best grid's epochs": sum(
            r.as_fast(r.passes) for r in results
        ),
        "and in passes but for the one that measures columns, within 1.25": sum(
            r.as_fast(r.passes - 1.0) for r in results
        ),
        "and in epochs within 1.25 of the best grid's epochs": sum(
            r.as_fast(r.epochs) for r in results
        ),
        "where no point of the grid arrives": sum(r.best.epochs is None for r in results),
        "end in an error": sum(bool(r.error) for r in results),
    }
    grid.rows = [
        [what, f"{100 * c / total:.1f} %", f"{c} of {len(results)}"] for what, c in counts.items()
    ]
    ratios = [r.passes / r.best.epochs for r in results if r.best.epochs and r.arrived]
    if ratios:
        told = " / ".join(f"{q:.2f}" for q in np.nanquantile(ratios, [0.1, 0.5, 0.9, 1.0]))
        grid.rows.append(["passes over the grid's epochs: 10 % / median / 90 % / most", told, ""])
    grid.notes = [
        "gap: F(best constant) − F*, F* from an independent solver in standardised coordinates",
        "passes: everything that was read, statistics included, over the number of rows",
        "the grid's columns come standardised: hence the line without the pass that measures them",
        f"grid: plain SGD on standardised columns, batches {BATCHES}, nine constant rates",
        "these are half a decade apart around 1 / (curvature · (1 + mean ‖x‖²))",
        f"each point is given {cap(1)} epochs, of large tables fewer, {cap(10**12)} at least",
        "an epoch of the grid is whole: arriving within the first counts as 1; scaling is not",
        *notes,
    ]
    return grid


def _table(results: list[Result]) -> Grid:
    header = ["case", "excess at the end", "epochs to 1 %", "passes to 1 %", "passes in all"]
    grid = Grid("Real tables, defaults: every case", [*header, "best grid", "fit", "result"])
    grid.rows = [_row(r) for r in results]
    return grid


def _row(result: Result) -> list[str]:
    r = result
    best = "–"
    if r.best.epochs is not None:
        best = f"{r.best.epochs} (rate {r.best.rate:.2g}, batch {r.best.batch})"
    verdict = r.error or ("" if not r.missed else "slower" if r.arrived else "MISSED")
    final = "–" if np.isnan(r.final) else f"{100 * r.final:.2g} %"
    spent = ["–" if np.isnan(passes) else f"{passes:.2f}" for passes in (r.passes, r.all_passes)]
    numbers = [final, str(r.epochs or "–"), *spent]
    return [r.name, *numbers, best, f"{r.seconds:.2f} s", verdict]


def large_sets(name_has: str, *, quick: bool) -> Iterator[Any]:
    """Yield the sets above 10,000 rows, as far as their packages are there."""
    for name in real_sets.LARGE[:1] if quick else real_sets.LARGE:
        if name_has in name:
            try:
                yield real_sets.load(name)
            except real_sets.MissingPackage:
                continue
