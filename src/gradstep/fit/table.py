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

from gradstep.checks import check_choice, check_number
from gradstep.data.preparing.checks import check_range
from gradstep.data.preparing.prepare import prepare
from gradstep.data.preparing.prepared import PreparedTable
from gradstep.engine.state import Validation
from gradstep.errors import Diverged, InvalidParameter
from gradstep.fit.alpha import ALPHAS, choose_alpha
from gradstep.fit.components import (
    CLASSIFICATION_LOSSES,
    LOSSES,
    REGRESSION_LOSSES,
    loss_for,
    loss_of,
    optimizer_of,
    penalty_of,
    schedule_of,
)
from gradstep.fit.plan import Settings, checked_optimizer, is_auto, plan
from gradstep.fit.prepare import each_on
from gradstep.fit.run import run, start_of
from gradstep.fit.separable import is_unbounded
from gradstep.floating_point import as_by_default
from gradstep.model.evaluation import evaluate_held_out
from gradstep.model.model import Model
from gradstep.objective.losses import is_of_classes, takes_offset, variance_power
from gradstep.optim.solvers import is_automatic
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gradstep.data.preparing.options import Each
    from gradstep.engine.records import EpochRecord, Outcome
    from gradstep.engine.state import Problem, TrainState
    from gradstep.fit.plan import Plan
    from gradstep.fit.run import RunResult

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
        What a person should know: warnings, restarts, the penalty that was chosen.
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
    client: Any = None,
    allow_mixed: bool = False,
    watch: Callable[[int, int], None] | None = None,
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
        As of `MiniBatchRegressor`; None to run all epochs; with "auto" and "svrg" fewer, if the
        objective can be lowered no further before.
    patience : int, default=3
        Epochs in a row without it after which the rate comes down, and in the end training stops.
    callbacks : sequence
        As of `MiniBatchRegressor`.
    client : distributed.Client, optional
        A Dask cluster whose workers prepare the table and compute on its rows; they find files
        and prepared table (`cache`, or a PreparedTable in a folder) under the same path. The
        model has the same bits as without.
    allow_mixed : bool
        Whether workers may compute with other versions or processors; bits may differ then.
    watch : callable, optional
        Called with (tasks or shards done, in all) of each round of the cluster.
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
    first_alpha: Any = ALPHAS[0] if is_auto(alpha) else alpha
    settings = Settings(
        penalty=penalty, alpha=first_alpha, l1_ratio=l1_ratio, penalty_scale=penalty_scale,
        optimizer=optimizer, learning_rate=learning_rate, eta0=eta0, batch_size=batch_size,
        tol=tol, n_iter_no_change=patience,
        max_iter=_MOST_EPOCHS if epochs is None else epochs,
    )  # fmt: skip
    component = None if loss is None else loss_of(loss, numbers, LOSSES)
    _check_before_reading(loss, component, settings, alpha, options.get("task", "auto"))
    if client is not None and not isinstance(table, PreparedTable):
        options = {"cache": True, **options}
    each = each_on(client, allow_mixed=allow_mixed, watch=watch)
    prepared = _prepared(table, target, component, options, each)
    known, default = (
        (REGRESSION_LOSSES, "squared_error")
        if prepared.target.classes is None
        else (CLASSIFICATION_LOSSES, "log_loss")
    )
    component = loss_of(default if loss is None else loss, numbers, known)
    component = loss_for(component, prepared.target)
    check_range(component, prepared.target, prepared.train, prepared.validation)
    prepared_at = time.perf_counter()
    settings = replace(settings, seed=int(prepared.meta["asked"]["seed"]))
    if client is not None:
        from gradstep.machines.cluster import spread

        prepared = spread(prepared, client, allow_mixed=allow_mixed, watch=watch)
    result = _trained(prepared, component, settings, callbacks, choose=is_auto(alpha))
    model = Model(
        prepared.encoding, prepared.target, component, result.params,
        prepared.meta["asked"].get("offset"),
    )  # fmt: skip
    fit = TableFit(
        model, prepared, result.outcome, result.records,
        notes=[*prepared.meta["warnings"], *result.notes],
    )  # fmt: skip
    if prepared.target.classes and is_unbounded(result.problem, prepared.train, result.params):
        fit.notes.append(
            "The classes can be separated: without a penalty there is no optimum, and training "
            "stopped where more of the same would change little. Use --penalty l2."
        )
    fit.seconds = {
        "preparing": prepared_at - began,
        "training": time.perf_counter() - prepared_at,
    }
    if prepared.validation is not None:
        fit.validation = evaluate_held_out(model, prepared)
        fit.baseline = evaluate_held_out(model, prepared, constant=True)
    held_out = options.get("validation_table")
    model.provenance = _provenance(fit, result.problem)
    if isinstance(held_out, (str, Path)):
        model.provenance["validation_source"] = str(held_out)
    return fit


def _check_before_reading(
    loss: Any, component: Any, settings: Settings, alpha: float | str, task: str
) -> None:
    """Refuse what is known to be wrong without the table, which may take long to read."""
    penalty_of(settings.penalty, {"alpha": settings.alpha, "l1_ratio": settings.l1_ratio})
    if not is_auto(settings.optimizer):
        optimizer_of(settings.optimizer)
    check_choice("fit_table", "penalty_scale", settings.penalty_scale, ("deviation", "unit"))
    check_number("fit_table", "epochs", settings.max_iter, low=1, whole=True)
    check_number("fit_table", "patience", settings.n_iter_no_change, low=1, whole=True)
    if not is_auto(settings.batch_size):
        check_number("fit_table", "batch_size", settings.batch_size, low=1, whole=True)
    if component is not None:
        checked_optimizer(settings, component)
    named = {"regression": REGRESSION_LOSSES, "classification": CLASSIFICATION_LOSSES}
    if isinstance(loss, str) and task in named and loss not in named[task]:
        msg = (
            f"loss={loss!r} is none of {task}: with task={task!r} it must be one of "
            f"{', '.join(named[task])}."
        )
        raise InvalidParameter(msg)
    if settings.learning_rate == "optimal" and is_auto(alpha):
        msg = "learning_rate='optimal' is 1/(alpha·t): alpha must be a number, not 'auto'."
        raise InvalidParameter(msg)
    if not is_auto(settings.learning_rate):
        schedule_of(
            settings.learning_rate,
            {"eta0": 1.0, "power_t": 0.25, "alpha": alpha, "slope": lambda y, z: z - y},
        )


def _prepared(
    table: Any, target: str | None, loss: Any, options: Mapping[str, Any], each: Each | None
) -> PreparedTable:
    if isinstance(table, PreparedTable):
        if options:
            msg = f"The table is prepared already: {', '.join(options)} would change nothing."
            raise InvalidParameter(msg)
        if target not in {None, table.target.column}:
            msg = f"The table was prepared for the target {table.target.column!r}, not {target!r}."
            raise InvalidParameter(msg)
        was = table.meta["asked"]
        if "offset" in was and _log_power(loss) != was.get("log_power"):
            msg = (
                f"The offset {was['offset']!r} became part of the rows when the table was "
                "prepared, for another loss. Give the same loss both times (prepare's --loss)."
            )
            raise InvalidParameter(msg)
        return table
    if target is None:
        msg = "A target is needed: the column to predict."
        raise InvalidParameter(msg)
    return prepare(table, target, each=each, **{**options, **preparing_for(loss, options)})


def preparing_for(loss: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a loss asks of `gradstep.prepare`: the task, and how an offset acts.

    Parameters
    ----------
    loss : Loss or None
        The loss.
    given : mapping
        Options that are given already: a task stays, and without an offset none acts.
    """
    found: dict[str, Any] = {}
    of_classes = is_of_classes(loss)
    if of_classes is not None and given.get("task", "auto") == "auto":
        found["task"] = "classification" if of_classes else "regression"
    if given.get("offset") is not None:
        found["log_power"] = _log_power(loss)
    return found


def _log_power(loss: Any) -> float | None:
    """Return the power of the variance of a loss whose link is the logarithm; None of others."""
    if not takes_offset(loss):
        msg = (
            f"How an offset acts on {loss!r} is not known: its predictions are neither the scores "
            "nor, with a variance_power(), their exponentials."
        )
        raise InvalidParameter(msg)
    return variance_power(loss)


def _trained(
    prepared: PreparedTable, loss: Any, settings: Settings, callbacks: Sequence[Any], *,
    choose: bool,
) -> RunResult:  # fmt: skip
    """Run to the end, after a choice of alpha, if asked for; Ctrl-C keeps the best so far."""
    from gradstep.engine.statistics import Columns  # imports Numba

    data, k, held_out = prepared.train, prepared.target.n_outputs, prepared.validation
    chosen = plan(settings, loss, data, k, stored_in=prepared.encoding.stored_in())
    chosen = replace(
        chosen, columns=chosen.columns or Columns.unmeasured(chosen.problem.n_features)
    )
    # the automatic method ends at the optimum: held-out rows keep the best epoch, and stop nothing
    stops = not is_automatic(chosen.problem.optimizer)
    validation = None if held_out is None else Validation(held_out, stops=stops)

    def train(chosen: Plan, start: TrainState) -> RunResult:
        try:
            return run(
                chosen, data, start, validation=validation, callbacks=callbacks,
                brake=is_auto(settings.learning_rate) or settings.learning_rate == "adaptive",
                keep_interrupted=True,
            )  # fmt: skip
        except Diverged as error:
            msg = (
                f"Training diverged in epoch {error.epoch}: the steps of "
                f"{chosen.problem.schedule!r} are too long for this table. Use another learning "
                "rate: 'auto' follows from the data, a number is constant."
            )
            raise Diverged(msg, epoch=error.epoch) from error

    start, notes = start_of(chosen.problem, data, at_constant=True), []
    if choose:
        if validation is None or not isinstance(settings.penalty, str):
            msg = (
                "alpha='auto' needs validation rows to choose on and a penalty by name: hold some "
                "rows out (--validation 0.1), or give alpha a number."
            )
            raise InvalidParameter(msg)
        choice = choose_alpha(
            chosen, start,
            lambda alpha: penalty_of(
                settings.penalty, {"alpha": alpha, "l1_ratio": settings.l1_ratio}
            ),
            train,
        )  # fmt: skip
        if choice.ended is not None:
            return replace(choice.ended, notes=choice.notes)
        chosen, start, notes = choice.plan, choice.start, choice.notes
    result = train(chosen, start)
    noted = [f"Epoch {record.epoch}: {record.note}." for record in result.records if record.note]
    return replace(result, notes=[*notes, *result.notes, *noted])


def _provenance(fit: TableFit, problem: Problem) -> dict[str, Any]:
    """Return where a model comes from; a function of the table and the settings, no clock."""
    meta = fit.prepared.meta
    return {
        "version": VERSION,
        "source": meta["source"],
        "fingerprint": meta["fingerprint"],
        "asked": meta["asked"],
        "rows": meta["rows"],
        "loss": repr(problem.loss),
        "penalty": repr(problem.penalty),
        "optimizer": repr(problem.optimizer),
        "learning_rate": "auto" if is_automatic(problem.optimizer) else repr(problem.schedule),
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
