"""How good predictions are: sums over chunks of rows, so that a table of any size can be evaluated.

The area under the ROC curve is none; `gradstep.model.ranking` bounds what is kept for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.model.ranking import Scores, area

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ClassificationMetrics", "RegressionMetrics", "deviance"]


def deviance(power: float, y: NDArray[np.float64], mean: NDArray[np.float64]) -> Any:
    """Return each row's deviance for a Tweedie variance power: 0, 1 (Poisson) to 2 (gamma)."""
    if power == 0.0:
        return (y - mean) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        if power == 1.0:
            return 2.0 * (np.where(y > 0.0, y * np.log(y / mean), 0.0) - y + mean)
        if power == 2.0:
            return 2.0 * (np.log(mean / y) + y / mean - 1.0)
        a, b = 1.0 - power, 2.0 - power
        return 2.0 * (np.maximum(y, 0.0) ** b / (a * b) - y * mean**a / a + mean**b / b)


@dataclass
class RegressionMetrics:
    """Sums of errors of predicted numbers.

    Parameters
    ----------
    power : float, optional
        Adds the mean deviance of that variance power.
    quantile : float, optional
        Adds the mean pinball loss of that quantile.
    """

    power: float | None = None
    quantile: float | None = None
    _sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(7))
    _shift: float | None = None

    def add(
        self,
        y: NDArray[np.float64],
        mean: NDArray[np.float64],
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        """Add rows: targets, predictions, weights."""
        s = np.ones(y.size) if weight is None else weight
        if self._shift is None:
            self._shift = float(y[0]) if y.size else None
        error, apart = y - mean, y - (self._shift or 0.0)
        special = 0.0
        if self.power is not None:
            special = float((s * deviance(self.power, y, mean)).sum())
        elif self.quantile is not None:
            pinball = np.maximum(self.quantile * error, (self.quantile - 1.0) * error)
            special = float((s * pinball).sum())
        # not BLAS, whose last bits depend on threads
        self._sums += np.array([
            y.size, s.sum(), (s * error * error).sum(), (s * np.abs(error)).sum(),
            (s * apart).sum(), (s * apart * apart).sum(), special,
        ])  # fmt: skip

    def merged(self, other: RegressionMetrics) -> RegressionMetrics:
        """Return the metrics of these rows and of others that come after them."""
        if self._shift is None:
            return other
        if other._shift is not None:
            n, weight, square, absolute, total, squares, special = other._sums
            d = other._shift - self._shift  # theirs are counted from another number
            squares, total = squares + 2.0 * d * total + weight * d * d, total + weight * d
            self._sums += np.array([n, weight, square, absolute, total, squares, special])
        return self

    def result(self) -> dict[str, float]:
        """Return rows, rmse, mae, r2; deviance or pinball loss if asked for."""
        n, weight, square, absolute, total, squares, special = self._sums.tolist()
        if weight == 0.0:
            return {"rows": int(n)}
        spread = squares - total * total / weight
        found = {
            "rows": int(n),
            "rmse": math.sqrt(square / weight),
            "mae": absolute / weight,
            "r2": 1.0 - square / spread if spread > 0.0 else math.nan,
        }
        if self.power is not None:
            found["deviance"] = special / weight
        elif self.quantile is not None:
            found["pinball"] = special / weight
        return found


@dataclass
class ClassificationMetrics:
    """Sums of errors of predicted classes.

    Parameters
    ----------
    classes : sequence
        The classes, in the order of their codes.
    """

    classes: Sequence[Any]
    _rows: int = 0
    _weight: float = 0.0
    _right: float = 0.0
    _log_loss: float | None = 0.0
    _confusion: NDArray[np.float64] = field(init=False)
    _scores: list[Scores] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._confusion = np.zeros((len(self.classes), len(self.classes)))

    def add(
        self,
        code: NDArray[np.intp],
        predicted: NDArray[np.intp],
        probabilities: NDArray[np.float64] | None,
        score: NDArray[np.float64] | None,
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        """Add rows: codes of classes, those predicted, probabilities, scores of two classes."""
        s = np.ones(code.size) if weight is None else weight
        self._rows += code.size
        self._weight += float(s.sum())
        self._right += float(s[code == predicted].sum())
        np.add.at(self._confusion, (code, predicted), s)
        if probabilities is None:
            self._log_loss = None
        elif self._log_loss is not None:
            least = np.finfo(np.float64).tiny
            own = np.maximum(probabilities[np.arange(code.size), code], least)
            self._log_loss -= float((s * np.log(own)).sum())
        if score is not None and len(self.classes) == 2:
            self._scores = self._scores or [Scores(), Scores()]
            for c, scores in enumerate(self._scores):
                scores.add(score[code == c], s[code == c])

    def merged(self, other: ClassificationMetrics) -> ClassificationMetrics:
        """Return the metrics of these rows and of others that come after them."""
        self._rows += other._rows
        self._weight += other._weight
        self._right += other._right
        self._confusion += other._confusion
        if self._log_loss is not None:
            self._log_loss = None if other._log_loss is None else self._log_loss + other._log_loss
        for own, more in zip(self._scores, other._scores, strict=False):
            own.merge(more)
        self._scores = self._scores or other._scores
        return self

    def result(self) -> dict[str, Any]:
        """Return rows, accuracy, log_loss, auc (two classes) and the confusion matrix."""
        found: dict[str, Any] = {"rows": self._rows}
        if self._weight == 0.0:
            return found
        found["accuracy"] = self._right / self._weight
        if self._log_loss is not None:
            found["log_loss"] = self._log_loss / self._weight
        if self._scores:
            found["auc"] = area(*self._scores)
        found["confusion"] = self._confusion.tolist()
        return found
