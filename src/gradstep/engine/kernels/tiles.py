"""What kernels do with the scores of a tile of rows, and sums over rows of that alone. Compiled.

Where all rows weigh 1, kernels take an empty array of weights: None would be a type of its own, and
compile every kernel twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradstep.engine.kernels.compiled_losses import tile_losses
from gradstep.jit import compiled, inlined
from gradstep.rows.layouts import tile_scores

__all__ = [
    "Data",
    "count_batch",
    "losses_of_scores",
    "score_rows",
    "standardise_gradient",
    "sum_of_losses",
    "write_in_units",
]


class Data(NamedTuple):
    """Rows in one of the layouts, their targets (n, n_targets), their weights (n,) or (0,)."""

    rows: Any
    y: Any
    sample_weight: Any


@inlined
def write_in_units(params: Any, shift: Any, scale: Any, k: int, point: Any) -> None:
    """Write parameters of standardised features as those of the features in their own units.

    Parameters
    ----------
    params, point : ndarray of shape (size,)
        What is read and written.
    shift, scale : ndarray of shape (p,)
        The standardisation: features are taken as ``(x - shift)·scale``.
    k : int
        Number of outputs.
    """
    p = shift.size
    for c in range(k):
        # Two loops: in one that sums and writes, the order of the sum would depend on a check,
        # made at run time, of whether the arrays are far enough apart in memory.
        for j in range(p):
            point[c * p + j] = params[c * p + j] * scale[j]
        b = 0.0
        for j in range(p):
            b += shift[j] * point[c * p + j]
        point[k * p + c] = params[k * p + c] - b


@inlined
def standardise_gradient(gradient: Any, shift: Any, scale: Any, k: int) -> None:
    """Make a gradient, of features in their own units, that of standardised ones; in place."""
    p = shift.size
    for c in range(k):
        of_intercept = gradient[k * p + c]
        for j in range(p):
            at = c * p + j
            gradient[at] = (gradient[at] - shift[j] * of_intercept) * scale[j]


@inlined
def count_batch(sample_weight: Any, order: Any, lo: int, hi: int, total: float, sums: Any) -> None:
    """Add a batch's losses and weights to the sums of the epoch."""
    sums[0] += total
    if sample_weight.size == 0:
        sums[1] += hi - lo
    else:
        for i in range(lo, hi):
            sums[1] += sample_weight[order[i]]


@compiled
def sum_of_losses(
    rows: Any,
    y: Any,
    sample_weight: Any,
    loss: Any,
    order: Any,
    lo: int,
    hi: int,
    k: int,
    tile: int,
    params: Any,
    work: Any,
) -> float:
    """Return the sum of weighted losses of rows ``order[lo:hi]`` at fixed parameters.

    `work` has 2·tile·k numbers. The result depends on `lo`, `hi` and `tile` in its last bits.
    """
    z = work[: tile * k]
    slopes = work[tile * k :]
    total = 0.0
    at = lo
    while at < hi:
        end = min(at + tile, hi)
        tile_scores(rows, order, at, end, params, k, z)
        total += tile_losses(loss, y, sample_weight, order, at, end, k, z, slopes)
        at = end
    return total


@compiled
def losses_of_scores(
    rows: Any, y: Any, sample_weight: Any, loss: Any, order: Any, k: int, z: Any, slopes: Any
) -> float:
    """Write the weighted slopes at the scores of rows ``order``; return the sum of their losses.

    z and slopes are flat, k outputs a row; z may be overwritten.
    """
    return tile_losses(loss, y, sample_weight, order, 0, order.size, k, z, slopes)


@compiled
def score_rows(rows: Any, order: Any, k: int, params: Any, z: Any) -> None:
    """Write the scores of rows ``order`` to z (flat, k outputs a row).

    Row by row: a row's score has the same bits whatever rows come with it.
    """
    row = np.empty(k)
    for i in range(order.size):
        tile_scores(rows, order, i, i + 1, params, k, row)
        for c in range(k):
            z[i * k + c] = row[c]
