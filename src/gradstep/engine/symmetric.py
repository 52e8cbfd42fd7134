"""Symmetric matrices, of which sums over rows fill the lower triangle."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["symmetric"]

# Lines and columns of a block: two of them take 256 KB, which stay in the second cache.
_BLOCK = 128


def symmetric(lower: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return matrices (..., q, q) whose upper triangles are their lower ones.

    Examples
    --------
    >>> symmetric(np.array([[2.0, np.nan], [1.0, 3.0]]))
    array([[2., 1.],
           [1., 3.]])
    """
    q = lower.shape[-1]
    if q > 2 * _BLOCK:  # a square of it at a time, whose lines and columns stay in the cache
        return _by_blocks(lower)
    whole = lower.swapaxes(-1, -2).copy()
    np.copyto(whole, lower, where=_below(q))
    return whole


def _by_blocks(lower: NDArray[np.float64]) -> NDArray[np.float64]:
    whole, q = np.empty(lower.shape), lower.shape[-1]
    for lo in range(0, q, _BLOCK):
        own = slice(lo, lo + _BLOCK)
        whole[..., own, :lo] = lower[..., own, :lo]
        whole[..., own, own] = symmetric(lower[..., own, own])
        for at in range(0, lo, _BLOCK):
            left = slice(at, at + _BLOCK)
            whole[..., left, own] = lower[..., own, left].swapaxes(-1, -2)
    return whole


@lru_cache(maxsize=4)
def _below(q: int) -> NDArray[np.bool_]:
    """Return where the lower triangle is; small fits ask again and again."""
    below: NDArray[np.bool_] = readonly(np.tri(q, dtype=bool))
    return below
