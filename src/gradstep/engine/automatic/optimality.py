"""How far a run has come, and how it ends.

Let d be the next step and M the preconditioner, which is the Hessian or an estimate of it. The
*length* of d is √(dᵀMd). If the objective is quadratic and M its Hessian, the objective lies
½·length² above its minimum.

*Optimality* is the next step's length divided by that of the first step. The first length is not
computed, for it would cost a pass over the rows. It follows from the decrease of the objective
since the start: that lay decrease + ½·length² above the minimum, so the first length is
√(2·decrease + length²). The run has reached the optimum when optimality is at most `tol`.

Three cases are decided otherwise:

- Quasi-Newton steps without a matrix know the Hessian only along the last steps, and their length
  can be far too small. What the last epochs gained is a second estimate; the larger one counts.
- Without a length the decrease decides. There is none if the slope of the loss jumps
  (`ScaledProblem.has_optimality`), or if coordinate descent has not found the model's minimum.
- Changes of the objective below its rounding error (`noise`) tell nothing. If only such are left,
  the run ends as near the optimum as floating-point numbers allow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.records import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.state import AutomaticState, Snapshot

__all__ = [
    "gain_after",
    "how_it_ends",
    "is_narrow_enough",
    "noise_of",
    "progressed",
    "proximal_length",
    "recent_epochs",
]

# A step shorter than this, times the root of the size of the objective's sums, is rounding noise.
_NUMBERS_END = 1e-14
# `tol` of the exact solution.
_EXACTLY = 1e-11
# Epochs in a row that gain nothing, after which a run ends.
_STALLS = 2
# A step that is shorter than this, times the one before, is progress even if nothing is gained.
_SHORTER = 0.9
# Rounding error of the objective, relative to the size of its sums.
_ROUNDING = 1e-14
# What smoothing may add to the objective in the end, relative to the decrease so far (ADR 0010).
_LITTLE = 1e-3
# Epochs whose gains are extrapolated where quasi-Newton steps have no matrix (ADR 0017).
_WINDOW = 10
# Largest ratio, of the gains of their later half to those of the earlier, that is extrapolated.
_SLOWEST = 0.9


def is_narrow_enough(of: ScaledProblem, state: AutomaticState) -> bool:
    """Tell whether the smoothing width need not be narrowed any more.

    Stricter than `Smoothing.is_narrow`: what smoothing adds to the objective must be little, too,
    beside the decrease so far.
    """
    smoothing = state.smoothing
    little = state.gap <= _LITTLE * state.decrease
    return smoothing.is_narrow(of) and (little or smoothing.is_narrowest(of))


def noise_of(state: AutomaticState, snapshot: Snapshot) -> float:
    """Return the decrease of the objective below which rounding hides it."""
    return _ROUNDING * _size_of_sums(state, snapshot)


def _size_of_sums(state: AutomaticState, snapshot: Snapshot) -> float:
    """Return the size of the numbers that are summed for the objective.

    If targets lie far from zero so do scores, and their difference has lost digits.
    """
    progress = state.progress
    return abs(snapshot.objective) + (1.0 + progress.offset) * abs(progress.at_start)


def proximal_length(
    of: ScaledProblem, snapshot: Snapshot, inverse: NDArray[np.float64], rate: float
) -> float:
    """Return the length of the proximal gradient step in a diagonal preconditioner.

    Parameters
    ----------
    of : ScaledProblem
        The problem.
    snapshot : Snapshot
        Where the step begins.
    inverse : ndarray of shape (k, q)
        Inverse of the preconditioner.
    rate : float
        The longest safe step.
    """
    scaled = of.standardisation.scaled_params(snapshot.params)
    own = rate * inverse
    moved = scaled - own * of.standardisation.gradient(snapshot.gradient)
    scale = np.broadcast_to(of.penalty_scale, moved[:, :-1].shape)
    at = (own[:, :-1] > 0.0) & (scale > 0.0)
    x, steps, scales = moved[:, :-1][at], own[:, :-1][at], scale[at]
    if of.only_prox:
        prox = np.vectorize(of.problem.penalty.prox, otypes=[np.float64])
        moved[:, :-1][at] = prox(x * scales, steps * scales * scales) / scales
    else:
        l1 = np.broadcast_to(of.l1[:-1], at.shape)[at]
        l2 = np.broadcast_to(of.ridge[:-1], at.shape)[at]
        cut = steps * l1
        moved[:, :-1][at] = (x - np.clip(x, -cut, cut)) / (1.0 + steps * l2)
    step = (moved - scaled) / rate
    there = inverse > 0.0
    return math.sqrt(float((step[there] * step[there] / inverse[there]).sum()))


def recent_epochs(patience: int) -> int:
    """Return how many epochs' objectives are kept, at most."""
    return max(patience, _WINDOW) + 1


def progressed(of: ScaledProblem, state: AutomaticState, length: float) -> AutomaticState:
    """Return the state with an epoch's progress recorded.

    Parameters
    ----------
    of : ScaledProblem
        The problem.
    state : AutomaticState
        After the epoch's step.
    length : float
        Length of the next step, √(dᵀMd); NaN if it is not known.
    """
    progress, snapshot = state.progress, state.at
    objective = snapshot.true
    gained = progress.last - objective
    least = state.least
    if objective < least or (of.has_optimality and objective == least):
        state = state.changed(params=snapshot.params.copy(), least=objective)
    recent, highest = progress.recent, progress.highest
    if not state.rejected:  # the objective itself, not the least: it may be above the start
        recent = np.concatenate((recent, (objective,)))[-recent_epochs(of.problem.patience) :]
        highest = max(highest, objective)
    noise = noise_of(state, snapshot)
    stalls, optimality = progress.stalls, math.nan
    nothing = gained <= noise
    if of.has_optimality and math.isnan(length):
        # The model's minimum is not known, and so no length: the decrease decides.
        tol = _tol_of(of) or 0.0
        nothing = nothing or gained <= tol * tol * state.decrease
        stalls = stalls + 1 if nothing and not state.rejected else 0
        length = progress.length
    elif of.has_optimality:
        decrease = max(progress.at_start - snapshot.objective, 0.0)
        smallest = _NUMBERS_END * math.sqrt(_size_of_sums(state, snapshot))
        if length > smallest:
            square = length * length
            if state.kind == StepKind.QUASI_NEWTON and not _knows_hessian(of, state):
                square = max(square, 2.0 * _still_to_gain(recent, noise, decrease))
            optimality = math.sqrt(square / (2.0 * decrease + square))
        else:
            optimality = 0.0
        shorter = math.isnan(progress.length) or length < _SHORTER * progress.length
        if not state.rejected:
            stalls = stalls + 1 if nothing and not shorter else 0
    return state.changed(
        progress=progress._replace(
            last=objective, highest=highest, gained=gained, noise=noise, stalls=stalls,
            length=length, optimality=optimality, recent=recent,
        ),
    )  # fmt: skip


def _knows_hessian(of: ScaledProblem, state: AutomaticState) -> bool:
    """Tell whether the preconditioner is a matrix with all blocks of the Hessian."""
    return state.matrices is not None and state.matrices.hessian.shape[0] == of.blocks


def _still_to_gain(recent: NDArray[np.float64], noise: float, decrease: float) -> float:
    """Return what is still to be gained if gains shrink geometrically, as they did so far.

    After an epoch or two that cannot be told: then it may be as much as the `decrease` so far.

    Without a matrix, quasi-Newton steps know the Hessian only along the last steps. With correlated
    features their length can say that a fiftieth is left of what really is (ADR 0017).
    """
    half = min(recent.size - 1, _WINDOW) // 2
    if half < 1:
        return decrease
    before, last = -np.diff(recent[[-1 - 2 * half, -1 - half, -1]])
    if not last > noise:
        return 0.0
    return gain_after(before, last)


def gain_after(before: float, last: float) -> float:
    """Return what gains that shrink geometrically add after those of two spans of epochs or steps.

    A ratio of these that is too near 1 to tell is not extrapolated.
    """
    shrunk = min(last / before, _SLOWEST) if before > 0.0 else _SLOWEST
    return float(last * shrunk / (1.0 - shrunk))


def _tol_of(of: ScaledProblem) -> float | None:
    return _EXACTLY if of.wants_exact else of.problem.tol


def how_it_ends(of: ScaledProblem, state: AutomaticState, *, narrow: bool) -> Outcome | None:
    """Return how the run ends, or None if it goes on.

    Parameters
    ----------
    of : ScaledProblem
        The problem.
    state : AutomaticState
        After an epoch.
    narrow : bool
        Whether the smoothing width is narrow enough.
    """
    progress, problem = state.progress, of.problem
    tol = _tol_of(of)
    if of.has_optimality:
        if not state.stuck and tol is not None and progress.optimality <= tol:
            return Outcome.OPTIMAL
        if not state.stuck and progress.stalls < _STALLS:
            return None
        return Outcome.STALLED if math.isnan(progress.optimality) else Outcome.ROUNDING
    if state.stuck:
        return Outcome.CONVERGED
    if tol is None or not narrow or progress.recent.size <= problem.patience:
        return None
    gained = float(progress.recent[-1 - problem.patience] - progress.recent[-1])
    decrease = max(state.decrease, progress.highest - float(progress.recent[-1]))
    return Outcome.CONVERGED if gained <= max(tol * decrease, progress.noise) else None
