"""Chooses alpha, the strength of the penalty, by the loss of rows that its models have not seen.

Strengths are tried from strong to weak, each run starting from the optimum of the one before
(`gradstep.engine.automatic.penalty_path`), as long as the loss falls; then some next to the best.
`gradstep.fit.alpha_trials` decides which rows judge them. Reasons and measurements: docs/adr/0021.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.diagnostics.of_fits import ALPHA_AT_EDGE
from gradstep.figures import number
from gradstep.fit.alpha_trials import Interrupted, going_on, has_l1, trials_of, with_penalty

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.engine.state import Problem, TrainState
    from gradstep.fit.plan import Plan
    from gradstep.fit.run import RunResult
    from gradstep.rows.dataset import Dataset

    Train = Callable[[Plan, Dataset, TrainState], RunResult]

__all__ = ["Choice", "ChosenAlpha", "choose_alpha"]

# Ratio of neighbouring strengths.
_STEP = 10.0
# Steps from the first strength to the weakest, and to the strongest, at most.
_WEAKEST, _STRONGEST = 10, 4
# The path ends after so many strengths in a row that are worse than the best.
_WORSE = 2
# It also ends if they gain no more than this share of the loss.
_FLAT = 1e-4
# A stronger penalty is as good as the best if its loss is higher by no more than this share.
_AS_GOOD = 5e-4
# Share of the highest loss below which classes are predicted nearly without an error.
_SURE = 0.05


class ChosenAlpha(NamedTuple):
    """How strong the penalty is, and how that was chosen.

    Attributes
    ----------
    value : float
        The strength.
    judge : str
        Which rows decided, in words.
    losses : dict
        The mean loss of the rows held out for each strength that was tried, the strongest first.
    is_quick : bool
        Whether the choice cost next to nothing.
    """

    value: float
    judge: str
    losses: Mapping[float, float]
    is_quick: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON; the losses as a list of pairs, since keys must be text there."""
        return {"value": self.value, "judge": self.judge, "losses": list(self.losses.items())}

    @property
    def in_words(self) -> str:
        """How it was chosen, for people."""
        edge = f", the {self.edge} of them" if self.edge else ""
        return (
            f"chosen by {self.judge} (loss {number(self.losses[self.value], 5)}) from "
            f"{max(self.losses):g} to {min(self.losses):g}{edge}"
        )

    @property
    def edge(self) -> str:
        """Which end of the strengths that were tried it is, if it is one."""
        weakest, strongest = min(self.losses), max(self.losses)
        if weakest == strongest:
            return ""
        return {strongest: "strongest", weakest: "weakest"}.get(self.value, "")

    def notes(self, *, of_classes: bool, given_away: bool) -> list[Note]:
        """Return a note, if it is the strongest or the weakest that was tried.

        Parameters
        ----------
        of_classes : bool
            Whether classes are predicted.
        given_away : bool
            Whether columns may give the target away, or the classes can be separated.
        """
        if not self.edge:
            return []
        nearly_sure = self.losses[self.value] < _SURE * max(self.losses.values())
        why = "perhaps none is needed"
        if self.edge == "strongest":
            why = "the columns hardly tell"
        elif given_away or (of_classes and nearly_sure):
            why = (
                "hardly an error is left that it could make smaller. Look first whether a column "
                "gives the target away (GS001)"
            )
        return [
            ALPHA_AT_EDGE.note(
                f"Alpha {self.value:g} is the {self.edge} of those that were tried: {why}."
            )
        ]


@dataclass(frozen=True)
class Choice:
    """The choice of alpha, and how to go on.

    Attributes
    ----------
    plan : Plan
        The plan with the chosen penalty.
    start : TrainState
        Where the run begins.
    alpha : ChosenAlpha or None
        What was chosen; None if there were no rows to choose by.
    ended : RunResult or None
        If the choice was interrupted: its best run so far. No other run follows.
    """

    plan: Plan
    start: TrainState
    alpha: ChosenAlpha | None = None
    ended: RunResult | None = None


def choose_alpha(
    chosen: Plan,
    data: Dataset,
    start: TrainState,
    penalty: Callable[[float], Any],
    train: Train,
    held_out: Dataset | None = None,
) -> Choice:
    """Choose the strength of the penalty of a problem that the automatic method solves.

    Parameters
    ----------
    chosen : Plan
        What is fixed except the penalty.
    data : Dataset
        The rows to train on, in random order.
    start : TrainState
        The best constant.
    penalty : callable
        Returns the penalty of a strength.
    train : callable
        Runs a plan on rows from a state; for trials that may take long.
    held_out : Dataset, optional
        Other rows, which decide if they are given.
    """
    trials = trials_of(chosen, data, start, penalty, train, held_out)
    first = 0.0 if trials is None else _first_strength(chosen.problem, data, start, penalty)
    if trials is None or first == 0.0:
        return Choice(chosen, start)
    search = _Search(trials, first)
    try:
        search.weaker()
        if not has_l1(penalty):  # with l1 all weights are zero at the first strength and above
            search.stronger()
        search.between(0.5)
        if trials.is_least_squares:
            search.between(0.25)
    except Interrupted:
        alpha, best = trials.best()
        return Choice(with_penalty(chosen, penalty(alpha)), start, ended=best)
    losses = search.losses
    alpha = _strongest_of_the_best(losses)
    losses = dict(sorted(losses.items(), reverse=True))
    known = ChosenAlpha(alpha, trials.judge, losses, trials.is_quick)
    plan = with_penalty(chosen, penalty(alpha))
    params = trials.params(alpha)
    if params is not None:
        start = going_on(plan, params, start)
    return Choice(plan, start, known)


def _first_strength(
    problem: Problem, data: Dataset, start: TrainState, penalty: Callable[[float], Any]
) -> float:
    """Return a strength that is probably too strong, from the gradient at the best constant.

    With l1 all weights are zero if the strength is at least the gradient's largest number. With l2
    a single weight is at most that number divided by the strength, in units of scores.
    """
    from gradstep.engine.row_sums import RowSums  # imports Numba
    from gradstep.rows.dataset import score_unit

    with RowSums(data, problem.n_outputs) as row_sums:
        gradient = row_sums.gradient(problem.loss, start.current())[1]
    each = np.abs(problem.split(gradient)[0])
    if problem.penalty_scales is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            each = each / problem.penalty_scales
    each = each[np.isfinite(each)]
    largest = float(each.max(initial=0.0))
    l1 = penalty(1.0).strengths()[0]
    found = largest / l1 if l1 else largest / score_unit(problem.loss, data)
    return _rounded(found) if l1 or not found > 0.0 else _STEP ** math.ceil(math.log10(found))


def _rounded(alpha: float) -> float:
    """Return a number rounded to two digits."""
    return float(f"{alpha:.1e}")


class _Search:
    """Tries strengths, by steps of ten from the first."""

    def __init__(self, trials: Any, first: float) -> None:
        self._trials, self._first = trials, first
        self._at: dict[float, float] = {}

    def alpha(self, k: float) -> float:
        """Return the strength that is `k` steps weaker than the first."""
        return _rounded(self._first / _STEP**k)

    @property
    def losses(self) -> dict[float, float]:
        """The loss of each strength that was tried."""
        return {self.alpha(k): loss for k, loss in self._at.items()}

    @property
    def _best(self) -> float:
        return min(self._at, key=lambda k: (self._at[k], k))

    def _tries(self, k: float) -> float:
        found = self._trials.loss(self.alpha(k))
        self._at[k] = found if math.isfinite(found) else math.inf
        return self._at[k]

    def weaker(self) -> None:
        """Try weaker strengths until some in a row are worse, or gain nothing."""
        for step in range(_WEAKEST + 1):
            if step and self.alpha(step) < self._trials.weakest:
                return
            gained = self._at.get(step - _WORSE, math.inf) - self._tries(step)
            flat = step > _WORSE and gained <= _FLAT * abs(self._at[0])
            if flat or step - self._best >= _WORSE:
                return

    def stronger(self) -> None:
        """Try stronger strengths while the strongest is the best."""
        strongest = 0
        while self._at and self._best == strongest > -_STRONGEST:
            strongest -= 1
            self._tries(strongest)

    def between(self, width: float) -> None:
        """Try the two strengths `width` steps from the best, if they lie within the path."""
        middle = self._best
        for k in (middle - width, middle + width):
            if min(self._at) < k < max(self._at) and self._at[middle] < math.inf:
                self._tries(k)


def _strongest_of_the_best(losses: Mapping[float, float]) -> float:
    """Return the strongest of the strengths that are as good as the best."""
    least = min(losses.values())
    enough = least + _AS_GOOD * abs(least) if math.isfinite(least) else least
    return max(alpha for alpha, loss in losses.items() if loss <= enough)
