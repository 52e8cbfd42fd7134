"""While kernels are compiled: a clock runs, and Python's garbage collector stands still.

Kernels compile when they are first called, in the middle of reading or training, in whatever
thread calls them; one at a time, as Numba's lock sees to.
"""

from __future__ import annotations

import gc
import time
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CLOCK", "COLLECTOR", "CollectorPause", "CompileClock", "Moment", "seconds_of"]


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


class CollectorPause:
    """Keeps Python's cyclic garbage collector off while somebody wants that.

    The compiler makes hundreds of thousands of objects, nearly all of which stay. To look through
    them again and again takes a twentieth of its time (6.9 s of a first fit were 6.6 without), and
    saves 14 MB at the peak.

    Examples
    --------
    >>> pause = CollectorPause()
    >>> pause.begin()
    >>> gc.isenabled()
    False
    >>> pause.end()
    >>> gc.isenabled()
    True
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._wanted_by = 0
        self._was_on = False

    def begin(self) -> None:
        """Switch it off, if it is on."""
        with self._lock:
            self._wanted_by += 1
            if self._wanted_by == 1:
                self._was_on = gc.isenabled()
                gc.disable()

    def end(self) -> None:
        """Leave it as it was found, when nobody else wants the pause."""
        with self._lock:
            self._wanted_by -= 1
            if self._wanted_by == 0 and self._was_on:
                gc.enable()


COLLECTOR = CollectorPause()


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
