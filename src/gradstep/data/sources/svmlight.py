"""Sparse text, as svmlight and libsvm write it: ``label index:value index:value …  # comment``.

Read in blocks by a compiled parser. An index is kept as it is written, so whether a file counts
from 0 or from 1 makes no difference but one feature that no row has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import polars as pl

from gradstep.data.kernels.svmlight import parse
from gradstep.data.sources.source_file import SourceFile, fingerprint
from gradstep.data.sources.text_files import LONGEST_LINE, UNPACKING, opened, path_of
from gradstep.errors import InvalidTable
from gradstep.files import without_secrets
from gradstep.rows.layouts import CsrRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["LABEL", "SparseChunk", "SparseTable", "is_svmlight"]

LABEL = "label"
_SUFFIXES = (".svm", ".svmlight", ".libsvm")
_BLOCK_BYTES = 1 << 22
_TENS = np.array([10.0**power for power in range(23)])  # exact in float64
_BAD = ("", "is no number", "has no ':'", "is no index", "comes after a larger index",
        "is too large an index")  # fmt: skip


def is_svmlight(source: Any) -> bool:
    """Tell whether a source is a file of sparse text, by its suffix (``.gz`` may follow)."""
    if not isinstance(source, (str, Path)):
        return False
    suffixes = [s.lower() for s in Path(source).suffixes if s.lower() != ".gz"]
    return bool(suffixes) and suffixes[-1] in _SUFFIXES


@dataclass
class SparseChunk:
    """Some rows of sparse text: labels and entries."""

    labels: NDArray[np.float64]
    rows: CsrRows

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.labels.size

    def __getitem__(self, name: str) -> pl.Series:
        """Return the labels, the one column that has a name."""
        if name != LABEL:
            msg = f"Sparse text has one named column, {LABEL!r}; not {name!r}."
            raise InvalidTable(msg)
        return pl.Series(LABEL, self.labels)

    def filter(self, _kept: pl.Series) -> SparseChunk:
        """Return the rows that have a label: all."""
        return self


class SparseTable:
    """A file of sparse text that can be read again and again.

    Parameters
    ----------
    source : str or path
        The file.

    Attributes
    ----------
    at : int
        Bytes of the file that have been read for the rows so far.
    """

    at = 0

    def __init__(self, source: str | Path) -> None:
        if "://" in str(source):
            called = without_secrets(str(source))
            msg = (
                f"{called} is sparse text, which is read from files alone, not from addresses: "
                "download it, and name the file."
            )
            raise InvalidTable(msg)
        self.path, self.name = path_of(source), str(source)
        self._file = SourceFile.of(self.path)
        if self.path.is_dir():
            msg = f"{source} is a folder; sparse text is one file."
            raise InvalidTable(msg)

    @property
    def files(self) -> list[SourceFile]:
        """The one file that it is read from."""
        return [self._file]

    def open(self) -> SparseTable:
        """Return itself: it is its own piece (`gradstep.data.sources.pieces`)."""
        return self

    def fingerprint(self) -> list[dict[str, Any]]:
        """Return what tells this version of the file from another."""
        return fingerprint([self._file])

    def chunks(self, width: int | None = None) -> Iterator[SparseChunk]:
        """Yield the rows in order; features from `width` on are left out."""
        line = 0
        for block in self._blocks():
            data = np.frombuffer(block, np.uint8)
            room = int((data == ord("\n")).sum()) + 2
            entries = int((data == ord(":")).sum()) + 1
            labels, starts = np.empty(room), np.zeros(room + 1, np.int64)
            columns, values = np.empty(entries, np.int32), np.empty(entries)
            found = np.zeros(6, np.int64)
            parse(data, _TENS, labels, starts, columns, values, found)
            if found[3]:
                word = re.split(rb"[ \t\r\n]", block[int(found[5]) :][:80], maxsplit=1)[0]
                word = word.decode(errors="replace")
                msg = (
                    f"{self.path}, line {line + int(found[4]) + 1}: {word[:40]!r} "
                    f"{_BAD[int(found[3])]}. A row is: label index:value index:value, the indices "
                    "rising."
                )
                raise InvalidTable(msg)
            n, m = int(found[0]), int(found[1])
            line += int(found[4])
            rows = CsrRows(values[:m], columns[:m], starts[: n + 1],
                           int(found[2]) + 1 if width is None else width)  # fmt: skip
            if n:
                yield SparseChunk(labels[:n], _narrow(rows, width))
        self._file.check()

    def refuse_change(self) -> NoReturn:
        """Say that the file is no longer what it was."""
        msg = f"{self.path} changed while it was being read. Start again once nothing writes."
        raise InvalidTable(msg)

    def _blocks(self) -> Iterator[bytes]:
        """Yield whole lines."""
        rest = b""
        try:
            with self.path.open("rb") as raw, opened(self.path, raw) as file:
                while block := file.read(_BLOCK_BYTES):
                    self.at = raw.tell()
                    block = rest + block
                    cut = block.rfind(b"\n") + 1
                    rest = block[cut:]
                    if cut:
                        yield block[:cut]
                    if len(rest) > LONGEST_LINE:
                        msg = (
                            f"{self.path} has a line of more than {LONGEST_LINE >> 20} MB. Is it "
                            "sparse text?"
                        )
                        raise InvalidTable(msg)
        except UNPACKING as error:
            msg = f"{self.path} cannot be read: {error}."
            raise InvalidTable(msg) from error
        if rest:
            yield rest + b"\n"


def _narrow(rows: CsrRows, width: int | None) -> CsrRows:
    """Leave out the entries of features that the model does not have."""
    if width is None or not rows.columns.size or rows.columns.max() < width:
        return rows
    kept = rows.columns < width
    starts = np.concatenate([[0], np.cumsum(kept)])[rows.starts]
    return CsrRows(rows.values[kept], rows.columns[kept], starts.astype(np.int64), width)
