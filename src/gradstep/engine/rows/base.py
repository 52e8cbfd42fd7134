"""Row layouts: how a batch's scores and gradient are taken from the data.

A layout is a NamedTuple of arrays. The kernel walks a batch in tiles of a few rows that stay
in the processor's cache; for each tile it calls

- ``tile_scores(order, lo, hi, params, k, z)``: scores of the rows ``order[lo:hi]`` to z, row
  after row, k outputs each; and asks the memory for the rows that come next;
- ``add_gradient(order, lo, hi, slopes, k, gradient)``: adds slope times row, for each output.

A layout whose rows have few of the features each may also have ``n_touched(n)`` and
``list_touched(order, lo, hi, since, now, features, before)``, which tell how many features some
rows have, and which: then a step can cost what its batch touches (`gradstep.engine.lazy`).

`params` and `gradient` are flat: k rows of weights, then k intercepts. Both methods are
compiled; the same code runs uncompiled. Indices are unsigned where that saves a check.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = [
    "AHEAD",
    "LINE",
    "MOST_LINES",
    "Rows",
    "add_gradient",
    "as_index",
    "copy_rows",
    "list_touched",
    "prefetch",
    "tile_scores",
]

# Rows ahead of use that are asked for: far enough to hide the memory's latency behind
# the arithmetic of the rows before, near enough that they are still in cache when used.
AHEAD = 32
LINE = 64  # bytes that the memory delivers at once
MOST_LINES = 32  # of a long row; the processor's own prefetching takes over after a few


@runtime_checkable
class Rows(Protocol):
    """What a row layout must have."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    def n_features(self) -> int:
        """Number of features."""

    def row_bytes(self) -> int:
        """Return the memory of a row, on average."""

    def tile_rows(self) -> int:
        """Return how many rows a tile should have."""

    def take(self, order: Any) -> Rows:
        """Return a copy with the rows in another order."""

    def first(self, n: int) -> Rows:
        """Return the first n rows, without a copy."""

    def square_norms(self) -> Any:
        """Return ‖x‖² of each row."""

    def without_features(self) -> Rows:
        """Return as many rows without any feature: their scores are the intercept."""

    def tile_scores(self, order: Any, lo: int, hi: int, params: Any, k: int, z: Any) -> None:
        """Write the scores of rows ``order[lo:hi]`` to z."""

    def add_gradient(
        self, order: Any, lo: int, hi: int, slopes: Any, k: int, gradient: Any
    ) -> None:
        """Add slope times row to the gradient."""

    def room_for(self, order: Any, buffer: Any) -> Rows:
        """Return `buffer` if these rows fit into it, else a new one."""

    def copy_rows(self, order: Any, lo: int, hi: int, buffer: Any) -> None:
        """Copy the rows ``order[lo:hi]``, one after another, to the buffer."""


def tile_scores(rows: Rows, order: Any, lo: int, hi: int, params: Any, k: int, z: Any) -> None:
    """Write the scores of rows ``order[lo:hi]`` to z (kernels call this)."""
    rows.tile_scores(order, lo, hi, params, k, z)


def add_gradient(
    rows: Rows, order: Any, lo: int, hi: int, slopes: Any, k: int, gradient: Any
) -> None:
    """Add slope times row for rows ``order[lo:hi]`` (kernels call this)."""
    rows.add_gradient(order, lo, hi, slopes, k, gradient)


def copy_rows(rows: Rows, order: Any, lo: int, hi: int, buffer: Any) -> None:
    """Copy the rows ``order[lo:hi]`` to the buffer (kernels call this)."""
    rows.copy_rows(order, lo, hi, buffer)


def list_touched(
    rows: Any, order: Any, lo: int, hi: int, since: Any, now: int, features: Any, before: Any
) -> int:
    """List the features of rows ``order[lo:hi]``, each once (kernels call this).

    Parameters
    ----------
    since : ndarray of int32, shape (n_features,) or more
        A number for each feature, below `now`; `now` afterwards, for those of the rows.
    now : int
        The mark.
    features, before : ndarray of int32, longer than there are features
        The first ones become the features, and the numbers that they had in `since`.

    Returns
    -------
    int
        How many features the rows have.
    """
    n: int = rows.list_touched(order, lo, hi, since, now, features, before)
    return n


def prefetch(array: Any, index: int) -> None:
    """Ask the memory for the line that holds ``array.flat[index]``; uncompiled, nothing."""


def as_index(number: Any) -> Any:
    """Return a number as an index that is known not to be negative, which saves a check."""
    return number
