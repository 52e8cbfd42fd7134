"""Features that no row has are left out of a run: hashed rows have some million of them.

From a start at zero their coefficients stay zero: no loss depends on them, and no penalty is less
elsewhere. So the optimum is that of the others, and no epoch touches a number for each of them.
Whoever looks at the run sees all features (docs/adr/0049).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.some_features import columns_of, problem_of, rows_of
from gradstep.objective.penalties import NoPenalty
from gradstep.optim.solvers import is_automatic
from gradstep.rows.layouts import CsrRows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradstep.engine.callbacks import EpochEnd, Pause, Start
    from gradstep.engine.state import TrainState, Validation
    from gradstep.fit.plan import Plan
    from gradstep.fit.run import RunResult
    from gradstep.rows.dataset import Dataset

__all__ = ["FewerFeatures", "fewer_features"]

# With fewer features an epoch costs next to nothing for each.
_MANY = 1024
# Times as many features as are used that there must be; with fewer, little is gained.
_FEWER = 4
# Numbers of all rows, per feature, from which few features would be empty; they are counted in one
# pass over the numbers, and renamed in another.
_NUMBERS_A_FEATURE = 32


def fewer_features(chosen: Plan, data: Dataset, start: TrainState) -> FewerFeatures | None:
    """Return the run without the features that no row has; None if there are few, or they count."""
    problem, rows = chosen.problem, data.rows
    if not isinstance(rows, CsrRows) or data.executor is not None or rows.n_features <= _MANY:
        return None
    zero_is_best = isinstance(problem.penalty, NoPenalty) or hasattr(problem.penalty, "strengths")
    if not (is_automatic(problem.optimizer) and zero_is_best and problem.constraints is None):
        return None
    if rows.n_numbers() >= _NUMBERS_A_FEATURE * rows.n_features:
        return None
    there = np.zeros(rows.n_features, bool)
    there[rows.columns[rows.starts[0] : rows.starts[-1]]] = True
    used = np.flatnonzero(there)
    # The state of another run holds more than parameters.
    if not 0 < _FEWER * used.size <= there.size or hasattr(start, "snapshot"):
        return None
    if problem.split(start.current())[0][:, ~there].any():
        return None
    return FewerFeatures(chosen, data, start, used)


@dataclass(frozen=True)
class FewerFeatures:
    """A run of some of the features.

    Attributes
    ----------
    whole, rows, begins
        The plan, the training rows and the start of all features.
    used : ndarray of shape (n_used,)
        The features that are left, in order.
    """

    whole: Plan
    rows: Dataset
    begins: TrainState
    used: NDArray[np.intp]

    @cached_property
    def plan(self) -> Plan:
        """The plan of this run."""
        columns = self.whole.columns
        return replace(
            self.whole, problem=problem_of(self.whole.problem, self.used),
            columns=None if columns is None else columns_of(columns, self.used),
        )  # fmt: skip

    @property
    def data(self) -> Dataset:
        """The training rows."""
        return rows_of(self.rows, self.used)

    @property
    def start(self) -> TrainState:
        """Where this run starts."""
        coef, intercepts = self.whole.problem.split(self.begins.current())
        return self.plan.problem.start(coef[:, self.used], intercepts)

    def validation(self, validation: Validation | None) -> Validation | None:
        """Return held-out rows, without what they have of other features: its weight is 0."""
        if validation is None:
            return None
        return replace(validation, data=rows_of(validation.data, self.used))

    def callback(self, callback: Any) -> Any:
        """Return a callback that sees all features, unless it is one that looks at none."""
        ours = type(callback).__module__.startswith("gradstep.engine.")
        return callback if ours else _SeesAll(callback, self)

    def result(self, result: RunResult) -> RunResult:
        """Return the result of this run as one of all features."""
        return replace(
            result, params=self.params(result.params), problem=self.whole.problem,
            state=None if result.state is None else self.state(result.state),
            columns=self.whole.columns,
        )  # fmt: skip

    def params(self, params: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters of all features: (size,)."""
        whole = np.zeros(self.whole.problem.size)
        into, intercepts = self.whole.problem.split(whole)  # views
        into[:, self.used], intercepts[:] = self.plan.problem.split(params)
        return whole

    def state(self, state: TrainState) -> TrainState:
        """Return what a state says of all features: parameters, and how far the run has come."""
        best = state.best_params
        return self.begins.changed(
            params=self.params(state.current()), epoch=state.epoch, best=state.best,
            stalled=state.stalled, best_score=state.best_score, restarts=state.restarts,
            best_params=None if best is None else self.params(best),
        )  # fmt: skip


class _SeesAll:
    """A user's callback, to which events of a run of some features are those of all."""

    def __init__(self, callback: Any, of: FewerFeatures) -> None:
        self._callback, self._of = callback, of

    def __getattr__(self, name: str) -> Any:
        """Return what the callback has under a name; its hooks take events of all features."""
        own = getattr(self._callback, name)
        return self._hook(own) if name in {"on_start", "on_epoch_end", "on_pause"} else own

    def _hook(self, hook: Callable[[Any], Any]) -> Callable[[Start | EpochEnd | Pause], Any]:
        def called(event: Start | EpochEnd | Pause) -> Any:
            of = self._of
            return hook(
                replace(
                    event, problem=of.whole.problem, data=of.rows, state=of.state(event.state)
                )
            )  # fmt: skip

        return called
