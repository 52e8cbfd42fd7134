"""Fits that are stopped again and again, and go on each time from what was written."""

from __future__ import annotations

import hashlib

import numpy as np

from gradstep import Checkpoint, Outcome
from gradstep.fit.plan import Plan
from gradstep.fit.run import run
from gradstep.rows.statistics import Columns

__all__ = ["Stop", "resumed", "sha256", "uninterrupted"]


class Stop:
    """Interrupts a run at its n-th pause, as a signal does."""

    def __init__(self, n):
        self.n = n

    def on_pause(self, pause):
        self.n -= 1
        return Outcome.INTERRUPTED if self.n <= 0 else None


def sha256(result):
    return hashlib.sha256(result.params.tobytes()).hexdigest()


def _plan(of):
    return Plan(of, Columns.unmeasured(of.n_features), None)


def uninterrupted(of, data, **options):
    return run(_plan(of), data, of.start(), **options)


def resumed(of, data, folder, every="3steps", **options):
    """Return what came of the run, and how often it was stopped: after one to three pauses."""
    rng, stops = np.random.default_rng(0), 0
    while True:
        checkpoint = Checkpoint(folder, every, resume=True)
        callbacks = [Stop(int(rng.integers(1, 4))), checkpoint]
        with checkpoint.opened({}, 0):
            result = run(_plan(of), data, of.start(), callbacks=callbacks, **options)
        if result.outcome is not Outcome.INTERRUPTED:
            return result, stops
        stops += 1
