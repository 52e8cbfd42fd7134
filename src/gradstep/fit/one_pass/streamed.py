"""Rows that are not kept: their sums are known, some of them are here, all can be read anew.

To a fit they are a dataset as any. What follows from moments takes no pass
(`gradstep.engine.row_sums`); what does not, as robust standard errors, reads the table once more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gradstep.engine.executor import added, on_group
from gradstep.engine.row_tasks import Evaluate
from gradstep.errors import InvalidTable
from gradstep.inference.sums import ScoreProducts
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    import polars as pl
    from numpy.typing import NDArray

    from gradstep.data.preparing.first_pass import FirstPass
    from gradstep.data.preparing.hold_out import Rule
    from gradstep.data.preparing.placing import Encoder
    from gradstep.rows.moments import Moments
    from gradstep.rows.shards import Bounds, Task

__all__ = ["NOT_KEPT", "Reader", "StreamedRows"]

_THREADS = 2
NOT_KEPT = (
    "The rows of this table were not kept, as its model needed their sums alone: gradstep.prepare "
    "gives a table whose rows are there."
)


@dataclass(frozen=True)
class StreamedRows(Dataset):
    """The rows to train on of a table that is read anew for each pass.

    Attributes
    ----------
    head : Dataset
        The first ones in random order.
    first_targets : ndarray of shape (n, 1)
        The targets of these, and of some more.
    moments_of : mapping
        The moments of parts of the rows, by the positions that these begin and end at.
    """

    head: Dataset | None = None
    first_targets: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 1)))
    moments_of: Mapping[Bounds, Moments] = field(default_factory=dict)

    @classmethod
    def none_of(cls, n: int, p: int, dtype: Any, **known: Any) -> StreamedRows:
        """Return n rows of p features, none of which is here."""
        rows, y = _nowhere((n, p), dtype), _nowhere((n, 1), np.float64)
        return cls(DenseRows(rows), y, shuffled=True, **known)

    def part(self, lo: int, hi: int) -> Dataset:
        """Return the rows at positions lo to hi: of some the moments are known, or the targets."""
        assert self.head is not None  # noqa: S101
        moments = self.moments_of.get((lo, hi))
        if moments is None and hi <= self.head.n:
            return self.head.part(lo, hi)
        y = self.first_targets[lo:hi] if hi <= len(self.first_targets) else self.y[lo:hi]
        return Dataset(self.rows.part(lo, hi), y, shuffled=True, moments=moments)

    @property
    def for_kernels(self) -> NoReturn:
        """Refuse: the rows are not here."""
        self._refuse()

    def select(self, index: NDArray[np.uint32]) -> NoReturn:
        """Refuse: the rows are not here."""
        del index
        self._refuse()

    def permuted(self, order: NDArray[np.uint32]) -> NoReturn:
        """Refuse: the rows are not here."""
        del order
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise InvalidTable(NOT_KEPT)


def _nowhere(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array that takes no memory and gives itself away if it is computed with."""
    return np.broadcast_to(np.full((), np.nan, dtype), shape)


class Reader:
    """An executor that reads the table for each task, whose results must be sums.

    Parameters
    ----------
    first_pass : FirstPass
        What the first pass found.
    rule : Rule
        Which rows are held out.
    encoder : Encoder
        Makes rows of chunks.
    """

    most_bytes = 1 << 27

    def __init__(self, first_pass: FirstPass, rule: Rule, encoder: Encoder) -> None:
        self._first_pass, self._rule, self._encoder = first_pass, rule, encoder

    def close(self) -> None:
        """Do nothing: threads end with each pass."""

    def take(self, _at: NDArray[np.uint32]) -> NoReturn:
        """Refuse: rows are read one after another."""
        msg = "Rows that are read one after another cannot be chosen by their positions."
        raise NotImplementedError(msg)

    def run(
        self, task: Task, groups: Sequence[Sequence[Bounds]], own: Sequence[Any] | None = None
    ) -> list[Any]:
        """Run a task on all rows: each shard has those that follow each other in the table."""
        if own is not None or not isinstance(task, (Evaluate, ScoreProducts)):
            msg = f"{type(task).__name__} asks for rows in random order, or for more than a sum."
            raise NotImplementedError(msg)
        found: list[Any] = [None] * len(groups)
        firsts = [group[0][0] for group in groups]
        for at, result in self._results(task, [*firsts, groups[-1][-1][1]]):
            found[at] = result if found[at] is None else added(found[at], result)
        self._first_pass.table.check_unchanged()
        return found

    def _results(self, task: Task, bounds: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield the group of each chunk, or part of one, and its result, in their order."""
        jobs: deque[Future[list[tuple[int, Any]]]] = deque()
        at, n = 0, self._first_pass.rows_read
        with ThreadPoolExecutor(_THREADS, "gradstep-read") as pool:
            for frame, first in self._first_pass.once_more():
                if first + frame.height > n:
                    self._first_pass.refuse_change(f"more than {n:,}")
                flags = self._rule.flags(frame, first)
                jobs.append(pool.submit(self._of_chunk, task, bounds, frame, first, flags, at))
                at += frame.height - int(flags.sum())
                if len(jobs) > _THREADS:
                    yield from jobs.popleft().result()
            while jobs:
                yield from jobs.popleft().result()
        if at != bounds[-1]:
            self._first_pass.refuse_change("others")

    def _of_chunk(
        self, task: Task, bounds: Sequence[int], frame: pl.DataFrame, first: int,
        held_out: NDArray[np.bool_], at: int,
    ) -> list[tuple[int, Any]]:  # fmt: skip
        """Return the results of a chunk, whose first row to train on is at this position."""
        unseen: Counter[str] = Counter()  # none is
        found = []
        rows = np.arange(first, first + frame.height)
        for span, arrays in self._encoder.pieces(frame, rows, unseen):
            data = self._encoder.encoding.dataset(arrays, shuffled=False)
            trained = np.flatnonzero(~held_out[span]).astype(np.uint32)
            begin, end = at, at + trained.size
            while at < end:
                group = bisect_right(bounds, at) - 1
                hi = min(end, bounds[group + 1])
                some = data.select(trained[at - begin : hi - begin])
                found.append((group, on_group(task, [some])))
                at = hi
        return found
