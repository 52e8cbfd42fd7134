"""Ctrl-C and SIGTERM: the first ends a verb with what there is, a second the process at once.

Before training there is no result, and the first is an exception that clears up on its way out. In
training it is a note: the run ends after the batch (of the automatic method, the epoch), and what
it has come to is written. The handlers run in the main thread, which may be in compiled code for a
while; so that a second signal need not wait, another thread is told of all by the system itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from gradstep.engine.callbacks import Pause, Start
    from gradstep.engine.records import Outcome

__all__ = ["SIGNALS"]

_ENDING = (signal.SIGINT, signal.SIGTERM)
# `timeout` sends its signal twice, to the process and to its group: what follows sooner is no
# second one.
_APART = 0.5
_AGAIN = 0.05  # seconds until the next try, where an exception would be lost
_SHOW_CURSOR = b"\x1b[?25h"


class _Signals:
    """The signals that a verb is sent; a callback, too, which ends a run."""

    def __init__(self) -> None:
        self.received = 0
        self._training = False

    @property
    def status(self) -> int:
        """The exit status that shells know for them."""
        return 128 + (self.received or signal.SIGINT)

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle them while a verb runs."""
        self.received, self._training = 0, False
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ending = [each for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN]
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        before = {each: signal.signal(each, self._handle) for each in (*ending, signal.SIGALRM)}
        told = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        watch = threading.Thread(
            target=_watch, args=(reading,), name="gradstep-signals", daemon=True
        )
        watch.start()
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.set_wakeup_fd(told)
            for each, handler in before.items():  # what comes now ends the process, silently
                signal.signal(each, signal.SIG_DFL if self.received else handler)
            os.close(writing)
            watch.join()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGALRM:
            self.received = self.received or number
        if self._training or not self.received:
            return
        if _is_compiling(frame):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            return
        raise KeyboardInterrupt

    def on_start(self, _start: Start) -> None:
        """From here on there will be a result."""
        self._training = True

    def on_pause(self, _pause: Pause) -> Outcome | None:
        """End the run if a signal has come."""
        from gradstep.engine.records import Outcome

        return Outcome.INTERRUPTED if self.received else None


SIGNALS = _Signals()


def _is_compiling(frame: FrameType | None) -> bool:
    """Tell whether the compiler is at work: its callbacks would print an exception, and lose it."""
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(("llvmlite.", "numba.")):
            return True
        frame = frame.f_back
    return False


def _watch(reading: int) -> None:
    """End the process at the second signal, whatever the main thread is doing."""
    first: Any = None
    with open(reading, "rb", buffering=0) as pipe:
        while numbers := pipe.read(1):
            if numbers[0] not in _ENDING:
                continue
            now = time.monotonic()
            if first is None:
                first = now
            elif now - first >= _APART:
                with suppress(OSError, ValueError, AttributeError):  # the bar had hidden it
                    if sys.stderr.isatty():
                        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
                os._exit(128 + numbers[0])
