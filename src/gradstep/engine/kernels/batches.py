"""The compiled inner loop: batches of rows in, updated parameters out.

One source serves every row layout, loss, penalty and optimizer; Numba compiles a form of it
for each combination that is used. How it is arranged, and why:

a. It is called for a *run* of many batches, with the learning rates of their steps in an
   array: a call with this many arguments costs microseconds, a small batch less.
b. A large batch is cut into pieces that threads share (`gradstep.engine.kernels.pieces`).
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

from typing import Any

from gradstep.engine.kernels import components as _registered  # noqa: F401  (what kernels call)
from gradstep.engine.kernels.pieces import claim, close, finish, publish, wait, wait_for_pieces
from gradstep.engine.kernels.tiles import place, tile_losses
from gradstep.jit import compiled
from gradstep.objective.penalties import NoPenalty, Scaled, shrink
from gradstep.optim.optimizers import At, lookahead, step
from gradstep.rows.layouts import AHEAD, add_gradient, copy_rows, prefetch, tile_scores

__all__ = [
    "gather",
    "help_with_batches",
    "piece_room",
    "run_batches",
    "run_batches_in_place",
]


# Below it the scale of run_batches_in_place is multiplied in: far from where floats end.
_LEAST_SCALE = 1e-60


def piece_room(size: int, tile: int, k: int) -> int:
    """Return the numbers of scratch for a piece: gradient, scores, slopes, and the loss last."""
    return (size + 2 * tile * k) // 8 * 8 + 8  # whole lines of the cache


@compiled
def _work_on_pieces(
    rows: Any,
    y: Any,
    sample_weight: Any,
    loss: Any,
    order: Any,
    lo: int,
    hi: int,
    batch_size: int,
    k: int,
    tile: int,
    point: Any,
    board: Any,
    work: Any,
) -> None:
    """Compute the gradients of a batch's pieces as long as there are any to claim."""
    size = point.size
    pieces, room = work.shape
    while True:
        claimed = claim(board)
        if claimed < 0:
            return
        start = lo + claimed // pieces * batch_size
        m = min(batch_size, hi - start)
        piece = claimed % pieces
        at = start + m * piece // pieces
        stop = start + m * (piece + 1) // pieces
        gradient = work[piece, :size]
        z = work[piece, size : size + tile * k]
        slopes = work[piece, size + tile * k : size + 2 * tile * k]
        gradient[:] = 0.0
        total = 0.0
        while at < stop:
            end = min(at + tile, stop)
            tile_scores(rows, order, at, end, point, k, z)
            total += tile_losses(loss, y, sample_weight, order, at, end, k, z, slopes)
            add_gradient(rows, order, at, end, slopes, k, gradient)
            at = end
        work[piece, room - 1] = total
        finish(board)


@compiled
def run_batches(
    rows: Any,
    y: Any,
    sample_weight: Any,
    loss: Any,
    penalty: Any,
    optimizer: Any,
    order: Any,
    lo: int,
    hi: int,
    batch_size: int,
    divide_by_own: bool,
    mean_weight: float,
    rates: Any,
    k: int,
    fit_intercept: bool,
    intercept_factor: float,
    average_from: int,
    shift: Any,
    scale: Any,
    units: Any,
    raw: Any,
    tile: int,
    params: Any,
    slots: Any,
    average: Any,
    counters: Any,
    board: Any,
    ahead: Any,
    work: Any,
    sums: Any,
) -> None:
    """Train on rows ``order[lo:hi]``, batch after batch.

    Parameters
    ----------
    rows, y, sample_weight
        The data: a row layout; targets (n, k), or (n, 1) for a joint loss; weights (n,) or None.
    loss, penalty, optimizer
        The components.
    order : ndarray of unsigned integers
        Row numbers; what lies beyond `hi` is only prefetched.
    intercept_factor : float
        What the learning rate of intercepts is multiplied by.
    batch_size : int
        Rows of a batch; the last one has what is left.
    divide_by_own : bool
        Whether a short batch is divided by its own size, or by `batch_size`.
    mean_weight : float
        Mean weight of the rows; gradients are divided by it.
    rates : ndarray
        The learning rate of each batch's step.
    k : int
        Number of outputs.
    average_from : int
        Rows to have seen before iterates are averaged; 0 for never.
    shift, scale : ndarray of shape (p,), or None
        The lens that parameters are seen through (`place`).
    units : ndarray of shape (p,) or None
        What each weight is multiplied by to be penalised; None for ones.
    raw : ndarray of shape (size,)
        Scratch for the point in the features' own units; unused without a lens.
    tile : int
        Rows of a tile.
    params, slots, average : ndarray
        Parameters (size,), the optimizer's slots (n, size), average (size,) or (0,): in place.
    counters : ndarray of shape (5,)
        Steps taken, rows seen, iterates averaged, sum of shares, scale of the parameters (1
        here): in place.
    board : ndarray or None
        Where helpers find the pieces of a batch, closed at the end; None if batches are not cut.
    ahead : ndarray of shape (size,)
        Scratch for the point that an optimizer looks ahead to.
    work : ndarray of shape (pieces, piece_room(size, tile, k))
        Scratch, a line for each piece of a batch.
    sums : ndarray of shape (2,)
        Sum of weighted losses before each step and of row weights: added to.
    """
    size = params.size
    n_weights = size - k
    pieces, room = work.shape
    gradient = work[0, :size]
    z = work[0, size : size + tile * k]
    slopes = work[0, size + tile * k : size + 2 * tile * k]
    batch = 0
    start = lo
    while start < hi:
        stop = min(start + batch_size, hi)
        m = stop - start
        divisor = m if divide_by_own else batch_size
        point = lookahead(optimizer, params, slots, ahead)
        if shift is not None:
            place(point, shift, scale, k, raw)
            point = raw

        if board is None:
            # as in _work_on_pieces, but a call of it would cost as much as a small batch
            gradient[:] = 0.0
            total = 0.0
            at = start
            while at < stop:
                end = min(at + tile, stop)
                tile_scores(rows, order, at, end, point, k, z)
                total += tile_losses(loss, y, sample_weight, order, at, end, k, z, slopes)
                add_gradient(rows, order, at, end, slopes, k, gradient)
                at = end
        else:
            publish(board, pieces)
            _work_on_pieces(
                rows, y, sample_weight, loss, order, lo, hi, batch_size, k, tile, point, board, work
            )
            wait(board)
            total = work[0, room - 1]
            for piece in range(1, pieces):
                total += work[piece, room - 1]
                for j in range(size):
                    gradient[j] += work[piece, j]
        length = 1.0 / (divisor * mean_weight)
        for j in range(size):
            gradient[j] *= length
        if shift is not None:
            p = shift.size
            for c in range(k):
                of_intercept = gradient[n_weights + c]
                for j in range(p):
                    at = c * p + j
                    gradient[at] = (gradient[at] - shift[j] * of_intercept) * scale[j]

        share = m / divisor
        counters[0] += 1.0
        counters[1] += m
        counters[3] += share
        here = At(rates[batch], share, int(counters[0]), counters[3])
        if units is None:
            step(optimizer, penalty, params, gradient, slots, 0, n_weights, here)
        else:
            for j in range(n_weights):
                own = Scaled(penalty, units[j % units.size])
                step(optimizer, own, params, gradient, slots, j, j + 1, here)
        if fit_intercept:
            there = At(rates[batch] * intercept_factor, share, int(counters[0]), counters[3])
            step(optimizer, NoPenalty(), params, gradient, slots, n_weights, size, there)
        if 0 < average_from <= counters[1]:
            counters[2] += 1.0
            for j in range(size):
                average[j] += (params[j] - average[j]) / counters[2]

        sums[0] += total
        if sample_weight is None:
            sums[1] += m
        else:
            for i in range(start, stop):
                sums[1] += sample_weight[order[i]]
        batch += 1
        start = stop
    if board is not None:
        close(board)


@compiled
def help_with_batches(
    rows: Any,
    y: Any,
    sample_weight: Any,
    loss: Any,
    order: Any,
    lo: int,
    hi: int,
    batch_size: int,
    k: int,
    tile: int,
    point: Any,
    board: Any,
    work: Any,
) -> None:
    """Take pieces off a thread in `run_batches` until its run is over.

    `point` is where gradients are taken: `raw` with a lens, `ahead` if the optimizer looks ahead,
    else `params`.
    """
    while wait_for_pieces(board):
        _work_on_pieces(
            rows, y, sample_weight, loss, order, lo, hi, batch_size, k, tile, point, board, work
        )


@compiled
def run_batches_in_place(
    rows: Any,
    y: Any,
    sample_weight: Any,
    loss: Any,
    penalty: Any,
    order: Any,
    lo: int,
    hi: int,
    batch_size: int,
    divide_by_own: bool,
    mean_weight: float,
    rates: Any,
    k: int,
    fit_intercept: bool,
    intercept_factor: float,
    params: Any,
    counters: Any,
    work: Any,
    sums: Any,
) -> None:
    """Train as `run_batches` does, for plain SGD with no penalty or l2 on sparse rows.

    A step costs what the batch touches, not all features: the weights are
    ``counters[4]·params``, so that the l2 penalty is one multiplication, and slope times row
    goes straight into `params`, once all scores of the batch are known. Arguments are those of
    `run_batches`; `work` has 2·batch_size·k numbers.
    """
    size = params.size
    room = work.size // 2
    z = work[:room]
    slopes = work[room:]
    batch = 0
    start = lo
    while start < hi:
        stop = min(start + batch_size, hi)
        m = stop - start
        divisor = m if divide_by_own else batch_size
        share = m / divisor
        scale = counters[4]

        tile_scores(rows, order, start, stop, params, k, z)
        for i in range(m * k):
            z[i] *= scale
        total = tile_losses(loss, y, sample_weight, order, start, stop, k, z, slopes)

        # w <- shrink·(w - rate·g) is, for w = scale·params, params <- params - rate / scale·g;
        # the intercept is not shrunk, but shares the scale
        rate = rates[batch]
        smaller = shrink(penalty, rate * share)
        length = rate / (divisor * mean_weight * scale)
        for c in range(k):
            sum_of_slopes = 0.0
            for i in range(m):
                sum_of_slopes += slopes[i * k + c]
            b = params[size - k + c]
            if fit_intercept:
                b -= intercept_factor * length * sum_of_slopes
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
        sums[0] += total
        if sample_weight is None:
            sums[1] += m
        else:
            for i in range(start, stop):
                sums[1] += sample_weight[order[i]]
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
    if sample_weight is not None:
        for i in range(order.size):
            to_weight[i] = sample_weight[order[i]]
