"""The first pass over a table: what it holds, what becomes of each column, what the target is."""

from __future__ import annotations

from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import polars as pl

from gradstep.data.features.decision import decide
from gradstep.data.features.encoding import LeftOut
from gradstep.data.features.leaks import LeakSearch
from gradstep.data.features.oddities import notes_of_numbers
from gradstep.data.features.profile import (
    LevelProfile,
    add_to,
    kind_of,
    profile_of,
    summary_of,
)
from gradstep.data.formats.recognition import Spelling
from gradstep.data.preparing.class_weights import count_classes
from gradstep.data.preparing.options import MOST_FEATURES
from gradstep.data.preparing.target import kind_of_target, target_of
from gradstep.data.roles import has_value, weighs, weights_of
from gradstep.data.sources.table import chunk_rows
from gradstep.errors import InvalidParameter, InvalidTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding
    from gradstep.data.preparing.options import PrepareOptions, Progress
    from gradstep.data.sources.table import Table

__all__ = ["FirstPass"]

_KEPT_BYTES = 1 << 27  # of a table that is not read from its files a second time
_THREADS = 2


@dataclass
class FirstPass:
    """What the first pass leaves to the second.

    Attributes
    ----------
    table, options, progress
        The table, what to make of it, and what is called with how far it is.
    profiles : dict
        What is known of each column that may become a feature.
    nothing : list of LeftOut
        Columns that were left out.
    kept : list
        For each chunk, which rows count: have a target, and a weight above 0; None for all.
    encoding, target
        What was decided.
    rows_read, n_kept, row_bytes, bytes : int
        Rows, those that count, and the memory that they take once encoded.
    weightless : int
        Rows of weight 0, which are no rows.
    heaviest, counts
        The largest weight; rows of each class, if classes are to have weights.
    notes : list of str
        What a person should know of how values are written.
    """

    table: Table
    options: PrepareOptions
    progress: Progress
    profiles: dict[str, Any] = field(default_factory=dict)
    nothing: list[LeftOut] = field(default_factory=list)
    rows_read: int = 0
    kept: list[NDArray[np.bool_] | None] = field(default_factory=list)
    weightless: int = 0
    counts: Counter[Any] = field(default_factory=Counter)
    heaviest: float = 0.0
    notes: list[str] = field(default_factory=list)
    _leaks: LeakSearch = field(default_factory=LeakSearch)
    _kept_frames: deque[pl.DataFrame] | None = None

    def read(self) -> None:
        """Read the table once, and learn what it holds."""
        options = self.options
        for role, column in options.roles.items():
            self.table.check_column(column, f"The {role}")
        if options.target in options.drop:
            msg = f"The target {options.target!r} cannot be left out."
            raise InvalidParameter(msg)
        for column in (*options.drop, *options.only, *(c for c, _ in options.kinds)):
            self.table.check_column(column, "The column")
        self._choose_columns()
        self._target_kind = kind_of_target(self.table, options)
        self.target_profile = profile_of(options.target, self._target_kind)
        if self._target_kind == "category" and options.task != "classification":
            self._look_at(self.target_profile, options.target)
        with ThreadPoolExecutor(_THREADS, "gradstep-profile") as self._pool:
            try:
                for frame, first in self.chunks("reading"):
                    self._add(frame, first)
            except InvalidTable:
                self.table.check_text()  # a row of the wrong length may be why
                raise
        if self.rows_read == 0:
            msg = f"{self.table.name} has no rows."
            raise InvalidTable(msg)

    def decide(self) -> None:
        """Decide what becomes of each column, and what the target is."""
        options = self.options
        self.n_kept = sum(int(f.sum()) if f is not None else n for f, n in
                          zip(self.kept, self.chunk_sizes(), strict=True))  # fmt: skip
        self.target = target_of(self)
        if options.missing == "error":
            self._refuse_missing()
        encoding = decide(
            self.profiles, dict(options.kinds), self.nothing, max_levels=options.max_levels
        )
        read = {*encoding.sources, *options.no_features}
        formats = tuple((c, f) for c, f in self.table.formats.items() if c in read)
        self.encoding: Encoding = replace(encoding, formats=formats, na=options.na)
        self._check_features()
        numbers = self.encoding.n_values * (4 if self.encoding.single else 8)
        self.row_bytes = numbers + 4 * len(self.encoding.coded) + 8 + 8 * self.weighted
        self.bytes = self.n_kept * self.row_bytes

    def _choose_columns(self) -> None:
        """Start a profile of each column that may become a feature."""
        options, schema = self.options, self.table.schema
        kinds = dict(options.kinds)
        for column, dtype in schema.items():
            if column in options.no_features:
                continue
            if column in options.drop or (options.only and column not in options.only):
                self.nothing.append(LeftOut(column, "left out on request"))
                continue
            kind = kinds.get(column, kind_of(dtype)).partition(":")[0]
            if dtype == pl.Null:
                self.nothing.append(LeftOut(column, "every value is missing"))
                continue
            if kind == "nothing":
                self.nothing.append(LeftOut(column, f"a column of type {dtype} has no encoding"))
                continue
            asked = kinds.get(column, "")
            if dtype == pl.String and asked.partition(":")[0] in {"number", "date"}:
                kind = "category"  # until it is known how they are written
            self._check_kind(column, kind, dtype)
            profile = profile_of(column, "category" if kind == "hash" else kind)
            self.profiles[column] = profile
            self._look_at(profile, column)

    def _look_at(self, profile: Any, column: str) -> None:
        """Have a profile tell how the text of its column is written, unless that is decided."""
        asked = dict(self.options.kinds).get(column, "")
        if (
            isinstance(profile, LevelProfile)
            and self.table.schema[column] == pl.String
            and column not in self.table.formats
            and not asked.startswith(("category", "hash"))
        ):
            profile.spelling = Spelling()

    @property
    def weighted(self) -> bool:
        """Whether rows have weights in the end, of their own or by their offset."""
        power = self.options.log_power
        by_class = self.options.class_weight is not None
        return (
            by_class
            or self.options.weight is not None
            or (self.options.shift is not None and power is not None and power != 2.0)
        )

    def _check_kind(self, column: str, kind: str, dtype: Any) -> None:
        if kind == "date" and kind_of(dtype) != "date":
            msg = (
                f"Column {column!r} of {self.table.name} has type {dtype}, which is not read as "
                "dates. Write them as 2026-11-23 or 2026-11-23 10:30:00."
            )
            raise InvalidTable(msg)
        if kind == "number" and kind_of(dtype) not in {"number", "category"}:
            msg = f"Column {column!r} of {self.table.name} has type {dtype}, which is no number."
            raise InvalidTable(msg)

    def chunks(self, what: str) -> Iterator[tuple[pl.DataFrame, int]]:
        """Yield the chunks of a pass over the table, each with the number of its first row."""
        first = 0
        for frame in self._frames(self.columns_read, what):
            if what == "encoding" and first + frame.height > self.rows_read:
                self.refuse_change(f"more than {self.rows_read:,}")
            yield frame, first
            first += frame.height
            self.progress(what, first)
        if what == "reading":
            self.rows_read = first
        elif first != self.rows_read:
            self.refuse_change(f"{first:,}")

    def _frames(self, columns: Sequence[str], what: str) -> Iterator[pl.DataFrame]:
        """Yield the chunks of the table; of a small one, those that were read before."""
        frames, self._kept_frames = self._kept_frames, None
        if what == "encoding" and frames is not None:
            while frames:
                yield frames.popleft()
            self.table.check_unchanged()
            return
        kept: deque[pl.DataFrame] | None = deque()
        room = _KEPT_BYTES
        for frame in self.table.chunks(columns):
            if what == "reading" and kept is not None:
                kept.append(frame)
                room -= int(frame.estimated_size())
                kept = kept if room >= 0 else None
            yield frame
        self._kept_frames = kept if what == "reading" else None

    def refuse_change(self, found: str) -> NoReturn:
        """Say that the second pass found other rows than the first."""
        self.table.check_unchanged()  # says more, if it is a file
        msg = (
            f"{self.table.name} had {self.rows_read:,} rows when it was read first, and {found} "
            "the second time. Start again once nothing writes to it."
        )
        raise InvalidTable(msg)

    def chunk_sizes(self) -> Iterator[int]:
        """Yield how many rows each chunk has."""
        left = self.rows_read
        size = chunk_rows(len(self.columns_read))
        while left > 0:
            yield min(size, left)
            left -= size

    @property
    def columns_read(self) -> list[str]:
        """The columns that are read: those that may become features, and those with a role."""
        return list(dict.fromkeys([*self.profiles, *self.options.roles.values()]))

    def _add(self, frame: pl.DataFrame, first: int) -> None:
        options = self.options
        target = frame[options.target]
        counted = weighs(frame, options.weight)
        self.weightless += frame.height - int(counted.sum())
        kept = has_value(target) if self._target_kind == "number" else target.is_not_null()
        rows = np.arange(first, first + frame.height)
        if options.missing_target == "error":
            without = (counted & ~kept).to_numpy()
            if without.any():
                at = int(rows[without][0]) + 1
                msg = f"The target {options.target!r} is missing in row {at} (of the rows, from 1)."
                raise InvalidTable(msg)
        kept &= counted
        flags = None if kept.all() else kept.to_numpy()
        self.kept.append(flags)
        if flags is not None:
            frame, rows = frame.filter(kept), rows[flags]
            target = frame[options.target]
        if options.class_weight is not None:
            count_classes(self.counts, target)
        y: NDArray[np.float64] | None = None
        if self._target_kind == "number":
            self.target_profile.add(target, rows, None)
            y = target.cast(pl.Float64).to_numpy()
        else:
            self.target_profile.add(target, rows)
            y = self._as_two(target)
        if options.weight is not None:
            heaviest = weights_of(frame[options.weight], rows).max(initial=0.0)
            self.heaviest = max(self.heaviest, float(heaviest))
        add_to(self.profiles, frame, rows, y, self._pool)
        self._leaks.add(frame, target, self.profiles)

    def _as_two(self, target: pl.Series) -> NDArray[np.float64] | None:
        """Return a target of two classes so far as numbers, for the search for leaks."""
        counts = self.target_profile.counts
        if counts is None or len(counts) > 2:
            return None
        if not hasattr(self, "_first_class"):
            self._first_class = next(iter(counts), "")
        return (target.cast(pl.String) == self._first_class).cast(pl.Float64).to_numpy()

    def _check_features(self) -> None:
        if self.encoding.n_features == 0:
            reasons = "; ".join(f"{c.source}: {c.reason}" for c in self.encoding.columns[:10])
            msg = f"{self.table.name} has no column to learn from ({reasons or 'only the target'})."
            raise InvalidTable(msg)
        if self.encoding.n_features > MOST_FEATURES:
            msg = (
                f"{self.table.name} would have {self.encoding.n_features:,} features, more than "
                f"the {MOST_FEATURES:,} that there can be. Hash columns to fewer bits."
            )
            raise InvalidTable(msg)

    def _refuse_missing(self) -> None:
        for column, profile in self.profiles.items():
            if profile.missing:
                msg = (
                    f"Column {column!r} of {self.table.name} is missing in {profile.missing:,} "
                    f"rows, first in row {profile.first_missing + 1} (of the rows, from 1). Fill "
                    "it, drop it (--drop), or let missing values be encoded (--missing encode)."
                )
                raise InvalidTable(msg)

    def to_json(self) -> dict[str, Any]:
        """Return what is known, for the record."""
        classes, profile = self.target.classes, self.target_profile
        used = set(self.encoding.sources)
        target = self.target.to_json()
        if classes is None:
            numbers = profile.numbers
            target |= {
                "low": numbers.low, "high": numbers.high,
                "mean": numbers.mean, "deviation": numbers.deviation,
            }  # fmt: skip
        return {
            "source": self.table.name,
            "fingerprint": self.table.fingerprint(),
            "asked": self.options.to_json(),
            "target": target,
            "encoding": self.encoding.to_json(),
            "columns": {c: summary_of(s) for c, s in self.profiles.items()},
            "warnings": [
                *self.table.notes,
                *self.notes,
                *notes_of_numbers(self.profiles, used),
                *self._leaks.notes(self.profiles, used, self.options.target),
            ],
        }
