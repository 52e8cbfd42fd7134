"""Tables: files, folders and frames opened as one thing that is read in chunks, again and again.

Polars reads. What it does silently is looked for here: short rows that become missing
values, headers that it renames, files that disagree. What it reports in its own terms is
reported here with file, line, column and value.
"""

from __future__ import annotations

import glob
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl
import polars.selectors as cs

from gradstep.data.sources.arrow_check import is_damaged_arrow
from gradstep.data.sources.frames import query_of
from gradstep.data.sources.source_file import SourceFile, fingerprint
from gradstep.data.sources.text_files import (
    INFER_ROWS,
    PACKED,
    TEXT_FORMATS,
    TextFile,
    bad_json,
    path_of,
    scan_text,
)
from gradstep.errors import InvalidTable, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

__all__ = ["Table", "chunk_rows", "files_of", "format_of", "literally", "open_table", "scan_one"]

_CHUNK_NUMBERS = 1 << 22
_MOST_CHUNK_ROWS = 1 << 16
_CHECKED_FIRST = 1 << 26  # bytes of text that are checked before they are read, in a few ms
_FORMATS = {**dict.fromkeys(TEXT_FORMATS, "csv"), ".parquet": "parquet", ".pq": "parquet",
            ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc", ".ndjson": "ndjson",
            ".jsonl": "ndjson"}  # fmt: skip
# What Polars raises where a file is damaged; it panics where it did not look.
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
_KNOWN = ".csv, .tsv (also .gz, .zst), .parquet, .arrow, .feather, .ndjson"


def chunk_rows(n_columns: int) -> int:
    """Return the rows of a chunk: a function of the data, so that no sum depends on the machine."""
    return max(1, min(_MOST_CHUNK_ROWS, _CHUNK_NUMBERS // max(1, n_columns)))


@dataclass
class Table:
    """A table that can be read in chunks as often as needed.

    Attributes
    ----------
    name : str
        What messages call it.
    schema : dict
        Column name to Polars type, as they are read.
    """

    name: str
    schema: dict[str, pl.DataType]
    _lazy: pl.LazyFrame
    _files: list[SourceFile] = field(default_factory=list)
    _text: list[TextFile] = field(default_factory=list)
    _checked: bool = False

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, in chunks whose size depends on the number of columns alone.

        Raises
        ------
        InvalidTable
            If a row, a value or a file is not what it should be.
        """
        chosen = list(self.schema) if columns is None else list(columns)
        size = chunk_rows(len(chosen))
        with ThreadPoolExecutor(1, "gradstep-check") as pool:
            checked = pool.submit(self.check_text)
            if sum(file.size for file in self._files) <= _CHECKED_FIRST:
                checked.result()  # before a wrong row is taken for what it is not
            try:
                yield from self._lazy.select(literally(chosen)).collect_batches(
                    chunk_size=size, lazy=True
                )
            except _UNREADABLE as error:
                if "KeyboardInterrupt" in str(error):  # of which Polars makes a panic
                    raise
                self.check_unchanged()
                checked.result()
                self._explain(error)
            self.check_unchanged()
            checked.result()

    @property
    def files(self) -> list[SourceFile]:
        """The files that it is read from, in order; none of a frame, a query or a URL."""
        return self._files

    def open(self) -> Table:
        """Return itself: it is its own piece (`gradstep.data.sources.pieces`)."""
        return self

    def fingerprint(self) -> list[dict[str, Any]]:
        """Return what tells this version of the files from another; empty for frames."""
        return fingerprint(self._files)

    def check_unchanged(self) -> None:
        """Refuse to go on if a file changed or disappeared since the table was opened."""
        for file in self._files:
            file.check()

    def check_column(self, name: str, role: str) -> None:
        """Refuse a column that is not there; `role` says what it was to be."""
        if name not in self.schema:
            columns = ", ".join(list(self.schema)[:20]) + (", …" if len(self.schema) > 20 else "")
            msg = (
                f"{role} {name!r} is not a column of {self.name}.{nearest(name, self.schema)} "
                f"Its columns are: {columns}."
            )
            raise InvalidTable(msg)

    def check_text(self) -> None:
        """Refuse text whose rows do not have as many fields as its header."""
        if not self._checked:
            for text in self._text:
                text.check_records()
            self._checked = True

    def _explain(self, error: BaseException) -> NoReturn:
        """Say what a reader's error means, in terms of files, lines, columns and values."""
        reason = str(error).split("\n", maxsplit=1)[0]
        parsed = re.search(
            r"could not parse `(.*)` as dtype `([^`]+)` at column '(.*?)'", str(error)
        )
        if parsed:
            value, dtype, column = parsed.groups()
            for text in self._text:
                line = text.line_of(column, value)
                if line is not None:
                    kind = "number" if re.fullmatch(r"[iuf]\d+", dtype) else dtype.split("[")[0]
                    msg = (
                        f"{text.path}, line {line}: column {column!r} has the value {value!r}, "
                        f"which is not a {kind}, as the rows before are. Correct it, treat the "
                        f"column as text (--as {column}=category), or leave it out "
                        f"(--drop {column})."
                    )
                    raise InvalidTable(msg) from error
        for text in self._text if "utf-8" in reason or "utf8" in reason else ():
            line = text.undecodable_line()
            if line is not None:
                msg = (
                    f"{text.path}, line {line}: it is not UTF-8 text. If it is text in another "
                    "encoding, convert it; if it is no text, give it the suffix of what it is."
                )
                raise InvalidTable(msg) from error
        if self._files and format_of(self._files[0].path, strict=False) == "ndjson":
            numbers = {c: dtype for c, dtype in self.schema.items() if dtype.is_numeric()}
            for file in self._files:
                problem = bad_json(file.path, numbers)
                if problem:
                    raise InvalidTable(problem) from error
        msg = f"{self.name} cannot be read: {reason}"
        raise InvalidTable(msg) from error


# --------------------------------------------------------------------------- opening


def literally(columns: Sequence[str]) -> list[Any]:
    """Return columns by their names, of which Polars would read some as patterns."""
    return [cs.by_name(name) for name in columns]


def open_table(source: Any, *, as_text: Collection[str] = ()) -> Table:
    """Open a table: a path, a glob, a folder, a URL, a frame or a query.

    Parameters
    ----------
    source : str, path, list of paths, or frame
        Files of one format (CSV and TSV, also packed with gzip or zstd; Parquet; Arrow and
        Feather; NDJSON); a Polars LazyFrame or DataFrame; a pandas or pyarrow table.
    as_text : collection of str
        Columns of text files to read as text whatever they look like.

    Raises
    ------
    InvalidTable
        If it does not exist, is empty, or is no table.
    """
    if isinstance(source, pl.LazyFrame):
        return _frame(source, "the query")
    if isinstance(source, pl.DataFrame):
        return _frame(source.lazy(), "the frame")
    if isinstance(source, (str, Path)):
        return _open_files(_expand(str(source)), str(source), as_text)
    if isinstance(source, (list, tuple)) and all(isinstance(s, (str, Path)) for s in source):
        files = [path for one in source for path in _expand(str(one))]
        return _open_files(files, ", ".join(map(str, source[:3])), as_text)
    return _frame(query_of(source), f"the {type(source).__name__}")


def _frame(lazy: pl.LazyFrame, name: str) -> Table:
    try:
        schema = dict(lazy.collect_schema())
    except _UNREADABLE as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        msg = f"{name} cannot be read: {reason}"
        raise InvalidTable(msg) from error
    for column in schema:
        if column.startswith("^") and column.endswith("$"):
            msg = (
                f"Column {column!r} of {name} has a name that Polars reads as a pattern (^…$). "
                "Rename it."
            )
            raise InvalidTable(msg)
    return Table(name, schema, lazy)


def files_of(source: str) -> list[Path]:
    """Return the files that a path, a glob or a folder names; none for a URL."""
    return [] if "://" in source else _expand(source)


def _expand(source: str) -> list[Path]:
    """Return the files of a path, a glob or a folder, in order of their names."""
    if "://" in source:
        return [Path(source)]
    path = path_of(source)
    if path.is_dir():
        files = sorted(
            p for p in path.rglob("*")
            if p.is_file() and format_of(p, strict=False)
            and not any(part.startswith(".") for part in p.relative_to(path).parts)
        )  # fmt: skip
        if not files:
            msg = f"{path} is a folder without any table in it ({_KNOWN})."
            raise InvalidTable(msg)
        return files
    if path.exists() or not glob.has_magic(source):
        return [path]
    files = sorted(Path(found) for found in glob.glob(str(path), recursive=True))  # noqa: PTH207
    if not files:
        msg = f"{source} matches no file."
        raise InvalidTable(msg)
    return files


def format_of(path: Path, *, strict: bool = True) -> str:
    """Return what a file is, by its suffix: csv, parquet, ipc or ndjson; empty if unknown."""
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
        if suffixes and suffixes[-1] not in TEXT_FORMATS:
            suffixes = []
    found = _FORMATS.get(suffixes[-1] if suffixes else "", "")
    if strict and not found:
        msg = f"{path} has a suffix that says nothing of a table. Known are {_KNOWN}."
        raise InvalidTable(msg)
    return found


def _open_files(paths: list[Path], name: str, as_text: Collection[str]) -> Table:
    if "://" in name:
        return _frame(_scanner(name)(name), name)
    if not paths:
        msg = "a table needs at least one file; the list is empty."
        raise InvalidTable(msg)
    opened = [SourceFile.of(path) for path in paths]
    for path in paths:
        if path.is_dir():
            msg = f"{path} is a folder among files."
            raise InvalidTable(msg)
    formats = {format_of(path) for path in paths}
    if len(formats) > 1:
        msg = f"{name} has files of several formats ({', '.join(sorted(formats))}): use one."
        raise InvalidTable(msg)
    texts: list[TextFile] = []
    checked = False
    if formats == {"csv"}:
        texts = [TextFile.of(path) for path in paths]
        for text in texts[1:]:
            _check_same(texts[0].path, dict.fromkeys(texts[0].header, "a column"),
                        text.path, dict.fromkeys(text.header, "a column"))  # fmt: skip
        packed = [text for text in texts if text.path.suffix.lower() in PACKED]
        for text in packed:  # Polars has all of a line in memory, however few bytes it is packed to
            text.check_records()
        checked = len(packed) == len(texts)
        lazy = scan_text(texts, as_text)
    else:
        lazy = _scan_typed(paths, formats.pop(), as_text)
    table = _frame(lazy, name)
    return Table(name, table.schema, lazy, opened, texts, checked)


def _scanner(path: str) -> Callable[..., pl.LazyFrame]:
    scanners: dict[str, Any] = {
        "parquet": pl.scan_parquet,
        "ipc": pl.scan_ipc,
        "ndjson": pl.scan_ndjson,
        "csv": pl.scan_csv,
    }
    return scanners[format_of(Path(path))]  # type: ignore[no-any-return]


def _scan_typed(paths: list[Path], kind: str, as_text: Collection[str]) -> pl.LazyFrame:
    """Scan files that carry their types; they must agree."""
    parts: list[pl.LazyFrame] = []
    first: dict[str, str] | None = None
    for path in paths:
        try:
            part = scan_one(path, kind, as_text=as_text)
            schema = part.collect_schema()
        except _UNREADABLE as error:
            reason = str(error).split("\n", maxsplit=1)[0]
            msg = f"{path} is no {kind} file, or a damaged one: {reason}"
            if path.stat().st_size == 0:
                msg = f"{path} is empty."
            elif kind == "ndjson":
                msg = bad_json(path, {}) or msg
            raise InvalidTable(msg) from error
        types = {column: _family(dtype) for column, dtype in schema.items()}
        if first is None:
            first = types
        else:
            _check_same(paths[0], first, path, types)
            # what is missing in all of one file has the type that it has in another
            first = {c: types[c] if family == "null" else family for c, family in first.items()}
        parts.append(part.select(list(first)))
    return parts[0] if len(parts) == 1 else pl.concat(parts, how="vertical_relaxed")


def scan_one(
    path: Path, kind: str, known: Mapping[str, pl.DataType] | None = None,
    as_text: Collection[str] = (),
) -> pl.LazyFrame:  # fmt: skip
    """Scan a file that carries its types; those of JSON lines may be known."""
    if kind == "parquet":
        return pl.scan_parquet(path, hive_partitioning="=" in str(path.parent), glob=False)
    if kind == "ipc":
        if is_damaged_arrow(path):
            msg = "it claims more than it can hold"
            raise OSError(msg)
        return pl.scan_ipc(glob.escape(str(path)))
    name = glob.escape(str(path))
    if known is not None:
        return pl.scan_ndjson(name, schema=dict(known))
    types = pl.scan_ndjson(name, infer_schema_length=INFER_ROWS).collect_schema()
    overrides: dict[str, Any] = {
        # as of text files: a later row may well have a fraction
        column: pl.String if column in as_text else pl.Float64
        for column, dtype in types.items()
        if column in as_text or dtype.is_numeric()
    }
    return pl.scan_ndjson(name, schema={**types, **overrides})


def _family(dtype: pl.DataType) -> str:
    """Return what a column is, whatever the width of its numbers."""
    if dtype.is_numeric():
        return "number"
    return str(dtype.base_type()).lower() if dtype.is_nested() else str(dtype).lower()


def _check_same(first: Path, expected: dict[str, str], other: Path, found: dict[str, str]) -> None:
    """Refuse files whose columns differ, with a table of what differs."""
    different = [
        name
        for name in dict.fromkeys([*expected, *found])
        if expected.get(name) != found.get(name)
        and not (name in expected and name in found and "null" in {expected[name], found[name]})
    ]
    if not different:
        if list(expected) == list(found) or "a column" not in expected.values():
            return
        msg = (
            f"{other} has the columns of {first} in another order, which text files must not. "
            "Write them in one order."
        )
        raise InvalidTable(msg)
    lines = [
        f"  {name}: {found.get(name, 'missing')}, expected {expected.get(name, 'no such column')}"
        for name in different[:20]
    ]
    msg = f"{other} does not have the columns of {first}:\n" + "\n".join(lines)
    raise InvalidTable(msg)
