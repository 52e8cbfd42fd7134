"""Sums over all rows, or a sample of them: gradients, Hessians, squares. The compiled part.

a. Losses, gradient and Hessian at a point are summed in one pass over the rows, as far as they
   are wanted: reading the rows is what costs.
b. A Hessian is Σ h_i·x_i·x_iᵀ over rows that are centred, scaled and followed by a 1
   for the intercept. Dense rows are spread out in tiles, feature by feature, so that an element
   of the matrix is a dot product of two contiguous lines; eight of them are summed at a time,
   which keeps the processor's multipliers busy. Of sparse and coded rows, pairs of what they have
   are added one by one.
c. The second derivative h_i of a row is the difference of two slopes around its score. A loss
   need not give it, and one whose slope jumps gets that of the loss smoothed over this width.
   Far from a jump that is zero, though a long step would meet it: such losses take the largest
   over widths doubled again and again, which is the second derivative of a parabola that lies
   above the loss (as in iteratively reweighted least squares).
   A joint loss has a second derivative for each pair of outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic, overload

from gradstep.engine.kernels.by_address import NUMBERS, address_of, as_it_is, call
from gradstep.engine.kernels.compiled_losses import tile_losses, tile_second_derivatives
from gradstep.jit import INLINED, compiled
from gradstep.rows.layouts import (
    add_gradient,
    add_products,
    add_squares,
    spread,
    tile_scores,
    write_squares,
)

__all__ = [
    "add_dense_products",
    "dense_products",
    "hessian_squares_of_rows",
    "second_derivatives_of_scores",
    "squares_of_rows",
    "sum_evaluations",
    "sum_squares",
]


def _make_add_products(array: Any) -> Any:
    def add_products(m, q, room, x, h, matrix):
        """Add Σ_t h_t·x_it·x_jt to the lower triangle of a matrix; x has a line a feature."""
        x = array(x, (q, room))
        h = array(h, room)
        matrix = array(matrix, (q, q))
        scaled = np.empty((2, room))
        i = 0
        while i < q:
            two = min(2, q - i)
            for a in range(two):
                line = x[i + a]
                for t in range(m):
                    scaled[a, t] = h[t] * line[t]
            if two == 1:
                scaled[1, :m] = 0.0
            a0 = scaled[0]
            a1 = scaled[1]
            end = i + two
            j = 0
            while j + 4 <= end:
                b0 = x[j]
                b1 = x[j + 1]
                b2 = x[j + 2]
                b3 = x[j + 3]
                s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
                for t in range(m):
                    s00 += a0[t] * b0[t]
                    s01 += a0[t] * b1[t]
                    s02 += a0[t] * b2[t]
                    s03 += a0[t] * b3[t]
                    s10 += a1[t] * b0[t]
                    s11 += a1[t] * b1[t]
                    s12 += a1[t] * b2[t]
                    s13 += a1[t] * b3[t]
                matrix[i, j] += s00
                matrix[i, j + 1] += s01
                matrix[i, j + 2] += s02
                matrix[i, j + 3] += s03
                if two == 2:
                    matrix[i + 1, j] += s10
                    matrix[i + 1, j + 1] += s11
                    matrix[i + 1, j + 2] += s12
                    matrix[i + 1, j + 3] += s13
                j += 4
            while j < end:
                b0 = x[j]
                s00 = s10 = 0.0
                for t in range(m):
                    s00 += a0[t] * b0[t]
                    s10 += a1[t] * b0[t]
                matrix[i, j] += s00
                if two == 2:
                    matrix[i + 1, j] += s10
                j += 1
            i += two

    return add_products


_ADD_PRODUCTS = types.void(types.int64, types.int64, types.int64, NUMBERS, NUMBERS, NUMBERS)


def dense_products() -> int:
    """Return the address of what adds products of dense rows, compiled if it has not been."""
    return address_of(_make_add_products, _ADD_PRODUCTS)


def add_dense_products(products, m, x, h, matrix):
    """Add Σ_t h_t·x_it·x_jt to the lower triangle of a matrix, by what is at `products`."""
    _make_add_products(as_it_is)(m, x.shape[0], x.shape[1], x, h, matrix)


@intrinsic
def _call_add_products(typing_context, address, m, q, room, x, h, matrix):
    return call(types.none, address, m, q, room, x, h, matrix)


@overload(add_dense_products, strict=False, jit_options=INLINED)
def _compiled_add_products(*_: Any) -> Any:
    def add_products(products, m, x, h, matrix):
        _call_add_products(products, m, x.shape[0], x.shape[1], x, h, matrix)

    return add_products


def row_products(
    rows: Any, order: Any, lo: int, hi: int, shift: Any, scale: Any, h: Any, x: Any,
    matrices: Any, products: int,
) -> None:  # fmt: skip
    """Add h·x·xᵀ of rows ``order[lo:hi]`` to the lower triangles of the matrices of all pairs.

    `products` is `dense_products()`.
    """
    kind = _products_of_few if hasattr(type(rows), "add_products") else _products_of_all
    kind(rows, order, lo, hi, shift, scale, h, x, matrices, products)


def _products_of_all(rows, order, lo, hi, shift, scale, h, x, matrices, products):
    spread(rows, order, lo, hi, shift, scale, x)
    for pair in range(h.shape[0]):
        add_dense_products(products, hi - lo, x, h[pair], matrices[pair])


def _products_of_few(rows, order, lo, hi, shift, scale, h, x, matrices, products):
    for pair in range(h.shape[0]):
        add_products(rows, order, lo, hi, h[pair], matrices[pair])


@overload(row_products, strict=False, jit_options=INLINED)
def _choose_row_products(rows: Any, *_: Any) -> Any:
    few = hasattr(rows.instance_class, "add_products")
    return _products_of_few if few else _products_of_all


@compiled
def sum_evaluations(
    rows, y, sample_weight, components, products, order, k, room, widths, shift, scale, params,
    losses, gradient, matrices,
):  # fmt: skip
    """Add what rows ``order`` contribute to losses, gradient and Hessian at a point.

    Parameters
    ----------
    components : tuple of three CompiledLoss
        What slopes are taken of, and two more, of which the values are wanted, or `NO_LOSS`. Second
        derivatives are those of the last, if it is there: over widths, they need no smoothing.
    products : int
        `dense_products()`.
    room : int
        Rows of a tile.
    widths : ndarray of shape (2, m)
        Half the distance of the two slopes that a second derivative is taken from, and what it
        is multiplied by; of several, the largest counts.
    shift, scale : ndarray of shape (n_features,)
        What is subtracted from a row, and what it is multiplied by then, for the Hessian.
    params : ndarray of shape (size,)
        The point, in the features' own units.
    losses : ndarray of shape (3,) or (0,)
        Sums of the three losses: added to, if there is room for them, as with a gradient there
        must be.
    gradient : ndarray of shape (size,) or (0,)
        Sum of slopes times rows: added to, if there is room for it; if not, the losses but
        for the plain one are not summed either.
    matrices : ndarray of shape (pairs, p + 1, p + 1)
        A matrix for each output, or for each pair of outputs (`tile_second_derivatives`), or none;
        the last line and column are the intercept's. Added to: the lower triangles.
    """
    pairs, q = matrices.shape[0], shift.size + 1
    x = np.empty((q if pairs > 0 else 0, room))
    if pairs > 0:
        x[q - 1, :] = 1.0
    h = np.empty((pairs, room))
    z = np.empty(room * k)
    values = np.empty(room * k)
    slopes = np.empty(room * k)
    work = np.empty(2 * max(k, room))
    at = 0
    while at < order.size:
        end = min(at + room, order.size)
        m = end - at
        tile_scores(rows, order, at, end, params, k, z)
        if pairs > 0:
            of_hessian = components[0] if components[2].losses == 0 else components[2]
            tile_second_derivatives(
                of_hessian, y, sample_weight, order, at, end, k, widths, z, h, slopes, work
            )
            row_products(rows, order, at, end, shift, scale, h, x, matrices, products)
        if losses.size > 0:
            for which in range(2, -1, -1):  # the gradient is of the first one's slopes: it is last
                one = components[which]
                if one.losses != 0 and (which == 2 or gradient.size > 0):
                    for i in range(m * k):
                        values[i] = z[i]
                    losses[which] += tile_losses(
                        one, y, sample_weight, order, at, end, k, values, slopes
                    )
            if gradient.size > 0:
                add_gradient(rows, order, at, end, slopes, k, gradient)
        at = end


@compiled
def sum_squares(rows, y, sample_weight, loss, order, k, widths, params, squares):
    """Add second derivatives times squares of rows ``order``: the diagonal, nothing centred."""
    room = 128
    z = np.empty(room * k)
    h = np.empty((k, room))
    flat = np.empty(room * k)
    work = np.empty(2 * max(k, room))
    at = 0
    while at < order.size:
        end = min(at + room, order.size)
        tile_scores(rows, order, at, end, params, k, z)
        tile_second_derivatives(loss, y, sample_weight, order, at, end, k, widths, z, h, flat, work)
        for c in range(k):
            for i in range(end - at):
                flat[i * k + c] = h[c, i]
        add_squares(rows, order, at, end, flat, k, squares)
        at = end


@compiled
def second_derivatives_of_scores(rows, y, sample_weight, loss, order, k, widths, z, out):
    """Write weighted second derivatives at the scores of rows: (outputs or their pairs, rows).

    z is flat, k outputs a row.
    """
    room = 128
    h = np.empty((out.shape[0], room))
    targets = np.empty(room * k)
    work = np.empty(2 * max(k, room))
    at = 0
    while at < order.size:
        end = min(at + room, order.size)
        own = z[at * k : end * k]
        tile_second_derivatives(
            loss, y, sample_weight, order, at, end, k, widths, own, h, targets, work
        )
        for c in range(h.shape[0]):
            for i in range(end - at):
                out[c, at + i] = h[c, i]
        at = end


@compiled
def squares_of_rows(rows, order, shift, scale, squares):
    """Write the sum of squares of each of rows ``order``, centred and scaled."""
    row_squares(rows, order, shift, scale, squares)


@compiled
def hessian_squares_of_rows(
    rows, y, sample_weight, loss, order, k, widths, params, shift, scale, squares, in_hessian
):
    """Write the same, and times the row's second derivative and weight: its part in the Hessian."""
    row_squares(rows, order, shift, scale, squares)
    room = 128
    z = np.empty(room * k)
    h = np.empty((k, room))
    targets = np.empty(room * k)
    work = np.empty(2 * max(k, room))
    at = 0
    while at < order.size:
        end = min(at + room, order.size)
        tile_scores(rows, order, at, end, params, k, z)
        tile_second_derivatives(
            loss, y, sample_weight, order, at, end, k, widths, z, h, targets, work
        )
        for i in range(end - at):
            whole = 0.0
            for c in range(k):
                whole += h[c, i]
            in_hessian[at + i] = whole * squares[at + i]
        at = end


def row_squares(rows: Any, order: Any, shift: Any, scale: Any, squares: Any) -> None:
    """Write squares of rows: of those that have few features, which are not centred, of these."""
    kind = _squares_of_few if hasattr(type(rows), "write_squares") else _squares_of_all
    kind(rows, order, shift, scale, squares)


def _squares_of_few(rows, order, shift, scale, squares):
    write_squares(rows, order, 0, order.size, scale, squares)


def _squares_of_all(rows, order, shift, scale, squares):
    p = shift.size
    room = 128
    x = np.empty((p + 1, room))
    at = 0
    while at < order.size:
        end = min(at + room, order.size)
        m = end - at
        spread(rows, order, at, end, shift, scale, x)
        squares[at:end] = 0.0
        for j in range(p):
            for i in range(m):
                squares[at + i] += x[j, i] * x[j, i]
        at = end


@overload(row_squares, strict=False, jit_options=INLINED)
def _choose_row_squares(rows: Any, *_: Any) -> Any:
    few = hasattr(rows.instance_class, "write_squares")
    return _squares_of_few if few else _squares_of_all
