"""Variance-reduced mini-batch steps from a snapshot to the next, in a diagonal preconditioner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.diagnostics.of_fits import REJECTED_STEPS
from gradstep.engine.automatic.optimality import noise_of

if TYPE_CHECKING:
    from gradstep.engine.automatic.mini_batches import MiniBatches
    from gradstep.engine.automatic.quadratic_model import QuadraticModel
    from gradstep.engine.automatic.state import AutomaticState

__all__ = ["reduced_steps"]

# A step factor below which the run is stuck.
_NO_STEP = 1e-9


def reduced_steps(
    model: QuadraticModel, batches: MiniBatches, state: AutomaticState
) -> tuple[AutomaticState, str]:
    """Take variance-reduced steps on a share of the rows; halve them if the objective rises."""
    of, snapshot = model.of, state.at
    if state.diagonal is None:
        diagonal = model.hessians.diagonal(snapshot.params, state.smoothing)
        state = state.changed(diagonal=diagonal)
    # 1. The steps on a share of the rows.
    share = getattr(of.problem.optimizer, "share", 0.25)
    rows = max(1, int(share * of.data.n))
    candidate, rows_done = batches.run(model.hessians, state, rows)
    state = state.changed(rows_done=rows_done).narrowed_if_due()
    # 2. Whether the objective fell.
    trial = None if candidate is None else model.evaluate(state, candidate)
    if trial is not None and trial.before <= snapshot.objective + noise_of(state, snapshot):
        return state.accepted(trial, state.step_factor), ""
    state = state.changed(step_factor=state.step_factor / 2.0)
    if state.step_factor < _NO_STEP:
        state = state.changed(stuck=True)
    note = REJECTED_STEPS.note("steps were too long for this data: taken back, and shortened")
    return model.evaluated_anew(state).changed(rejected=True, rate=state.step_factor), note
