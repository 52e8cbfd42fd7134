"""A Newton step from a snapshot to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.automatic.line_search import backtrack, extend
from gradstep.engine.automatic.optimality import is_narrow_enough, noise_of

if TYPE_CHECKING:
    from gradstep.engine.automatic.quadratic_model import QuadraticModel
    from gradstep.engine.automatic.state import AutomaticState, Snapshot

__all__ = ["newton_step"]


def newton_step(model: QuadraticModel, state: AutomaticState) -> AutomaticState:
    """Take a Newton step, shortened until it meets the Armijo condition."""
    of = model.of
    # 1. The direction: to the minimum of the quadratic model, and how steeply it leads down.
    state = model.with_hessian_of_snapshot(state)
    snapshot = state.at
    scaled = model.scaled(snapshot)
    step, _ = model.direction(state, snapshot)
    slope = model.slope_along(step, snapshot)
    if of.has_l1:
        slope += float(((np.abs(scaled + step) - np.abs(scaled)) * of.l1).sum())
    # 2. The line search, by the loss as it was smoothed for the snapshot.
    noise = noise_of(state, snapshot)
    state = state.narrowed_if_due()
    kept = state.smoothing
    ahead = state.changed(smoothing=kept.shortened(of))

    def evaluate(t: float) -> Snapshot:
        params = of.within(of.standardisation.in_units(scaled + t * step))
        return model.derived(ahead, snapshot, params) or model.evaluate(ahead, params)

    trial, t = backtrack(evaluate, snapshot.objective, slope, noise, smooth=of.smooth)
    if trial is None:
        return _no_way_down(model, state)
    state = ahead
    if t < 1.0:
        state = state.changed(smoothing=kept.lengthened(t))
        if not of.smooth:  # it was summed over the widths of a whole step
            trial = trial._replace(hessian=None)
    elif of.smooth and of.is_plain:
        trial, t = extend(evaluate, lambda at: model.slope_along(step, at), slope, trial)
    # 3. A sample that does not lead on fast enough becomes larger.
    sampled = state.matrices is not None and not state.matrices.whole
    if sampled and t == 1.0 and model.is_poor(state, snapshot, trial):
        sampling = state.sampling
        state = state.changed(sampling=sampling._replace(factor=4 * sampling.factor))
    return state.accepted(trial, rate=t)


def _no_way_down(model: QuadraticModel, state: AutomaticState) -> AutomaticState:
    """Double the smoothing width more often, or narrow it, if slopes jump; else it ends here."""
    smoothing = state.smoothing
    if not smoothing.is_widest(model.of):
        state = state.changed(smoothing=smoothing.doubled_often())
    elif not is_narrow_enough(model.of, state):
        state = state.changed(smoothing=smoothing.narrowed())
    else:
        state = state.changed(stuck=True)
    return model.evaluated_anew(state).changed(rejected=True, rate=0.0)
