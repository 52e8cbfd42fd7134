"""What gradstep's own functions run under, whatever is set outside: overflow, and cut files.

A caller's ``np.errstate(all="raise")`` is about the caller's own arithmetic. Here an underflow is
a number that is as good as 0 (a probability far out, the square of a small weight), and what
must not be infinite is checked where it matters, with a message. What happens to a file that is cut
while it is read is told in `cut_files`.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np

from gradstep.cut_files import refusing_cut_files

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["as_by_default"]

P = ParamSpec("P")
R = TypeVar("R")


def as_by_default(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate what users call; a frame of ours, so that warnings still find the user's line."""

    @wraps(function)
    def quietly(*args: P.args, **kwargs: P.kwargs) -> R:
        with (
            np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
            refusing_cut_files(),
        ):
            return function(*args, **kwargs)

    return quietly
