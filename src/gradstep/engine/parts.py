"""Parts of the rows, and two datasets as one, without a copy and with any executor.

They are for sums over rows at fixed parameters (`gradstep.engine.row_sums`), and the automatic
method needs nothing else of most problems. Mini-batches need all rows in one place
(`gradstep.rows.dataset.joined`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gradstep.engine.executor import added, executor_of
from gradstep.rows.dataset import Dataset, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradstep.rows.shards import Bounds, Executor, Task

__all__ = ["Together", "between", "together"]


def between(data: Dataset, lo: int, hi: int) -> Dataset:
    """Return the rows at positions lo to hi, on which the same executor computes."""
    part = data.part(lo, hi)
    return part if data.executor is None else replace(part, executor=_Shifted(data.executor, lo))


class _Shifted:
    """An executor of rows that begin at another position."""

    def __init__(self, executor: Executor, first: int) -> None:
        self.executor, self.first = executor, first
        self.most_bytes = executor.most_bytes

    def run(
        self, task: Task, groups: Sequence[Sequence[Bounds]], own: Sequence[Any] | None = None
    ) -> list[Any]:
        return self.executor.run(task, [_moved(group, self.first) for group in groups], own)

    def take(self, at: NDArray[np.uint32]) -> Dataset:
        return self.executor.take((at + self.first).astype(np.uint32))

    def close(self) -> None:
        """Do nothing: whoever has the rows closes it."""


def _moved(group: Sequence[Bounds], by: int) -> list[Bounds]:
    return [(lo + by, hi + by) for lo, hi in group]


class _Both:
    """The executors of two parts of the rows as one; the first part has `first` rows."""

    def __init__(self, one: Executor, other: Executor, first: int) -> None:
        self.one, self.other, self.first = one, other, first
        self.most_bytes = min(one.most_bytes, other.most_bytes)

    def run(
        self, task: Task, groups: Sequence[Sequence[Bounds]], own: Sequence[Any] | None = None
    ) -> list[Any]:
        """Run a task on each part; the results of a group with shards in both are added up here."""
        found: list[Any] = [None] * len(groups)
        for executor, at in ((self.one, 0), (self.other, self.first)):
            chosen = [
                (i, [(lo, hi) for lo, hi in group if (lo >= self.first) == (at > 0)])
                for i, group in enumerate(groups)
            ]
            there = [(i, group) for i, group in chosen if group]
            arguments = None if own is None else [own[i] for i, _ in there]
            results = executor.run(task, [_moved(group, -at) for _, group in there], arguments)
            for (i, _), result in zip(there, results, strict=True):
                found[i] = result if found[i] is None else added(found[i], result)
        return found

    def take(self, at: NDArray[np.uint32]) -> Dataset:
        """Return a copy of the rows at ascending positions."""
        cut = int(np.searchsorted(at, self.first))
        parts = [self.one.take(at[:cut])] if cut else []
        if cut < at.size:
            parts.append(self.other.take((at[cut:] - self.first).astype(np.uint32)))
        return joined(parts)

    def close(self) -> None:
        """End what both keep running."""
        self.one.close()
        self.other.close()


@dataclass(frozen=True)
class Together(Dataset):
    """The rows of two datasets of one layout, one after the other; a context that ends threads.

    Its fields are those of the first, and its executor computes on both.

    Examples
    --------
    >>> from gradstep.engine.row_sums import RowSums
    >>> from gradstep.objective.regression import SquaredError
    >>> from gradstep.rows.layouts import DenseRows
    >>> one = Dataset(DenseRows(np.eye(2)), np.zeros((2, 1)))
    >>> other = Dataset(DenseRows(np.ones((1, 2))), np.ones((1, 1)))
    >>> with Together.of(one, other) as both, RowSums(both, 1) as row_sums:
    ...     both.n, row_sums.scores(np.array([1.0, 2.0, 0.0])).ravel()
    (3, array([1., 2., 3.]))
    """

    parts: tuple[Dataset, ...] = ()

    @classmethod
    def of(cls, one: Dataset, other: Dataset) -> Self:
        """Return the rows of both."""
        executor = _Both(executor_of(one), executor_of(other), one.n)
        columns = moments = None
        if one.columns is not None and other.columns is not None:
            columns = one.columns.merged(other.columns)
        if one.moments is not None and other.moments is not None:
            moments = one.moments.merged(other.moments)
        return cls(
            one.rows, one.y, one.sample_weight, one.index, one.shuffled, executor, columns,
            moments, one.moments_at_constants or other.moments_at_constants, parts=(one, other),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.executor is not None  # noqa: S101
        self.executor.close()

    @property
    def n(self) -> int:
        """Number of rows that count."""
        return sum(part.n for part in self.parts)

    @property
    def weight_sum(self) -> float:
        """Sum of the weights."""
        return sum(part.weight_sum for part in self.parts)

    def shards(self) -> list[Bounds]:
        """Return the bounds of the shards of both."""
        one, other = self.parts
        return [*one.shards(), *_moved(other.shards(), one.n)]

    def sample(self) -> Dataset:
        """Return a sample of bounded size that stands for all rows."""
        one, other = self.parts
        sample = one.sample()
        return together([one, other]) if sample is one else sample

    def sample_without_features(self) -> Dataset:
        """Return the targets and weights of a sample alone, without a copy of features."""
        one, other = self.parts
        sample = one.sample()
        if sample is not one:
            return sample.without_features()
        return together([one.without_features(), other.without_features()])


def together(parts: Sequence[Dataset]) -> Dataset:
    """Return a copy of the rows of some datasets, one after another."""
    whole = [
        part if part.index is None else part.permuted(np.arange(part.n, dtype=np.uint32))
        for part in parts
    ]
    return joined(whole)
