"""Prepare a table: look at it, decide the encoding, hold out rows, shuffle the rest exactly.

Two passes over the table. The first learns what each column holds; the second encodes chunk by
chunk and puts each row where it belongs: each draws a random bucket, and when all have come,
each bucket, small enough for memory, is permuted. That is an exact shuffle, and everything in
it depends on the data and the seed alone: a table in memory and one on disk take the same road
to the same bits.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
import weakref
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import polars as pl

import gradstep
from gradstep.cache_folder import cache_folder
from gradstep.data.columns import gather_rows, put_rows
from gradstep.data.encoding import LeftOut, decide
from gradstep.data.matching import check_columns, readable
from gradstep.data.prepared import (
    PreparedTable,
    Target,
    class_codes,
    new_array,
    open_prepared,
    refuse_existing,
    seal,
    writing,
)
from gradstep.data.shuffling import Buckets, chosen
from gradstep.data.survey import LevelSurvey, NumberSurvey, add_to, as_days, kind_of, survey_of
from gradstep.data.tables import Table, chunk_rows, open_table
from gradstep.errors import CannotWrite, InvalidParameter, InvalidTable, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from gradstep.data.encoding import Encoding

    Progress = Callable[[str, int], None]

__all__ = ["DEFAULT_MEMORY", "LEAST_MEMORY", "Preparation", "prepare"]

DEFAULT_MEMORY = 1 << 30  # bytes of arrays that are kept in memory rather than written
LEAST_MEMORY = 1 << 27
_BUCKET_BYTES = 1 << 23
_KEPT_BYTES = 1 << 27  # of a table that is not read from its files a second time
_THREADS = 2  # that encode; reading has its own
_MOST_HELD_OUT = 1_000_000
_KINDS = ("number", "category", "date", "hash")
_LEAKS = 0.9999
_HELD_OUT, _TIMES = 7, 8  # paths of keys, apart from those of orders
_SAMPLE_OF_TIMES = 1_000_000


@dataclass(frozen=True)
class Preparation:
    """What is asked of `prepare`, apart from the table: what its result is a function of.

    Attributes
    ----------
    target : str
        The column to predict.
    task : {"auto", "classification", "regression"}
        What to predict: by default classes for text, booleans and numbers of two values.
    weight, offset, time : str, optional
        Columns with row weights, with an offset of the score (a log exposure), with the time
        that validation rows are split off by.
    drop, only : tuple of str
        Columns to leave out; if given, the only ones to use.
    kinds : tuple of (str, str)
        Columns with the kind to treat them as: number, category, date, hash, hash:BITS.
    max_levels : int
        Levels of a category with a feature of their own.
    validation : float
        Share of the rows to hold out; 0 for none.
    missing : {"encode", "error"}
        Whether missing values are encoded or refused.
    missing_target : {"drop", "error"}
        Whether rows without a target are dropped, and counted, or refused.
    log_power : float or None
        For an offset: the power of the loss's variance (0 squared error to 2 gamma) if its link
        is the logarithm; None for a loss of y - score.
    seed : int
        What the shuffle and the choice of validation rows depend on.
    """

    target: str
    task: str = "auto"
    weight: str | None = None
    offset: str | None = None
    time: str | None = None
    drop: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()
    max_levels: int = 1000
    validation: float = 0.1
    missing: str = "encode"
    missing_target: str = "drop"
    log_power: float | None = None
    seed: int = 0

    def check(self) -> None:
        """Refuse what is not allowed."""
        for column, kind in self.kinds:
            name, _, bits = kind.partition(":")
            if name not in _KINDS or (bits and (name != "hash" or not bits.isdigit())):
                msg = (
                    f"{column}={kind} is no kind of column.{nearest(kind, _KINDS)} It must be one "
                    f"of {', '.join(_KINDS)}, or hash:BITS."
                )
                raise InvalidParameter(msg)
            if bits and not 1 <= int(bits) <= 24:
                msg = f"{column}={kind}: the bits of a hash must be from 1 to 24."
                raise InvalidParameter(msg)
        choices = {
            "task": ("auto", "classification", "regression"),
            "missing": ("encode", "error"),
            "missing_target": ("drop", "error"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                msg = f"{name}={getattr(self, name)!r} must be one of {', '.join(allowed)}."
                raise InvalidParameter(msg)
        if not 0.0 <= self.validation < 1.0:
            msg = f"validation={self.validation!r} must be a share of the rows, from 0 to below 1."
            raise InvalidParameter(msg)
        roles = [role for role in (self.target, self.weight, self.offset) if role is not None]
        if len(set(roles)) < len(roles):
            msg = (
                f"Target {self.target!r}, weight {self.weight!r} and offset {self.offset!r} must "
                "be different columns."
            )
            raise InvalidParameter(msg)
        if self.max_levels < 1:
            msg = f"max_levels={self.max_levels!r} must be at least 1."
            raise InvalidParameter(msg)
        if self.seed < 0:
            msg = f"seed={self.seed!r} must be at least 0."
            raise InvalidParameter(msg)


def prepare(
    table: Any,
    target: str,
    *,
    out: str | Path | None = None,
    memory: int = DEFAULT_MEMORY,
    validation_table: Any = None,
    progress: Progress | None = None,
    cache: bool | str | Path = False,
    **options: Any,
) -> PreparedTable:
    """Turn a table of any size into what training reads: encoded, shuffled, measured.

    Parameters
    ----------
    table : path, glob, folder, frame or query
        The table (`gradstep.data.tables.open_table` says what may be one).
    target : str
        The column to predict. Rows where it is missing are dropped, and counted.
    out : path, optional
        Folder to write to, which must not exist; it opens again with `gradstep.open_prepared`.
    memory : int, default=1 GB
        Bytes that the encoded rows may take in memory; larger ones go to a folder, a temporary
        one unless `out` is given. No bit depends on it.
    validation_table : table, optional
        Rows to validate on, instead of a share of the table.
    progress : callable, optional
        Called with ("reading" or "encoding", rows so far).
    cache : bool or path, default=False
        Keep the folder in the user's cache, or in a folder of one's own, and use the one that
        lies there if neither the files nor what is asked have changed.
    **options
        The fields of `Preparation`: `task`, `weight`, `offset`, `time`, `drop`, `only`,
        `kinds`, `max_levels`, `validation`, `missing`, `missing_target`, `seed`.

    Returns
    -------
    PreparedTable
        Takes the place of X and y in an estimator's `fit`.

    Raises
    ------
    InvalidTable
        If the table or a column cannot be used; the message says where and why.
    CannotWrite
        If the folder cannot be written; nothing is left behind.

    Examples
    --------
    >>> import polars as pl
    >>> import gradstep
    >>> frame = pl.DataFrame(
    ...     {"x": [1.0, 2.0, 3.0, 4.0], "colour": ["red", "blue"] * 2, "y": [1.0, 2.5, 3.0, 4.5]}
    ... )
    >>> prepared = gradstep.prepare(frame, "y", validation=0.0)
    >>> prepared
    <PreparedTable: 4 rows to train on, 0 held out, 3 features, target 'y'>
    >>> prepared.feature_names
    ['x', 'colour=blue', 'colour=red']
    """
    asked = Preparation(target, **_tuples(options))
    asked.check()
    if memory < LEAST_MEMORY:
        msg = (
            f"memory={memory:,} bytes is too little: preparing a table takes at least "
            f"{LEAST_MEMORY:,} (128 MB)."
        )
        raise InvalidParameter(msg)
    if out is not None:
        refuse_existing(Path(out))
    opened, held_out = _open(table, validation_table, asked)
    kept = None
    if cache and opened.fingerprint() and (held_out is None or held_out.fingerprint()):
        kept = _place_in_cache(cache, _key(asked, [opened, *([held_out] if held_out else [])]))
    if kept is not None and kept.exists():
        try:
            return open_prepared(kept)
        except InvalidTable:  # damaged: made again
            shutil.rmtree(kept, ignore_errors=True)
    kind: Any = _Maker
    if not isinstance(opened, Table):
        from gradstep.data.prepare_sparse import SparseMaker as kind  # noqa: N813
    maker = kind(opened, held_out, asked, progress or (lambda *_: None))
    maker.look()
    if kept is not None:
        return _make_in_cache(maker, kept)
    if out is None and maker.bytes > memory:
        return _make_for_now(maker)
    return _make(maker, None if out is None else Path(out))


def _open(table: Any, validation_table: Any, asked: Preparation) -> tuple[Any, Any]:
    """Open the table, and the one to validate on, if there is one."""
    from gradstep.data.svmlight import SparseTable, is_svmlight

    if is_svmlight(table):
        if validation_table is not None and not is_svmlight(validation_table):
            msg = f"{validation_table} is not sparse text (.svm, .libsvm), as {table} is."
            raise InvalidTable(msg)
        held_out = None if validation_table is None else SparseTable(validation_table)
        return SparseTable(table), held_out
    as_text = [c for c, kind in asked.kinds if kind.startswith(("category", "hash"))]
    opened = open_table(table, as_text=as_text)
    if validation_table is None:
        return opened, None
    # what is text in one is text in both
    texts = [c for c, dtype in opened.schema.items() if kind_of(dtype) == "category"]
    return opened, open_table(validation_table, as_text=[*as_text, *texts])


def _make_for_now(maker: Any) -> PreparedTable:
    """Make a prepared table that is too large for memory in a folder that goes with it."""
    scratch = cache_folder() / "scratch"
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        parent = tempfile.mkdtemp(dir=scratch)
    except OSError as error:
        msg = f"{scratch} cannot be written: {error.strerror}. Raise memory, or give a folder."
        raise CannotWrite(msg) from error
    try:
        prepared = _make(maker, Path(parent) / "table", lasting=False)
    except BaseException:
        shutil.rmtree(parent, ignore_errors=True)
        raise
    weakref.finalize(prepared, shutil.rmtree, parent, ignore_errors=True)
    return prepared


def _place_in_cache(cache: bool | str | Path, key: str) -> Path | None:
    """Return the folder for a key in the cache; None if nothing can be kept in the user's."""
    if not isinstance(cache, bool):
        return Path(cache) / key
    base = cache_folder() / "tables"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return base / key if os.access(base, os.W_OK) else None


def _make_in_cache(maker: Any, folder: Path) -> PreparedTable:
    """Make the prepared table in the cache, or use the one that another process has just made."""
    try:
        return _make(maker, folder)
    except CannotWrite:
        if folder.exists():
            return open_prepared(folder)
        raise


def _make(maker: Any, folder: Path | None, *, lasting: bool = True) -> PreparedTable:
    """Make the prepared table in memory, or in a folder that is complete or not there."""
    if folder is None:
        prepared: PreparedTable = maker.fill(None)
        return prepared
    with writing(folder) as part:
        prepared = maker.fill(part)
        seal(part, prepared.meta, lasting=lasting)
        del prepared
    return open_prepared(folder)


def _tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with lists and mappings made tuples."""
    found = {k: v.item() if isinstance(v, np.generic) else v for k, v in options.items()}
    for name in ("drop", "only"):
        if isinstance(found.get(name), str):
            found[name] = (found[name],)
        elif name in found:
            found[name] = tuple(found[name] or ())
    kinds = found.get("kinds")
    if kinds is not None:
        found["kinds"] = tuple(sorted(dict(kinds).items()))
    known = Preparation.__dataclass_fields__
    for name in found:
        if name not in known or name == "target":
            msg = f"prepare has no parameter {name!r}.{nearest(name, known)}"
            raise InvalidParameter(msg)
    return found


def _key(asked: Preparation, tables: Sequence[Table]) -> str:
    """Return a name for what these tables become when this is asked of them."""
    key = json.dumps(
        [[t.fingerprint() for t in tables], repr(asked), gradstep.__version__], sort_keys=True
    )
    return hashlib.sha256(key.encode()).hexdigest()[:24]


@dataclass
class _Maker:
    """The two passes, and what the first leaves to the second."""

    table: Table
    held_out: Table | None
    asked: Preparation
    progress: Progress
    surveys: dict[str, Any] = field(default_factory=dict)
    nothing: list[LeftOut] = field(default_factory=list)
    rows_read: int = 0
    kept: list[NDArray[np.bool_] | None] = field(default_factory=list)
    weight_sum: float = 0.0
    _kept_frames: deque[pl.DataFrame] | None = None

    # ---------------------------------------------------------------- the first pass

    def look(self) -> None:
        """Read the table once, and decide what becomes of each column."""
        asked = self.asked
        self.table.check_column(asked.target, "The target")
        for role, column in (("weight", asked.weight), ("offset", asked.offset),
                             ("time column", asked.time)):  # fmt: skip
            if column is not None:
                self.table.check_column(column, f"The {role}")
        if asked.target in asked.drop:
            msg = f"The target {asked.target!r} cannot be left out."
            raise InvalidParameter(msg)
        for column in (*asked.drop, *asked.only, *(c for c, _ in asked.kinds)):
            self.table.check_column(column, "The column")
        self._choose_columns()
        self._target_kind = self._kind_of_target()
        self.target_survey = survey_of(asked.target, self._target_kind)
        with ThreadPoolExecutor(_THREADS, "gradstep-survey") as self._pool:
            try:
                for frame, first in self._chunks("reading"):
                    self._look_at(frame, first)
            except InvalidTable:
                self.table.check_text()  # a row of the wrong length may be why
                raise
        if self.rows_read == 0:
            msg = f"{self.table.name} has no rows."
            raise InvalidTable(msg)
        self.n_kept = sum(int(f.sum()) if f is not None else n for f, n in
                          zip(self.kept, self._chunk_sizes(), strict=True))  # fmt: skip
        self._check_target()
        if asked.missing == "error":
            self._refuse_missing()
        self.encoding: Encoding = decide(
            self.surveys, dict(asked.kinds), self.nothing, max_levels=asked.max_levels
        )
        if self.encoding.n_features == 0:
            reasons = "; ".join(f"{c.source}: {c.reason}" for c in self.encoding.columns[:10])
            msg = f"{self.table.name} has no column to learn from ({reasons or 'only the target'})."
            raise InvalidTable(msg)
        numbers = self.encoding.n_values * (4 if self.encoding.single else 8)
        self.row_bytes = numbers + 4 * len(self.encoding.coded) + 8 + 8 * self._weighted
        self.bytes = self.n_kept * self.row_bytes

    def _choose_columns(self) -> None:
        """Start a survey of each column that may become a feature."""
        asked, schema = self.asked, self.table.schema
        kinds = dict(asked.kinds)
        roles = {asked.target, asked.weight, asked.offset}
        for column, dtype in schema.items():
            if column in roles:
                continue
            if column in asked.drop or (asked.only and column not in asked.only):
                self.nothing.append(LeftOut(column, "left out on request"))
                continue
            kind = kinds.get(column, kind_of(dtype)).partition(":")[0]
            if dtype == pl.Null:
                self.nothing.append(LeftOut(column, "every value is missing"))
                continue
            if kind == "nothing":
                self.nothing.append(LeftOut(column, f"a column of type {dtype} has no encoding"))
                continue
            self._check_kind(column, kind, dtype)
            self.surveys[column] = survey_of(column, "category" if kind == "hash" else kind)

    @property
    def _weighted(self) -> bool:
        power = self.asked.log_power
        return self.asked.weight is not None or (
            self.asked.offset is not None and power is not None and power != 2.0
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

    def _kind_of_target(self) -> str:
        asked = self.asked
        dtype = self.table.schema[asked.target]
        kind, as_kind = kind_of(dtype), dict(asked.kinds).get(asked.target)
        if dtype == pl.Null:
            msg = f"The target {asked.target!r} is missing in every row of {self.table.name}."
            raise InvalidTable(msg)
        if kind in {"date", "nothing"}:
            msg = f"The target {asked.target!r} has type {dtype}, which cannot be predicted."
            raise InvalidTable(msg)
        if asked.task == "regression" and kind == "category":
            msg = (
                f"The target {asked.target!r} holds text ({dtype}), which task='regression' cannot "
                "predict. Use task='classification', or correct the column."
            )
            raise InvalidTable(msg)
        if as_kind not in {None, kind, "category"} or (as_kind and asked.task == "regression"):
            msg = (
                f"The target {asked.target!r} cannot be treated as {as_kind!r} here: only as "
                "'category', for classification."
            )
            raise InvalidParameter(msg)
        if as_kind == "category" or (dtype == pl.Boolean and asked.task != "regression"):
            return "category"
        return kind

    def _chunks(self, what: str) -> Iterator[tuple[pl.DataFrame, int]]:
        columns = [*self.surveys, *dict.fromkeys(
            c for c in (self.asked.target, self.asked.weight, self.asked.offset, self.asked.time)
            if c is not None and c not in self.surveys
        )]  # fmt: skip
        first = 0
        for frame in self._frames(columns, what):
            if what == "encoding" and first + frame.height > self.rows_read:
                self._refuse_change(f"more than {self.rows_read:,}")
            yield self._as_numbers(frame, first), first
            first += frame.height
            self.progress(what, first)
        if what == "reading":
            self.rows_read = first
        elif first != self.rows_read:
            self._refuse_change(f"{first:,}")

    def _frames(self, columns: Sequence[str], what: str) -> Iterator[pl.DataFrame]:
        """Yield the chunks of the table; of a small one, those that were read before."""
        if what == "encoding" and self._kept_frames is not None:
            while self._kept_frames:
                yield self._kept_frames.popleft()
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

    def _refuse_change(self, found: str) -> NoReturn:
        self.table.check_unchanged()  # says more, if it is a file
        msg = (
            f"{self.table.name} had {self.rows_read:,} rows when it was read first, and {found} "
            "the second time. Start again once nothing writes to it."
        )
        raise InvalidTable(msg)

    def _chunk_sizes(self) -> Iterator[int]:
        left = self.rows_read
        size = chunk_rows(len(self._columns_read()))
        while left > 0:
            yield min(size, left)
            left -= size

    def _columns_read(self) -> set[str]:
        roles = (self.asked.target, self.asked.weight, self.asked.offset, self.asked.time)
        return {*self.surveys, *(c for c in roles if c is not None)}

    def _as_numbers(self, frame: pl.DataFrame, first: int) -> pl.DataFrame:
        """Turn text that is to be a number into one."""
        for column, survey in self.surveys.items():
            if isinstance(survey, NumberSurvey) and kind_of(frame.schema[column]) == "category":
                text = frame[column].cast(pl.String)
                numbers = text.str.strip_chars().cast(pl.Float64, strict=False)
                bad = numbers.is_null() & text.is_not_null()
                if bad.any():
                    msg = (
                        f"Column {column!r} of {self.table.name} has the value "
                        f"{text.filter(bad)[0]!r} in row {first + (bad.arg_max() or 0) + 1} (of "
                        f"the rows, from 1), which is no number. Correct it, or use "
                        f"--as {column}=category."
                    )
                    raise InvalidTable(msg)
                frame = frame.with_columns(numbers.alias(column))
        return frame

    def _look_at(self, frame: pl.DataFrame, first: int) -> None:
        asked = self.asked
        target = frame[asked.target]
        kept = target.is_not_null()
        if self._target_kind == "number" and target.dtype.is_float():
            kept &= target.is_not_nan().fill_null(value=True)
        flags = None if kept.all() else kept.to_numpy()
        self.kept.append(flags)
        rows = np.arange(first, first + frame.height)
        if flags is not None:
            if asked.missing_target == "error":
                at = int(rows[~flags][0]) + 1
                msg = f"The target {asked.target!r} is missing in row {at} (of the rows, from 1)."
                raise InvalidTable(msg)
            frame, rows = frame.filter(kept), rows[flags]
            target = frame[asked.target]
        y: NDArray[np.float64] | None = None
        if self._target_kind == "number":
            self.target_survey.add(target, rows, None)
            y = target.cast(pl.Float64).to_numpy()
        else:
            self.target_survey.add(target, rows)
            y = self._as_two(target)
        if asked.weight is not None:
            self.weight_sum += float(_weights(frame, asked.weight, rows).sum())
        add_to(self.surveys, frame, rows, y, self._pool)
        if self._target_kind == "category":
            self._note_copies(frame, target)

    def _as_two(self, target: pl.Series) -> NDArray[np.float64] | None:
        """Return a target of two classes so far as numbers, for the search for leaks."""
        counts = self.target_survey.counts
        if counts is None or len(counts) > 2:
            return None
        if not hasattr(self, "_first_class"):
            self._first_class = next(iter(counts), "")
        return (target.cast(pl.String) == self._first_class).cast(pl.Float64).to_numpy()

    def _note_copies(self, frame: pl.DataFrame, target: pl.Series) -> None:
        if not hasattr(self, "_candidates"):
            self._candidates = {c for c, s in self.surveys.items() if isinstance(s, LevelSurvey)}
        text = target.cast(pl.String)
        self._candidates = {
            c for c in self._candidates
            if bool((frame[c].cast(pl.String) == text).fill_null(value=False).all())
        }  # fmt: skip

    def _check_target(self) -> None:
        asked, survey = self.asked, self.target_survey
        if self.n_kept == 0:
            msg = f"The target {asked.target!r} is missing in every row of {self.table.name}."
            raise InvalidTable(msg)
        if asked.weight is not None and not self.weight_sum > 0.0:
            msg = f"The weights {asked.weight!r} are all zero: no row counts."
            raise InvalidTable(msg)
        classes = self._classes()
        constant = len(classes) < 2 if classes is not None else (
            survey.numbers.low == survey.numbers.high
        )  # fmt: skip
        if constant:
            value = classes[0] if classes else survey.numbers.low
            msg = (
                f"The target {asked.target!r} is {value!r} in every row: there is nothing to learn."
            )
            raise InvalidTable(msg)
        if asked.offset is not None and classes is not None:
            msg = "An offset needs a regression loss; the target has classes."
            raise InvalidParameter(msg)
        self.target = Target(asked.target, None if classes is None else tuple(classes))

    def _classes(self) -> list[Any] | None:
        """Return the classes of the target; None if it is a number."""
        asked, survey = self.asked, self.target_survey
        classes: list[Any] | None = None
        if self._target_kind == "category":
            if survey.counts is None or len(survey.counts) > 1000:
                msg = (
                    f"The target {asked.target!r} has more than 1,000 different values of text: "
                    "too many classes. Is it the right column?"
                )
                raise InvalidTable(msg)
            classes = sorted(survey.counts)
            if self.table.schema[asked.target] == pl.Boolean:
                classes = [value == "true" for value in classes]
        elif asked.task == "classification" or (
            asked.task == "auto" and survey.distinct is not None and len(survey.distinct) <= 2
        ):
            if survey.distinct is None:
                msg = (
                    f"The target {asked.target!r} has more than 1,000 different numbers: too many "
                    "classes. Use task='regression', or another column."
                )
                raise InvalidTable(msg)
            classes = sorted(survey.distinct)
            if survey.whole:
                classes = [int(value) for value in classes]
        return classes

    def _refuse_missing(self) -> None:
        for column, survey in self.surveys.items():
            if survey.missing:
                msg = (
                    f"Column {column!r} of {self.table.name} is missing in {survey.missing:,} "
                    f"rows, first in row {survey.first_missing + 1} (of the rows, from 1). Fill "
                    "it, drop it (--drop), or let missing values be encoded (--missing encode)."
                )
                raise InvalidTable(msg)

    # ---------------------------------------------------------------- the second pass

    def fill(self, folder: Path | None) -> PreparedTable:
        """Read the table once more, encode it and put every row where it belongs."""
        asked = self.asked
        self._split_by_time()
        share = 0.0 if self.held_out is not None else asked.validation
        if asked.time is None:
            share = min(share, _MOST_HELD_OUT / self.n_kept)
        n_train, n_held_out = self._count(share)
        if n_train == 0:
            msg = (
                f"Holding out {asked.validation:.0%} of {self.n_kept} rows leaves none to train on."
            )
            raise InvalidTable(msg)
        if self.held_out is not None:
            n_held_out = self._rows_to_validate()
        train = self._new(folder, "train", n_train)
        rest = self._new(folder, "validation", n_held_out) if n_held_out else {}
        buckets = Buckets(n_train, asked.seed, max(1, _BUCKET_BYTES // self.row_bytes))
        self._stream(train, rest, buckets, share, in_memory=folder is None)
        if self.held_out is not None:
            self._fill_validation(rest)
        for part, which in ((train, "to train on"), (rest, "held out")):
            if asked.weight is not None and part and not part["weight"].any():
                msg = f"The weights {asked.weight!r} are zero in all of the rows {which}."
                raise InvalidTable(msg)
        meta = self._meta(n_train, n_held_out)
        return PreparedTable(
            self.encoding.dataset(train, shuffled=True),
            self.encoding.dataset(rest, shuffled=False) if rest else None,
            self.encoding,
            self.target,
            meta,
            None,
            rest.get("offset"),
        )

    def _stream(
        self,
        train: dict[str, NDArray[Any]],
        rest: dict[str, NDArray[Any]],
        buckets: Buckets,
        share: float,
        *,
        in_memory: bool,
    ) -> None:
        """Encode the table chunk by chunk, and put every row where it belongs.

        In memory a row goes to its final place at once; on disk into its bucket's part, which is
        permuted when all have come: then writing goes forward everywhere.
        """
        final = buckets.final_places() if in_memory else None
        at_train = at_rest = 0
        self.unseen: Counter[str] = Counter()
        jobs: deque[Future[Counter[str]]] = deque()
        with ThreadPoolExecutor(_THREADS, "gradstep-encode") as pool:
            for (frame, first), kept in zip(self._chunks("encoding"), self.kept, strict=True):
                flags = self._flags(frame, first, share)
                rows = np.arange(first, first + frame.height)
                if kept is not None:
                    frame = frame.filter(pl.Series(kept))  # noqa: PLW2901
                    flags, rows = flags[kept], rows[kept]
                n_train, n_rest = int((~flags).sum()), int(flags.sum())
                if at_train + n_train > len(train["y"]) or (flags.any() and not rest):
                    self._refuse_change("others")  # nothing may be put beyond the end
                places = buckets.places(at_train, n_train)
                at_train, at_rest = at_train + n_train, at_rest + n_rest
                if final is not None:
                    places = final[places].astype(np.int64)
                jobs.append(
                    pool.submit(self._place, frame, rows, flags, places, at_rest, train, rest)
                )
                if len(jobs) > _THREADS:
                    self.unseen += jobs.popleft().result()
            while jobs:
                self.unseen += jobs.popleft().result()
            if final is None:
                list(pool.map(lambda span: _permute(train, buckets, *span), buckets.spans()))

    def _place(
        self,
        frame: pl.DataFrame,
        rows: NDArray[np.int64],
        flags: NDArray[np.bool_],
        places: NDArray[np.int64],
        end: int,
        train: dict[str, NDArray[Any]],
        rest: dict[str, NDArray[Any]],
    ) -> Counter[str]:
        """Encode a chunk and write its rows to their places; those held out end at `end`."""
        unseen: Counter[str] = Counter()
        parts = self._encode(frame, rows, unseen)
        held_out = bool(flags.any())
        _put(train, parts, ~flags if held_out else None, places)
        if held_out and rest and self.held_out is None:
            _put(rest, parts, flags, np.arange(end - int(flags.sum()), end))
        return unseen

    def _flags(self, frame: pl.DataFrame, first: int, share: float) -> NDArray[np.bool_]:
        """Return which rows are held out."""
        if share == 0.0:
            return np.zeros(frame.height, np.bool_)
        if self.asked.time is not None:
            return _times(frame[self.asked.time]) > self._latest
        return chosen(self.asked.seed, first, frame.height, share, _HELD_OUT)

    def _split_by_time(self) -> None:
        """Find the time after which rows are held out, on a bounded sample of the rows."""
        asked = self.asked
        if asked.time is None or asked.validation == 0.0 or self.held_out is not None:
            return
        if kind_of(self.table.schema[asked.time]) not in {"date", "number"}:
            msg = (
                f"The time column {asked.time!r} has type {self.table.schema[asked.time]}: it must "
                "hold dates, times or numbers."
            )
            raise InvalidTable(msg)
        found, first = [], 0
        share = min(1.0, _SAMPLE_OF_TIMES / self.rows_read)
        for frame in self.table.chunks([asked.time]):
            times = _times(frame[asked.time])
            if np.isnan(times).any():
                at = first + int(np.isnan(times).argmax()) + 1
                msg = f"The time column {asked.time!r} is missing in row {at}."
                raise InvalidTable(msg)
            found.append(times[chosen(asked.seed, first, times.size, share, _TIMES)])
            first += times.size
        times = np.sort(np.concatenate(found))
        keep = min(times.size - 1, math.floor(times.size * (1.0 - asked.validation)))
        self._latest = float(times[max(0, keep - 1)])
        if self._latest == times[-1]:  # more rows than are asked for have the last time
            before = times[times < times[-1]]
            if not before.size:
                msg = (
                    f"The time column {asked.time!r} has the same time in every row: no rows can "
                    "be held out as the latest."
                )
                raise InvalidTable(msg)
            self._latest = float(before[-1])

    def _count(self, share: float) -> tuple[int, int]:
        """Return how many rows are trained on and held out."""
        if share == 0.0:
            return self.n_kept, 0
        held_out = first = 0
        if self.asked.time is not None:
            sizes = iter(self._times_again())
        for size, kept in zip(self._chunk_sizes(), self.kept, strict=True):
            if self.asked.time is not None:
                flags = next(sizes)
            else:
                flags = chosen(self.asked.seed, first, size, share, _HELD_OUT)
            held_out += int((flags if kept is None else flags & kept).sum())
            first += size
        return self.n_kept - held_out, held_out

    def _times_again(self) -> Iterator[NDArray[np.bool_]]:
        """Yield which rows are held out by time, in the chunks of the other passes."""
        left: list[NDArray[np.bool_]] = []
        assert self.asked.time is not None  # noqa: S101
        chunks = (_times(f[self.asked.time]) > self._latest
                  for f in self.table.chunks([self.asked.time]))  # fmt: skip
        for size in self._chunk_sizes():
            while sum(part.size for part in left) < size:
                left.append(next(chunks))
            joined = np.concatenate(left)
            yield joined[:size]
            left = [joined[size:]]

    def _new(self, folder: Path | None, part: str, n: int) -> dict[str, NDArray[Any]]:
        dtype = np.float32 if self.encoding.single else np.float64
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "values": ((n, self.encoding.n_values), dtype),
            "codes": ((n, len(self.encoding.coded)), np.int32),
            "y": ((n, 1), np.float64),
        }
        if self._weighted:
            shapes["weight"] = ((n,), np.float64)
        if part == "validation" and self.asked.offset is not None:
            shapes["offset"] = ((n,), np.float64)
        return {
            name: new_array(folder, f"{part}_{name}", shape, kind)
            for name, (shape, kind) in shapes.items()
        }

    def _encode(
        self, frame: pl.DataFrame, rows: NDArray[np.int64], unseen: Counter[str]
    ) -> dict[str, NDArray[Any]]:
        asked = self.asked
        values, codes = self.encoding.encode(frame, unseen)
        y = self._targets(frame)
        weight = None if asked.weight is None else _weights(frame, asked.weight, rows)
        parts: dict[str, NDArray[Any]] = {"values": values, "codes": codes}
        if asked.offset is not None:
            offset = frame[asked.offset].cast(pl.Float64).to_numpy()
            if not np.isfinite(offset).all():
                at = int(rows[~np.isfinite(offset)][0]) + 1
                msg = (
                    f"The offset {asked.offset!r} is missing or infinite in row {at} (of the rows, "
                    "from 1)."
                )
                raise InvalidTable(msg)
            parts["offset"] = offset
            y, weight = with_offset(y, weight, offset, asked.log_power)
        parts["y"] = y[:, None]
        if weight is not None:
            parts["weight"] = weight
        return parts

    def _targets(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        column = frame[self.target.column]
        classes = self.target.classes
        if classes is None:
            return column.cast(pl.Float64).to_numpy()
        found = class_codes(column, classes, self.target.column)
        return 2.0 * found - 1.0 if len(classes) == 2 else found

    # ---------------------------------------------------------------- a table of its own

    def _with_target(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that have a target."""
        target = frame[self.asked.target]
        kept = target.is_not_null()
        if target.dtype.is_float():
            kept &= target.is_not_nan().fill_null(value=False)
        return frame if kept.all() else frame.filter(kept)

    def _rows_to_validate(self) -> int:
        table = self.held_out
        assert table is not None  # noqa: S101
        check_columns(self.encoding, table.schema, table.name)
        for column in (self.asked.target, self.asked.weight, self.asked.offset):
            if column is not None:
                table.check_column(column, "The column")
        n = sum(self._with_target(frame).height for frame in table.chunks([self.asked.target]))
        if n == 0:
            msg = f"{table.name} has no row with a value of the target {self.asked.target!r}."
            raise InvalidTable(msg)
        return n

    def _fill_validation(self, rest: dict[str, NDArray[Any]]) -> None:
        assert self.held_out is not None  # noqa: S101
        extra = (self.asked.target, self.asked.weight, self.asked.offset)
        columns = dict.fromkeys([*self.encoding.sources, *(c for c in extra if c is not None)])
        at = 0
        for chunk in self.held_out.chunks(list(columns)):
            frame = readable(self._with_target(chunk), self.encoding)
            rows = np.arange(at, at + frame.height)
            if rows.size and rows[-1] >= len(rest["y"]):
                msg = f"{self.held_out.name} grew while it was being read."
                raise InvalidTable(msg)
            _put(rest, self._encode(frame, rows, self.unseen), None, rows)
            at += frame.height

    # ---------------------------------------------------------------- what is told of it

    def _leaks(self) -> list[str]:
        found = [
            f"Column {c!r} predicts the target almost perfectly (correlation "
            f"{s.numbers.correlation:.6f}). If it is not known when predictions are made, leave it "
            f"out (--drop {c})."
            for c, s in self.surveys.items()
            if hasattr(s, "numbers") and abs(s.numbers.correlation) > _LEAKS
        ]
        return found + [
            f"Column {c!r} is a copy of the target. Leave it out (--drop {c})."
            for c in sorted(getattr(self, "_candidates", ()))
        ]

    def _meta(self, n_train: int, n_held_out: int) -> dict[str, Any]:
        classes = self.target.classes
        survey = self.target_survey
        told: dict[str, Any] = {"column": self.target.column, "classes": classes}
        if classes is None:
            numbers = survey.numbers
            told |= {
                "low": numbers.low, "high": numbers.high,
                "mean": numbers.mean, "deviation": numbers.deviation,
            }  # fmt: skip
        return {
            "version": gradstep.__version__,
            "source": self.table.name,
            "fingerprint": self.table.fingerprint(),
            "asked": {k: v for k, v in vars(self.asked).items() if v not in (None, ())},
            "rows": {
                "read": self.rows_read,
                "dropped": self.rows_read - self.n_kept,
                "train": n_train,
                "validation": n_held_out,
            },
            "target": told,
            "encoding": self.encoding.to_json(),
            "columns": {c: _told(s) for c, s in self.surveys.items()},
            "warnings": self._leaks(),
            "unseen": dict(self.unseen),
        }


def _told(survey: Any) -> dict[str, Any]:
    """Return what is known of a column, for people."""
    if isinstance(survey, LevelSurvey):
        return {"missing": survey.missing, "levels": survey.distinct}
    numbers = survey.numbers
    known = {"missing": survey.missing, "mean": numbers.mean, "deviation": numbers.deviation}
    return known | ({"low": numbers.low, "high": numbers.high} if numbers.count else {})


def _times(series: pl.Series) -> NDArray[np.float64]:
    if kind_of(series.dtype) == "date":
        return as_days(series)
    return series.cast(pl.Float64).to_numpy()


def _weights(frame: pl.DataFrame, column: str, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weights of rows, which have these numbers in the table."""
    try:
        weight = frame[column].cast(pl.Float64).to_numpy()
    except pl.exceptions.PolarsError as error:
        msg = f"The weights {column!r} have type {frame.schema[column]}: they must be numbers."
        raise InvalidTable(msg) from error
    bad = ~(np.isfinite(weight) & (weight >= 0.0))
    if bad.any():
        at = int(bad.argmax())
        msg = (
            f"The weight {column!r} is {weight[at]:g} in row {rows[at] + 1} (of the rows, from 1): "
            "weights must be finite numbers from 0 on."
        )
        raise InvalidTable(msg)
    return weight


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


def _put(
    arrays: dict[str, NDArray[Any]],
    parts: dict[str, NDArray[Any]],
    chosen_rows: NDArray[np.bool_] | None,
    places: NDArray[Any],
) -> None:
    """Write (some of) the encoded rows to their places."""
    for name, array in arrays.items():
        part = parts[name]
        put_rows(part if chosen_rows is None else part[chosen_rows], places, array)


def _permute(arrays: dict[str, NDArray[Any]], buckets: Buckets, lo: int, hi: int) -> None:
    """Bring the rows of a bucket into their final order."""
    order = buckets.permutation(lo, hi)
    for array in arrays.values():
        array[lo:hi] = gather_rows(array[lo:hi], order)
