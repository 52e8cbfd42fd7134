"""Row layouts: how a batch's scores and gradient are taken from the data.

A layout is a NamedTuple of arrays. The kernel walks a batch in tiles of a few rows that stay
in the processor's cache; for each tile it calls

- ``tile_scores(order, lo, hi, params, k, z)``: scores of the rows ``order[lo:hi]`` to z, row
  after row, k outputs each; and asks the memory for the rows that come next, unless they follow;
- ``add_gradient(order, lo, hi, slopes, k, gradient)``: adds slope times row, for each output;
- ``spread(order, lo, hi, shift, scale, out)``: writes rows out, centred and scaled, a column of
  `out` for each: what a Hessian is made of;
- ``add_squares(order, lo, hi, weights, k, squares)``: adds weight times the squares of a row.

A layout whose rows have few of the features each may also have ``n_touched(n)`` and
``list_touched(order, lo, hi, since, now, features, before)``, which tell how many features some
rows have, and which: then a step can cost what its batch touches (`gradstep.engine.kernels.lazy`).

It may have ``add_products(order, lo, hi, weights, matrix)``, too, which adds weight times
the products of all pairs of a row's features: a matrix then costs what rows have, not its size; and
with it ``write_squares(order, lo, hi, scale, out)``, the sum of squares of each row.

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
    "add_products",
    "add_squares",
    "as_index",
    "copy_rows",
    "list_touched",
    "prefetch",
    "spread",
    "tile_scores",
    "write_squares",
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

    def part(self, lo: int, hi: int) -> Rows:
        """Return the rows at positions lo to hi, without a copy."""

    @classmethod
    def joined(cls, parts: Any) -> Rows:
        """Return the rows of several, one after another: a copy."""

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

    def spread(self, order: Any, lo: int, hi: int, shift: Any, scale: Any, out: Any) -> None:
        """Write ``(x - shift)·scale`` of rows ``order[lo:hi]`` to the columns of `out`."""

    def add_squares(self, order: Any, lo: int, hi: int, weights: Any, k: int, squares: Any) -> None:
        """Add weight times the squares of rows ``order[lo:hi]``."""

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


def spread(rows: Rows, order: Any, lo: int, hi: int, shift: Any, scale: Any, out: Any) -> None:
    """Write rows ``order[lo:hi]``, centred and scaled, to columns of `out` (kernels call this)."""
    rows.spread(order, lo, hi, shift, scale, out)


def add_products(rows: Any, order: Any, lo: int, hi: int, weights: Any, matrix: Any) -> None:
    """Add weight times x·xᵀ of rows ``order[lo:hi]`` to a lower triangle (kernels call this).

    Features are taken as they are: rows of few features are neither centred nor scaled.

    Parameters
    ----------
    weights : ndarray of shape (hi - lo,) or longer
        A weight for each row.
    matrix : ndarray of shape (p + 1, p + 1)
        The last line is that of a feature that is 1 in every row.
    """
    rows.add_products(order, lo, hi, weights, matrix)


def write_squares(rows: Any, order: Any, lo: int, hi: int, scale: Any, out: Any) -> None:
    """Write the sum of squares of each row ``order[lo:hi]``, scaled (kernels call this)."""
    rows.write_squares(order, lo, hi, scale, out)


def add_squares(
    rows: Rows, order: Any, lo: int, hi: int, weights: Any, k: int, squares: Any
) -> None:
    """Add weight times the squares of rows ``order[lo:hi]`` (kernels call this)."""
    rows.add_squares(order, lo, hi, weights, k, squares)


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
