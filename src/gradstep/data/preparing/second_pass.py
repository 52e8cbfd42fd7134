"""The second pass over a table: every row is encoded and put where it belongs.

Each row draws a random bucket, and when all have come, each bucket, small enough for the
processor's cache, is permuted: an exact shuffle. Where a row goes depends on its number and
the seed alone, so chunks can be worked on side by side.
"""

from __future__ import annotations

from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.data.features.matching import check_columns, read_as, readable, refuse_infinite
from gradstep.data.preparing.choosing import sample_of
from gradstep.data.preparing.class_weights import class_weights
from gradstep.data.preparing.elsewhere import fill_elsewhere
from gradstep.data.preparing.hold_out import HoldOut
from gradstep.data.preparing.in_store import fill_store, stand_in
from gradstep.data.preparing.measuring import measured
from gradstep.data.preparing.placing import Encoder, permute, put
from gradstep.data.preparing.prepared import PreparedTable, clusters_of, new_array
from gradstep.data.preparing.recognising import read_and_decide
from gradstep.data.roles import has_value, weighs
from gradstep.errors import InvalidTable
from gradstep.rows.kernels.shuffling import Buckets
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.data.preparing.choosing import Choose
    from gradstep.data.preparing.hold_out import Rule
    from gradstep.data.preparing.options import Each, InOnePass, PrepareOptions, Progress
    from gradstep.data.sources.table import Table

    NewArray = Callable[[Path | None, str, tuple[int, ...], Any], NDArray[Any]]

__all__ = ["TableMaker", "bucket_rows"]

_BUCKET_BYTES = 1 << 23
_THREADS = 2  # that encode; reading has its own


def bucket_rows(row_bytes: int) -> int:
    """Return how many rows of so many bytes a bucket of the shuffle has."""
    return max(1, _BUCKET_BYTES // row_bytes)


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
    each : callable, optional
        Runs a task on each piece of the table, elsewhere; by default this process does.
    choose : callable, optional
        Chooses terms on a sample of the rows, if that is asked for.
    in_one_pass : InOnePass, optional
        Takes along what makes a second pass unnecessary.
    """

    def __init__(
        self, table: Table, held_out: Table | None, options: PrepareOptions, progress: Progress,
        each: Each | None = None, choose: Choose | None = None,
        in_one_pass: InOnePass | None = None,
    ) -> None:  # fmt: skip
        self.held_out, self.options, self._choose = held_out, options, choose
        self._table, self._progress, self._each = table, progress, each
        self._in_one_pass = in_one_pass if held_out is None and each is None else None
        self._class_weights: NDArray[np.float64] | None = None
        self.unseen: Counter[str] = Counter()
        self.written: dict[str, dict[str, Any]] = {}  # in an object store: lengths and checksums

    @property
    def bytes(self) -> int:
        """Memory of the encoded rows; known after `read`."""
        return self._first_pass.bytes

    def read(self) -> None:
        """Read the table, and decide what becomes of each column."""
        self._first_pass = read_and_decide(
            self._table, self.options, self._progress, self._each, self._in_one_pass
        )
        if self.options.auto and self._choose is not None:
            rule = HoldOut(self._first_pass, wanted=self.held_out is None).rule
            found = self._choose(sample_of(self._first_pass, rule))
            self._first_pass.take(found.splines, found.crosses)
            self._first_pass.chosen = found.why
        if self.held_out is not None:
            self.held_out = read_as(
                self.held_out, self._first_pass.encoding, self._first_pass.target
            )

    def after_one_pass(self) -> PreparedTable | None:
        """Return the prepared table if the first pass has taken along all that is needed of it."""
        if self._in_one_pass is None:
            return None
        found = self._in_one_pass.rows(self._first_pass)
        if found is None:
            return None
        train, held_out = found
        n_held_out = 0 if held_out is None else held_out.n
        first_pass = self._first_pass
        return PreparedTable(
            train, held_out, first_pass.encoding, first_pass.target,
            self._meta(train.n, n_held_out),
        )  # fmt: skip

    def fill(self, folder: Path | None, address: str | None = None) -> PreparedTable:
        """Read the table once more, encode it and put every row where it belongs.

        With an address, workers write the arrays to an object store (`written`): what is returned
        has no rows.
        """
        options, first_pass = self.options, self._first_pass
        if options.class_weight is not None:
            self._class_weights = class_weights(
                options.class_weight, first_pass.target, first_pass.found.counts
            )
        hold_out = HoldOut(first_pass, wanted=self.held_out is None)
        counts = hold_out.counts()
        n_train, n_held_out = (sum(each) for each in zip(*counts, strict=True))
        if n_train == 0:
            msg = (
                f"Holding out {options.validation:.0%} of {first_pass.n_kept} rows leaves none to "
                "train on."
            )
            raise InvalidTable(msg)
        if self.held_out is not None:
            n_held_out = self._rows_to_validate()
        new = new_array if address is None else _not_here
        train = self._new(folder, "train", n_train, new)
        new = new_array if self.held_out is not None else new
        rest = self._new(folder, "validation", n_held_out, new) if n_held_out else {}
        buckets = Buckets(n_train, options.seed, bucket_rows(first_pass.row_bytes))
        self._encoder = Encoder(
            first_pass.encoding, first_pass.target, options, self._class_weights
        )
        if first_pass.each is not None and folder is not None:
            own = {} if self.held_out is not None else rest
            how = (train, own), buckets, hold_out.rule, counts
            if address is None:
                self.unseen += fill_elsewhere(first_pass, self._encoder, folder, *how)
            else:
                unseen, self.written = fill_store(first_pass, self._encoder, address, *how)
                self.unseen += unseen
        else:
            self._stream(train, rest, buckets, hold_out.rule, in_memory=folder is None)
        if self.held_out is not None:
            self._fill_validation(rest)
        meta = self._meta(n_train, n_held_out)
        encoding = first_pass.encoding
        data = encoding.dataset(train, shuffled=True)
        to_train = measured(data, address or folder, first_pass.each)
        if to_train.columns is not None:
            meta["statistics"] = to_train.columns.to_json()
        return PreparedTable(
            to_train,
            encoding.dataset(rest, shuffled=False) if rest else None,
            encoding,
            first_pass.target,
            meta,
            None,
            rest.get("offset"),
            clusters_of(train, rest),
        )

    def _meta(self, n_train: int, n_held_out: int) -> dict[str, Any]:
        """Return what the prepared table says of itself."""
        first_pass = self._first_pass
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
        if self._class_weights is not None:
            meta["class_weights"] = self._class_weights.tolist()
        return meta

    def _stream(
        self,
        train: dict[str, NDArray[Any]],
        rest: dict[str, NDArray[Any]],
        buckets: Buckets,
        rule: Rule,
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
        jobs: deque[Future[Counter[str]]] = deque()
        with ThreadPoolExecutor(_THREADS, "gradstep-encode") as pool:
            for (frame, first), kept in zip(first_pass.chunks(), first_pass.kept, strict=True):
                flags = rule.flags(frame, first)
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
                list(pool.map(lambda span: permute(train, buckets, *span), buckets.spans()))

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
        end -= int(flags.sum())
        for span, parts in self._encoder.pieces(frame, rows, unseen):
            held_out = flags[span]
            n = int(held_out.sum())
            own, places = np.split(places, [held_out.size - n])
            put(train, parts, ~held_out if n else None, own)
            if n and rest and self.held_out is None:
                put(rest, parts, held_out, np.arange(end, end + n))
            end += n
        return unseen

    def _new(
        self, folder: Path | None, part: str, n: int, new: NewArray
    ) -> dict[str, NDArray[Any]]:  # fmt: skip
        shapes = self._first_pass.encoding.layout(n)
        if self._first_pass.weighted:
            shapes["weight"] = ((n,), np.float64)
        if self.options.clusters and (part == "train" or self.held_out is None):
            shapes["clusters"] = ((n, len(self.options.clusters)), np.int64)
        if part == "validation" and self.options.shift is not None:
            shapes["offset"] = ((n,), np.float64)
        return {
            name: new(folder, f"{part}_{name}", shape or (n,), kind)
            for name, (shape, kind) in shapes.items()
        }

    def _counts(self, frame: pl.DataFrame) -> pl.Series:
        """Tell which rows have a target, and a weight above 0."""
        return has_value(frame[self.options.target]) & weighs(frame, self.options.weight)

    def _rows_to_validate(self) -> int:
        table = self.held_out
        assert table is not None  # noqa: S101
        check_columns(self._first_pass.encoding, table.schema, table.name)
        for column in self.options.no_features:
            table.check_column(column, "The column")
        read = [c for c in (self.options.target, self.options.weight) if c is not None]
        n = sum(int(self._counts(frame).sum()) for frame in table.chunks(read))
        if n == 0:
            which = "" if self.options.weight is None else " and a weight above 0"
            target = f"{self.options.target!r}{which}"
            msg = f"{table.name} has no row with a value of the target {target}."
            raise InvalidTable(msg)
        return n

    def _fill_validation(self, rest: dict[str, NDArray[Any]]) -> None:
        assert self.held_out is not None  # noqa: S101
        columns = dict.fromkeys([*self._first_pass.encoding.sources, *self.options.no_features])
        encoder = replace(self._encoder, options=replace(self.options, clusters=()))
        at = first = 0
        for chunk in self.held_out.chunks(list(columns)):
            encoding, counts = self._first_pass.encoding, self._counts(chunk)
            frame = chunk if counts.all() else chunk.filter(counts)
            refuse_infinite(frame, encoding, first + counts.arg_true(), self.held_out.name)
            first += chunk.height
            frame = readable(frame, encoding)
            rows = np.arange(at, at + frame.height)
            if rows.size and rows[-1] >= len(rest["y"]):
                msg = f"{self.held_out.name} grew while it was being read."
                raise InvalidTable(msg)
            for span, parts in encoder.pieces(frame, rows, self.unseen):
                put(rest, parts, None, rows[span])
            at += frame.height
        if at != len(rest["y"]):
            msg = f"{self.held_out.name} shrank while it was being read."
            raise InvalidTable(msg)


def _not_here(_folder: Path | None, _name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return what stands for an array in an object store."""
    return stand_in(shape, dtype)
