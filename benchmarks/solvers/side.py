"""A side of a race: one library's way to fit a task, and what it is asked for more exactly by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.no_tuning.objective import Objective

__all__ = [
    "EPOCHS", "MOST", "MOST_CHOLESKY", "RATES", "TOLERANCES", "Fitted", "Side", "estimator",
    "weight_sum",
]  # fmt: skip

MOST = 100_000  # iterations
MOST_CHOLESKY = 3000  # parameters of which a peer may make a matrix
TOLERANCES = tuple(10.0**-e for e in range(1, 13))
EPOCHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
RATES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03)  # of plain steps; text needs the large ones


class Side(NamedTuple):
    """A way to fit a task.

    Attributes
    ----------
    name : str
        For the report: the library first.
    fit : callable
        Fits, from a setting and, if there are rates, one of them; the time of this counts.
    value : callable
        The objective of what it returned.
    settings : sequence of float
        Those that are tried, the one that takes the least time first: tolerances or epochs.
    rates : sequence of float
        Learning rates that are tried with each setting, largest first; empty where none is chosen.
    """

    name: str
    fit: Callable[..., Any]
    value: Callable[[Any], float]
    settings: Sequence[float] = TOLERANCES
    rates: Sequence[float] = ()

    @property
    def unit(self) -> str:
        """What the settings are."""
        return "epochs" if self.settings[0] >= 1.0 else "tolerance"


class Fitted(NamedTuple):
    """What a library that has no estimators found."""

    coef_: Any
    intercept_: Any


def estimator(
    name: str, make: Callable[..., Any], o: Objective, settings: Sequence[float] = TOLERANCES,
    rates: Sequence[float] = (),
) -> Side:  # fmt: skip
    """Return a side of an estimator as scikit-learn has them.

    Parameters
    ----------
    name : str
        For the report.
    make : callable
        Makes the estimator, from a setting and perhaps a rate.
    o : Objective
        What is fitted.
    settings, rates : sequence of float
        As a side has them.
    """

    def fit(*setting: float) -> Any:
        model = make(*setting)
        if o.weight is None:
            return model.fit(o.X, o.y)
        return model.fit(o.X, o.y, sample_weight=o.weight)

    return Side(name, fit, o.value_of, settings, rates)


def weight_sum(o: Objective) -> float:
    """Return the sum of the rows' weights: what a library that sums losses scales alpha by."""
    return float(len(o.y) if o.weight is None else np.sum(o.weight))
