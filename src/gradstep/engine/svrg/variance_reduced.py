"""Mini-batch steps from a snapshot to the next: variance-reduced, in a preconditioner."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gradstep.engine.svrg.choice import StepKind, can_take_newton_steps
from gradstep.engine.svrg.optimality import noise_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gradstep.engine.svrg.mini_batches import MiniBatches, Steps
    from gradstep.engine.svrg.quadratic_model import QuadraticModel
    from gradstep.engine.svrg.scaled_problem import ScaledProblem
    from gradstep.engine.svrg.state import SvrgState

__all__ = ["fall_back", "reduced_steps", "steps_at"]

_MOST_ROWS = 8  # times as many rows as usual in the sample of a preconditioner
_NO_STEP = 1e-9


def reduced_steps(
    model: QuadraticModel, batches: MiniBatches, state: SvrgState
) -> tuple[SvrgState, str]:
    """Take variance-reduced steps, in the full or the diagonal preconditioner."""
    of, snapshot = model.of, state.at
    full = state.kind == StepKind.REDUCED
    # 1. The steps on a share of the rows.
    state, steps = steps_at(model, batches, state, snapshot.params, diagonal=not full)
    share = getattr(of.problem.optimizer, "share", 0.25)
    rows = max(1, int(share * of.data.n))
    candidate, rows_done = batches.run(
        steps, state.step_factor, state.smoothing.loss(of), snapshot.params, snapshot, rows,
        state.rows_done,
    )  # fmt: skip
    state = replace(state, rows_done=rows_done).narrowed_if_due()
    # 2. Whether they led down.
    trial = None if candidate is None else model.evaluate(state, candidate)
    if trial is None or not trial.before <= snapshot.objective + noise_of(state, snapshot):
        return _rejected(model, state)
    note, rate = "", state.step_factor
    # 3. Where they led on slowly: a larger sample, shorter steps, in the end Newton steps.
    if full:
        poor = state.poor + 1 if model.is_poor(state, trial=trial, before=snapshot) else 0
        state = replace(state, poor=poor)
        if poor == 1:
            sampling = state.sampling
            factor = min(2 * sampling.factor, _MOST_ROWS)
            state = replace(state, sampling=sampling._replace(factor=factor))
        elif poor == 2:
            state = replace(state, step_factor=state.step_factor / 2.0)
        elif poor > 2:
            state, fell_back = fall_back(model.of, state)
            if fell_back:
                note = "variance-reduced steps led on slowly: Newton steps now"
    return state.accepted(trial, rate), note


def steps_at(
    model: QuadraticModel, batches: MiniBatches, state: SvrgState, params: NDArray[np.float64], *,
    diagonal: bool,
) -> tuple[SvrgState, Steps]:  # fmt: skip
    """Return how mini-batch steps are taken, in a preconditioner that is taken when needed."""
    if diagonal:
        if state.diagonal is None:
            state = replace(state, diagonal=model.hessians.diagonal(params, state.smoothing))
        assert state.diagonal is not None  # noqa: S101
        return state, batches.in_diagonal(model.hessians, state.diagonal)
    if state.matrices is None or state.poor:
        state = model.with_matrices_for_steps(state, params)
    return state, batches.in_full(model.preconditioner(state))


def _rejected(model: QuadraticModel, state: SvrgState) -> tuple[SvrgState, str]:
    state = replace(state, step_factor=state.step_factor / 2.0, poor=state.poor + 1)
    note = "steps were too long for this data: taken back, and shortened"
    fell_back = False
    if state.poor > 1:
        state, fell_back = fall_back(model.of, state)
    if fell_back:
        note = "steps were too long for this data: taken back; Newton steps now"
    elif state.step_factor < _NO_STEP:
        state = replace(state, stuck=True)
    return replace(model.evaluated_anew(state), rejected=True, rate=state.step_factor), note


def fall_back(of: ScaledProblem, state: SvrgState) -> tuple[SvrgState, bool]:
    """Go on by Newton steps, if that can be; return whether."""
    if state.kind != StepKind.REDUCED or not can_take_newton_steps(of):
        return state, False
    return replace(state, kind=int(StepKind.NEWTON)), True
