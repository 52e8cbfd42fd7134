"""Losses and gradient of many outputs over dense rows, as products of matrices.

With k outputs, kernels that take row by row read k·p parameters for each few rows. Once these do
not fit the processor's second cache, products of blocks are up to three times as fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.blas import one_blas_thread
from gradstep.engine.kernels.compiled_losses import compiled_loss
from gradstep.engine.kernels.tiles import losses_of_scores
from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from gradstep.rows.layouts import Rows

__all__ = ["add_losses_and_gradient", "pays"]

# Parameters from which products of matrices are faster (ADR 0038): half a megabyte of them.
_FEWEST_PARAMETERS = 1 << 16
# Rows of a product: their numbers, scores and slopes stay in the processor's second cache.
_ROWS = 256


def pays(rows: Rows, k: int) -> bool:
    """Tell whether products of matrices are faster for k outputs of such rows."""
    return isinstance(rows, DenseRows) and k * rows.n_features >= _FEWEST_PARAMETERS


def add_losses_and_gradient(
    arrays: tuple[Any, Any, Any], loss: Any, orders: Iterable[NDArray[np.uint32]], k: int,
    params: NDArray[np.float64], losses: NDArray[np.float64], gradient: NDArray[np.float64],
) -> None:  # fmt: skip
    """Add what rows contribute to the loss and its gradient at a point.

    Parameters
    ----------
    arrays : tuple
        Rows, targets and weights (`gradstep.engine.kernels.tiles.Data`).
    loss : Loss
        The loss.
    orders : iterable of ndarray
        Row numbers, run by run.
    k : int
        Number of outputs.
    params : ndarray of shape (size,)
        The point, in the features' own units.
    losses : ndarray of shape (3,)
        Of which the first is added to.
    gradient : ndarray of shape (size,)
        Added to.
    """
    values = arrays[0].values
    p = values.shape[1]
    weights, intercepts = params[: k * p].reshape(k, p), params[k * p :]
    own, own_intercepts = gradient[: k * p].reshape(k, p), gradient[k * p :]
    slopes, own_loss = np.empty((_ROWS, k)), compiled_loss(loss)
    with one_blas_thread():
        for order in orders:
            for at in range(0, order.size, _ROWS):
                part = order[at : at + _ROWS]
                x = values[part].astype(np.float64, copy=False)
                z = x @ weights.T
                z += intercepts
                own_slopes = slopes[: part.size]
                losses[0] += losses_of_scores(
                    *arrays, own_loss, part, k, z.reshape(-1), own_slopes.reshape(-1)
                )
                own += own_slopes.T @ x
                own_intercepts += own_slopes.sum(axis=0)
