"""Checks of numbers, sizes, choices, rows, labels and weights; each failure is one message."""

from __future__ import annotations

import math
import re
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.errors import InvalidData, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray


__all__ = [
    "OUT_OF_RANGE",
    "check_choice",
    "check_finite",
    "check_labels",
    "check_number",
    "check_weights",
    "first_outside",
    "is_one_of",
    "out_of_range",
    "parts_of_list",
    "read_bytes",
]

_FARTHEST_WEIGHT = 1e100
_IMPUTE = "Impute missing values first (sklearn.impute.SimpleImputer), or drop those rows."
_LONGEST = 80  # characters of a value that a message repeats
_FEW = 1 << 12  # numbers that are looked at one by one as fast as they are summed
OUT_OF_RANGE = (  # of weights
    "what it is multiplied by would leave the range of floating-point numbers. Only the ratios of "
    "weights count: divide them by their mean."
)


def check_number(
    owner: str,
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    whole: bool = False,
    finite: bool = False,
) -> None:
    """Refuse what is not a number (a whole or finite one, if asked for) in a range.

    Raises
    ------
    InvalidParameter
        With the parameter, its owner, what is allowed, and what came.
    """
    own = type(value)
    right_kind = own is int or (own is float and not whole)  # as nearly always, told at once
    if not right_kind:
        kind = Integral if whole else Real
        right_kind = isinstance(value, kind) and not isinstance(value, (bool, np.bool_))
    if right_kind and not math.isnan(value):
        above = value > low if open_low else value >= low
        below = value < high if open_high else value <= high
        if above and below and (math.isfinite(value) or not (whole or finite)):
            return
    what = "a whole number" if whole else "a finite number" if finite else "a number"
    bounds = []
    if low > -math.inf:
        bounds.append(f"{'>' if open_low else '>='} {low:g}")
    if high < math.inf:
        bounds.append(f"{'<' if open_high else '<='} {high:g}")
    span = f" {' and '.join(bounds)}" if bounds else ""
    msg = f"{name}={_shown(value)} of {owner} must be {what}{span}."
    raise InvalidParameter(msg)


def _shown(value: Any) -> str:
    """Return how a value is written; of a long text its beginning, of a table its type."""
    written = repr(value)
    if isinstance(value, str) or (len(written) <= _LONGEST and "\n" not in written):
        return written if len(written) <= _LONGEST else f"{written[:_LONGEST]}…"
    return type(value).__name__


def is_one_of(value: Any, allowed: Collection[Any]) -> bool:
    """Tell whether a value is one of those allowed; 1 is not True."""
    plain = value.item() if isinstance(value, np.generic) else value
    for choice in allowed:
        if plain is choice or (type(plain) is type(choice) and plain == choice):
            return True
    return False


def check_choice(owner: str, name: str, value: Any, allowed: Collection[Any]) -> None:
    """Refuse what is not one of the values allowed."""
    if not is_one_of(value, allowed):
        names = ", ".join(repr(choice) for choice in allowed)
        msg = f"{name}={_shown(value)} of {owner} must be one of {names}."
        raise InvalidParameter(msg)


def _all_finite(values: NDArray[Any]) -> bool:
    """Tell whether all are finite; of many, usually from their sum alone."""
    if values.size <= _FEW:
        return bool(np.logical_and.reduce(np.isfinite(values), axis=None))
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(np.add.reduce(values, axis=None)):
            return True
    return bool(np.isfinite(values).all())


def check_finite(
    X: Any,
    name: str,
    columns: Sequence[str] | None = None,
    *,
    missing: str = _IMPUTE,
) -> None:
    """Refuse NaN and infinity, naming the first one's row and column, and how many there are.

    Parameters
    ----------
    X : ndarray or CSR matrix of floats
        The values.
    name : str
        What to call them.
    columns : sequence of str, optional
        The columns' names.
    missing : str
        What to do about NaN.
    """
    sparse = hasattr(X, "indptr")
    values = X.data if sparse else X
    if values.dtype.kind != "f" or _all_finite(values):
        return
    bad = np.flatnonzero(~np.isfinite(values.reshape(-1)))
    first = values.reshape(-1)[bad[0]]
    if sparse:
        row = int(np.searchsorted(X.indptr, bad[0], side="right")) - 1
        column: int | None = int(X.indices[bad[0]])
    else:
        row, column = divmod(int(bad[0]), X.shape[1]) if X.ndim == 2 else (int(bad[0]), None)
    place = f"row {row}"
    if column is not None:
        label = f" ({columns[column]!r})" if columns is not None else ""
        place += f", column {column}{label}"
    what = "NaN" if np.isnan(first) else "infinity (inf)"
    rest = f"; {bad.size} values in all are NaN or infinite" if bad.size > 1 else ""
    clip = "Clip or drop them; a value too large for float32 needs float64."
    fix = missing if np.isnan(first) else clip
    msg = f"{name} contains {what} at {place}{rest}. {fix}"
    raise InvalidData(msg)


def check_labels(y: NDArray[Any], name: str) -> None:
    """Refuse missing labels, naming the first one's row.

    Parameters
    ----------
    y : ndarray
        Labels of any type.
    name : str
        What to call them.
    """
    if y.dtype.kind == "f":
        check_finite(y, name, missing="Drop those rows.")
    if y.dtype.kind != "O":
        return
    missing = np.array([label is None or label != label for label in y.reshape(-1)])  # noqa: PLR0124
    if missing.any():
        msg = (
            f"{name} contains None or NaN at row {int(np.argmax(missing))}: a missing label, "
            f"{int(missing.sum())} in all. Drop those rows, or give them a label of their own."
        )
        raise InvalidData(msg)


def first_outside(values: NDArray[np.float64], low: float = -math.inf) -> int | None:
    """Return where the first number is that is not finite, or too low; None if there is none."""
    bad = ~(np.isfinite(values) & (values >= low))
    return int(bad.argmax()) if bad.any() else None


def check_weights(weight: NDArray[np.float64], name: str = "sample_weight") -> None:
    """Refuse weights that are not finite, negative, or all zero."""
    check_finite(weight, name, missing="Drop those rows, or give them the weight 0.")
    row = first_outside(weight, 0.0)
    if row is not None:
        msg = (
            f"{name} is {weight[row]:g} at row {row} ({int((weight < 0.0).sum())} negative "
            "weights). A weight says how often a row counts: use 0 to leave it out."
        )
        raise InvalidData(msg)
    if not weight.any():
        msg = f"{name} is zero in every row: there is nothing to train on."
        raise InvalidData(msg)
    if out_of_range(float(weight.max())):
        msg = f"{name} is {weight.max():.3g} at most: {OUT_OF_RANGE}"
        raise InvalidData(msg)


def out_of_range(weight: float) -> bool:
    """Tell whether the largest weight is one whose sums and products leave the numbers."""
    return not 1.0 / _FARTHEST_WEIGHT <= weight <= _FARTHEST_WEIGHT


def parts_of_list(text: str) -> list[str]:
    r"""Return what stands between commas; one that belongs to a name is written ``\,``.

    Examples
    --------
    >>> parts_of_list(r"a,km\, paid")
    ['a', 'km, paid']
    """
    return [part.replace("\\,", ",") for part in re.split(r"(?<!\\),", text) if part]


_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def read_bytes(text: str, name: str) -> int:
    """Return a size such as ``2GB`` as a number of bytes; `name` is whose it is.

    Examples
    --------
    >>> read_bytes("2GB", "--memory"), read_bytes("1000", "--memory")
    (2147483648, 1000)
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if found is None:
        msg = f"{name} {text} is no size. Write it as 2GB, or 500MB."
        raise InvalidParameter(msg)
    return int(float(found[1]) * _UNITS[found[2].upper()])
