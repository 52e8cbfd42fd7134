"""Means, squares and extremes of dense columns, in one pass over their rows."""

from __future__ import annotations

import numpy as np

from gradstep.jit import compiled

__all__ = ["measure_rows"]


@compiled
def measure_rows(values, sample_weight, order, tile, mean, square, low, high):
    """Measure rows ``order``; return their weight."""
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
        for i in range(at, end):
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
            for i in range(at, end):
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
