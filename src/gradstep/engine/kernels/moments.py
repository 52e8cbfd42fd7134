"""Products of features and a target, which least squares asks for, in one pass. Compiled."""

from __future__ import annotations

import numpy as np

from gradstep.engine.kernels.sums import add_dense_products
from gradstep.jit import compiled, inlined_in_order
from gradstep.rows.layouts import add_gradient, add_products, spread

__all__ = ["sum_at_score", "sum_products", "sum_products_of_columns"]


@inlined_in_order
def _add_extremes(values, a, b, c, d, low, high):
    """Add four rows to the extremes, which are read and written once for them."""
    for j in range(low.size):
        x0 = np.float64(values[a, j])
        x1 = np.float64(values[b, j])
        x2 = np.float64(values[c, j])
        x3 = np.float64(values[d, j])
        low[j] = min(low[j], x0, x1, x2, x3)
        high[j] = max(high[j], x0, x1, x2, x3)


@compiled
def sum_products(
    rows, values, y, sample_weight, order, products, room, shift, low, high, matrix
):  # fmt: skip
    """Add what rows ``order`` contribute to products about a point, and to extremes.

    Parameters
    ----------
    values : ndarray of shape (n_rows, p)
        The numbers of the rows.
    sample_weight : ndarray of shape (n_rows,) or (0,)
        Weights, all of them positive.
    products : int
        `gradstep.engine.kernels.sums.dense_products()`.
    room : int
        Rows of a tile.
    shift : ndarray of shape (p + 1,)
        The point: of the features, then of the target.
    low, high : ndarray of shape (p,)
        Extremes of the features.
    matrix : ndarray of shape (p + 2, p + 2)
        Weighted products of features, target and 1: added to, in the lower triangle.
    """
    p = low.size
    x = np.empty((p + 2, room))
    x[p + 1, :] = 1.0
    ones = np.ones(max(p, room))
    weights = np.ones(room)
    at = 0
    while at < order.size:
        end = min(at + room, order.size)
        spread(rows, order, at, end, shift, ones, x)
        for i in range(at, end):
            x[p, i - at] = y[order[i], 0] - shift[p]
            if sample_weight.size > 0:
                weights[i - at] = sample_weight[order[i]]
        for i in range(at, end, 4):
            last = end - 1
            _add_extremes(
                values, order[i], order[min(i + 1, last)], order[min(i + 2, last)],
                order[min(i + 3, last)], low, high,
            )  # fmt: skip
        add_dense_products(products, end - at, x, weights, matrix)
        at = end


@compiled
def sum_products_of_columns(columns, order, ends, products, room, shift, low, high, matrices):
    """Add what columns contribute to products about a point and to extremes, by parts of the rows.

    Parameters
    ----------
    columns : ndarray of shape (q, n)
        A line a column.
    order : ndarray of shape (n,)
        The rows, part by part.
    ends : ndarray of shape (n_parts,)
        Where each part ends in that order.
    products : int
        `gradstep.engine.kernels.sums.dense_products()`.
    room : int
        Rows of a tile.
    shift : ndarray of shape (q,)
        The point.
    low, high : ndarray of shape (n_parts, q)
        Extremes.
    matrices : ndarray of shape (n_parts, q + 1, q + 1)
        Products of columns and 1: added to, in the lower triangles.
    """
    q = shift.size
    x = np.empty((q + 1, room))
    x[q, :] = 1.0
    ones = np.ones(room)
    at = 0
    for part in range(ends.size):
        while at < ends[part]:
            end = min(at + room, ends[part])
            whole = (end - at) // 4 * 4
            for j in range(q):
                # four at a time do not wait for each other
                low0 = low1 = low2 = low3 = low[part, j]
                high0 = high1 = high2 = high3 = high[part, j]
                for i in range(0, whole, 4):
                    v0 = columns[j, order[at + i]]
                    v1 = columns[j, order[at + i + 1]]
                    v2 = columns[j, order[at + i + 2]]
                    v3 = columns[j, order[at + i + 3]]
                    x[j, i] = v0 - shift[j]
                    x[j, i + 1] = v1 - shift[j]
                    x[j, i + 2] = v2 - shift[j]
                    x[j, i + 3] = v3 - shift[j]
                    low0, low1, low2, low3 = (
                        min(low0, v0), min(low1, v1), min(low2, v2), min(low3, v3)
                    )  # fmt: skip
                    high0, high1, high2, high3 = (
                        max(high0, v0), max(high1, v1), max(high2, v2), max(high3, v3)
                    )  # fmt: skip
                for i in range(whole, end - at):
                    v0 = columns[j, order[at + i]]
                    x[j, i] = v0 - shift[j]
                    low0, high0 = min(low0, v0), max(high0, v0)
                low[part, j] = min(low0, low1, low2, low3)
                high[part, j] = max(high0, high1, high2, high3)
            add_dense_products(products, end - at, x, ones, matrices[part])
            at = end


@compiled
def sum_at_score(rows, y, sample_weight, order, room, score, losses, gradient, matrix):
    """Add the losses, gradient and Hessian of least squares where all rows have one score.

    Parameters
    ----------
    rows
        Of few features each (`add_products`).
    sample_weight : ndarray of shape (n_rows,) or (0,)
        Weights.
    losses, gradient, matrix : ndarray of shape (3,), (p + 1,), (p + 1, p + 1)
        As in `gradstep.engine.kernels.sums.sum_evaluations`.
    """
    weights = np.ones(room)
    slopes = np.empty(room)
    at = 0
    while at < order.size:
        end = min(at + room, order.size)
        total = 0.0
        for i in range(end - at):
            off = score - y[order[at + i], 0]
            if sample_weight.size > 0:
                weights[i] = sample_weight[order[at + i]]
            slopes[i] = weights[i] * off
            total += slopes[i] * off
        losses[0] += 0.5 * total
        add_products(rows, order, at, end, weights, matrix)
        add_gradient(rows, order, at, end, slopes, 1, gradient)
        at = end
