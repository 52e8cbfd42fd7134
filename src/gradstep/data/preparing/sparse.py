"""Prepare a file of sparse text: the same road as any table, with rows of different lengths.

Two passes. The first notes how long each row is, so that the second can put every row where it
belongs at once: that takes some sixteen bytes of memory a row, whatever the rows hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.data.features.sparse_encoding import SparseEncoding, widest
from gradstep.data.kernels.sparse import put_entries
from gradstep.data.preparing.hold_out import HELD_OUT
from gradstep.data.preparing.options import NAMES
from gradstep.data.preparing.prepared import PreparedTable, new_array
from gradstep.data.roles import MOST_CLASSES, Target, classes_of_numbers
from gradstep.data.sources.svmlight import LABEL, SparseTable
from gradstep.errors import InvalidParameter, InvalidTable
from gradstep.rows.kernels.shuffling import Buckets, chosen
from gradstep.version import VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.data.preparing.options import PrepareOptions, Progress
    from gradstep.rows.dataset import Dataset

__all__ = ["SparseMaker"]

_BUCKET_ROWS = 1 << 16
_NO_MEANING = (
    "weight", "class_weight", "offset", "exposure", "time", "drop", "only", "kinds", "decimal",
    "thousands", "na", "encoding", "splines", "crosses", "polynomials", "logs",
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
        labels, self.lengths, self.width = _measure(self.table, self.progress)
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
        distinct = np.unique(labels)
        if distinct.size < 2:
            msg = f"The label is {distinct[0]:g} in every row: there is nothing to learn."
            raise InvalidTable(msg)
        known = set(distinct.tolist()) if distinct.size <= MOST_CLASSES else None
        self.target = Target(LABEL, classes_of_numbers(LABEL, known, self.options.task))
        self.known = {"low": float(labels.min()), "high": float(labels.max()),
                      "mean": float(labels.mean()), "deviation": float(labels.std())}  # fmt: skip
        self.bytes = entries * 12 + self.n * 16

    def fill(self, folder: Path | None) -> PreparedTable:
        """Read the file again and put every row where it belongs."""
        share = 0.0 if self.held_out is not None else self.options.validation
        held_out = chosen(self.options.seed, 0, self.n, share, HELD_OUT)
        n_train = int((~held_out).sum())
        if n_train == 0:
            msg = f"Holding out {share:.0%} of {self.n} rows leaves none to train on."
            raise InvalidTable(msg)
        buckets = Buckets(n_train, self.options.seed, _BUCKET_ROWS)
        final = buckets.final_places()[buckets.places(0, n_train)].astype(np.int64)
        places = np.full(self.n, -1, np.int64)
        places[~held_out] = final
        train = self._fill(folder, "train", self.table, places, self.lengths)
        rest = None
        if self.held_out is not None:
            labels, lengths, _ = _measure(self.held_out, self.progress, self.width)
            rest = self._fill(folder, "validation", self.held_out, np.arange(labels.size), lengths)
        elif held_out.any():
            places = np.full(self.n, -1, np.int64)
            places[held_out] = np.arange(int(held_out.sum()))
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

    def _fill(
        self, folder: Path | None, part: str, table: SparseTable, places: NDArray[np.int64],
        lengths: NDArray[np.int32],
    ) -> Dataset:  # fmt: skip
        """Put the rows that have a place into arrays."""
        chosen_rows = places >= 0
        n = int(chosen_rows.sum())
        by_place = np.empty(n, np.int64)
        by_place[places[chosen_rows]] = lengths[chosen_rows]
        total = int(by_place.sum())
        encoding = SparseEncoding(self.width)
        arrays = {
            name: new_array(folder, f"{part}_{name}", shape or (total,), kind)
            for name, (shape, kind) in encoding.layout(n).items()
        }
        arrays["starts"][0] = 0
        np.cumsum(by_place, out=arrays["starts"][1:])
        at = 0
        for chunk in table.chunks(self.width):
            where = places[at : at + chunk.height]
            # the rows measured before have room, and those alone
            if not np.array_equal(np.diff(chunk.rows.starts), lengths[at : at + chunk.height]):
                table.refuse_change()
            put_entries(chunk.rows, where, arrays["starts"], arrays["columns"], arrays["values"])
            mine = where >= 0
            arrays["y"][where[mine], 0] = self.target.encoded(chunk[LABEL].filter(mine))
            at += chunk.height
            self.progress("encoding", at)
        if at != places.size:
            table.refuse_change()
        return encoding.dataset(arrays, shuffled=part == "train")


def _measure(
    table: SparseTable, progress: Progress, width: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int32], int]:
    """Return the label and the number of entries of each row, and the largest index plus one."""
    labels, lengths, rows, widest = [np.empty(0)], [np.empty(0, np.int32)], 0, 0
    for chunk in table.chunks(width):
        labels.append(chunk.labels)
        lengths.append(np.diff(chunk.rows.starts).astype(np.int32))
        rows += chunk.height
        widest = max(widest, chunk.rows.width)
        progress("reading", rows)
    return np.concatenate(labels), np.concatenate(lengths), widest
