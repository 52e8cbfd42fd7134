"""Part `wall`: seconds to 1 % of the gap, beside scikit-learn's SGD behind a StandardScaler."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.grids import Grid
from benchmarks.no_tuning.fits import FitFailed
from benchmarks.no_tuning.high_precision import Keeper, least_value
from benchmarks.no_tuning.real_part import WITHIN, large_sets, objectives
from benchmarks.no_tuning.timing import (
    Peer,
    middle_and_spread,
    needed,
    ratios,
    timed_fit,
    timed_ours,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.no_tuning.objective import Objective

SHARED = (
    "squared_error",
    "huber",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
    "log_loss",
    "hinge",
    "squared_hinge",
    "modified_huber",
)
MOST_EPOCHS = 512


def run_wall(
    keeper: Keeper, say: Callable[[str], None], *, only: str, quick: bool, repeats: int
) -> list[Grid]:
    """Time every set above 10,000 rows with every loss that both sides have."""
    grid = Grid(
        "Time to 1 % of the gap, warm",
        ["case", "rows", "gradstep", "its whole fit", "its passes", "StandardScaler + SGD",
         "its epochs", "times as long", "result"],
    )  # fmt: skip
    middles: list[float] = []
    for data in large_sets(only.partition(" ")[0], quick=quick):
        for label, raw, standard in objectives(data):
            if raw.loss not in SHARED or raw.n_classes > 2 or only not in label:
                continue
            gap_row = _case(label, raw, standard, keeper, repeats)
            if gap_row is None:
                continue
            row, ratio = gap_row
            middles.append(ratio)
            grid.rows.append(row)
            say(" | ".join(row))
    known = [m for m in middles if np.isfinite(m)]
    if known:
        mean = float(np.exp(np.mean(np.log(known))))
        won = sum(m > 1.0 for m in known)
        grid.rows.append(
            ["geometric mean", *[""] * 6, f"{mean:.2f}", f"{won} of {len(known)} ahead"]
        )
    grid.notes = [
        f"medians of {repeats} rounds in turn, after one unmeasured (least–most)",
        "a ratio is the median of the rounds' own",
        "gradstep: raw columns, defaults; from fit's start to the first epoch's end at the target",
        "objectives are evaluated off the clock",
        "scikit-learn: defaults, tol=None, the smallest max_iter that reaches the same objective",
        f"that is found beforehand, to 10 %, at most {MOST_EPOCHS}; the scaler counts",
    ]
    return [grid]


def scaled_sgd(objective: Objective) -> Peer:
    """Return scikit-learn's SGD of an objective, behind a scaler."""
    from sklearn.linear_model import SGDClassifier, SGDRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind = SGDClassifier if objective.n_classes else SGDRegressor
    options: dict[str, Any] = {"loss": objective.loss, "penalty": objective.penalty, "tol": None}

    def make(epochs: int) -> Any:
        sgd = kind(alpha=objective.alpha, max_iter=epochs, random_state=0, **options)
        return make_pipeline(StandardScaler(), sgd)

    return Peer("StandardScaler + SGD", make, MOST_EPOCHS)


def value_behind_scaler(objective: Objective) -> Callable[[Any], float]:
    """Return what evaluates a pipeline of a scaler and a linear model."""

    def value(pipeline: Any) -> float:
        scaler, model = pipeline[0], pipeline[-1]
        W = np.reshape(model.coef_, (objective.k, -1)) / scaler.scale_
        # A constant column's coefficient does not matter, but times its mean it would.
        W[:, objective.scale == 0.0] = 0.0
        return objective.value(W, np.ravel(model.intercept_) - W @ scaler.mean_)

    return value


def _case(
    label: str, raw: Objective, standard: Objective, keeper: Keeper, repeats: int
) -> tuple[list[str], float] | None:
    least = least_value(standard, keeper)
    gap = raw.of_constant - least.value
    if gap <= 1e-6 * abs(raw.of_constant):
        return None
    target = least.value + WITHIN * gap
    peer, value_of = scaled_sgd(raw), value_behind_scaler(raw)
    need = needed(peer, raw, target, keeper, value_of)
    ours, theirs = [], []
    try:
        for turn in range(-1, repeats):
            mine = timed_ours(raw, target, least.value)
            its = np.nan
            if need.iterations is not None:
                its = timed_fit(peer.make(need.iterations), raw.X, raw.y)
            if turn >= 0:
                ours.append(mine)
                theirs.append(its)
    except FitFailed as failed:
        return [label, f"{len(raw.y):,}", *["–"] * 6, failed.kind], np.nan
    mine = [one.to_target for one in ours]
    ratio = median(t / m for t, m in zip(theirs, mine, strict=True))
    verdict = "ahead" if ratio > 1.0 else "LOST"
    if not np.isfinite(mine).all():
        verdict = f"MISSED: excess {100 * ours[0].excess:.2g} %"
    elif need.iterations is None:
        verdict = "alone"
    row = [
        label,
        f"{len(raw.y):,}",
        middle_and_spread(mine),
        middle_and_spread([one.whole for one in ours]),
        f"{ours[0].passes:.2f}",
        need.reason if need.iterations is None else middle_and_spread(theirs),
        str(need.iterations or "–"),
        ratios(theirs, mine),
        verdict,
    ]
    return row, ratio
