"""The refit: once held-out rows have judged a model, it is fitted to all rows, these included.

A run that ended at the optimum goes on from there, to the optimum of all rows. A run that was
stopped earlier is repeated on all rows for as many epochs as were kept, since no rows are left to
tell when to stop. If a path of alpha costs next to nothing, alpha is chosen again from all rows: if
they are few, a tenth more can change the choice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from gradstep.diagnostics.of_fits import INTERRUPTED, NOT_REFITTED
from gradstep.engine.records import Outcome
from gradstep.errors import Diverged
from gradstep.fit.alpha_trials import going_on
from gradstep.fit.run import start_of
from gradstep.optim.solvers import is_automatic

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.diagnostics.diagnostic import Note
    from gradstep.engine.records import EpochRecord
    from gradstep.engine.state import Problem, TrainState
    from gradstep.fit.alpha import Choice
    from gradstep.fit.plan import Plan
    from gradstep.fit.run import RunResult
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = [
    "Refit",
    "alpha_is_judged_by_held_out",
    "kept_epoch",
    "needs_one_array",
    "own_rows_are_held_out",
    "refitted",
]

# Bytes of rows that may be copied for the refit.
_MOST_BYTES = 1 << 30
_ENDED = {Outcome.OPTIMAL, Outcome.ROUNDING, Outcome.CONVERGED, Outcome.STALLED}


class Refit(NamedTuple):
    """The refit of a model, as it is reported.

    Attributes
    ----------
    rows : int
        Rows that the model was fitted to.
    epochs : int
        Epochs that it took.
    outcome : Outcome
        How it ended.
    alpha : float or None
        The strength of the penalty, if it was chosen again from all rows.
    """

    rows: int
    epochs: int
    outcome: Outcome
    alpha: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON."""
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
    """Tell whether the held-out rows are the table's own, not those of another one."""
    rows = prepared.meta["rows"]
    counted = rows["read"] - rows["dropped"] - rows.get("weightless", 0)
    return prepared.validation is not None and bool(counted == rows["train"] + rows["validation"])


def alpha_is_judged_by_held_out(prepared: PreparedTable) -> bool:
    """Tell whether the held-out rows differ in kind: they are later ones, or another table's."""
    if prepared.validation is None:
        return False
    return "time" in prepared.meta["asked"] or not own_rows_are_held_out(prepared)


def refitted(
    judged: RunResult,
    chosen: Plan,
    prepared: PreparedTable,
    train: Callable[[Plan, Dataset, TrainState], RunResult],
    kept: int,
    choose: Callable[[Dataset, TrainState], Choice] | None = None,
) -> tuple[RunResult | None, list[Note]]:
    """Fit to all rows; return the result, or None, and a note if it is not the model.

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
        Chooses alpha again, from rows and the best constant.
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
    copied = needs_one_array(problem, chosen.columns, one)
    if copied and (one.n + other.n) * one.rows.row_bytes() > _MOST_BYTES:
        return None, [
            NOT_REFITTED.note(
                "The model is that of the rows to train on: mini-batches over all rows would take "
                "a copy of them in memory, and they are too many."
            )
        ]
    with Together.of(one, other) as both:
        rows = together([one, other]) if copied else both
        start = start_of(problem, rows, at_constant=True)
        if goes_on:
            start = going_on(plan, judged.params, start)
        try:
            result = train(plan, rows, start)
        except Diverged as error:
            return None, [
                NOT_REFITTED.note(
                    "The model is that of the rows to train on: fitted to all, it diverged "
                    f"({error})"
                )
            ]
        except KeyboardInterrupt:
            result = replace(judged, outcome=Outcome.INTERRUPTED)
    if result.outcome is Outcome.INTERRUPTED:
        return result, [
            INTERRUPTED.note(
                "Interrupted while the model was fitted to all rows: it is that of the rows to "
                "train on."
            )
        ]
    return result, []


def needs_one_array(problem: Problem, columns: Columns | None, data: Dataset) -> bool:
    """Tell whether a run takes mini-batches, for which all rows must be in one array."""
    from gradstep.engine.automatic.choice import StepKind, rule_for  # imports Numba
    from gradstep.engine.automatic.scaled_problem import ScaledProblem

    if not is_automatic(problem.optimizer):
        return True
    assert columns is not None  # noqa: S101
    return rule_for(ScaledProblem(problem, data, columns)).kind is StepKind.VARIANCE_REDUCED
