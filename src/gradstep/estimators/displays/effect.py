"""`EffectDisplay`: what is predicted as one column changes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.data.roles import written
from gradstep.errors import InvalidParameter, nearest
from gradstep.estimators.displays.axes import axes_for, short_dates, shown
from gradstep.model.effects import effects
from gradstep.reporting.sections.effects import predicted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gradstep.model.effects import Effect
    from gradstep.model.model import Model

__all__ = ["EffectDisplay"]

_APART = 0.5  # that the outputs of a level take


class EffectDisplay:
    """What is predicted as one column changes, the others at a typical value, with intervals.

    Typical is the mean of a number and the most frequent level of a category. Intervals are those
    of the mean, under 'pinball' of the quantile, of 95 %.

    Parameters
    ----------
    effect : Effect
        What to draw (`gradstep.model.effects`).
    predicted : str
        What is predicted, as the axis is called.

    Attributes
    ----------
    lines_ : list
        What was drawn of each output: a line, or of levels points with bars.
    bands_ : list
        The intervals of lines, where they are known.
    ax_, figure_
        Where it was drawn.

    See Also
    --------
    CoefficientDisplay : All coefficients beside each other.

    Examples
    --------
    >>> import numpy as np
    >>> import polars as pl
    >>> from gradstep import EffectDisplay, TableRegressor
    >>> km = np.linspace(1.0, 9.0, 60)
    >>> trips = pl.DataFrame({"km": km, "fare": 3.0 + 2.5 * km + np.tile([1.0, -1.0], 30)})
    >>> model = TableRegressor().fit(trips, "fare")
    >>> display = EffectDisplay.from_estimator(model, "km")
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel(), len(display.lines_)
    ('km', 'fare', 1)
    """

    lines_: list[Any]
    bands_: list[Any]
    ax_: Any
    figure_: Any

    def __init__(self, effect: Effect, *, predicted: str) -> None:
        self.effect, self.predicted = effect, predicted

    @classmethod
    def from_estimator(
        cls, estimator: Any, column: str | None = None, *, ax: Axes | None = None, **line_kw: Any
    ) -> Self:
        """Draw the effect of a column in a fitted estimator of tables.

        Parameters
        ----------
        estimator : TableRegressor or TableClassifier
            A fitted one; or one of arrays that was fitted to a prepared table.
        column, ax, **line_kw
            As of `from_model`.

        Returns
        -------
        EffectDisplay
            What was drawn.

        Raises
        ------
        InvalidParameter
            If it was fitted to arrays, or has no effect of such a column.
        """
        check_is_fitted(estimator)
        model = getattr(estimator, "model_", None) or getattr(estimator, "_model", None)
        if model is None:
            msg = (
                f"{type(estimator).__name__} was fitted to arrays, whose rows it does not keep. "
                "Use TableRegressor or TableClassifier, or scikit-learn's PartialDependenceDisplay."
            )
            raise InvalidParameter(msg)
        return cls.from_model(model, column, ax=ax, **line_kw)

    @classmethod
    def from_model(
        cls, model: Model, column: str | None = None, *, ax: Axes | None = None, **line_kw: Any
    ) -> Self:
        """Draw the effect of a column in a model of a table.

        Parameters
        ----------
        model : Model
            The model.
        column : str, optional
            The column; by default the one that matters most.
        ax, **line_kw
            As of `plot`.
        """
        found = effects(model, most=1 if column is None else sys.maxsize)
        chosen = next((each for each in found if column in {None, each.column}), None)
        if chosen is None:
            raise InvalidParameter(_why_none(model, column, [each.column for each in found]))
        return cls(chosen, predicted=predicted(model)).plot(ax, **line_kw)

    def plot(self, ax: Axes | None = None, **line_kw: Any) -> Self:
        """Draw the effect.

        Parameters
        ----------
        ax : Axes, optional
            Where; by default on new axes.
        **line_kw
            Of `Axes.plot`, or of levels `Axes.errorbar`.

        Returns
        -------
        EffectDisplay
            Itself.
        """
        ax = axes_for(ax, self)
        effect = self.effect
        self.lines_, self.bands_ = [], []
        several = len(effect.outputs) > 1
        for c, output in enumerate(effect.outputs):
            how = line_kw | ({"label": shown(written(output))} if several else {})
            self._curve(ax, c, how) if effect.is_curve else self._levels(ax, c, how)
        if not effect.is_curve:
            more = [f"and {effect.more:,} more"] if effect.more else []
            ax.set_xticks(range(len(effect.at)), [shown(str(level)) for level in effect.at])
            if max(map(len, map(str, effect.at))) * len(effect.at) > 60:
                ax.tick_params("x", rotation=90)
            ax.set_xlabel(", ".join([shown(effect.column), *more]))
        else:
            ax.set_xlabel(shown(effect.column))
            if effect.is_date:
                short_dates(ax)
        ax.set_ylabel(shown(self.predicted))
        if several:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _curve(self, ax: Axes, c: int, how: dict[str, Any]) -> None:
        effect = self.effect
        x = effect.at.round().astype("datetime64[D]") if effect.is_date else effect.at
        (line,) = ax.plot(x, effect.mean[:, c], **how)
        self.lines_.append(line)
        if effect.low is not None and effect.high is not None:
            self.bands_.append(ax.fill_between(
                x, effect.low[:, c], effect.high[:, c], color=line.get_color(), alpha=0.25,
                linewidth=0.0,
            ))  # fmt: skip

    def _levels(self, ax: Axes, c: int, how: dict[str, Any]) -> None:
        effect, n = self.effect, len(self.effect.outputs)
        x = np.arange(len(effect.at)) + _APART * ((c + 0.5) / n - 0.5)
        bars = None
        if effect.low is not None and effect.high is not None:
            bars = np.abs(np.stack([effect.low[:, c], effect.high[:, c]]) - effect.mean[:, c])
        drawn: dict[str, Any] = {"fmt": "o", "markersize": 4.0, **how}
        points = ax.errorbar(x, effect.mean[:, c], yerr=bars, **drawn)
        self.lines_.append(points)


def _why_none(model: Model, column: str | None, known: list[str]) -> str:
    if isinstance(model.encoding, SparseEncoding):
        return "Sparse text has no effects: its features have no names or ranges."
    if not known:
        return "There are no effects: all columns are categories whose levels are hashed."
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return (
        f"The model has no effect of {column!r}.{nearest(column, known)} It has those of {listed}."
    )
