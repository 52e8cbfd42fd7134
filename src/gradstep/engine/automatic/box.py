"""The minimum of a quadratic model within a box: what a Newton step goes to under constraints.

Coordinates are *held*, at a bound or (under an l1 penalty) at zero, or free. The free ones are
solved for at once; those that leave their part of the box are held, and those whose slope leads
inwards let go, all together (Júdice and Pires, "A block principal pivoting algorithm for
large-scale strictly monotone linear complementarity problems", Computers & Operations Research,
1994). That mostly ends at the minimum after a few solutions. Where it does not, as with columns
that depend on each other, coordinate descent comes near, and from there the way leads down within
the box, to the minimum on one set of free coordinates after another (Lawson and Hanson, Solving
Least Squares Problems, 1974, chapter 23).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradstep.engine.kernels.linalg import factor, solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["minimum_within"]

_LITTLE = 1e-12  # of the largest slope: what counts as none
_MORE = 100.0  # times as much counts as none where columns depend on each other
_ROUNDING = 1e-15
_PATIENCE = 5  # exchanges of all that are wrong without fewer being wrong
_SWEEPS = 50  # of coordinate descent, should exchanges not end


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
    model = _Model(matrix, linear, low, high, l1)
    little = _LITTLE * max(
        float(np.abs(model.slope(start)).max(initial=0.0)),
        float(np.abs(linear).max(initial=0.0)),
    )
    found = _exchanged(model, start, little)
    if found is not None:
        return found, True
    return _walked(model, _descended(model, start), _MORE * little)


class _Model(NamedTuple):
    """The quadratic, the box and the penalty."""

    matrix: NDArray[np.float64]
    linear: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    l1: NDArray[np.float64]

    def slope(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the slope of the quadratic."""
        return np.asarray(self.linear + np.einsum("ij,j->i", self.matrix, x))

    def fixed(self) -> NDArray[np.bool_]:
        """Tell which coordinates have nowhere to go."""
        return np.asarray((np.diag(self.matrix) <= 0.0) | (self.low >= self.high))

    def held(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which coordinates are at a bound, or at zero under l1."""
        at_bound = self.fixed() | (x <= self.low) | (x >= self.high)
        return np.asarray(at_bound | ((self.l1 > 0.0) & (x == 0.0)))

    def sign(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return on which side of zero coordinates under l1 are."""
        return np.where(self.l1 > 0.0, np.sign(x), 0.0)

    def part(self, sign: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the part of the box for free ones: not across zero under l1."""
        return (
            np.where(sign > 0.0, np.maximum(self.low, 0.0), self.low),
            np.where(sign < 0.0, np.minimum(self.high, 0.0), self.high),
        )

    def leaving(
        self, x: NDArray[np.float64], held: NDArray[np.bool_], little: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
        """Return how steeply the objective falls where held coordinates go up, and down.

        Zero where it does not, or no more than `little`.
        """
        slope, waits = self.slope(x), held & ~self.fixed()
        up = -slope - np.where(x >= 0.0, self.l1, -self.l1)
        down = slope + np.where(x > 0.0, self.l1, -self.l1)
        return (
            np.where(waits & (x < self.high) & (up > little), up, 0.0),
            np.where(waits & (x > self.low) & (down > little), down, 0.0),
        )

    def towards(self, x: NDArray[np.float64], up: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return on which side of zero coordinates come to be that go up, or else down."""
        return np.where(up, np.where(x >= 0.0, 1.0, -1.0), np.where(x > 0.0, 1.0, -1.0))

    def solved(
        self, x: NDArray[np.float64], sign: NDArray[np.float64], at: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the step of the coordinates `at` to their minimum, and their matrix's factor.

        What depends on others has no step.
        """
        block = np.ascontiguousarray(self.matrix[np.ix_(at, at)])
        step = -(self.slope(x) + self.l1 * sign)[at]
        factor(block)
        solve(block, step)
        return step, block


def _exchanged(
    model: _Model, x: NDArray[np.float64], little: float
) -> NDArray[np.float64] | None:  # fmt: skip
    """Return the minimum if exchanges between held and free lead to it."""
    sign, held = model.sign(x), model.held(x)
    fewest, patience = x.size + 1, _PATIENCE
    while patience:
        at = np.flatnonzero(~held)
        step, lower = model.solved(x, sign, at)
        x = x.copy()
        x[at] += step
        floor, ceiling = model.part(sign)
        below, above = ~held & (x < floor - little), ~held & (x > ceiling + little)
        up, down = (each > 0.0 for each in model.leaving(x, held, little))
        wrong = int((below | above | up | down).sum())
        if not wrong:
            slides = _slide(model, x, sign, at, lower, _MORE * little) is not None
            return None if slides else np.clip(x, model.low, model.high)
        if wrong < fewest:
            fewest, patience = wrong, _PATIENCE
        else:
            patience -= 1
        x = np.where(below, floor, np.where(above, ceiling, x))
        held = (held | below | above) & ~(up | down)
        sign = np.where((up | down) & (model.l1 > 0.0), model.towards(x, up), sign)
    return None


def _walked(
    model: _Model, x: NDArray[np.float64], little: float
) -> tuple[NDArray[np.float64], bool]:  # fmt: skip
    """Return the minimum by a way that leads down within the box; and whether it is that."""
    sign, held = model.sign(x), model.held(x)
    idle = np.zeros(x.size, dtype=bool)  # let go, and held again at once
    last = -1
    for _ in range(10 * x.size + 100):
        at = np.flatnonzero(~held)
        step, lower = model.solved(x, sign, at)
        first, share = _end_of(model, x, sign, at, step)
        if share > 1.0:
            x, first = _moved(x, at, step), -1
            idle[:] = idle & (np.abs(step).max(initial=0.0) <= little)
            slide = _slide(model, x, sign, at, lower, little)
            if slide is not None:
                step = slide
                first, share = _end_of(model, x, sign, at, step)
                if share > 1.0:
                    x = _moved(x, at, step)
                    continue
        if first >= 0:
            x = _moved(x, at, share * step)
            floor, ceiling = model.part(sign)
            j = at[first]
            x[j] = ceiling[j] if step[first] > 0.0 else floor[j]
            held[j] = True
            stays = share * np.abs(step).max() <= little
            idle[:] = idle & stays
            idle[j] |= j == last and stays
            continue
        up, down = model.leaving(x, held & ~idle, little)
        last = int(np.maximum(up, down).argmax()) if x.size else -1
        if not x.size or not max(up[last], down[last]) > 0.0:
            return np.clip(x, model.low, model.high), True
        held[last] = False
        if model.l1[last] > 0.0:
            sign[last] = model.towards(x, up > down)[last]
    return np.clip(x, model.low, model.high), False


def _moved(
    x: NDArray[np.float64], at: NDArray[np.intp], step: NDArray[np.float64]
) -> NDArray[np.float64]:  # fmt: skip
    moved = x.copy()
    moved[at] += step
    return moved


def _end_of(
    model: _Model, x: NDArray[np.float64], sign: NDArray[np.float64], at: NDArray[np.intp],
    step: NDArray[np.float64],
) -> tuple[int, float]:  # fmt: skip
    """Return which coordinate ends a step first, at a bound or at zero, and after what share."""
    if not at.size:
        return -1, np.inf
    floor, ceiling = (each[at] for each in model.part(sign))
    end = np.where(step > 0.0, ceiling, floor)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(step != 0.0, np.maximum((end - x[at]) / step, 0.0), np.inf)
    first = int(share.argmin())
    return first, float(share[first])


def _slide(
    model: _Model, x: NDArray[np.float64], sign: NDArray[np.float64], at: NDArray[np.intp],
    lower: NDArray[np.float64], little: float,
) -> NDArray[np.float64] | None:  # fmt: skip
    """Return a step along which the quadratic is flat, or nearly: columns that depend on others.

    They exchange what l1 makes dear. None where there are none, or nothing is to be gained.
    """
    pull = np.where(np.isinf(np.diag(lower)), (model.slope(x) + model.l1 * sign)[at], 0.0)
    if not pull.size:
        return None
    most = int(np.abs(pull).argmax())
    if abs(pull[most]) <= little:
        return None
    way = model.matrix[at, at[most]] * np.sign(pull[most])
    solve(lower, way)
    way[most] = -np.sign(pull[most])
    block = model.matrix[np.ix_(at, at)]
    curvature = float(np.einsum("i,ij,j->", way, block, way))
    if curvature > _ROUNDING * float((way * way).sum()):
        return np.asarray(way * (abs(pull[most]) / curvature))
    end = _end_of(model, x, sign, at, way)[1]
    return np.asarray(way * (2.0 * end if end > 0.0 else 1.0)) if end < np.inf else None


def _descended(model: _Model, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where coordinate descent comes to: never higher."""
    matrix, linear, low, high, l1 = model
    x = x.copy()
    moving = np.flatnonzero(~model.fixed())
    for _ in range(_SWEEPS):
        for j in moving:
            own = matrix[j, j]
            pull = own * x[j] - float((matrix[j] * x).sum()) - linear[j]
            cut = l1[j]
            x[j] = min(max((pull - max(-cut, min(pull, cut))) / own, low[j]), high[j])
    return x
