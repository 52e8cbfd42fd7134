"""The plan of a fit to a table, in words, made before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from gradstep.data.features.in_words import (
    ColumnInWords,
    columns_in_words,
    features_in_words,
    rows_in_words,
)
from gradstep.data.roles import Offset, Target, written
from gradstep.diagnostics.diagnostic import notes_of
from gradstep.figures import count, number
from gradstep.fit.plan import batch_size_of, checked_optimizer, is_auto
from gradstep.fit.refit import alpha_is_judged_by_held_out
from gradstep.optim.solvers import Exact, is_automatic
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.diagnostics.diagnostic import Note
    from gradstep.engine.checkpoint import Checkpoint
    from gradstep.fit.column_constraints import ConstraintsOnColumns
    from gradstep.fit.plan import Settings

__all__ = ["TablePlan", "plan", "table_plan"]

_FEW_CLASSES, _FEW_NUMBERS = 10, 10


@dataclass(frozen=True)
class TablePlan:
    """What a fit to a table is going to do; `print` shows it in words.

    Attributes
    ----------
    source : str
        The table.
    target : Target
        What is predicted: a `column`, and its `classes`, which are None for a number.
    rows : dict
        Numbers of rows: "read", "dropped" for want of a target, to "train" on, held out for
        "validation".
    columns : list of (column, became, detail)
        What each column becomes; columns that are left out come last.
    n_features : int
        Number of features of all columns.
    loss : Loss
        What is minimised.
    penalty : str
        The penalty and its strength.
    words : dict
        Target, offset or exposure, weights, loss and its reason, penalty and method in words, by
        their headings.
    writes : dict
        What is written, and where: "prepared table", "checkpoint"; on the command line "model".
    notes : list of Note
        What was noticed while the table was read.
    """

    source: str
    target: Target
    rows: Mapping[str, int]
    columns: list[ColumnInWords]
    n_features: int
    loss: Any
    penalty: str
    words: Mapping[str, str]
    writes: Mapping[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    @property
    def used(self) -> list[str]:
        """The columns that become features."""
        return [each.column for each in self.columns if each.became != "left out"]

    @property
    def in_files(self) -> str:
        """What is written, in words."""
        return ", ".join(f"{what} {where}" for what, where in self.writes.items())

    def to_json(self) -> dict[str, Any]:
        """Return all of it in types of JSON."""
        return {
            "source": self.source,
            "rows": dict(self.rows),
            "target": self.target.to_json(),
            "columns": [each._asdict() for each in self.columns],
            "features": self.n_features,
            "loss": repr(self.loss),
            "penalty": self.penalty,
            "words": dict(self.words),
            "writes": dict(self.writes),
            "notes": self.notes,
        }

    def __repr__(self) -> str:
        rows, features = count(self.rows["train"], "row", "rows"), f"{self.n_features:,} features"
        return (
            f"<TablePlan: {self.source}, {rows} to train on, {features} → {self.target.column}; "
            f"{_bare(self.loss)}, {self.penalty}>"
        )

    def __str__(self) -> str:
        width = max((len(each.column) for each in self.columns), default=0)
        lines = [f"Table     {self.source}", f"Rows      {rows_in_words(self.rows)}"]
        lines += [f"Columns   {self.columns_in_short}"]
        lines += [f"  {name:{width}}  {became:8}  {more}" for name, became, more in self.columns]
        lines += [f"{head:8}  {text}" for head, text in self.words.items()]
        lines += [f"Writes    {self.in_files}"] if self.writes else []
        return "\n".join([*lines, *(note.labelled() for note in self.notes)])

    @property
    def columns_in_short(self) -> str:
        """How many columns are used, and what they become."""
        return features_in_words(self.columns, self.n_features)


def table_plan(
    prepared: PreparedTable,
    loss: Any,
    settings: Settings,
    *,
    asked_loss: Any,
    alpha: float | str,
    constraints: ConstraintsOnColumns,
    checkpoint: Checkpoint | None = None,
) -> TablePlan:
    """Return what a fit is going to do.

    Parameters
    ----------
    prepared : PreparedTable
        The table.
    loss : Loss
        What is minimised.
    settings : Settings
        How it is minimised.
    asked_loss : str, Loss or None
        The loss as the user gave it.
    alpha : float or "auto"
        Alpha as the user gave it.
    constraints : ConstraintsOnColumns
        The constraints on coefficients.
    checkpoint : Checkpoint, optional
        What saves the run.
    """
    meta = prepared.meta
    optimizer = checked_optimizer(settings, loss)
    chooses = is_auto(alpha) and is_automatic(optimizer) and isinstance(settings.penalty, str)
    apart = alpha_is_judged_by_held_out(prepared)
    chosen = "chosen by the rows held out" if apart else "chosen within the training rows"
    penalty = _penalty(settings, chosen if chooses else "")
    writes = {} if prepared.folder is None else {"prepared table": str(prepared.folder)}
    if checkpoint is not None:
        writes["checkpoint"] = str(checkpoint.path)
    return TablePlan(
        meta["source"], prepared.target, meta["rows"],
        columns_in_words(prepared.encoding, meta["columns"]), prepared.encoding.n_features,
        loss, penalty,
        {
            "Target": _target(prepared.target, meta["target"]),
            **_per_row(meta["asked"], loss),
            "Loss": f"{_bare(loss)}, {_why(asked_loss, prepared)}",
            "Penalty": penalty,
            **({"Constraints": constraints.in_words()} if constraints else {}),
            "Method": _method(
                settings, optimizer, meta["rows"]["train"],
                keeps=prepared.validation is not None and not chooses,
            ),
        },
        writes, notes_of(meta["warnings"]),
    )  # fmt: skip


def _bare(component: Any) -> str:
    """Return a component as it is written, without empty brackets."""
    return repr(component).replace("()", "")


def _target(target: Target, known: Mapping[str, Any]) -> str:
    if target.classes is None:
        low, high, mean = (number(known[name]) for name in ("low", "high", "mean"))
        return f"{target.column}, a number from {low} to {high}, mean {mean}"
    names = ", ".join(map(written, target.classes[:_FEW_CLASSES]))
    more = ", …" if len(target.classes) > _FEW_CLASSES else ""
    return f"{target.column}, one of {len(target.classes):,} classes: {names}{more}"


def _per_row(asked: Mapping[str, Any], loss: Any) -> dict[str, str]:
    """Return which columns say something of their rows alone, and what that does."""
    found, shift = {}, Offset.of(asked.get("offset"), asked.get("exposure"))
    if shift is not None:
        is_log = hasattr(loss, "inverse_link")
        found["Exposure" if shift.is_exposure else "Offset"] = shift.in_words(is_log=is_log)
    if asked.get("weight") is not None:
        found["Weights"] = f"{asked['weight']}, how often each row counts"
    return found


def _why(asked_loss: Any, prepared: PreparedTable) -> str:
    """Return why the loss is what it is."""
    target, task = prepared.target, prepared.meta["asked"].get("task", "auto")
    if asked_loss is not None:
        return "as asked for"
    if task != "auto":
        return f"for {task}, as asked for"
    if target.classes is None:
        why = "as the target is a number"
        low, high = (prepared.meta["target"][name] for name in ("low", "high"))
        few = float(low).is_integer() and float(high).is_integer() and high - low < _FEW_NUMBERS
        return f"{why} ({given('task', 'classification')} predicts classes)" if few else why
    return f"as the target is one of {len(target.classes):,} classes"


def _penalty(settings: Settings, chosen: str) -> str:
    """Return the penalty and its strength, in words."""
    penalty = settings.penalty
    if penalty is None:
        return "none"
    unit = "standardised features" if settings.penalty_scale == "deviation" else "features"
    if not isinstance(penalty, str):
        return f"{penalty!r} of {unit}"
    ratio = f", l1_ratio {settings.l1_ratio:g}" if penalty == "elasticnet" else ""
    return f"{penalty} of {unit}, alpha {chosen or format(settings.alpha, 'g')}{ratio}"


def _method(settings: Settings, optimizer: Any, n: int, *, keeps: bool) -> str:
    """Return how the loss is minimised, in words, and until when."""
    most = f"at most {count(settings.max_iter, 'epoch', 'epochs')}"
    best = "the best on the rows held out is kept" if keeps else ""
    if isinstance(optimizer, Exact):
        return "the solution of least squares itself"
    if is_automatic(optimizer):
        until = (
            "as far as floating-point numbers allow"
            if settings.tol is None
            else f"until a step is {settings.tol:g} of the first"
        )
        return f"automatic, {until}; {most}{best and f'; short of that, {best}'}"
    rows = count(batch_size_of(settings, n, automatic=False), "row", "rows")
    rate = settings.learning_rate
    rate = "a rate from the data" if is_auto(rate) else f"learning rate {rate}"
    until = "" if settings.tol is None else f", until tol {settings.tol:g} stops it"
    return f"{_bare(optimizer)} in batches of {rows}, {rate}; {most}{until}{best and f'; {best}'}"


class _MadeError(Exception):
    """Ends a fit once its plan is made."""

    def __init__(self, made: TablePlan) -> None:
        super().__init__()
        self.made = made


def plan(table: Any, target: str | None = None, **options: Any) -> TablePlan:
    """Return what `gradstep.fit_table` would do with the same arguments, and train nothing.

    Parameters
    ----------
    table, target, **options
        As of `gradstep.fit_table`.

    Returns
    -------
    TablePlan
        `print` shows all of it.

    Raises
    ------
    InvalidTable, InvalidParameter
        What the fit would refuse before it trains.

    Examples
    --------
    >>> import polars as pl
    >>> import gradstep
    >>> trips = pl.DataFrame(
    ...     {"km": [1.0, 2.0, 4.0] * 10, "fare": [3.0, 5.5, 9.1, 2.9] * 7 + [4, 6]}
    ... )
    >>> print(gradstep.plan(trips, "fare", validation=0.2))
    Table     the frame
    Rows      30 read, 24 to train on, 6 held out
    Columns   1 of 1 used, as 1 feature
      km  number    mean 2.333, deviation 1.247
    Target    fare, a number from 2.9 to 9.1, mean 5.117
    Loss      SquaredError, as the target is a number
    Penalty   l2 of standardised features, alpha chosen within the training rows
    Method    automatic, until a step is 0.0001 of the first; at most 1,000 epochs
    """
    from gradstep.fit.table import fit_table

    def stop(made: TablePlan) -> NoReturn:
        raise _MadeError(made)

    try:
        fit_table(table, target, on_plan=stop, **options)
    except _MadeError as ended:
        return ended.made
    raise AssertionError  # a fit makes its plan first
