"""Prepare a file of sparse text: the same road as any table, with rows of different lengths.

Two passes. The first notes how long each row is, so that the second can put every row where it
belongs at once: that takes some thirty bytes a row, whatever the rows hold, which are mapped where
they are many (`per_row`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradstep.data.features.sparse_encoding import SparseEncoding, widest
from gradstep.data.kernels.sparse import put_entries
from gradstep.data.preparing.hold_out import HELD_OUT
from gradstep.data.preparing.options import NAMES
from gradstep.data.preparing.per_row import Gathered, per_row
from gradstep.data.preparing.prepared import PreparedTable, new_array
from gradstep.data.roles import MOST_CLASSES, Target, classes_of_numbers
from gradstep.data.sources.svmlight import LABEL, SparseTable
from gradstep.errors import InvalidParameter, InvalidTable
from gradstep.rows.kernels.shuffling import Buckets, chosen
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.data.preparing.options import PrepareOptions, Progress
    from gradstep.rows.dataset import Dataset

__all__ = ["SparseMaker"]

_BUCKET_ROWS = 1 << 16
_ROWS = 1 << 20  # that are worked on together
_NO_MEANING = (
    "weight", "class_weight", "offset", "exposure", "time", "clusters", "drop", "only", "kinds",
    "decimal", "thousands", "na", "encoding", "splines", "crosses", "polynomials", "logs",
)  # fmt: skip


class SparseMaker:
    """The two passes over a file of sparse text.

    Parameters
    ----------
    table : SparseTable
        The file.
    held_out : SparseTable or None
        A file to validate on.
    options : PrepareOptions
        Of `prepare`; those about columns have no meaning here.
    progress : callable
        Called with what is done, and how many rows.
    """

    def __init__(
        self, table: SparseTable, held_out: SparseTable | None, options: PrepareOptions,
        progress: Progress,
    ) -> None:  # fmt: skip
        asked = options.to_json()
        given = [NAMES.get(name, name) for name in _NO_MEANING if name in asked]
        if given:
            msg = (
                f"{', '.join(given)}: sparse text has a label and numbered features, no columns "
                "that this could name."
            )
            raise InvalidParameter(msg)
        if options.target != LABEL:
            msg = (
                f"The target of sparse text is its first number: call it {LABEL!r}, not "
                f"{options.target!r}."
            )
            raise InvalidTable(msg)
        self.table, self.held_out = table, held_out
        self.options, self.progress = options, progress

    def read(self) -> None:
        """Read the file once: how long rows are, and which labels there are."""
        found = _measure(self.table, self.progress)
        labels, self.lengths, self.width = found.labels, found.lengths, found.width
        self.n = labels.size
        if self.n == 0:
            msg = f"{self.table.name} has no rows."
            raise InvalidTable(msg)
        entries = int(self.lengths.sum(dtype=np.int64))
        if self.width <= 0 or not entries:
            msg = f"{self.table.name} has no entry to learn from: every row is a label alone."
            raise InvalidTable(msg)
        if self.width > widest(entries):
            msg = (
                f"{self.table.name} has the index {self.width - 1:,}, and {entries:,} entries in "
                f"all: a model would have {self.width:,} weights, nearly all of them of no row. "
                "Number the features without gaps, or hash them into fewer."
            )
            raise InvalidTable(msg)
        if found.distinct is not None and len(found.distinct) < 2:
            msg = f"The label is {labels[0]:g} in every row: there is nothing to learn."
            raise InvalidTable(msg)
        self.target = Target(LABEL, classes_of_numbers(LABEL, found.distinct, self.options.task))
        self.known = {"low": float(labels.min()), "high": float(labels.max()),
                      "mean": float(labels.mean()), "deviation": _deviation(labels)}  # fmt: skip
        self.bytes = entries * 12 + self.n * 16

    def after_one_pass(self) -> None:
        """Return None: sparse text is read twice."""

    def fill(self, folder: Path | None) -> PreparedTable:
        """Read the file again and put every row where it belongs."""
        share = 0.0 if self.held_out is not None else self.options.validation
        held_out = per_row(self.n, np.bool_)
        for lo, hi in _pieces(self.n):
            held_out[lo:hi] = chosen(self.options.seed, lo, hi - lo, share, HELD_OUT)
        n_train = self.n - int(np.count_nonzero(held_out))
        if n_train == 0:
            msg = f"Holding out {share:.0%} of {self.n} rows leaves none to train on."
            raise InvalidTable(msg)
        buckets = Buckets(n_train, self.options.seed, _BUCKET_ROWS)
        final, places, at = buckets.final_places(per_row(n_train, np.uint32)), self._nowhere(), 0
        for lo, hi in _pieces(self.n):
            mine = ~held_out[lo:hi]
            count = int(np.count_nonzero(mine))
            places[lo:hi][mine] = final[buckets.places(at, count)]
            at += count
        train, rest = self._fill(folder, "train", self.table, places, self.lengths), None
        if self.held_out is not None:
            lengths = _measure(self.held_out, self.progress, self.width).lengths
            rest = self._fill(folder, "validation", self.held_out, np.arange(lengths.size), lengths)
        elif n_train < self.n:
            places, at = self._nowhere(), 0
            for lo, hi in _pieces(self.n):
                count = int(np.count_nonzero(held_out[lo:hi]))
                places[lo:hi][held_out[lo:hi]] = np.arange(at, at + count)
                at += count
            rest = self._fill(folder, "validation", self.table, places, self.lengths)
        encoding = SparseEncoding(self.width)
        rows = {"read": self.n, "dropped": 0, "train": n_train,
                "validation": 0 if rest is None else rest.n}  # fmt: skip
        meta = {
            "version": VERSION,
            "source": self.table.name,
            "fingerprint": self.table.fingerprint(),
            "sparse": True,
            "asked": self.options.to_json(),
            "rows": rows,
            "target": {**self.target.to_json(), **self.known},
            "encoding": encoding.to_json(),
            "columns": {},
            "warnings": [],
            "unseen": {},
        }
        return PreparedTable(train, rest, encoding, self.target, meta)

    def _nowhere(self) -> NDArray[np.int64]:
        """Return the places of rows of which none has one."""
        places = per_row(self.n, np.int64)
        places.fill(-1)
        return places

    def _fill(
        self, folder: Path | None, part: str, table: SparseTable, places: NDArray[np.int64],
        lengths: NDArray[np.int32],
    ) -> Dataset:  # fmt: skip
        """Put the rows that have a place into arrays."""
        n = total = 0
        for lo, hi in _pieces(places.size):
            mine = places[lo:hi] >= 0
            n += int(np.count_nonzero(mine))
            total += int(lengths[lo:hi][mine].sum(dtype=np.int64))
        encoding = SparseEncoding(self.width)
        arrays = {
            name: new_array(folder, f"{part}_{name}", shape or (total,), kind)
            for name, (shape, kind) in encoding.layout(n).items()
        }
        starts = arrays["starts"]
        starts[0] = 0
        for lo, hi in _pieces(places.size):
            mine = places[lo:hi] >= 0
            starts[1:][places[lo:hi][mine]] = lengths[lo:hi][mine]
        np.cumsum(starts, out=starts)
        at = 0
        for chunk in table.chunks(self.width):
            where = places[at : at + chunk.height]
            # the rows measured before have room, and those alone
            if not np.array_equal(np.diff(chunk.rows.starts), lengths[at : at + chunk.height]):
                table.refuse_change()
            put_entries(chunk.rows, where, starts, arrays["columns"], arrays["values"])
            mine = where >= 0
            arrays["y"][where[mine], 0] = self.target.encoded(chunk[LABEL].filter(mine))
            at += chunk.height
            self.progress("encoding", at)
        if at != places.size:
            table.refuse_change()
        return encoding.dataset(arrays, shuffled=part == "train")


@dataclass
class _Measured:
    """What the first pass finds: of each row, and of all."""

    labels: NDArray[np.float64]
    lengths: NDArray[np.int32]
    width: int
    distinct: set[float] | None  # None: more than there may be classes


def _measure(table: SparseTable, progress: Progress, width: int | None = None) -> _Measured:
    """Return the label and the number of entries of each row, and the largest index plus one."""
    rows, largest, told = 0, 0, getattr(progress, "position", None)
    distinct: set[float] | None = set()
    with Gathered(np.float64) as labels, Gathered(np.int32) as lengths:
        for chunk in table.chunks(width):
            labels.add(chunk.labels)
            lengths.add(np.diff(chunk.rows.starts))
            if distinct is not None:
                distinct.update(np.unique(chunk.labels).tolist())
                distinct = distinct if len(distinct) <= MOST_CLASSES else None
            rows += chunk.height
            largest = max(largest, chunk.rows.width)
            if told is not None:
                told(table.at, table.files[0].size)
            progress("reading", rows)
        return _Measured(labels.all(), lengths.all(), largest, distinct)


def _deviation(labels: NDArray[np.float64]) -> float:
    """Return `labels.std()`, to the bit, without another array of its size in memory."""
    squares, mean = per_row(labels.size, np.float64), labels.mean()
    for lo, hi in _pieces(labels.size):
        squares[lo:hi] = np.square(labels[lo:hi] - mean)
    return math.sqrt(squares.mean())


def _pieces(n: int) -> Iterator[tuple[int, int]]:
    """Yield where each piece of so many rows begins and ends."""
    return ((lo, min(lo + _ROWS, n)) for lo in range(0, n, _ROWS))
