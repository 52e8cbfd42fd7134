"""A model's coefficients, the most important first, and what they say in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.roles import written
from gradstep.objective.classification import LogLoss, Softmax
from gradstep.objective.regression import Pinball

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.model.model import Model

__all__ = ["coefficients", "in_words", "nonzero"]


def nonzero(model: Model) -> int:
    """Return how many coefficients are not zero."""
    return int(np.count_nonzero(model.params[: model.coef_.size]))


def coefficients(model: Model, most: int | None = None) -> list[dict[str, Any]]:
    """Return the coefficients in the columns' own units, those of important features first.

    Importance is the effect of a number's standard deviation, and of a level being the one.

    Parameters
    ----------
    model : Model
        The model.
    most : int, optional
        How many to return.
    """
    encoding, k = model.encoding, model.n_outputs
    own = model.coef_
    scaled = model.params[: own.size].reshape(own.shape)
    labels: Sequence[Any] = [None] if k == 1 else list(model.target.classes or ())
    found: list[dict[str, Any]] = []
    importance = np.abs(scaled).max(axis=0)
    for j in np.argsort(-importance, kind="stable").tolist():
        if importance[j] == 0.0 or (most is not None and len(found) >= most):
            break
        for c in np.flatnonzero(scaled[:, j]).tolist():
            entry = {"feature": encoding.feature_name(j), "coefficient": float(own[c, j]),
                     "importance": float(abs(scaled[c, j]))}  # fmt: skip
            if k > 1:
                entry["class"] = labels[c]
                # what softmax's probabilities depend on: how classes differ
                entry["centred"] = float(own[c, j] - own[:, j].mean())
            if j < len(encoding.numbers):
                entry["unit"] = "day" if encoding.numbers[j].part else "1"
            found.append(entry)
    return found[:most]


def in_words(model: Model, entry: Mapping[str, Any]) -> str:
    """Return what a coefficient says of the prediction, other features being the same."""
    target, value = model.target, float(entry["coefficient"])
    name = str(entry["feature"])
    if "unit" in entry:
        what = f"a day more of {name}" if entry["unit"] == "day" else f"1 more of {name}"
    else:
        what = name
    loss = model.loss
    if target.classes is not None:
        label = written(entry.get("class", target.classes[-1]))
        if isinstance(loss, LogLoss):
            return f"{what}: the odds of {label} times {_factor(value)}"
        if isinstance(loss, Softmax):
            factor = _factor(float(entry["centred"]))
            return f"{what}: {label} times {factor}, beside the average class"
        return f"{what}: the score of {label} {value:+.4g}"
    if hasattr(loss, "inverse_link"):
        return f"{what}: {target.column} times {_factor(value)}"
    of = f"the {loss.quantile:g} quantile of " if isinstance(loss, Pinball) else ""
    verb, to = ("adds", "to") if value >= 0 else ("takes", "from")
    return f"{what} {verb} {abs(value):.4g} {to} {of}{target.column}"


def _factor(exponent: float) -> str:
    """Return e to a power, with as many digits as tell it from 1.

    Examples
    --------
    >>> _factor(0.0002345678), _factor(-2.0), _factor(9.0)
    ('1.000235', '0.1353', '8103')
    """
    value = math.exp(min(max(exponent, -700.0), 700.0))
    if 0.9 < value < 1.1 and exponent != 0.0:
        places = max(3, 2 - math.floor(math.log10(abs(exponent))))
        return f"{value:.{min(places, 15)}f}"
    return f"{value:.4g}"
