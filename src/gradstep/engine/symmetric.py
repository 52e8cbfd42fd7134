"""Symmetric matrices, of which sums over rows fill the lower triangle."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["symmetric"]


def symmetric(lower: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return matrices (..., q, q) whose upper triangles are their lower ones.

    Examples
    --------
    >>> symmetric(np.array([[2.0, np.nan], [1.0, 3.0]]))
    array([[2., 1.],
           [1., 3.]])
    """
    whole = lower.swapaxes(-1, -2).copy()
    np.copyto(whole, lower, where=_below(lower.shape[-1]))
    return whole


@lru_cache(maxsize=4)
def _below(q: int) -> NDArray[np.bool_]:
    """Return where the lower triangle is; small fits ask again and again."""
    below: NDArray[np.bool_] = readonly(np.tri(q, dtype=bool))
    return below
