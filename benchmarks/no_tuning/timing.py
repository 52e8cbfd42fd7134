"""Times to a target: of gradstep from its trail, of peers from their shortest sufficient run."""

from __future__ import annotations

import gc
import warnings
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.no_tuning.fits import fit_defaults
from benchmarks.no_tuning.high_precision import digest, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.no_tuning.high_precision import Keeper
    from benchmarks.no_tuning.objective import Objective

PATIENCE = 15.0


class Peer(NamedTuple):
    """Something that fits the same objective in a number of iterations.

    Attributes
    ----------
    name : str
        What the report calls it.
    make : callable
        From the number of iterations to an unfitted model.
    most : int
        Iterations that are tried at most.
    """

    name: str
    make: Callable[[int], Any]
    most: int


class Need(NamedTuple):
    """The fewest iterations that reach the target; None and the reason if there are none."""

    iterations: int | None
    reason: str = ""


def timed_fit(model: Any, X: Any, y: Any) -> float:
    """Fit a peer, quietly; return the seconds."""
    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        begun = perf_counter()
        model.fit(X, y)
        return perf_counter() - begun


def needed(
    peer: Peer,
    objective: Objective,
    target: float,
    keeper: Keeper,
    value_of: Callable[[Any], float],
) -> Need:
    """Double the iterations until the target is reached, then halve the way back."""
    key = f"need-{digest(digest_of(objective), peer.name, peer.most)}"
    kept = keeper.get(key)
    if kept is None:
        kept = list(_search(peer, objective, target, value_of))
        keeper.put(key, kept)
    return Need(*kept)


def _search(
    peer: Peer, objective: Objective, target: float, value_of: Callable[[Any], float]
) -> Need:
    def reaches(iterations: int) -> tuple[bool, float]:
        model = peer.make(iterations)
        try:
            seconds = timed_fit(model, objective.X, objective.y)
        except (ValueError, FloatingPointError):  # it has left the numbers
            return False, 0.0
        return value_of(model) <= target, seconds

    few, many = 0, 1
    while True:
        arrived, seconds = reaches(many)
        if arrived:
            break
        if seconds > PATIENCE:
            return Need(None, f"> {PATIENCE:.0f} s")
        if many >= peer.most:
            return Need(None, f"not in {peer.most} iterations")
        few, many = many, min(2 * many, peer.most)
    # Nearer than a tenth is not worth the search: iterations are then within 10 %.
    while many - few > max(1, few // 10):
        middle = (few + many) // 2
        few, many = (few, middle) if reaches(middle)[0] else (middle, many)
    return Need(many)


class Ours(NamedTuple):
    """A fit of gradstep: seconds to the target (NaN if it is missed) and of the whole fit."""

    to_target: float
    whole: float
    passes: float
    excess: float


def timed_ours(objective: Objective, target: float, least: float, **settings: Any) -> Ours:
    """Fit gradstep; when had it reached the target? Evaluated off the clock."""
    gc.collect()
    model, trail, seconds = fit_defaults(objective, **settings)
    excess = (objective.value_of(model) - least) / (objective.of_constant - least)
    first = trail.first_within(objective, target)
    if first is None:
        # What follows the last epoch may have got there.
        arrived = objective.value_of(model) <= target
        passes = trail.passes[-1] if trail.passes else np.nan
        return Ours(seconds if arrived else np.nan, seconds, passes, excess)
    return Ours(trail.ended[first], seconds, trail.passes[first], excess)


def middle_and_spread(seconds: list[float]) -> str:
    """Write the median and the range of times."""
    low, high = (f"{1e3 * s:.3g}" for s in (min(seconds), max(seconds)))
    return f"{1e3 * median(seconds):.3g} ms ({low}–{high})"


def ratios(theirs: list[float], ours: list[float]) -> str:
    """Write how many times as long they take: each round's own ratio, median and range."""
    each = [t / o for t, o in zip(theirs, ours, strict=True)]
    if not np.isfinite(each).all():
        return "–"
    return f"{median(each):.2f} ({min(each):.2f}–{max(each):.2f})"
