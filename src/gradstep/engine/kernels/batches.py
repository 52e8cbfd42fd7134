"""The compiled inner loop: batches of rows in, updated parameters out.

One source serves every row layout, loss, penalty and optimizer; Numba compiles a form of it
for each combination that is used. How it is arranged, and why:

a. It is called for a *run* of many batches, with the learning rates of their steps in an
   array: a call with this many arguments costs microseconds, a small batch less.
b. A large batch is cut into pieces that threads share (`gradstep.engine.kernels.pieces`). Helping
   threads run the same compiled function, so that a piece has the same bits whoever takes it.
c. A piece, or a small batch, is walked in tiles of rows that fit the first-level cache: scores
   of the tile, slopes of the tile, gradient of the tile. A row is read from memory once.
d. Slopes of a tile are computed in one flat loop over contiguous numbers, which vectorises;
   the gathering of targets and weights is kept out of it.
e. The running loss is the sum of the values at the scores that the gradient needs anyway.
f. Everything that evolves is written in place into arrays that the caller owns, so a run can
   end and go on at any batch: where a run is cut changes no bit.
g. `params` is flat: k rows of p weights, then k intercepts. Without an intercept the step
   leaves those k numbers alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gradstep.engine.kernels import components as _registered  # noqa: F401  (what kernels call)
from gradstep.engine.kernels.compiled_losses import tile_losses
from gradstep.engine.kernels.pieces import claim, close, finish, publish, wait, wait_for_pieces
from gradstep.engine.kernels.tiles import (
    count_batch,
    standardise_gradient,
    write_in_units,
)
from gradstep.jit import compiled
from gradstep.objective.penalties import NoPenalty, of_weight, shrink
from gradstep.optim.optimizers import At, lookahead, step
from gradstep.rows.layouts import AHEAD, add_gradient, copy_rows, prefetch, tile_scores

__all__ = [
    "Batches",
    "Iterate",
    "Outputs",
    "Scratch",
    "Standardised",
    "gather",
    "piece_room",
    "run_batches",
    "run_batches_in_place",
]


# Below it the scale of run_batches_in_place is multiplied in: far from where floats end.
_LEAST_SCALE = 1e-60


class Batches(NamedTuple):
    """The batches of a call: rows ``order[:n]``, cut every `size` rows.

    Attributes
    ----------
    order : ndarray of unsigned integers
        Row numbers; what lies beyond `n` is only prefetched.
    n, size : int
        Rows of the call, and of a batch; the last batch has what is left.
    divide_by_own : bool
        Whether a short batch is divided by its own size, or by `size`.
    mean_weight : float
        Mean weight of the rows; gradients are divided by it.
    rates : ndarray
        The learning rate of each batch's step.
    """

    order: Any
    n: int
    size: int
    divide_by_own: bool
    mean_weight: float
    rates: Any


class Outputs(NamedTuple):
    """What is fitted.

    Attributes
    ----------
    k : int
        Number of outputs.
    fit_intercept : bool
        Whether each has an intercept.
    intercept_factor : float
        What the learning rate of intercepts is multiplied by.
    average_from : int
        Rows to have seen before iterates are averaged; 0 for never.
    """

    k: int
    fit_intercept: bool
    intercept_factor: float
    average_from: int


class Iterate(NamedTuple):
    """What evolves, changed in place.

    Attributes
    ----------
    params, slots, average : ndarray of shape (size,), (n_slots, size), (size,) or (0,)
        Parameters, the optimizer's slots, the mean of the iterates.
    counters : ndarray of shape (5,)
        Steps taken, rows seen, iterates averaged, sum of shares, scale of the parameters (not 1
        only in `run_batches_in_place`).
    sums : ndarray of shape (2,)
        Sum of weighted losses before each step and of row weights: added to.
    """

    params: Any
    slots: Any
    average: Any
    counters: Any
    sums: Any


class Standardised(NamedTuple):
    """How features are standardised: ``(x - shift)·scale``; arrays of shape (p,)."""

    shift: Any
    scale: Any


class Scratch(NamedTuple):
    """Room to work in.

    Attributes
    ----------
    tile : int
        Rows of a tile.
    ahead, in_units : ndarray of shape (size,) or (0,)
        For the point that an optimizer looks ahead to, and for the point in the features' own
        units where features are standardised.
    point : ndarray of shape (size,)
        Where gradients are taken: one of these two, or the parameters.
    work : ndarray of shape (pieces, piece_room(size, tile, k))
        A line for each piece of a batch.
    """

    tile: int
    ahead: Any
    in_units: Any
    point: Any
    work: Any


def piece_room(size: int, tile: int, k: int) -> int:
    """Return the numbers of scratch for a piece: gradient, scores, slopes, and the loss last."""
    return (size + 2 * tile * k) // 8 * 8 + 8  # whole lines of the cache


@compiled
def run_batches(
    batches: Any,
    outputs: Any,
    iterate: Any,
    loss: Any,
    penalty: Any,
    optimizer: Any,
    data: Any,
    standardised: Any,
    each: Any,
    scratch: Any,
    queue: Any,
    helping: bool,
) -> None:
    """Train on the rows of a call, batch after batch; or help a thread that does.

    Parameters
    ----------
    batches : Batches
    outputs : Outputs
    iterate : Iterate
        Changed in place; by helpers only read.
    loss, penalty, optimizer
        The components.
    data : Data
        Rows in one of the layouts; targets (n, k), or (n, 1) for a joint loss; weights, if any.
    standardised : Standardised or None
        Of the features that the parameters belong to.
    each : ScaledEach, BoundedEach or None
        Makes each weight's own penalty; None if all have the same.
    scratch : Scratch
        The same for a thread that trains and those that help it.
    queue : ndarray or None
        Where helpers find the pieces of a batch, closed at the end; None if batches are not cut.
    helping : bool
        Whether to take pieces off a thread that trains, until its call is over.
    """
    rows = data.rows
    y = data.y
    sample_weight = data.sample_weight
    order = batches.order
    n = batches.n
    params = iterate.params
    slots = iterate.slots
    average = iterate.average
    counters = iterate.counters
    tile = scratch.tile
    point = scratch.point
    work = scratch.work
    k = outputs.k
    size = params.size
    n_weights = size - k
    pieces, room = work.shape
    gradient = work[0, :size]
    batch = 0
    start = 0
    while start < n:
        stop = min(start + batches.size, n)
        if queue is not None and helping:
            if not wait_for_pieces(queue):
                return
        else:
            # 1. Where the gradient is taken.
            ahead = lookahead(optimizer, params, slots, scratch.ahead)
            if standardised is not None:
                write_in_units(ahead, standardised.shift, standardised.scale, k, scratch.in_units)
            if queue is not None:
                publish(queue, pieces)

        # 2. The gradient of the batch: a sum over its pieces, in their order.
        piece, at, end = 0, start, stop
        while True:
            if queue is not None:
                claimed = claim(queue)
                if claimed < 0:
                    break
                piece = claimed % pieces
                first = claimed // pieces * batches.size
                m = min(batches.size, n - first)
                at = first + m * piece // pieces
                end = first + m * (piece + 1) // pieces
            own = work[piece, :size]
            z = work[piece, size : size + tile * k]
            slopes = work[piece, size + tile * k : size + 2 * tile * k]
            own[:] = 0.0
            total = 0.0
            while at < end:
                to = min(at + tile, end)
                tile_scores(rows, order, at, to, point, k, z)
                total += tile_losses(loss, y, sample_weight, order, at, to, k, z, slopes)
                add_gradient(rows, order, at, to, slopes, k, own)
                at = to
            work[piece, room - 1] = total
            if queue is None:
                break
            finish(queue)
        if queue is not None:
            if helping:
                continue
            wait(queue)
            for other in range(1, pieces):
                work[0, room - 1] += work[other, room - 1]
                for j in range(size):
                    gradient[j] += work[other, j]
        m = stop - start
        divisor = m if batches.divide_by_own else batches.size
        length = 1.0 / (divisor * batches.mean_weight)
        for j in range(size):
            gradient[j] *= length
        if standardised is not None:
            standardise_gradient(gradient, standardised.shift, standardised.scale, k)

        # 3. The step, and the penalty's proximal map.
        share = m / divisor
        rate = batches.rates[batch]
        counters[0] += 1.0
        counters[1] += m
        counters[3] += share
        here = At(rate, share, int(counters[0]), counters[3])
        if each is None:
            step(optimizer, penalty, params, gradient, slots, 0, n_weights, here)
        else:
            for j in range(n_weights):
                own = of_weight(each, penalty, j)
                step(optimizer, own, params, gradient, slots, j, j + 1, here)
        if outputs.fit_intercept:
            there = At(rate * outputs.intercept_factor, share, int(counters[0]), counters[3])
            step(optimizer, NoPenalty(), params, gradient, slots, n_weights, size, there)

        # 4. The mean of the iterates, and the epoch's books.
        if 0 < outputs.average_from <= counters[1]:
            counters[2] += 1.0
            for j in range(size):
                average[j] += (params[j] - average[j]) / counters[2]
        count_batch(sample_weight, order, start, stop, work[0, room - 1], iterate.sums)
        batch += 1
        start = stop
    if queue is not None:
        close(queue)


@compiled
def run_batches_in_place(
    batches: Any, outputs: Any, iterate: Any, loss: Any, penalty: Any, data: Any, work: Any
) -> None:
    """Train as `run_batches` does, for plain SGD with no penalty or l2 on sparse rows.

    A step costs what the batch touches, not all features: the weights are
    ``counters[4]·params``, so that the l2 penalty is one multiplication, and slope times row
    goes straight into `params`, once all scores of the batch are known. Arguments are those of
    `run_batches`; `work` has 2·size·k numbers, `size` being the rows of a batch.
    """
    rows = data.rows
    y = data.y
    sample_weight = data.sample_weight
    order = batches.order
    params = iterate.params
    counters = iterate.counters
    k = outputs.k
    size = params.size
    room = work.size // 2
    z = work[:room]
    slopes = work[room:]
    batch = 0
    start = 0
    while start < batches.n:
        stop = min(start + batches.size, batches.n)
        m = stop - start
        divisor = m if batches.divide_by_own else batches.size
        share = m / divisor
        scale = counters[4]

        tile_scores(rows, order, start, stop, params, k, z)
        for i in range(m * k):
            z[i] *= scale
        total = tile_losses(loss, y, sample_weight, order, start, stop, k, z, slopes)

        # w <- shrink·(w - rate·g) is, for w = scale·params, params <- params - rate / scale·g;
        # the intercept is not shrunk, but shares the scale
        rate = batches.rates[batch]
        smaller = shrink(penalty, rate * share)
        length = rate / (divisor * batches.mean_weight * scale)
        for c in range(k):
            sum_of_slopes = 0.0
            for i in range(m):
                sum_of_slopes += slopes[i * k + c]
            b = params[size - k + c]
            if outputs.fit_intercept:
                b -= outputs.intercept_factor * length * sum_of_slopes
            z[c] = b / smaller
        for i in range(m * k):
            slopes[i] *= -length
        add_gradient(rows, order, start, stop, slopes, k, params)
        for c in range(k):
            params[size - k + c] = z[c]
        counters[4] = scale * smaller

        counters[0] += 1.0
        counters[1] += m
        counters[3] += share
        count_batch(sample_weight, order, start, stop, total, iterate.sums)
        if counters[4] < _LEAST_SCALE:
            for j in range(size):
                params[j] *= counters[4]
            counters[4] = 1.0
        batch += 1
        start = stop


@compiled
def gather(
    rows: Any, y: Any, sample_weight: Any, order: Any, to_rows: Any, to_y: Any, to_weight: Any
) -> None:
    """Copy the rows ``order``, one after another, with their targets and weights."""
    copy_rows(rows, order, 0, order.size, to_rows)
    last = order.size - 1
    for i in range(order.size):
        prefetch(y, order[min(i + AHEAD, last)] * y.shape[1])
        for c in range(y.shape[1]):
            to_y[i, c] = y[order[i], c]
    if sample_weight.size > 0:
        for i in range(order.size):
            to_weight[i] = sample_weight[order[i]]
