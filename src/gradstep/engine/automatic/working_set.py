"""Steps in a working set: with l1 and many features, the optimum of the few that matter.

A coefficient that is zero at the optimum has no part in it. So an epoch goes to the optimum of a
set of features, the *working set*: those that are not zero, and of the others those that promise
most. It leaves all other coefficients at zero. Then one pass over all features tells which of them
would move, and the next set has them (Johnson and Guestrin, "Blitz", ICML 2015; Massias, Gramfort
and Salmon, "Celer", ICML 2018). Of so few features there is room for a matrix, so the optimum of a
set takes a few Newton steps (docs/adr/0054).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.automatic.choice import StepKind, most_in_working_set
from gradstep.engine.automatic.optimality import noise_of
from gradstep.engine.automatic.state import AutomaticState
from gradstep.engine.some_features import columns_of, problem_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradstep.engine.automatic.quadratic_model import QuadraticModel
    from gradstep.engine.automatic.state import Snapshot
    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["WorkingSets"]

# Features that are added to a working set: as many as it has, or so many if those are fewer.
_FEWEST_ADDED = 512
# The optimum of a set is left at this share of the length that there was to go.
_NEARER = 0.1
# Epochs that going there may take.
_MOST_EPOCHS = 30
# Share of `tol` that it is taken to at least.
_OF_TOL = 0.5
# Second derivative of a feature, as a share of the largest one, that is taken for less.
_FLAT = 1e-12


class WorkingSets:
    """Chooses working sets and goes to their optima; keeps nothing that a later epoch depends on.

    Parameters
    ----------
    model : QuadraticModel
        Gives gradients of all features.
    columns : Columns
        Statistics of the columns.
    run : callable
        Takes a run of some of the features: from the problem, its rows, their columns, the state
        where it begins, and what tells of a state whether it is enough.
    """

    def __init__(
        self, model: QuadraticModel, columns: Columns,
        run: Callable[
            [Problem, Dataset, Columns, AutomaticState, Callable[[AutomaticState], bool]],
            AutomaticState,
        ],
    ) -> None:  # fmt: skip
        self._model, self._columns, self._run = model, columns, run
        self._left = 0.0  # what is left to go within the working set of this epoch
        self._gains_at: tuple[Snapshot, NDArray[np.float64]] | None = None
        self._least_squares_diagonal: NDArray[np.float64] | None = None

    def step(self, state: AutomaticState) -> AutomaticState:
        """Go to about the optimum of a working set; where too many matter, take other steps.

        Then the kind of the state has changed, and nothing else.
        """
        of, data = self._model.of, self._model.of.data
        snapshot, gains = state.at, self._gains(state)
        features = self._chosen(state, gains)
        if features is None:
            return state.changed(kind=int(StepKind.VARIANCE_REDUCED))
        tol, length = of.problem.tol, state.progress.length
        goal = _NEARER * (math.sqrt(float(gains.sum())) if math.isnan(length) else length)
        if tol is not None:
            goal = max(goal, _OF_TOL * tol * math.sqrt(2.0 * state.decrease))
        at = np.append(features, of.q - 1)  # the intercept is the last parameter
        some = rows_of(data, features)
        problem = replace(
            problem_of(of.problem, features), max_epochs=_MOST_EPOCHS,
            tol=None if tol is None else _OF_TOL * tol,
        )  # fmt: skip

        def is_enough(there: AutomaticState) -> bool:
            """Tell whether it is near enough, or no minimum of the model was found any more."""
            lost = there.epoch > 0 and math.isnan(there.progress.optimality)
            return lost or there.progress.length <= goal

        found = self._run(  # from where this run began: its decrease counts
            problem, some, columns_of(self._columns, features),
            AutomaticState(start=state.start[at], params=snapshot.params[at]), is_enough,
        )  # fmt: skip
        share = some.rows.row_bytes() / max(1, data.rows.row_bytes())
        self._model.row_sums.rows_read += int(share * found.rows_read)
        params = snapshot.params.copy()
        params[at] = found.params
        trial = self._model.evaluate(state, params)
        lost = math.isnan(found.progress.optimality)
        self._left = math.nan if lost else found.progress.length
        if trial.objective <= snapshot.objective + noise_of(state, snapshot):
            return state.accepted(trial, 1.0)
        return state.changed(rejected=True, stuck=True, rate=0.0)

    def length(self, state: AutomaticState) -> float:
        """Return the length of the next step, from what each feature by itself would gain."""
        gains, of = self._gains(state), self._model.of
        # A pass of second derivatives, counted here alone, once an epoch. That of least squares
        # is read again where a run goes on, and not counted again.
        if state.epoch == 0 or not of.quadratic:
            self._model.row_sums.rows_read += of.data.n
        return math.sqrt(self._left * self._left + float(gains.sum()))

    def _gains(self, state: AutomaticState) -> NDArray[np.float64]:
        """Return twice what each feature whose coefficient is zero would gain by itself: (p,).

        That is v²/h, with v what its slope is beyond the penalty's, h its second derivative.
        """
        of, snapshot, known = self._model.of, state.at, self._gains_at
        if known is not None and known[0] is snapshot:
            return known[1]
        slope = self._model.gradient(snapshot)[0, :-1]
        zero = self._model.scaled(snapshot)[0, :-1] == 0.0
        beyond = np.where(zero, np.maximum(np.abs(slope) - of.l1[:-1], 0.0), 0.0)
        own = self._second_derivatives(state) + of.ridge[:-1]
        own = np.maximum(own, _FLAT * own.max(initial=0.0))
        gains: NDArray[np.float64] = np.divide(
            beyond * beyond, own, out=np.zeros_like(own), where=own > 0.0
        )
        self._gains_at = snapshot, gains
        return gains

    def _second_derivatives(self, state: AutomaticState) -> NDArray[np.float64]:
        """Return second derivatives of the loss at the snapshot, of each feature: (p,).

        Those of least squares are the same everywhere, but for rounding where kernels are not
        compiled: so that a run that goes on has the same bits, they are taken at zero.
        """
        if self._least_squares_diagonal is not None:
            return self._least_squares_diagonal
        model, read = self._model, self._model.row_sums.rows_read
        at = np.zeros_like(state.at.params) if model.of.quadratic else state.at.params
        own: NDArray[np.float64] = model.hessians.diagonal(at, state.smoothing).own[0]
        model.row_sums.rows_read = read
        if model.of.quadratic:
            self._least_squares_diagonal = own
        return own

    def _chosen(
        self, state: AutomaticState, gains: NDArray[np.float64]
    ) -> NDArray[np.intp] | None:  # fmt: skip
        """Return the features of the next working set; None if there is no room for them."""
        there = np.flatnonzero(self._model.scaled(state.at)[0, :-1])
        others = np.flatnonzero(gains)
        room = most_in_working_set(self._model.of) - there.size
        if room < 0 or (room == 0 and others.size):
            return None
        most = min(max(2 * there.size, _FEWEST_ADDED), room)
        if others.size > most:
            others = others[np.argpartition(-gains[others], most)[:most]]
        return np.sort(np.append(there, others))
