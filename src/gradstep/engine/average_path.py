"""What is kept of the path of averaged iterates: how far it has strayed from where it ends.

Of averaged stochastic gradient descent whose rates fall as t^-a, 1/2 < a < 1, over rows that come
once, the averages θ̄_1, θ̄_2, … scaled by √t tend to a Brownian motion with the covariance of the
estimate. So V = t⁻²·Σ_s s²·(θ̄_s - θ̄_t)(θ̄_s - θ̄_t)ᵀ is that covariance but for a random factor
whose law is known, and that cancels in (θ̄_t - θ) / √(V / t): *random scaling* (Lee, Liao, Seo and
Shin, "Fast and robust online inference with stochastic gradient descent via random scaling", AAAI
2022, arXiv 2106.03156). `gradstep.inference.random_scaling` has that law.

The sum is one over t steps, and each would take features² operations. It tends to an integral over
s / t, so that 128 points in each doubling's span are as good as all: the path is looked at where
the count of averaged iterates has grown by a 128th, at counts that depend on nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.objective.classification import OneVsRest
from gradstep.objective.losses import is_joint
from gradstep.optim.optimizers import SGD, Momentum, Nesterov
from gradstep.optim.schedules import InvScaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem

__all__ = ["AveragePath", "lines_of", "path_of", "why_no_path"]

_POINTS = 128  # looked at, while the count grows from t / e to t
_MOST_NUMBERS = 1 << 21


class AveragePath(NamedTuple):
    """The averages so far, those that were looked at, each with the weight of its stretch.

    Attributes
    ----------
    iterates : float
        Iterates in the average that was looked at last.
    weight : float
        Sum of the weights: s² times the steps since the one before.
    mean : ndarray of shape (k, q)
        Their weighted mean, in the features' own units; q counts the intercept, which comes last.
    products : ndarray of shape (k, q, q)
        The weighted sum of the products of their differences from it.
    """

    iterates: float
    weight: float
    mean: NDArray[np.float64]
    products: NDArray[np.float64]

    @property
    def due(self) -> int:
        """The count at which the path is looked at again."""
        count = int(self.iterates)
        return count + max(1, count // _POINTS)

    def with_average(self, count: float, average: NDArray[np.float64]) -> AveragePath:
        """Return the path with one more average, of so many iterates."""
        own = (count - self.iterates) * count * count
        weight = self.weight + own
        apart = average - self.mean
        spread = own * self.weight / weight * apart[:, :, None] * apart[:, None, :]
        return AveragePath(count, weight, self.mean + own / weight * apart, self.products + spread)

    def scaling(self, count: float, average: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return V / t at the average of all `count` iterates: (k, q, q)."""
        apart = self.mean - average
        whole = self.products + self.weight * apart[:, :, None] * apart[:, None, :]
        scaled: NDArray[np.float64] = whole / float(count) ** 3
        return scaled


def why_no_path(problem: Problem) -> str | None:
    """Return why no path is kept, None if one is."""
    if not problem.average_from:
        return "the iterates are not averaged: use average=True with optimizer='sgd'"
    if not isinstance(problem.optimizer, (SGD, Momentum, Nesterov)):
        return (
            f"the averages of {type(problem.optimizer).__name__} have no known law: use "
            "optimizer='sgd', 'momentum' or 'nesterov'"
        )
    schedule: Any = problem.schedule
    if not (isinstance(schedule, InvScaling) and 0.5 < schedule.power_t < 1.0):
        return (
            f"the rates {schedule!r} do not fall as step**-a with a between 1/2 and 1: use "
            "learning_rate='invscaling' with power_t=0.51, say"
        )
    if problem.n_outputs * (problem.n_features + 1) ** 2 > _MOST_NUMBERS:
        return (
            f"{problem.n_features:,} features have more products than are kept: "
            f"{_MOST_NUMBERS:,} numbers"
        )
    return None


def path_of(problem: Problem) -> AveragePath | None:
    """Return the path before the first step; None if none is kept."""
    if why_no_path(problem):
        return None
    k, q = problem.n_outputs, problem.n_features + 1
    return AveragePath(0.0, 0.0, np.zeros((k, q)), np.zeros((k, q, q)))


def lines_of(problem: Problem, params: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return parameters as lines, one an output (k, q): of a joint loss about their mean."""
    weights, intercepts = problem.split(params)
    lines = np.column_stack([weights, intercepts])
    joint = is_joint(problem.loss) and not isinstance(problem.loss, OneVsRest)
    return lines - lines.mean(axis=0) if joint else lines
