"""The Hessian of many dense features, as products of matrices: a task.

From some hundred features on a matrix fits no cache of the processor, and blocks of it that BLAS
multiplies are filled faster, in the end several times, than by the kernel that sums few features
(`gradstep.engine.kernels.sums`). Rows are brought together across shards, since each product reads
and writes the whole matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.blas import one_blas_thread
from gradstep.engine.executor import added
from gradstep.engine.kernels.compiled_losses import compiled_loss
from gradstep.engine.kernels.sums import second_derivatives_of_scores
from gradstep.engine.row_tasks import scores
from gradstep.engine.symmetric import symmetric
from gradstep.objective.losses import is_quadratic
from gradstep.rows.layouts import DenseRows
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from gradstep.engine.row_tasks import HessianOptions
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.layouts import Rows
    from gradstep.rows.shards import Bounds, Executor

__all__ = ["WideHessian", "is_wide", "row_curvatures", "standardised"]

# Features from which products of matrices sum a Hessian (ADR 0056), and one with blocks of pairs of
# outputs (ADR 0045).
_FEWEST, _FEWEST_OF_PAIRS = 640, 1025
# Rows of a product, and of a group of shards at least: each product reads and writes the whole.
_ROWS = 2048
# Columns of a strip, of which only what lies below the diagonal is made.
_COLUMNS = 256
# Parts that the strips are shared out in, where there are fewer groups of rows.
_PARTS = 4

Strips = tuple["NDArray[np.float64]", ...]


def is_wide(rows: Rows, *, pairs: bool) -> bool:
    """Tell whether the Hessian of such rows is summed as products of matrices.

    Parameters
    ----------
    rows : Rows
        The rows.
    pairs : bool
        Whether it has blocks of pairs of outputs.
    """
    fewest = _FEWEST_OF_PAIRS if pairs else _FEWEST
    return isinstance(rows, DenseRows) and rows.n_features >= fewest


@dataclass(frozen=True)
class WideHessian:
    """Sums of h·x·xᵀ, strip by strip: (blocks, columns of the strip, columns up to its end).

    Attributes
    ----------
    loss : Loss
        What second derivatives are taken of.
    k : int
        Number of outputs.
    params : ndarray of shape (size,)
        The point, in the features' own units.
    options : HessianOptions
        How the Hessian is summed.
    """

    loss: Any
    k: int
    params: NDArray[np.float64]
    options: HessianOptions

    def mean(self, executor: Executor, shards: Sequence[Bounds], weight: float) -> Any:
        """Return the sum over all rows, divided by their weight: (blocks, p + 1, p + 1)."""
        n, q = shards[-1][1], self.options.shift.size + 1
        each = -(-_ROWS * len(shards) // n)
        groups = [shards[at : at + each] for at in range(0, len(shards), each)]
        strips = -(-q // _COLUMNS)
        parts = -(-_PARTS // len(groups))
        # The work of a strip grows with its number, so the cuts are those of equal areas.
        cuts = sorted({round(strips * math.sqrt(part / parts)) for part in range(parts + 1)})
        parts = len(cuts) - 1
        tasks = [(group, cut) for group in groups for cut in pairwise(cuts)]
        at_once = max(parts, executor.most_bytes // (4 * self.options.blocks * q * q) * parts)
        found: list[Any] = [None] * parts
        for first in range(0, len(tasks), at_once):
            now = tasks[first : first + at_once]
            results = executor.run(self, [group for group, _ in now], [own for _, own in now])
            for at, result in enumerate(results, first):
                part = at % parts
                found[part] = result if found[part] is None else added(found[part], result)
        whole = np.empty((self.options.blocks, q, q))
        for strip in chain.from_iterable(found):
            _write(strip, whole, 1.0 / weight)
        return whole

    def __call__(self, shard: Dataset, own: tuple[int, int]) -> Strips:
        """Return some of the strips, summed over a shard."""
        return self.on_shards([shard], own)

    def on_shards(self, shards: Iterable[Dataset], own: tuple[int, int]) -> Strips:
        """Return some of the strips, summed over some shards, whose rows follow each other."""
        blocks, p = self.options.blocks, self.options.shift.size
        bounds = [(_COLUMNS * at, min(_COLUMNS * (at + 1), p + 1)) for at in range(*own)]
        x = np.empty((_ROWS, bounds[-1][1]), np.float32 if self.options.single else np.float64)
        h, filled, strips = np.empty((blocks, _ROWS)), 0, None
        with one_blas_thread():
            for shard in shards:
                at = 0
                while at < shard.n:
                    part = shard.part(at, min(shard.n, at + _ROWS - filled))
                    rows = slice(filled, filled + part.n)
                    standardised(part, self.options.shift, self.options.scale, x[rows])
                    z = None
                    if not is_quadratic(self.loss):
                        z = scores(part.rows, self.params, self.k, part.index)
                    h[:, rows] = row_curvatures(
                        self.loss, self.k, part, z, self.options.widths, blocks
                    )
                    at, filled = at + part.n, filled + part.n
                    if filled == _ROWS:
                        strips, filled = _with_products(strips, x, h, bounds), 0
            if filled:
                strips = _with_products(strips, x[:filled], h[:, :filled], bounds)
        assert strips is not None  # noqa: S101
        return strips


def standardised(
    data: Dataset, shift: NDArray[np.float64], scale: NDArray[np.float64], x: NDArray[Any]
) -> None:
    """Write dense rows, centred and scaled, to x: as many columns; of one more, the last is 1."""
    values: NDArray[Any] = data.rows.values  # type: ignore[attr-defined]
    p = min(shift.size, x.shape[1])
    own = values[:, :p] if data.index is None else values[data.index, :p]
    np.subtract(own, shift[:p], out=x[:, :p], casting="same_kind")
    x[:, :p] *= scale[:p].astype(x.dtype)
    x[:, p:] = 1.0


def row_curvatures(
    loss: Any, k: int, data: Dataset, z: NDArray[np.float64] | None, widths: NDArray[np.float64],
    blocks: int,
) -> NDArray[np.float64]:  # fmt: skip
    """Return the weighted second derivatives at the scores (n, k) of rows: (blocks, n).

    Those of least squares are the same everywhere, so scores may be None.
    """
    if is_quadratic(loss):
        weights = data.weights()
        return np.ones((blocks, data.n)) if weights is None else np.tile(weights, (blocks, 1))
    assert z is not None  # noqa: S101
    h = np.empty((blocks, data.n))
    order = readonly(data.rows_between(0, data.n))
    second_derivatives_of_scores(
        *data.for_kernels, compiled_loss(loss, second_derivatives=True), order, k,
        readonly(widths), z.reshape(-1), h,
    )  # fmt: skip
    return h


def _with_products(
    strips: Strips | None, x: NDArray[Any], h: NDArray[np.float64], bounds: list[Bounds]
) -> Strips:
    """Return strips, if there are any, with Σ h·x·xᵀ of some rows added."""
    if strips is None:
        strips = tuple(np.zeros((h.shape[0], hi - lo, hi)) for lo, hi in bounds)
    for block, own in enumerate(h):
        even = bool((own == own[0]).all())
        left = x if even else x * own[:, None].astype(x.dtype)
        for strip, (lo, hi) in zip(strips, bounds, strict=True):
            product = left[:, lo:hi].T @ x[:, :hi]
            if even and own[0] != 1.0:
                product *= own[0]
            strip[block] += product
    return strips


def _write(strip: NDArray[np.float64], whole: NDArray[np.float64], factor: float) -> None:
    """Write a strip times a factor into symmetric matrices."""
    hi = strip.shape[2]
    lo = hi - strip.shape[1]
    strip *= factor
    whole[:, lo:hi, :lo] = strip[:, :, :lo]
    whole[:, :lo, lo:hi] = np.transpose(strip[:, :, :lo], (0, 2, 1))
    whole[:, lo:hi, lo:hi] = symmetric(strip[:, :, lo:])
