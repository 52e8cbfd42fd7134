"""Products of matrices by BLAS, on one thread: the pieces of the rows have threads of their own.

With more, small products would wait for each other, and their last bits could hang on how many.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import threadpoolctl

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["one_blas_thread"]

_lock = Lock()
_within: list[Any] = []  # one entry for each who is within; the first is what restores the number


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS use one thread until the last one who asked for it, in any thread, has left."""
    with _lock:
        if not _within:
            _let_any_thread_set()
        _within.append(None if _within else _controller().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            last = _within.pop()
            if not _within:
                _let_any_thread_set()
                last.restore_original_limits()
                _let_any_thread_set()


def _let_any_thread_set() -> None:
    """Let this thread set the number: from 3.8 on one thread may, and others do so without effect.

    That one is the first who did, and who enters first need not be who leaves last.
    """
    of_blas = getattr(threadpoolctl, "OpenBLASController", None)  # versions before 3.2 have none
    clear = getattr(of_blas, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


@cache
def _controller() -> threadpoolctl.ThreadpoolController:
    """Look once which libraries this process has loaded; that takes some milliseconds."""
    return threadpoolctl.ThreadpoolController()
