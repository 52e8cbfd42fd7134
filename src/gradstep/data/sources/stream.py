"""CSV on standard input, read as it comes: nothing is kept, and nothing waited for.

Only what is read once can be: predictions. What trains reads twice, from a copy (`local_copy`).
"""

from __future__ import annotations

import codecs
import io
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from gradstep.data.sources.local_copy import LocalCopy, copy_of_bytes, suffix_of
from gradstep.data.sources.opening import open_copy
from gradstep.data.sources.table import Opened, Table, literally
from gradstep.data.sources.text_files import LONGEST_LINE, MISSING, OTHER_ENCODING, TextFile
from gradstep.errors import InvalidTable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from gradstep.data.sources.read_options import ReadOptions

__all__ = ["open_stdin"]

_NAME = "standard input"
_BLOCK_BYTES = 1 << 20


def open_stdin(as_text: Collection[str], reading: ReadOptions) -> Table:
    """Return standard input as a table that can be read once if it is CSV, else as often as needed.

    Raises
    ------
    InvalidTable
        If it is no table.
    """
    source: Any = sys.stdin.buffer
    blocks = iter(lambda: source.read1(_BLOCK_BYTES), b"")
    first = next(blocks, b"")
    if suffix_of(first) != ".csv" or first[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        return open_copy(copy_of_bytes(first, blocks), _NAME, as_text, reading)
    records = _whole(_decoded((b for part in ([first], blocks) for b in part), reading.encoding))
    head = next(records, b"")
    copy = LocalCopy("stdin.csv")  # of the header, which is looked at as that of any file
    copy.path.write_bytes(head)
    text = TextFile.of(copy.path, _NAME)
    types: dict[str, pl.DataType] = dict.fromkeys(text.header, pl.String())
    return _Stream(
        _NAME, types, pl.LazyFrame(schema=types), Opened(na=reading.na),
        text=text, rows=records, lines_before=head.count(b"\n"),
    )  # fmt: skip


@dataclass
class _Stream(Table):
    """A table whose rows come, and are gone."""

    text: TextFile | None = None
    rows: Iterator[bytes] = field(default_factory=lambda: iter(()))
    lines_before: int = 0

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows, as they come; whatever they hold is text, unless it has a format."""
        from gradstep.data.kernels.csv_check import first_bad_record  # imports Numba

        assert self.text is not None  # noqa: S101
        chosen = list(self.types) if columns is None else list(columns)
        header, line, first = self.text.header, 1 + self.lines_before, 0
        for block in self.rows:
            bad = first_bad_record([block], self.text.separator, len(header), longest=LONGEST_LINE)
            if bad is not None:
                self.text.refuse(bad._replace(line=bad.line + line - 1))
            try:
                frame = pl.read_csv(
                    io.BytesIO(block), separator=self.text.separator, has_header=False,
                    new_columns=header, infer_schema=False, null_values=[*MISSING, *self.opened.na],
                )  # fmt: skip
            except pl.exceptions.PolarsError as error:
                reason = str(error).split("\n", maxsplit=1)[0]
                msg = f"{_NAME}, from line {line} on, cannot be read: {reason}. {OTHER_ENCODING}"
                raise InvalidTable(msg) from error
            yield self._formatted(frame.select(literally(chosen)), first)
            line, first = line + block.count(b"\n"), first + frame.height


def _decoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield text of any encoding as UTF-8."""
    if not encoding or codecs.lookup(encoding).name == "utf-8":
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in blocks:
            yield decoder.decode(block).encode()
    except UnicodeError as error:
        msg = f"{_NAME} is not text in {encoding}: {error}. Name another (encoding=...)."
        raise InvalidTable(msg) from None


def _whole(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the header, then whole records, as many as have come: none ends within quotes."""
    rest, header = b"", True
    for block in blocks:
        rest += block
        if header:
            cut = _end(rest, first=True)
            if cut:
                yield rest[:cut]
                rest, header = rest[cut:], False
        cut = 0 if header else _end(rest, first=False)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
        if len(rest) > LONGEST_LINE:
            msg = f"{_NAME} has a row of more than {LONGEST_LINE >> 20} MB. Is it a table?"
            raise InvalidTable(msg)
    if rest:
        yield rest


def _end(data: bytes, *, first: bool) -> int:
    """Return where the first or the last record ends that is whole; 0 if none is."""
    at = -1
    while True:
        if first:
            at = data.find(b"\n", at + 1)
        else:
            at = data.rfind(b"\n", 0, len(data) if at < 0 else at)
        if at < 0:
            return 0
        if data.count(b'"', 0, at) % 2 == 0:
            return at + 1
