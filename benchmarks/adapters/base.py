"""What an adapter is, and how one picks the best of several ways."""

from __future__ import annotations

import importlib
import importlib.metadata
from abc import ABC, abstractmethod
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.problems import Problem

# A variant that gathers a whole epoch's rows at once looks better than it is while they
# fit into a cache, so a trial is a whole epoch up to a million rows.
TRIAL_ROWS = 1_000_000
TRIAL_SHARE = 20
TRIALS = 2


class Adapter(ABC):
    """One library's way to train a linear model by stochastic gradient descent.

    The clock runs during `epochs` only. `prepare` converts the data, compiles, and
    tries the library's own variants, off the clock.

    Attributes
    ----------
    name : str
        Heading of the library's column.
    modules : tuple of str
        The modules that it needs; the first one names the library.
    is_ours : bool
        Whether it is gradstep, which the others are compared with.
    is_fit : bool
        Whether `epochs` is an estimator's whole ``fit``, with checks and set-up that
        are no part of an epoch: then k + 1 epochs less 1 epoch are taken for k.
    choice : str
        The variant that `prepare` chose, for the notes; may be empty.
    """

    name: str
    modules: ClassVar[tuple[str, ...]]
    is_ours: bool = False
    is_fit: bool = False
    choice: str = ""

    def epoch_seconds(self) -> list[float]:
        """Return the seconds of each epoch of the last fit, for those that record them."""
        raise NotImplementedError

    def available(self) -> str | None:
        """Say why the library cannot be used here, or None."""
        try:
            for module in self.modules:
                importlib.import_module(module)
        except ImportError as error:
            return f"not installed ({error})"
        return None

    def version(self) -> str:
        """Version of the library."""
        root = self.modules[0].split(".")[0]
        try:
            name = importlib.metadata.packages_distributions()[root][0]
            return importlib.metadata.version(name)
        except KeyError:
            return str(getattr(importlib.import_module(root), "__version__", "?"))

    @abstractmethod
    def prepare(self, problem: Problem) -> None:
        """Convert the data, compile, choose a variant: all that is off the clock.

        Parameters
        ----------
        problem : Problem
            What will be trained on.
        """

    @abstractmethod
    def epochs(self, count: int) -> None:
        """Train from zero for so many epochs, each in a new order, and wait for it.

        Parameters
        ----------
        count : int
            Number of epochs.
        """

    @abstractmethod
    def solution(self) -> tuple[NDArray[np.float64], float]:
        """Weights of shape (p,) and intercept after the last `epochs`."""


def trial_rows(problem: Problem) -> int:
    """How many rows of an epoch to time when variants are tried out.

    Parameters
    ----------
    problem : Problem
        What will be trained on.

    Returns
    -------
    int
        A multiple of the batch size, or the number of rows.
    """
    rows = max(problem.rows // TRIAL_SHARE, TRIAL_ROWS)
    return min(problem.rows, rows - rows % problem.batch)


def fastest(ways: Mapping[str, Callable[[], object]]) -> str:
    """Name the fastest of several ways to do the same thing.

    Parameters
    ----------
    ways : mapping of str to callable
        Each is called once unmeasured, then a few times on the clock.

    Returns
    -------
    str
        The key of the one with the shortest best time.
    """
    best = dict.fromkeys(ways, float("inf"))
    for way in ways.values():
        way()
    for _ in range(TRIALS):
        for name, way in ways.items():
            start = perf_counter()
            way()
            best[name] = min(best[name], perf_counter() - start)
    return min(best, key=lambda name: best[name])
