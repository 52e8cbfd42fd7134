"""CSV files: their headers, and where in them something is wrong."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl

from gradstep.errors import InvalidTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradstep.data.kernels.csv_check import BadRecord

__all__ = ["INFER_ROWS", "LONGEST_LINE", "MISSING", "OTHER_ENCODING", "PACKED", "TEXT_FORMATS",
           "UNPACKING", "TextFile", "opened", "path_of", "zstd_size"]  # fmt: skip

PACKED = {".gz", ".zst"}
TEXT_FORMATS = {".csv": ",", ".tsv": "\t", ".txt": ""}
INFER_ROWS = 10_000
# What stands for a missing value in text files.
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "#N/A")
# What a damaged file raises while it is unpacked.
UNPACKING = (OSError, EOFError, zlib.error)
LONGEST_LINE = 1 << 26  # bytes; of a packed file nothing else bounds it
OTHER_ENCODING = (
    "If it is text in another encoding, name it (encoding='latin-1', say) or convert it; if "
    "it is no text, give it the suffix of what it is."
)
_SCAN_BYTES = 1 << 22
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_HEAD = 18  # bytes of a frame's header, at most


@dataclass
class TextFile:
    """A CSV file: its header, and what is looked for in it besides the values.

    A check of its records sets `marks`: numbers of lines, and the bytes of the file they take.
    """

    path: Path
    name: str
    separator: str
    header: list[str]
    marks: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path, name: str = "") -> TextFile:
        """Read the header of a file, which messages call by a name."""
        name = name or str(path)
        first = _first_record(path, name)
        if not first.strip():
            msg = f"{name} is empty: the first line must name the columns."
            raise InvalidTable(msg)
        if "\0" in first:
            msg = f"{name} is not a text file: its header has NUL bytes."
            raise InvalidTable(msg)
        suffix = next(s for s in reversed(path.suffixes) if s.lower() not in PACKED)
        separator = TEXT_FORMATS[suffix.lower()]
        if separator not in first or not separator:
            separator = max(",;\t|", key=first.count) if any(map(first.count, ",;\t|")) else ","
        try:
            header = next(csv.reader([first], delimiter=separator))
        except csv.Error as error:
            msg = f"{name}, line 1: a column has a name of more than 100,000 characters."
            if "new-line" in str(error):
                msg = (
                    f"{name} ends its lines with CR alone, as old Macs did: to be read they must "
                    "end with LF, or CR LF. Convert it (tr '\\r' '\\n')."
                )
            raise InvalidTable(msg) from None
        seen: set[str] = set()
        for position, column in enumerate(header, 1):
            if column in seen:
                msg = (
                    f"{name}, line 1: the column name {column!r} comes twice, the second time in "
                    f"column {position}. Rename one of them."
                )
                raise InvalidTable(msg)
            seen.add(column)
        return cls(path, name, separator, header)

    def check_records(self, told: Callable[[int], None] | None = None) -> None:
        """Refuse rows with too few or too many fields.

        Parameters
        ----------
        told : callable, optional
            Called with the bytes of the file that have been read.
        """
        from gradstep.data.kernels.csv_check import first_bad_record  # imports Numba

        self.marks = [(0, 0)]
        blocks = self._marked(_blocks(self.path, self.name), told)
        bad = first_bad_record(blocks, self.separator, len(self.header), longest=LONGEST_LINE)
        if bad is not None:
            self.refuse(bad)

    def _marked(
        self, blocks: Iterator[tuple[bytes, int]], told: Callable[[int], None] | None
    ) -> Iterator[bytes]:
        """Yield blocks, and note where in the file they end."""
        lines = 0
        for block, at in blocks:
            yield block
            lines += block.count(b"\n")
            self.marks.append((lines, at))
            if told is not None:
                told(at)

    def refuse(self, bad: BadRecord) -> NoReturn:
        """Say what is wrong with a record."""
        from gradstep.data.kernels.csv_check import ENDLESS, UNCLOSED  # imports Numba

        if bad.fields == ENDLESS:
            msg = _too_long(self.name, bad.line)
        elif bad.fields == UNCLOSED:
            msg = (
                f"{self.name}, line {bad.line}: a quote that opens in this row is never closed. "
                'A quote inside a quoted field must be doubled ("").'
            )
        elif bad.fields == 0:
            msg = f"{self.name}, line {bad.line}: the line is empty. Delete it."
        else:
            msg = (
                f"{self.name}, line {bad.line}: the row has {bad.fields} fields, the header has "
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
                    opened(self.path), encoding="utf-8-sig", errors="replace", newline=""
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
        with contextlib.suppress(*UNPACKING), opened(self.path) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    line.decode()
                except UnicodeDecodeError:
                    return number
        return None


def _first_record(path: Path, name: str) -> str:
    """Return the first line, or the lines that its quotes join."""
    parts, quotes, size = [], 0, 0
    try:
        with opened(path) as lines:
            while more := lines.readline(LONGEST_LINE):
                parts.append(more)
                quotes, size = quotes + more.count(b'"'), size + len(more)
                if size >= LONGEST_LINE:
                    raise InvalidTable(_too_long(name, 1))
                if quotes % 2 == 0:
                    break
    except UNPACKING as error:
        msg = f"{name} cannot be unpacked: {error}."
        raise InvalidTable(msg) from None
    first = b"".join(parts)
    try:
        return str(first, "utf-8-sig")
    except UnicodeDecodeError as error:
        msg = (
            f"{name}, line 1: it is not UTF-8 text (byte {error.start + 1} of the header). "
            f"{OTHER_ENCODING}"
        )
        raise InvalidTable(msg) from None


def opened(path: Path, raw: Any = None) -> Any:
    """Open a file for its bytes, unpacked; `raw` is the file, if it is open as it is."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path if raw is None else raw, "rb")
    if path.suffix.lower() == ".zst":
        return io.BufferedReader(_Unpacked(path))
    return path.open("rb") if raw is None else raw


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


def _blocks(path: Path, name: str) -> Iterator[tuple[bytes, int]]:
    """Yield blocks of text, and how many bytes of the file have been read; 0 if it does not say."""
    try:
        with path.open("rb") as raw, opened(path, raw) as file:
            unpacked, done = zstd_size(raw.read(_ZSTD_HEAD)) if file is not raw else 0, 0
            raw.seek(0)
            while block := file.read(_SCAN_BYTES):
                done += len(block)
                share = min(1.0, done / unpacked) if unpacked else 0.0
                yield block, int(share * path.stat().st_size) if unpacked else raw.tell()
    except UNPACKING as error:
        msg = f"{name} cannot be unpacked: {error}."
        raise InvalidTable(msg) from None


def zstd_size(head: bytes) -> int:
    r"""Return what a file packed with zstd says of its size unpacked; 0 if it says nothing.

    Parameters
    ----------
    head : bytes
        Its first bytes, as RFC 8878 (3.1.1.1) has them.

    Examples
    --------
    >>> zstd_size(b"\x28\xb5\x2f\xfd\x60\x10\x02"), zstd_size(b"x,y")
    (784, 0)
    """
    if not head.startswith(_ZSTD_MAGIC) or len(head) < 5:
        return 0
    flags = head[4]
    single, dictionary = flags >> 5 & 1, (0, 1, 2, 4)[flags & 3]
    length = (single, 2, 4, 8)[flags >> 6]
    at = 6 - single + dictionary
    return int.from_bytes(head[at : at + length], "little") + (256 if length == 2 else 0)


def _too_long(name: str, line: int) -> str:
    return (
        f"{name}, line {line}: the row that begins there is longer than {LONGEST_LINE >> 20} MB. "
        "Is it a table, and is a quote never closed?"
    )


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
