"""Losses of a class: of two classes (y is -1 or +1), and of several at once.

Scale and ties are those of scikit-learn's `SGDClassifier`: hinge acts where y z <= 1,
perceptron where y z <= 0. `Softmax` is the log loss of more than two classes, trained
together; `OneVsRest` makes any loss of two classes one of several.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.objective.elementary import exp, positive_part, sigmoid, softplus
from gradstep.objective.losses import curvature, has_optimum, is_joint, is_smooth, slope, value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.objective.losses import Loss

__all__ = [
    "Hinge",
    "LogLoss",
    "ModifiedHuber",
    "OneVsRest",
    "Perceptron",
    "Softmax",
    "SquaredHinge",
    "as_codes",
    "as_targets",
    "class_probabilities",
    "for_classes",
    "gives_probabilities",
    "winners",
]


def _share_of_positive(y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
    positive = y > 0.0
    return float(positive.mean() if weight is None else np.average(positive, weights=weight))


def _within(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities that are never 0 or 1, as a logistic model's never are: the nearest."""
    least, most = np.finfo(np.float64).tiny, 1.0 - np.finfo(np.float64).epsneg
    within: NDArray[np.float64] = np.clip(probability, least, most)
    return within


class LogLoss(NamedTuple):
    """log(1 + exp(-y z)), the loss of logistic regression.

    Examples
    --------
    >>> round(LogLoss().value(1.0, 0.0), 6), LogLoss().slope(1.0, 0.0)
    (0.693147, -0.5)
    """

    def is_of_classes(self) -> bool:
        """Return True."""
        return True

    def for_classes(self, k: int) -> Any:
        """Return `Softmax` for more than two classes: they are trained together."""
        return self if k == 2 else Softmax()

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row."""
        return softplus(-y * z)

    def slope(self, y: float, z: float) -> float:
        """Return -y / (1 + exp(y z))."""
        return -y * sigmoid(-y * z)

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the score of the best constant prediction."""
        share = min(max(_share_of_positive(y, weight), 1e-12), 1.0 - 1e-12)
        return math.log(share / (1.0 - share))

    def is_smooth(self) -> bool:
        """Return True: there is a second derivative everywhere."""
        return True

    def curvature(self) -> float:
        """Return ¼."""
        return 0.25

    def probability(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of the positive class."""
        e = np.exp(-np.abs(z))
        positive: NDArray[np.float64] = np.where(z >= 0.0, 1.0, e) / (1.0 + e)
        return _within(positive)


class Hinge(NamedTuple):
    """max(0, 1 - y z), the loss of linear support vector machines.

    Examples
    --------
    >>> Hinge().value(1.0, -1.0), Hinge().slope(1.0, 1.0)
    (2.0, -1.0)
    """

    def is_of_classes(self) -> bool:
        """Return True."""
        return True

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row."""
        return positive_part(1.0 - y * z)

    def slope(self, y: float, z: float) -> float:
        """Return -y where y z <= 1, 0 elsewhere."""
        return -y if y * z <= 1.0 else 0.0

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the score of the best constant prediction."""
        return 1.0 if _share_of_positive(y, weight) >= 0.5 else -1.0


class SquaredHinge(NamedTuple):
    """max(0, 1 - y z)².

    Examples
    --------
    >>> SquaredHinge().value(1.0, -1.0), SquaredHinge().slope(1.0, -1.0)
    (4.0, -4.0)
    """

    def is_of_classes(self) -> bool:
        """Return True."""
        return True

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row."""
        short = positive_part(1.0 - y * z)
        return short * short

    def slope(self, y: float, z: float) -> float:
        """Return -2 y max(0, 1 - y z)."""
        return -2.0 * y * positive_part(1.0 - y * z)

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the score of the best constant prediction."""
        return 2.0 * _share_of_positive(y, weight) - 1.0

    def curvature(self) -> float:
        """Return 2."""
        return 2.0


class ModifiedHuber(NamedTuple):
    """max(0, 1 - y z)² where y z >= -1, -4 y z below (Zhang 2004).

    Examples
    --------
    >>> ModifiedHuber().value(1.0, -2.0), ModifiedHuber().slope(1.0, -2.0)
    (8.0, -4.0)
    """

    def is_of_classes(self) -> bool:
        """Return True."""
        return True

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row."""
        short = positive_part(1.0 - y * z)
        return short * short if y * z >= -1.0 else -4.0 * y * z

    def slope(self, y: float, z: float) -> float:
        """Return d loss / d z."""
        return -2.0 * y * min(2.0, positive_part(1.0 - y * z))

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the score of the best constant prediction."""
        return 2.0 * _share_of_positive(y, weight) - 1.0

    def curvature(self) -> float:
        """Return 2."""
        return 2.0

    def probability(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of the positive class: (z + 1) / 2, cut to [0, 1]."""
        positive: NDArray[np.float64] = (np.clip(z, -1.0, 1.0) + 1.0) / 2.0
        return positive


class Perceptron(NamedTuple):
    """max(0, -y z), which moves only on mistakes.

    Examples
    --------
    >>> Perceptron().value(1.0, -2.0), Perceptron().slope(1.0, 0.0)
    (2.0, -1.0)
    """

    def is_of_classes(self) -> bool:
        """Return True."""
        return True

    def has_optimum(self) -> bool:
        """Return False: its least value is that of no weights; steps on mistakes make a model."""
        return False

    def value(self, y: float, z: float) -> float:
        """Return the loss of a row."""
        return positive_part(-y * z)

    def slope(self, y: float, z: float) -> float:
        """Return -y where y z <= 0, 0 elsewhere."""
        return -y if y * z <= 0.0 else 0.0

    def best_constant(self, y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        """Return the score of the best constant prediction."""
        return 0.0


class Softmax(NamedTuple):
    """log Σ_c exp(z_c) - z_y: multinomial logistic regression, y a class index.

    Examples
    --------
    >>> z, slopes = np.zeros(3), np.empty(3)
    >>> round(float(Softmax().row_slopes(1, z, 0, 3, slopes)), 6)
    1.098612
    >>> slopes.round(3)
    array([ 0.333, -0.667,  0.333])
    """

    def row_slopes(self, y: float, z: Any, at: int, k: int, slopes: Any) -> float:
        """Write softmax(z) minus the indicator of y to slopes; return the value."""
        largest = z[at]
        for c in range(1, k):
            largest = max(largest, z[at + c])
        for c in range(k):
            slopes[at + c] = exp(z[at + c] - largest)
        total = 0.0
        for c in range(k):  # a loop of its own: how sums are ordered must not hang on addresses
            total += slopes[at + c]
        for c in range(k):
            slopes[at + c] /= total
        target = at + int(y)
        slopes[target] -= 1.0
        loss: float = largest + np.log(total) - z[target]
        return loss

    def best_scores(
        self, y: NDArray[np.float64], weight: NDArray[np.float64] | None, k: int
    ) -> NDArray[np.float64]:
        """Return the logarithms of the classes' shares, shifted to a sum of zero.

        The loss is blind to a shift of all scores, and so is every step: what intercepts sum to
        in the end is what they begin with.
        """
        share = np.bincount(y.astype(np.intp), weights=weight, minlength=k)
        logs = np.log(np.maximum(share / share.sum(), 1e-12))
        centred: NDArray[np.float64] = logs - logs.mean()
        return centred

    def is_smooth(self) -> bool:
        """Return True: there is a second derivative everywhere."""
        return True

    def curvature(self) -> float:
        """Return ½."""
        return 0.5

    def score_hessian(
        self, z: NDArray[np.float64], weight: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the weighted mean over rows of diag(π) - π·πᵀ, π being softmax of the scores."""
        each = self.probabilities(z)
        own = np.full(z.shape[0], 1.0 / z.shape[0]) if weight is None else weight / weight.sum()
        weighted = each * own[:, None]
        hessian: NDArray[np.float64] = np.diag(weighted.sum(axis=0)) - each.T @ weighted
        return hessian

    def probabilities(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class, rows summing to 1."""
        e = np.exp(z - z.max(axis=1, keepdims=True))
        each: NDArray[np.float64] = e / e.sum(axis=1, keepdims=True)
        return _within(each)


class OneVsRest(NamedTuple):
    """Σ_c loss(±1, z_c): each class against all others, y a class index.

    Parameters
    ----------
    loss : Loss
        A loss of two classes.

    Examples
    --------
    >>> z, slopes = np.zeros(3), np.empty(3)
    >>> float(OneVsRest(Hinge()).row_slopes(1, z, 0, 3, slopes)), slopes.tolist()
    (3.0, [1.0, -1.0, 1.0])
    """

    loss: Loss

    def row_slopes(self, y: float, z: Any, at: int, k: int, slopes: Any) -> float:
        """Write each class's slope; return the sum of the values."""
        total = 0.0
        for c in range(k):
            total += value(self.loss, 1.0 if c == int(y) else -1.0, z[at + c])
        for c in range(k):  # a loop of its own, as in Softmax
            slopes[at + c] = slope(self.loss, 1.0 if c == int(y) else -1.0, z[at + c])
        return total

    def best_scores(
        self, y: NDArray[np.float64], weight: NDArray[np.float64] | None, k: int
    ) -> NDArray[np.float64]:
        """Return each class's best constant score against all others."""
        method = getattr(self.loss, "best_constant", None)
        if method is None:
            return np.zeros(k)
        return np.array([method(np.where(y == c, 1.0, -1.0), weight) for c in range(k)])

    def is_smooth(self) -> bool:
        """Tell whether the loss of two classes is smooth."""
        return is_smooth(self.loss)

    def has_optimum(self) -> bool:
        """Tell whether the loss of two classes has one."""
        return has_optimum(self.loss)

    def curvature(self) -> float | None:
        """Return the bound of the loss of two classes."""
        return curvature(self.loss)


def for_classes(loss: Any, k: int) -> Any:
    """Return what a loss becomes with k classes.

    What its own ``for_classes`` says; else one class against the rest, unless there are two, or
    the loss is of several classes already.

    Examples
    --------
    >>> for_classes(LogLoss(), 3), for_classes(Hinge(), 3), for_classes(Hinge(), 2)
    (Softmax(), OneVsRest(loss=Hinge()), Hinge())
    """
    if hasattr(loss, "for_classes"):
        return loss.for_classes(k)
    return loss if k == 2 or is_joint(loss) else OneVsRest(loss)


def winners(z: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the number of the predicted class from scores of shape (n, k), k = 1 for two."""
    codes: NDArray[np.intp] = (
        (z[:, 0] > 0.0).astype(np.intp) if z.shape[1] == 1 else z.argmax(axis=1)
    )
    return codes


def as_targets(codes: NDArray[Any], k: int) -> NDArray[np.float64]:
    """Return numbers of classes as targets of k scores: -1 and +1 of one, else as they are."""
    return 2.0 * codes - 1.0 if k == 1 else codes.astype(np.float64)


def as_codes(y: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Return the numbers of the classes from targets of k scores."""
    return (y > 0.0 if k == 1 else y).astype(np.intp)


def gives_probabilities(loss: Any) -> bool:
    """Tell whether scores can be made probabilities."""
    inner = getattr(loss, "loss", loss)
    return hasattr(loss, "probabilities") or hasattr(inner, "probability")


def class_probabilities(loss: Any, z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of each class from scores of shape (n, k).

    Parameters
    ----------
    loss : Loss or JointLoss
        One with ``probability`` (one score: of two classes the second's) or ``probabilities``;
        one class against the rest shares the rest's probabilities out.
    z : ndarray of shape (n, k)
        Scores; k is 1 for two classes.
    """
    if hasattr(loss, "probabilities"):
        each: NDArray[np.float64] = loss.probabilities(z)
        return each
    if z.shape[1] == 1:
        positive = loss.probability(z[:, 0])
        if isinstance(loss, LogLoss):  # 1 - positive would be 0 far out
            return np.column_stack([loss.probability(-z[:, 0]), positive])
        return np.column_stack([1.0 - positive, positive])
    each = loss.loss.probability(z)
    total = each.sum(axis=1, keepdims=True)
    nobody = total[:, 0] == 0.0  # no class claims the row: each is as likely
    each[nobody], total[nobody] = 1.0, float(z.shape[1])
    shares: NDArray[np.float64] = each / total
    return _within(shares) if isinstance(loss.loss, LogLoss) else shares
