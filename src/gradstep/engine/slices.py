"""Cuts epochs of mini-batches into slices; after each, callbacks are asked whether to go on.

Where an epoch is cut changes no bit, so the length of a slice may depend on the clock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradstep.engine.callbacks import Callbacks
    from gradstep.engine.state import TrainState

__all__ = ["Slices"]

# Length of a slice, about; beginning one costs a millisecond at most.
_SECONDS = 0.5
# Times the slice before, at most: the first may have included compilation.
_LONGER = 8.0


class Slices:
    """How many batches to take at once.

    Parameters
    ----------
    listeners : Callbacks
        The callbacks that are asked between slices.
    most : int or None
        Batches of all slices together.
    """

    def __init__(self, listeners: Callbacks, most: int | None) -> None:
        self._listeners = listeners
        self._wanted = listeners.pauses
        self._left = most
        self._length = 1
        self._taken: int | None = None
        self._began = 0.0

    @property
    def at_end(self) -> bool:
        """Whether all batches that were asked for are done."""
        return self._left == 0

    def begin(self, state: TrainState) -> int | None:
        """Return how many batches to take at most; None for all of an epoch."""
        most = [] if self._left is None else [self._left]
        if self._wanted:
            to = self._listeners.batches_to(state)
            most += [self._length] if to is None else [self._length, to]
        self._taken = min(most, default=None)
        self._began = time.perf_counter()
        return self._taken

    def end(self, left: int | None) -> None:
        """Take note of how many of these batches are left: an epoch may end before the slice."""
        if self._taken is None or left is None:
            return
        done = self._taken - left
        if self._left is not None:
            self._left -= done
        seconds = max(time.perf_counter() - self._began, 1e-9)
        length = min(done * _SECONDS / seconds, max(self._length, done) * _LONGER)
        self._length = max(1, int(length))
