"""Fits of gradstep, by its public API alone, and the trail that one leaves."""

from __future__ import annotations

import traceback
import warnings
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sklearn.exceptions import ConvergenceWarning

from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.errors import GradstepError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.no_tuning.objective import Objective

# What the command line sets on top of gradstep's defaults: nothing, in a run that counts.
OVERRIDES: dict[str, Any] = {}
SEARCHED = 100
PARAMETERS = {
    "huber": "epsilon",
    "epsilon_insensitive": "epsilon",
    "squared_epsilon_insensitive": "epsilon",
    "pinball": "quantile",
    "tweedie": "power",
}


class FitFailed(Exception):
    """A fit that raised; ``typed`` if it was one of gradstep's own errors."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.kind = type(error).__name__
        self.typed = isinstance(error, GradstepError)
        frames = traceback.extract_tb(error.__traceback__)
        self.where = f"{frames[-1].name}, line {frames[-1].lineno}"


class Trail:
    """A callback that keeps, for each epoch, when it ended, what it had read, and the weights."""

    def __init__(self) -> None:
        self.ended: list[float] = []
        self.passes: list[float] = []
        self.params: list[Any] = []
        self.begun = 0.0

    def on_epoch_end(self, event: Any) -> None:
        """Note the clock first; copying the weights is charged to the next epoch."""
        self.ended.append(perf_counter() - self.begun)
        passes = getattr(event.record, "passes", None)
        self.passes.append(float(event.record.epoch if passes is None else passes))
        self.params.append(event.state.current().copy())

    def values(self, objective: Objective) -> Iterator[float]:
        """Evaluate the objective after each epoch, off the clock, as far as it is asked for."""
        for params in self.params:
            yield objective.value(*objective.split(params))

    def first_within(self, objective: Objective, target: float) -> int | None:
        """Return the index of the first epoch that ends at the target or below, if any."""
        # A long run that misses is not searched: each epoch would cost a pass.
        if len(self.params) > SEARCHED:
            last = objective.value(*objective.split(self.params[-1]))
            if not last <= target:
                return None
        return next((i for i, v in enumerate(self.values(objective)) if v <= target), None)


def estimator(objective: Objective, **settings: Any) -> Any:
    """Make the estimator that minimises an objective, with defaults in everything else."""
    o = objective
    kind = MiniBatchClassifier if o.n_classes else MiniBatchRegressor
    given: dict[str, Any] = {"loss": o.loss, "penalty": o.penalty}
    if o.parameter is not None:
        given[PARAMETERS[o.loss]] = o.parameter
    if o.alpha != 1e-4:
        given["alpha"] = o.alpha
    if o.l1_ratio != 0.15:
        given["l1_ratio"] = o.l1_ratio
    return kind(**given, **settings)


def fit_defaults(objective: Objective, **settings: Any) -> tuple[Any, Trail, float]:
    """Fit with the defaults; return the model, its trail, and the seconds of the whole fit."""
    trail = Trail()
    try:
        model = estimator(objective, **{"callbacks": [trail], **settings, **OVERRIDES})
        seconds = fit(model, objective, trail)
    except Exception as error:
        raise FitFailed(error) from error
    return model, trail, seconds


def fit(model: Any, objective: Objective, trail: Trail | None = None) -> float:
    """Fit a model to an objective's data, quietly; return the seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        begun = perf_counter()
        if trail is not None:
            trail.begun = begun
        model.fit(objective.X, objective.y, sample_weight=objective.weight)
        return perf_counter() - begun
