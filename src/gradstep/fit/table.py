"""From a table to a model: what the command line's `train` does, as a function.

Chooses the loss from the target, a rate that is stable on columns that `prepare` has scaled, and
when to stop; keeps the best weights; says how good the model is beside the best constant.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradstep.data.features.terms.formula import with_formula
from gradstep.data.preparing.checks import check_range
from gradstep.data.preparing.prepare import prepare
from gradstep.data.preparing.prepared import PreparedTable
from gradstep.engine.state import Validation
from gradstep.errors import Diverged, InvalidParameter
from gradstep.fit.alpha import ALPHAS, choose_alpha
from gradstep.fit.checks import check_before_reading
from gradstep.fit.choose_terms import choosing
from gradstep.fit.components import (
    CLASSIFICATION_LOSSES,
    LOSSES,
    REGRESSION_LOSSES,
    loss_for,
    loss_of,
    penalty_of,
)
from gradstep.fit.folds import evaluate_folds
from gradstep.fit.identity import checkpoint_in, checkpointed
from gradstep.fit.plan import Settings, is_auto, plan
from gradstep.fit.prepare import each_on
from gradstep.fit.provenance import provenance_of
from gradstep.fit.run import run, start_of
from gradstep.fit.separable import is_unbounded
from gradstep.fit.too_good import note_of_too_good
from gradstep.floating_point import as_by_default
from gradstep.model.evaluation import evaluate_held_out, without_class_weights
from gradstep.model.model import Model
from gradstep.model.training_rows import training_rows
from gradstep.objective.losses import is_of_classes, takes_offset, variance_power
from gradstep.optim.solvers import is_automatic
from gradstep.renamed import under_new_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.data.preparing.options import Each
    from gradstep.engine.records import EpochRecord, Outcome
    from gradstep.engine.state import TrainState
    from gradstep.fit.plan import Plan
    from gradstep.fit.run import RunResult
    from gradstep.model.training_rows import TrainingRows

__all__ = ["TableFit", "fit_table", "preparing_for", "training_of"]

_MOST_EPOCHS, _PATIENCE = 1000, 3
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
    folds : list of dict
        Metrics of each part of a cross-validation, if one was asked for (`cv`).
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
    folds: list[dict[str, Any]] = field(default_factory=list)
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
    power_t: float = 0.25,
    average: bool | int = False,
    batch_size: int | str = "auto",
    precondition: bool | str = "auto",
    last_batch: str = "scale",
    max_iter: int | None = None,
    tol: float | None = _IMPROVEMENT,
    n_iter_no_change: int | None = None,
    callbacks: Sequence[Any] = (),
    cv: int | None = None,
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
    optimizer, learning_rate, eta0, power_t, average, batch_size, precondition, last_batch
        As of `MiniBatchRegressor`.
    alpha : float or "auto", default=1e-4
        Strength of the penalty; "auto" chooses it on the validation rows, along a path of
        falling strength, each run going on from the one before.
    max_iter : int, default=1000
        Most epochs.
    tol : float, optional
        As of `MiniBatchRegressor`; None to run all epochs; with "auto" and "svrg" fewer, if the
        objective can be lowered no further before.
    n_iter_no_change : int, default=3
        Epochs in a row without it after which the rate comes down, and in the end training stops.
    callbacks : sequence
        As of `MiniBatchRegressor`; a `Checkpoint` lets an unfinished run go on.
    cv : int, optional
        In how many parts the training rows are cut, each of which is held out once and predicted
        by a model of the others: `folds` of the result. A choice of alpha is made once, before.
    client : distributed.Client, optional
        A Dask cluster whose workers prepare the table and compute on its rows; they find files
        and prepared table (`cache`, or a PreparedTable in a folder) under the same path. The
        model has the same bits as without.
    allow_mixed : bool
        Whether workers may compute with other versions or processors; bits may differ then.
    watch : callable, optional
        Called with (tasks or shards done, in all) of each round of the cluster.
    **options
        As of `gradstep.prepare`: `sample_weight` and `offset` name columns, `random_state` is a
        whole number.

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
    limits: dict[str, Any] = {"max_iter": max_iter, "n_iter_no_change": n_iter_no_change}
    options = under_new_names("fit_table", options, **limits)
    limits = {name: options.pop(name, value) for name, value in limits.items()}
    first_alpha: Any = ALPHAS[0] if is_auto(alpha) else alpha
    settings = Settings(
        penalty=penalty, alpha=first_alpha, l1_ratio=l1_ratio, penalty_scale=penalty_scale,
        optimizer=optimizer, learning_rate=learning_rate, eta0=eta0, power_t=power_t,
        average=average, batch_size=batch_size, precondition=precondition, last_batch=last_batch,
        max_iter=_MOST_EPOCHS if limits["max_iter"] is None else limits["max_iter"], tol=tol,
        n_iter_no_change=(
            _PATIENCE if limits["n_iter_no_change"] is None else limits["n_iter_no_change"]
        ),
    )  # fmt: skip
    component = None if loss is None else loss_of(loss, numbers, LOSSES)
    checkpoint = checkpoint_in(callbacks)
    if checkpoint is not None:
        checkpoint.refuse_unfinished()
    check_before_reading(loss, component, settings, alpha, options.get("task", "auto"))
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
    asked = {
        **{each.name: getattr(settings, each.name) for each in fields(settings)},
        "loss": component, "penalty": penalty, "alpha": alpha, **prepared.meta["asked"],
    }  # fmt: skip
    result = _trained(prepared, component, settings, callbacks, choose=is_auto(alpha), asked=asked)
    model = _model_of(prepared, component, result.params)
    model.training = training_of(model, prepared)
    fit = TableFit(
        model, prepared, result.outcome, result.records,
        notes=[*prepared.notes, *result.notes],
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
        fit.notes += note_of_too_good(model, fit.validation, fit.baseline, fit.notes)
    if cv is not None and result.state is not None:
        fixed = replace(settings, penalty=result.problem.penalty)

        def fit_on(part: PreparedTable) -> Model | None:
            result = _trained(part, component, fixed, (), choose=False, asked={})
            return _model_of(part, component, result.params) if result.state is not None else None

        fit.folds = evaluate_folds(prepared, fit_on, cv)
    held_out = options.get("validation_table")
    model.provenance = provenance_of(fit, result.problem)
    if isinstance(held_out, (str, Path)):
        model.provenance["validation_source"] = str(held_out)
    return fit


def _model_of(prepared: PreparedTable, loss: Any, params: NDArray[np.float64]) -> Model:
    asked = prepared.meta["asked"]
    return Model(
        prepared.encoding, prepared.target, loss, params, asked.get("offset"),
        exposure=asked.get("exposure"),
    )  # fmt: skip


def _prepared(
    table: Any, target: str | None, loss: Any, options: Mapping[str, Any], each: Each | None
) -> PreparedTable:
    target, options = with_formula(target, options)
    if isinstance(table, PreparedTable):
        if options:
            msg = f"The table is prepared already: {', '.join(options)} would change nothing."
            raise InvalidParameter(msg)
        if target not in {None, table.target.column}:
            msg = f"The table was prepared for the target {table.target.column!r}, not {target!r}."
            raise InvalidParameter(msg)
        was = table.meta["asked"]
        shift = was.get("offset") or was.get("exposure")
        if shift is not None and _log_power(loss) != was.get("log_power"):
            msg = (
                f"The offset {shift!r} became part of the rows when the table was "
                "prepared, for another loss. Give the same loss both times (prepare's --loss)."
            )
            raise InvalidParameter(msg)
        return table
    if target is None:
        msg = "A target is needed: the column to predict."
        raise InvalidParameter(msg)
    return prepare(table, target, each=each, **{**options, **preparing_for(loss, options)})


def preparing_for(loss: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a loss asks of `gradstep.prepare`: task, how an offset acts, what chooses terms.

    Of the options that are `given`, a task stays; without an offset none acts.
    """
    found: dict[str, Any] = {}
    of_classes = is_of_classes(loss)
    if of_classes is not None and given.get("task", "auto") == "auto":
        found["task"] = "classification" if of_classes else "regression"
    if given.get("offset") is not None or given.get("exposure") is not None:
        found["log_power"] = _log_power(loss)
    return found | choosing(loss, given)


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
    choose: bool, asked: Mapping[str, Any],
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

    start = start_of(chosen.problem, data, at_constant=True)
    files = prepared.meta["fingerprint"]
    with checkpointed(callbacks, asked, settings.seed, data, held_out, start.start, files):
        return _run(prepared, settings, chosen, start, train, choose=choose)


def _run(
    prepared: PreparedTable, settings: Settings, chosen: Plan, start: TrainState,
    train: Callable[[Plan, TrainState], RunResult], *, choose: bool,
) -> RunResult:  # fmt: skip
    """Choose alpha, if asked for, and run to the end."""
    notes: list[str] = []
    if choose:
        if prepared.validation is None or not isinstance(settings.penalty, str):
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


def training_of(model: Model, prepared: PreparedTable) -> TrainingRows:
    """Return what a model is to keep of the rows that it was trained on."""
    from gradstep.engine.baseline import best_constant  # imports Numba

    k, p = model.n_outputs, model.encoding.n_features
    plain = prepared.train.sample().without_features()
    if "class_weights" in prepared.meta:  # what is predicted is told of rows as they are
        weight = without_class_weights(prepared, plain.sample_weight, plain.y[:, 0])
        plain = replace(plain, sample_weight=weight)
    constant = best_constant(model.loss, plain, k)
    coef = model.params[: k * p].reshape(k, p)
    return training_rows(model.encoding, prepared.train, coef, constant)
