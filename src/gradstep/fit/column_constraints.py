"""Constraints on the coefficients of a table's columns, as users write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.columns import LeftOut, LogColumn, NumberColumn
from gradstep.data.features.terms.spline import SplineColumn
from gradstep.diagnostics.of_fits import BOUNDS
from gradstep.engine.constraints import Constraints
from gradstep.errors import InvalidParameter, nearest
from gradstep.fit.constraints import as_stored
from gradstep.optim.solvers import is_automatic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding
    from gradstep.diagnostics.diagnostic import Note
    from gradstep.engine.state import Problem

__all__ = ["ConstraintsOnColumns", "notes_of_bounds"]

_DIRECTIONS = ("increasing", "decreasing")
_NAMED = 5


class ConstraintsOnColumns:
    """What the coefficients of a table's columns are to keep to.

    Parameters
    ----------
    nonnegative : str, or sequence of str, optional
        Columns whose coefficient is not below zero.
    bounds : mapping, optional
        Column: (low, high), in the column's own unit; None or infinity for no bound.
    monotone : str, sequence of str, or mapping, optional
        Columns whose effect rises, or with "decreasing" falls, all along: numbers or splines.

    Examples
    --------
    >>> asked = ConstraintsOnColumns(nonnegative="km", bounds={"hour": (None, 2.0)})
    >>> asked.to_json()
    {'bounds': {'km': [0.0, None], 'hour': [None, 2.0]}, 'monotone': {}}
    """

    def __init__(self, nonnegative: Any = None, bounds: Any = None, monotone: Any = None) -> None:
        self.bounds: dict[str, tuple[float, float]] = {}
        for column in _names("nonnegative", nonnegative):
            self.bounds[column] = (0.0, np.inf)
        if bounds is not None and not isinstance(bounds, Mapping):
            msg = f"bounds={bounds!r} must map columns to (low, high), such as {{'km': (0, 2)}}."
            raise InvalidParameter(msg)
        for column, pair in (bounds or {}).items():
            low, high = _pair(column, pair)
            if column in self.bounds:
                low = max(low, 0.0)
            if low > high:
                msg = f"The bounds of {column!r} leave nothing: {low:g} is above {high:g}."
                raise InvalidParameter(msg)
            self.bounds[column] = (low, high)
        self.monotone = _directions(monotone)
        for column in self.monotone:
            if column in self.bounds:
                msg = f"{column!r} has bounds and is monotone: one of both is enough."
                raise InvalidParameter(msg)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.bounds or self.monotone)

    def to_json(self) -> dict[str, Any]:
        """Return what a model's file and a checkpoint know them by."""
        bounds = {
            column: [bound if np.isfinite(bound) else None for bound in pair]
            for column, pair in self.bounds.items()
        }
        return {"bounds": bounds, "monotone": self.monotone}

    def in_words(self) -> str:
        """Return them in words, one after another."""
        each = [f"{column} {_span(*pair)}" for column, pair in self.bounds.items()]
        each += [f"{column} {direction}" for column, direction in self.monotone.items()]
        return ", ".join(each)

    def as_provenance(self) -> dict[str, Any]:
        """Return what a model's file says of them: nothing, if there are none."""
        return {"constraints": self.to_json()} if self else {}

    def on(self, encoding: Encoding) -> Constraints | None:
        """Return the constraints on the features that the columns became.

        Raises
        ------
        InvalidParameter
            If a column is not there, is no number, or is a part of other terms, too.
        """
        if not self:
            return None
        if not encoding.columns:
            msg = (
                "Constraints are on a table's columns, and rows of svmlight have none, but "
                "numbered features: use bounds of MiniBatchRegressor or MiniBatchClassifier."
            )
            raise InvalidParameter(msg)
        p = encoding.n_features
        low, high, chained = np.full(p, -np.inf), np.full(p, np.inf), np.zeros(p, dtype=bool)
        for column, (least, greatest) in self.bounds.items():
            own = _column(encoding, column)
            if isinstance(own, SplineColumn):
                msg = (
                    f"{column!r} is a curve, which has no coefficient to bound. Ask for a monotone "
                    "one, or leave its spline out."
                )
                raise InvalidParameter(msg)
            j = encoding.numbers.index(own)
            low[j], high[j] = least, greatest
        low, high = as_stored(low, high, encoding.stored_in())
        for column, direction in self.monotone.items():
            own = _column(encoding, column)
            if isinstance(own, SplineColumn):
                begin = encoding.starts[len(encoding.coded) + encoding.placed.index(own)]
                at = np.arange(begin + 1, begin + own.size)
                chained[at] = True
            else:
                at = np.array([encoding.numbers.index(own)])
            (low if direction == "increasing" else high)[at] = 0.0
        return Constraints(low, high, chained)


def _span(low: float, high: float) -> str:
    if low == 0.0 and high == np.inf:
        return "not negative"
    if low == high:
        return f"fixed at {low:g}"
    if low == -np.inf:
        return "free" if high == np.inf else f"at most {high:g}"
    return f"at least {low:g}" if high == np.inf else f"from {low:g} to {high:g}"


def _names(parameter: str, value: Any) -> list[str]:
    found = [value] if isinstance(value, str) else list(value if np.iterable(value) else ())
    if not (value is None or np.iterable(value)) or not all(
        isinstance(name, str) for name in found
    ):
        msg = f"{parameter}={value!r} must be columns' names."
        raise InvalidParameter(msg)
    return found


def _pair(column: str, pair: Any) -> tuple[float, float]:
    try:
        low, high = pair
        low = -np.inf if low is None else float(low)
        high = np.inf if high is None else float(high)
    except (TypeError, ValueError) as error:
        msg = f"The bounds of {column!r} are {pair!r}; they must be two numbers, (low, high)."
        raise InvalidParameter(msg) from error
    if np.isnan(low) or np.isnan(high) or low == np.inf or high == -np.inf:
        msg = f"The bounds of {column!r}, {low:g} and {high:g}, allow no coefficient."
        raise InvalidParameter(msg)
    return low, high


def _directions(monotone: Any) -> dict[str, str]:
    if not isinstance(monotone, Mapping):
        return dict.fromkeys(_names("monotone", monotone), _DIRECTIONS[0])
    for column, direction in monotone.items():
        if direction not in _DIRECTIONS:
            msg = f"{column!r} must be {' or '.join(_DIRECTIONS)}, not {direction!r}."
            raise InvalidParameter(msg)
    return dict(monotone)


def _column(encoding: Encoding, name: str) -> NumberColumn | SplineColumn:
    """Return the number or curve that a column became, if it is all that was made of it."""
    used = [c for c in encoding.columns if not isinstance(c, LeftOut)]
    made = [c for c in used if name in {getattr(c, "source", None), c.name}]
    if not made:
        reasons = {c.source: c.reason for c in encoding.columns if isinstance(c, LeftOut)}
        why = f" It was left out: {reasons[name]}." if name in reasons else ""
        msg = (
            f"A constraint is on {name!r}, which is no column that the model uses."
            f"{why or nearest(name, encoding.sources)}"
        )
        raise InvalidParameter(msg)
    own = made[0]
    if not isinstance(own, (NumberColumn, LogColumn, SplineColumn)) or own.part:
        of_date = any(isinstance(c, NumberColumn) for c in made)
        has = "several coefficients, as dates have" if of_date else "a coefficient for each level"
        msg = (
            f"A constraint is on {name!r}, which is no number: it has {has}. Take a column of "
            "numbers."
        )
        raise InvalidParameter(msg)
    others = [c.name for c in used if c is not own and own.source in _sources(c)]
    if others:
        msg = (
            f"A constraint is on {name!r}, whose effect depends on {', '.join(others)}, too. Leave "
            "the constraint or the other term out."
        )
        raise InvalidParameter(msg)
    return own


def _sources(column: Any) -> set[Any]:
    return {getattr(column, "source", None), getattr(column, "other", None)}


def notes_of_bounds(
    problem: Problem, params: NDArray[np.float64], encoding: Encoding
) -> list[Note]:
    """Return which coefficients of a table's columns ended at a bound, in words."""
    asked = problem.constraints
    if asked is None:
        return []
    bounded = np.isfinite(asked.low) | np.isfinite(asked.high)
    at = np.flatnonzero(bounded & asked.at_bound(params[:-1]))
    columns = list(dict.fromkeys(encoding.source_of(j) for j in at.tolist()))
    if not columns:
        same = is_automatic(problem.optimizer)  # at the optimum; on the way there they may tell
        also = "; without them the model is the same" if same else ""
        return [BOUNDS.note(f"Constraints: no coefficient is at a bound{also}.")]
    more = ", ..." if len(columns) > _NAMED else ""
    which = ", ".join(columns[:_NAMED]) + more
    return [
        BOUNDS.note(
            f"Constraints: {at.size} of {bounded.sum()} are met at their bound, of {which}."
        )
    ]
