"""How far a run has come, and whether there is any further to go.

For a quadratic objective, half the square of the next step's length in the metric of the Hessian
is how far the objective is above its least value. So the length at the start is taken from the
decrease since then, which costs no pass over the rows, and *optimality* is the one over the other.
Quasi-Newton steps may know the Hessian in part: what the last epochs gained must agree.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.records import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.state import AutomaticState, Snapshot

__all__ = ["how_it_ends", "is_narrow", "noise_of", "progressed", "proximal_length", "recent_epochs"]

_NUMBERS_END = 1e-14  # of the square root of the loss: steps in the metric below it are noise
_EXACTLY = 1e-11  # tol of the exact solution
_STALLS = 2  # epochs in a row that gain nothing, after which there is nothing to gain
_SHORTER = 0.9  # a step that shrinks no faster than that, while nothing is gained, is noise
_ROUNDING = 1e-14
_LITTLE = 1e-3  # of the decrease so far
_WINDOW = 10  # epochs whose gains tell how fast a run of quasi-Newton steps goes on,
_SLOWEST = 0.9  # and how little of the gains of one half of them the other may be thought to lose


def is_narrow(of: ScaledProblem, state: AutomaticState) -> bool:
    """Tell whether slopes are taken as near to each other as they need to be.

    What smoothing adds to the loss must be little beside what there is to gain.
    """
    smoothing = state.smoothing
    little = state.gap <= _LITTLE * state.decrease
    return smoothing.is_narrow(of) and (little or smoothing.is_narrowest(of))


def noise_of(state: AutomaticState, snapshot: Snapshot) -> float:
    """Return the decrease of the objective below which rounding hides it."""
    return _ROUNDING * _size_of_sums(state, snapshot)


def _size_of_sums(state: AutomaticState, snapshot: Snapshot) -> float:
    """Return the size of the numbers that the objective is a sum of.

    Where targets lie far from zero, so do scores, and their difference has lost digits.
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
        From where.
    inverse : ndarray of shape (k, q)
        Of the preconditioner.
    rate : float
        The longest safe step.
    """
    lines = of.standardisation.lines(snapshot.params)
    own = rate * inverse
    moved = lines - own * of.standardisation.gradient(snapshot.gradient)
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
    step = (moved - lines) / rate
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
        Length of the next step in the preconditioner's metric; NaN if it is not known.
    """
    progress, snapshot = state.progress, state.at
    objective = snapshot.true
    gained = progress.last - objective
    params, least = state.params, state.least
    if objective < least or (of.has_optimality and objective == least):
        least, params = objective, snapshot.params.copy()
    recent, highest = progress.recent, progress.highest
    if not state.rejected:  # not the least: the way may lead down from above the start
        recent = np.append(recent, objective)[-recent_epochs(of.problem.patience) :]
        highest = max(highest, objective)
    state = replace(state, params=params, least=least)
    noise = noise_of(state, snapshot)
    stalls, optimality = progress.stalls, math.nan
    nothing = gained <= noise
    if of.has_optimality and math.isnan(length):
        # There is no model's minimum to tell it by: what counts is the decrease.
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
                square = max(square, 2.0 * _still_to_gain(recent, noise))
            optimality = math.sqrt(square / (2.0 * decrease + square))
        else:
            optimality = 0.0
        shorter = math.isnan(progress.length) or length < _SHORTER * progress.length
        if not state.rejected:
            stalls = stalls + 1 if nothing and not shorter else 0
    return replace(
        state,
        progress=progress._replace(
            last=objective, highest=highest, gained=gained, noise=noise, stalls=stalls,
            length=length, optimality=optimality, recent=recent,
        ),
    )  # fmt: skip


def _knows_hessian(of: ScaledProblem, state: AutomaticState) -> bool:
    """Tell whether the preconditioner is a matrix of all that the Hessian is of."""
    return state.matrices is not None and state.matrices.hessian.shape[0] == of.pairs


def _still_to_gain(recent: NDArray[np.float64], noise: float) -> float:
    """Return what is still to be gained, if gains go on to shrink as they did.

    Without a matrix quasi-Newton steps know the Hessian along the last steps alone, and take what
    is left for little: where features are correlated, for a fiftieth.
    """
    half = min(recent.size - 1, _WINDOW) // 2
    if half < 1:
        return 0.0
    before, last = -np.diff(recent[[-1 - 2 * half, -1 - half, -1]])
    if not last > noise:
        return 0.0
    shrunk = min(last / before, _SLOWEST) if before > 0.0 else _SLOWEST
    return float(last * shrunk / (1.0 - shrunk))


def _tol_of(of: ScaledProblem) -> float | None:
    return _EXACTLY if of.is_exact else of.problem.tol


def how_it_ends(of: ScaledProblem, state: AutomaticState, *, narrow: bool) -> Outcome | None:
    """Return how the run ends, if it does.

    Parameters
    ----------
    of : ScaledProblem
        The problem.
    state : AutomaticState
        After an epoch.
    narrow : bool
        Whether kinks are smoothed as little as they need to be.
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
