"""The columns of a table that are no features: what is predicted, weights, offsets."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from gradstep.checks import first_outside
from gradstep.data.from_json import is_text
from gradstep.errors import InvalidTable
from gradstep.objective.classification import as_targets
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

__all__ = ["NO_CLUSTER", "Offset", "Target", "classes_of_numbers", "cluster_keys", "has_value",
           "weighs", "weights_of", "written"]  # fmt: skip

MOST_CLASSES = 1000
NO_CLUSTER = -(1 << 63)  # the key of rows whose cluster is missing
_MOST_SPREAD = 20.0  # of offsets that are logarithms


@dataclass(frozen=True)
class Target:
    """What is predicted: how it is written in tables, coded, and called in predictions.

    Attributes
    ----------
    column : str
        Its name.
    classes : tuple or None
        The classes in the order of their codes 0, 1, …; None for numbers.

    Examples
    --------
    >>> target = Target("paid", (False, True))
    >>> target.codes(pl.Series([True, False])), target.column_names()
    (array([1., 0.]), ['prediction', 'probability_false', 'probability_true'])
    """

    column: str
    classes: tuple[Any, ...] | None = None

    @property
    def task(self) -> str:
        """``"classification"`` or ``"regression"``."""
        return "regression" if self.classes is None else "classification"

    @property
    def n_outputs(self) -> int:
        """Scores of a row."""
        return 1 if self.classes is None or len(self.classes) == 2 else len(self.classes)

    @property
    def is_text(self) -> bool:
        """Whether the classes are text, whatever they look like in another table."""
        return self.classes is not None and isinstance(self.classes[0], str)

    @property
    def names(self) -> list[str]:
        """The classes as tables write them; none for numbers."""
        return [written(label) for label in self.classes or ()]

    def column_names(self, *, probabilities: bool = True) -> list[str]:
        """Return what the columns of predictions are called."""
        each = self.names if probabilities else ()
        return ["prediction", *(f"probability_{name}" for name in each)]

    def codes(self, column: pl.Series) -> NDArray[np.float64]:
        """Return the number of each row's class; one that training did not see is an error."""
        classes = self.classes or ()
        if isinstance(classes[0], (str, bool)):
            code = column.cast(pl.String).cast(pl.Enum(self.names), strict=False).to_physical()
            found = code.cast(pl.Float64).to_numpy()
        else:
            values = column.cast(pl.Float64).to_numpy()
            at = np.minimum(np.searchsorted(classes, values), len(classes) - 1)
            found = np.where(np.asarray(classes, np.float64)[at] == values, at, np.nan)
        if np.isnan(found).any():
            value = column[int(np.isnan(found).argmax())]
            msg = (
                f"The target {self.column!r} has the class {value!r}, which training did not see. "
                f"It saw {', '.join(map(repr, classes[:10]))}."
            )
            raise InvalidTable(msg)
        return found

    def values(self, column: pl.Series) -> NDArray[np.float64]:
        """Return numbers, or codes of classes."""
        if self.classes is None:
            return _numbers(column, f"The target {self.column!r}")
        return self.codes(column)

    def encoded(self, column: pl.Series) -> NDArray[np.float64]:
        """Return what is trained on: numbers; -1 and +1 for two classes, codes for more."""
        found = self.values(column)
        return found if self.classes is None else as_targets(found, self.n_outputs)

    def labels(self, codes: NDArray[np.intp]) -> pl.Series:
        """Return the column of predictions of classes."""
        return pl.Series("prediction", list(self.classes or ())).gather(codes)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return {"column": self.column, "classes": self.classes}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the target that `to_json` wrote.

        Raises
        ------
        ValueError, TypeError, KeyError
            If the classes are not two or more of one type, in rising order.
        """
        column, classes = content["column"], content["classes"]
        if classes is not None:
            kinds = {type(c) for c in classes}
            rising = all(one < next_one for one, next_one in pairwise(classes))
            texts = kinds == {str} and all(map(is_text, classes))
            numbers = kinds in ({bool}, {int}, {float}) and math.isfinite(math.fsum(classes))
            if not (isinstance(classes, list) and len(classes) > 1 and rising and texts | numbers):
                msg = "classes are two or more texts, truths or numbers, in rising order"
                raise ValueError(msg)
        if not is_text(column):
            msg = f"column is {column!r:.60}, which is no name"
            raise ValueError(msg)
        return cls(column, None if classes is None else tuple(classes))


def classes_of_numbers(
    column: str, distinct: Collection[float] | None, task: str
) -> tuple[Any, ...] | None:
    """Return the classes of a target of numbers: if there are two, or the task says so.

    `distinct` are the numbers that there are; None, if more than any classes.
    """
    if task == "regression" or (task == "auto" and (distinct is None or len(distinct) > 2)):
        return None
    if distinct is None:
        msg = (
            f"The target {column!r} has more than {MOST_CLASSES:,} different numbers: too many "
            "classes. Use task='regression', or another column."
        )
        raise InvalidTable(msg)
    fraction = next((value for value in distinct if not float(value).is_integer()), None)
    whole = fraction is None
    if not whole and len(distinct) > 2:
        msg = (
            f"The target {column!r} is continuous: {fraction:g} is one of its {len(distinct):,} "
            "different numbers, which are no classes. Use task='regression'; if they are classes, "
            f"treat them as such ({given('kinds', {column: 'category'})})."
        )
        raise InvalidTable(msg)
    return tuple(int(value) if whole else value for value in sorted(distinct))


def written(label: Any) -> str:
    """Return a class as tables write it."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def has_value(column: pl.Series) -> pl.Series:
    """Tell for each row whether it has a value that is not NaN."""
    if column.dtype.is_float() and not column.null_count():  # Polars' threads may all be reading
        return pl.Series(column.name, ~np.isnan(column.to_numpy()))
    there = column.is_not_null()
    if column.dtype.is_float():
        there &= column.is_not_nan().fill_null(value=False)
    return there


def weighs(frame: pl.DataFrame, column: str | None) -> pl.Series:
    """Return which rows have another weight than 0; what is no weight is left to `weights_of`."""
    all_of_them = pl.Series(np.ones(frame.height, np.bool_))
    if column is None:
        return all_of_them
    try:
        weight = frame[column].cast(pl.Float64, strict=False)
    except pl.exceptions.PolarsError:
        return all_of_them
    return (weight != 0.0).fill_null(value=True)


def weights_of(column: pl.Series, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Return the weights of rows; to be named if wrong, by these numbers in the table."""
    return _finite(column, "weight", rows, low=0.0)


def cluster_keys(column: pl.Series) -> NDArray[np.int64]:
    """Return a key for each row that is the same for rows of one value, whoever reads them.

    Whole numbers and times are their own, text has a hash of 64 bits.

    Examples
    --------
    >>> cluster_keys(pl.Series([7, None, 7])) == [7, NO_CLUSTER, 7]
    array([ True,  True,  True])
    >>> keys = cluster_keys(pl.Series(["a", "b", "a"]))
    >>> keys[0] == keys[2], keys[0] == keys[1]
    (np.True_, np.False_)
    """
    there = has_value(column)
    if column.dtype.is_float():
        bits = (column.cast(pl.Float64).fill_null(0.0).to_numpy() + 0.0).view(np.int64)  # no -0.0
        return np.where(there.to_numpy(), bits, NO_CLUSTER)
    if column.dtype.is_integer() or column.dtype.is_temporal() or column.dtype == pl.Boolean:
        whole = column.to_physical().cast(pl.Int64, wrap_numerical=True)
        return whole.fill_null(NO_CLUSTER).to_numpy()
    if column.dtype.is_nested():
        msg = f"The cluster column {column.name!r} has type {column.dtype}: it must be one value."
        raise InvalidTable(msg)
    text = column.cast(pl.String)
    levels = text.unique().drop_nulls()
    hashes = (hashlib.blake2b(level.encode(), digest_size=8).digest() for level in levels)
    keys = [int.from_bytes(each, "little", signed=True) for each in hashes]
    known = pl.Series(keys, dtype=pl.Int64)
    return text.replace_strict(levels, known, default=NO_CLUSTER, return_dtype=pl.Int64).to_numpy()


@dataclass(frozen=True)
class Offset:
    """A column that is added to the score: as it is, or of an exposure the logarithm.

    Attributes
    ----------
    column : str
        Its name.
    is_exposure : bool
        Whether its logarithm is taken.
    """

    column: str
    is_exposure: bool = False

    @classmethod
    def of(cls, offset: str | None, exposure: str | None) -> Self | None:
        """Return the one that is given, if any."""
        column = exposure if offset is None else offset
        return None if column is None else cls(column, offset is None)

    def in_words(self, *, is_log: bool) -> str:
        """Return what it does to predictions, whose logarithm the score may be.

        Examples
        --------
        >>> Offset("years", is_exposure=True).in_words(is_log=True)
        'years, multiplies the prediction: the model is of the rate for 1 of it'
        >>> Offset("prior").in_words(is_log=False)
        'prior, added to the score, with no coefficient of its own'
        """
        if self.is_exposure:
            return f"{self.column}, multiplies the prediction: the model is of the rate for 1 of it"
        logarithm = ", the logarithm of the prediction" if is_log else ""
        return f"{self.column}, added to the score{logarithm}, with no coefficient of its own"

    def values(
        self, frame: pl.DataFrame, rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Return what is added; rows to be named if wrong, by these numbers in the table."""
        if self.is_exposure:
            return np.log(_finite(frame[self.column], "exposure", rows, low=0.0, above=True))
        return _finite(frame[self.column], "offset", rows)

    def refuse_exposure(self, values: NDArray[np.float64]) -> None:
        """Refuse what must be an exposure, and not its logarithm, as a row that counts e^20 others.

        Raises
        ------
        InvalidTable
            With the range of the numbers, and what to do.
        """
        low, high = values.min(initial=math.inf), values.max(initial=-math.inf)
        if not self.is_exposure and low >= 0.0 and high - low > _MOST_SPREAD:
            msg = (
                f"The offset {self.column!r} goes from {low:g} to {high:g}, and is added to the "
                f"logarithm of the prediction: rows would differ by a factor e^{high - low:.0f}. "
                "It looks like an exposure (a time, a population), not the logarithm of one: use "
                f"{given('exposure', self.column)}, which takes the logarithm."
            )
            raise InvalidTable(msg)


def _finite(
    column: pl.Series, role: str, rows: NDArray[np.int64] | None, low: float = -math.inf, *,
    above: bool = False,
) -> NDArray[np.float64]:  # fmt: skip
    """Return the numbers of a column that must all be finite, and not below (or at) a least one."""
    values = _numbers(column, f"The {role} {column.name!r}")
    at = first_outside(values, low)
    if at is None and above and (values <= low).any():
        at = int((values <= low).argmax())
    if at is not None:
        where = "" if rows is None else f" in row {rows[at] + 1} (of the rows, from 1)"
        least = (" above 0" if above else " from 0 on") if low == 0.0 else ""
        value = "missing" if column[at] is None else f"{column[at]!r}"
        msg = f"The {role} {column.name!r} is {value}{where}: it must be a finite number{least}."
        raise InvalidTable(msg)
    return values


def _numbers(column: pl.Series, what: str) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where it is missing."""
    try:
        found = column.cast(pl.Float64, strict=False)
    except pl.exceptions.PolarsError as error:
        msg = f"{what} has values of type {column.dtype}: they must be numbers."
        raise InvalidTable(msg) from error
    bad = found.is_null() & column.is_not_null()
    if bad.any():
        msg = f"{what} has the value {column.filter(bad)[0]!r}, which is no number."
        raise InvalidTable(msg)
    return found.to_numpy()
