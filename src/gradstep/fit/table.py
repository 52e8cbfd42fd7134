"""From a table to a model: what the command line's `train` does, as a function.

Chooses the loss from the target, a rate that is stable on columns that `prepare` has scaled, and
when to stop; keeps the best weights; says how good the model is beside the best constant.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gradstep.compiling import Moment, seconds_of
from gradstep.data.preparing.place import prepared_in
from gradstep.data.preparing.prepared import PreparedTable
from gradstep.diagnostics.catalogue import codes_of, warn_of_grave
from gradstep.diagnostics.diagnostic import without
from gradstep.diagnostics.of_fits import NO_FOLDS
from gradstep.engine.checkpoint import Checkpoint
from gradstep.engine.records import Outcome
from gradstep.errors import Diverged
from gradstep.files import without_secrets
from gradstep.fit.checks import check_before_reading, check_names
from gradstep.fit.column_constraints import ConstraintsOnColumns
from gradstep.fit.components import LOSSES, loss_of
from gradstep.fit.folds import check_folds, evaluate_folds
from gradstep.fit.identity import checkpoint_in
from gradstep.fit.inference import infer, inference_asked
from gradstep.fit.models import model_of, models_of
from gradstep.fit.notes import notes_of_fit
from gradstep.fit.one_pass.one_pass import one_pass_for
from gradstep.fit.phases import fit_in_phases
from gradstep.fit.plan import Settings, is_auto
from gradstep.fit.prepare import each_on, loss_of_target, prepared_of
from gradstep.fit.provenance import provenance_of
from gradstep.fit.refit import needs_one_array
from gradstep.fit.run import keeping_best
from gradstep.fit.separable import is_unbounded
from gradstep.fit.table_plan import TablePlan, table_plan
from gradstep.floating_point import as_by_default
from gradstep.model.evaluation import evaluate_held_out
from gradstep.model.metrics import in_figures
from gradstep.renamed import under_new_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.engine.records import EpochRecord
    from gradstep.fit.alpha import ChosenAlpha
    from gradstep.fit.phases import Phases
    from gradstep.fit.refit import Refit
    from gradstep.model.model import Model
    from gradstep.reporting.document import Report

__all__ = ["TableFit", "fit_table"]

_MOST_EPOCHS, _PATIENCE = 1000, 3
# `tol` by default, as a share of the baseline's loss.
_IMPROVEMENT = 1e-4


@dataclass
class TableFit:
    """The result of a fit.

    Attributes
    ----------
    model : Model
        The fitted model; of all rows, if it was refitted.
    prepared : PreparedTable
        The prepared table that it was trained on.
    outcome : Outcome
        How the run ended.
    history : list of EpochRecord
        One for each epoch of the run on the rows to train on.
    plan : TablePlan
        The plan, made before training.
    kept_epoch : int
        The epoch of it whose parameters are kept.
    judged : Model
        The model that the rows held out judged, before they went into the other one.
    alpha : ChosenAlpha or None
        The strength of the penalty, and how it was chosen, if it was.
    refit : Refit or None
        The refit to all rows, if there was one.
    validation, baseline : dict
        Metrics on the held-out rows: of the model before it is refitted to them, and of the best
        constant. Empty if no rows are held out.
    folds : list of dict
        Metrics of each part of a cross-validation, if one was asked for (`cv`).
    notes : list of Note
        What a person should know: warnings, restarts, the penalty that was chosen.
    seconds : dict
        Time of "preparing", "training", and "compiling" kernels (nearly 0 if they are on disk).
    """

    model: Model
    prepared: PreparedTable
    outcome: Outcome
    history: list[EpochRecord]
    plan: TablePlan
    judged: Model
    kept_epoch: int = 0
    alpha: ChosenAlpha | None = None
    refit: Refit | None = None
    validation: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    folds: list[dict[str, Any]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return the model, how the run ended, and how good it is on rows held out."""
        name, value = next(iter((k, v) for k, v in self.validation.items() if k != "rows"), ("", 0))
        good = f", {name} {in_figures(name, value)} on rows held out" if name else ""
        return f"<TableFit of {self.model!r}, {self.outcome.name}{good}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: that of the model, and how the run ended."""
        from gradstep.model.in_html import in_html

        return in_html(self.model, f"{self.outcome.in_short} report() says more.")

    def report(self, table: Any = None, *, sample_weight: str | None = None) -> Report:
        """Return a report: that of the model, with the rows held out, and seconds.

        Parameters
        ----------
        table, sample_weight
            As of `gradstep.report`.

        Returns
        -------
        Report
            A page of HTML: ``save`` writes it, a notebook shows it.
        """
        from gradstep.fit.report import report_of_fit

        return report_of_fit(self, table, sample_weight)


@as_by_default
def fit_table(
    table: Any,
    target: str | None = None,
    *,
    loss: Any = None,
    penalty: Any = "l2",
    alpha: float | str = "auto",
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
    nonnegative: Any = None,
    bounds: Any = None,
    monotone: Any = None,
    refit: bool = True,
    inference: str = "robust",
    ignore: str | Sequence[str] | None = None,
    client: Any = None,
    allow_mixed: bool = False,
    watch: Callable[[int, int], None] | None = None,
    on_plan: Callable[[TablePlan], None] | None = None,
    **options: Any,
) -> TableFit:
    """Fit a model to a table.

    Parameters
    ----------
    table : table or PreparedTable
        As for `gradstep.prepare`, or what it returned, or the folder that it wrote.
    target : str
        The column to predict; of a prepared table, and of sparse text, it is known.
    loss : str or Loss, optional
        By default 'log_loss' for classes, else 'squared_error'.
    penalty, l1_ratio, penalty_scale, epsilon, quantile, power
        As of `MiniBatchRegressor`.
    optimizer, learning_rate, eta0, power_t, average, batch_size, precondition, last_batch
        As of `MiniBatchRegressor`.
    alpha : float or "auto", default="auto"
        Strength of the penalty; "auto" chooses it along a path of falling strength: with few rows
        by cross-validation, else on rows that trials are not trained on. With an optimizer other
        than "auto", "svrg" and "exact", whose runs may end short of the optimum, "auto" is 1e-4.
    max_iter : int, default=1000
        Most epochs.
    tol : float, optional
        As of `MiniBatchRegressor`; None to run all epochs; with "auto" and "svrg" fewer, if the
        objective can be lowered no further before.
    n_iter_no_change : int, default=3
        Epochs in a row without an improvement of `tol`, after which the rate is lowered, and in the
        end training stops.
    callbacks : sequence
        As of `MiniBatchRegressor`; a `Checkpoint` lets an unfinished run go on.
    cv : int, optional
        Number of parts that the training rows are cut into. Each is held out once and predicted by
        a model of the others: `folds` of the result. Alpha is chosen once, before that.
    nonnegative : str, or sequence of str, optional
        Columns of numbers whose coefficients must not be negative.
    bounds : dict, optional
        By column, (low, high): the bounds of its coefficient in the column's own unit; None for no
        bound.
    monotone : str, sequence of str, or dict, optional
        Columns whose effect must not fall: numbers, or the curves of `splines`. A dict says
        "increasing" or "decreasing" for each.
    refit : bool, default=True
        Whether the model is fitted to the table's held-out rows, too, once they have judged it;
        `validation` has the metrics of the model without them.
    inference : {"robust", "model", "none"} or str
        Which standard errors of the coefficients the model keeps, if any are valid: "robust" ones
        hold whether or not the loss is the true likelihood, "model" ones if it is;
        "cluster=customer" where rows of one customer may depend on each other, and
        "cluster=customer,shop" where those of one shop may, too. A column that rows are clustered
        by stays a feature unless it is left out (`drop`).
    ignore : str, or sequence of str, optional
        Codes of notes to leave out, in the plan, in the model's file and among warnings, too.
    client : distributed.Client, optional
        A Dask cluster whose workers prepare the table and compute on its rows. They must find files
        and prepared table (`cache`, or one in a folder) under the same path. The
        model has the same bits as without a cluster.
    allow_mixed : bool
        Whether workers may compute with other versions or processors; bits may differ then.
    watch : callable, optional
        Called with (tasks or shards done, in all) of each round of the cluster.
    on_plan : callable, optional
        Called with the `TablePlan`, before anything is trained.
    **options
        As of `gradstep.prepare`: `sample_weight`, `offset` and `exposure` (for how long, or how
        many, a row counts: `loss="poisson"`) name columns, `drop` those that must not predict,
        `validation` says what is held out, `random_state` is a whole number.

    Returns
    -------
    TableFit
        The model, and how it was fitted. After an interruption (Ctrl-C) it is the best so far.

    Raises
    ------
    InvalidTable, InvalidParameter
        The message says what, where, why, and what to do.

    Warns
    -----
    GradstepWarning
        If columns give the target away (GS001), or the model is too good to be true (GS002).

    See Also
    --------
    TableRegressor, TableClassifier : The same as estimators of scikit-learn.
    plan : What it is going to do.

    Examples
    --------
    >>> import polars as pl
    >>> import gradstep
    >>> fares = [5.0, 8.5, 12.5, 6.0, 7.5, 13.5] * 10
    >>> trips = pl.DataFrame({"km": [1.0, 2.0, 4.0] * 20, "fare": fares})
    >>> fit = gradstep.fit_table(trips, "fare")
    >>> fit.model.predict(pl.DataFrame({"km": [10.0]})).round(1)
    array([28.])
    """
    began = Moment.now()
    numbers = {"epsilon": epsilon, "quantile": quantile, "power": power}
    limits: dict[str, Any] = {"max_iter": max_iter, "n_iter_no_change": n_iter_no_change}
    options = under_new_names("fit_table", options, **limits)
    limits = {name: options.pop(name, value) for name, value in limits.items()}
    check_names(options, fit_table)
    settings = Settings(
        penalty=penalty, alpha=Settings.alpha if is_auto(alpha) else cast("float", alpha),
        l1_ratio=l1_ratio, penalty_scale=penalty_scale,
        optimizer=optimizer, learning_rate=learning_rate, eta0=eta0, power_t=power_t,
        average=average, batch_size=batch_size, precondition=precondition, last_batch=last_batch,
        max_iter=_MOST_EPOCHS if limits["max_iter"] is None else limits["max_iter"], tol=tol,
        n_iter_no_change=(
            _PATIENCE if limits["n_iter_no_change"] is None else limits["n_iter_no_change"]
        ),
    )  # fmt: skip
    component = None if loss is None else loss_of(loss, numbers, LOSSES)
    constraints = ConstraintsOnColumns(nonnegative, bounds, monotone)
    checkpoint = checkpoint_in(callbacks)
    if checkpoint is not None:
        checkpoint.refuse_unfinished()
    errors, ignored = inference_asked(inference), codes_of(ignore)
    check_folds(cv, options)
    options |= errors.preparing(table)
    check_before_reading(loss, component, settings, options.get("task", "auto"))
    table = prepared_in(table)
    if client is not None and not isinstance(table, PreparedTable):
        options = {"cache": True, **options}
    prepared = prepared_of(
        table, target, component, options,
        each_on(client, allow_mixed=allow_mixed, watch=watch),
        one_pass_for(component, settings, options, (client, checkpoint, cv, constraints)),
    )  # fmt: skip
    component = loss_of_target(loss, numbers, prepared)
    prepared_at, seed = Moment.now(), int(prepared.meta["asked"]["seed"])
    check_folds(cv, prepared.meta["asked"], prepared.train.n)
    settings = replace(settings, seed=seed, bounds=constraints.on(prepared.encoding))
    here = prepared
    if client is not None:
        from gradstep.machines.cluster import spread

        prepared = spread(prepared, client, allow_mixed=allow_mixed, watch=watch)
    asked = {
        **{each.name: getattr(settings, each.name) for each in fields(settings)},
        "loss": component, "penalty": penalty, "alpha": alpha, "refit": refit,
        "bounds": constraints.to_json(),
        **prepared.meta["asked"],
    }  # fmt: skip
    planned = table_plan(
        prepared,
        component,
        settings,
        asked_loss=loss,
        alpha=alpha,
        constraints=constraints,
        checkpoint=checkpoint,
    )
    planned = replace(planned, notes=without(planned.notes, ignored))
    if on_plan is not None:
        on_plan(planned)
    with keeping_best(partial(model_of, prepared, component)):
        found = fit_in_phases(
            prepared, component, settings, callbacks, choose=is_auto(alpha), refit=refit,
            asked=asked,
        )  # fmt: skip
    (judged, model), problem = models_of(prepared, component, found), found.judged.problem
    fit = TableFit(
        model, here, found.outcome, found.judged.records, planned, judged, alpha=found.alpha,
        kept_epoch=found.kept, refit=found.refit,
    )  # fmt: skip
    apart = prepared.target.classes is not None and is_unbounded(
        problem, prepared.train, found.judged.params
    )
    fit.seconds = seconds_of(began, prepared_at)
    if prepared.validation is not None:
        fit.validation, fit.baseline = (
            evaluate_held_out(judged, prepared, constant=constant) for constant in (False, True)
        )
    fit.notes = without(notes_of_fit(fit, found, apart=apart), ignored)
    if cv is not None and fit.outcome is not Outcome.INTERRUPTED:
        _cross_validate(fit, prepared, cv, settings, found, callbacks)
    model.provenance = provenance_of(fit, found.problem) | constraints.as_provenance()
    fit.notes += without(infer(model, prepared, found, errors, apart=bool(apart)), ignored)
    if isinstance(held_out := options.get("validation_table"), (str, Path)):
        model.provenance["validation_source"] = without_secrets(str(held_out))
    warn_of_grave(fit.notes)
    return fit


def _cross_validate(
    fit: TableFit, prepared: PreparedTable, parts: int, settings: Settings, found: Phases,
    callbacks: Sequence[Any],
) -> None:  # fmt: skip
    """Add the metrics of a cross-validation, or why there are none: the model is there already."""
    problem = found.judged.problem
    fixed = replace(settings, penalty=problem.penalty)
    # What may end a run, as a signal, does so here, too.
    ending = [c for c in callbacks if hasattr(c, "on_pause") and not isinstance(c, Checkpoint)]
    by_index = needs_one_array(problem, found.judged.columns, prepared.train)
    train = partial(_model_of_part, fit.model.loss, fixed, ending)
    try:
        fit.folds = evaluate_folds(prepared, train, parts, by_index=by_index)
    except Diverged as error:
        fit.notes.append(NO_FOLDS.note(f"Cross-validation is left out: of a part, {error}"))
        return
    if not fit.folds:
        fit.notes.append(NO_FOLDS.note("Interrupted in the cross-validation, which is left out."))


def _model_of_part(
    loss: Any, settings: Settings, callbacks: Sequence[Any], part: PreparedTable
) -> Model | None:
    """Return the model of a part of the rows; None if it was interrupted."""
    found = fit_in_phases(part, loss, settings, callbacks, choose=False, refit=False, asked={})
    interrupted = found.outcome is Outcome.INTERRUPTED
    return None if interrupted else model_of(part, loss, found.params)
