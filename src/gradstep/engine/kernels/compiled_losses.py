"""A loss, compiled apart from the sums that use it.

Kernels that sum over rows are the largest pieces of code there are to compile, and no line of them
depends on the loss but for its values, slopes and second derivatives. So a loss is compiled by
itself, to machine code that takes a tile of scores; kernels get its address and its
hyper-parameters, and are compiled once for all losses. A call through an address takes
nanoseconds, a tile a hundred times that.

`compiled_loss` makes what kernels take; `tile_losses` and `tile_second_derivatives` are how they
call it. Uncompiled, these call the loss's methods.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import carray
from numba.core import cgutils, types
from numba.core.errors import NumbaError, TypingError
from numba.extending import intrinsic, overload

from gradstep.engine.kernels import components as _registered  # noqa: F401  (what losses call)
from gradstep.errors import InvalidComponent
from gradstep.jit import INLINED, compiled_callback, inlined
from gradstep.objective.losses import row_slopes, slope, value
from gradstep.rows.layouts import AHEAD, prefetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "NO_LOSS",
    "CompiledLoss",
    "compiled_loss",
    "gather_targets",
    "not_compiled",
    "tile_losses",
    "tile_second_derivatives",
]


class CompiledLoss(NamedTuple):
    """A loss as kernels take it.

    Attributes
    ----------
    losses, second_derivatives : int
        Addresses of the machine code; 0 where there is no loss.
    hyper_parameters : tuple of four float
        Its numbers, and those of losses within it, one after another, then zeros: by value, since
        arrays would be counted by all code that passes them on. Uncompiled, the loss itself.
    """

    losses: int
    second_derivatives: int
    hyper_parameters: Any


_NO_NUMBERS = (0.0, 0.0, 0.0, 0.0)
NO_LOSS = CompiledLoss(0, 0, _NO_NUMBERS)


def compiled_loss(loss: Any, *, second_derivatives: bool = False) -> CompiledLoss:
    """Return a loss as kernels take it, compiled if its class has not been.

    Parameters
    ----------
    loss : Loss, JointLoss or None
        The loss; None where a kernel may go without.
    second_derivatives : bool
        Whether the kernel may ask for them.

    Raises
    ------
    InvalidComponent
        If its methods cannot be compiled, or a field is no number.

    Examples
    --------
    >>> from gradstep.objective.regression import Huber
    >>> compiled_loss(Huber(1.5)).hyper_parameters
    (1.5, 0.0, 0.0, 0.0)
    """
    if loss is None:
        return NO_LOSS
    if numba.config.DISABLE_JIT:
        return CompiledLoss(1, 1, loss)
    kind: list[Any] = []
    values: list[float] = []
    _take_apart(loss, kind, values)
    constants: tuple[float, ...] = ()
    if len(values) > len(_NO_NUMBERS):  # more than are passed on: compiled for these very values
        constants, values = tuple(values), []
    of = _Kind(tuple(kind), constants, loss)
    return CompiledLoss(
        _address(of, losses_of_tile),
        _address(of, second_derivatives_of_tile) if second_derivatives else 0,
        (*values, *_NO_NUMBERS[len(values) :]),
    )


# --- compiling a loss -------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    """What a loss is compiled for.

    Attributes
    ----------
    classes : tuple
        Classes of the loss and of its fields, in order.
    constants : tuple of float
        Its numbers, if they are more than kernels pass on.
    example : Loss
        One of the kind; which does not matter.
    """

    classes: tuple[Any, ...]
    constants: tuple[float, ...]
    example: Any = field(compare=False)


def _take_apart(component: Any, kind: list[Any], values: list[float]) -> None:
    """List the classes of a component and of its fields, and their numbers."""
    kind.append(type(component))
    for name, own in zip(component._fields, component, strict=True):
        if isinstance(own, tuple) and hasattr(own, "_fields"):
            _take_apart(own, kind, values)
        elif isinstance(own, (Real, np.bool_)):
            kind.append(type(own))
            values.append(float(own))
        elif own is None:
            kind.append(None)
        else:
            msg = (
                f"The field {name!r} of the loss {component!r} is no number: kernels take the "
                "fields of a loss as numbers, truth values, None, or losses within it."
            )
            raise InvalidComponent(msg)


@cache
def _address(kind: _Kind, make: Callable[..., Any]) -> int:
    """Compile one of a loss's two functions; return where it is."""
    of = numba.typeof(kind.example)
    joint = is_joint(type(kind.example))
    function, signature = make(_unpacking(of, kind.constants), carray, joint=joint)
    try:
        return compiled_callback(function, signature, of)
    except NumbaError as error:
        raise not_compiled([c for c in kind.classes if hasattr(c, "_fields")], error) from error


def not_compiled(classes: Iterable[type], error: NumbaError) -> InvalidComponent:
    """Return the error of components that cannot be compiled, naming those of a user's own."""
    names = ", ".join(c.__name__ for c in classes if not c.__module__.startswith("gradstep."))
    return InvalidComponent(
        f"The compiled methods of {names or list(classes)} cannot be compiled. They may use "
        "arithmetic, math, NumPy, gradstep.objective.elementary, and functions decorated with "
        f"numba.njit or numba.extending.register_jitable. Numba says: {error}"
    )


def _unpacking(of: Any, constants: tuple[float, ...]) -> Any:
    """Return the function that makes a loss of the type from its numbers, or from constants."""

    def build(context: Any, builder: Any, kind: Any, coming: Iterator[Any]) -> Any:
        if isinstance(kind, types.BaseTuple):
            parts = [build(context, builder, inner, coming) for inner in kind.types]
            return context.make_tuple(builder, kind, parts)
        if kind == types.none:
            return context.get_dummy_value()
        return context.cast(builder, next(coming), types.float64, kind)

    @intrinsic
    def unpacked(typing_context: Any, hyper_parameters: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            coming = cgutils.unpack_tuple(builder, arguments[0])
            if constants:
                coming = [context.get_constant(types.float64, number) for number in constants]
            return build(context, builder, of, iter(coming))

        return of(hyper_parameters), generate

    return unpacked


# --- what is compiled for each loss -----------------------------------------------------
#
# Functions are made of what unpacks a loss, and of what takes a pointer and a shape and returns an
# array. Uncompiled, they are given a loss and arrays, and both of these return what they get.


def is_joint(loss_class: type) -> bool:
    """Tell whether a loss looks at all scores of a row at once."""
    return hasattr(loss_class, "row_slopes")


_NUMBERS = types.CPointer(types.float64)
_HYPER_PARAMETERS = (types.float64,) * len(_NO_NUMBERS)
_LOSSES = types.void(*_HYPER_PARAMETERS, types.int64, types.int64, _NUMBERS, _NUMBERS)
_SECOND_DERIVATIVES = types.void(
    *_HYPER_PARAMETERS, types.int64, types.int64, types.int64, _NUMBERS, _NUMBERS, _NUMBERS, types.int64,
    types.int64, _NUMBERS, _NUMBERS,
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


# --- what kernels call ------------------------------------------------------------------


def _losses(loss, m, k, z, slopes):
    own = loss.hyper_parameters
    write, _ = losses_of_tile(_first, _as_it_is, joint=is_joint(type(own)))
    write(own, 0.0, 0.0, 0.0, m, k, z, slopes)


def _second_derivatives(loss, m, k, widths, z, targets, out, work):
    own = loss.hyper_parameters
    write, _ = second_derivatives_of_tile(_first, _as_it_is, joint=is_joint(type(own)))
    write(own, 0.0, 0.0, 0.0, m, k, widths.shape[1], widths, z, targets, *out.shape, out, work)


def _as_it_is(array: Any, _shape: Any) -> Any:
    return array


def _first(hyper_parameters: tuple[Any, ...]) -> Any:
    return hyper_parameters[0]


def _call(address: Any, *arguments: Any) -> Any:
    """Return the signature and the code of a call of what is at an address, which returns nothing.

    Of tuples their numbers are passed, of arrays where they begin, of the rest whole numbers.
    """
    if any(isinstance(kind, types.Array) and kind.layout != "C" for kind in arguments):
        msg = "arrays must lie in one piece"
        raise TypingError(msg)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        given = []
        for kind, own in zip(signature.args[1:], values[1:], strict=True):
            if isinstance(kind, types.BaseTuple):
                given += cgutils.unpack_tuple(builder, own)
            elif isinstance(kind, types.Array):
                given.append(context.make_array(kind)(context, builder, own).data)
            else:
                given.append(context.cast(builder, own, kind, types.int64))
        code = ir.FunctionType(ir.VoidType(), [each.type for each in given]).as_pointer()
        builder.call(builder.inttoptr(values[0], code), given)
        return context.get_dummy_value()

    return types.none(address, *arguments), generate


@intrinsic
def _call_losses(typing_context, address, hyper_parameters, m, k, z, slopes):
    return _call(address, hyper_parameters, m, k, z, slopes)


@intrinsic
def _call_second_derivatives(
    typing_context, address, hyper_parameters, m, k, n_widths, widths, z, targets, pairs, room,
    out, work,
):  # fmt: skip
    return _call(
        address, hyper_parameters, m, k, n_widths, widths, z, targets, pairs, room, out, work
    )


@overload(_losses, strict=False, jit_options=INLINED)
def _compiled_losses(loss: Any, *_: Any) -> Any:
    def losses(loss, m, k, z, slopes):
        _call_losses(loss.losses, loss.hyper_parameters, m, k, z, slopes)

    return losses


@overload(_second_derivatives, strict=False, jit_options=INLINED)
def _compiled_second_derivatives(loss: Any, *_: Any) -> Any:
    def second_derivatives(loss, m, k, widths, z, targets, out, work):
        _call_second_derivatives(
            loss.second_derivatives, loss.hyper_parameters, m, k, widths.shape[1], widths, z,
            targets, out.shape[0], out.shape[1], out, work,
        )  # fmt: skip

    return second_derivatives


@inlined
def gather_targets(y: Any, order: Any, lo: int, hi: int, k: int, targets: Any) -> None:
    """Write the targets of rows ``order[lo:hi]``, y (n, k), or (n, 1) for a joint loss.

    Those of a row begin at a multiple of k.
    """
    width = y.shape[1]
    last = order.size - 1
    if order[hi - 1] != order[lo] + (hi - lo - 1):  # else the processor sees what comes next
        for i in range(hi - lo):
            prefetch(y, order[min(lo + i + AHEAD, last)] * width)
    for c in range(width):
        for i in range(hi - lo):
            targets[i * k + c] = y[order[lo + i], c]


@inlined
def tile_losses(
    loss: Any, y: Any, sample_weight: Any, order: Any, lo: int, hi: int, k: int, z: Any, slopes: Any
) -> float:
    """Turn a tile's scores into slopes, each times its row's weight; return the loss sum.

    Overwrites z.
    """
    m = hi - lo
    gather_targets(y, order, lo, hi, k, slopes)
    _losses(loss, m, k, z, slopes)
    total = 0.0
    width = y.shape[1]
    if width == k:
        if sample_weight.size > 0:
            for c in range(k):
                for i in range(m):
                    weight = sample_weight[order[lo + i]]
                    z[i * k + c] *= weight
                    slopes[i * k + c] *= weight
        # A loop of its own: see `gradstep.engine.kernels.tiles.write_in_units`.
        for i in range(m * k):
            total += z[i]
        return total
    for i in range(m):
        at = i * k
        if sample_weight.size == 0:
            total += z[at]
        else:
            weight = sample_weight[order[lo + i]]
            total += weight * z[at]
            for c in range(k):
                slopes[at + c] *= weight
    return total


@inlined
def tile_second_derivatives(
    loss: Any, m: int, k: int, widths: Any, z: Any, targets: Any, out: Any, work: Any
) -> None:
    """Write second derivatives at a tile's m rows of scores to `out`, a line for each pair.

    Pairs are (0, 0), (1, 0), (1, 1), (2, 0), ... for a joint loss, else (0, 0), (1, 1), ...
    `work` has room for two numbers for each row of a tile, or for each output if those are more.
    """
    _second_derivatives(loss, m, k, widths, z, targets, out, work)
