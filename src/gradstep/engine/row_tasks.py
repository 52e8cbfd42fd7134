"""Tasks: what is computed on each shard of the rows, as pure functions that carry their arguments.

Their results are arrays and numbers, which are added up over the shards or concatenated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.engine.constant_scores import sums_at_score
from gradstep.engine.kernels.compiled_losses import compiled_loss
from gradstep.engine.kernels.launch import is_same
from gradstep.engine.kernels.moments import sum_at_score
from gradstep.engine.kernels.sums import (
    dense_products,
    hessian_squares_of_rows,
    squares_of_rows,
    sum_evaluations,
    sum_squares,
)
from gradstep.engine.kernels.tiles import score_rows, sum_of_losses
from gradstep.engine.matrix_products import add_losses_and_gradient, pays
from gradstep.objective.regression import SquaredError
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset
    from gradstep.rows.layouts import Rows

__all__ = [
    "RUN_ROWS",
    "Evaluate",
    "HessianOptions",
    "MeanLoss",
    "RowSquares",
    "Scores",
    "Squares",
    "Take",
    "scores",
]

# Rows of one call of a kernel, whose row numbers are in memory at once.
RUN_ROWS = 1 << 20
# Bytes of a result, above which shards add to one result instead of making one each.
_IN_PLACE = 1 << 20
# Rows of a tile when a Hessian is summed.
_HESSIAN_TILE = 128


class HessianOptions(NamedTuple):
    """How a Hessian is summed.

    Attributes
    ----------
    blocks : int
        Number of blocks: one for each output, or for each pair of outputs.
    widths, shift, scale
        As in `gradstep.engine.kernels.sums.sum_evaluations`.
    single : bool
        Whether products of many dense features may be summed in single precision.
    """

    blocks: int
    widths: NDArray[np.float64]
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    single: bool = False


@dataclass(frozen=True)
class Evaluate:
    """Sums of losses, gradient and Hessian at a point.

    The result is (losses, gradient, matrices); what is not wanted is empty.

    Attributes
    ----------
    components : tuple of (Loss, Loss or None, Loss or None)
        As in `gradstep.engine.kernels.sums.sum_evaluations`.
    k : int
        Number of outputs.
    params : ndarray of shape (size,)
        The point, in the features' own units.
    options : HessianOptions or None
        How the Hessian is summed, if it is wanted.
    with_losses, with_gradient : bool
        Whether these are wanted.
    constant : bool
        Whether the rows are taken without features; then `params` are the intercepts.
    """

    components: tuple[Any, Any, Any]
    k: int
    params: NDArray[np.float64]
    options: HessianOptions | None = None
    with_losses: bool = True
    with_gradient: bool = True
    constant: bool = False

    @property
    def result_bytes(self) -> int:
        """Memory of the result, about."""
        options = self.options
        q = 0 if options is None else options.shift.size + 1
        return 8 * (self.params.size + (0 if options is None else options.blocks) * q * q)

    @property
    def summed_in_place(self) -> bool:
        """Whether eight shards add to one result; decided by the size of a result alone.

        Making and adding a large matrix for each shard takes longer than filling it.
        """
        return self.result_bytes > _IN_PLACE

    def __call__(self, shard: Dataset) -> tuple[NDArray[np.float64], ...]:
        """Sum over a shard."""
        q = shard.rows.n_features + 1
        sums = (
            np.zeros(3 if self.with_losses else 0),
            np.zeros(self.params.size if self.with_gradient else 0),
            np.zeros((0 if self.options is None else self.options.blocks, q, q)),
        )
        return self.onto(sums, shard)

    def onto(
        self, sums: tuple[NDArray[np.float64], ...], shard: Dataset
    ) -> tuple[NDArray[np.float64], ...]:
        """Add the sums of a shard to `sums`, in place; return `sums`."""
        if self.constant:
            if (found := self._at_score(shard)) is not None:
                sums[0][0] += found[0]
                sums[1][0] += found[1]
                return sums
            shard = shard.without_features()
        if self._is_wide(shard):
            add_losses_and_gradient(
                shard.for_kernels,
                self.components[0],
                _runs(shard),
                self.k,
                self.params,
                *sums[:2],
            )
            return sums
        room = shard.rows.tile_rows() if self.options is None else _HESSIAN_TILE
        if self._is_least_squares_at_score(shard):
            score, (own, gradient, matrices) = float(self.params[-1]), sums
            for order in _runs(shard):
                sum_at_score(*shard.for_kernels, order, room, score, own, gradient, matrices[0])
            return sums
        (same, *losses), fixed = self._losses, self._fixed
        for order in _runs(shard):
            sum_evaluations(*shard.for_kernels, *losses, order, self.k, room, *fixed, *sums)
        if self.with_losses and same:
            sums[0][1] = sums[0][0]
        return sums

    def share(self, other: Evaluate) -> None:
        """Take over what another task has compiled, if its losses are these."""
        (loss, before, plain), (own, own_before, own_plain) = other.components, self.components
        same = loss is own and before is own_before and plain is own_plain
        if same and (self.options is None) is (other.options is None) and "_losses" in vars(other):
            vars(self)["_losses"] = other._losses

    @cached_property
    def _losses(self) -> tuple[bool, tuple[Any, ...], int]:
        """The losses as the kernel takes them, and what adds products.

        Before these, whether the loss that another one is compared with is that one.
        """
        loss, before, plain = self.components
        same, with_hessian = is_same(loss, before), self.options is not None
        losses = (
            compiled_loss(loss, second_derivatives=with_hessian),
            compiled_loss(None if same else before, second_derivatives=with_hessian),
            compiled_loss(plain, second_derivatives=with_hessian),
        )
        return same, losses, dense_products() if with_hessian else 0

    @cached_property
    def _fixed(self) -> tuple[Any, ...]:
        """What else the kernel takes that is the same for all shards."""
        options = self.options
        if options is None:
            return *_no_hessian(self.params.size // self.k - 1), readonly(self.params)
        how = readonly(options.widths), readonly(options.shift), readonly(options.scale)
        return *how, readonly(self.params)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: not what is made of the rest."""
        made = {"_losses", "_fixed"}
        return {name: kept for name, kept in vars(self).items() if name not in made}

    @property
    def _is_plain(self) -> bool:
        """Whether losses and gradient of one loss alone are wanted."""
        return self.components[1:] == (None, None) and self.with_losses and self.with_gradient

    def _at_score(self, shard: Dataset) -> tuple[float, float] | None:
        """Return the sums of a shard whose rows have one score, if they take no pass."""
        if not (self._is_plain and self.options is None and self.k == 1):
            return None
        return sums_at_score(self.components[0], shard, float(self.params[0]))

    def _is_least_squares_at_score(self, shard: Dataset) -> bool:
        """Tell whether the Hessian is that of least squares, whose rows have one score here."""
        known = type(self.components[0]) is SquaredError and self.k == 1
        few = self.options is not None and hasattr(shard.rows, "add_products")
        return self._is_plain and known and few and not self.params[:-1].any()

    def _is_wide(self, shard: Dataset) -> bool:
        """Tell whether matrix products sum what is wanted, and are faster."""
        return self._is_plain and self.options is None and pays(shard.rows, self.k)


@dataclass(frozen=True)
class Squares:
    """The sum of h·x² for each parameter, x being its feature, h the second derivative: (size,)."""

    loss: Any
    k: int
    params: NDArray[np.float64]
    widths: NDArray[np.float64]

    def __call__(self, shard: Dataset) -> NDArray[np.float64]:
        """Sum over a shard."""
        squares = np.zeros(self.params.size)
        fixed = (self.k, readonly(self.widths), readonly(self.params))
        loss = compiled_loss(self.loss, second_derivatives=True)
        for order in _runs(shard):
            sum_squares(*shard.for_kernels, loss, order, *fixed, squares)
        return squares


@dataclass(frozen=True)
class RowSquares:
    """The sum of squares of each of some rows, centred and scaled: (rows, 1 or 2).

    Attributes
    ----------
    shift, scale : ndarray of shape (p,)
        How rows are centred and scaled.
    hessian_at : tuple of (Loss, int, ndarray, ndarray), optional
        The loss, the number of outputs, the widths of second derivatives and the point, where the
        squares times second derivatives there are wanted as well.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    hessian_at: tuple[Any, int, NDArray[np.float64], NDArray[np.float64]] | None = None

    def __call__(self, shard: Dataset, at: NDArray[np.uint32]) -> NDArray[np.float64]:
        """Return the sums for the rows at some positions of a shard."""
        out = np.empty((1 if self.hessian_at is None else 2, at.size))
        order, how = readonly(shard.rows_at(at)), (readonly(self.shift), readonly(self.scale))
        if self.hessian_at is None:
            squares_of_rows(readonly(shard.rows), order, *how, out[0])
            return out.T
        loss, k, widths, params = self.hessian_at
        fixed = (k, readonly(widths), readonly(params), *how)
        hessian_at = compiled_loss(loss, second_derivatives=True)
        hessian_squares_of_rows(*shard.for_kernels, hessian_at, order, *fixed, *out)
        return out.T


@dataclass(frozen=True)
class Take:
    """A copy of some rows."""

    def __call__(self, shard: Dataset, at: NDArray[np.uint32]) -> Dataset:
        """Return the rows at some positions of a shard."""
        return shard.permuted(at)


@dataclass(frozen=True)
class MeanLoss:
    """The weighted sum of losses at a point."""

    loss: Any
    k: int
    params: NDArray[np.float64]

    def __call__(self, shard: Dataset) -> float:
        """Sum over a shard."""
        tile, loss = shard.rows.tile_rows(), compiled_loss(self.loss)
        work, params, total = np.empty(2 * tile * self.k), readonly(self.params), 0.0
        for order in _runs(shard):
            total += sum_of_losses(
                *shard.for_kernels, loss, order, 0, order.size, self.k, tile, params, work
            )
        return total


@dataclass(frozen=True)
class Scores:
    """The scores of the rows at a point: (n, k)."""

    k: int
    params: NDArray[np.float64]

    def __call__(self, shard: Dataset) -> NDArray[np.float64]:
        """Return the scores of a shard."""
        return scores(shard.rows, self.params, self.k, shard.index)


def scores(
    rows: Rows,
    params: NDArray[np.float64],
    k: int,
    index: NDArray[np.uint32] | None = None,
) -> NDArray[np.float64]:
    """Return the scores of the rows, or of those at `index`, shape (n, k).

    A row's score has the same bits whatever rows come with it.
    """
    order = np.arange(rows.n_rows, dtype=np.uint32) if index is None else index
    z = np.empty((order.size, k))
    score_rows(readonly(rows), readonly(order), k, readonly(params), z.reshape(-1))
    return z


def _runs(shard: Dataset) -> Iterator[NDArray[np.uint32]]:
    """Yield the row numbers of a shard, a bounded number at a time."""
    if shard.index is None and shard.n <= RUN_ROWS:
        yield _first_rows(max(1, shard.n - 1).bit_length())[: shard.n]
        return
    for at in range(0, shard.n, RUN_ROWS):
        yield readonly(shard.rows_between(at, min(at + RUN_ROWS, shard.n)))


@lru_cache(maxsize=2)
def _no_hessian(p: int) -> tuple[NDArray[np.float64], ...]:
    """Return the widths, shift and scale of no Hessian."""
    return readonly(np.ones((2, 1))), readonly(np.zeros(p)), readonly(np.ones(p))


@lru_cache(maxsize=2)
def _first_rows(bits: int) -> NDArray[np.uint32]:
    """Return the first 2^bits row numbers, of which all shards take theirs; kept in the cache."""
    rows: NDArray[np.uint32] = readonly(np.arange(1 << bits, dtype=np.uint32))
    return rows
