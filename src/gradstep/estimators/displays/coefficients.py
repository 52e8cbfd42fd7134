"""`CoefficientDisplay`: coefficients beside each other, with their intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from gradstep.checks import check_number
from gradstep.data.roles import written
from gradstep.errors import InvalidParameter
from gradstep.estimators.displays.axes import axes_for, edge_colour, shown
from gradstep.inference.estimates import INTERCEPT
from gradstep.model.coefficients import coefficients
from gradstep.model.intervals import kind_of_errors, per_deviation, with_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from gradstep.inference.estimates import Inference
    from gradstep.model.model import Model

__all__ = ["Coefficient", "CoefficientDisplay"]

_APART = 0.6  # that the coefficients of a feature take, of several outputs


class Coefficient(NamedTuple):
    """A coefficient, as it is drawn.

    Attributes
    ----------
    feature : str
        Whose it is.
    output : str
        The target or class; empty for one output.
    value, low, high : float
        It, and the ends of its interval, NaN if there is none.
    """

    feature: str
    output: str
    value: float
    low: float
    high: float


class CoefficientDisplay:
    """Coefficients beside each other, with their confidence intervals where they are known.

    Parameters
    ----------
    coefficients : sequence of Coefficient
        Those to draw, from the top down.
    label : str
        What the axis of values is called.

    Attributes
    ----------
    points_ : list of ErrorbarContainer
        What was drawn of each output.
    ax_, figure_
        Where it was drawn.

    See Also
    --------
    EffectDisplay : What a column does to the prediction, also of curves.

    Examples
    --------
    >>> import numpy as np
    >>> from gradstep import CoefficientDisplay, MiniBatchRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = X @ [1.0, 0.0] + rng.normal(size=200)
    >>> model = MiniBatchRegressor(penalty=None).fit(X, y)
    >>> display = CoefficientDisplay.from_estimator(model, X, y)  # the rows give intervals
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['x0', 'x1']
    """

    points_: list[Any]
    ax_: Any
    figure_: Any

    def __init__(self, coefficients: Sequence[Coefficient], *, label: str = "coefficient") -> None:
        self.coefficients, self.label = list(coefficients), label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        most: int = 20,
        level: float = 0.95,
        ax: Axes | None = None,
        errorbar_kw: dict[str, Any] | None = None,
        **inference: Any,
    ) -> Self:
        """Draw the coefficients of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted one of gradstep; of tables, see `from_model`.
        X, y : array, optional
            Of an estimator of arrays, what it was fitted to: for intervals.
        most : int
            How many features, those with the largest coefficients.
        level : float
            Of the intervals.
        ax, errorbar_kw
            As of `plot`.
        **inference
            Of an estimator of arrays: sample_weight, covariance, clusters of its `inference`.

        Returns
        -------
        CoefficientDisplay
            What was drawn.
        """
        check_is_fitted(estimator)
        if hasattr(estimator, "model_") or hasattr(estimator, "_model"):
            model = getattr(estimator, "model_", None) or estimator._model
            if X is not None or y is not None or inference:
                msg = (
                    "A model of a table keeps its intervals: leave out X, y and what else "
                    "inference would take, which would change nothing."
                )
                raise InvalidParameter(msg)
            return cls.from_model(model, most=most, level=level, ax=ax, errorbar_kw=errorbar_kw)
        if X is not None or "covariance" in inference:
            found = estimator.inference(X, y, **inference)
            return cls.from_inference(found, most=most, level=level, ax=ax, errorbar_kw=errorbar_kw)
        entries = _of_arrays(estimator)
        return cls(_largest(entries, most)).plot(ax, errorbar_kw=errorbar_kw)

    @classmethod
    def from_inference(
        cls,
        inference: Inference,
        *,
        most: int = 20,
        level: float = 0.95,
        ax: Axes | None = None,
        errorbar_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the coefficients of what `inference` of an estimator returned, but the intercept.

        Parameters
        ----------
        inference : Inference
            What it returned.
        most, level, ax, errorbar_kw
            As of `from_estimator`.
        """
        entries = [
            Coefficient(
                row["feature"], written(row.get("output", "")), row["coefficient"], row["low"],
                row["high"],
            )
            for row in inference.rows(level) if row["feature"] != INTERCEPT
        ]  # fmt: skip
        label = f"coefficient, {100.0 * level:g} % interval"
        return cls(_largest(entries, most), label=label).plot(ax, errorbar_kw=errorbar_kw)

    @classmethod
    def from_model(
        cls,
        model: Model,
        *,
        most: int = 20,
        level: float = 0.95,
        ax: Axes | None = None,
        errorbar_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the coefficients of a model of a table, those of important columns first.

        Numbers for a standard deviation more, so that all are on one scale; levels against the
        most frequent one; of several classes about their mean.

        Parameters
        ----------
        model : Model
            The model.
        most, level, ax, errorbar_kw
            As of `from_estimator`.
        """
        check_number("CoefficientDisplay", "most", most, low=1, whole=True)
        chosen = coefficients(model, most * model.n_outputs, references=False, curves=False)
        found = with_errors(model, chosen, level)
        entries = [
            Coefficient(str(entry["feature"]), written(entry.get("class", "")), *values)
            for entry, values in zip(found, per_deviation(model, found, level), strict=True)
        ]
        label = "for a standard deviation more, or against the most frequent level"
        if model.covariance is not None:
            label += f"\n{100.0 * level:g} % intervals: {kind_of_errors(model)}"
        return cls(entries, label=label).plot(ax, errorbar_kw=errorbar_kw)

    def plot(self, ax: Axes | None = None, *, errorbar_kw: dict[str, Any] | None = None) -> Self:
        """Draw the coefficients.

        Parameters
        ----------
        ax : Axes, optional
            Where; by default on new axes.
        errorbar_kw : dict, optional
            Of `Axes.errorbar`.

        Returns
        -------
        CoefficientDisplay
            Itself.
        """
        ax = axes_for(ax, self)
        features = list(dict.fromkeys(each.feature for each in self.coefficients))
        outputs = list(dict.fromkeys(each.output for each in self.coefficients))
        place = {feature: at for at, feature in enumerate(features)}
        ax.axvline(0.0, color=edge_colour(), linewidth=0.8)
        self.points_ = []
        for number, output in enumerate(outputs):
            own = [each for each in self.coefficients if each.output == output]
            shift = _APART * ((number + 0.5) / len(outputs) - 0.5)
            values = np.array([[each.value, each.low, each.high] for each in own])
            ends = np.abs(values[:, 1:] - values[:, :1]).T
            how: dict[str, Any] = {
                "fmt": "o",
                "markersize": 4.0,
                **({"label": shown(output)} if output else {}),
            }
            self.points_.append(ax.errorbar(
                values[:, 0], [place[each.feature] + shift for each in own],
                xerr=None if np.isnan(ends).all() else ends, **how | (errorbar_kw or {}),
            ))  # fmt: skip
        ax.set_yticks(range(len(features)), [shown(feature) for feature in features])
        ax.set_ylim(len(features) - 0.5, -0.5)
        ax.set_xlabel(self.label)
        if any(outputs):
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _of_arrays(est: Any) -> list[Coefficient]:
    """Return the coefficients of an estimator of arrays, without intervals."""
    coef = est.coef_.toarray() if sp.issparse(est.coef_) else est.coef_
    coef = np.atleast_2d(coef)
    names = getattr(est, "feature_names_in_", [f"x{j}" for j in range(coef.shape[1])])
    classes = getattr(est, "classes_", range(coef.shape[0]))
    outputs = [written(label) for label in classes] if len(coef) > 1 else [""]
    return [
        Coefficient(str(name), output, float(coef[c, j]), math.nan, math.nan)
        for c, output in enumerate(outputs)
        for j, name in enumerate(names)
    ]


def _largest(found: Sequence[Coefficient], most: int) -> list[Coefficient]:
    """Return the coefficients of the features with the largest ones."""
    check_number("CoefficientDisplay", "most", most, low=1, whole=True)
    size: dict[str, float] = {}
    for each in found:
        size[each.feature] = max(size.get(each.feature, 0.0), abs(each.value))
    kept = sorted(size, key=lambda feature: -size[feature])[:most]
    at = {feature: number for number, feature in enumerate(kept)}
    return sorted((e for e in found if e.feature in at), key=lambda e: at[e.feature])
