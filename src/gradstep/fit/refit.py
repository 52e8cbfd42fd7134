"""The model that is written: once it has been judged, it is fitted to the rows held out, too.

A run that ended at the optimum goes on from there, to that of all rows. One that was stopped before
it is repeated on all rows for as many epochs as were kept: what told when to stop is among them.
Where a path of alpha costs next to nothing, all rows choose it anew: of few, a tenth more may tell.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from gradstep.engine.records import Outcome
from gradstep.errors import Diverged
from gradstep.fit.alpha_trials import going_on
from gradstep.fit.run import start_of
from gradstep.optim.solvers import is_automatic

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.engine.records import EpochRecord
    from gradstep.engine.state import Problem, TrainState
    from gradstep.fit.alpha import Choice
    from gradstep.fit.plan import Plan
    from gradstep.fit.run import RunResult
    from gradstep.rows.dataset import Dataset

__all__ = ["Refit", "kept_epoch", "own_rows_are_held_out", "refitted"]

_MOST_BYTES = 1 << 30  # of rows that are copied
_ENDED = {Outcome.OPTIMAL, Outcome.ROUNDING, Outcome.CONVERGED, Outcome.STALLED}


class Refit(NamedTuple):
    """What became of the refit.

    Attributes
    ----------
    rows : int
        Rows that the model was fitted to.
    epochs : int
        Epochs that it took.
    outcome : Outcome
        How it ended.
    alpha : float or None
        How strong the penalty is, if that was chosen anew by all rows.
    """

    rows: int
    epochs: int
    outcome: Outcome
    alpha: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {**self._asdict(), "outcome": self.outcome.name.lower()}


def kept_epoch(records: list[EpochRecord]) -> int:
    """Return the number of the epoch with the best score, the last without scores; 0 for none.

    Examples
    --------
    >>> from gradstep.engine.records import Epoch, EpochRecord
    >>> scores = [-2.0, -1.0, -1.5]
    >>> kept_epoch(
    ...     [EpochRecord.of(i + 1, Epoch(0.0, 1.0, 9), s, 1.0) for i, s in enumerate(scores)]
    ... )
    2
    """
    scored = [record for record in records if record.validation is not None]
    if not scored:
        return len(records)
    return max(scored, key=lambda record: (record.validation, -record.epoch)).epoch


def own_rows_are_held_out(prepared: PreparedTable) -> bool:
    """Tell whether rows of the table itself are held out, not those of another one."""
    rows = prepared.meta["rows"]
    counted = rows["read"] - rows["dropped"] - rows.get("weightless", 0)
    return prepared.validation is not None and bool(counted == rows["train"] + rows["validation"])


def refitted(
    judged: RunResult,
    chosen: Plan,
    prepared: PreparedTable,
    train: Callable[[Plan, Dataset, TrainState], RunResult],
    kept: int,
    choose: Callable[[Dataset, TrainState], Choice] | None = None,
) -> tuple[RunResult | None, str]:
    """Fit to all rows; return what came of it, and a note if nothing did.

    Parameters
    ----------
    judged : RunResult
        The run on the rows to train on.
    chosen : Plan
        What was fixed for it.
    prepared : PreparedTable
        All rows.
    train : callable
        Runs a plan on rows from a state.
    kept : int
        The epoch whose parameters were judged.
    choose : callable, optional
        Chooses alpha anew, from rows and the best constant.
    """
    from gradstep.engine.parts import Together, together  # imports Numba

    one, other = prepared.train, prepared.validation
    assert other is not None  # noqa: S101
    problem = judged.problem
    goes_on = judged.outcome in _ENDED and kept == len(judged.records)
    goes_on = goes_on and is_automatic(problem.optimizer)
    if not goes_on:
        problem = replace(problem, max_epochs=max(kept, 1))
    if choose is not None:
        rows = together([one, other])
        choice = choose(rows, start_of(problem, rows, at_constant=True))
        problem = replace(problem, penalty=choice.plan.problem.penalty)
    plan = replace(chosen, problem=problem)
    copied = _needs_a_copy(plan, one)
    if copied and (one.n + other.n) * one.rows.row_bytes() > _MOST_BYTES:
        return None, (
            "The model is that of the rows to train on: mini-batches over all rows would take a "
            "copy of them in memory, and they are too many."
        )
    with Together.of(one, other) as both:
        rows = together([one, other]) if copied else both
        start = start_of(problem, rows, at_constant=True)
        if goes_on:
            start = going_on(plan, judged.params, start)
        try:
            result = train(plan, rows, start)
        except Diverged as error:
            return None, (
                f"The model is that of the rows to train on: fitted to all, it diverged ({error})"
            )
        except KeyboardInterrupt:
            result = replace(judged, outcome=Outcome.INTERRUPTED)
    if result.outcome is Outcome.INTERRUPTED:
        return result, (
            "Interrupted while the model was fitted to all rows: it is that of the rows to train "
            "on."
        )
    return result, ""


def _needs_a_copy(plan: Plan, data: Dataset) -> bool:
    """Tell whether a run takes mini-batches, for which rows must lie in one place."""
    from gradstep.engine.automatic.choice import StepKind, rule_for  # imports Numba
    from gradstep.engine.automatic.scaled_problem import ScaledProblem

    problem: Problem = plan.problem
    if not is_automatic(problem.optimizer):
        return True
    assert plan.columns is not None  # noqa: S101
    return rule_for(ScaledProblem(problem, data, plan.columns)).kind is StepKind.VARIANCE_REDUCED
