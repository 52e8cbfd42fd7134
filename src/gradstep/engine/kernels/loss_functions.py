"""What is compiled for each loss: its values, slopes and second derivatives at a tile of scores.

Functions are made of what unpacks a loss from four numbers, and of what takes a pointer and a shape
and returns an array. Uncompiled, the loss is the first of the four.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic, overload

from gradstep.engine.kernels import components as _registered  # noqa: F401  (what losses call)
from gradstep.engine.kernels.by_address import NUMBERS, as_it_is, call
from gradstep.jit import INLINED
from gradstep.objective.losses import is_joint, row_slopes, slope, value

__all__ = [
    "HYPER_PARAMETERS",
    "NO_NUMBERS",
    "losses_of_tile",
    "second_derivatives_of_tile",
    "write_losses",
    "write_second_derivatives",
]


NO_NUMBERS = (0.0, 0.0, 0.0, 0.0)
HYPER_PARAMETERS = (types.float64,) * len(NO_NUMBERS)
_LOSSES = types.void(*HYPER_PARAMETERS, types.int64, types.int64, NUMBERS, NUMBERS)
_SECOND_DERIVATIVES = types.void(
    *HYPER_PARAMETERS, types.int64, types.int64, types.int64, NUMBERS, NUMBERS, NUMBERS,
    types.int64, types.int64, NUMBERS, NUMBERS,
)  # fmt: skip


def losses_of_tile(unpacked: Any, array: Any, *, joint: bool) -> tuple[Any, Any]:
    """Return the function that writes losses and slopes of a tile, and its signature.

    It turns targets, which are in `slopes`, into slopes, and scores z into losses. For a joint loss
    the target, and then the loss, of a row are the first of the row's k numbers.
    """

    def losses_apart(a, b, c, d, m, k, z, slopes):
        loss = unpacked((a, b, c, d))
        z = array(z, m * k)
        slopes = array(slopes, m * k)
        for i in range(m * k):
            target = slopes[i]
            score = z[i]
            z[i] = value(loss, target, score)
            slopes[i] = slope(loss, target, score)

    def losses_joint(a, b, c, d, m, k, z, slopes):
        loss = unpacked((a, b, c, d))
        z = array(z, m * k)
        slopes = array(slopes, m * k)
        for i in range(m):
            at = i * k
            z[at] = row_slopes(loss, slopes[at], z, at, k, slopes)

    return losses_joint if joint else losses_apart, _LOSSES


def second_derivatives_of_tile(unpacked: Any, array: Any, *, joint: bool) -> tuple[Any, Any]:
    """Return the function that writes second derivatives of a tile, and its signature."""

    def apart(a, b, c, d, m, k, n_widths, widths, z, targets, pairs, room, out, work):
        loss = unpacked((a, b, c, d))
        widths = array(widths, (2, n_widths))
        z = array(z, m * k)
        targets = array(targets, m * k)
        out = array(out, (pairs, room))
        work = array(work, 2 * room)
        y = work[:m]
        scores = work[m : 2 * m]
        for pair in range(pairs):  # one, where they are the same for every output
            largest = out[pair]
            for i in range(m):
                y[i] = targets[i * k + pair]
                scores[i] = z[i * k + pair]
                largest[i] = 0.0
            # Width by width, so that rows are taken several at a time.
            for at in range(n_widths):
                width = widths[0, at]
                factor = widths[1, at] / (2.0 * width)
                for i in range(m):
                    up = slope(loss, y[i], scores[i] + width)
                    rise = factor * (up - slope(loss, y[i], scores[i] - width))
                    largest[i] = max(largest[i], rise)

    def of_pairs(a, b, c, d, m, k, n_widths, widths, z, targets, pairs, room, out, work):
        loss = unpacked((a, b, c, d))
        widths = array(widths, (2, n_widths))
        z = array(z, m * k)
        targets = array(targets, m * k)
        out = array(out, (pairs, room))
        work = array(work, 2 * k)
        up = work[:k]
        down = work[k : 2 * k]
        alone = pairs == k  # each output's own, of which the largest over all widths counts
        for at in range(m):
            y = targets[at * k]
            own = z[at * k : at * k + k]
            pair = 0
            for one in range(k):
                score = own[one]
                if alone:
                    out[one, at] = 0.0
                # Of pairs there is no largest matrix: they are taken at the first width.
                for i in range(n_widths if alone else 1):
                    width = widths[0, i]
                    own[one] = score + width
                    row_slopes(loss, y, own, 0, k, up)
                    own[one] = score - width
                    row_slopes(loss, y, own, 0, k, down)
                    if alone:
                        rise = widths[1, i] * (up[one] - down[one]) / (2.0 * width)
                        out[one, at] = max(out[one, at], rise)
                    else:
                        for other in range(one + 1):
                            out[pair, at] = (up[other] - down[other]) / (2.0 * width)
                            pair += 1
                own[one] = score

    return of_pairs if joint else apart, _SECOND_DERIVATIVES


# --- how they are called, with the hyper-parameters ----------------------------------------


def write_losses(losses, hyper_parameters, m, k, z, slopes):
    """Turn targets into slopes and scores into losses, by what is at the address `losses`."""
    write, _ = losses_of_tile(_first, as_it_is, joint=is_joint(hyper_parameters[0]))
    write(*hyper_parameters, m, k, z, slopes)


def write_second_derivatives(address, hyper_parameters, m, k, widths, z, targets, out, work):
    """Write second derivatives, by what is at an address."""
    make = second_derivatives_of_tile
    write, _ = make(_first, as_it_is, joint=is_joint(hyper_parameters[0]))
    write(*hyper_parameters, m, k, widths.shape[1], widths, z, targets, *out.shape, out, work)


def _first(hyper_parameters: tuple[Any, ...]) -> Any:
    return hyper_parameters[0]


@intrinsic
def _call_losses(typing_context, address, hyper_parameters, m, k, z, slopes):
    return call(types.none, address, hyper_parameters, m, k, z, slopes)


@intrinsic
def _call_second_derivatives(
    typing_context, address, hyper_parameters, m, k, n_widths, widths, z, targets, pairs, room,
    out, work,
):  # fmt: skip
    return call(
        types.none, address, hyper_parameters, m, k, n_widths, widths, z, targets, pairs, room,
        out, work,
    )  # fmt: skip


@overload(write_losses, strict=False, jit_options=INLINED)
def _compiled_losses(*_: Any) -> Any:
    def losses(losses, hyper_parameters, m, k, z, slopes):
        _call_losses(losses, hyper_parameters, m, k, z, slopes)

    return losses


@overload(write_second_derivatives, strict=False, jit_options=INLINED)
def _compiled_second_derivatives(*_: Any) -> Any:
    def second_derivatives(address, hyper_parameters, m, k, widths, z, targets, out, work):
        _call_second_derivatives(
            address, hyper_parameters, m, k, widths.shape[1], widths, z, targets, out.shape[0],
            out.shape[1], out, work,
        )  # fmt: skip

    return second_derivatives
