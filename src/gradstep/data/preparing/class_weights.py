"""Weights of classes: given, or such that all classes have the same say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.data.roles import MOST_CLASSES
from gradstep.errors import InvalidParameter, nearest

if TYPE_CHECKING:
    from collections import Counter

    from numpy.typing import NDArray

    from gradstep.data.roles import Target

__all__ = ["class_weights", "count_classes"]


def count_classes(counts: Counter[Any], target: pl.Series) -> None:
    """Add a chunk of the target's values to the counts; no more, once they are too many."""
    if len(counts) <= MOST_CLASSES:
        counts.update(dict(target.drop_nulls().alias("class").value_counts(name="n").iter_rows()))


def class_weights(
    asked: str | tuple[tuple[Any, float], ...], target: Target, counts: Counter[Any]
) -> NDArray[np.float64]:
    """Return the weight of each class, by its code.

    Parameters
    ----------
    asked : "balanced" or tuple of (label, weight)
        As in scikit-learn: rows / (classes · rows of the class); or by label, or as tables write
        it; 1 of classes that are not named.
    target : Target
        The classes.
    counts : Counter
        How many rows each has.

    Raises
    ------
    InvalidParameter
        If there are no classes, or none of a label.
    """
    if target.classes is None:
        msg = (
            f"class_weight={asked!r} needs classes, and the target {target.column!r} is a number. "
            "Use task='classification', or leave it out."
        )
        raise InvalidParameter(msg)
    k = len(target.classes)
    if isinstance(asked, str):  # "balanced"
        codes = target.codes(pl.Series(list(counts))).astype(np.intp)
        rows = np.bincount(codes, list(counts.values()), minlength=k)
        found: NDArray[np.float64] = rows.sum() / (k * rows)
        return found
    given = dict(asked)
    each = [
        given.pop(label, None) if label in given else given.pop(name, 1.0)
        for label, name in zip(target.classes, target.names, strict=True)
    ]
    if given:
        label = next(iter(given))
        msg = (
            f"class_weight names {label!r}, which is no class of the target {target.column!r}."
            f"{nearest(str(label), target.names)} It has {', '.join(target.names[:10])}."
        )
        raise InvalidParameter(msg)
    return np.array(each, np.float64)
