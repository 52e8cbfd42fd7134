"""The clock of compilation: how long kernels have been compiled for, and what is told of it.

Kernels compile when they are first called, in the middle of reading or training, in whatever
thread calls them; one at a time, as Numba's lock sees to.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CLOCK", "NOTICED", "CompileClock", "Moment", "seconds_of"]


class CompileClock:
    """Sums the time that compilation takes.

    Attributes
    ----------
    told : callable or None
        Called when a kernel begins to be compiled, with the time (`time.monotonic`) at which all
        compilation would have begun without a break, and with None when it is there.

    Examples
    --------
    >>> clock = CompileClock()
    >>> clock.begin()
    >>> clock.end()
    >>> 0.0 <= clock.seconds < 1.0
    True
    """

    def __init__(self) -> None:
        self.told: Callable[[float | None], None] | None = None
        self._seconds = 0.0
        self._began: float | None = None
        self._depth = 0

    @property
    def seconds(self) -> float:
        """Seconds so far in this process, those of a kernel that is being compiled included."""
        began = self._began
        return self._seconds + (0.0 if began is None else time.monotonic() - began)

    @property
    def is_on(self) -> bool:
        """Whether a kernel is being compiled."""
        return self._depth > 0

    def begin(self) -> None:
        """Note that a kernel is being compiled from now on, or a part of one."""
        self._depth += 1
        if self._depth == 1:
            self._began = time.monotonic()
            if self.told is not None:
                self.told(self._began - self._seconds)

    def end(self) -> None:
        """Note that it is there, or cannot be compiled."""
        self._depth -= 1
        if self._depth == 0:
            self._seconds, self._began = self.seconds, None
            if self.told is not None:
                self.told(None)


CLOCK = CompileClock()
NOTICED = 0.1  # seconds of compiling that are worth a word


class Moment(NamedTuple):
    """A point in time.

    Attributes
    ----------
    seconds : float
        On a clock that stands still while kernels are compiled.
    compiling : float
        Seconds of compilation until then.
    """

    seconds: float
    compiling: float

    @classmethod
    def now(cls) -> Moment:
        """Return the present one."""
        compiling = CLOCK.seconds
        return cls(time.monotonic() - compiling, compiling)


def seconds_of(began: Moment, prepared: Moment) -> dict[str, float]:
    """Return how long a fit has taken until now, without and for compilation."""
    now = Moment.now()
    return {
        "preparing": prepared.seconds - began.seconds,
        "training": now.seconds - prepared.seconds,
        "compiling": now.compiling - began.compiling,
    }
