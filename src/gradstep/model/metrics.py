"""How good predictions are: sums over chunks of rows, so that a table of any size can be evaluated.

Areas under curves and calibration by tenths are none; `gradstep.model.ranking` bounds what is kept
for them: up to 262,144 rows of each class all scores, of more a sample by rank.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.figures import number
from gradstep.model.ranking import Scores, area, calibration, precision_area
from gradstep.objective.losses import is_joint
from gradstep.objective.regression import Pinball

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "DIGITS",
    "ClassificationMetrics",
    "RegressionMetrics",
    "constant_in_words",
    "deviance",
    "in_figures",
    "metrics_in_words",
]

DIGITS = 5  # of metrics, where people read them
_IN_WORDS = {
    "rmse": "root mean square error",
    "mae": "mean absolute error",
    "r2": "R²",
    "deviance": "mean deviance",
    "log_loss": "log loss",
    "brier": "Brier score",
    "auc": "area under ROC",
    "pr_auc": "area under precision-recall",
    "f1": "F1",
    "accuracy": "accuracy",
}

_LEAST = float(np.finfo(np.float64).eps)  # of a probability, as its logarithm is taken


def in_figures(metric: str, value: float) -> str:
    """Return a metric's value as people read it; R², a share of 1, with decimals alone.

    Examples
    --------
    >>> in_figures("rmse", 1136.28), in_figures("log_loss", 0.0000123), in_figures("r2", -0.0000123)
    ('1,136.3', '1.23e-05', '-0.00001')
    """
    if metric != "r2" or not math.isfinite(value) or abs(value) >= 1.0:
        return number(value, DIGITS)
    text = f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def metrics_in_words(loss: Any) -> dict[str, str]:
    """Return what metrics are called that people are shown, by their names, of a loss.

    Of a quantile none that judge a mean: R² would be below 0 of a perfect one.

    Examples
    --------
    >>> from gradstep import Pinball, Softmax, SquaredError
    >>> metrics_in_words(Pinball(quantile=0.9))
    {'pinball': 'pinball loss', 'coverage': 'share at or below (asked for 0.9)'}
    >>> list(metrics_in_words(SquaredError()))[:3], metrics_in_words(Softmax())["f1"]
    (['rmse', 'mae', 'r2'], 'F1, mean over classes')
    """
    if is_joint(loss):  # more than two classes
        return _IN_WORDS | {"f1": "F1, mean over classes"}
    if not isinstance(loss, Pinball):
        return dict(_IN_WORDS)
    covered = f"share at or below (asked for {loss.quantile:g})"
    found = {"pinball": "pinball loss", "coverage": covered}
    if loss.quantile == 0.5:  # the median has the least
        found["mae"] = _IN_WORDS["mae"]
    return found


def constant_in_words(exposure: str | None) -> str:
    """Return what predictions are compared with: with an exposure the rate is constant."""
    return "best constant" if exposure is None else "constant rate × exposure"


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


def _weighted(x: NDArray[Any], weight: NDArray[np.float64] | None) -> NDArray[Any]:
    return x if weight is None else weight * x


@dataclass
class RegressionMetrics:
    """Sums of errors of predicted numbers.

    Parameters
    ----------
    power : float, optional
        Adds the mean deviance of that variance power.
    quantile : float, optional
        Adds the mean pinball loss of that quantile, and which share of the targets is at most
        what is predicted for it.
    """

    power: float | None = None
    quantile: float | None = None
    _sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(8))
    _shift: float | None = None

    def add(
        self,
        y: NDArray[np.float64],
        mean: NDArray[np.float64],
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        """Add rows: targets, predictions, weights."""
        if self._shift is None:
            self._shift = float(y[0]) if y.size else None
        error, apart = y - mean, y - (self._shift or 0.0)
        special = covered = 0.0
        if self.power is not None:
            special = float(_weighted(deviance(self.power, y, mean), weight).sum())
        elif self.quantile is not None:
            pinball = np.maximum(self.quantile * error, (self.quantile - 1.0) * error)
            special = float(_weighted(pinball, weight).sum())
            covered = float(_weighted(error <= 0.0, weight).sum())
        errors, far = _weighted(error, weight), _weighted(apart, weight)
        total = y.size if weight is None else weight.sum()
        # not BLAS, whose last bits depend on threads
        self._sums += np.array([
            y.size, total, (errors * error).sum(), np.abs(errors).sum(), far.sum(),
            (far * apart).sum(), special, covered,
        ])  # fmt: skip

    def merged(self, other: RegressionMetrics) -> RegressionMetrics:
        """Return the metrics of these rows and of others that come after them."""
        if self._shift is None:
            return other
        if other._shift is not None:
            n, weight, square, absolute, total, squares, special, covered = other._sums
            d = other._shift - self._shift  # theirs are counted from another number
            squares, total = squares + 2.0 * d * total + weight * d * d, total + weight * d
            self._sums += np.array([n, weight, square, absolute, total, squares, special, covered])
        return self

    def result(self) -> dict[str, float]:
        """Return rows; of a quantile pinball loss and coverage; rmse, mae, r2; a deviance."""
        n, weight, square, absolute, total, squares, special, covered = self._sums.tolist()
        if weight == 0.0:
            return {"rows": int(n)}
        spread = squares - total * total / weight
        found: dict[str, float] = {"rows": int(n)}
        if self.quantile is not None:
            found |= {"pinball": special / weight, "coverage": covered / weight}
        found |= {
            "rmse": math.sqrt(square / weight),
            "mae": absolute / weight,
            "r2": 1.0 - square / spread if spread > 0.0 else math.nan,
        }
        if self.power is not None:
            found["deviance"] = special / weight
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
    _brier: float = 0.0
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
            own = probabilities[np.arange(code.size), code]
            clipped = np.clip(own, _LEAST, 1.0 - _LEAST)  # as scikit-learn does
            self._log_loss -= float((s * np.log(clipped)).sum())
            squares = (probabilities**2).sum(axis=1) - own**2 + (1.0 - own) ** 2
            self._brier += float((s * squares).sum())
        kinds = code
        if len(self.classes) > 2:  # of the class that is predicted: wrong ones, and right ones
            score = (
                None if probabilities is None else probabilities[np.arange(code.size), predicted]
            )
            kinds = (code == predicted).astype(np.intp)
        if score is not None:
            self._scores = self._scores or [Scores(), Scores()]
            for kind, scores in enumerate(self._scores):
                scores.add(score[kinds == kind], s[kinds == kind])

    def merged(self, other: ClassificationMetrics) -> ClassificationMetrics:
        """Return the metrics of these rows and of others that come after them."""
        self._rows += other._rows
        self._weight += other._weight
        self._right += other._right
        self._brier += other._brier
        self._confusion += other._confusion
        if self._log_loss is not None:
            self._log_loss = None if other._log_loss is None else self._log_loss + other._log_loss
        for own, more in zip(self._scores, other._scores, strict=False):
            own.merge(more)
        self._scores = self._scores or other._scores
        return self

    def result(
        self, probability: Callable[[NDArray[np.float64]], Any] | None = None
    ) -> dict[str, Any]:
        """Return all that is known.

        Parameters
        ----------
        probability : callable, optional
            Returns the probability of the second of two classes for scores, of more that of the
            predicted class for itself; adds the calibration.

        Returns
        -------
        dict
            ``rows``, ``accuracy``, ``f1`` (of the second of two classes, of more the mean over
            classes), ``confusion``; with probabilities ``log_loss`` and ``brier`` (of more than
            two classes the sum over them) and ``calibration`` by tenths of the rows; of two classes
            ``auc`` and ``pr_auc``.
        """
        found: dict[str, Any] = {"rows": self._rows}
        if self._weight == 0.0:
            return found
        found["accuracy"] = self._right / self._weight
        if self._log_loss is not None:
            found["log_loss"] = self._log_loss / self._weight
            found["brier"] = self._brier / self._weight / (2.0 if len(self.classes) == 2 else 1.0)
        found["f1"] = self._f1()
        if self._scores:
            if len(self.classes) == 2:
                found["auc"] = area(*self._scores)
                found["pr_auc"] = precision_area(*self._scores)
            if probability is not None:
                found["calibration"] = calibration(self._scores[0], self._scores[1], probability)
        found["confusion"] = self._confusion.tolist()
        return found

    def _f1(self) -> float:
        """Return 2 true positives over rows of the class and rows predicted, of those there are."""
        right = 2.0 * np.diag(self._confusion)
        both = self._confusion.sum(axis=0) + self._confusion.sum(axis=1)
        each = np.divide(right, both, out=np.zeros(right.size), where=both > 0.0)
        return float(each[1]) if len(self.classes) == 2 else float(each[both > 0.0].mean())
