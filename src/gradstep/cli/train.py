"""``gradstep train``: a table in, a model out, and what a person needs to know of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradstep.cli import options as opt
from gradstep.cli import term_options as term
from gradstep.cli.signals import SIGNALS
from gradstep.errors import InvalidParameter
from gradstep.files import refuse_unwritable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.engine.checkpoint import Checkpoint
    from gradstep.fit.table import TableFit

__all__ = ["train"]

_SHOWN = 10
_PREPARING = (
    "task", "sample_weight", "class_weight", "offset", "exposure", "validation", "time_column",
    "drop", "only", "kinds", "max_levels", "decimal", "thousands", "na", "encoding", "missing",
    "missing_target", "random_state", "memory", "cache", "no_cache", "spline", "cross", "poly",
    "log", "formula",
)  # fmt: skip
_OF_LOSSES = {
    "epsilon": {"huber", "epsilon_insensitive", "squared_epsilon_insensitive"},
    "quantile": {"pinball"},
    "power": {"tweedie"},
}


def train(
    ctx: typer.Context,
    table: opt.TableArgument,
    *,
    target: opt.Target = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="Where to write the model.")
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="squared_error, huber, poisson, log_loss, …")
    ] = None,
    task: opt.Task = "auto",
    penalty: Annotated[str, typer.Option(help="l2, l1, elasticnet or none.")] = "l2",
    alpha: Annotated[
        str, typer.Option(help="Strength of the penalty; auto chooses it on the rows held out.")
    ] = "1e-4",
    l1_ratio: Annotated[float, typer.Option(help="Share of l1 in elasticnet.")] = 0.15,
    epsilon: Annotated[float, typer.Option(help="Of huber and epsilon_insensitive.")] = 0.1,
    quantile: Annotated[float, typer.Option(help="Of pinball.")] = 0.5,
    power: Annotated[float, typer.Option(help="Of tweedie.")] = 1.5,
    penalty_scale: Annotated[
        str, typer.Option(help="deviation: alpha means the same in any units; or unit.")
    ] = "deviation",
    optimizer: Annotated[
        str,
        typer.Option(
            help="auto, svrg, exact, sgd, momentum, nesterov, adagrad, rmsprop, adam, ftrl."
        ),
    ] = "auto",
    exact: Annotated[
        bool, typer.Option("--exact", help="The least-squares solution itself.")
    ] = False,
    learning_rate: Annotated[
        str, typer.Option(help="auto: from the data; or a schedule, or a number.")
    ] = "auto",
    batch_size: Annotated[int | None, typer.Option(help="Rows of a step.")] = None,
    max_iter: Annotated[int, typer.Option(help="Epochs, at most.")] = 1000,
    tol: Annotated[
        str,
        typer.Option(help="What ends the run; none for all epochs, unless the optimum is reached."),
    ] = "1e-4",
    n_iter_no_change: Annotated[
        int, typer.Option(help="Epochs without improvement that end a run of another optimizer.")
    ] = 3,
    sample_weight: opt.SampleWeight = None,
    class_weight: opt.ClassWeight = None,
    offset: opt.Offset = None,
    exposure: opt.Exposure = None,
    validation: opt.Validation = "0.1",
    test: Annotated[
        Path | None, typer.Option(help="A file to evaluate the model on, which trains nothing.")
    ] = None,
    cv: Annotated[
        int | None, typer.Option(min=2, help="Cross-validate in so many parts, too.")
    ] = None,
    time_column: opt.TimeColumn = None,
    drop: opt.Drop = None,
    only: opt.Only = None,
    kinds: opt.AsKind = None,
    max_levels: opt.MaxLevels = 1000,
    spline: term.Spline = None,
    cross: term.Cross = None,
    poly: term.Poly = None,
    log: term.Log = None,
    formula: term.Formula = None,
    decimal: opt.Decimal = None,
    thousands: opt.Thousands = None,
    na: opt.Na = None,
    encoding: opt.Encoding = "",
    missing: opt.Missing = "encode",
    missing_target: opt.MissingTarget = "drop",
    random_state: opt.RandomState = 0,
    memory: opt.Memory = "256MB",
    cache: opt.Cache = None,
    no_cache: opt.NoCache = False,
    dask: opt.Dask = None,
    allow_mixed: opt.AllowMixed = False,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder to write the run down in now and then, to go on from there."
        ),
    ] = None,
    checkpoint_every: Annotated[
        str, typer.Option(metavar="WHEN", help="How often: 30s, 5min, 10epochs, 1000steps.")
    ] = "5min",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the unfinished run in --checkpoint, if there is one."
        ),
    ] = False,
    json: opt.Json = False,
) -> None:
    """Train a linear model on a table and write it to a file.

    Ctrl-C and SIGTERM end training after the batch (with the automatic method, the epoch): the
    checkpoint, if one is asked for, and the best model so far are written. A second one ends it at
    once; the checkpoint before is still there.
    """
    from gradstep.cli.progress import Progress
    from gradstep.fit.table import fit_table
    from gradstep.model.evaluation import evaluate
    from gradstep.model.file import save

    _refuse_idle(ctx)
    kept = _checkpoint(ctx, checkpoint, checkpoint_every, resume=resume)
    _check_names(loss, penalty, penalty_scale, optimizer, learning_rate)
    source: Any = table
    chosen: dict[str, Any] = {}
    folder = Path(table)
    if (folder / "meta.json").is_file():
        from gradstep.data.preparing.prepared import open_prepared

        idle = opt.given(ctx, _PREPARING)
        if idle:
            msg = f"{table} is prepared: {', '.join(idle)} would change nothing. Prepare it anew."
            raise InvalidParameter(msg)
        source = open_prepared(folder)
        target = target or source.target.column
    else:
        target, terms = term.terms(
            target, formula=formula, only=only, spline=spline, cross=cross, poly=poly, log=log
        )
        chosen = opt.preparation(
            target=target, task=task, sample_weight=sample_weight,
            class_weight=class_weight, offset=offset, exposure=exposure, time_column=time_column,
            validation=validation, drop=drop, only=only, kinds=kinds, max_levels=max_levels,
            decimal=decimal, thousands=thousands, na=na, encoding=encoding, missing=missing,
            missing_target=missing_target, memory=memory, random_state=random_state,
        )  # fmt: skip
        chosen = term.added(chosen, terms)
    if alpha == "auto" and chosen.get("validation") == 0.0:
        msg = "--alpha auto chooses on the rows held out, and --validation 0 holds none out."
        raise InvalidParameter(msg)
    path = model or _model_path(table, str(target))
    refuse_unwritable(path)
    opt.refuse_sources(
        path, table, chosen.get("validation_table"), None if test is None else str(test)
    )
    with Progress(wanted=not json) as progress, opt.cluster(dask) as client:
        if source is table:
            chosen |= {"progress": progress, "cache": cache or not no_cache}
        if client is not None:
            chosen["watch"] = progress.rounds(lambda: len(client.nthreads()))
        fit = fit_table(
            source, target, loss=loss, penalty=None if penalty == "none" else penalty,
            alpha=_number("--alpha", alpha, "auto"), l1_ratio=l1_ratio, epsilon=epsilon,
            quantile=quantile, power=power, penalty_scale=penalty_scale,
            optimizer="exact" if exact else optimizer, learning_rate=_rate(learning_rate),
            batch_size="auto" if batch_size is None else batch_size,
            max_iter=max_iter, tol=_number("--tol", tol, "none"),
            n_iter_no_change=n_iter_no_change, callbacks=[progress, SIGNALS, *kept], cv=cv,
            client=client, allow_mixed=allow_mixed, **chosen,
        )  # fmt: skip
    save(fit.model, path)
    asked = fit.prepared.meta["asked"]
    tested = None if test is None else evaluate(
        fit.model, str(test), sample_weight=asked.get("weight"), encoding=asked.get("encoding", "")
    )  # fmt: skip
    if json:
        _print_json(fit, path, tested, kept)
    else:
        _report(fit, path, tested, kept)
    if SIGNALS.received or fit.outcome.name == "INTERRUPTED":
        raise typer.Exit(SIGNALS.status)


def _checkpoint(
    ctx: typer.Context, folder: Path | None, every: str, *, resume: bool
) -> list[Checkpoint]:
    """Return the checkpoint that is asked for, in a list, and speaking of options."""
    from gradstep.engine.checkpoint import Checkpoint, interval_of

    if folder is None:
        idle = opt.given(ctx, ("checkpoint_every", "resume"))
        if idle:
            msg = f"{' and '.join(idle)} would change nothing without --checkpoint DIR."
            raise InvalidParameter(msg)
        return []
    interval_of(every, f"--checkpoint-every {every}")
    return [Checkpoint(folder, every, resume=resume).speaking(_option, "--resume")]


def _option(name: str) -> str:
    """Return by which option a parameter of `fit_table` is given."""
    known = {"time": "--time-column", "kinds": "--as", "log_power": "--loss"}
    if " " in name:  # no parameter: the data
        return name
    return known.get(name, "--" + name.replace("_", "-"))


def _refuse_idle(ctx: typer.Context) -> None:
    """Refuse options that contradict each other, or would change nothing."""
    chosen = ctx.params
    for one, other in (("cache", "no_cache"), ("dask", "no_cache"), ("exact", "optimizer")):
        both = opt.given(ctx, (one, other))
        if len(both) == 2:
            msg = f"{both[0]} and {both[1]} contradict each other. Leave one of the two away."
            raise InvalidParameter(msg)
    if chosen["table"] == str(chosen["test"]) == "-":
        msg = "TABLE and --test are both -, and standard input is one table. Name a file for one."
        raise InvalidParameter(msg)
    opt.refuse_allow_mixed(allow_mixed=chosen["allow_mixed"], dask=chosen["dask"])
    idle = [
        (option, f"of --loss {' or '.join(sorted(losses))}")
        for name, losses in _OF_LOSSES.items()
        for option in opt.given(ctx, [name])
        if chosen["loss"] not in losses
    ]
    if chosen["penalty"] != "elasticnet":
        idle += [(option, "of --penalty elasticnet") for option in opt.given(ctx, ["l1_ratio"])]
    if chosen["penalty"] == "none":
        idle += [(option, "of a penalty") for option in opt.given(ctx, ["alpha", "penalty_scale"])]
    for option, of in idle:
        msg = f"{option} would change nothing: it is a part {of}."
        raise InvalidParameter(msg)


def _check_names(
    loss: str | None, penalty: str, penalty_scale: str, optimizer: str, learning_rate: str
) -> None:
    """Refuse names that are not known, before the table is read."""
    from gradstep.fit import components as known

    opt.refuse_unknown("--loss", loss, known.LOSSES)
    opt.refuse_unknown("--penalty", penalty, [*known.PENALTIES, "none"])
    opt.refuse_unknown("--penalty-scale", penalty_scale, ["deviation", "unit"])
    opt.refuse_unknown("--optimizer", optimizer, ["auto", *known.OPTIMIZERS, *known.SOLVERS])
    if isinstance(_rate(learning_rate), str):
        opt.refuse_unknown(
            "--learning-rate", learning_rate, ["auto", *known.LEARNING_RATES, "a number"]
        )


def _model_path(table: str, target: str) -> Path:
    """Return where a model goes unless it is said: named after the table and the target.

    Examples
    --------
    >>> [str(_model_path(table, "fare")) for table in ("in/trips.csv.gz", "trips/*.parquet")]
    ['trips-fare.safetensors', 'trips-fare.safetensors']
    """
    table = "stdin" if table == "-" else table
    parts = [part for part in Path(table).parts if not re.search(r"[*?\[\]]", part)]
    name = parts[-1] if parts and Path(table).name != ".." else ""
    if name and not Path(table).is_dir():
        name = re.sub(r"(\.\w+?)(\.(gz|zst|bz2|xz))?$", "", name)
    name = name or Path(table).resolve().name or "table"
    return Path(re.sub(r"[^\w.=+-]+", "_", f"{name}-{target}") + ".safetensors")


def _number(option: str, text: str, other: str) -> Any:
    """Return the number that was typed, or the one word that may stand there: none is None."""
    if text == other:
        return None if other == "none" else other
    try:
        return float(text)
    except ValueError:
        msg = f"{option} {text} must be a number, or {other}."
        raise InvalidParameter(msg) from None


def _rate(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _print_json(
    fit: TableFit, path: Path, tested: dict[str, Any] | None, kept: Sequence[Checkpoint]
) -> None:
    from gradstep.cli import report
    from gradstep.model.coefficients import coefficients, importance, points_of_curves

    meta = fit.prepared.meta
    report.print_json({
        "model": str(path),
        "source": meta["source"],
        "rows": meta["rows"],
        "target": meta["target"],
        "loss": repr(fit.model.loss),
        "columns": fit.prepared.encoding.to_json()["columns"],
        "epochs": len(fit.history),
        "history": [record._asdict() for record in fit.history],
        "outcome": fit.outcome.name.lower(),
        "excess": fit.history[-1].excess if fit.history else None,
        "seconds": fit.seconds,
        "validation": fit.validation,
        "baseline": fit.baseline,
        "folds": fit.folds,
        "test": tested,
        "importance": importance(fit.model),
        "coefficients": coefficients(fit.model, 10 * _SHOWN),
        "curves": points_of_curves(fit.model),
        "intercept": fit.model.intercept_.tolist(),
        "notes": fit.notes,
        "checkpoint": str(kept[0].path) if kept else None,
        "went_on": kept[0].went_on if kept else "",
    })  # fmt: skip


def _report(
    fit: TableFit, path: Path, tested: dict[str, Any] | None, kept: Sequence[Checkpoint]
) -> None:
    from rich.markup import escape

    from gradstep.cli import report
    from gradstep.model.coefficients import coefficients, importance, in_words

    to = report.console()
    meta = fit.prepared.meta
    report.tell_rows(to, meta["rows"])
    report.tell_columns(to, fit.prepared.encoding, meta["columns"])
    classes = fit.model.target.classes
    what = f"{fit.model.target.column}, " + (
        "a number" if classes is None else f"one of {len(classes):,} classes"
    )
    loss = fit.model.loss
    inner = f" of {type(loss.loss).__name__}" if hasattr(loss, "loss") else ""
    report.prose(to, "Target", f"{what}; loss {type(loss).__name__}{inner}")
    epochs = report.count(len(fit.history), "epoch", "epochs")
    report.prose(
        to, "Training",
        f"{epochs} in {fit.seconds['training']:.2f} s, after "
        f"{fit.seconds['preparing']:.2f} s of preparing. {fit.outcome.in_short}"
        f"{report.excess(fit)}",
    )  # fmt: skip
    report.print_notes(to, fit.notes)
    if fit.validation:
        to.print(report.metrics_table(fit.validation, fit.baseline))
    if tested is not None:
        to.print(report.metrics_table(tested, tested["baseline"], "of the test"))
    if fit.folds:
        to.print(report.folds_table(fit.folds))
    report.tell_importance(to, importance(fit.model))
    report.tell_curves(to, fit.model)
    largest = coefficients(fit.model, _SHOWN, references=False, curves=False)
    report.prose(to, "Coefficients", "the most important, in the columns' own units")
    for entry in largest:
        to.print(f"  {escape(in_words(fit.model, entry))}")
    report.prose(to, "Model", str(path))
    for checkpoint in kept:
        if checkpoint.went_on:
            report.prose(to, "Went on", checkpoint.went_on)
        if fit.outcome.name == "INTERRUPTED":
            report.prose(to, "Checkpoint", f"{checkpoint.path}: --resume goes on from it")
