"""The best constant prediction, and the test for divergence that is based on it.

A run has diverged when its objective is not finite. Weights of a billion are finite, too, so it has
also diverged when its mean loss over an epoch, and at the epoch's end, was more than ten times
that of the best constant prediction and ten times that at the start; each is counted from the
least value that the targets allow. Comparing with the start spares runs that begin far from the
optimum (large targets, a small rate) and approach it; looking at the epoch's end spares runs whose
first steps overshoot and are corrected.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.diagnostics.of_fits import ENDED_FAR_OFF
from gradstep.engine.evaluation import mean_loss
from gradstep.engine.row_sums import RowSums
from gradstep.objective.losses import floor
from gradstep.rows.dataset import scattered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.rows.dataset import Dataset

__all__ = ["Baseline", "best_constant"]

# Times the loss of the best constant, and of the start, from which a run has diverged.
_FAR_WORSE = 10.0
# A loss below this share of that at score zero is rounding, not divergence.
_ROUNDING = 1e-9
# Rows on which the best constant is found before it is refined on all.
_SAMPLE_ROWS = 1 << 14
# The farthest score that a best constant is looked for at.
_FARTHEST = 1e300
# To which it is found, relative to itself.
_RESOLUTION = 1e-12
# How far from the sample's constant, relative to it, the search on all rows begins.
_NEAR = 1e-3


def _constant_loss(loss: Any, data: Dataset, scores: NDArray[np.float64]) -> float:
    """Return the mean loss when every row has these scores."""
    return mean_loss(loss, data, np.ascontiguousarray(scores), scores.size)


def _search(loss: Any, data: Dataset) -> float:
    """Find the best constant score of one output: on a sample, then near there on all rows.

    A convex loss falls to the left of it and rises to the right. The score where the mean slope
    changes its sign is bracketed by doubling, then found by Brent's method.
    """
    sample = data.select(scattered(data.n, _SAMPLE_ROWS))
    if sample.n == data.n:
        return _turning_point(loss, data, 0.0, 1.0)
    first = _turning_point(loss, sample, 0.0, 1.0)
    return _turning_point(loss, data, first, max(abs(first), 1.0) * _NEAR)


def _turning_point(loss: Any, data: Dataset, start: float, width: float) -> float:
    """Return the score where the mean slope changes its sign, looked for from `start`."""
    from scipy.optimize import brentq  # few losses need it, and it takes a while to import

    with RowSums(data, 1) as row_sums:

        def slope(score: float) -> float:
            found = float(row_sums.gradient(loss, np.array([score]))[1][0])
            return found if np.isfinite(found) else np.sign(score)

        at_start = slope(start)
        if at_start == 0.0:
            return start
        sign = -np.sign(at_start)
        near, far = 0.0, width
        at_far = slope(start + sign * far)
        while sign * at_far < 0.0 and far < _FARTHEST:
            near, far = far, 2.0 * far
            at_far = slope(start + sign * far)
        if sign * at_far <= 0.0:
            return float(start + sign * far)
        resolution = _RESOLUTION * max(abs(start), far)
        found = brentq(slope, start + sign * near, start + sign * far, xtol=resolution)
        return float(found)


def best_constant(loss: Any, data: Dataset, k: int) -> NDArray[np.float64]:
    """Return the scores (k,) of the best constant prediction.

    Exact where the loss has a closed form (`best_constant`, `best_scores`); else found on a
    sample of the rows.
    """
    y, weight = data.targets(), data.weights()
    if hasattr(loss, "best_scores"):
        return np.asarray(loss.best_scores(y[:, 0], weight, k), dtype=np.float64)
    if hasattr(loss, "best_constant"):
        return np.array([loss.best_constant(y[:, c], weight) for c in range(k)])
    if hasattr(loss, "row_slopes"):
        return np.zeros(k)  # a user's own loss of several classes
    data = data.without_features()
    columns = (replace(data, y=data.y[:, [c]]) for c in range(k))
    return np.array([_search(loss, column) for column in columns])


@dataclass
class Baseline:
    """What a run's objective is compared with, computed when first needed.

    Attributes
    ----------
    loss, data, n_outputs
        The problem.
    start : ndarray
        The parameters that the run started from.
    incremental : bool
        Whether the rows are one part of a stream (`partial_fit`). A part may have a single row,
        whose best constant says nothing, so a loss is compared with that of all rows seen.
    """

    loss: Any
    data: Dataset
    n_outputs: int
    start: NDArray[np.float64]
    incremental: bool = False
    constant: Dataset = field(init=False)

    def __post_init__(self) -> None:
        self.constant = self.data.sample_without_features()

    @cached_property
    def sample(self) -> Dataset:
        """The rows that losses are told by, with their features."""
        return self.data.sample()

    @cached_property
    def floor(self) -> float:
        """The least mean loss that the targets allow."""
        if not hasattr(self.loss, "floor"):
            return 0.0
        least = floor(self.loss, self.constant.targets()).sum(axis=1)
        return float(np.average(least, weights=self.constant.weights()))

    @cached_property
    def at_zero(self) -> float:
        """Mean loss at score zero, above the floor."""
        zero = np.zeros(self.n_outputs)
        return _constant_loss(self.loss, self.constant, zero) - self.floor

    @cached_property
    def at_best(self) -> float:
        """Mean loss of the best constant prediction, above the floor."""
        scores = best_constant(self.loss, self.constant, self.n_outputs)
        return _constant_loss(self.loss, self.constant, scores) - self.floor

    @property
    def scale(self) -> float:
        """The unit of an improvement: the best constant's loss, or 1 if that is 0."""
        return self.at_best if self.at_best > 0.0 else 1.0

    @cached_property
    def at_start(self) -> float:
        """Mean loss at the parameters the run started from, above the floor."""
        return mean_loss(self.loss, self.sample, self.start, self.n_outputs) - self.floor

    def diverged(self, running: float, params: NDArray[np.float64], scale_seen: float) -> bool:
        """Tell whether a loss was far too large over an epoch, and is at its end.

        Parameters
        ----------
        running : float
            Mean loss over the epoch.
        params : ndarray of shape (size,)
            Where it ended.
        scale_seen : float
            As in `far_worse`.
        """
        if not self.far_worse(running, scale_seen):
            return False
        at_end = mean_loss(self.loss, self.sample, params, self.n_outputs)
        return not np.isfinite(at_end) or self.far_worse(at_end, scale_seen)

    def notes(self, params: NDArray[np.float64]) -> list[Note]:
        """Return a note if the loss where a run has ended is far too large."""
        at_end = mean_loss(self.loss, self.sample, params, self.n_outputs)
        if not self.far_worse(at_end, 0.0):
            return []
        best = self.at_best + self.floor
        return [
            ENDED_FAR_OFF.note(
                f"The loss is {at_end:.3g} in the end, far above that of the best constant "
                f"prediction ({best:.3g}): the steps were too long for the scale of the columns. "
                "Use learning_rate='auto', or scale them."
            )
        ]

    def far_worse(self, running: float, scale_seen: float) -> bool:
        """Tell whether a mean loss is so large that a run with it has diverged.

        Parameters
        ----------
        running : float
            The mean loss.
        scale_seen : float
            Mean loss at score zero, above the floor, of all rows seen by an incremental run.
        """
        excess = running - self.floor
        if self.incremental:
            scale = max(self.at_zero, scale_seen)
            return scale > 0.0 and excess > _FAR_WORSE * scale
        if excess <= max(_FAR_WORSE * self.at_best, _ROUNDING * self.at_zero):
            return False
        if self.at_best <= 0.0 and self.at_zero <= 0.0:
            return False  # nothing to compare with: perceptron, or targets all zero
        return excess > _FAR_WORSE * self.at_start
