"""Steps that cost what a batch touches, where there are many features.

A feature that no row of a batch has gets no gradient; what a step still does to its weight, by
the penalty or by momentum, is known from the step alone. So it can wait:

a. `since` has for each feature the step up to which its weights and slots have been brought
   (and last, for the intercepts, the step that has been taken), `clock` what the optimizer needs
   to know of the steps (see `gradstep.optim.optimizers.base`).
b. A batch lists its features, brings them up to the last step (`idle`), and then scores, slopes
   and gradient are those of `run_batches`. Only the listed features are stepped.
c. Steps are counted in periods: when one is full, or the optimizer's formula would not hold
   beyond it, all features are brought up to date and counting starts again. When that is depends
   on the rates and the steps since the epoch began, not on where a run is cut. So a run may end
   with features that are behind, and `since` and `clock` are part of the state.
"""

from __future__ import annotations

from typing import Any

from gradstep.engine.kernels import components as _registered  # noqa: F401  (what kernels call)
from gradstep.engine.kernels.compiled_losses import tile_losses
from gradstep.engine.kernels.tiles import count_batch
from gradstep.jit import compiled, inlined
from gradstep.objective.penalties import NoPenalty
from gradstep.optim.optimizers import At, idle, step, tick
from gradstep.rows.layouts import AHEAD, add_gradient, list_touched, prefetch, tile_scores

__all__ = ["PERIOD", "bring_up_to_date", "run_lazily"]

# Steps of a period, a power of two: many, since all features are touched at its end, but such
# that the clock stays in the second-level cache.
PERIOD = 1 << 12


@inlined
def _bring_up_to_date(
    params: Any, slots: Any, since: Any, penalty: Any, optimizer: Any, gradient: Any, clock: Any
) -> None:
    p = since.size - 1
    now = since[p]
    for c in range(params.size // since.size):
        for j in range(p):
            if since[j] < now:
                idle(optimizer, penalty, params, gradient, slots, c * p + j, clock, since[j], now)
    since[:] = 0


@compiled
def bring_up_to_date(
    params: Any, slots: Any, since: Any, penalty: Any, optimizer: Any, gradient: Any, clock: Any
) -> None:
    """Bring all features up to the last step, and begin a new period.

    Parameters
    ----------
    params, slots : ndarray
        Parameters (size,) and the optimizer's slots (n, size): in place.
    since : ndarray of int32, shape (n_features + 1,)
        The step that each feature has been brought up to, and last the steps taken; then 0.
    penalty, optimizer
        The components.
    gradient : ndarray of shape (size,)
        Zeros.
    clock : ndarray
        What the optimizer noted of the period's steps.
    """
    _bring_up_to_date(params, slots, since, penalty, optimizer, gradient, clock)


@compiled
def run_lazily(
    batches: Any,
    outputs: Any,
    iterate: Any,
    loss: Any,
    penalty: Any,
    optimizer: Any,
    data: Any,
    period: int,
    tile: int,
    waiting: Any,
    touched: Any,
    work: Any,
) -> None:
    """Train as `run_batches` does, without touching features that a batch does not have.

    Arguments are those of `run_batches`, and

    Parameters
    ----------
    period : int
        The most steps that the clock has room for.
    tile : int
        Rows of a tile.
    waiting : tuple of ndarray
        `since` and `clock`, as of `bring_up_to_date`: in place.
    touched : tuple of ndarray of int32, shape (n_features + 1,)
        Scratch: the features of a batch, and the step up to which each was brought.
    work : ndarray
        Scratch: ``piece_room(size, tile, k)`` numbers, the first `size` of them zeros, as they are
        again at the end.
    """
    rows = data.rows
    y = data.y
    sample_weight = data.sample_weight
    order = batches.order
    params = iterate.params
    slots = iterate.slots
    counters = iterate.counters
    since, clock = waiting
    features, before = touched
    k = outputs.k
    size = params.size
    n_weights = size - k
    p = since.size - 1
    gradient = work[:size]
    z = work[size : size + tile * k]
    slopes = work[size + tile * k : size + 2 * tile * k]
    batch = 0
    start = 0
    while start < batches.n:
        stop = min(start + batches.size, batches.n)
        m = stop - start
        divisor = m if batches.divide_by_own else batches.size
        share = m / divisor
        rate = batches.rates[batch]
        counters[0] += 1.0
        counters[1] += m
        counters[3] += share
        here = At(rate, share, int(counters[0]), counters[3])
        now = since[p] + 1
        if now > period or not tick(optimizer, penalty, clock, now, here):
            _bring_up_to_date(params, slots, since, penalty, optimizer, gradient, clock)
            now = 1
            tick(optimizer, penalty, clock, now, here)
        since[p] = now

        n_touched = list_touched(rows, order, start, stop, since, now, features, before)
        for i in range(n_touched):
            coming = features[min(i + AHEAD, n_touched - 1)]
            for c in range(k):
                prefetch(params, c * p + coming)
                prefetch(gradient, c * p + coming)
                prefetch(slots, c * p + coming)
            if before[i] < now - 1:
                for c in range(k):
                    at = c * p + features[i]
                    idle(optimizer, penalty, params, gradient, slots, at, clock, before[i], now - 1)

        total = 0.0
        at = start
        while at < stop:
            end = min(at + tile, stop)
            tile_scores(rows, order, at, end, params, k, z)
            total += tile_losses(loss, y, sample_weight, order, at, end, k, z, slopes)
            add_gradient(rows, order, at, end, slopes, k, gradient)
            at = end

        scale = 1.0 / (divisor * batches.mean_weight)
        for i in range(n_touched):
            for c in range(k):
                at = c * p + features[i]
                gradient[at] *= scale
                step(optimizer, penalty, params, gradient, slots, at, at + 1, here)
                gradient[at] = 0.0
        for j in range(n_weights, size):
            gradient[j] *= scale
        if outputs.fit_intercept:
            there = At(rate * outputs.intercept_factor, share, int(counters[0]), counters[3])
            step(optimizer, NoPenalty(), params, gradient, slots, n_weights, size, there)
        gradient[n_weights:] = 0.0

        count_batch(sample_weight, order, start, stop, total, iterate.sums)
        batch += 1
        start = stop
