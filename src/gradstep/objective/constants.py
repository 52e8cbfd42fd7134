"""The best constant prediction of losses of real targets: quantiles, and where residuals cancel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["balance", "balance_of_excess", "log_of_mean", "middle", "quantile"]

_SOME = 2048  # targets, of which a quantile is guessed
_SUM_ROUNDING = 1e-15  # of the sizes of what is summed
_MOST_STEPS = 200


def _in_order(y: NDArray[np.float64], *at: int) -> list[float]:
    """Return the numbers at some neighbouring positions of the sorted targets.

    Of many, those that a few thousand say to lie near are partitioned, if that proves true.
    """
    some = np.sort(y[:: max(1, y.size // _SOME)])
    if y.size > 2 * some.size:
        margin = 3 * math.isqrt(some.size)
        middle = at[0] * some.size // y.size
        low = some[max(middle - margin, 0)]
        high = some[min(middle + margin, some.size - 1)]
        below = int(np.count_nonzero(y < low))
        near = y[(y >= low) & (y <= high)]
        if below <= at[0] and at[-1] < below + near.size:
            y, at = near, tuple(each - below for each in at)
    parted = np.partition(y, at)
    return [float(parted[each]) for each in at]


def quantile(y: NDArray[np.float64], weight: NDArray[np.float64] | None, share: float) -> float:
    """Return the least number that a share of the weight lies at or below."""
    if weight is None:
        at = min(max(math.ceil(share * y.size) - 1, 0), y.size - 1)
        return _in_order(y, at)[0]
    order = np.argsort(y)
    below = np.cumsum(weight[order])
    at = int(np.searchsorted(below, share * below[-1]))
    return float(y[order[min(at, y.size - 1)]])


def middle(y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
    """Return the middle of all medians."""
    if weight is None:
        low, high = _in_order(y, (y.size - 1) // 2, y.size // 2)
        return 0.5 * low + 0.5 * high
    return 0.5 * (quantile(y, weight, 0.5) - quantile(-y, weight, 0.5))


def balance(
    y: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    epsilon: float,
    start: float,
    *,
    beyond: bool,
) -> float:
    """Return the score at which residuals that are cut to epsilon, or what is cut off, cancel.

    Their mean rises with the score, in straight pieces: Newton's method arrives in a few steps.
    A step out of the bracket, which is where the mean changes its sign, goes to its middle. What
    has not come to rest after very many steps is as near as numbers so far apart allow.

    Parameters
    ----------
    y, weight
        Targets, and weights if there are any.
    epsilon : float
        What residuals are cut to.
    start : float
        Where to begin.
    beyond : bool
        Whether what is cut off counts, instead of what is left.
    """
    low, high = float(y.min()), float(y.max())
    score = start if math.isfinite(start) else 0.5 * low + 0.5 * high
    for _ in range(_MOST_STEPS):
        residual = score - y
        cut = np.clip(residual, -epsilon, epsilon)
        counted, straight = (residual - cut, residual != cut) if beyond else (cut, residual == cut)
        mean = float(np.average(counted, weights=weight))
        if abs(mean) <= _SUM_ROUNDING * float(np.average(np.abs(counted), weights=weight)):
            break
        low, high = (low, score) if mean > 0.0 else (score, high)
        rise = float(np.average(straight, weights=weight))
        after = score - mean / rise if rise > 0.0 else high
        if after == score:
            break
        if not low < after < high:
            after = 0.5 * low + 0.5 * high
        if after in {low, high, score}:
            break
        score = after
    return score


def balance_of_excess(
    y: NDArray[np.float64], weight: NDArray[np.float64] | None, epsilon: float
) -> float:
    """Return the score at which residuals beyond epsilon cancel; the middle, if there are none."""
    weighty = slice(None) if weight is None else weight > 0.0
    low, high = float(y[weighty].min()), float(y[weighty].max())
    if high - low <= 2.0 * epsilon:
        return 0.5 * low + 0.5 * high
    with np.errstate(over="ignore"):
        mean = float(np.average(y, weights=weight))
    return balance(y, weight, epsilon, mean, beyond=True)


def log_of_mean(y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
    """Return the logarithm of the weighted mean."""
    return math.log(float(np.average(y, weights=weight)))
