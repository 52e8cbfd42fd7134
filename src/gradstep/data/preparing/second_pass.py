"""The second pass over a table: every row is encoded and put where it belongs.

Each row draws a random bucket, and when all have come, each bucket, small enough for the
processor's cache, is permuted: an exact shuffle. Where a row goes depends on its number and
the seed alone, so chunks can be worked on side by side.
"""

from __future__ import annotations

from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.data.features.matching import check_columns, readable
from gradstep.data.kernels.columns import gather_rows, put_rows
from gradstep.data.preparing.first_pass import FirstPass
from gradstep.data.preparing.hold_out import HoldOut
from gradstep.data.preparing.prepared import PreparedTable, new_array
from gradstep.data.roles import has_value, offsets_of, weighs, weights_of
from gradstep.errors import InvalidTable
from gradstep.rows.kernels.shuffling import Buckets
from gradstep.version import VERSION

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.data.preparing.options import PrepareOptions, Progress
    from gradstep.data.sources.table import Table

__all__ = ["TableMaker", "with_offset"]

_BUCKET_BYTES = 1 << 23
_THREADS = 2  # that encode; reading has its own


class TableMaker:
    """The two passes that make a prepared table.

    Parameters
    ----------
    table : Table
        The table.
    held_out : Table or None
        One to validate on, instead of a share of the rows.
    options : PrepareOptions
        Of `prepare`.
    progress : callable
        Called with what is done, and how many rows.
    """

    def __init__(
        self, table: Table, held_out: Table | None, options: PrepareOptions, progress: Progress
    ) -> None:
        self.held_out, self.options = held_out, options
        self._first_pass = FirstPass(table, options, progress)

    @property
    def bytes(self) -> int:
        """Memory of the encoded rows; known after `read`."""
        return self._first_pass.bytes

    def read(self) -> None:
        """Read the table once, and decide what becomes of each column."""
        self._first_pass.run()

    def fill(self, folder: Path | None) -> PreparedTable:
        """Read the table once more, encode it and put every row where it belongs."""
        options, first_pass = self.options, self._first_pass
        hold_out = HoldOut(first_pass, wanted=self.held_out is None)
        n_train, n_held_out = hold_out.count()
        if n_train == 0:
            msg = (
                f"Holding out {options.validation:.0%} of {first_pass.n_kept} rows leaves none to "
                "train on."
            )
            raise InvalidTable(msg)
        if self.held_out is not None:
            n_held_out = self._rows_to_validate()
        train = self._new(folder, "train", n_train)
        rest = self._new(folder, "validation", n_held_out) if n_held_out else {}
        buckets = Buckets(n_train, options.seed, max(1, _BUCKET_BYTES // first_pass.row_bytes))
        self._stream(train, rest, buckets, hold_out, in_memory=folder is None)
        if self.held_out is not None:
            self._fill_validation(rest)
        meta = {
            "version": VERSION,
            **first_pass.to_json(),
            "rows": {
                "read": first_pass.rows_read,
                "dropped": first_pass.rows_read - first_pass.n_kept - first_pass.weightless,
                "train": n_train,
                "validation": n_held_out,
                **({"weightless": first_pass.weightless} if first_pass.weightless else {}),
            },
            "unseen": dict(self.unseen),
        }
        return PreparedTable(
            self._first_pass.encoding.dataset(train, shuffled=True),
            self._first_pass.encoding.dataset(rest, shuffled=False) if rest else None,
            self._first_pass.encoding,
            self._first_pass.target,
            meta,
            None,
            rest.get("offset"),
        )

    def _stream(
        self,
        train: dict[str, NDArray[Any]],
        rest: dict[str, NDArray[Any]],
        buckets: Buckets,
        hold_out: HoldOut,
        *,
        in_memory: bool,
    ) -> None:
        """Encode the table chunk by chunk, and put every row where it belongs.

        In memory a row goes to its final place at once; on disk into its bucket's part, which is
        permuted when all have come: then writing goes forward everywhere.
        """
        first_pass = self._first_pass
        final = buckets.final_places() if in_memory else None
        at_train = at_rest = 0
        to_train = len(train["y"])
        to_rest = 0 if self.held_out is not None else len(rest.get("y", ()))
        self.unseen: Counter[str] = Counter()
        jobs: deque[Future[Counter[str]]] = deque()
        with ThreadPoolExecutor(_THREADS, "gradstep-encode") as pool:
            for (frame, first), kept in zip(first_pass.chunks(), first_pass.kept, strict=True):
                flags = hold_out.flags(frame, first)
                rows = np.arange(first, first + frame.height)
                if kept is not None and kept.size != frame.height:
                    first_pass.refuse_change("others")
                if kept is not None:
                    frame = frame.filter(pl.Series(kept))  # noqa: PLW2901
                    flags, rows = flags[kept], rows[kept]
                n_train, n_rest = int((~flags).sum()), int(flags.sum())
                if at_train + n_train > to_train or at_rest + n_rest > to_rest:
                    first_pass.refuse_change("others")  # nothing may be put beyond the end
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
            if (at_train, at_rest) != (to_train, to_rest):
                first_pass.refuse_change("others")  # and nothing may be left as it was found
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

    def _new(self, folder: Path | None, part: str, n: int) -> dict[str, NDArray[Any]]:
        shapes = self._first_pass.encoding.layout(n)
        if self._first_pass.weighted:
            shapes["weight"] = ((n,), np.float64)
        if part == "validation" and self.options.offset is not None:
            shapes["offset"] = ((n,), np.float64)
        return {
            name: new_array(folder, f"{part}_{name}", shape or (n,), kind)
            for name, (shape, kind) in shapes.items()
        }

    def _encode(
        self, frame: pl.DataFrame, rows: NDArray[np.int64], unseen: Counter[str]
    ) -> dict[str, NDArray[Any]]:
        options = self.options
        values, codes = self._first_pass.encoding.encode(frame, unseen)
        target = self._first_pass.target
        y = target.encoded(frame[target.column])
        weight = None if options.weight is None else weights_of(frame[options.weight], rows)
        parts: dict[str, NDArray[Any]] = {"values": values, "codes": codes}
        if options.offset is not None:
            parts["offset"] = offset = offsets_of(frame[options.offset], rows)
            y, weight = with_offset(y, weight, offset, options.log_power)
        parts["y"] = y[:, None]
        if weight is not None:
            parts["weight"] = weight
        return parts

    def _counted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that have a target, and a weight above 0."""
        kept = has_value(frame[self.options.target]) & weighs(frame, self.options.weight)
        return frame if kept.all() else frame.filter(kept)

    def _rows_to_validate(self) -> int:
        table = self.held_out
        assert table is not None  # noqa: S101
        check_columns(self._first_pass.encoding, table.schema, table.name)
        for column in (self.options.target, self.options.weight, self.options.offset):
            if column is not None:
                table.check_column(column, "The column")
        read = [c for c in (self.options.target, self.options.weight) if c is not None]
        n = sum(self._counted(frame).height for frame in table.chunks(read))
        if n == 0:
            which = "" if self.options.weight is None else " and a weight above 0"
            target = f"{self.options.target!r}{which}"
            msg = f"{table.name} has no row with a value of the target {target}."
            raise InvalidTable(msg)
        return n

    def _fill_validation(self, rest: dict[str, NDArray[Any]]) -> None:
        assert self.held_out is not None  # noqa: S101
        extra = (self.options.target, self.options.weight, self.options.offset)
        columns = dict.fromkeys(
            [*self._first_pass.encoding.sources, *(c for c in extra if c is not None)]
        )
        at = 0
        for chunk in self.held_out.chunks(list(columns)):
            frame = readable(self._counted(chunk), self._first_pass.encoding)
            rows = np.arange(at, at + frame.height)
            if rows.size and rows[-1] >= len(rest["y"]):
                msg = f"{self.held_out.name} grew while it was being read."
                raise InvalidTable(msg)
            _put(rest, self._encode(frame, rows, self.unseen), None, rows)
            at += frame.height
        if at != len(rest["y"]):
            msg = f"{self.held_out.name} shrank while it was being read."
            raise InvalidTable(msg)


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
