"""Sums over rows of products of scores in the statistician's sense: of gradients of single rows.

The gradient of a row's loss is slope times row. `sum_score_products` adds its products with itself,
`sum_by_cluster` adds gradients of the rows of a cluster. Rows count as often as they weigh.
"""

from __future__ import annotations

import numpy as np

from gradstep.engine.kernels.compiled_losses import tile_losses
from gradstep.engine.kernels.sums import row_products
from gradstep.jit import compiled
from gradstep.rows.layouts import add_gradient, tile_scores

__all__ = ["sum_by_cluster", "sum_score_products"]


@compiled
def sum_score_products(
    rows, y, sample_weight, loss, products, order, k, room, shift, scale, params, matrices
):  # fmt: skip
    """Add slope·slope·x·xᵀ of rows ``order`` to the lower triangles of the matrices of all pairs.

    Pairs of outputs are (0, 0), (1, 0), (1, 1), ...; or (0, 0), (1, 1), ... if there are as many
    matrices as outputs. Rows are centred and scaled, and followed by a 1. `products` is
    `dense_products()`.
    """
    pairs, q = matrices.shape[0], shift.size + 1
    x = np.empty((q, room))
    x[q - 1, :] = 1.0
    h = np.empty((pairs, room))
    z = np.empty(room * k)
    slopes = np.empty(room * k)
    at = 0
    while at < order.size:
        end = min(at + room, order.size)
        tile_scores(rows, order, at, end, params, k, z)
        tile_losses(loss, y, sample_weight, order, at, end, k, z, slopes)
        for i in range(end - at):
            if pairs == k:
                for c in range(k):
                    h[c, i] = slopes[i * k + c] * slopes[i * k + c]
            else:
                pair = 0
                for c in range(k):
                    for d in range(c + 1):
                        h[pair, i] = slopes[i * k + c] * slopes[i * k + d]
                        pair += 1
        row_products(rows, order, at, end, shift, scale, h, x, matrices, products)
        at = end


@compiled
def sum_by_cluster(rows, y, sample_weight, loss, order, clusters, k, params, sums):
    """Add the gradients of rows ``order``, in the features' own units, to those of their clusters.

    Parameters
    ----------
    clusters : ndarray of shape (order.size,), int64
        The line of `sums` that each of these rows belongs to.
    sums : ndarray of shape (clusters, size)
        Added to.
    """
    z = np.empty(k)
    slopes = np.empty(k)
    for i in range(order.size):
        tile_scores(rows, order, i, i + 1, params, k, z)
        tile_losses(loss, y, sample_weight, order, i, i + 1, k, z, slopes)
        add_gradient(rows, order, i, i + 1, slopes, k, sums[clusters[i]])
