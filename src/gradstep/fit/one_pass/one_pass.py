"""When a fit takes one pass over a table, and what of the rows it needs then.

All that least squares without an l1 penalty comes to, the choice of alpha by fifths of the rows,
the refit and the figures on held-out rows included, follows from moments of these fifths and a few
rows (docs/adr/0048).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.data.features.columns import LeftOut, NumberColumn
from gradstep.data.preparing.hold_out import HoldOut, Rule, share_of
from gradstep.data.preparing.placing import Encoder
from gradstep.data.preparing.prepare import DEFAULT_MEMORY
from gradstep.data.preparing.second_pass import bucket_rows
from gradstep.fit.one_pass.positions import Positions
from gradstep.fit.one_pass.streamed import Reader, StreamedRows
from gradstep.fit.one_pass.sums import HEAD_ROWS, HEAD_TARGETS, Sums
from gradstep.fit.plan import is_auto
from gradstep.objective.regression import SquaredError
from gradstep.rows.kernels.shuffling import Buckets
from gradstep.rows.statistics import Columns, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding
    from gradstep.data.preparing.first_pass import FirstPass
    from gradstep.fit.plan import Settings
    from gradstep.rows.dataset import Dataset

__all__ = ["OnePass", "one_pass_for"]

# Up to so many features a row's products cost less than it costs to keep it.
_MOST_FEATURES = 128
# Least share of a column's variance, the target's too, that the others may leave: of what they
# leave, moments have ten digits then.
_LEAST_SHARE = 1e-6
# Rows whose places are drawn at a time.
_DRAWN = 1 << 20
_AUTOMATIC = ("auto", "svrg", "exact")


def one_pass_for(
    loss: Any, settings: Settings, options: Mapping[str, Any], of_rows: Sequence[Any]
) -> OnePass | None:
    """Return what takes one pass over a table, if the fit that is asked for needs no more.

    Parameters
    ----------
    loss : Loss or None
        The loss that is asked for.
    settings : Settings
        How it is minimised.
    options : mapping
        Options of `gradstep.prepare`.
    of_rows : sequence
        What else may be asked for, each of which needs the rows.
    """
    plain = (
        (loss is None or isinstance(loss, SquaredError))
        and settings.penalty in {None, "l2"}
        and isinstance(settings.optimizer, str)
        and settings.optimizer in _AUTOMATIC
        and is_auto(settings.learning_rate)
        and not (settings.average or any(of_rows))
    )
    # A folder of one's own is to have the rows; those of text are worth keeping in any.
    cache = options.get("cache", False)
    if not plain or not isinstance(cache, bool):
        return None
    return OnePass(int(options.get("memory", DEFAULT_MEMORY)), rereads_text=not cache)


class OnePass:
    """Takes along, in the first pass over a table, the moments of its rows.

    Parameters
    ----------
    memory : int
        Bytes that rows may take in memory.
    rereads_text : bool
        Whether text may be read again, rather than kept in numbers.
    """

    def __init__(self, memory: int = DEFAULT_MEMORY, *, rereads_text: bool = True) -> None:
        self._memory, self._rereads_text = memory, rereads_text
        self._sums: Sums | None = None

    def begin(self, first_pass: FirstPass) -> Callable[[pl.DataFrame, int], None] | None:
        """Return what adds up the chunks of a table, if all of it are numbers, and many rows."""
        self._end()
        options, table, reading = first_pass.options, first_pass.table, first_pass.reading
        columns = list(reading.kinds)
        if not _are_numbers(first_pass) or not 0 < len(columns) <= _MOST_FEATURES:
            return None
        if table.guesses and not (self._rereads_text and _may_be_long(first_pass)):
            return None
        n = table.count_rows()
        if n is None or n <= HEAD_TARGETS:
            return None
        self._rule = Rule(share_of(options.validation, n), options.seed)
        self._n_train = sum(
            int((~_flags(self._rule, lo, min(_DRAWN, n - lo))).sum()) for lo in range(0, n, _DRAWN)
        )
        single = all(table.schema[column] == pl.Float32 for column in columns)
        number = 4 if single else 8
        kept = (n - self._n_train + HEAD_ROWS) * number * len(columns)
        if self._n_train <= HEAD_TARGETS or kept > self._memory // 2:
            return None
        self._bucket_rows = _bucket_rows(number * len(columns))
        positions = Positions(
            self._n_train, options.seed, self._bucket_rows, max(HEAD_ROWS, HEAD_TARGETS)
        )
        self._sums = Sums(
            [*columns, options.target], np.float32 if single else np.float64, self._rule,
            positions, n,
        )  # fmt: skip
        return self._sums

    def rows(self, first_pass: FirstPass) -> tuple[Dataset, Dataset | None] | None:
        """Return rows to train on, which are streamed, and rows held out; None to prepare them."""
        sums = self._end()
        if sums is None or not self._holds(first_pass, sums):
            return None
        encoding = first_pass.encoding
        at = np.array([sums.columns.index(c.source) for c in encoding.numbers], np.intp)
        with_target = np.append(at, len(sums.columns) - 1)
        shift = np.array([*(c.mean for c in encoding.numbers), 0.0])
        scale = np.array([*(c.scale for c in encoding.numbers), 1.0])
        *parts, held_out = (each.lines(with_target).scaled(shift, scale) for each in sums.parts)
        moments = parts[0]
        for part in parts[1:]:
            moments = moments.merged(part)
        if moments.least_share < _LEAST_SHARE:
            return None
        low, high = ((x[at] - shift[:-1]) / scale[:-1] for x in (sums.low, sums.high))
        columns = Columns(
            moments.weight, moments.mean[:-1], moments.products.diagonal()[:-1], low, high
        )
        lines = sums.head()
        head = _encoded(encoding, lines, at, sums.targets[: lines.shape[1]], shuffled=True)
        del lines
        train = StreamedRows.none_of(
            sums.n_train, at.size, head.rows.values.dtype,  # type: ignore[attr-defined]
            executor=Reader(
                first_pass, self._rule, Encoder(encoding, first_pass.target, first_pass.options)
            ),
            columns=columns, moments=moments, head=head, first_targets=sums.targets[:, None],
            moments_of=dict(zip(pairwise(sums.cuts), parts, strict=True)),
        )  # fmt: skip
        if not sums.n_held_out:
            return train, None
        targets = sums.targets_held_out
        others = _encoded(encoding, sums.held_out, at, targets, shuffled=False)
        return train, replace(others, columns=measure(others), moments=held_out)

    def _holds(self, first_pass: FirstPass, sums: Sums) -> bool:
        """Tell whether the table is what it seemed to be when the pass began."""
        encoding = first_pass.encoding
        plain = all(
            isinstance(c, LeftOut) or (isinstance(c, NumberColumn) and not c.indicator)
            for c in encoding.columns
        )
        return (
            plain
            and not sums.missing
            and first_pass.target.classes is None
            and sums.n == first_pass.n_kept == first_pass.rows_read
            and sums.n_train == self._n_train
            and encoding.single == (sums.dtype == np.float32)
            and HoldOut(first_pass, wanted=True).rule == self._rule
            and self._has_order(_bucket_rows(encoding.row_bytes), first_pass.options.seed)
        )

    def _has_order(self, bucket_rows: int, seed: int) -> bool:
        """Tell whether rows lie in the same order in buckets of so many rows."""
        if bucket_rows == self._bucket_rows:
            return True
        one, other = (Buckets(self._n_train, seed, r) for r in (bucket_rows, self._bucket_rows))
        return one.spans() == other.spans()

    def _end(self) -> Sums | None:
        sums, self._sums = self._sums, None
        if sums is not None:
            try:
                sums.wait()
            finally:
                sums.close()
        return sums


def _are_numbers(first_pass: FirstPass) -> bool:
    """Tell whether a table has nothing but numbers, and rows nothing besides."""
    options, reading = first_pass.options, first_pass.reading
    roles = (
        options.weight, options.offset, options.exposure, options.time, options.class_weight
    )  # fmt: skip
    return (
        {*reading.kinds.values(), reading.target_kind} == {"number"}
        and all(role is None for role in roles)
        and not (options.clusters or options.auto or options.of_terms or first_pass.table.formats)
        and options.task != "classification"
    )


def _may_be_long(first_pass: FirstPass) -> bool:
    """Tell whether files of text are large enough for many rows: a number has two characters."""
    files = first_pass.table.opened.files
    return not files or sum(file.size for file in files) > 2 * HEAD_TARGETS


def _flags(rule: Rule, first: int, n: int) -> NDArray[np.bool_]:
    return rule.flags(pl.DataFrame({"": np.empty(n, np.bool_)}), first)


def _bucket_rows(row_bytes: int) -> int:
    """Return the rows of a bucket of the prepared table, whose rows have a target besides."""
    return bucket_rows(row_bytes + 8)


def _encoded(
    encoding: Encoding, lines: NDArray[Any], at: NDArray[np.intp], targets: NDArray[np.float64], *,
    shuffled: bool,
) -> Dataset:  # fmt: skip
    """Return rows as they are encoded, from the lines at which their numbers are."""
    values = encoding.encoded(targets.size, (lines[j] for j in at), ())._asdict()
    return encoding.dataset({**values, "y": targets[:, None]}, shuffled=shuffled)
