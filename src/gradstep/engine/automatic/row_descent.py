"""Some tens of quick steps in single precision, before a matrix of rows or features is worth it.

A step costs two products with a copy of the rows, of half their size, centred and scaled. That is
1/500 of what the matrix of 500 rows takes, so where some thirty steps lead to the optimum, none is
made; where they would not, some of them tell. Steps are those of L-BFGS, which begin with the
inverse of a diagonal (Nocedal, "Updating quasi-Newton matrices with limited storage", Mathematics
of Computation 35(151), 1980): features are scaled so that it is the identity. Ridge takes
conjugate gradients there, which need no search along a line (Hestenes and Stiefel, "Methods of
conjugate gradients for solving linear systems", Journal of Research of the National Bureau of
Standards 49(6), 1952).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.engine.automatic.choice import has_few_rows
from gradstep.engine.automatic.line_search import backtrack
from gradstep.engine.automatic.optimality import gain_after
from gradstep.engine.blas import one_blas_thread
from gradstep.engine.kernels.compiled_losses import compiled_loss
from gradstep.engine.kernels.tiles import losses_of_scores
from gradstep.engine.wide_hessian import row_curvatures
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.smoothing import Smoothing
    from gradstep.rows.dataset import Dataset

__all__ = ["RowDescent"]

_PAIRS = 10
# Numbers that are centred at a time: they stay in the second cache.
_NUMBERS = 1 << 16
# Steps at most, in rows or features for each, and after how many a descent that is too slow ends.
_ROWS_A_STEP, _TRIED = 10, 16
# Steps whose gains are compared, and the share of all that is too much to gain still.
_WINDOW, _FAR = 4, 5e-3
# Steps after which conjugate gradients look how near the optimum is.
_LOOKS = (8, 12, 16)
# Rounding error of the objective, relative to its size.
_ROUNDING = 1e-9


class _Point(NamedTuple):
    """Parameters (k, q) of scaled features, the objective and its gradient there."""

    at: NDArray[np.float64]
    before: float
    gradient: NDArray[np.float64]


class RowDescent:
    """A descent from a constant.

    Parameters
    ----------
    of : ScaledProblem
        The problem, for which `gradstep.engine.automatic.quick_steps.can_descend` holds.
    data : Dataset
        Its rows, dense, in memory.
    start : ndarray of shape (size,)
        Parameters in the features' own units, all weights being 0.
    smoothing : Smoothing
        The width that second derivatives are smoothed over.
    enough : float
        The descent is over where the square of the next step's length is at most this share of the
        decrease.

    Attributes
    ----------
    passes : int
        Passes over the rows so far.
    """

    def __init__(
        self, of: ScaledProblem, data: Dataset, start: NDArray[np.float64], smoothing: Smoothing,
        enough: float,
    ) -> None:  # fmt: skip
        self._of, self._data, self._enough = of, data, enough
        self.passes = 0
        self._loss = compiled_loss(of.problem.loss)
        self._order = readonly(data.rows_between(0, data.n))
        z = np.repeat(start[None, -of.k :], data.n, axis=0)
        h = row_curvatures(of.problem.loss, of.k, data, z, smoothing.widths(of), of.blocks)
        self._h = np.maximum(h / data.weight_sum, 0.0)
        mean = float(self._h.sum(axis=1).mean())
        self._begins = mean > 0.0
        if not self._begins:
            return
        self._start_scores = z
        self._unit = 1.0 / np.sqrt(mean + of.ridge)
        penalised = of.ridge > 0.0
        if of.quadratic and has_few_rows(of):
            # Scaled by the penalty, gradients lie in the space of the rows, where all that is
            # to be gained is; otherwise a part of it, whose curvature is the penalty's, comes late.
            least = of.ridge[penalised].min()
            self._unit = np.sqrt(least / np.where(penalised, of.ridge, least))
        self._ridge = of.ridge * self._unit * self._unit
        # Of the least that second derivatives can be, the inverse: an intercept's is 1, scaled so.
        self._most_inverse = 1.0 / np.where(penalised, self._ridge, 1.0)
        self._fitted = float(of.problem.fit_intercept)
        self._most = min(data.n, of.q) // _ROWS_A_STEP
        self._rows = self._copied()
        self._pairs = _Pairs(of.k * of.q)
        self._gains: list[float] = []  # of steps of L-BFGS
        self._start = np.zeros((of.k, of.q))
        self._start[:, -1] = start[-of.k :] / self._unit[-1]

    def _copied(self) -> NDArray[np.float32]:
        """Return the rows, standardised and scaled, with a column of the intercept."""
        units, values = self._of.standardisation, self._data.rows.values  # type: ignore[attr-defined]
        n, p = values.shape
        x, scale = np.empty((n, p + 1), np.float32), units.scale * self._unit[:-1]
        x[:, -1] = self._unit[-1]
        each = max(1, _NUMBERS // p)
        room = np.empty((each, p))
        for lo in range(0, n, each):
            some = values[lo : lo + each]
            centred = np.subtract(some, units.shift, out=room[: len(some)])
            np.multiply(centred, scale, out=x[lo : lo + each, :-1], casting="same_kind")
        return x

    def end(self) -> NDArray[np.float64] | None:
        """Return where it ends, in the features' own units; None if it does not end soon."""
        if not self._begins:
            return None
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
            first = self._evaluated(self._start, self._start_scores)
            if self._of.quadratic:
                found = self._by_conjugate_gradients(first)
            else:
                found = self._by_pairs(first)
        return None if found is None else self._of.standardisation.in_units(found * self._unit)

    def _by_pairs(self, first: _Point) -> NDArray[np.float64] | None:
        """Return where L-BFGS ends, scaled."""
        gains, point = self._gains, first
        noise = _ROUNDING * abs(first.before)
        step, left = self._direction(point.gradient)
        step, left = self._shortened(step, left)
        while len(gains) < self._most:

            def trial_at(t: float, at: _Point = point, step: Any = step) -> _Point:
                return self._evaluated(at.at + t * step)

            found, _ = backtrack(trial_at, point.before, -left, noise, smooth=True)
            if found is None or not np.isfinite(found.before):
                return None
            gains.append(point.before - found.before)
            self._pairs.add(found.at - point.at, found.gradient - point.gradient)
            point, decrease = found, sum(gains)
            step, left = self._direction(point.gradient)
            above = max(left, self._to_gain(), float(self._bound(point.gradient).sum()))
            if above <= self._enough * decrease:
                return point.at
            slow = len(gains) == _TRIED and sum(gains[-_WINDOW:]) > _FAR * decrease
            if slow or not left > 0.0:
                return None
        return None

    def _by_conjugate_gradients(self, first: _Point) -> NDArray[np.float64] | None:
        """Return where conjugate gradients end, scaled: those of each output, side by side.

        They end by the bound alone: gains that shrink would not do, nor would eigenvalues that the
        steps have met.
        """
        at, left = first.at.copy(), -first.gradient
        along, square = left.copy(), (left * left).sum(axis=1)
        gained, excess = np.zeros_like(square), math.inf
        for step in range(1, self._most + 1):
            product = self._times_hessian(along)
            curvature = (along * product).sum(axis=1)
            ended = square == 0.0
            if ended.all() or not (np.isfinite(curvature) & (ended | (curvature > 0.0))).all():
                return None
            length = square / np.where(ended, 1.0, curvature)
            at += length[:, None] * along
            left -= length[:, None] * product
            gained += 0.5 * length * square
            before, square = square, (left * left).sum(axis=1)
            above = self._bound(left)
            if (above <= self._enough * gained).all():
                return at
            if step in _LOOKS:  # of the output that is farthest above its minimum
                was, enough = excess, self._enough * gained
                excess = float((above / np.where(ended, 1.0, enough)).max())
                if not self._ends_soon(step, was, excess):
                    return None
            along = left + (square / np.where(ended, 1.0, before))[:, None] * along
        return None

    def _ends_soon(self, step: int, was: float, excess: float) -> bool:
        """Tell whether an excess that shrinks as in the last steps becomes 1 before the end."""
        if math.isinf(was):
            return True
        spans = (self._most - step) / (_LOOKS[1] - _LOOKS[0])
        return excess < was and math.log(excess) <= spans * math.log(was / excess)

    def _times_hessian(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Hessian of least squares times a step (k, q)."""
        self.passes += 1
        z = step.astype(np.float32) @ self._rows.T
        product = np.asarray((self._h * z).astype(np.float32) @ self._rows, np.float64)
        product[:, -1] *= self._fitted
        product += self._ridge * step
        return product

    def square_left(self, gradient: NDArray[np.float64]) -> float:
        """Return about the square of the next step's length where the descent has ended.

        Parameters
        ----------
        gradient : ndarray of shape (k, q)
            The gradient there, of standardised features, in double precision.
        """
        gradient = gradient * self._unit
        gradient[:, -1] *= self._fitted
        bound = float(self._bound(gradient).sum())
        if self._of.quadratic:
            return bound
        return max(self._direction(gradient)[1], self._to_gain(), bound)

    def _bound(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the square of each output's next step is at most, by the penalty.

        No second derivative is less than the penalty's. Where features nearly depend on each other,
        gains that shrink, and the last steps' pairs, tell of the large eigenvalues alone.
        """
        bound: NDArray[np.float64] = (gradient * gradient * self._most_inverse).sum(axis=1)
        return bound

    def _to_gain(self) -> float:
        """Return twice what gains that shrink geometrically would add.

        The steps know the second derivatives along the last of them alone, as in `optimality`.
        """
        gains = self._gains
        if len(gains) < 2 * _WINDOW:
            return np.inf
        before, last = sum(gains[-2 * _WINDOW : -_WINDOW]), max(sum(gains[-_WINDOW:]), 0.0)
        return 2.0 * gain_after(before, last)

    def _direction(self, gradient: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Return the step at a gradient, and the square of its length."""
        step = -self._pairs.times(gradient.reshape(-1)).reshape(gradient.shape)
        return step, -float(np.vdot(step, gradient))

    def _evaluated(self, at: NDArray[np.float64], z: NDArray[np.float64] | None = None) -> _Point:
        """Return the point, by its scores (n, k) if they are known."""
        of, data = self._of, self._data
        self.passes += 1
        if z is None:
            z = np.asarray(self._rows @ at.astype(np.float32).T, np.float64)
        slopes = np.empty(z.size)
        total = losses_of_scores(
            *data.for_kernels, self._loss, self._order, of.k, z.reshape(-1), slopes
        )
        slopes = slopes.reshape(z.shape) / data.weight_sum
        gradient = np.asarray(slopes.T.astype(np.float32) @ self._rows, np.float64)
        gradient[:, -1] *= self._fitted
        of_penalty = self._ridge * at
        gradient += of_penalty
        return _Point(at, total / data.weight_sum + 0.5 * float((of_penalty * at).sum()), gradient)

    def _shortened(self, step: NDArray[np.float64], left: float) -> tuple[Any, float]:
        """Return the first step, to the minimum of the quadratic model along it; and its fall."""
        z = np.asarray(self._rows @ step.astype(np.float32).T, np.float64)
        curvature = float((self._h * (z * z).T).sum() + (self._ridge * step * step).sum())
        t = min(1.0, left / curvature) if curvature > 0.0 else 1.0
        return t * step, t * left


class _Pairs:
    """Steps s and changes y of the gradient, and the inverse Hessian that they tell.

    It is the same as by two loops over them, as products of a few matrices: theorem 2.2 of Byrd,
    Nocedal and Schnabel, "Representations of quasi-Newton matrices and their use in limited memory
    methods", Mathematical Programming 63, 1994.

    Parameters
    ----------
    size : int
        Numbers of a step.
    """

    def __init__(self, size: int) -> None:
        self._s, self._y = np.empty((2, 0, size))
        self._sy, self._yy = np.empty((2, 0, 0))

    def add(self, s: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Add a pair, unless the curvature along it is not positive; forget the oldest."""
        s, y = s.reshape(-1), y.reshape(-1)
        if not float(s @ y) > 0.0:
            return
        self._s = np.concatenate([self._s[-_PAIRS + 1 :], s[None]])
        self._y = np.concatenate([self._y[-_PAIRS + 1 :], y[None]])
        new = len(self._s) - 1
        sy, yy = np.zeros((2, new + 1, new + 1))
        sy[:new, :new], yy[:new, :new] = self._sy[-new:, -new:], self._yy[-new:, -new:]
        sy[:, new] = self._s @ y  # of earlier steps with later changes: an upper triangle
        yy[:, new] = yy[new, :] = self._y @ y
        self._sy, self._yy = sy, yy

    def times(self, g: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the inverse Hessian times g."""
        if not len(self._s):
            return g
        along, across = self._s @ g, self._y @ g
        unit = float(self._sy[-1, -1] / self._yy[-1, -1])
        u = np.linalg.solve(self._sy, along)
        middle = np.diag(self._sy) * u + unit * (self._yy @ u - across)
        v = np.linalg.solve(self._sy.T, middle)
        return unit * g + v @ self._s - unit * (u @ self._y)
