"""Means, squares and extremes of dense columns, in one pass over their rows."""

from __future__ import annotations

import numpy as np

from gradstep.jit import compiled, inlined_in_order

__all__ = ["measure_rows"]


@inlined_in_order
def _add_four(values, a, b, c, d, here, low, high):
    """Add four rows to sums and extremes, in order, as one after another would be added."""
    for j in range(here.size):
        x0 = np.float64(values[a, j])
        x1 = np.float64(values[b, j])
        x2 = np.float64(values[c, j])
        x3 = np.float64(values[d, j])
        here[j] = (((here[j] + x0) + x1) + x2) + x3
        low[j] = min(low[j], x0, x1, x2, x3)
        high[j] = max(high[j], x0, x1, x2, x3)


@inlined_in_order
def _add_four_squares(values, a, b, c, d, here, around):
    """Add the squares of four rows about a point, in order."""
    for j in range(here.size):
        m = here[j]
        x0 = values[a, j] - m
        x1 = values[b, j] - m
        x2 = values[c, j] - m
        x3 = values[d, j] - m
        around[j] = (((around[j] + x0 * x0) + x1 * x1) + x2 * x2) + x3 * x3


@compiled
def measure_rows(values, sample_weight, order, tile, mean, square, low, high):
    """Measure rows ``order``; return their weight.

    Without weights, four rows at a time: sums and extremes are read and written once for them.
    """
    p = values.shape[1]
    here = np.empty(p)
    around = np.empty(p)
    total = 0.0
    at = 0
    while at < order.size:
        end = min(at + tile, order.size)
        weight = 0.0
        here[:] = 0.0
        around[:] = 0.0
        fours = at if sample_weight is not None else end - (end - at) % 4
        for i in range(at, fours, 4):
            _add_four(values, order[i], order[i + 1], order[i + 2], order[i + 3], here, low, high)
        weight += fours - at
        for i in range(fours, end):
            r = order[i]
            s = 1.0 if sample_weight is None else sample_weight[r]
            if s > 0.0:
                weight += s
                for j in range(p):
                    x = np.float64(values[r, j])
                    here[j] += s * x
                    low[j] = min(low[j], x)
                    high[j] = max(high[j], x)
        if weight > 0.0:
            for j in range(p):
                here[j] /= weight
            for i in range(at, fours, 4):
                _add_four_squares(
                    values, order[i], order[i + 1], order[i + 2], order[i + 3], here, around
                )
            for i in range(fours, end):
                r = order[i]
                s = 1.0 if sample_weight is None else sample_weight[r]
                for j in range(p):
                    apart = values[r, j] - here[j]
                    around[j] += s * apart * apart
            both = total + weight
            share = weight / both
            cross = total * share
            for j in range(p):
                apart = here[j] - mean[j]
                mean[j] += apart * share
                square[j] += around[j] + apart * apart * cross
            total = both
        at = end
    return total
