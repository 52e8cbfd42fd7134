"""What sides were tried with, kept in a file: a race goes on after a fit that hung or crashed."""

from __future__ import annotations

import gc
import json
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.solvers.side import Side

__all__ = ["FIRST", "Rung", "Trials", "timed", "told"]

FIRST = "the first fit"  # with what is compiled for it, and converted: may take longer


class Rung(NamedTuple):
    """A trial: with what, and what came of it."""

    setting: float
    rate: float
    value: float
    seconds: float


class Trials:
    """The trials of all sides of a case.

    Parameters
    ----------
    path : Path
        Where they are kept; trials that are there already are not made again.
    say : callable
        Is told of each.

    Attributes
    ----------
    rungs : dict of str to list of Rung
        By the side's name, in the order in which they were made.
    failed : dict of str to str
        What ended a side: an error of its library's own, a crash, no end.
    """

    def __init__(self, path: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.path, self.say = path, say
        self.rungs: dict[str, list[Rung]] = {}
        self.failed: dict[str, str] = {}
        if path.exists():
            kept = json.loads(path.read_text())
            self.rungs = {
                name: [Rung(*rung) for rung in rungs] for name, rungs in kept["rungs"].items()
            }
            self.failed = kept["failed"]
        self._running: tuple[str, str, float] | None = None

    def begin(self, name: str, what: str) -> None:
        """Note what runs now, for whoever watches."""
        self._running = name, what, time.time()
        self._save()

    def end(self) -> None:
        """Note that nothing of a peer's runs now."""
        self._running = None
        self._save()

    def fail(self, name: str, why: str) -> None:
        """Note why a side ended."""
        self.failed[name] = why
        self.say(f"{name}: {why}")
        self.end()

    def attempt(self, side: Side, setting: float, rate: float) -> Rung | None:
        """Fit once, and evaluate; None if the library says no."""
        self.begin(side.name, _told(side, setting, rate))
        try:
            model, seconds = timed(side, setting, rate)
            return self.add(side, setting, rate, model, seconds)
        except Exception as error:  # noqa: BLE001  (a peer's own, whatever it is)
            self.fail(side.name, told(error))
            return None

    def add(self, side: Side, setting: float, rate: float, model: Any, seconds: float) -> Rung:
        """Evaluate what a fit returned, and keep it as a trial."""
        with np.errstate(all="ignore"):
            value = side.value(model)
        rung = Rung(setting, rate, value if np.isfinite(value) else np.inf, seconds)
        self.rungs.setdefault(side.name, []).append(rung)
        self.say(f"{side.name} at {_told(side, setting, rate)}: {value:.12g} in {seconds:.2f} s")
        self.end()
        return rung

    def least(self) -> float:
        """Return the least objective that any side came to."""
        return min((r.value for rungs in self.rungs.values() for r in rungs), default=np.inf)

    def _save(self) -> None:
        content = {"rungs": self.rungs, "failed": self.failed, "running": self._running}
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(content))
        part.replace(self.path)


def _told(side: Side, setting: float, rate: float) -> str:
    return f"{side.unit} {setting:g}" + (f", rate {rate:g}" if rate else "")


def told(error: Exception) -> str:
    """Return the kind of an error and the first line of its message."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:160]


def timed(side: Side, setting: float, rate: float = 0.0) -> tuple[Any, float]:
    """Fit, and return the model and the seconds that the call took."""
    gc.collect()
    arguments = (setting, rate) if side.rates else (setting,)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        begun = time.perf_counter()
        model = side.fit(*arguments)
        return model, time.perf_counter() - begun
