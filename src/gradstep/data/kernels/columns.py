"""Columns of numbers, compiled: their sums, their scaling, and where rows are put.

Sums are taken here rather than by BLAS, whose last bits depend on the processor and on
threads. Everything releases the interpreter's lock, so that columns and chunks of rows can be
worked on side by side.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.jit import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Summary", "gather_rows", "put_rows", "standardise", "summarise"]

# Rows that are written by columns stay in the cache from one column to the next: bytes, and rows.
_BLOCK_BYTES, _LEAST_BLOCK = 1 << 19, 2048


class Summary(NamedTuple):
    """What is known of numbers, some of them perhaps missing (NaN).

    Attributes
    ----------
    n, mean, squares, low, high
        Of those that are there: how many, their mean, the sum of (x - mean)², their range.
    y_mean, y_squares, products
        Of the targets of their rows, if those are numbers: the same, and the sum of (x - mean)·(y -
        y_mean).
    missing, first_missing, infinite : int
        How many are missing, and where the first missing and infinite ones are; -1 for none.
    whole : bool
        Whether all are whole numbers.
    """

    n: int
    mean: float
    squares: float
    low: float
    high: float
    y_mean: float
    y_squares: float
    products: float
    missing: int
    first_missing: int
    infinite: int
    whole: bool


@compiled
def _sums_of_all(x: Any, y: Any, out: Any) -> bool:
    """Sum numbers of which none is missing or infinite; False if one is."""
    n = x.size
    total = 0.0
    for i in range(n):
        total += x[i]
    if not np.isfinite(total):
        return False
    mean = total / n
    squares = 0.0
    low = high = np.float64(x[0])
    fraction = 0.0
    for i in range(n):
        v = np.float64(x[i])
        centred = v - mean
        squares += centred * centred
        low = min(low, v)
        high = max(high, v)
        fraction += abs(v - np.floor(v))
    out[0], out[1], out[2], out[3], out[4] = n, mean, squares, low, high
    out[8], out[9], out[10], out[11] = 0.0, -1.0, -1.0, fraction
    if y is not None:
        total = 0.0
        for i in range(n):
            total += y[i]
        y_mean = total / n
        y_squares = products = 0.0
        for i in range(n):
            y_centred = y[i] - y_mean
            y_squares += y_centred * y_centred
            products += y_centred * (np.float64(x[i]) - mean)
        out[5], out[6], out[7] = y_mean, y_squares, products
    return True


@compiled
def _sums_of_some(x: Any, y: Any, out: Any) -> None:
    """Sum numbers of which some are missing."""
    count, missing = 0, 0
    first_missing = infinite = -1
    total = y_total = fraction = 0.0
    low, high = math.inf, -math.inf
    for i in range(x.size):
        v = np.float64(x[i])
        if np.isnan(v):
            missing += 1
            if first_missing < 0:
                first_missing = i
            continue
        if np.isinf(v):
            if infinite < 0:
                infinite = i
            continue
        count += 1
        total += v
        fraction += abs(v - np.floor(v))
        low = min(low, v)
        high = max(high, v)
        if y is not None:
            y_total += y[i]
    mean, y_mean = total / max(1, count), y_total / max(1, count)
    squares = y_squares = products = 0.0
    for i in range(x.size):
        v = np.float64(x[i])
        if np.isfinite(v):
            centred = v - mean
            squares += centred * centred
            if y is not None:
                y_centred = y[i] - y_mean
                y_squares += y_centred * y_centred
                products += y_centred * centred
    out[0], out[1], out[2], out[3], out[4] = count, mean, squares, low, high
    out[5], out[6], out[7] = y_mean, y_squares, products
    out[8], out[9], out[10], out[11] = missing, first_missing, infinite, fraction


def _frozen(x: NDArray[Any]) -> NDArray[Any]:
    """Return an array as the one type that is compiled for: contiguous, read-only."""
    view = np.ascontiguousarray(x).view()
    view.flags.writeable = False
    return view


def summarise(x: NDArray[Any], y: NDArray[np.float64] | None = None) -> Summary:
    """Return what is known of numbers.

    Parameters
    ----------
    x : ndarray of shape (n,), float64 or float32
        The numbers; NaN where missing.
    y : ndarray of shape (n,), float64, optional
        The targets of their rows.

    Examples
    --------
    >>> summarise(np.array([1.0, np.nan, 3.0]))[:5]
    (2, 2.0, 2.0, 1.0, 3.0)
    """
    out = np.zeros(12)
    out[3:5], out[9:11] = (math.inf, -math.inf), -1.0  # of no numbers
    if x.size:
        x, y = _frozen(x), None if y is None else _frozen(y)
        if not _sums_of_all(x, y, out):
            _sums_of_some(x, y, out)
    count, *numbers, missing, first_missing, infinite, fraction = out.tolist()
    mean, squares, low, high, y_mean, y_squares, products = numbers
    return Summary(
        int(count), mean, squares, low, high, y_mean, y_squares, products,
        int(missing), int(first_missing), int(infinite), fraction == 0.0,
    )  # fmt: skip


@compiled
def _standardise(x: Any, mean: float, scale: float, values: Any, j: int) -> int:
    gone = 0
    for i in range(x.size):
        scaled = (np.float64(x[i]) - mean) / scale
        if np.isnan(scaled):
            gone += 1
            values[i, j] = 0.0
        else:
            values[i, j] = scaled
    return gone


def standardise(
    columns: Sequence[tuple[NDArray[Any], float, float]], values: NDArray[Any], first: int = 0
) -> list[int]:
    """Write (x - mean) / scale of columns, 0 where missing, beside each other.

    Parameters
    ----------
    columns : sequence of (ndarray of shape (n,), float, float)
        The numbers, float64 or float32, NaN where missing; mean and scale.
    values : ndarray of shape (n, width)
        Where they are written.
    first : int
        The first column that is written.

    Returns
    -------
    list of int
        How many of each column are missing.

    Examples
    --------
    >>> values = np.zeros((3, 2))
    >>> standardise([(np.array([1.0, np.nan, 3.0]), 1.0, 2.0)], values, first=1)
    [1]
    >>> values[:, 1].tolist()
    [0.0, 0.0, 1.0]
    """
    frozen = [(_frozen(x), mean, scale) for x, mean, scale in columns]
    gone = [0] * len(frozen)
    step = max(_LEAST_BLOCK, _BLOCK_BYTES // max(1, len(frozen) * values.itemsize))
    for lo in range(0, len(values), step):
        block = values[lo : lo + step]
        for j, (x, mean, scale) in enumerate(frozen):
            gone[j] += _standardise(x[lo : lo + step], mean, scale, block, first + j)
    return gone


@compiled
def _put_rows(rows: Any, places: Any, to: Any) -> None:
    for i in range(places.size):
        at = places[i]
        for j in range(rows.shape[1]):
            to[at, j] = rows[i, j]


def put_rows(rows: NDArray[Any], places: NDArray[np.int64], to: NDArray[Any]) -> None:
    """Write rows, in one or two dimensions, to their places in an array."""
    width = (-1, 1) if rows.ndim == 1 else rows.shape
    if rows.size:
        _put_rows(_frozen(rows.reshape(width)), _frozen(places), to.reshape(len(to), -1))


@compiled
def _gather_rows(rows: Any, order: Any, to: Any) -> None:
    for i in range(order.size):
        for j in range(rows.shape[1]):
            to[i, j] = rows[order[i], j]


def gather_rows(rows: NDArray[Any], order: NDArray[np.uint32]) -> NDArray[Any]:
    """Return a copy of rows in another order."""
    copy = np.empty(rows.shape, rows.dtype)
    if rows.size:
        flat = rows.reshape(len(rows), -1)
        _gather_rows(_frozen(flat), _frozen(order), copy.reshape(len(copy), -1))
    return copy
