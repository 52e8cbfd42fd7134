"""`LossCurveDisplay`: the objective, epoch after epoch."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gradstep.checks import check_choice
from gradstep.errors import InvalidParameter
from gradstep.estimators.displays.axes import axes_for, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from gradstep.engine.records import EpochRecord

__all__ = ["LossCurveDisplay"]

_X = {"epochs": "epochs", "passes": "passes over the rows", "seconds": "seconds"}
_Y = {"loss": "objective", "excess": "objective above its least value"}


class LossCurveDisplay:
    """The objective of a run after each epoch, and the validation score if there is one.

    Parameters
    ----------
    records : sequence of EpochRecord
        What is known of each epoch: `history_` of an estimator, `history` of a fit of a table.
    name : str, optional
        What the curve is called, in a legend.

    Attributes
    ----------
    line_ : Line2D
        The curve.
    validation_line_ : Line2D or None
        That of the validation score, on an axis of its own to the right, `validation_ax_`.
    ax_, figure_
        Where it was drawn.

    See Also
    --------
    CoefficientDisplay, EffectDisplay : What came of the run.
    report : The same and more, on a page, without matplotlib.

    Examples
    --------
    >>> import numpy as np
    >>> from gradstep import LossCurveDisplay, MiniBatchRegressor
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> model = MiniBatchRegressor(learning_rate=0.1, max_iter=5, tol=None).fit(X, X.sum(axis=1))
    >>> display = LossCurveDisplay.from_estimator(model, name="batches of 8")
    >>> display.line_.get_label(), display.ax_.get_xlabel(), len(display.line_.get_xdata())
    ('batches of 8', 'epochs', 5)
    """

    line_: Any
    validation_line_: Any
    ax_: Any
    figure_: Any

    def __init__(self, records: Sequence[EpochRecord], *, name: str | None = None) -> None:
        self.records, self.name = list(records), name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        x: str = "epochs",
        y: str = "loss",
        name: str | None = None,
        ax: Axes | None = None,
        **line_kw: Any,
    ) -> Self:
        """Draw the curve of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted one of gradstep.
        x, y, ax, **line_kw
            As of `plot`.
        name : str, optional
            What the curve is called; by default as the estimator's class.

        Returns
        -------
        LossCurveDisplay
            What was drawn.

        Raises
        ------
        InvalidParameter
            If it keeps no history: `partial_fit` has none, nor has a model that was read.
        """
        check_is_fitted(estimator)
        records = getattr(estimator, "history_", None)
        if not records:
            msg = (
                f"This {type(estimator).__name__} keeps no history of its epochs: `fit` does, not "
                "`partial_fit` or a file."
            )
            raise InvalidParameter(msg)
        name = type(estimator).__name__ if name is None else name
        return cls(records, name=name).plot(ax, x=x, y=y, **line_kw)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        x: str = "epochs",
        y: str = "loss",
        name: str | None = None,
        **line_kw: Any,
    ) -> Self:
        """Draw the curve.

        Parameters
        ----------
        ax : Axes, optional
            Where; by default on new axes.
        x : {"epochs", "passes", "seconds"}
            Against what. A pass is as many rows as there are: the automatic method's epochs may
            take more or less than one.
        y : {"loss", "excess"}
            The objective, or how far it is above its least value, where that is known.
        name : str, optional
            What the curve is called, in place of the display's own name.
        **line_kw
            Of `Axes.plot`.

        Returns
        -------
        LossCurveDisplay
            Itself.
        """
        check_choice("LossCurveDisplay", "x", x, tuple(_X))
        check_choice("LossCurveDisplay", "y", y, tuple(_Y))
        at, values = self._at(x), self._values(y)
        ax = axes_for(ax, self)
        name = self.name if name is None else name
        how: dict[str, Any] = {"marker": "o", "markersize": 4.0} if len(at) < 30 else {}
        how |= {} if name is None else {"label": shown(name)}
        (self.line_,) = ax.plot(at, values, **how | line_kw)
        ax.set(xlabel=_X[x], ylabel=_Y[y])
        if y == "excess":
            ax.set_yscale("log")
        self._plot_validation(ax, at)
        if name is not None or self.validation_line_ is not None:
            lines = [self.line_, self.validation_line_]
            ax.legend(handles=[line for line in (*ax.get_lines(), *lines[1:]) if line is not None])
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_validation(self, ax: Axes, at: list[float]) -> None:
        """Draw the validation score against an axis of its own, since its unit is another."""
        scores = [record.validation for record in self.records]
        self.validation_line_ = self.validation_ax_ = None
        if all(score is None for score in scores):
            return
        self.validation_ax_ = other = ax.twinx()
        (self.validation_line_,) = other.plot(
            at, [np.nan if score is None else score for score in scores], linestyle="--",
            color=self.line_.get_color(), label="validation score (dashed, right)",
        )  # fmt: skip
        other.set_ylabel("validation score")

    def _at(self, x: str) -> list[float]:
        if x == "seconds":
            return list(accumulate(record.seconds for record in self.records))
        if x == "epochs":
            return [float(record.epoch) for record in self.records]
        return [
            float(record.epoch if record.passes is None else record.passes)
            for record in self.records
        ]

    def _values(self, y: str) -> list[float]:
        if y == "loss":
            return [record.loss for record in self.records]
        found = [record.excess for record in self.records]
        if all(value is None for value in found):
            msg = (
                "y='excess': the least value of the objective is not known of this run, as it is "
                "of squared error with optimizer='auto'. Use y='loss'."
            )
            raise InvalidParameter(msg)
        return [np.nan if value is None or value <= 0.0 else value for value in found]
