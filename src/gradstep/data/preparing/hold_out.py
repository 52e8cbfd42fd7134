"""Which rows are held out: a share of them by their positions, or the latest ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from gradstep.data.features.profile import as_days, kind_of
from gradstep.errors import InvalidTable
from gradstep.rows.kernels.shuffling import chosen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradstep.data.preparing.first_pass import FirstPass

__all__ = ["HELD_OUT", "HoldOut", "Rule", "share_of"]

_MOST_ROWS = 1_000_000
HELD_OUT, _TIMES = 7, 8  # paths of keys, apart from those of orders
_SAMPLE_OF_TIMES = 1_000_000


class Rule(NamedTuple):
    """Which rows are held out: a function of a row's number, or of its time.

    Attributes
    ----------
    share : float
        The share of the rows, 0 for none.
    seed : int
        What the choice depends on.
    time : str or None
        The column with the times of the rows, of which the latest are held out.
    latest : float
        The latest time that is not held out.
    """

    share: float
    seed: int
    time: str | None = None
    latest: float = 0.0

    def flags(self, frame: pl.DataFrame, first: int) -> NDArray[np.bool_]:
        """Return which rows are held out."""
        if self.share == 0.0:
            return np.zeros(frame.height, np.bool_)
        if self.time is not None:
            return _times(frame[self.time]) > self.latest
        return chosen(self.seed, first, frame.height, self.share, HELD_OUT)


def share_of(validation: float, n: int) -> float:
    """Return the share of n rows that is held out at random."""
    return min(validation, _MOST_ROWS / n)


class HoldOut:
    """The rows to validate on.

    Parameters
    ----------
    first_pass : FirstPass
        What the first pass found.
    wanted : bool
        Whether any are to be taken from the table.

    Attributes
    ----------
    share : float
        The share of the rows, 0 for none.
    """

    def __init__(self, first_pass: FirstPass, *, wanted: bool) -> None:
        self._first_pass, self._latest = first_pass, 0.0
        self.share = first_pass.options.validation if wanted else 0.0
        if first_pass.options.time is None:
            self.share = share_of(self.share, first_pass.n_kept)
        elif self.share > 0.0:
            self._split_by_time()

    @property
    def rule(self) -> Rule:
        """Which rows are held out."""
        options = self._first_pass.options
        return Rule(self.share, options.seed, options.time, self._latest)

    def _split_by_time(self) -> None:
        """Find the time after which rows are held out, on a bounded sample of the rows."""
        first_pass, name = self._first_pass, str(self._first_pass.options.time)
        dtype = first_pass.table.schema[name]
        if kind_of(dtype) not in {"date", "number"}:
            msg = (
                f"The time column {name!r} has type {dtype}: it must hold dates, times or numbers."
            )
            raise InvalidTable(msg)
        found, first = [], 0
        share = min(1.0, _SAMPLE_OF_TIMES / first_pass.n_kept)
        for times, kept in zip(self._times(), first_pass.kept, strict=True):
            counted = np.ones(times.size, np.bool_) if kept is None else kept
            missing = counted & np.isnan(times)
            if missing.any():
                at = first + int(missing.argmax()) + 1
                msg = f"The time column {name!r} is missing in row {at}."
                raise InvalidTable(msg)
            drawn = chosen(first_pass.options.seed, first, times.size, share, _TIMES)
            found.append(times[drawn & counted])
            first += times.size
        times = np.sort(np.concatenate(found))
        keep = min(times.size - 1, math.floor(times.size * (1.0 - self.share)))
        self._latest = float(times[max(0, keep - 1)])
        if self._latest == times[-1]:  # more rows than are asked for have the last time
            before = times[times < times[-1]]
            if not before.size:
                msg = (
                    f"The time column {name!r} has the same time in every row: no rows can "
                    "be held out as the latest."
                )
                raise InvalidTable(msg)
            self._latest = float(before[-1])

    def counts(self) -> list[tuple[int, int]]:
        """Return how many rows of each chunk are trained on and held out."""
        first_pass, found, first = self._first_pass, [], 0
        by_time = self.share > 0.0 and first_pass.options.time is not None
        times = self._times() if by_time else None
        for size, kept in zip(first_pass.sizes, first_pass.kept, strict=True):
            counted = size if kept is None else int(kept.sum())
            held_out = 0
            if self.share > 0.0:
                flags = (
                    chosen(first_pass.options.seed, first, size, self.share, HELD_OUT)
                    if times is None
                    else next(times) > self._latest
                )
                held_out = int((flags if kept is None else flags & kept).sum())
            found.append((counted - held_out, held_out))
            first += size
        return found

    def _times(self) -> Iterator[NDArray[np.float64]]:
        """Yield the times of the rows, in the chunks of the other passes."""
        name, left = str(self._first_pass.options.time), np.zeros(0)
        chunks = (_times(frame[name]) for frame in self._first_pass.table.chunks([name]))
        for size in self._first_pass.sizes:
            parts = [left]
            while sum(part.size for part in parts) < size:
                more = next(chunks, None)
                if more is None:
                    self._first_pass.refuse_change("fewer")
                parts.append(more)
            joined = np.concatenate(parts)
            yield joined[:size]
            left = joined[size:]


def _times(series: pl.Series) -> NDArray[np.float64]:
    if kind_of(series.dtype) == "date":
        return as_days(series)
    return series.cast(pl.Float64).to_numpy()
