"""Rows with their targets and weights: what a run reads.

A row of weight 0 is no row. It is dropped here, once, by an index, whatever it holds: no kernel
meets it, so no 0·inf can come of it, batches are full, and the order is one of the rows that
count. Why here: docs/adr/0012.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.rows.layouts import CsrRows
from gradstep.rows.readonly import readonly
from gradstep.rows.shards import by_eights, shard_bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradstep.rows.layouts import Rows
    from gradstep.rows.moments import Moments
    from gradstep.rows.shards import Executor
    from gradstep.rows.statistics import Columns

__all__ = [
    "Dataset",
    "are_classes",
    "joined",
    "mean_square_norm",
    "row_numbers",
    "scattered",
    "score_unit",
]

_NO_WEIGHTS = readonly(np.empty(0))
_A_FEW = 1 << 6
_ENOUGH_TARGETS = 1 << 12
_ENOUGH_NUMBERS = 1_000_000
_SAMPLE_ROWS = 1 << 20


@dataclass(frozen=True)
class Dataset:
    """Rows with targets and weights, in memory or memory-mapped.

    Parameters
    ----------
    rows : Rows
        A row layout.
    y : ndarray of shape (n_rows, n_targets), float64
        Targets; class indices in one column for a loss of several classes.
    sample_weight : ndarray of shape (n_rows,), float64, optional
        Weights; without them every row weighs 1.
    index : ndarray of `row_numbers`, optional
        The rows that count, if not all: a part of the data without a copy of it. Those of
        weight 0 are taken out.
    shuffled : bool
        Whether the rows lie in random order, as those of a prepared table do.
    executor : Executor, optional
        Who computes on the rows (`gradstep.engine.executor`); threads of this process by default.
    columns : Columns, optional
        Statistics of the columns over these rows, if they came with them.
    moments : Moments, optional
        Means and products of features and target over these rows, if they came with them.
    moments_at_constants : bool
        Whether moments serve where all weights are 0 alone, since digits cancel elsewhere, and rows
        can be read again.
    """

    rows: Rows
    y: NDArray[np.float64]
    sample_weight: NDArray[np.float64] | None = None
    index: NDArray[np.uint32] | None = None
    shuffled: bool = False
    executor: Executor | None = field(default=None, compare=False)
    columns: Columns | None = field(default=None, compare=False)
    moments: Moments | None = field(default=None, compare=False)
    moments_at_constants: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        """Take out the rows of weight 0."""
        weight = self.weights()
        if weight is None or not weight.size or weight.min() > 0.0:
            return
        counted = row_numbers(np.flatnonzero(weight > 0.0), self.rows.n_rows)
        part = self.select(counted)
        if isinstance(self.rows, CsrRows):  # their mean length decides where sums are cut
            part = replace(self.permuted(counted), shuffled=self.shuffled)
        vars(self).update(vars(part))

    @cached_property
    def n(self) -> int:
        """Number of rows that count."""
        return self.rows.n_rows if self.index is None else int(self.index.size)

    @cached_property
    def weight_sum(self) -> float:
        """Sum of the weights."""
        weight = self.weights()
        if weight is None:
            return float(self.n)
        if self.executor is not None:
            each: list[float] = self.executor.run(
                _weight_of, [[bounds] for bounds in self.shards()]
            )
        else:
            each = [float(weight[lo:hi].sum()) for lo, hi in self.shards()]
        return by_eights(each, add)

    @property
    def mean_weight(self) -> float:
        """Mean of the weights."""
        return 1.0 if self.sample_weight is None else self.weight_sum / max(1, self.n)

    def weights(self) -> NDArray[np.float64] | None:
        """Return the weights of the rows that count, None if they are all 1."""
        if self.sample_weight is None or self.index is None:
            return self.sample_weight
        return self.sample_weight[self.index]

    def targets(self) -> NDArray[np.float64]:
        """Return the targets of the rows that count."""
        return self.y if self.index is None else self.y[self.index]

    @cached_property
    def for_kernels(self) -> tuple[Rows, NDArray[np.float64], NDArray[np.float64]]:
        """Rows, targets and weights, read-only; without weights, an empty array of them."""
        weight = _NO_WEIGHTS if self.sample_weight is None else readonly(self.sample_weight)
        return readonly(self.rows), readonly(self.y), weight

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: not the views for kernels, which would be copies."""
        return {name: kept for name, kept in vars(self).items() if name != "for_kernels"}

    def select(self, index: NDArray[np.uint32]) -> Dataset:
        """Return the part with these of the rows, without copying them."""
        chosen = index if self.index is None else self.index[index]
        index = row_numbers(chosen, self.rows.n_rows)
        return replace(self, index=index, executor=None, columns=None, moments=None)

    def part(self, lo: int, hi: int) -> Dataset:
        """Return the rows at positions lo to hi, without a copy."""
        if self.index is not None:
            return replace(self, index=self.index[lo:hi], executor=None, columns=None, moments=None)
        weight = None if self.sample_weight is None else self.sample_weight[lo:hi]
        part = Dataset(self.rows.part(lo, hi), self.y[lo:hi], shuffled=self.shuffled)
        vars(part)["sample_weight"] = weight  # none is 0, so that none need be looked for
        return part

    def shards(self) -> list[tuple[int, int]]:
        """Return the bounds of the parts that sums are made of (`gradstep.rows.shards`)."""
        return shard_bounds(self.n, self.rows.row_bytes(), self.rows.n_features)

    def without_features(self) -> Dataset:
        """Return rows that have targets and weights alone: all that a constant's loss needs."""
        return Dataset(self.rows.without_features(), self.y, self.sample_weight, self.index)

    def rows_between(self, lo: int, hi: int) -> NDArray[np.uint32]:
        """Return the row numbers at positions lo to hi, in storage order."""
        if self.index is None:
            return np.arange(lo, hi, dtype=np.uint32)
        return self.index[lo:hi]

    def rows_at(self, order: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the row numbers at these positions."""
        return order if self.index is None else self.index[order]

    def sample(self) -> Dataset:
        """Return a bounded part that stands for all rows, without a copy.

        All rows, unless they lie in random order and there are very many.
        """
        if not self.shuffled or self.index is not None or self.n <= _SAMPLE_ROWS:
            return self
        sample = self.part(0, _SAMPLE_ROWS)
        return sample if sample.n else self

    def sample_without_features(self) -> Dataset:
        """Return the targets and weights of a sample alone; `sample` may have to copy features."""
        return self.sample().without_features()

    def permuted(self, order: NDArray[np.uint32]) -> Dataset:
        """Return a copy in which the rows lie in this order of positions."""
        at = self.rows_at(order)
        weight = None if self.sample_weight is None else self.sample_weight[at]
        return Dataset(self.rows.take(at), self.y[at], weight)


def _weight_of(shard: Dataset) -> float:
    """Return the sum of the weights of a shard: a task."""
    weight = shard.weights()
    return float(shard.n) if weight is None else float(weight.sum())


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Return the rows of some datasets, one after another: a copy."""
    rows = type(parts[0].rows).joined([part.rows for part in parts])
    y = np.concatenate([part.y for part in parts])
    weights = [part.sample_weight for part in parts if part.sample_weight is not None]
    return Dataset(rows, y, np.concatenate(weights) if weights else None)


def mean_square_norm(data: Dataset) -> float:
    """Return the weighted mean of ‖x‖² over the rows; of scattered ones, if very many."""
    data = data.sample()
    enough = max(1, _ENOUGH_NUMBERS // max(1, data.rows.row_bytes() // 8))
    at = data.rows_at(scattered(data.n, enough))
    norms = data.rows.take(at).square_norms()
    weight = None if data.sample_weight is None else data.sample_weight[at]
    return float(np.average(norms, weights=weight))


def are_classes(loss: Any, data: Dataset) -> bool:
    """Tell whether the targets are classes: -1 and +1, or the numbers of several."""
    if hasattr(loss, "row_slopes"):
        return True
    y = data.sample_without_features().targets()
    # the first of numbers tell already that they are none
    if y.size and abs(float(y[0, 0])) != 1.0:
        return False
    return all(bool((np.abs(part) == 1.0).all()) for part in (y[:_A_FEW], y[_A_FEW:]))


def row_numbers(at: NDArray[Any], n: int) -> NDArray[Any]:
    """Return positions among n rows as kernels take them: of 32 bits, if these are enough.

    Within a shard they are (`cut_positions`), however many rows there are.
    """
    return np.asarray(at, np.uint32 if n <= 1 << 32 else np.int64)


def scattered(n: int, enough: int) -> NDArray[np.uint32]:
    """Return positions all over n rows: one in each stretch, at random, so that no period fits."""
    step = max(1, n // enough)
    first = np.arange(0, n, step)
    if step > 1:
        within = np.random.default_rng(0).integers(0, step, first.size, dtype=np.intp)
        first = np.minimum(first + within, n - 1)
    return row_numbers(first, n)


def _quantiles(numbers: NDArray[np.float64], shares: Sequence[float]) -> list[NDArray[np.float64]]:
    """Return quantiles of each column: `np.quantile`, which takes longer than a small fit.

    Examples
    --------
    >>> _quantiles(np.array([[1.0], [2.0], [4.0]]), (0.25, 0.75))
    [array([1.5]), array([3.])]
    """
    last, found = numbers.shape[0] - 1, []
    at = [min(math.floor(share * last) + up, last) for share in shares for up in (0, 1)]
    ordered = numbers.T.copy()
    ordered.partition(at)
    around = ordered[:, at].T.tolist()
    for i, share in enumerate(shares):
        t, pairs = share * last - at[2 * i], zip(around[2 * i], around[2 * i + 1], strict=True)
        if t < 0.5:
            found.append(np.array([low + (high - low) * t for low, high in pairs]))
        else:
            found.append(np.array([high - (high - low) * (1.0 - t) for low, high in pairs]))
    return found


def score_unit(loss: Any, data: Dataset) -> float:
    """Return what counts as one in scores: 1, or the spread of a target that is a score itself.

    The spread is that of quantiles: a few targets that are far out say nothing of the others.
    """
    if hasattr(loss, "inverse_link") or are_classes(loss, data):
        return 1.0
    y = data.sample_without_features().targets()
    n = y.shape[0]
    some = y if n < 2 * _ENOUGH_TARGETS else y[scattered(n, _ENOUGH_TARGETS)]
    single = n == 1  # of a stream: it has no spread
    for outer, of_normal, numbers in (
        () if single else ((0.25, 1.349, some), (0.05, 3.29, y), (0.0, 6.0, y))
    ):
        low, high = _quantiles(numbers, (outer, 1.0 - outer))
        with np.errstate(over="ignore"):  # not finite, it is passed over
            squares = np.square((high - low) / of_normal)
            spread = math.sqrt(np.add.reduce(squares) / squares.size)
        if 0.0 < spread < np.inf:
            return spread
    return max(1.0, float(np.abs(y).max()))
