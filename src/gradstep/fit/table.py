"""From a table to a model: what the command line's `train` does, as a function.

Chooses the loss from the target, a rate that is stable on columns that `prepare` has scaled, and
when to stop; keeps the best weights; says how good the model is beside the best constant.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import gradstep
from gradstep.checks import check_choice
from gradstep.data.preparing.prepare import prepare
from gradstep.data.preparing.prepared import PreparedTable
from gradstep.errors import InvalidParameter, InvalidTable
from gradstep.fit.components import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    loss_of,
    optimizer_of,
    penalty_of,
    schedule_of,
)
from gradstep.fit.plan import Settings, checked_optimizer, is_auto
from gradstep.fit.separable import is_unbounded
from gradstep.fit.table_run import ALPHAS, TableRun
from gradstep.floating_point import as_by_default
from gradstep.model.evaluation import LOG_POWER, judge
from gradstep.model.model import Model
from gradstep.objective.classification import OneVsRest, Softmax
from gradstep.objective.losses import target_range
from gradstep.optim.solvers import works_in_rounds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.engine.state import EpochRecord, Outcome, Problem

__all__ = ["TableFit", "fit_table", "preparing_for"]

_MOST_EPOCHS = 1000
_PATIENCE = 3
_IMPROVEMENT = 1e-4  # of the baseline's loss


@dataclass
class TableFit:
    """What came of a fit.

    Attributes
    ----------
    model : Model
        The fitted model.
    prepared : PreparedTable
        What it was trained on.
    outcome : Outcome
        How the run ended.
    history : list of EpochRecord
        One for each epoch.
    validation, baseline : dict
        How good the model is on the rows held out, and how good the best constant; empty if none
        are.
    notes : list of str
        What a person should know: warnings, brakes, the penalty that was chosen.
    seconds : dict
        Of "preparing" and "training".
    """

    model: Model
    prepared: PreparedTable
    outcome: Outcome
    history: list[EpochRecord]
    validation: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


@as_by_default
def fit_table(
    table: Any,
    target: str | None = None,
    *,
    loss: Any = None,
    penalty: Any = "l2",
    alpha: float | str = 1e-4,
    l1_ratio: float = 0.15,
    epsilon: float = 0.1,
    quantile: float = 0.5,
    power: float = 1.5,
    penalty_scale: str = "deviation",
    optimizer: Any = "auto",
    learning_rate: Any = "auto",
    eta0: float | None = None,
    batch_size: int | str = "auto",
    epochs: int | None = None,
    tol: float | None = _IMPROVEMENT,
    patience: int = _PATIENCE,
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> TableFit:
    """Fit a model to a table.

    Parameters
    ----------
    table : table or PreparedTable
        As for `gradstep.prepare`, or what it returned.
    target : str
        The column to predict; of a PreparedTable it is known.
    loss : str or Loss, optional
        By default 'log_loss' for classes, else 'squared_error'.
    penalty, l1_ratio, penalty_scale, epsilon, quantile, power
        As of `MiniBatchRegressor`.
    optimizer, learning_rate, eta0, batch_size
        As of `MiniBatchRegressor`.
    alpha : float or "auto", default=1e-4
        Strength of the penalty; "auto" chooses it on the validation rows, along a path of
        falling strength, each run going on from the one before.
    epochs : int, default=1000
        Most epochs.
    tol : float, optional
        As of `MiniBatchRegressor`; None to run all epochs.
    patience : int, default=3
        Epochs in a row without it after which the rate comes down, and in the end training stops.
    callbacks : sequence
        As of `MiniBatchRegressor`.
    **options
        As of `gradstep.prepare`.

    Returns
    -------
    TableFit
        The model, and how it came about. After an interruption (Ctrl-C) it is the best so far.

    Raises
    ------
    InvalidTable, InvalidParameter
        The message says what, where, why, and what to do.
    """
    began = time.perf_counter()
    numbers = {"epsilon": epsilon, "quantile": quantile, "power": power}
    first_alpha: Any = ALPHAS[0] if alpha == "auto" else alpha
    asked = Settings(
        penalty=penalty, alpha=first_alpha, l1_ratio=l1_ratio, penalty_scale=penalty_scale,
        optimizer=optimizer, learning_rate=learning_rate, eta0=eta0, batch_size=batch_size,
        tol=tol, n_iter_no_change=patience,
        max_iter=_MOST_EPOCHS if epochs is None else epochs,
    )  # fmt: skip
    penalty_of(penalty, {"alpha": first_alpha, "l1_ratio": l1_ratio})
    if not is_auto(optimizer):
        optimizer_of(optimizer)
    check_choice("fit_table", "penalty_scale", penalty_scale, ("deviation", "unit"))
    _check_before_reading(loss, numbers, asked, alpha, options.get("task", "auto"))
    counts: dict[str, Any] = {"epochs": epochs, "patience": patience}
    if not is_auto(batch_size):
        counts["batch_size"] = batch_size
    for name, number in counts.items():
        if number is not None and number < 1:
            msg = f"{name}={number!r} must be at least 1."
            raise InvalidParameter(msg)
    prepared = _prepared(table, target, loss, power, options)
    component = _loss(loss, prepared, numbers)
    _check_range(component, prepared)
    prepared_at = time.perf_counter()
    run = TableRun(prepared, component, callbacks)
    run.plan(replace(asked, seed=int(prepared.meta["asked"]["seed"])))
    try:
        start = run.choose_alpha(penalty, l1_ratio) if alpha == "auto" else None
        run.train(start)
    except KeyboardInterrupt:
        run.interrupted()
    model = Model(
        prepared.encoding, prepared.target, component, run.params(),
        prepared.meta["asked"].get("offset"),
    )  # fmt: skip
    fit = TableFit(model, prepared, run.outcome, run.records, notes=run.notes)
    if prepared.target.classes and is_unbounded(run.problem, prepared.train, run.params()):
        fit.notes.append(
            "The classes can be separated: without a penalty there is no optimum, and training "
            "stopped where more of the same would change little. Use --penalty l2."
        )
    fit.notes[:0] = prepared.meta["warnings"]
    fit.seconds = {
        "preparing": prepared_at - began,
        "training": time.perf_counter() - prepared_at,
    }
    if prepared.validation is not None:
        fit.validation = judge(model, prepared)
        fit.baseline = judge(model, prepared, constant=True)
    held_out = options.get("validation_table")
    model.provenance = _provenance(fit, run.problem)
    if isinstance(held_out, (str, Path)):
        model.provenance["validation_source"] = str(held_out)
    return fit


def _check_before_reading(
    loss: Any, numbers: Mapping[str, Any], asked: Settings, alpha: Any, task: str
) -> None:
    """Refuse what is known to be wrong without the table, which may take long to read."""
    if isinstance(loss, str):
        named = {"regression": REGRESSION_LOSSES, "classification": CLASSIFICATION_LOSSES}
        known = {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES}
        checked_optimizer(asked, loss_of(loss, numbers, known))
        if task in named and loss not in named[task]:
            msg = (
                f"loss={loss!r} is none of {task}: with task={task!r} it must be one of "
                f"{', '.join(named[task])}."
            )
            raise InvalidParameter(msg)
    learning_rate = asked.learning_rate
    if learning_rate == "optimal" and alpha == "auto":
        msg = "learning_rate='optimal' is 1/(alpha·t): alpha must be a number, not 'auto'."
        raise InvalidParameter(msg)
    if is_auto(learning_rate):
        return
    schedule_of(
        learning_rate,
        {"eta0": 1.0, "power_t": 0.25, "alpha": alpha, "slope": lambda y, z: z - y},
    )


def _prepared(
    table: Any, target: str | None, loss: Any, power: float, options: Mapping[str, Any]
) -> PreparedTable:
    if isinstance(table, PreparedTable):
        if options:
            msg = f"The table is prepared already: {', '.join(options)} would change nothing."
            raise InvalidParameter(msg)
        if target not in {None, table.target.column}:
            msg = f"The table was prepared for the target {table.target.column!r}, not {target!r}."
            raise InvalidParameter(msg)
        was = table.meta["asked"]
        if "offset" in was and _log_power(loss, power) != was.get("log_power"):
            msg = (
                f"The offset {was['offset']!r} became part of the rows when the table was "
                "prepared, for another loss. Give the same loss both times (prepare's --loss)."
            )
            raise InvalidParameter(msg)
        return table
    if target is None:
        msg = "A target is needed: the column to predict."
        raise InvalidParameter(msg)
    return prepare(table, target, **{**options, **preparing_for(loss, power, options)})


def preparing_for(
    loss: Any, power: float = 1.5, asked: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a loss asks of `gradstep.prepare`: the task, and how an offset acts.

    Parameters
    ----------
    loss : str, Loss or None
        The loss.
    power : float
        That of "tweedie".
    asked : mapping
        What is asked already: a task stays, and without an offset none acts.
    """
    asked = asked or {}
    found: dict[str, Any] = {}
    if loss is not None and asked.get("task", "auto") == "auto":
        name = _plain_name(loss)
        if name in map(_plain_name, REGRESSION_LOSSES):
            found["task"] = "regression"
        elif name in map(_plain_name, CLASSIFICATION_LOSSES) or hasattr(loss, "row_slopes"):
            found["task"] = "classification"
    if asked.get("offset") is not None:
        found["log_power"] = _log_power(loss, power)
    return found


def _plain_name(loss: Any) -> str:
    """Return a loss's name: that of ``SquaredError()`` and of ``"squared_error"`` are one."""
    name = loss if isinstance(loss, str) else type(loss).__name__
    return name.replace("_", "").lower()


def _log_power(loss: Any, power: float) -> float | None:
    """Return the power of the variance of a loss whose link is the logarithm; None of others."""
    name = _plain_name(loss)
    if name == "tweedie":
        return power if isinstance(loss, str) else float(loss.power)
    if name not in LOG_POWER and hasattr(loss, "inverse_link"):
        msg = f"An offset is known to act on {', '.join(LOG_POWER)} and tweedie; not on {loss!r}."
        raise InvalidParameter(msg)
    return LOG_POWER.get(name)


def _loss(loss: Any, prepared: PreparedTable, parameters: Mapping[str, Any]) -> Any:
    """Return the loss, over all classes at once where there are more than two."""
    target = prepared.target
    if target.classes is None:
        return loss_of("squared_error" if loss is None else loss, parameters, REGRESSION_LOSSES)
    found = loss_of("log_loss" if loss is None else loss, parameters, CLASSIFICATION_LOSSES)
    if target.n_outputs == 1 or hasattr(found, "row_slopes"):
        return found
    return Softmax() if loss in {None, "log_loss"} else OneVsRest(found)


def _check_range(loss: Any, prepared: PreparedTable) -> None:
    """Refuse targets for which the loss is not defined."""
    allowed, known = target_range(loss), prepared.meta["target"]
    if prepared.target.classes is None and not allowed.holds(np.array([known["low"]]))[0]:
        msg = (
            f"The target {known['column']!r} goes down to {known['low']:g}; the loss "
            f"{type(loss).__name__} needs {allowed}. Use another loss, or correct the column."
        )
        raise InvalidTable(msg)


def _provenance(fit: TableFit, problem: Problem) -> dict[str, Any]:
    """Return where a model comes from; a function of the table and what was asked, no clock."""
    meta = fit.prepared.meta
    return {
        "version": gradstep.__version__,
        "source": meta["source"],
        "fingerprint": meta["fingerprint"],
        "asked": meta["asked"],
        "rows": meta["rows"],
        "loss": repr(problem.loss),
        "penalty": repr(problem.penalty),
        "optimizer": repr(problem.optimizer),
        "learning_rate": "auto" if works_in_rounds(problem.optimizer) else repr(problem.schedule),
        "batch_size": problem.batch_size or "auto",
        "seed": problem.seed,
        "epochs": len(fit.history),
        "outcome": fit.outcome.name.lower(),
        "validation": _finite(fit.validation),
        "baseline": _finite(fit.baseline),
        "notes": fit.notes,
    }


def _finite(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics without those that are not defined, which JSON has no word for."""
    return {
        name: value
        for name, value in metrics.items()
        if not isinstance(value, float) or math.isfinite(value)
    }
