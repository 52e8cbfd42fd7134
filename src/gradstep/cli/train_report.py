"""What ``gradstep train`` tells: the plan before it trains, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from gradstep.cli import report
from gradstep.compiling import NOTICED
from gradstep.diagnostics.of_models import NO_STANDARD_ERRORS
from gradstep.figures import count
from gradstep.model.coefficients import coefficients, importance, in_words, points_of_curves
from gradstep.model.intervals import of_errors, wald_by_column, with_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from gradstep.cli.progress import Progress
    from gradstep.engine.callbacks import Start
    from gradstep.engine.checkpoint import Checkpoint
    from gradstep.fit.table import TableFit
    from gradstep.fit.table_plan import TablePlan

__all__ = ["TrainReport"]

_SHOWN = 10


@dataclass(frozen=True)
class _AtStart:
    """Lets a report tell what is known when a run starts."""

    report: TrainReport

    def on_start(self, _start: Start) -> None:
        """Tell it."""
        self.report.tell_start()


@dataclass
class TrainReport:
    """What a run of ``train`` tells, for people or as JSON.

    Parameters
    ----------
    path : Path
        Where the model is written.
    progress : Progress
        The bar, which makes room.
    kept : sequence of Checkpoint
        The checkpoint, if there is one.
    json : bool
        Whether machines read it.
    dry_run : bool
        Whether the plan is all that is wanted.
    page : Path, optional
        Where a report is written.
    """

    path: Path
    progress: Progress
    kept: Sequence[Checkpoint]
    json: bool
    dry_run: bool
    page: Path | None = None
    _told_where: bool = False

    def on_plan(self, plan: TablePlan) -> None:
        """Print what is going to be done, and stop here if no more is wanted."""
        plan = self._with_model(plan)
        if not self.json:
            with self.progress.aside():
                report.tell_plan(report.console(), plan)
            self.progress.waiting("training")
        elif self.dry_run:
            report.print_json({"plan": plan.to_json()})
        if self.dry_run:
            raise typer.Exit

    @property
    def at_start(self) -> _AtStart:
        """A callback that prints where the run goes on from, before it does."""
        return _AtStart(self)

    def tell_start(self) -> None:
        """Print where the run goes on from, if it does."""
        if not self.json and not self._told_where:
            with self.progress.aside():
                self._tell_where()
            self.progress.waiting("training")

    def _tell_where(self) -> None:
        for checkpoint in self.kept:
            if checkpoint.went_on and not self._told_where:
                report.prose(report.console(), "Goes on", checkpoint.went_on)
        self._told_where = True

    def on_fit(self, fit: TableFit, tested: dict[str, Any] | None) -> None:
        """Print what came of it, and how good it is on the rows held out and of a test."""
        if self.json:
            self._print_json(fit, tested)
        else:
            self._print(fit, tested)

    def _with_model(self, plan: TablePlan) -> TablePlan:
        page = {} if self.page is None else {"report": str(self.page)}
        return replace(plan, writes={"model": str(self.path), **page, **plan.writes})

    def _print_json(self, fit: TableFit, tested: dict[str, Any] | None) -> None:
        meta = fit.prepared.meta
        report.print_json({
            "model": str(self.path),
            "report": None if self.page is None else str(self.page),
            "source": meta["source"],
            "rows": meta["rows"],
            "target": meta["target"],
            "loss": repr(fit.model.loss),
            "columns": fit.prepared.encoding.to_json()["columns"],
            "alpha": None if fit.alpha is None else fit.alpha.to_json(),
            "epochs": len(fit.history),
            "kept_epoch": fit.kept_epoch,
            "history": [record._asdict() for record in fit.history],
            "outcome": fit.outcome.name.lower(),
            "excess": fit.history[-1].excess if fit.history else None,
            "refit": None if fit.refit is None else fit.refit.to_json(),
            "seconds": fit.seconds,
            "validation": fit.validation,
            "baseline": fit.baseline,
            "folds": fit.folds,
            "test": tested,
            "importance": importance(fit.model),
            "coefficients": with_errors(fit.model, coefficients(fit.model, 10 * _SHOWN)),
            "tests": wald_by_column(fit.model),
            "curves": points_of_curves(fit.model),
            "intercept": fit.model.intercept_.tolist(),
            "notes": fit.notes,
            "plan": self._with_model(fit.plan).to_json(),
            "checkpoint": str(self.kept[0].path) if self.kept else None,
            "went_on": self.kept[0].went_on if self.kept else "",
        })  # fmt: skip

    def _print(self, fit: TableFit, tested: dict[str, Any] | None) -> None:
        to = report.console()
        self._tell_where()  # of a run that had ended, nothing started
        _tell_training(to, fit)
        report.print_notes(to, [note for note in fit.notes if note not in fit.plan.notes])
        _tell_refit(to, fit)
        if fit.validation:
            to.print(report.metrics_table(fit.model, fit.validation, fit.baseline))
        if tested is not None:
            to.print(report.metrics_table(fit.model, tested, tested["baseline"], "of the test"))
        if fit.folds:
            to.print(report.folds_table(fit.model.loss, fit.folds))
        report.tell_importance(to, importance(fit.model))
        report.tell_curves(to, fit.model)
        largest = coefficients(fit.model, _SHOWN, references=False, curves=False)
        report.prose(
            to, "Coefficients",
            "the most important, in the columns' own units" + of_errors(fit.model),
        )  # fmt: skip
        for entry in with_errors(fit.model, largest):
            to.print(f"  {escape(in_words(fit.model, entry))}")
        told = any(note.code == NO_STANDARD_ERRORS.code for note in fit.notes)
        if not told and fit.model.provenance["batch_size"] != "auto":  # of a textbook optimizer
            report.tell_no_errors(to, fit.model)
        report.prose(to, "Model", str(self.path))
        if self.page is not None:
            report.prose(to, "Report", str(self.page))
        for checkpoint in self.kept:
            if fit.outcome.name == "INTERRUPTED":
                report.prose(to, "Checkpoint", f"{checkpoint.path}: --resume goes on from it")


def _tell_training(to: Console, fit: TableFit) -> None:
    """Print how strong the penalty is, and how the run went."""
    if fit.alpha is not None:
        report.prose(to, "Chosen", f"alpha {fit.alpha.value:g}, {fit.alpha.in_words}")
    kept = ""
    if fit.kept_epoch < len(fit.history):
        kept = f" Epoch {fit.kept_epoch} is kept: the rows held out are predicted best by it."
    epochs = count(len(fit.history), "epoch", "epochs")
    report.prose(
        to, "Training",
        f"{epochs} in {fit.seconds['training']:.2f} s, after {_before(fit.seconds)}. "
        f"{fit.outcome.in_short}{report.excess(fit)}{kept}",
    )  # fmt: skip


def _tell_refit(to: Console, fit: TableFit) -> None:
    """Print how the model was fitted to all rows, if it was."""
    if fit.refit is not None:
        anew = "" if fit.refit.alpha is None else f" which choose alpha {fit.refit.alpha:g},"
        report.prose(
            to, "Refit",
            f"to all {fit.refit.rows:,} rows,{anew} in "
            f"{count(fit.refit.epochs, 'epoch', 'epochs')}. This model is written; the rows held "
            "out judge the one before they went into it:",
        )  # fmt: skip


def _before(seconds: Mapping[str, float]) -> str:
    """Return what training came after.

    Examples
    --------
    >>> _before({"preparing": 1.234, "compiling": 9.5})
    '1.23 s of preparing and 9.5 s of compiling, once'
    """
    compiling = seconds["compiling"]
    once = f" and {compiling:.1f} s of compiling, once" if compiling >= NOTICED else ""
    return f"{seconds['preparing']:.2f} s of preparing{once}"
