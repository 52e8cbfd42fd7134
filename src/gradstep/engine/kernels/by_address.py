"""Functions that kernels call by their address: compiled once, whatever calls them.

What a kernel calls by name becomes part of it, and is compiled anew with each form of each kernel.
What it calls by an address, which it is given, is compiled by itself. A call through an address
takes nanoseconds: it should be one for a tile of rows.

Such a function takes numbers and pointers, as C does. It is made of a function `array` that makes
an array of a pointer and a shape. Uncompiled, arrays are passed, and `as_it_is` returns them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numba
from llvmlite import ir
from numba import carray
from numba.core import cgutils, types
from numba.core.errors import TypingError

from gradstep.jit import compile_to_address

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NUMBERS", "ROW_NUMBERS", "address_of", "as_it_is", "call"]

NUMBERS = types.CPointer(types.float64)
ROW_NUMBERS = types.CPointer(types.uint32)


def as_it_is(array: Any, _shape: Any) -> Any:
    """Return an array."""
    return array


@cache
def _address_of(make: Callable[..., Any], signature: Any) -> int:
    return compile_to_address(make(carray), signature, types.none)


def address_of(make: Callable[..., Any], signature: Any) -> int:
    """Compile a function, if it has not been; return where it is.

    Parameters
    ----------
    make : callable
        Makes the function, of the function that makes an array.
    signature : Numba signature
        Its types, those of C.
    """
    return 1 if numba.config.DISABLE_JIT else _address_of(make, signature)


def call(result: Any, address: Any, *arguments: Any) -> Any:
    """Return the signature and the code of a call of what is at an address.

    Of tuples their numbers are passed, of arrays where they begin, of the rest whole numbers.

    Parameters
    ----------
    result : Numba type
        What it returns: a number, or `types.none`.
    address, *arguments : Numba type
        What it is called with.
    """
    given = [kind for kind in arguments if isinstance(kind, types.Array)]
    if any(kind.layout != "C" or kind.dtype not in _DTYPES for kind in given):
        msg = f"arrays must lie in one piece, and be of float64 or uint32: {given}"
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
        returned = ir.VoidType() if result == types.none else context.get_value_type(result)
        code = ir.FunctionType(returned, [each.type for each in given]).as_pointer()
        found = builder.call(builder.inttoptr(values[0], code), given)
        return context.get_dummy_value() if result == types.none else found

    return result(address, *arguments), generate


_DTYPES = {types.float64, types.uint32}
