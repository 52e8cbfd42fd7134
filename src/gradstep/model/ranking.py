"""What follows from the ranks of scores of any number of rows: they are thinned, and hardly move.

Scores of a class fill a level. A full level is sorted, of each pair of neighbours one is kept with
the weight of both, and that half goes on to the next level (Munro, Paterson, 1980). Whatever score
one asks about, only the pair around it can change how much weight lies below, by the weight of
the one that is dropped. So n rows of weight 1 on levels of m move no rank by more than
n/m · log2(n/m), as a share of n by log2(n/m)/m; and the area by no more than both classes'
shares together: it is a mean of one class's ranks among the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Weighed = tuple[NDArray[np.float64], NDArray[np.float64]]

__all__ = [
    "Scores",
    "area",
    "auc",
    "average_precision",
    "calibration",
    "calibration_of",
    "curves",
    "precision_area",
]

_TENTHS = 10
MOST = 1 << 18  # rows of each class up to which the area is exact; a billion: to 1e-4


def auc(
    score: NDArray[np.float64],
    positive: NDArray[np.bool_],
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Return the area under the ROC curve: how often a positive row scores above a negative one.

    Ties count half (the Mann-Whitney statistic).

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    weight = np.ones(score.size) if weight is None else weight
    order = np.argsort(score, kind="stable")
    score, positive, weight = score[order], positive[order], weight[order]
    first = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
    above = np.add.reduceat(np.where(positive, weight, 0.0), first)
    below = np.add.reduceat(np.where(positive, 0.0, weight), first)
    total = float(above.sum()) * float(below.sum())
    if total == 0.0:
        return math.nan
    won = above * (below.cumsum() - 0.5 * below)
    return float(won.sum() / total)


def average_precision(
    score: NDArray[np.float64], positive: NDArray[np.bool_], weight: NDArray[np.float64]
) -> float:
    """Return the area under the precision-recall curve, by steps: the mean of the precision.

    Examples
    --------
    >>> score, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    >>> round(average_precision(score, positive, np.ones(4)), 4)
    0.8333
    """
    order = np.argsort(-score, kind="stable")
    score, positive, weight = score[order], positive[order], weight[order]
    first = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
    found = np.add.reduceat(np.where(positive, weight, 0.0), first)
    taken = np.add.reduceat(weight, first).cumsum()
    total = float(found.sum())
    if total == 0.0:
        return math.nan
    precision = np.divide(found.cumsum(), taken, out=np.zeros(taken.size), where=taken > 0.0)
    return float((precision * found).sum() / total)


def curves(
    score: NDArray[np.float64], positive: NDArray[np.bool_], weight: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return what is found, and at what price, as the threshold falls from score to score.

    Returns
    -------
    dict of ndarray
        For each score from high to low: ``recall``, the share of positive rows at or above it;
        ``fallout``, that of negative rows; ``precision``, the share of the rows there that are
        positive. The ROC curve is recall over fallout, from (0, 0) on.

    Examples
    --------
    >>> score, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    >>> curves(score, positive, np.ones(4))["recall"]
    array([0.5, 0.5, 1. , 1. ])
    """
    order = np.argsort(-score, kind="stable")
    score, positive, weight = score[order], positive[order], weight[order]
    last = np.flatnonzero(np.r_[score[1:] != score[:-1], True])
    found = np.where(positive, weight, 0.0).cumsum()[last]
    wrong = np.where(positive, 0.0, weight).cumsum()[last]
    with np.errstate(invalid="ignore"):
        return {
            "recall": found / found[-1],
            "fallout": wrong / wrong[-1],
            "precision": found / (found + wrong),
        }


@dataclass
class Scores:
    """Scores with weights, of which a bounded number is kept.

    Attributes
    ----------
    most : int
        How many on a level.
    weight : float
        Sum of all weights.
    moved : float
        At most so much weight lies on the wrong side of any score.
    """

    most: int = MOST
    weight: float = 0.0
    moved: float = 0.0
    _levels: list[Weighed] = field(default_factory=list)
    _upper: bool = False

    def add(self, score: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
        """Add rows; in what portions changes nothing."""
        self.weight += float(weight.sum())
        self._put(0, score, weight)

    def merge(self, other: Scores) -> None:
        """Add the rows that others stand for, which come after these."""
        self.weight += other.weight
        self.moved += other.moved
        for level, (score, weight) in enumerate(other._levels):
            while level > len(self._levels):
                self._levels.append((np.empty(0), np.empty(0)))
            self._put(level, score, weight)

    def kept(self) -> Weighed:
        """Return the scores that stand for all, with their weights."""
        none = (np.empty(0), np.empty(0))
        score, weight = zip(none, *self._levels, strict=True)
        return np.concatenate(score), np.concatenate(weight)

    def _put(self, level: int, score: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
        if level == len(self._levels):
            self._levels.append((np.empty(0), np.empty(0)))
        while score.size:
            held = self._levels[level]
            if held[0].size == self.most:
                self._levels[level] = (np.empty(0), np.empty(0))
                self._put(level + 1, *self._halved(*held))
                continue
            room = self.most - held[0].size
            self._levels[level] = (
                np.concatenate([held[0], score[:room]]), np.concatenate([held[1], weight[:room]]),
            )  # fmt: skip
            score, weight = score[room:], weight[room:]

    def _halved(self, score: NDArray[np.float64], weight: NDArray[np.float64]) -> Weighed:
        """Return one of each two neighbours, the heavier one, with the weight of both."""
        order = np.argsort(score, kind="stable")
        scores, weights = score[order].reshape(-1, 2), weight[order].reshape(-1, 2)
        lower, upper = weights.T
        self._upper = not self._upper  # of equal ones in turn, so that errors cancel
        at = np.where(lower == upper, self._upper, upper > lower).astype(np.intp)
        apart = scores[:, 0] != scores[:, 1]
        self.moved += float(np.max(np.minimum(lower, upper), where=apart, initial=0.0))
        return scores[np.arange(at.size), at], lower + upper


def _together(
    negative: Scores, positive: Scores
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Return the scores that are kept of both classes, which they are of, and their weights."""
    (low, low_weight), (high, high_weight) = negative.kept(), positive.kept()
    above = np.arange(low.size + high.size) >= low.size
    return np.concatenate([low, high]), above, np.concatenate([low_weight, high_weight])


def area(negative: Scores, positive: Scores) -> float:
    """Return the area under the ROC curve of the scores that are kept of both classes.

    It is off by at most ``moved / weight`` of the one plus that of the other; 0 while all are kept.
    """
    return auc(*_together(negative, positive))


def precision_area(negative: Scores, positive: Scores) -> float:
    """Return the area under the precision-recall curve of the scores that are kept."""
    return average_precision(*_together(negative, positive))


def calibration(
    negative: Scores, positive: Scores, probability: Callable[[NDArray[np.float64]], Any]
) -> list[dict[str, float]]:
    """Return how often what was predicted came true, in tenths of the rows from low scores to high.

    Parameters
    ----------
    negative, positive : Scores
        Those that are kept of both classes.
    probability : callable
        Returns the probability of the positive class for scores.

    Returns
    -------
    list of dict
        ``weight`` of the rows, mean probability that was ``predicted``, share ``observed``. Rows
        of one score stay together, so there may be fewer than ten.
    """
    return calibration_of(*_together(negative, positive), probability)


def calibration_of(
    score: NDArray[np.float64],
    above: NDArray[np.bool_],
    weight: NDArray[np.float64],
    probability: Callable[[NDArray[np.float64]], Any],
) -> list[dict[str, float]]:
    """Return the calibration of rows that are all there; `above` are those of the class."""
    order = np.argsort(score, kind="stable")
    score, above, weight = score[order], above[order], weight[order]
    first = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
    of_score = np.add.reduceat(weight, first)
    middle = of_score.cumsum() - 0.5 * of_score
    tenth = np.minimum((_TENTHS * middle / of_score.sum()).astype(np.intp), _TENTHS - 1)
    tenth = np.repeat(tenth, np.diff(np.r_[first, score.size]))
    each = [
        np.bincount(tenth, values, minlength=_TENTHS)
        for values in (weight, weight * probability(score), weight * above)
    ]
    return [
        {"weight": float(total), "predicted": float(p / total), "observed": float(o / total)}
        for total, p, o in zip(*each, strict=True)
        if total > 0.0
    ]
