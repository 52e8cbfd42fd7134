"""Where the components' methods become compiled code.

Kernels call free functions (``slope(loss, y, z)``). Uncompiled, those call the method;
compiled, Numba asks here which code belongs to the call, and gets the method of the
component's class. So a component is one class of ordinary Python, and there is one kernel
for all of them, compiled for each combination when it is first used.

Importing this module registers all that kernels call, with Numba, once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from gradstep.jit import INLINED, inlined, inlined_in_order
from gradstep.objective import elementary, losses, penalties
from gradstep.optim import optimizers
from gradstep.optim.optimizers import descent
from gradstep.rows import layouts
from gradstep.rows.layouts import few

if TYPE_CHECKING:
    from collections.abc import Callable

_EXACT: dict[str, Any] = {"forceinline": True, "fastmath": False, "error_model": "numpy"}


def _method_of_component(function: Callable[..., Any]) -> None:
    """Compile calls of a free function as the method of that name of its first argument."""

    def choose(component: Any, *_: Any) -> Any:
        return getattr(getattr(component, "instance_class", None), function.__name__, None)

    overload(function, strict=False, jit_options=INLINED)(choose)


for _function in (
    losses.value,
    losses.slope,
    losses.row_slopes,
    penalties.prox,
    penalties.shrink,
    penalties.strengths,
    penalties.of_weight,
    optimizers.step,
    optimizers.tick,
    optimizers.idle,
    layouts.tile_scores,
    layouts.add_gradient,
    layouts.copy_rows,
    layouts.list_touched,
    layouts.spread,
    layouts.add_squares,
    layouts.add_products,
    layouts.write_squares,
):
    _method_of_component(_function)


def _no_lookahead(optimizer: Any, params: Any, slots: Any, point: Any) -> Any:
    return params


@overload(optimizers.lookahead, strict=False, jit_options=INLINED)
def _lookahead(optimizer: Any, *_: Any) -> Any:
    """Compile to the optimizer's method; to the parameters themselves, if it has none."""
    return getattr(getattr(optimizer, "instance_class", None), "lookahead", _no_lookahead)


# --- memory -----------------------------------------------------------------------------


@intrinsic
def _prefetch_line(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of ``array.flat[index]``, for reading, into all cache levels."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type, index_type = signature.args
        data = context.make_array(array_type)(context, builder, arguments[0]).data
        wide = context.cast(builder, arguments[1], index_type, types.intp)
        address = builder.gep(data, [wide])
        byte_pointer = builder.bitcast(address, ir.IntType(8).as_pointer())
        i32 = ir.IntType(32)
        llvm_prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [byte_pointer.type],
            fnty=ir.FunctionType(ir.VoidType(), [byte_pointer.type, i32, i32, i32]),
        )
        builder.call(llvm_prefetch, [byte_pointer, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.none(array, index), generate


@overload(layouts.prefetch, strict=False, jit_options=INLINED)
def _prefetch(array: Any, index: Any) -> Any:
    def prefetch(array: Any, index: Any) -> None:
        _prefetch_line(array, index)

    return prefetch


@overload(layouts.as_index, strict=False, jit_options=INLINED)
def _as_index(number: Any) -> Any:
    def as_index(number: Any) -> Any:
        return np.uint64(number)

    return as_index


for _sum in few.SUMS:
    inlined_in_order(_sum)
for _lines in few.LINES:
    inlined(_lines)


# --- elementary functions ---------------------------------------------------------------
#
# exp: x = n·ln 2 + r with |r| <= ½ ln 2; e^r is its Taylor polynomial of degree 13 (rest below
# 2e-17), times 2^n by way of the exponent bits, in two factors so that results below the
# normal range and up to the largest float come out. log1p(u), u in [0, 1]: with f = u, or
# f = (u - 1) / 2 and ln 2 added where 1 + u > √2, log(1 + f) = 2 atanh(f / (2 + f)), whose
# argument is below 0.1716: ten terms leave 1e-17. Neither may be compiled with reordered
# sums, which would undo the splitting of n·ln 2.

_LOG2_E = 1.0 / math.log(2.0)
_LN2_HIGH = 6.93147180369123816490e-01  # the leading 32 bits of ln 2
_LN2_LOW = 1.90821492927058770002e-10  # ln 2 minus those
_EXP_LARGEST = 709.782712893384
_EXP_SMALLEST = -745.2
_LN2 = math.log(2.0)
_SQRT2_MINUS_1 = math.sqrt(2.0) - 1.0


@intrinsic
def _float_from_bits(typing_context: Any, bits: Any) -> Any:
    """Return the float64 whose representation is an int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@overload(elementary.exp, strict=False, jit_options=_EXACT)
def _exp(x: Any) -> Any:
    def exp(x: Any) -> Any:
        cut = min(max(x, _EXP_SMALLEST), _EXP_LARGEST)
        n = np.floor(cut * _LOG2_E + 0.5)
        r = (cut - n * _LN2_HIGH) - n * _LN2_LOW
        e = 1.0 / 6227020800.0
        e = e * r + 1.0 / 479001600.0
        e = e * r + 1.0 / 39916800.0
        e = e * r + 1.0 / 3628800.0
        e = e * r + 1.0 / 362880.0
        e = e * r + 1.0 / 40320.0
        e = e * r + 1.0 / 5040.0
        e = e * r + 1.0 / 720.0
        e = e * r + 1.0 / 120.0
        e = e * r + 1.0 / 24.0
        e = e * r + 1.0 / 6.0
        e = e * r + 0.5
        e = e * r * r + r + 1.0
        whole = np.int64(n)
        half = whole >> 1
        e *= _float_from_bits((half + 1023) << 52)
        e *= _float_from_bits((whole - half + 1023) << 52)
        e = math.inf if x > _EXP_LARGEST else e
        return x if np.isnan(x) else e

    return exp


@overload(elementary.log1p_unit, strict=False, jit_options=_EXACT)
def _log1p_unit(u: Any) -> Any:
    def log1p_unit(u: Any) -> Any:
        large = u > _SQRT2_MINUS_1
        f = 0.5 * (u - 1.0) if large else u
        s = f / (2.0 + f)
        q = s * s
        t = 1.0 / 21.0
        t = t * q + 1.0 / 19.0
        t = t * q + 1.0 / 17.0
        t = t * q + 1.0 / 15.0
        t = t * q + 1.0 / 13.0
        t = t * q + 1.0 / 11.0
        t = t * q + 1.0 / 9.0
        t = t * q + 1.0 / 7.0
        t = t * q + 1.0 / 5.0
        t = t * q + 1.0 / 3.0
        log = 2.0 * s * (q * t + 1.0)
        return log + _LN2 if large else log

    return log1p_unit


inlined(elementary.positive_part)
inlined(elementary.softplus)
inlined(elementary.sigmoid)
inlined(penalties.prox_in_turn)
inlined(descent.compose)
inlined(descent.keeps_sign)
inlined(descent.longest)
