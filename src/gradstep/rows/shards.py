"""How the rows are cut into shards, and in which order the results of shards are added.

The number of shards, and where they begin, depends on the data alone. Their sums are added eight by
eight, then the eights in order. So the bits of a sum depend on nothing else: not on threads, nor on
the machines that computed its parts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = ["Bounds", "Executor", "Task", "by_eights", "eights", "shard_bounds"]

Bounds = tuple[int, int]
Task = Callable[..., Any]

T = TypeVar("T")

# Bytes of a shard at least: about a tenth of a millisecond of work.
_SHARD_BYTES = 1 << 20
# Bytes of a shard at most; beyond, there are more than the usual number of shards.
_LARGEST_BYTES = 1 << 30
# Bytes that are read in the time that a row takes besides, however short it is.
_ROW_WORK = 64
# Shards at most, unless they are of the largest size.
_USUAL_MOST = 64
# With fewer shards than this there is one: waking other threads costs as much as a few.
_LEAST = 6
# Numbers per feature that a shard has at least, since its sums are as long as the features.
_NUMBERS_A_FEATURE = 8


def shard_bounds(n: int, row_bytes: int, n_features: int) -> list[tuple[int, int]]:
    """Return where each shard of n rows begins and ends.

    Parameters
    ----------
    n : int
        Number of rows.
    row_bytes : int
        Memory of a row, on average.
    n_features : int
        Number of features.

    Examples
    --------
    >>> shard_bounds(10, 8, 1)
    [(0, 10)]
    >>> len(shard_bounds(10**6, 800, 100)), len(shard_bounds(10**9, 800, 100))
    (64, 745)
    """
    by_size = n * (row_bytes + _ROW_WORK) // _SHARD_BYTES
    most = max(1, n * max(1, row_bytes) // 8 // (_NUMBERS_A_FEATURE * (n_features + 1)))
    shards = min(by_size, most, _USUAL_MOST) if by_size >= _LEAST else 1
    if 1 < shards < most:
        shards += shards % 2  # an even number, if possible, so that two threads share it
    shards = max(shards, n * row_bytes // _LARGEST_BYTES)
    return [(n * i // shards, n * (i + 1) // shards) for i in range(shards)]


def eights(parts: Sequence[T]) -> list[Sequence[T]]:
    """Return the parts in groups of eight.

    Examples
    --------
    >>> eights("abcdefghij")
    ['abcdefgh', 'ij']
    """
    return [parts[at : at + 8] for at in range(0, len(parts), 8)]


def by_eights(parts: Sequence[T], add: Callable[[T, T], T]) -> T:
    """Add parts up eight by eight, then the eights in order.

    Examples
    --------
    >>> by_eights(list("abcdefghij"), lambda one, other: f"({one}+{other})")
    '((((((((a+b)+c)+d)+e)+f)+g)+h)+(i+j))'
    """
    return reduce(add, [reduce(add, eight) for eight in eights(parts)])


class Executor(Protocol):
    """Runs tasks on the shards of a dataset.

    Attributes
    ----------
    most_bytes : int
        Size of the results of all shards, above which shards are added up where they are computed.
    """

    most_bytes: int

    def run(
        self, task: Task, groups: Sequence[Sequence[Bounds]], own: Sequence[Any] | None = None
    ) -> list[Any]:
        """Run a task on groups of shards.

        Parameters
        ----------
        task : callable
            From a shard to its result: a pure function, which other processes can unpickle.
        groups : sequence of sequences of (int, int)
            Bounds of the shards of each group.
        own : sequence, optional
            A second argument for each group.

        Returns
        -------
        list
            The result of each group: the sum of its shards' results, added in order.
        """

    def take(self, at: NDArray[np.uint32]) -> Dataset:
        """Return a copy of the rows at ascending positions."""

    def close(self) -> None:
        """End what the executor keeps running."""
