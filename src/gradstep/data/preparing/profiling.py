"""What the first pass learns of a table, piece by piece: the profiles of some rows, and their sum.

Chunks are cut at the ends of pieces, and pieces are merged in the order of the rows. So what is
learned of a table does not depend on who read which piece.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.data.features.leaks import LeakSearch
from gradstep.data.features.profile import add_to, profile_of
from gradstep.data.features.terms.counts import ValueCounts
from gradstep.data.formats.recognition import Spelling
from gradstep.data.preparing.class_weights import count_classes
from gradstep.data.preparing.raw_exposure import OffsetSums
from gradstep.data.roles import has_value, weighs, weights_of
from gradstep.data.sources.bad_value import BadValue
from gradstep.errors import InvalidTable
from gradstep.floating_point import as_by_default

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from gradstep.data.preparing.options import PrepareOptions

__all__ = ["Profiles", "Reading", "of_file"]

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
    counts : Counter
        Rows of each class, if classes are to have weights.
    leaks : LeakSearch
        The columns that may give the target away.
    offset : OffsetSums
        What tells whether an offset is an exposure.
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
    counts: Counter[Any] = field(default_factory=Counter)
    leaks: LeakSearch = field(default_factory=LeakSearch)
    offset: OffsetSums = field(default_factory=OffsetSums)

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
        self.counts.update(other.counts)
        self.leaks.merge(other.leaks)
        self.offset.merge(other.offset)
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
    looked_at : frozenset of str
        Columns of text that may turn out to hold numbers or dates.
    leaks : LeakSearch, optional
        A search for columns that give the target away, as the first rows began it.
    """

    table: str
    options: PrepareOptions
    kinds: Mapping[str, str]
    target_kind: str
    looked_at: frozenset[str] = frozenset()
    leaks: LeakSearch | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that are read: those that may become features, and those with a role."""
        return list(dict.fromkeys([*self.kinds, *self.options.roles.values()]))

    @as_by_default
    def __call__(self, _rows: None, piece: Any) -> Profiles:
        """Profile a piece, whose rows are counted from its own first one."""
        try:
            return self.profile(self.chunks(piece), 0)
        except InvalidTable as error:
            raise of_file(error, piece.name) from None  # it may be the error itself

    def chunks(self, piece: Any) -> Iterator[tuple[pl.DataFrame, int]]:
        """Yield the chunks of a piece, each with the number of its first row within it."""
        first = 0
        for frame in piece.open().chunks(self.columns):
            yield frame, first
            first += frame.height

    def profile(self, chunks: Iterable[tuple[pl.DataFrame, int]], first: int) -> Profiles:
        """Profile the chunks of a piece; `first` is the number of its first row."""
        leaks = LeakSearch() if self.leaks is None else self.leaks.begun()
        found = Profiles(
            {column: self._profile_of(column, kind) for column, kind in self.kinds.items()},
            self._profile_of(self.options.target, self.target_kind),
            first,
            leaks=leaks,
        )
        with ThreadPoolExecutor(_THREADS, "gradstep-profile") as pool:
            for frame, at in chunks:
                self._add(found, frame, at, pool)
        found.chunks.append(len(found.sizes))
        return found

    def _profile_of(self, column: str, kind: str) -> Any:
        profile = profile_of(column, kind)
        if column in self.looked_at:
            profile.spelling = Spelling()
        if kind not in {"category", "text"} and (
            self.options.auto or column in self.options.of_terms
        ):
            profile.counts = ValueCounts()
        return profile

    def with_leaks(self, pieces: Iterable[Any]) -> Reading:
        """Return the same with a search for leaks that the first rows of these pieces begin.

        Whatever is wrong with the rows is said where they are profiled.
        """
        none = {column: self._profile_of(column, kind) for column, kind in self.kinds.items()}
        search = LeakSearch()
        with contextlib.suppress(InvalidTable):
            for piece in pieces:
                table = replace(piece.open(), checked=True)
                with contextlib.closing(table.chunks(self.columns)) as chunks:
                    for frame in chunks:
                        frame = frame.filter(self._counts(frame)[1])  # noqa: PLW2901
                        search.add(frame, frame[self.options.target], none)
                        if search.recoded is not None:
                            return replace(self, leaks=search)
        return replace(self, leaks=LeakSearch({}))

    def _counts(self, frame: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Return which rows have a weight above 0, and which of them have a target."""
        target, counted = frame[self.options.target], weighs(frame, self.options.weight)
        kept = has_value(target) if self.target_kind == "number" else target.is_not_null()
        return counted, kept & counted

    def _add(self, to: Profiles, frame: pl.DataFrame, first: int, pool: Executor) -> None:
        """Add a chunk."""
        options = self.options
        counted, kept = self._counts(frame)
        to.weightless += frame.height - int(counted.sum())
        rows = np.arange(first, first + frame.height)
        if options.missing_target == "error":
            without = (counted & ~kept).to_numpy()
            if without.any():
                at = int(rows[without][0]) + 1
                msg = (
                    f"The target {options.target!r} is missing in row {at} (of the rows, from 1). "
                    "Fill it, or let such rows be left out "
                    '(missing_target="drop").'
                )
                raise InvalidTable(msg)
        flags = None if kept.all() else kept.to_numpy()
        to.kept.append(flags)
        to.sizes.append(frame.height)
        if flags is not None:
            frame, rows = frame.filter(kept), rows[flags]
        target = frame[options.target]
        if options.class_weight is not None:
            count_classes(to.counts, target)
        y: NDArray[np.float64] | None = None
        if self.target_kind == "number":
            to.target.add(target, rows, None)
            y = target.cast(pl.Float64).to_numpy()
        else:
            to.target.add(target, rows)
            y = _as_two(to, target)
        weight = None if options.weight is None else weights_of(frame[options.weight], rows)
        if weight is not None:
            to.heaviest = max(to.heaviest, float(weight.max(initial=0.0)))
        if options.offset is not None and options.log_power is not None and y is not None:
            to.offset.add(frame[options.offset], y, weight)
        add_to(to.columns, frame, rows, y, pool)
        to.leaks.add(frame, target, to.columns)


def of_file(error: InvalidTable, name: str) -> InvalidTable:
    """Return an error that names a row as one that names the file, too; any other as it is."""
    if isinstance(error, BadValue) or not name or "of the rows, from 1" not in str(error):
        return error
    return InvalidTable(f"{name}: {error}")


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
