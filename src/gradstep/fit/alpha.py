"""The strength of the penalty, chosen on validation rows along a path from strong to weak."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gradstep.engine.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradstep.engine.state import TrainState
    from gradstep.fit.plan import Plan
    from gradstep.fit.run import RunResult

__all__ = ["ALPHAS", "Choice", "choose_alpha"]

ALPHAS = tuple(10.0**-power for power in range(1, 8))
_EPOCHS = 20  # of a trial, at most
_WORSE = 2  # trials in a row after which weaker penalties will be worse, too


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes
    ----------
    plan : Plan
        With the penalty that was chosen.
    start : TrainState
        Where the run goes on from: the best of all trials.
    notes : list of str
        What a person should know.
    ended : RunResult or None
        The best so far, if there is to be no further run: the choice was interrupted.
    """

    plan: Plan
    start: TrainState
    notes: list[str]
    ended: RunResult | None = None


def choose_alpha(
    chosen: Plan,
    start: TrainState,
    penalty: Callable[[float], Any],
    train: Callable[[Plan, TrainState], RunResult],
) -> Choice:
    """Try one strength after the other, each trial from where the one before has ended.

    Parameters
    ----------
    chosen : Plan
        What is fixed, but for the penalty.
    start : TrainState
        Where the first trial starts from.
    penalty : callable
        Returns the penalty of a strength.
    train : callable
        Runs a plan from a state; its result has the score that decides.
    """
    trials: list[tuple[float, RunResult]] = []
    notes: list[str] = []
    most = min(_EPOCHS, chosen.problem.max_epochs)
    interrupted = False
    for alpha in ALPHAS:
        problem = replace(chosen.problem, penalty=penalty(alpha), max_epochs=most)
        try:
            result = train(replace(chosen, problem=problem), start)
        except KeyboardInterrupt:
            if not trials:
                raise
            interrupted = True
            break
        trials.append((alpha, result))
        notes += result.notes
        start = problem.start(*problem.split(result.params))
        # a rate that was brought down stays so
        chosen = replace(chosen, problem=replace(chosen.problem, schedule=result.problem.schedule))
        interrupted = result.outcome is Outcome.INTERRUPTED
        scores = [each.score for _, each in trials]
        if interrupted or (len(trials) > _WORSE and max(scores[-_WORSE:]) < max(scores[:-_WORSE])):
            break
    alpha, best = max(trials, key=lambda trial: trial[1].score)
    problem = replace(chosen.problem, penalty=penalty(alpha))
    chosen = replace(chosen, problem=problem)
    start = problem.start(*problem.split(best.params))
    start = replace(start, best_params=best.params, best_score=best.score)
    if interrupted:
        notes.append("Interrupted while alpha was being chosen: it is the best so far.")
        return Choice(chosen, start, notes, replace(best, outcome=Outcome.INTERRUPTED))
    tried = ", ".join(f"{each:g} ({-result.score:.6g})" for each, result in trials)
    notes.append(
        f"alpha={alpha:g} was chosen on the validation rows (loss {-best.score:.6g}), of {tried}."
    )
    return Choice(chosen, start, notes)
