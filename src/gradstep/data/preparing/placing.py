"""Rows in numbers, and where they go: what is done with a chunk, whoever has read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.kernels.columns import gather_rows, put_rows
from gradstep.data.roles import cluster_keys, weights_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding
    from gradstep.data.preparing.options import PrepareOptions
    from gradstep.data.roles import Target
    from gradstep.rows.kernels.shuffling import Buckets

__all__ = ["Encoder", "permute", "put", "with_offset"]


@dataclass(frozen=True)
class Encoder:
    """From a chunk of a table to the arrays of a prepared one."""

    encoding: Encoding
    target: Target
    options: PrepareOptions
    class_weights: NDArray[np.float64] | None = None  # by code

    def __call__(
        self, frame: pl.DataFrame, rows: NDArray[np.int64], unseen: Counter[str]
    ) -> dict[str, NDArray[Any]]:
        """Encode the rows of a chunk, which have these numbers in the table."""
        options = self.options
        encoded = self.encoding.encode(frame, unseen)
        target = frame[self.target.column]
        y = self.target.encoded(target)
        weight = None if options.weight is None else weights_of(frame[options.weight], rows)
        parts: dict[str, NDArray[Any]] = encoded._asdict()
        if self.class_weights is not None:
            by_class = self.class_weights[self.target.codes(target).astype(np.intp)]
            weight = by_class if weight is None else weight * by_class
        if options.shift is not None:
            parts["offset"] = offset = options.shift.values(frame, rows)
            if options.log_power is not None:
                options.shift.refuse_exposure(offset)
            y, weight = with_offset(y, weight, offset, options.log_power)
        if options.clusters:
            keys = [cluster_keys(frame[column]) for column in options.clusters]
            parts["clusters"] = np.column_stack(keys)
        parts["y"] = y[:, None]
        if weight is not None:
            parts["weight"] = weight
        return parts

    def pieces(
        self, frame: pl.DataFrame, rows: NDArray[np.int64], unseen: Counter[str]
    ) -> Iterator[tuple[slice, dict[str, NDArray[Any]]]]:
        """Yield ranges of the rows of a chunk that take little memory, encoded."""
        for span in self.encoding.spans(frame.height):
            yield span, self(frame[span], rows[span], unseen)


def with_offset(
    y: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    offset: NDArray[np.float64],
    log_power: float | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return targets and weights that make an offset of the score unnecessary.

    A loss of y - z with offset o is the loss of (y - o) - z. With a logarithmic link and variance
    power p, exp(z + o) in place of exp(z) is the target y·exp(-o) with weight exp(o·(2 - p)): the
    same slopes, and values but for a constant.
    """
    if log_power is None:
        return y - offset, weight
    exposure = np.exp(offset)
    factor = exposure ** (2.0 - log_power)
    if log_power == 2.0:
        return y / exposure, weight
    return y / exposure, factor if weight is None else weight * factor


def put(
    arrays: Mapping[str, NDArray[Any]],
    parts: Mapping[str, NDArray[Any]],
    chosen_rows: NDArray[np.bool_] | None,
    places: NDArray[Any],
) -> None:
    """Write (some of) the encoded rows to their places."""
    for name, array in arrays.items():
        part = parts[name]
        put_rows(part if chosen_rows is None else part[chosen_rows], places, array)


def permute(
    arrays: Mapping[str, NDArray[Any]], buckets: Buckets, lo: int, hi: int, *, first: int = 0
) -> None:
    """Bring the rows of a bucket into their final order; arrays begin with row `first`."""
    order = buckets.permutation(lo, hi)
    for array in arrays.values():
        own = array[lo - first : hi - first]
        own[:] = gather_rows(own, order)
