"""Sums of losses and slopes where all rows have one score: for some losses, no pass of their own.

A loss that is linear in the target has there the mean that it has at the mean target. The log loss
has two targets. Both need the sums of weights and of targets alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.objective.classification import LogLoss
from gradstep.objective.regression import Gamma, Poisson, Tweedie

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = ["sums_at_score"]

# By their very class: what inherits from one may have another value.
_LINEAR = frozenset({Poisson, Gamma, Tweedie})


def sums_at_score(loss: Any, shard: Dataset, score: float) -> tuple[float, float] | None:
    """Return the weighted sums of losses and slopes, None where they do not follow.

    Parameters
    ----------
    loss : Loss
        The loss, of one output.
    shard : Dataset
        The rows, of which targets and weights are read.
    score : float
        The score of each.

    Examples
    --------
    >>> from gradstep.rows.dataset import Dataset
    >>> from gradstep.rows.layouts import DenseRows
    >>> rows = Dataset(DenseRows(np.zeros((2, 1))), np.array([[1.0], [3.0]]))
    >>> sums_at_score(Poisson(), rows, 0.0)
    (2.0, -2.0)
    """
    kind = type(loss)
    if kind not in _LINEAR and kind is not LogLoss:
        return None
    y, weight = shard.targets()[:, 0], shard.weights()
    shares: tuple[tuple[float, float], ...]
    if kind is LogLoss:  # each class by itself: no digits of a rare one cancel
        positive = y > 0.0
        shares = (1.0, _sum_of(weight, positive)), (-1.0, _sum_of(weight, ~positive))
    else:
        weight = np.ones(y.size) if weight is None else weight
        whole = float(weight.sum())
        mean = float(np.einsum("i,i->", y, weight)) / whole if whole > 0.0 else 1.0
        shares = ((mean, whole),)
    value = sum(share * loss.value(target, score) for target, share in shares)
    slope = sum(share * loss.slope(target, score) for target, share in shares)
    return float(value), float(slope)


def _sum_of(weight: NDArray[np.float64] | None, which: NDArray[np.bool_]) -> float:
    """Return the sum of the weights of some rows; without weights, their number."""
    return float(np.count_nonzero(which) if weight is None else weight[which].sum())
