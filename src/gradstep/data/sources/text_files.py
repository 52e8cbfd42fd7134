"""CSV and NDJSON files: their headers and types, and where in them something is wrong."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from gradstep.errors import InvalidTable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["INFER_ROWS", "LONGEST_LINE", "PACKED", "TEXT_FORMATS", "UNPACKING", "TextFile",
           "bad_json", "path_of", "scan_as", "scan_text"]  # fmt: skip

PACKED = {".gz", ".zst"}
TEXT_FORMATS = {".csv": ",", ".tsv": "\t", ".txt": ""}
INFER_ROWS = 10_000
# What stands for a missing value in text files.
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "#N/A")
_READING: dict[str, Any] = {"null_values": list(MISSING)}
# What a damaged file raises while it is unpacked.
UNPACKING = (OSError, EOFError, zlib.error)
LONGEST_LINE = 1 << 26  # bytes; of a packed file nothing else bounds it
_SCAN_BYTES = 1 << 22
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass
class TextFile:
    """A CSV file: its header, and what is looked for in it besides the values."""

    path: Path
    separator: str
    header: list[str]

    @classmethod
    def of(cls, path: Path) -> TextFile:
        """Read the header of a file."""
        first = _first_record(path)
        if not first.strip():
            msg = f"{path} is empty: the first line must name the columns."
            raise InvalidTable(msg)
        if "\0" in first:
            msg = f"{path} is not a text file: its header has NUL bytes."
            raise InvalidTable(msg)
        suffix = next(s for s in reversed(path.suffixes) if s.lower() not in PACKED)
        separator = TEXT_FORMATS[suffix.lower()]
        if separator not in first or not separator:
            separator = max(",;\t|", key=first.count) if any(map(first.count, ",;\t|")) else ","
        try:
            header = next(csv.reader([first], delimiter=separator))
        except csv.Error as error:
            msg = f"{path}, line 1: a column has a name of more than 100,000 characters."
            if "new-line" in str(error):
                msg = (
                    f"{path} ends its lines with CR alone, as old Macs did: to be read they must "
                    "end with LF, or CR LF. Convert it (tr '\\r' '\\n')."
                )
            raise InvalidTable(msg) from None
        seen: set[str] = set()
        for position, name in enumerate(header, 1):
            if name in seen:
                msg = (
                    f"{path}, line 1: the column name {name!r} comes twice, the second time in "
                    f"column {position}. Rename one of them."
                )
                raise InvalidTable(msg)
            seen.add(name)
        return cls(path, separator, header)

    def check_records(self) -> None:
        """Refuse rows with too few or too many fields."""
        from gradstep.data.kernels.csv_check import (  # imports Numba
            ENDLESS,
            UNCLOSED,
            first_bad_record,
        )

        blocks = _blocks(self.path)
        bad = first_bad_record(blocks, self.separator, len(self.header), longest=LONGEST_LINE)
        if bad is None:
            return
        if bad.fields == ENDLESS:
            msg = _too_long(self.path, bad.line)
        elif bad.fields == UNCLOSED:
            msg = (
                f"{self.path}, line {bad.line}: a quote that opens in this row is never closed. "
                'A quote inside a quoted field must be doubled ("").'
            )
        elif bad.fields == 0:
            msg = f"{self.path}, line {bad.line}: the line is empty. Delete it."
        else:
            msg = (
                f"{self.path}, line {bad.line}: the row has {bad.fields} fields, the header has "
                f"{len(self.header)}. Correct the row; a field that contains {self.separator!r} "
                "must be quoted."
            )
        raise InvalidTable(msg)

    def line_of(self, column: str, value: str) -> int | None:
        """Return the line of the first row with this value in a column."""
        if column not in self.header:
            return None
        at = self.header.index(column)
        limit = csv.field_size_limit(LONGEST_LINE)
        try:
            with (
                contextlib.suppress(csv.Error, *UNPACKING),
                io.TextIOWrapper(
                    _opened(self.path), encoding="utf-8-sig", errors="replace", newline=""
                ) as lines,
            ):
                reader = csv.reader(lines, delimiter=self.separator)
                begin = 1
                for record in reader:
                    if len(record) > at and record[at].strip().strip('"') == value.strip('"'):
                        return begin
                    begin = reader.line_num + 1
        finally:
            csv.field_size_limit(limit)
        return None

    def undecodable_line(self) -> int | None:
        """Return the first line that is not UTF-8."""
        with contextlib.suppress(*UNPACKING), _opened(self.path) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    line.decode()
                except UnicodeDecodeError:
                    return number
        return None


def _first_record(path: Path) -> str:
    """Return the first line, or the lines that its quotes join."""
    parts, quotes, size = [], 0, 0
    try:
        with _opened(path) as lines:
            while more := lines.readline(LONGEST_LINE):
                parts.append(more)
                quotes, size = quotes + more.count(b'"'), size + len(more)
                if size >= LONGEST_LINE:
                    raise InvalidTable(_too_long(path, 1))
                if quotes % 2 == 0:
                    break
    except UNPACKING as error:
        msg = f"{path} cannot be unpacked: {error}."
        raise InvalidTable(msg) from None
    first = b"".join(parts)
    try:
        return str(first, "utf-8-sig")
    except UnicodeDecodeError as error:
        msg = (
            f"{path}, line 1: it is not UTF-8 text (byte {error.start + 1} of the header). If it "
            "is text in another encoding, convert it; if it is no text, give it the suffix of "
            "what it is."
        )
        raise InvalidTable(msg) from None


def _opened(path: Path) -> Any:
    """Open a file for its bytes, unpacked."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    if path.suffix.lower() == ".zst":
        return io.BufferedReader(_Unpacked(path))
    return path.open("rb")


class _Unpacked(io.RawIOBase):
    """The bytes of a file packed with zstd, which Python itself cannot unpack: Polars does."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if file.read(4) != _ZSTD_MAGIC:
                msg = "not a zstd file"
                raise OSError(msg)
        lines = pl.scan_csv(
            path, glob=False, has_header=False, separator="\x1f", quote_char=None,
            schema={"line": pl.String}, empty_string_is_null=False, encoding="utf8-lossy",
        )  # fmt: skip
        self._batches = lines.collect_batches(chunk_size=1 << 16, lazy=True)
        self._left = b""

    def readable(self) -> bool:
        """Say that it is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the next bytes."""
        while not self._left:
            try:
                batch = next(self._batches, None)
            except pl.exceptions.PolarsError as error:
                raise OSError(str(error)) from error
            if batch is None:
                return 0
            self._left = "".join(f"{line}\n" for line in batch["line"]).encode()
        n = min(len(buffer), len(self._left))
        buffer[:n] = self._left[:n]
        self._left = self._left[n:]
        return n


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with _opened(path) as file:
            while block := file.read(_SCAN_BYTES):
                yield block
    except UNPACKING as error:
        msg = f"{path} cannot be unpacked: {error}."
        raise InvalidTable(msg) from None


def _too_long(path: Path, line: int) -> str:
    return (
        f"{path}, line {line}: the row that begins there is longer than {LONGEST_LINE >> 20} MB. "
        "Is it a table, and is a quote never closed?"
    )


def scan_text(files: list[TextFile], as_text: Collection[str]) -> pl.LazyFrame:
    """Scan CSV files as the first one's columns and types; whole numbers are read as float64.

    A column without any value in the first file has the type of the next one that has some.
    """
    types: dict[str, Any] = {}
    undecided = set(files[0].header)
    for file in files:
        found, empty = _types(file)
        for name, dtype in found.items():
            if name in undecided or name not in types:
                types[name] = dtype
        undecided &= empty
        if not undecided:
            break
    for name, dtype in types.items():
        if name in as_text:
            types[name] = pl.String
        elif dtype.is_numeric():
            types[name] = pl.Float64  # a later row may well have a fraction
    return pl.concat([scan_as(file, types) for file in files])


def scan_as(file: TextFile, types: Mapping[str, Any]) -> pl.LazyFrame:
    """Scan a CSV file whose types are known."""
    return pl.scan_csv(
        file.path, separator=file.separator, schema=dict(types), try_parse_dates=True, glob=False,
        **_READING,
    )  # fmt: skip


def _types(file: TextFile) -> tuple[Mapping[str, Any], set[str]]:
    """Return the types that the first rows suggest, and the columns in which those are empty."""
    try:
        found = pl.scan_csv(
            file.path, separator=file.separator, try_parse_dates=True,
            infer_schema_length=INFER_ROWS, glob=False, **_READING,
        ).collect_schema()  # fmt: skip
        text = [name for name, dtype in found.items() if dtype == pl.String]
        rows = pl.scan_csv(
            file.path, separator=file.separator, infer_schema=False, glob=False, **_READING
        )
        head = rows.select(text).head(INFER_ROWS).collect()
    except pl.exceptions.PolarsError as error:
        if file.undecodable_line():  # said better when the rows are read
            return dict.fromkeys(file.header, pl.String()), set()
        file.check_records()
        reason = str(error).split("\n", maxsplit=1)[0]
        msg = f"{file.path} cannot be read: {reason}"
        raise InvalidTable(msg) from error
    except OSError as error:
        msg = f"{file.path} cannot be unpacked: {error}."
        raise InvalidTable(msg) from error
    return found, {name for name in text if head[name].null_count() == head.height}


def path_of(source: str | Path) -> Path:
    """Return the path of a file, a folder or a pattern, which need not exist.

    Raises
    ------
    InvalidTable
        If no file can have that name, or none that Polars could open.
    """
    try:
        path = Path(source).expanduser()
        path.exists()
        if "\0" in os.fsencode(path).decode():
            msg = "the name has a NUL in it"
            raise ValueError(msg)  # noqa: TRY301
    except (OSError, RuntimeError, ValueError) as error:
        name = str(source) if len(str(source)) < 100 else f"{str(source)[:100]}…"
        why = "the name is not UTF-8" if isinstance(error, UnicodeError) else (
            getattr(error, "strerror", None) or str(error).rstrip(".")
        )  # fmt: skip
        msg = f"{name!r} cannot be opened: {why}. Rename it, or write its whole path."
        raise InvalidTable(msg) from None
    return path


def bad_json(path: Path, types: Mapping[str, Any]) -> str | None:
    """Say where a file of JSON lines is wrong: a line that is no object, a value that is no number.

    Parameters
    ----------
    path : Path
        The file.
    types : mapping
        The columns that hold numbers, to their types; may be empty.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                return f"{path}, line {number}: it is no JSON object ({error})."
            if not isinstance(row, dict):
                return f"{path}, line {number}: it is no JSON object."
            for column in types:
                value = row.get(column)
                if value is not None and not isinstance(value, (int, float)):
                    return (
                        f"{path}, line {number}: column {column!r} has the value {value!r}, which "
                        f"is not a number, as the rows before are. Correct it, treat the column "
                        f"as text (--as {column}=category), or leave it out (--drop {column})."
                    )
    return None
