"""Products of matrices by BLAS, on one thread: the pieces of the rows have threads of their own.

With more, small products would wait for each other, and their last bits could hang on how many.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["one_blas_thread"]

_lock = Lock()
_within: list[Any] = []  # one entry for each who is within; the first is what restores the number


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS use one thread until the last one who asked for it, in any thread, has left."""
    with _lock:
        _within.append(None if _within else _controller().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            if len(_within) == 1:
                _within.pop().restore_original_limits()
            else:
                _within.pop()


@cache
def _controller() -> ThreadpoolController:
    """Look once which libraries this process has loaded; that takes some milliseconds."""
    return ThreadpoolController()
