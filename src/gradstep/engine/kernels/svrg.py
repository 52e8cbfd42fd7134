"""SVRG's inner loop: preconditioned mini-batch steps, corrected by a snapshot. Compiled.

A step of stochastic variance-reduced gradient (SVRG; Johnson and Zhang, 2013) on batch B is

    w ← w - rate · M⁻¹ · (∇F_B(w) - ∇F_B(s) + ∇F(s))

with a snapshot s at which the gradient of all rows is known, and a preconditioner M. Its noise
vanishes as w and s come to the optimum, so the rate stays constant. The snapshot's scores cost
next to nothing: the rows are in cache.

Parameters are those of centred and scaled features (w_j / scale_j and the score at the centre),
which the preconditioner belongs to; the point at which scores are taken is written out in the
features' own units before each batch. Iterates are averaged over the second part of the run.
"""

from __future__ import annotations

import numpy as np

from gradstep.engine.kernels.compiled_losses import tile_losses
from gradstep.engine.kernels.tiles import write_in_units
from gradstep.jit import compiled
from gradstep.objective.penalties import prox
from gradstep.rows.layouts import add_gradient, tile_scores

__all__ = ["reduced_steps"]


@compiled
def reduced_steps(
    rows, y, sample_weight, loss, penalty, order, batch_size, mean_weight, k, tile, shift, scale,
    inverse, penalty_scale, rate, longest, snapshot, snapshot_gradient, steps_before,
    average_from, params, average,
):  # fmt: skip
    """Take a step for each batch of rows ``order``, and the penalty's proximal map after it.

    Parameters
    ----------
    shift, scale : ndarray of shape (p,)
        Centre of the features, and what they are multiplied by then.
    inverse : ndarray of shape (size,)
        Inverse of the diagonal preconditioner.
    penalty_scale : ndarray of shape (p,)
        What a parameter is multiplied by to be penalised.
    longest : float
        Longest step, in the preconditioner's metric.
    snapshot, snapshot_gradient : ndarray of shape (size,)
        The snapshot, in the features' own units, and the gradient of the mean loss there.
    steps_before : int
        Steps of this run that were taken in earlier calls.
    average_from : int
        Steps after which iterates are averaged.
    params, average : ndarray of shape (size,)
        For centred and scaled features: in place.
    """
    p = shift.size
    size = params.size
    point = np.empty(size)
    gradient = np.empty(size)
    v = np.empty(size)
    z = np.empty(tile * k)
    slopes = np.empty(tile * k)
    before = np.empty(tile * k)
    n = order.size
    averaged = max(0.0, float(steps_before - average_from))
    number = steps_before
    # A `start` that begins as the number 0 would be a type of its own, and compile twice.
    for start in range(0, n - batch_size + 1, batch_size):
        stop = start + batch_size
        write_in_units(params, shift, scale, k, point)
        gradient[:] = 0.0
        at = start
        while at < stop:
            end = min(at + tile, stop)
            tile_scores(rows, order, at, end, snapshot, k, z)
            tile_losses(loss, y, sample_weight, order, at, end, k, z, before)
            tile_scores(rows, order, at, end, point, k, z)
            tile_losses(loss, y, sample_weight, order, at, end, k, z, slopes)
            for i in range((end - at) * k):
                slopes[i] -= before[i]
            add_gradient(rows, order, at, end, slopes, k, gradient)
            at = end
        share = 1.0 / (batch_size * mean_weight)
        length = 0.0
        for c in range(k):
            g_b = gradient[k * p + c] * share + snapshot_gradient[k * p + c]
            for j in range(p):
                g = gradient[c * p + j] * share + snapshot_gradient[c * p + j]
                v[c * p + j] = (g - shift[j] * g_b) * scale[j]
            v[k * p + c] = g_b
        for j in range(size):  # a loop of its own: see `write_in_units`
            length += v[j] * v[j] * inverse[j]
        step = rate
        if step * np.sqrt(length) > longest:
            step = longest / np.sqrt(length)
        for j in range(size):
            own = step * inverse[j]
            x = params[j] - own * v[j]
            if j < k * p and own > 0.0:
                s = penalty_scale[j % p]
                if s > 0.0:
                    x = prox(penalty, x * s, own * s * s) / s
            params[j] = x
        number += 1
        if number > average_from:
            averaged += 1.0
            for j in range(size):
                average[j] += (params[j] - average[j]) / averaged
    if averaged == 0.0:
        for j in range(size):
            average[j] = params[j]
