"""What a checkpoint of a model with 1,000 features costs: time, size, and slices of epochs.

python -m benchmarks.checkpoint_cost
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep import Checkpoint, MiniBatchRegressor

if TYPE_CHECKING:
    from gradstep.engine.callbacks import Pause

_ROWS, _FEATURES, _DEFAULT_SECONDS, _TIMES = 20_000, 1_000, 300.0, 5
_ADAM = {"optimizer": "adam", "learning_rate": 1e-4, "batch_size": 64, "max_iter": 40, "tol": None}


class _Timed(Checkpoint):
    """A checkpoint that keeps how long each one took, and its size."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "1epochs")
        self.costs: list[tuple[float, int]] = []

    def on_pause(self, pause: Pause) -> None:
        before, began = self._latest, time.perf_counter()
        super().on_pause(pause)
        if self._latest is not None and self._latest != before:
            self.costs.append((time.perf_counter() - began, self._latest.stat().st_size))


class _Asked:
    """A callback that wants to be asked within epochs."""

    def on_pause(self, _pause: Pause) -> None:
        """Nothing."""


def _seconds(X: Any, y: Any, callbacks: list[Any]) -> float:
    began = time.perf_counter()
    MiniBatchRegressor(**_ADAM, callbacks=callbacks).fit(X, y)
    return time.perf_counter() - began


def main() -> None:
    """Print what it costs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(_ROWS, _FEATURES))
    y = X @ rng.normal(size=_FEATURES) + rng.normal(size=_ROWS)
    for name, settings in (("adam", _ADAM | {"max_iter": 8}), ("svrg", {"loss": "huber"})):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            timed = _Timed(folder)
            MiniBatchRegressor(**settings, callbacks=[timed]).fit(X, y)
        seconds = statistics.median(cost for cost, _ in timed.costs)
        size = max(size for _, size in timed.costs)
        print(
            f"{name}: {size / 1e6:.2f} MB, {1e3 * seconds:.1f} ms (median of {len(timed.costs)}), "
            f"{seconds / _DEFAULT_SECONDS:.4%} of the time at one in five minutes"
        )
    pairs = [(_seconds(X, y, []), _seconds(X, y, [_Asked()])) for _ in range(_TIMES)]
    plain, sliced = (min(times) for times in zip(*pairs, strict=True))
    print(f"epochs whole {plain:.3f} s, in slices {sliced:.3f} s (least of {_TIMES})")


if __name__ == "__main__":
    main()
