"""What the first pass learns of a table, piece by piece: the profiles of some rows, and their sum.

Chunks are cut at the ends of pieces, and pieces are merged in the order of the rows. So what is
learned of a table does not depend on who read which piece.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.data.features.profile import (
    LevelProfile,
    add_to,
    kind_of,
    profile_of,
)
from gradstep.data.roles import has_value, weighs, weights_of
from gradstep.errors import InvalidTable
from gradstep.floating_point import as_by_default

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from gradstep.data.preparing.options import PrepareOptions

__all__ = ["Profiles", "Reading"]

_THREADS = 2


@dataclass
class Profiles:
    """What is known of some rows that follow each other.

    Attributes
    ----------
    columns : dict
        Of each column that may become a feature.
    target
        Of the target.
    first : int
        The number of the first row.
    sizes, kept : list
        For each chunk, how many rows it has, and which count: have a target, and a weight above 0;
        None for all.
    chunks : list of int
        How many chunks each piece has.
    weightless : int
        Rows of weight 0, which are no rows.
    heaviest : float
        The largest weight.
    first_class : str or None
        Of a target with classes, the one that counts as 1 in the search for leaks.
    copies : set of str or None
        Columns that are the same as the target in all rows so far; None before the first.
    """

    columns: dict[str, Any]
    target: Any
    first: int = 0
    sizes: list[int] = field(default_factory=list)
    kept: list[NDArray[np.bool_] | None] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    weightless: int = 0
    heaviest: float = 0.0
    first_class: str | None = None
    copies: set[str] | None = None

    @property
    def rows(self) -> int:
        """How many rows."""
        return sum(self.sizes)

    def merged(self, other: Profiles) -> Profiles:
        """Return what is known of these rows and of others that come after them."""
        shift = self.first + self.rows - other.first
        both = self.first_class, other.first_class
        mirrored = None not in both and both[0] != both[1]
        for column, profile in self.columns.items():
            profile.merge(other.columns[column], shift, mirrored=mirrored)
        self.target.merge(other.target, shift)
        self.sizes += other.sizes
        self.kept += other.kept
        self.chunks += other.chunks
        self.weightless += other.weightless
        self.heaviest = max(self.heaviest, other.heaviest)
        self.first_class = self.first_class or other.first_class
        if self.copies is None or other.copies is None:
            self.copies = other.copies if self.copies is None else self.copies
        else:
            self.copies &= other.copies
        return self


@dataclass(frozen=True)
class Reading:
    """How pieces of a table are read and profiled; a task that any machine can run.

    Attributes
    ----------
    table : str
        What messages call the table.
    options : PrepareOptions
        What to make of it.
    kinds : mapping
        Column to the kind of its profile.
    target_kind : str
        That of the target.
    """

    table: str
    options: PrepareOptions
    kinds: Mapping[str, str]
    target_kind: str

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        of = self.options
        roles = (of.target, of.weight, of.offset, of.time)
        return list(dict.fromkeys([*self.kinds, *(c for c in roles if c is not None)]))

    @as_by_default
    def __call__(self, _rows: None, piece: Any) -> Profiles:
        """Profile a piece, whose rows are counted from its own first one."""
        try:
            return self.profile(self.chunks(piece), 0)
        except InvalidTable as error:
            if "of the rows, from 1" in str(error):
                msg = f"{piece.name}: {error}"
                raise InvalidTable(msg) from error
            raise

    def chunks(self, piece: Any) -> Iterator[tuple[pl.DataFrame, int]]:
        """Yield the chunks of a piece, each with the number of its first row within it."""
        first = 0
        for frame in piece.open().chunks(self.columns):
            yield self.as_numbers(frame, first), first
            first += frame.height

    def profile(self, chunks: Iterable[tuple[pl.DataFrame, int]], first: int) -> Profiles:
        """Profile the chunks of a piece; `first` is the number of its first row."""
        found = Profiles(
            {column: profile_of(column, kind) for column, kind in self.kinds.items()},
            profile_of(self.options.target, self.target_kind),
            first,
        )
        with ThreadPoolExecutor(_THREADS, "gradstep-profile") as pool:
            for frame, at in chunks:
                self._add(found, frame, at, pool)
        found.chunks.append(len(found.sizes))
        return found

    def as_numbers(self, frame: pl.DataFrame, first: int) -> pl.DataFrame:
        """Turn text that is to be a number into one."""
        schema = frame.schema  # made anew by each call
        for column, to in self.kinds.items():
            if to == "number" and kind_of(schema[column]) == "category":
                text = frame[column].cast(pl.String)
                numbers = text.str.strip_chars().cast(pl.Float64, strict=False)
                bad = numbers.is_null() & text.is_not_null()
                if bad.any():
                    msg = (
                        f"Column {column!r} of {self.table} has the value "
                        f"{text.filter(bad)[0]!r} in row {first + (bad.arg_max() or 0) + 1} (of "
                        f"the rows, from 1), which is no number. Correct it, or use "
                        f"--as {column}=category."
                    )
                    raise InvalidTable(msg)
                frame = frame.with_columns(numbers.alias(column))
        return frame

    def _add(self, to: Profiles, frame: pl.DataFrame, first: int, pool: Executor) -> None:
        """Add a chunk."""
        options = self.options
        target = frame[options.target]
        counted = weighs(frame, options.weight)
        to.weightless += frame.height - int(counted.sum())
        kept = has_value(target) if self.target_kind == "number" else target.is_not_null()
        rows = np.arange(first, first + frame.height)
        if options.missing_target == "error":
            without = (counted & ~kept).to_numpy()
            if without.any():
                at = int(rows[without][0]) + 1
                msg = f"The target {options.target!r} is missing in row {at} (of the rows, from 1)."
                raise InvalidTable(msg)
        kept &= counted
        flags = None if kept.all() else kept.to_numpy()
        to.kept.append(flags)
        to.sizes.append(frame.height)
        if flags is not None:
            frame, rows = frame.filter(kept), rows[flags]
            target = frame[options.target]
        y: NDArray[np.float64] | None = None
        if self.target_kind == "number":
            to.target.add(target, rows, None)
            y = target.cast(pl.Float64).to_numpy()
        else:
            to.target.add(target, rows)
            y = _as_two(to, target)
        if options.weight is not None:
            heaviest = weights_of(frame[options.weight], rows).max(initial=0.0)
            to.heaviest = max(to.heaviest, float(heaviest))
        add_to(to.columns, frame, rows, y, pool)
        if self.target_kind == "category":
            _note_copies(to, frame, target)


def _as_two(to: Profiles, target: pl.Series) -> NDArray[np.float64] | None:
    """Return a target of two classes so far as numbers, for the search for leaks."""
    counts = to.target.counts
    if counts is None or len(counts) > 2:
        return None
    if to.first_class is None:
        to.first_class = min(counts, default=None)  # in whatever order Polars counts
    if to.first_class is None:
        return None
    return (target.cast(pl.String) == to.first_class).cast(pl.Float64).to_numpy()


def _note_copies(to: Profiles, frame: pl.DataFrame, target: pl.Series) -> None:
    if to.copies is None:
        to.copies = {c for c, of in to.columns.items() if isinstance(of, LevelProfile)}
    text = target.cast(pl.String)
    to.copies = {
        c for c in to.copies
        if bool((frame[c].cast(pl.String) == text).fill_null(value=False).all())
    }  # fmt: skip
