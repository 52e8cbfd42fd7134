"""What kernels do with the scores of a tile of rows, and sums over rows of that alone. Compiled.

Where all rows weigh 1, kernels take an empty array of weights: None would be a type of its own, and
compile every kernel twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from gradstep.engine.kernels import components as _registered  # noqa: F401  (what kernels call)
from gradstep.jit import INLINED, compiled, inlined
from gradstep.objective.losses import row_slopes, slope, value
from gradstep.rows.layouts import AHEAD, prefetch, tile_scores

__all__ = [
    "Data",
    "count_batch",
    "is_joint",
    "losses_of_scores",
    "score_rows",
    "standardise_gradient",
    "sum_of_losses",
    "tile_losses",
    "write_in_units",
]


class Data(NamedTuple):
    """Rows in one of the layouts, their targets (n, n_targets), their weights (n,) or (0,)."""

    rows: Any
    y: Any
    sample_weight: Any


def tile_losses(
    loss: Any, y: Any, sample_weight: Any, order: Any, lo: int, hi: int, k: int, z: Any, slopes: Any
) -> float:
    """Turn a tile's scores into slopes, each times its row's weight; return the loss sum."""
    kind = _tile_losses_joint if is_joint(type(loss)) else _tile_losses_apart
    total: float = kind(loss, y, sample_weight, order, lo, hi, k, z, slopes)
    return total


def _tile_losses_apart(
    loss: Any, y: Any, sample_weight: Any, order: Any, lo: int, hi: int, k: int, z: Any, slopes: Any
) -> float:
    """For losses of one score: y is (n, k). Overwrites z by the weighted values."""
    m = hi - lo
    last = order.size - 1
    if order[hi - 1] != order[lo] + (m - 1):  # else the processor sees what comes next
        for i in range(m):
            prefetch(y, order[min(lo + i + AHEAD, last)] * k)
    for c in range(k):
        for i in range(m):
            slopes[i * k + c] = y[order[lo + i], c]
    for i in range(m * k):
        target = slopes[i]
        score = z[i]
        z[i] = value(loss, target, score)
        slopes[i] = slope(loss, target, score)
    total = 0.0
    if sample_weight.size == 0:
        for i in range(m * k):
            total += z[i]
    else:
        for c in range(k):
            for i in range(m):
                weight = sample_weight[order[lo + i]]
                z[i * k + c] *= weight
                slopes[i * k + c] *= weight
        for i in range(m * k):  # a loop of its own: see `write_in_units`
            total += z[i]
    return total


def _tile_losses_joint(
    loss: Any, y: Any, sample_weight: Any, order: Any, lo: int, hi: int, k: int, z: Any, slopes: Any
) -> float:
    """For losses of all scores of a row: y is (n, 1), the index of the class."""
    total = 0.0
    for i in range(hi - lo):
        row = order[lo + i]
        at = i * k
        row_loss = row_slopes(loss, y[row, 0], z, at, k, slopes)
        if sample_weight.size == 0:
            total += row_loss
        else:
            weight = sample_weight[row]
            total += weight * row_loss
            for c in range(k):
                slopes[at + c] *= weight
    return total


def is_joint(loss_class: type) -> bool:
    """Tell whether a loss looks at all scores of a row at once."""
    return hasattr(loss_class, "row_slopes")


@overload(tile_losses, strict=False, jit_options=INLINED)
def _choose_tile_losses(loss: Any, *_: Any) -> Any:
    return _tile_losses_joint if is_joint(loss.instance_class) else _tile_losses_apart


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
