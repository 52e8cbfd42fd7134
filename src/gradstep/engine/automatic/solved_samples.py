"""The solutions of samples: where a run with many rows starts.

With many times the rows that its features need, the optimum of a sample is nearly that of all rows
and costs about a pass. If the second derivative has no bound and columns have heavy tails, few rows
decide: then rows are drawn again by their second derivatives there, and the objective of the new
sample, with the gradient of all rows, is minimised from there (DANE; Shamir, Srebro and Zhang,
"Communication-efficient distributed optimization using an approximate Newton-type method", ICML
2014). Measured in ADR 0017 and 0025.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradstep.engine.automatic.choice import StepKind, has_factors, hessian_rows
from gradstep.engine.automatic.state import AutomaticState
from gradstep.engine.row_sums import RowSums

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.engine.automatic.quadratic_model import QuadraticModel
    from gradstep.engine.automatic.state import Snapshot
    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["SolvedSamples"]

# `tol` for a sample: its optimum lies farther than that from the optimum of all rows (ADR 0017).
_ROUGHLY = 0.05
# The same for a sample that has the gradient of all rows (ADR 0025).
_CLOSELY = 0.01
# Epochs that solving a sample may take.
_SAMPLE_EPOCHS = 30


class SolvedSamples:
    """Solves samples of the rows of a problem.

    Parameters
    ----------
    model : QuadraticModel
        Draws samples, and evaluates all rows.
    columns : Columns
        Statistics of the columns of all rows.
    run : callable
        Takes a run of some rows: from the problem, the rows, the columns, the state where it
        begins, what tells of a state whether it is enough, and the tilt (`QuadraticModel`).
    """

    def __init__(
        self, model: QuadraticModel, columns: Columns,
        run: Callable[
            [Problem, Dataset, Columns, AutomaticState, Callable[[AutomaticState], bool], Any],
            AutomaticState,
        ],
    ) -> None:  # fmt: skip
        self._model, self._columns, self._run = model, columns, run

    def solution(
        self, state: AutomaticState, rows: int
    ) -> tuple[AutomaticState, NDArray[np.float64]]:
        """Return roughly the optimum of a sample, for about a pass over all rows at most."""
        sample, sampling = self._model.hessians.draw(
            state.params, rows, state.smoothing, state.sampling
        )
        at = self._solved(sample, state, state.params, _ROUGHLY)
        state = state.changed(sampling=sampling)
        of = self._model.of
        if state.kind == StepKind.QUASI_NEWTON and of.smooth and not has_factors(of):
            hessians, known = self._model.hessians, at.matrices
            if at.diagonal is not None and len(at.pairs.steps) > 1:  # steps in it led on fast
                own = hessians.diagonal(at.params, state.smoothing, rough=True)
                state = state.changed(diagonal=own)
            elif known is not None and known.whole and rows >= hessian_rows(of):
                state = state.changed(matrices=hessians.of_sample(known, sampling))
        return state, at.params

    def is_decided_by_few(self, rows: int) -> bool:
        """Tell whether few rows may decide the Hessian near the optimum, unknown to the draw."""
        of = self._model.of
        return of.smooth and not of.has_curvature_bound and of.is_uneven(rows)

    def corrected(
        self, state: AutomaticState, snapshot: Snapshot, *, worse: bool
    ) -> tuple[AutomaticState, Snapshot]:
        """Return the better of a snapshot and the solution of a sample that is drawn by it."""
        of, there = self._model.of, snapshot.params
        sample, sampling = self._model.hessians.draw(
            there, hessian_rows(of), state.smoothing, state.sampling.at(there)
        )
        state = state.changed(sampling=sampling, matrices=None, diagonal=None)
        tilt, start = None, state.params
        if not worse:
            with RowSums(sample, of.k) as sums:
                tilt = snapshot.gradient - sums.gradient(of.problem.loss, there)[1]
            self._model.row_sums.rows_read += sample.n
            start = there
        at = self._solved(sample, state, start, _CLOSELY, tilt)
        found = self._model.evaluate(state, at.params)
        return state, found if found.true <= snapshot.true else snapshot

    def _solved(
        self, sample: Dataset, state: AutomaticState, start: NDArray[np.float64], tol: float,
        tilt: NDArray[np.float64] | None = None,
    ) -> AutomaticState:  # fmt: skip
        """Return the state at about the optimum of a sample, or where a pass over all has led."""
        of, sums = self._model.of, self._model.row_sums
        problem = replace(of.problem, max_epochs=_SAMPLE_EPOCHS, tol=tol)
        most = sums.rows_read + of.data.n
        at = self._run(
            problem, sample, self._columns, AutomaticState(start=state.start, params=start),
            lambda at: sums.rows_read + at.rows_read > most, tilt,
        )  # fmt: skip
        sums.rows_read += at.rows_read
        return at
