"""Tables: files, folders and frames opened as one thing that is read in chunks, again and again.

Polars reads. What it does silently is looked for here: short rows that become missing
values, headers that it renames, files that disagree. What it reports in its own terms is
reported here with file, line, column and value.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl
import polars.selectors as cs

from gradstep.data.formats.number_format import misfits
from gradstep.data.sources.bad_value import BadValue
from gradstep.data.sources.json_lines import bad_json, line_of_json
from gradstep.data.sources.source_file import SourceFile, fingerprint
from gradstep.data.sources.text_files import OTHER_ENCODING
from gradstep.data.sources.typed_files import UNREADABLE
from gradstep.errors import InvalidTable, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from gradstep.data.formats.date_format import DateFormat, IsoDates
    from gradstep.data.formats.number_format import NumberFormat
    from gradstep.data.sources.store_files import StoreFile
    from gradstep.data.sources.text_files import TextFile
    from gradstep.diagnostics.diagnostic import Note

__all__ = ["Opened", "Table", "chunk_rows", "literally"]

_CHUNK_NUMBERS = 1 << 22
_MOST_CHUNK_ROWS = 1 << 16
_CHECKED_FIRST = 1 << 26  # bytes of text that are checked before they are read, in a few ms


def chunk_rows(n_columns: int) -> int:
    """Return the rows of a chunk: a function of the data, so that no sum depends on the machine."""
    return max(1, min(_MOST_CHUNK_ROWS, _CHUNK_NUMBERS // max(1, n_columns)))


@dataclass(frozen=True)
class Opened:
    """What stands behind a table.

    Attributes
    ----------
    kind : {"frame", "csv", "parquet", "ipc", "ndjson"}
        The format.
    files : sequence of SourceFile or StoreFile
        As they were when they were opened; none of a frame.
    read, names : sequence
        What is read: these files, or plain copies of them; and what messages call them.
    text : sequence of TextFile
        The CSV files.
    copies : sequence
        What deletes the copies, once nothing refers to it.
    again : callable, optional
        Returns a query of the same files that reads these columns as text.
    na : tuple of str
        Values that are missing.
    """

    kind: str = "frame"
    files: Sequence[SourceFile | StoreFile] = ()
    read: Sequence[Path] = ()
    names: Sequence[str] = ()
    text: Sequence[TextFile] = ()
    copies: Sequence[Any] = ()
    again: Callable[[Collection[str]], pl.LazyFrame] | None = None
    na: tuple[str, ...] = ()


@dataclass
class Table:
    """A table that can be read in chunks as often as needed.

    Attributes
    ----------
    name : str
        What messages call it.
    types : dict
        Column name to Polars type, as they come.
    formats : mapping
        Columns of text that hold numbers or dates, to how these are written.
    notes : list of Note
        What a person should know of the files.
    checked : bool
        Whether text need not be looked through for rows of the wrong length.
    """

    name: str
    types: dict[str, pl.DataType]
    _lazy: pl.LazyFrame
    opened: Opened = field(default_factory=Opened)
    formats: Mapping[str, NumberFormat | DateFormat | IsoDates] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    checked: bool = False

    @property
    def files(self) -> Sequence[SourceFile | StoreFile]:
        """The files that another machine can read too; none of a frame, or if some are copies."""
        return () if self.opened.copies else self.opened.files

    def open(self) -> Table:
        """Return itself: it is its own piece (`gradstep.data.sources.pieces`)."""
        return self

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column name to Polars type, as `chunks` yields them."""
        return {**self.types, **{c: f.dtype for c, f in self.formats.items() if self._is_text(c)}}

    def _is_text(self, column: str) -> bool:
        return isinstance(self.types.get(column), (pl.String, pl.Categorical, pl.Enum))

    @property
    def guesses(self) -> bool:
        """Whether types are guessed from the first rows, rather than told by the files."""
        return self.opened.kind in {"csv", "ndjson"}

    def with_formats(self, formats: Mapping[str, Any]) -> Table:
        """Return the table whose columns of text are read as these numbers and dates."""
        return replace(self, formats={**self.formats, **formats})

    def with_text(self, columns: Collection[str]) -> Table:
        """Return the table with more columns as text, as they stand in its files."""
        if self.opened.again is None:
            return self
        text = {c for c, dtype in self.types.items() if dtype == pl.String} | set(columns)
        lazy = self.opened.again(text)
        return replace(self, types=dict(lazy.collect_schema()), _lazy=lazy)

    def count_rows(self) -> int | None:
        """Return how many rows there are, read or told by the files; None if that fails."""
        try:
            return int(self._lazy.select(pl.len()).collect(engine="streaming").item())
        except UNREADABLE:  # said where the rows are read
            return None

    def columns_that_fail(self) -> list[str]:
        """Return the columns whose guessed type some value contradicts."""
        guessed = [c for c, t in self.types.items() if t.is_numeric() or t.is_temporal()]
        if self.opened.again is None or not guessed:
            return []
        text = self.opened.again(guessed)
        fails = [
            (pl.col(c).cast(self.types[c], strict=False).is_null() & pl.col(c).is_not_null())
            .any().alias(c)
            if self.types[c].is_numeric() else
            (~pl.col(c).str.contains(r"^\s*[0-9]{1,4}[-:]")).any().alias(c)
            for c in guessed
        ]  # fmt: skip
        found = text.select(literally(guessed)).select(fails).collect(engine="streaming")
        return [c for c in guessed if found[c][0]]

    def points(self, columns: Collection[str]) -> dict[str, tuple[bool, bool]]:
        """Return, of CSV columns of numbers, whether points are there, all before three digits."""
        numbers = [c for c in columns if self.types[c].is_numeric()]
        if self.opened.kind != "csv" or self.opened.again is None or not numbers:
            return {}
        text = self.opened.again(numbers).select(literally(numbers))
        grouped = pl.all().str.contains(r"^\s*[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+\s*$")
        pointed = pl.all().str.contains(".", literal=True)
        found = text.select(
            pointed.any().name.prefix("any "), (grouped | ~pointed).all().name.prefix("all ")
        ).collect(engine="streaming")
        return {c: (bool(found[f"any {c}"][0]), bool(found[f"all {c}"][0])) for c in numbers}

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, in chunks whose size depends on the number of columns alone.

        Raises
        ------
        InvalidTable
            If a row, a value or a file is not what it should be; `BadValue`, if a value.
        """
        chosen = list(self.types) if columns is None else list(columns)
        size = chunk_rows(len(chosen))
        first = 0
        pool = ThreadPoolExecutor(1, "gradstep-check")
        checked = pool.submit(self.check_text)
        # Nobody waits for the thread where this is left half-way: the garbage collector may do
        # that, within the start of another thread, whose locks the end of this one needs.
        pool.shutdown(wait=False)
        if sum(file.size for file in self.opened.files) <= _CHECKED_FIRST:
            self._refuse_found(checked)  # before a wrong row is taken for what it is not
        try:
            for frame in self._lazy.select(literally(chosen)).collect_batches(
                chunk_size=size, lazy=True
            ):
                yield self._formatted(frame, first)
                first += frame.height
        except UNREADABLE as error:
            if "KeyboardInterrupt" in str(error):  # of which Polars makes a panic
                raise
            self._refuse_found(checked)
            self._explain(error)
        self._refuse_found(checked)

    def _refuse_found(self, checked: Future[None]) -> None:
        """Refuse what a check found; if the file is another by now, that is what is wrong."""
        error = checked.exception()
        self.check_unchanged()
        if error is not None:
            raise error

    def _formatted(self, frame: pl.DataFrame, first: int) -> pl.DataFrame:
        """Read text as the numbers and dates that it is, and leave out what is missing."""
        if self.opened.na:
            frame = frame.with_columns(_without(frame, self.opened.na))
        for column, written in self.formats.items():
            if column not in frame.columns or not self._is_text(column):
                continue
            text = frame[column].cast(pl.String)
            values = written.read(text)
            bad = misfits(text, values, written.missing)
            if bad.any():
                at = int(bad.arg_max() or 0)
                raise BadValue(
                    self._where(column, text[at], first + at), column, text[at], written.noun
                )
            frame = frame.with_columns(values)
        return frame

    def _where(self, column: str, value: str, row: int) -> str:
        """Return file and line of a value in a row; of what has no lines, the row."""
        for text in self.opened.text:
            line = text.line_of(column, value)
            if line is not None:
                return f"{text.name}, line {line}"
        for path, name in self._lines() if self.opened.kind == "ndjson" else ():
            line = line_of_json(path, column, value)
            if line is not None:
                return f"{name}, line {line}"
        return f"{self.name}, row {row + 1:,} (of the rows, from 1)"

    def _lines(self) -> Iterator[tuple[Any, str]]:
        """Yield the files that are read, and what messages call them."""
        yield from zip(self.opened.read, self.opened.names, strict=True)

    def fingerprint(self) -> list[dict[str, Any]]:
        """Return what tells this version of the files from another; empty for frames."""
        files = [file for file in self.opened.files if isinstance(file, SourceFile)]
        if [str(file.path) for file in files] == list(self.opened.names):
            return fingerprint(files)
        return [  # of what is no file here, and copied
            {"path": self.name, "size": file.size, "sha256": file.digest(None)} for file in files
        ]

    def check_unchanged(self) -> None:
        """Refuse to go on if a file changed or disappeared since the table was opened."""
        for file in self.opened.files:
            file.check()

    def check_column(self, name: str, role: str) -> None:
        """Refuse a column that is not there; `role` says what it was to be."""
        if name not in self.types:
            columns = ", ".join(list(self.types)[:20]) + (", …" if len(self.types) > 20 else "")
            msg = (
                f"{role} {name!r} is not a column of {self.name}.{nearest(name, self.types)} "
                f"Its columns are: {columns}."
            )
            raise InvalidTable(msg)

    def check_text(self) -> None:
        """Refuse text whose rows do not have as many fields as its header."""
        if not self.checked:
            for text in self.opened.text:
                text.check_records()
            self.checked = True

    def _explain(self, error: BaseException) -> NoReturn:
        """Say what a reader's error means, in terms of files, lines, columns and values."""
        reason = str(error).split("\n", maxsplit=1)[0]
        parsed = re.search(
            r"could not parse `(.*)` as dtype `([^`]+)` at column '(.*?)'", str(error)
        )
        if parsed:
            value, dtype, column = parsed.groups()
            for text in self.opened.text:
                line = text.line_of(column, value)
                if line is not None:
                    kind = "number" if re.fullmatch(r"[iuf]\d+", dtype) else dtype.split("[")[0]
                    where = f"{text.name}, line {line}"
                    raise BadValue(where, column, value, kind) from error
        for text in self.opened.text if "utf-8" in reason or "utf8" in reason else ():
            line = text.undecodable_line()
            if line is not None:
                msg = f"{text.name}, line {line}: it is not UTF-8 text. {OTHER_ENCODING}"
                raise InvalidTable(msg) from error
        if self.opened.kind == "ndjson":
            numbers = [c for c, dtype in self.types.items() if dtype.is_numeric()]
            for path, name in self._lines():
                problem = bad_json(path, numbers, name)
                if isinstance(problem, BadValue):
                    raise problem from error
                if problem is not None:
                    raise InvalidTable(problem) from error
        msg = f"{self.name} cannot be read: {reason}"
        raise InvalidTable(msg) from error


def _without(frame: pl.DataFrame, na: Sequence[str]) -> list[pl.Expr]:
    """Return what takes values out that stand for missing ones, in text and in numbers."""
    numbers = []
    for value in na:
        try:
            numbers.append(float(value))
        except ValueError:
            continue
    found = []
    for column, dtype in frame.schema.items():
        one = pl.col(column)
        if dtype == pl.String:
            gone = one.str.strip_chars().is_in(list(na))
        elif dtype.is_numeric() and numbers:
            gone = one.cast(pl.Float64).is_in(numbers)
        else:
            continue
        found.append(pl.when(~gone).then(one).otherwise(None).alias(column))
    return found


def literally(columns: Sequence[str]) -> list[Any]:
    """Return columns by their names, of which Polars would read some as patterns."""
    return [cs.by_name(name) for name in columns]
