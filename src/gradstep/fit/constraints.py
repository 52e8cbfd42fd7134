"""Constraints on the coefficients of features, as users of estimators write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.constraints import Constraints
from gradstep.errors import InvalidParameter
from gradstep.optim.solvers import is_automatic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem

__all__ = ["as_stored", "bounds_of", "check_constraints"]


def bounds_of(
    bounds: Any, n_features: int, stored_in: NDArray[np.float64] | None
) -> Constraints | None:
    """Return the constraints that an estimator's `bounds` are.

    Parameters
    ----------
    bounds : None, Constraints or tuple of two
        The least and the greatest coefficients: numbers, or arrays with one for each feature; None
        where there is no bound.
    n_features : int
        Number of features.
    stored_in : ndarray of shape (n_features,), optional
        What the features' numbers were divided by when they were stored.

    Raises
    ------
    InvalidParameter
        If they are no bounds, or not of so many features.
    """
    if bounds is None or isinstance(bounds, Constraints):
        return bounds
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        msg = (
            f"bounds={bounds!r} must be (low, high): two numbers, or arrays with one for each "
            "feature; None or infinity where there is no bound. (0, None) means: none is negative."
        )
        raise InvalidParameter(msg)
    low, high = (
        _bound(name, value, n_features) for name, value in zip(("low", "high"), bounds, strict=True)
    )
    for j in np.flatnonzero(low > high)[:1].tolist():
        msg = f"bounds: the low one of feature {j}, {low[j]:g}, is above the high one, {high[j]:g}."
        raise InvalidParameter(msg)
    unit = np.ones(n_features) if stored_in is None else stored_in
    return Constraints(*as_stored(low, high, unit), np.zeros(n_features, dtype=bool))


def _bound(name: str, value: Any, n_features: int) -> NDArray[np.float64]:
    outermost = np.inf if name == "low" else -np.inf
    try:
        found = np.asarray(-outermost if value is None else value, dtype=np.float64)
        each = np.broadcast_to(found, (n_features,)).copy()
    except (TypeError, ValueError) as error:
        msg = (
            f"bounds: {name} must be a number, or an array of {n_features:,} numbers, one for each "
            "feature."
        )
        raise InvalidParameter(msg) from error
    wrong = np.flatnonzero(np.isnan(each) | (each == outermost))
    if wrong.size:
        msg = f"bounds: {name} of feature {wrong[0]} is {each[wrong[0]]}, which is no bound."
        raise InvalidParameter(msg)
    return each


def as_stored(
    low: NDArray[np.float64], high: NDArray[np.float64], unit: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return bounds of weights of numbers that were divided by a unit.

    Rounded inwards: a weight that keeps to them is a coefficient that does, to the last bit.
    """
    least, greatest = low * unit, high * unit
    least = np.where(least / unit < low, np.nextafter(least, np.inf), least)
    greatest = np.where(greatest / unit > high, np.nextafter(greatest, -np.inf), greatest)
    return np.minimum(least, greatest), greatest


def check_constraints(problem: Problem) -> None:
    """Refuse constraints that a problem cannot keep.

    Parameters
    ----------
    problem : Problem
        What is fixed.

    Raises
    ------
    InvalidParameter
        With the reason, and what to do.
    """
    asked = problem.constraints
    if asked is None:
        return
    why, strengths = None, getattr(problem.penalty, "strengths", None)
    if problem.n_outputs > 1:
        why = (
            f"they are of one coefficient for each feature, and there are {problem.n_outputs} "
            "outputs or classes"
        )
    elif not is_automatic(problem.optimizer):
        if asked.chained.any():
            name = type(problem.optimizer).__name__
            why = (
                f"those of a monotone curve are of two coefficients, and a step of {name} bounds "
                "one by one. Use optimizer='auto' and learning_rate='auto'"
            )
    elif strengths is None:
        why = f"the penalty {type(problem.penalty).__name__} is known by its proximal map alone"
    elif asked.chained.any() and strengths()[0] > 0.0:
        why = "a monotone curve has no l1 penalty. Use l2, or none"
    if why is not None:
        msg = f"Coefficients cannot keep to constraints here: {why}."
        raise InvalidParameter(msg)
