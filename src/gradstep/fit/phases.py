"""The phases of a fit to a table: choose alpha, train and judge, refit to all rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gradstep.diagnostics.of_fits import INTERRUPTED
from gradstep.engine.records import Outcome
from gradstep.engine.state import Validation
from gradstep.errors import Diverged
from gradstep.fit.alpha import choose_alpha
from gradstep.fit.components import penalty_of
from gradstep.fit.identity import checkpointed
from gradstep.fit.plan import is_auto, plan
from gradstep.fit.refit import (
    Refit,
    alpha_is_judged_by_held_out,
    kept_epoch,
    own_rows_are_held_out,
    refitted,
)
from gradstep.fit.run import run, start_of
from gradstep.fit.unused import notes_of_unused
from gradstep.optim.solvers import is_automatic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.diagnostics.diagnostic import Note
    from gradstep.engine.state import Problem, TrainState
    from gradstep.fit.alpha import Choice, ChosenAlpha
    from gradstep.fit.plan import Plan, Settings
    from gradstep.fit.run import RunResult
    from gradstep.rows.dataset import Dataset

__all__ = ["Phases", "fit_in_phases"]


@dataclass(frozen=True)
class Phases:
    """The results of the phases.

    Attributes
    ----------
    judged : RunResult
        The run on the rows to train on, whose parameters the held-out rows judge.
    kept : int
        The epoch of that run whose parameters were kept.
    params : ndarray of shape (size,)
        The model's parameters; of the refit, if there was one.
    problem : Problem
        The problem that they solve.
    outcome : Outcome
        How the run ended; interrupted, if any phase was.
    notes : list of Note
        What a person should know.
    alpha : ChosenAlpha or None
        The strength of the penalty, if it was chosen.
    refit : Refit or None
        The refit, if there was one.
    constant : ndarray of shape (k,) or None
        The scores of the best constant prediction of the rows that were judged, if they are known.
    """

    judged: RunResult
    kept: int
    params: NDArray[np.float64]
    problem: Problem
    outcome: Outcome
    notes: list[Note] = field(default_factory=list)
    alpha: ChosenAlpha | None = None
    refit: Refit | None = None
    constant: NDArray[np.float64] | None = None


def fit_in_phases(
    prepared: PreparedTable, loss: Any, settings: Settings, callbacks: Sequence[Any], *,
    choose: bool, refit: bool, asked: Mapping[str, Any],
) -> Phases:  # fmt: skip
    """Choose alpha, if that is asked for, train, and refit; Ctrl-C keeps the best so far.

    Parameters
    ----------
    prepared : PreparedTable
        The rows.
    loss, settings
        What is fixed.
    callbacks : sequence of Callback
        Called in each run.
    choose : bool
        Whether alpha is chosen, if it can be.
    refit : bool
        Whether the model is fitted to the held-out rows, too, once they have judged it.
    asked : mapping
        The parameters that a resumed fit is recognised by.
    """
    from gradstep.rows.statistics import Columns  # imports Numba

    data, k, held_out = prepared.train, prepared.target.n_outputs, prepared.validation
    chosen = plan(settings, loss, data, k, stored_in=prepared.encoding.stored_in())
    chosen = replace(
        chosen, columns=chosen.columns or Columns.unmeasured(chosen.problem.n_features)
    )
    automatic = is_automatic(chosen.problem.optimizer)
    choose = choose and automatic and isinstance(settings.penalty, str)

    def penalty(alpha: float) -> Any:
        return penalty_of(settings.penalty, {"alpha": alpha, "l1_ratio": settings.l1_ratio})

    def again(rows: Dataset, start: TrainState) -> Choice:
        return choose_alpha(chosen, rows, start, penalty, train)

    def train(
        chosen: Plan, data: Dataset, start: TrainState, validation: Validation | None = None
    ) -> RunResult:
        try:
            result = run(
                chosen, data, start, validation=validation, callbacks=callbacks,
                may_restart=is_auto(settings.learning_rate) or settings.learning_rate == "adaptive",
                keep_interrupted=True,
            )  # fmt: skip
        except Diverged as error:
            msg = (
                f"Training diverged in epoch {error.epoch}: the steps of "
                f"{chosen.problem.schedule!r} are too long for this table. Use another learning "
                "rate: 'auto' follows from the data, a number is constant."
            )
            raise Diverged(msg, epoch=error.epoch) from error
        if result.outcome is Outcome.INTERRUPTED and result.state is None:  # by an exception
            INTERRUPTED.warn(
                "Interrupted: the fit has ended, and its model is the best until then (`outcome` "
                "says so, too)."
            )
        return result

    start = start_of(chosen.problem, data, at_constant=True)
    constant = start.start[-k:].copy() if chosen.problem.fit_intercept else None
    files = prepared.meta["fingerprint"]
    with checkpointed(callbacks, asked, settings.seed, data, held_out, start.start, files):
        alpha = None
        if choose:
            judges = held_out if alpha_is_judged_by_held_out(prepared) else None
            choice = choose_alpha(chosen, data, start, penalty, train, judges)
            if choice.ended is not None:
                note = INTERRUPTED.note(
                    "Interrupted while alpha was being chosen: it is the best so far."
                )
                ended = choice.ended
                kept = len(ended.records)
                notes = [*ended.notes, note]
                return Phases(ended, kept, ended.params, ended.problem, ended.outcome, notes)
            chosen, start, alpha = choice.plan, choice.start, choice.alpha
        # The automatic method goes to the optimum of the objective that was asked for, of which
        # standard errors are: held-out rows neither stop it nor choose another epoch. If it ends
        # elsewhere (no optimum, no more epochs), and no alpha was chosen, they do.
        validation = None
        if held_out is not None:
            validation = Validation(
                held_out, stops=not automatic, keeps=alpha is None, keeps_optimum=automatic
            )
        judged = train(chosen, data, start, validation)
        last = validation is not None and validation.takes_last(judged.outcome)
        kept = len(judged.records) if last or alpha is not None else kept_epoch(judged.records)
        unused = notes_of_unused(settings, chosen.problem.optimizer, judged.records)
        notes = [*judged.notes, *_notes_of(judged), *unused]
        found = Phases(
            judged, kept, judged.params, judged.problem, judged.outcome, notes, alpha,
            constant=constant,
        )  # fmt: skip
        if not refit or judged.outcome is Outcome.INTERRUPTED:
            return found
        return _refitted(found, chosen, prepared, train, again)


def _refitted(
    found: Phases, chosen: Plan, prepared: PreparedTable,
    train: Callable[[Plan, Dataset, TrainState], RunResult],
    again: Callable[[Dataset, TrainState], Choice],
) -> Phases:  # fmt: skip
    """Fit to all rows, if any of the table's own are held out."""
    if not own_rows_are_held_out(prepared):
        return found
    anew = found.alpha is not None and found.alpha.is_quick and "time" not in prepared.meta["asked"]
    choose = again if anew else None
    result, more = refitted(found.judged, chosen, prepared, train, found.kept, choose)
    notes = [*found.notes, *more]
    if result is None:
        return replace(found, notes=notes)
    if result.outcome is Outcome.INTERRUPTED:
        return replace(found, outcome=result.outcome, notes=notes)
    assert prepared.validation is not None  # noqa: S101
    rows = prepared.train.n + prepared.validation.n
    strength = getattr(result.problem.penalty, "alpha", None) if anew else None
    done = Refit(rows, len(result.records), result.outcome, strength)
    return replace(found, params=result.params, problem=result.problem, notes=notes, refit=done)


def _notes_of(result: RunResult) -> list[Note]:
    return [
        note.reworded(f"Epoch {record.epoch}: {note.text}.")
        for record in result.records
        for note in record.notes
    ]
