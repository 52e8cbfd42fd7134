"""A problem as its steps see it: gradients and curvature of the features they are taken on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.row_sums import RowSums
from gradstep.engine.standardisation import Standardisation
from gradstep.figures import number
from gradstep.objective.losses import curvature
from gradstep.optim.optimizers import SGD, Momentum, Nesterov
from gradstep.rows.dataset import scattered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset

__all__ = ["StepSpace", "bound_of", "most_rate", "why_too_long"]

_ROWS = 1 << 14  # that curvature is taken of
_ITERATIONS, _ENOUGH = 60, 1e-4
_FAR = 1e-4  # of the distance, between gradients whose difference is a curvature


class StepSpace:
    """Parameters of a problem in the units of its steps, as one vector.

    Weights are those of features as they are centred and scaled for the steps, and an intercept
    whose rate is f times that of weights counts as that of a feature of size √f.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    """

    def __init__(self, problem: Problem) -> None:
        p, self.k = problem.n_features, problem.n_outputs
        how = problem.standardisation
        self.how = Standardisation(np.zeros(p), np.ones(p), self.k) if how is None else how
        self._of_intercept = math.sqrt(problem.intercept_factor) if problem.fit_intercept else 0.0
        self.problem = problem
        units = problem.penalty_units
        l2 = problem.penalty.strengths()[1] if hasattr(problem.penalty, "strengths") else 0.0
        squares = (np.ones(p) if units is None else units) ** 2
        self._ridge = np.concatenate([np.tile(l2 * squares, self.k), np.zeros(self.k)])

    def point(self, params: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters (size,) of the features' units as a point: weights, intercepts."""
        point, of = self.how.flat(params), self._of_intercept
        point[-self.k :] = point[-self.k :] / of if of else 0.0
        return point

    def params(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a point as parameters (size,) of the features' units."""
        flat = point.copy()
        flat[-self.k :] *= self._of_intercept
        return self.how.flat_in_units(flat)

    def gradients(self, in_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return gradients (n, size) of the features' units as those of points."""
        n, p = len(in_units), self.how.shift.size
        weights, last = in_units[:, : self.k * p].reshape(n, self.k, p), in_units[:, self.k * p :]
        scaled = (weights - self.how.shift * last[:, :, None]) * self.how.scale
        return np.concatenate([scaled.reshape(n, -1), self._of_intercept * last], axis=1)

    def gradient(self, rows: RowSums, params: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradient of the objective, the l2 penalty with it, at parameters."""
        plain = self.gradients(rows.gradient(self.problem.loss, params)[1][None])[0]
        found: NDArray[np.float64] = plain + self._ridge * self.point(params)
        return found

    def largest_curvature(self, data: Dataset, params: NDArray[np.float64]) -> float:
        """Return the largest eigenvalue of the Hessian there, of up to some 16,000 of the rows.

        By the power method on differences of gradients, which for squared error are exact.
        """
        at = self.point(params)
        size = max(float(np.linalg.norm(at)), 1.0) * _FAR
        way = np.random.default_rng(0).normal(size=at.size)
        found = 0.0
        with RowSums(data.select(scattered(data.n, _ROWS)), self.k) as rows:
            for _ in range(_ITERATIONS):
                length = float(np.linalg.norm(way))
                if not length > 0.0:
                    return found
                way /= length
                above, below = (
                    self.gradient(rows, self.params(at + sign * size * way)) for sign in (1.0, -1.0)
                )
                way = (above - below) / (2.0 * size)
                before, found = found, float(np.linalg.norm(way))
                if abs(found - before) <= _ENOUGH * found:
                    break
        return found

    def largest_of_a_row(self, data: Dataset) -> float | None:
        """Return the largest curvature of one row's loss; None where it has no bound."""
        bound = curvature(self.problem.loss)
        if bound is None:
            return None
        with RowSums(data, self.k) as rows:
            squares = rows.row_squares(scattered(data.n, _ROWS), self.how.shift, self.how.scale)
        return bound * (float(squares.max()) + self._of_intercept**2)


def bound_of(problem: Problem) -> float | None:
    """Return what rate times curvature must stay below; None where an optimizer has no such rule.

    For gradient descent and heavy-ball momentum see Polyak, "Some methods of speeding up the
    convergence of iteration methods", 1964.
    """
    optimizer = problem.optimizer
    if isinstance(optimizer, SGD):
        return 2.0
    if isinstance(optimizer, Momentum):
        return 2.0 * (1.0 + optimizer.momentum)
    if isinstance(optimizer, Nesterov):
        return 2.0 * (1.0 + optimizer.momentum) / (1.0 + 2.0 * optimizer.momentum)
    return None


def _of_batch(rows: int, of_all: float, of_row: float) -> float:
    """Return the largest curvature of a batch, at most, in the mean square.

    Ma, Bassily and Belkin, arXiv 1712.06559.
    """
    return (of_row + (rows - 1) * of_all) / rows


def most_rate(problem: Problem, rows: int, of_all: float, of_row: float | None) -> float | None:
    """Return what the rate must stay below, as far as curvature tells; arguments as below."""
    bound = bound_of(problem)
    if bound is None:
        return None
    return bound / (of_all if of_row is None else max(of_all, _of_batch(rows, of_all, of_row)))


def why_too_long(
    problem: Problem, rows: int, of_all: float, of_row: float | None, *, standardised: bool
) -> str:
    """Return why the steps of a run were too long, as far as curvature tells.

    Parameters
    ----------
    problem : Problem
        What was fixed.
    rows : int
        Of a batch.
    of_all : float
        The largest curvature of all rows.
    of_row : float or None
        The largest of one row.
    standardised : bool
        Whether steps were taken on standardised columns.
    """
    rate, bound = getattr(problem.schedule, "eta0", None), bound_of(problem)
    if rate is None or bound is None:
        return "The steps are too long: lower the rate."
    most = f"lower the rate to less than {number(bound / of_all, 2)}"
    told = f"Rate {number(rate)} × largest curvature {number(of_all)} = {number(rate * of_all)}"
    if rate * of_all > bound:
        return (
            f"{told} > {number(bound, 3)}: each step overshoots by more than it mends; {most}"
            f"{'' if standardised else ', or standardise the columns'}."
        )
    if of_row is not None:
        of_batch = _of_batch(rows, of_all, of_row)
        if rate * of_batch > bound:
            return (
                f"{told}, below {number(bound, 3)}, but a batch of so few rows can be curved "
                f"{number(of_batch)}: {number(rate * of_batch)} > {number(bound, 3)}; lower the "
                f"rate to less than {number(bound / of_batch, 2)}, or take larger batches."
            )
    if of_row is None:
        return (
            f"{told} at the start, but the curvature of this loss has no bound, and grows where a "
            "few rows lead far: lower the rate, or take larger batches."
        )
    return f"{told}; the steps are too long all the same: lower the rate."
