"""The first pass over a table: what it holds, what becomes of each column, what the target is."""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl

from gradstep.data.features.decision import decide
from gradstep.data.features.encoding import LeftOut
from gradstep.data.features.oddities import notes_of_columns
from gradstep.data.features.profile import kind_of, summary_of
from gradstep.data.features.terms.decision import with_terms
from gradstep.data.preparing.options import MOST_FEATURES
from gradstep.data.preparing.profiling import Profiles, Reading, of_file
from gradstep.data.preparing.target import kind_of_target, target_of
from gradstep.data.sources.pieces import pieces_of
from gradstep.data.sources.position import Position
from gradstep.data.sources.store_table import StoreTable
from gradstep.diagnostics.of_tables import NO_TARGET
from gradstep.errors import InvalidParameter, InvalidTable
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gradstep.data.features.encoding import Encoding
    from gradstep.data.preparing.options import Each, InOnePass, PrepareOptions, Progress
    from gradstep.data.sources.table import Table
    from gradstep.diagnostics.diagnostic import Note

__all__ = ["FirstPass"]

_KEPT_BYTES = 1 << 27  # of a table that is not read from its files a second time
_MANY_LOST = 0.1  # of the rows, without a target


@dataclass
class FirstPass:
    """What the first pass leaves to the second.

    Attributes
    ----------
    table, options, progress
        The table, what to make of it, and what is called with how far it is.
    each : callable, optional
        Runs a task on each piece of the table, elsewhere; by default this process does.
    in_one_pass : InOnePass, optional
        Takes along what makes a second pass unnecessary.
    profiles : dict
        What is known of each column that may become a feature.
    nothing : list of LeftOut
        Columns that were left out.
    found : Profiles
        All that is known of the rows.
    encoding, target
        What was decided.
    rows_read, n_kept, row_bytes, bytes : int
        Rows, those that count, and the memory that they take once encoded.
    notes : list of Note
        What a person should know of how values are written.
    chosen : str
        What a person should know of terms that were chosen.
    """

    table: Table
    options: PrepareOptions
    progress: Progress
    each: Each | None = None
    in_one_pass: InOnePass | None = None
    nothing: list[LeftOut] = field(default_factory=list)
    rows_read: int = 0
    notes: list[Note] = field(default_factory=list)
    chosen: str = ""
    _kept_frames: deque[deque[pl.DataFrame]] | None = None

    def read(self) -> None:
        """Read the table once, and learn what it holds."""
        options = self.options
        for role, column in options.roles.items():
            self.table.check_column(column, f"The {role}")
        if options.target in options.drop:
            msg = f"The target {options.target!r} cannot be left out."
            raise InvalidParameter(msg)
        for column, parameter in options.named:
            self.table.check_column(column, f"{parameter}:")
        for column in options.of_terms:
            if column in options.no_features:
                msg = f"{column!r} is the {options.role_of(column)}: it can be in no term."
                raise InvalidParameter(msg)
        kinds = self._kinds_of_columns()
        target_kind = kind_of_target(self.table, options)
        looked_at = frozenset(filter(self._is_open, kinds))
        if target_kind == "category" and options.task != "classification":
            looked_at |= frozenset(filter(self._is_open, [options.target]))
        self.reading = Reading(self.table.name, options, kinds, target_kind, looked_at)
        self._take_along = None if self.in_one_pass is None else self.in_one_pass.begin(self)
        self.pieces = pieces_of(self.table, elsewhere=self.each is not None)
        if self.each is None:
            profiles = self._profiled_here()
        else:
            self.reading = self.reading.with_leaks(self.pieces)
            profiles = iter(self.each(self.reading, self.pieces))
        self.found = found = reduce(Profiles.merged, profiles)
        self.profiles, self.target_profile = found.columns, found.target
        self.kept, self.sizes, self.weightless = found.kept, found.sizes, found.weightless
        self.rows_read = found.rows
        if self.rows_read == 0:
            msg = f"{self.table.name} has no rows."
            raise InvalidTable(msg)

    def decide(self) -> None:
        """Decide what becomes of each column, and what the target is."""
        options = self.options
        self.n_kept = sum(int(f.sum()) if f is not None else n for f, n in
                          zip(self.kept, self.sizes, strict=True))  # fmt: skip
        self.target = target_of(self)
        if options.offset is not None:
            self.notes += self.found.offset.notes(options.offset)
        if options.missing == "error":
            self._refuse_missing()
        encoding = decide(
            self.profiles, dict(options.kinds), self.nothing, max_levels=options.max_levels
        )
        read = {*encoding.sources, *options.no_features}
        formats = tuple((c, f) for c, f in self.table.formats.items() if c in read)
        self._plain = replace(encoding, formats=formats, na=options.na)
        self.take()

    def take(
        self, splines: tuple[tuple[str, int], ...] = (), crosses: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Have columns become what they do with the terms asked for, and with more of them."""
        self.encoding: Encoding = self.encoding_with(splines, crosses)
        self._check_features()
        own = 1 + self.weighted + len(self.options.clusters)  # the target, and what else is kept
        self.row_bytes = self.encoding.row_bytes + 8 * own
        self.bytes = self.n_kept * self.row_bytes

    def encoding_with(
        self, splines: tuple[tuple[str, int], ...], crosses: tuple[tuple[str, str], ...]
    ) -> Encoding:
        """Return what becomes of columns with more terms than those asked for."""
        options = self.options
        more = replace(
            options, splines=options.splines + splines, crosses=options.crosses + crosses
        )
        return with_terms(self._plain, more, self.profiles, self.table.name)

    def _profiled_here(self) -> Iterator[Profiles]:
        """Yield what is known of each piece, read by this process."""
        reading = self.reading
        try:
            for chunks in self._by_pieces("reading"):
                found = reading.profile(chunks, self._at)
                if reading.leaks is None and found.leaks.recoded is not None:
                    reading = replace(reading, leaks=found.leaks.begun())
                yield found
        except InvalidTable as error:
            self.table.check_text()  # a row of the wrong length may be why
            raise of_file(error, self.table.name if self.table.opened.files else "") from None

    def _kinds_of_columns(self) -> dict[str, str]:
        """Return the kind of profile of each column that may become a feature."""
        found: dict[str, str] = {}
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
            if dtype == pl.String and kind in {"number", "date"} and column in kinds:
                kind = "category"  # until it is known how they are written
            self._check_kind(column, kind, dtype)
            found[column] = "category" if kind == "hash" else kind
        return found

    def _is_open(self, column: str) -> bool:
        """Tell whether the text of a column may turn out to hold numbers or dates."""
        asked = dict(self.options.kinds).get(column, "")
        return (
            self.table.schema[column] == pl.String
            and column not in self.table.formats
            and not asked.startswith(("category", "hash", "text"))
        )

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

    def chunks(self) -> Iterator[tuple[pl.DataFrame, int]]:
        """Yield the chunks of the second pass, each with the number of its first row."""
        return chain.from_iterable(self._by_pieces("encoding"))

    def once_more(self) -> Iterator[tuple[pl.DataFrame, int]]:
        """Yield the chunks of another pass, each with the number of its first row."""
        pieces: Iterable[Iterable[pl.DataFrame]] = self._kept_frames or (
            piece.open().chunks(self.reading.columns)
            for piece in (self.pieces if len(self.pieces) > 1 else [self.table])
        )
        first = 0
        for frame in chain.from_iterable(pieces):
            yield frame, first
            first += frame.height

    def _by_pieces(self, what: str) -> Iterator[Iterator[tuple[pl.DataFrame, int]]]:
        """Yield the chunks of each piece in turn, as a pass over the table reads them."""
        self._at = 0  # rows so far
        told = getattr(self.progress, "position", None) if what == "reading" else None
        told = None if isinstance(self.table, StoreTable) else told  # whose files are not here
        self._told = None if told is None else partial(_tell, told, Position(self.table))
        frames, self._kept_frames = self._kept_frames, None
        keep: deque[deque[pl.DataFrame]] | None = deque()
        self._room = _KEPT_BYTES
        if what == "reading" and self._take_along is not None:
            keep = None  # such tables are large
        if what == "encoding" and frames is not None:
            while frames:
                yield self._numbered(what, self._again(frames.popleft()))
            self.table.check_unchanged()
        else:
            for piece in self.pieces if len(self.pieces) > 1 else [self.table]:
                mine: deque[pl.DataFrame] = deque()
                chunks = piece.open().chunks(self.reading.columns)
                yield self._numbered(what, self._kept(chunks, mine) if keep is not None else chunks)
                keep = keep if self._room >= 0 else None
                if keep is not None:
                    keep.append(mine)
        self._kept_frames = keep if what == "reading" else None
        if what == "encoding" and self._at != self.rows_read:
            self.refuse_change(f"{self._at:,}")

    def _numbered(
        self, what: str, frames: Iterator[pl.DataFrame]
    ) -> Iterator[tuple[pl.DataFrame, int]]:
        for frame in frames:
            first = self._at
            if what == "encoding" and first + frame.height > self.rows_read:
                self.refuse_change(f"more than {self.rows_read:,}")
            if what == "reading" and self._take_along is not None:
                self._take_along(frame, first)
            yield frame, first
            self._at += frame.height
            if self._told is not None:
                self._told(self._at)
            self.progress(what, self._at)

    @staticmethod
    def _again(frames: deque[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield frames that were kept, each for the last time."""
        while frames:
            yield frames.popleft()

    def _kept(
        self, chunks: Iterator[pl.DataFrame], to: deque[pl.DataFrame]
    ) -> Iterator[pl.DataFrame]:
        """Yield chunks, and keep those of a small table, which need not be read again."""
        for frame in chunks:
            self._room -= int(frame.estimated_size())
            if self._room >= 0:
                to.append(frame)
            else:
                to.clear()
            yield frame

    def refuse_change(self, found: str) -> NoReturn:
        """Say that the second pass found other rows than the first."""
        self.table.check_unchanged()  # says more, if it is a file
        msg = (
            f"{self.table.name} had {self.rows_read:,} rows when it was read first, and {found} "
            "the second time. Start again once nothing writes to it."
        )
        raise InvalidTable(msg)

    @property
    def columns_read(self) -> list[str]:
        """The columns that are read: those that may become features, and those with a role."""
        return self.reading.columns

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
                    f"it, drop it ({given('drop', [column])}), or let missing values be "
                    f"encoded ({given('missing', 'encode')})."
                )
                raise InvalidTable(msg)

    def _of_rows(self) -> list[Note]:
        """Return a note if many rows have no target."""
        lost = self.rows_read - self.n_kept - self.weightless
        if lost < _MANY_LOST * self.rows_read:
            return []
        return [
            NO_TARGET.note(
                f"{lost:,} of {self.rows_read:,} rows have no {self.options.target!r} and are left "
                "out. If that has to do with its value, the model is one of the others only."
            )
        ]

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
            **({"chosen": self.chosen} if self.chosen else {}),
            "warnings": [
                *self.table.notes,
                *self.notes,
                *self._of_rows(),
                *notes_of_columns(self.profiles, used, dict(self.options.kinds)),
                *self.found.leaks.notes(self.profiles, used, self.options.target),
            ],
        }


def _tell(told: Callable[[int, int], None], position: Position, rows: int) -> None:
    """Tell how far in the files so many rows are; that of none is not known."""
    with contextlib.suppress(OSError, pl.exceptions.PolarsError):  # said where they are read
        told(position.of_rows(rows), position.size)
