"""The minimum of a quadratic model within a box: what a Newton step goes to under constraints.

Coordinates are *held*, at a bound or (under an l1 penalty) at zero, or free. The free ones are
solved for at once; those that leave their part of the box are held, and those whose slope leads
inwards let go, all together; where that does not reduce how many are wrong, one at a time, the
last of them (Júdice and Pires, "A block principal pivoting algorithm for large-scale strictly
monotone linear complementarity problems", Computers & Operations Research, 1994). With a positive
definite matrix that ends at the minimum, mostly after a few solutions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.kernels.linalg import factor, solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["minimum_within"]

_LITTLE = 1e-12  # of the largest slope: what counts as none
_PATIENCE = 5  # exchanges of all that are wrong without fewer being wrong
_SWEEPS = 100  # of coordinate descent, should exchanges not end


def minimum_within(
    matrix: NDArray[np.float64], linear: NDArray[np.float64], start: NDArray[np.float64],
    low: NDArray[np.float64], high: NDArray[np.float64], l1: NDArray[np.float64],
) -> tuple[NDArray[np.float64], bool]:  # fmt: skip
    """Minimise ½ x·M·x + linear·x + Σ l1_j |x_j| for low ≤ x ≤ high.

    Parameters
    ----------
    matrix : ndarray of shape (q, q)
        Symmetric, positive semidefinite, its diagonal about 1; coordinates whose diagonal is 0
        stay where they are.
    linear, start, low, high, l1 : ndarray of shape (q,)
        `start` lies within the box.

    Returns
    -------
    x : ndarray of shape (q,)
    solved : bool
        Whether that is the minimum; else it is at least no worse than `start`.

    Examples
    --------
    >>> nothing, bounds = np.zeros(2), np.full(2, np.inf)
    >>> minimum_within(np.eye(2), np.array([-3.0, 2.0]), nothing, nothing, bounds, nothing)
    (array([3., 0.]), True)
    """
    fixed = (np.diag(matrix) <= 0.0) | (low >= high)
    x, sign = start.copy(), np.where(l1 > 0.0, np.sign(start), 0.0)
    held = fixed | (start <= low) | (start >= high) | ((l1 > 0.0) & (start == 0.0))
    little = _LITTLE * max(
        float(np.abs(linear + np.einsum("ij,j->i", matrix, start)).max(initial=0.0)),
        float(np.abs(linear).max(initial=0.0)),
    )
    fewest, patience = x.size + 1, _PATIENCE
    for _ in range(10 * x.size + 100):
        x = _solved(matrix, linear + l1 * sign, x, ~held)
        slope = linear + np.einsum("ij,j->i", matrix, x)
        # Where the free ones may go: to the bounds, and not across zero under l1.
        floor = np.where(sign > 0.0, np.maximum(low, 0.0), low)
        ceiling = np.where(sign < 0.0, np.minimum(high, 0.0), high)
        below, above = ~held & (x < floor - little), ~held & (x > ceiling + little)
        # Where those that are held want to go.
        waits = held & ~fixed
        up = waits & (x < high) & (slope + np.where(x >= 0.0, l1, -l1) < -little)
        down = waits & (x > low) & (slope + np.where(x > 0.0, l1, -l1) > little)
        wrong = np.flatnonzero(below | above | up | down)
        if not wrong.size:
            return np.clip(x, low, high), True
        if wrong.size < fewest:
            fewest, patience = wrong.size, _PATIENCE
        elif patience:
            patience -= 1
        else:
            wrong = wrong[-1:]
        chosen = np.zeros(x.size, dtype=bool)
        chosen[wrong] = True
        x = np.where(chosen & below, floor, np.where(chosen & above, ceiling, x))
        held = (held | (chosen & (below | above))) & ~(chosen & (up | down))
        freed = chosen & (up | down) & (l1 > 0.0)
        towards = np.where(up, np.where(x >= 0.0, 1.0, -1.0), np.where(x > 0.0, 1.0, -1.0))
        sign = np.where(freed, towards, sign)
    return _descended(matrix, linear, start, low, high, l1), False


def _solved(
    matrix: NDArray[np.float64], linear: NDArray[np.float64], x: NDArray[np.float64],
    free: NDArray[np.bool_],
) -> NDArray[np.float64]:  # fmt: skip
    """Return x with its free coordinates at the minimum for the others as they are."""
    at = np.flatnonzero(free)
    if not at.size:
        return x
    block = np.ascontiguousarray(matrix[np.ix_(at, at)])
    step = -(linear + np.einsum("ij,j->i", matrix, x))[at]
    factor(block)
    solve(block, step)
    found = x.copy()
    found[at] += step
    return found


def _descended(
    matrix: NDArray[np.float64], linear: NDArray[np.float64], start: NDArray[np.float64],
    low: NDArray[np.float64], high: NDArray[np.float64], l1: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Return where coordinate descent comes to from the start: never higher."""
    x = start.copy()
    moving = np.flatnonzero((np.diag(matrix) > 0.0) & (low < high))
    for _ in range(_SWEEPS):
        for j in moving:
            own = matrix[j, j]
            pull = own * x[j] - float((matrix[j] * x).sum()) - linear[j]
            cut = l1[j]
            x[j] = min(max((pull - max(-cut, min(pull, cut))) / own, low[j]), high[j])
    return x
