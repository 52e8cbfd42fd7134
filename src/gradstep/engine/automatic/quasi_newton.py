"""A quasi-Newton step from a snapshot to the next: L-BFGS in a preconditioner from a sample.

The Hessian of a sample, taken once, is corrected by what the last steps have shown: along a step s
the gradient of all rows changed by y, which the Hessian must map s to. The two loops over these
pairs are those of Nocedal, "Updating quasi-Newton matrices with limited storage", Mathematics of
Computation 35(151), 1980, with the preconditioner's inverse in the middle. So an epoch costs one
pass over the rows, whatever the number of features. Where that Hessian costs many passes, steps are
tried in a diagonal first, and go on there as long as they lead on fast (docs/adr/0055).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.automatic.choice import has_matrix
from gradstep.engine.automatic.line_search import backtrack
from gradstep.engine.automatic.optimality import is_narrow_enough, noise_of
from gradstep.engine.automatic.state import Pairs
from gradstep.engine.kernels.pairs import add_and_multiply
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.quadratic_model import QuadraticModel
    from gradstep.engine.automatic.state import AutomaticState, Snapshot

__all__ = ["MOST_PAIRS", "quasi_newton_direction", "quasi_newton_step"]

_FEWEST_PAIRS, MOST_PAIRS = 2, 20
_MOST_NUMBERS = 1 << 26  # in all of them, where there is a choice
_POOR_STEPS = 1  # in a row, after which a preconditioner is taken anew, from a larger sample
# The same for the outputs' factor, doubled each time; the pairs stay true.
_POOR_STEPS_IN_FACTORS = 20
# What the square of the next step's length must shrink to with each step in a diagonal, so that no
# matrix is made: with the first and with later ones (ADR 0055).
_FAST_AT_FIRST, _FAST = 0.08, 0.35
_MOST_ROWS = 8  # times as many rows as usual in it
_LONGER = 3.0  # times the share of the last step that is tried first, if that was shortened


def quasi_newton_direction(
    model: QuadraticModel, state: AutomaticState, gradient: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the step (k, q) that the pairs and the preconditioner give at a gradient (k, q)."""
    steps, changes = (
        [readonly(np.ascontiguousarray(each).reshape(-1)) for each in part] for part in state.pairs
    )
    preconditioner, g = model.preconditioner(state), gradient.flatten()
    if not steps:
        return preconditioner.direction(g.reshape(gradient.shape))
    # From the last pair to the first, each product with the sum so far in the pass that made it.
    parts, own = [], add_and_multiply(0.0, changes[-1], g, steps[-1])
    for s, y in zip(reversed([steps[0], *steps[:-1]]), reversed(changes), strict=True):
        parts.append(own)
        own = add_and_multiply(-own, y, g, s)
    found = preconditioner.direction(g.reshape(gradient.shape))
    step = found.reshape(-1)
    if state.matrices is None:  # how long a step should be, only matrices can tell
        last = changes[-1].astype(np.float64)
        back = preconditioner.direction(last.reshape(gradient.shape)).reshape(-1)
        square = -float((last * back).sum())
        step *= 1.0 / square if 0.0 < square < math.inf else 1.0
    own = add_and_multiply(0.0, steps[0], step, changes[0])
    for s, y, part in zip(steps, [*changes[1:], changes[0]], reversed(parts), strict=True):
        own = add_and_multiply(-(part + own), s, step, y)
    return step.reshape(gradient.shape)


def quasi_newton_step(model: QuadraticModel, state: AutomaticState) -> AutomaticState:
    """Take a quasi-Newton step, shortened until it meets the Armijo condition."""
    of, snapshot = model.of, state.at
    # 1. The direction, and how steeply it leads down.
    begun = state = model.with_preconditioner(state)
    gradient, (step, _) = model.gradient(snapshot), model.direction(state, snapshot)
    slope = float((gradient * step).sum())
    # 2. The line search, by the loss as it was smoothed for the snapshot.
    scaled, ahead = model.scaled(snapshot), state.narrowed_if_due()

    def evaluate(t: float) -> Snapshot:
        return model.evaluate(ahead, of.standardisation.in_units(scaled + t * step))

    noise = noise_of(state, snapshot)
    trial, t = None, 0.0
    tried = state.diagonal is not None and has_matrix(of)  # while a matrix may take over
    if slope < 0.0:
        trial, t = backtrack(
            evaluate, snapshot.objective, slope, noise, smooth=True, first=_first_share(state),
            whole=tried,
        )  # fmt: skip
    if trial is None:
        return _in_a_matrix(model, begun) if tried else _no_way_down(model, state)
    # 3. What the step has shown of the Hessian; nothing, if the gradient is that of another loss.
    if ahead is state or of.has_optimality:
        state = ahead
        own, change = t * step, model.gradient(trial) - gradient
        product = float((own * change).sum())
        if 0.0 < product < math.inf:
            most = max(_FEWEST_PAIRS, min(MOST_PAIRS, _MOST_NUMBERS // (2 * step.size)))
            state = state.changed(pairs=state.pairs.added(own, change, product, most))
    else:
        state = _forgetting(ahead)
    # 4. Where steps lead on slowly, the preconditioner is another one.
    return _with_another_if_slow(model, state.accepted(trial, rate=t), begun)


def _first_share(state: AutomaticState) -> float:
    """Return the share of a step that is tried first: all, or three times that of the last one.

    Where one step is too long, the next ones mostly are, as long as the same pairs are kept.
    """
    shortened = len(state.pairs.steps) > 0 and 0.0 < state.rate < 1.0
    return min(1.0, _LONGER * state.rate) if shortened else 1.0


def _with_another_if_slow(
    model: QuadraticModel, state: AutomaticState, begun: AutomaticState
) -> AutomaticState:
    """Return the state after a step, with another preconditioner if it leads on slowly."""
    if state.matrices is not None:
        return _with_more_rows_if_slow(model, state, begun.at)
    if state.factors is not None:
        return _with_other_factors_if_slow(model, state, begun.at)
    if not has_matrix(model.of):
        return state
    first = len(state.pairs.steps) <= 1
    if not model.is_poor(state, begun.at, state.at, _FAST_AT_FIRST if first else _FAST):
        return state
    if first:  # a matrix leads farther from where it came
        return _in_a_matrix(model, begun)
    return model.with_matrices(state.changed(pairs=Pairs()))


def _in_a_matrix(model: QuadraticModel, state: AutomaticState) -> AutomaticState:
    """Take a step in a matrix instead, from where one in a diagonal began."""
    return quasi_newton_step(model, model.with_matrices(state.changed(pairs=Pairs())))


def _with_more_rows_if_slow(
    model: QuadraticModel, state: AutomaticState, before: Snapshot
) -> AutomaticState:
    """Return the state with the Hessian of more rows, and of where it is, after poor steps."""
    state = _counted(model, state, before)
    factor = 2 * state.sampling.factor
    if state.poor <= _POOR_STEPS or factor > _MOST_ROWS:
        return state
    sampling = state.sampling._replace(factor=factor)
    return model.with_matrices(state.changed(pairs=Pairs(), poor=0, sampling=sampling))


def _with_other_factors_if_slow(
    model: QuadraticModel, state: AutomaticState, before: Snapshot
) -> AutomaticState:
    """Return the state with the outputs' factor of where it is, after many poor steps."""
    state, known = _counted(model, state, before), state.factors
    assert known is not None  # noqa: S101
    if state.poor < _POOR_STEPS_IN_FACTORS * state.sampling.factor:
        return state
    sampling = state.sampling._replace(factor=2 * state.sampling.factor)
    return model.with_factors(state.changed(poor=0, sampling=sampling), known.features)


def _counted(model: QuadraticModel, state: AutomaticState, before: Snapshot) -> AutomaticState:
    """Return the state with how many steps in a row have been poor."""
    poor = model.is_poor(state, before, state.at)
    return state.changed(poor=state.poor + 1 if poor else 0)


def _no_way_down(model: QuadraticModel, state: AutomaticState) -> AutomaticState:
    """Forget the pairs, or narrow the smoothing width, if slopes jump; else it ends here."""
    if len(state.pairs.steps):
        return state.changed(pairs=Pairs(), rejected=True, rate=0.0)
    if not is_narrow_enough(model.of, state):
        state = _forgetting(state).changed(smoothing=state.smoothing.narrowed())
    else:
        state = state.changed(stuck=True)
    return model.evaluated_anew(state).changed(rejected=True, rate=0.0)


def _forgetting(state: AutomaticState) -> AutomaticState:
    """Forget what was known of the Hessian of a loss that was smoothed over another width."""
    return state.changed(pairs=Pairs(), matrices=None, factors=None, diagonal=None)
