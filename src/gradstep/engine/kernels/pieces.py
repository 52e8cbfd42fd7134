"""How threads share a batch: its pieces, claimed from a queue.

A large batch is cut into pieces; their number and bounds depend on the batch alone. Each piece
sums its gradient in memory of its own, and these are added up in the order of the pieces: no
bit depends on who computed what.

The thread that runs the batches publishes the pieces of one, claims pieces until none is left,
and waits for those that others claimed. Helpers claim pieces meanwhile. Nobody ever waits for a
piece that nobody has claimed, so a helper that comes late, or never, holds nothing up.

A queue is 32 integers, the four that count 64 bytes apart, since threads that write to one line
of the cache wait for each other:

- pieces claimed so far; pieces published; pieces finished; 1 when the run is over.
"""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from gradstep.jit import INLINED

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["claim", "close", "finish", "new_queue", "publish", "threads", "wait", "wait_for_pieces"]

_CLAIMED, _PUBLISHED, _FINISHED, _OVER = 0, 8, 16, 24
_SPINS_BEFORE_YIELD = 1 << 10  # some ten microseconds: longer than a piece, shorter than a nap
# The processor's instruction for waiting loops, as LLVM calls it.
_PAUSE = "llvm.x86.sse2.pause" if platform.machine() in {"x86_64", "AMD64"} else None


def threads() -> int:
    """Return how many threads may compute: ``NUMBA_NUM_THREADS``, by default every core.

    joblib sets it in its workers, so that they do not compete for cores.
    """
    return 1 if numba.config.DISABLE_JIT else int(numba.config.NUMBA_NUM_THREADS)


def new_queue() -> NDArray[np.int64]:
    """Return an empty queue."""
    return np.zeros(32, np.int64)


# What kernels call. Uncompiled there is one thread, and these are all there is to it.


def publish(queue: Any, pieces: int) -> None:
    """Put the pieces of the next batch into the queue."""
    queue[_PUBLISHED] += pieces


def claim(queue: Any) -> int:
    """Return the number of a piece that is now the caller's, -1 if there is none."""
    if queue[_CLAIMED] >= queue[_PUBLISHED]:
        return -1
    queue[_CLAIMED] += 1
    return int(queue[_CLAIMED]) - 1


def finish(queue: Any) -> None:
    """Say that a claimed piece is done."""
    queue[_FINISHED] += 1


def wait(queue: Any) -> None:
    """Return when all published pieces are finished, once none is left to claim."""


def wait_for_pieces(queue: Any) -> bool:
    """Return True as soon as there may be something to claim, False if the run is over."""
    return bool(queue[_CLAIMED] < queue[_PUBLISHED])


def close(queue: Any) -> None:
    """Say that the run is over."""
    queue[_OVER] = 1


# Compiled: the same with atomic operations, and spinning where there is something to wait for.


def _address(context: Any, builder: Any, queue_type: Any, queue: Any, slot: int) -> Any:
    data = context.make_array(queue_type)(context, builder, queue).data
    return builder.gep(data, [ir.Constant(ir.IntType(64), slot)])


def _reader(slot: int) -> Any:
    @intrinsic
    def read(typing_context: Any, queue: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address = _address(context, builder, signature.args[0], arguments[0], slot)
            return builder.load_atomic(address, "acquire", 8)

        return types.int64(queue), generate

    return read


def _adder(slot: int) -> Any:
    @intrinsic
    def add(typing_context: Any, queue: Any, number: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address = _address(context, builder, signature.args[0], arguments[0], slot)
            number = context.cast(builder, arguments[1], signature.args[1], types.int64)
            return builder.atomic_rmw("add", address, number, "acq_rel")

        return types.int64(queue, number), generate

    return add


@intrinsic
def _claim_if(typing_context: Any, queue: Any, expected: Any) -> Any:
    """Claim the piece `expected`; return whether nobody else had."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], arguments[0], _CLAIMED)
        following = builder.add(arguments[1], ir.Constant(ir.IntType(64), 1))
        pair = builder.cmpxchg(address, arguments[1], following, "acq_rel", "acquire")
        return builder.zext(builder.extract_value(pair, 1), ir.IntType(8))

    return types.uint8(queue, types.int64), generate


@intrinsic
def _pause(typing_context: Any) -> Any:
    """Tell the processor that this is a waiting loop."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if _PAUSE is not None:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, _PAUSE), [])
        return context.get_dummy_value()

    return types.none(), generate


@intrinsic
def _yield(typing_context: Any) -> Any:
    """Let another thread have the core, if one waits for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if sys.platform != "win32":
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.none(), generate


_claimed, _published, _finished, _is_over = (
    _reader(slot) for slot in (_CLAIMED, _PUBLISHED, _FINISHED, _OVER)
)
_add_published, _add_finished, _add_over = (_adder(slot) for slot in (_PUBLISHED, _FINISHED, _OVER))


def _compiled_as(function: Any) -> Any:
    def register(implementation: Any) -> Any:
        def choose(*_: Any) -> Any:
            return implementation

        overload(function, strict=False, jit_options=INLINED)(choose)
        return implementation

    return register


@_compiled_as(publish)
def _publish(queue: Any, pieces: Any) -> None:
    _add_published(queue, pieces)


@_compiled_as(claim)
def _claim(queue: Any) -> Any:
    while True:
        piece = _claimed(queue)
        if piece >= _published(queue):
            return -1
        if _claim_if(queue, piece):
            return piece


@_compiled_as(finish)
def _finish(queue: Any) -> None:
    _add_finished(queue, 1)


@_compiled_as(wait)
def _wait(queue: Any) -> None:
    spins = 0
    while _finished(queue) < _published(queue):
        spins += 1
        if spins & (_SPINS_BEFORE_YIELD - 1):
            _pause()
        else:
            _yield()


@_compiled_as(wait_for_pieces)
def _wait_for_pieces(queue: Any) -> Any:
    spins = 0
    while _claimed(queue) >= _published(queue):
        if _is_over(queue):
            return False
        spins += 1
        if spins & (_SPINS_BEFORE_YIELD - 1):
            _pause()
        else:
            _yield()
    return True


@_compiled_as(close)
def _close(queue: Any) -> None:
    _add_over(queue, 1)
