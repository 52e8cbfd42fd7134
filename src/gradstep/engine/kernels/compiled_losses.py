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
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from numba import carray
from numba.core import cgutils, types
from numba.core.errors import NumbaError
from numba.extending import intrinsic, overload

from gradstep.engine.kernels.by_address import NUMBERS, ROW_NUMBERS, address_of, as_it_is, call
from gradstep.engine.kernels.loss_functions import (
    HYPER_PARAMETERS,
    NO_NUMBERS,
    losses_of_tile,
    second_derivatives_of_tile,
    write_losses,
    write_second_derivatives,
)
from gradstep.errors import InvalidComponent
from gradstep.jit import INLINED, compile_to_address, inlined
from gradstep.objective.losses import is_joint
from gradstep.rows.layouts import AHEAD, prefetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "NO_LOSS",
    "CompiledLoss",
    "compiled_loss",
    "not_compiled",
    "tile_losses",
    "tile_second_derivatives",
]


class CompiledLoss(NamedTuple):
    """A loss as kernels take it.

    Attributes
    ----------
    tile_losses, tile_second_derivatives : int
        Addresses of what is the same for all losses: it takes rows' targets and weights.
    losses, second_derivatives : int
        Addresses of the loss's own code; 0 where there is none.
    hyper_parameters : tuple of four float
        Its numbers, and those of losses within it, one after another, then zeros: by value, since
        arrays would be counted by all code that passes them on. Uncompiled, the loss itself.
    """

    tile_losses: int
    tile_second_derivatives: int
    losses: int
    second_derivatives: int
    hyper_parameters: Any


NO_LOSS = CompiledLoss(0, 0, 0, 0, NO_NUMBERS)


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
        return CompiledLoss(1, 1, 1, 1, loss)
    kind: list[Any] = []
    values: list[float] = []
    _take_apart(loss, kind, values)
    constants: tuple[float, ...] = ()
    if len(values) > len(NO_NUMBERS):  # more than are passed on: compiled for these very values
        constants, values = tuple(values), []
    addresses = _addresses(_Kind(tuple(kind), constants, loss), second_derivatives)
    return CompiledLoss(*addresses, (*values, *NO_NUMBERS[len(values) :]))


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


def _is_number(field: Any) -> bool:
    """Tell whether a field is a number that arrives as it is: as a float64, and back."""
    if isinstance(field, (int, np.integer)):
        return int(float(field)) == int(field)
    return isinstance(field, (float, np.float32, np.bool_))


def _take_apart(component: Any, kind: list[Any], values: list[float]) -> None:
    """List the classes of a component and of its fields, and their numbers."""
    kind.append(type(component))
    for name, own in zip(component._fields, component, strict=True):
        if isinstance(own, tuple) and hasattr(own, "_fields"):
            _take_apart(own, kind, values)
        elif _is_number(own):
            kind.append(type(own))
            values.append(float(own))
        elif own is None:
            kind.append(None)
        else:
            msg = (
                f"The field {name!r} of the loss {component!r} is no number that a float64 "
                "holds: kernels take the fields of a loss as numbers, truth values, None, or "
                "losses within it."
            )
            raise InvalidComponent(msg)


@cache
def _addresses(kind: _Kind, second_derivatives: bool) -> tuple[int, int, int, int]:
    """Return the addresses of a `CompiledLoss`; 0 for second derivatives that are not wanted."""
    losses = address_of(_make_tile_losses, _TILE_LOSSES), _address(kind, losses_of_tile)
    if not second_derivatives:
        return losses[0], 0, losses[1], 0
    of_tile = address_of(_make_tile_second_derivatives, _TILE_SECOND_DERIVATIVES)
    return losses[0], of_tile, losses[1], _address(kind, second_derivatives_of_tile)


@cache
def _address(kind: _Kind, make: Callable[..., Any]) -> int:
    """Compile one of a loss's two functions; return where it is."""
    of = numba.typeof(kind.example)
    unpacked = _unpacking(of, kind.constants)
    function, signature = make(unpacked, carray, joint=is_joint(kind.example))
    try:
        return compile_to_address(function, signature, of)
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


# --- tiles of rows: the same for all losses ----------------------------------------------


@inlined
def _gather_targets(y, order, lo, hi, k, targets):
    """Write the targets of rows ``order[lo:hi]``; those of a row begin at a multiple of k."""
    width = y.shape[1]
    last = order.size - 1
    if order[hi - 1] != order[lo] + (hi - lo - 1):  # else the processor sees what comes next
        for i in range(hi - lo):
            prefetch(y, order[min(lo + i + AHEAD, last)] * width)
    for one in range(width):
        for i in range(hi - lo):
            targets[i * k + one] = y[order[lo + i], one]


def _make_tile_losses(array: Any) -> Any:
    def tile_losses(
        losses, a, b, c, d, n, width, y, n_weights, sample_weight, n_order, order, lo, hi, k, z,
        slopes,
    ):  # fmt: skip
        m = hi - lo
        y = array(y, (n, width))
        sample_weight = array(sample_weight, n_weights)
        order = array(order, n_order)
        z = array(z, m * k)
        slopes = array(slopes, m * k)
        _gather_targets(y, order, lo, hi, k, slopes)
        write_losses(losses, (a, b, c, d), m, k, z, slopes)
        total = 0.0
        if width == k:
            if n_weights > 0:
                for one in range(k):
                    for i in range(m):
                        weight = sample_weight[order[lo + i]]
                        z[i * k + one] *= weight
                        slopes[i * k + one] *= weight
            # A loop of its own: see `gradstep.engine.kernels.tiles.write_in_units`.
            for i in range(m * k):
                total += z[i]
        else:
            for i in range(m):
                at = i * k
                if n_weights == 0:
                    total += z[at]
                else:
                    weight = sample_weight[order[lo + i]]
                    total += weight * z[at]
                    for one in range(k):
                        slopes[at + one] *= weight
        return total

    return tile_losses


def _make_tile_second_derivatives(array: Any) -> Any:
    def tile_second_derivatives(
        second_derivatives, a, b, c, d, n, width, y, n_weights, sample_weight, n_order, order, lo,
        hi, k, n_widths, widths, z, pairs, room, out, targets, work,
    ):  # fmt: skip
        m = hi - lo
        y = array(y, (n, width))
        sample_weight = array(sample_weight, n_weights)
        order = array(order, n_order)
        widths = array(widths, (2, n_widths))
        z = array(z, m * k)
        out = array(out, (pairs, room))
        targets = array(targets, m * k)
        work = array(work, 2 * max(k, room))
        _gather_targets(y, order, lo, hi, k, targets)
        write_second_derivatives(
            second_derivatives, (a, b, c, d), m, k, widths, z, targets, out, work
        )
        if n_weights > 0:
            for pair in range(pairs):
                for i in range(m):
                    out[pair, i] *= sample_weight[order[lo + i]]

    return tile_second_derivatives


_ROWS = (types.int64, types.int64, NUMBERS, types.int64, NUMBERS, types.int64, ROW_NUMBERS,
         types.int64, types.int64)  # fmt: skip
_TILE_LOSSES = types.float64(types.int64, *HYPER_PARAMETERS, *_ROWS, types.int64, NUMBERS, NUMBERS)
_TILE_SECOND_DERIVATIVES = types.void(
    types.int64, *HYPER_PARAMETERS, *_ROWS, types.int64, types.int64, NUMBERS, NUMBERS,
    types.int64, types.int64, NUMBERS, NUMBERS, NUMBERS,
)  # fmt: skip


def tile_losses(
    loss: Any, y: Any, sample_weight: Any, order: Any, lo: int, hi: int, k: int, z: Any, slopes: Any
) -> float:
    """Turn a tile's scores into slopes, each times its row's weight; return the loss sum.

    Overwrites z. The targets y are (n, k), or (n, 1) for a joint loss.
    """
    total: float = _make_tile_losses(as_it_is)(
        loss.losses, loss.hyper_parameters, 0.0, 0.0, 0.0, *y.shape, y, sample_weight.size,
        sample_weight, order.size, order, lo, hi, k, z, slopes,
    )  # fmt: skip
    return total


def tile_second_derivatives(
    loss: Any, y: Any, sample_weight: Any, order: Any, lo: int, hi: int, k: int, widths: Any,
    z: Any, out: Any, targets: Any, work: Any,
) -> None:  # fmt: skip
    """Write weighted second derivatives at a tile's scores to `out`, a line for each pair.

    Pairs are (0, 0), (1, 0), (1, 1), (2, 0), ... for a joint loss, else (0, 0), (1, 1), ...
    `targets` has room for k numbers a row; `work` for two for each row of a tile, or for each
    output if those are more.
    """
    _make_tile_second_derivatives(as_it_is)(
        loss.second_derivatives, loss.hyper_parameters, 0.0, 0.0, 0.0, *y.shape, y,
        sample_weight.size, sample_weight, order.size, order, lo, hi, k, widths.shape[1], widths,
        z, *out.shape, out, targets, work,
    )  # fmt: skip


@intrinsic
def _call_tile_losses(
    typing_context, address, losses, hyper_parameters, n, width, y, n_weights, sample_weight,
    n_order, order, lo, hi, k, z, slopes,
):  # fmt: skip
    return call(
        types.float64, address, losses, hyper_parameters, n, width, y, n_weights, sample_weight,
        n_order, order, lo, hi, k, z, slopes,
    )  # fmt: skip


@intrinsic
def _call_tile_second_derivatives(
    typing_context, address, second_derivatives, hyper_parameters, n, width, y, n_weights,
    sample_weight, n_order, order, lo, hi, k, n_widths, widths, z, pairs, room, out, targets, work,
):  # fmt: skip
    return call(
        types.none, address, second_derivatives, hyper_parameters, n, width, y, n_weights,
        sample_weight, n_order, order, lo, hi, k, n_widths, widths, z, pairs, room, out, targets,
        work,
    )  # fmt: skip


@overload(tile_losses, strict=False, jit_options=INLINED)
def _compiled_tile_losses(*_: Any) -> Any:
    def losses(loss, y, sample_weight, order, lo, hi, k, z, slopes):
        return _call_tile_losses(
            loss.tile_losses, loss.losses, loss.hyper_parameters, y.shape[0], y.shape[1], y,
            sample_weight.size, sample_weight, order.size, order, lo, hi, k, z, slopes,
        )  # fmt: skip

    return losses


@overload(tile_second_derivatives, strict=False, jit_options=INLINED)
def _compiled_tile_second_derivatives(*_: Any) -> Any:
    def second_derivatives(loss, y, sample_weight, order, lo, hi, k, widths, z, out, targets, work):
        _call_tile_second_derivatives(
            loss.tile_second_derivatives, loss.second_derivatives, loss.hyper_parameters,
            y.shape[0], y.shape[1], y, sample_weight.size, sample_weight, order.size, order, lo,
            hi, k, widths.shape[1], widths, z, out.shape[0], out.shape[1], out, targets, work,
        )  # fmt: skip

    return second_derivatives
