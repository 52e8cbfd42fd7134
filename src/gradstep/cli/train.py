"""``gradstep train``: a table in, a model out, and what a person needs to know of it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradstep.cli import constraint_options as constrain
from gradstep.cli import method_options as method
from gradstep.cli import options as opt
from gradstep.cli import paths
from gradstep.cli import term_options as term
from gradstep.cli.notes import Ignore, ignored
from gradstep.cli.prepared import prepared_table
from gradstep.cli.report_page import refuse_page
from gradstep.cli.signals import SIGNALS
from gradstep.cli.train_checks import number_of, rate_of, refuse_idle, refuse_unknown_names
from gradstep.diagnostics.catalogue import GRAVE
from gradstep.errors import ClusterLost, GradstepError, InvalidParameter
from gradstep.files import refuse_unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradstep.engine.checkpoint import Checkpoint

__all__ = ["train"]


def train(
    ctx: typer.Context,
    table: opt.TableArgument,
    *,
    target: opt.Target = None,
    loss: method.Loss = None,
    task: opt.Task = "auto",
    penalty: method.Penalty = "l2",
    alpha: Annotated[
        str,
        typer.Option(
            help="Strength of the penalty; auto chooses it within the training rows.",
            rich_help_panel=opt.PENALTY,
        ),
    ] = "auto",
    l1_ratio: Annotated[
        float, typer.Option(help="Share of l1 in elasticnet.", rich_help_panel=opt.PENALTY)
    ] = 0.15,
    epsilon: Annotated[
        float, typer.Option(help="Of huber and epsilon_insensitive.", rich_help_panel=opt.TARGET)
    ] = 0.1,
    quantile: Annotated[float, typer.Option(help="Of pinball.", rich_help_panel=opt.TARGET)] = 0.5,
    power: Annotated[float, typer.Option(help="Of tweedie.", rich_help_panel=opt.TARGET)] = 1.5,
    penalty_scale: method.PenaltyScale = "deviation",
    nonnegative: constrain.Nonnegative = None,
    bound: constrain.Bound = None,
    monotone: constrain.Monotone = None,
    optimizer: method.Optimizer = "auto",
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="The least-squares solution itself.", rich_help_panel=opt.TRAINING
        ),
    ] = False,
    learning_rate: method.LearningRate = "auto",
    batch_size: Annotated[
        int | None, typer.Option(help="Rows of a step.", rich_help_panel=opt.TRAINING)
    ] = None,
    max_iter: Annotated[
        int, typer.Option(help="Epochs, at most.", rich_help_panel=opt.TRAINING)
    ] = 1000,
    tol: Annotated[
        str,
        typer.Option(
            help="What ends the run; none for all epochs, unless the optimum is reached.",
            rich_help_panel=opt.TRAINING,
        ),
    ] = "1e-4",
    n_iter_no_change: Annotated[
        int,
        typer.Option(
            help="Epochs without improvement that end a run of another optimizer.",
            rich_help_panel=opt.TRAINING,
        ),
    ] = 3,
    sample_weight: opt.SampleWeight = None,
    class_weight: opt.ClassWeight = None,
    offset: opt.Offset = None,
    exposure: opt.Exposure = None,
    validation: opt.Validation = "0.1",
    test: Annotated[
        Path | None,
        typer.Option(
            help="A file to evaluate the model on, which trains nothing.",
            rich_help_panel=opt.HELD_OUT,
        ),
    ] = None,
    cv: Annotated[
        int | None,
        typer.Option(
            help="Cross-validate in so many parts, too; 2 or more.", rich_help_panel=opt.HELD_OUT
        ),
    ] = None,
    no_refit: Annotated[
        bool,
        typer.Option(
            "--no-refit",
            help="Keep the rows held out from the model for good.",
            rich_help_panel=opt.HELD_OUT,
        ),
    ] = False,
    inference: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="Standard errors: robust, model, none, or cluster=COLUMN (or two, comma between).",
            rich_help_panel=opt.TRAINING,
        ),
    ] = "robust",
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
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="Where to write the model.", rich_help_panel=opt.RUN),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Where to write a page about the model.", rich_help_panel=opt.RUN),
    ] = None,
    memory: opt.Memory = "256MB",
    cache: opt.Cache = None,
    no_cache: opt.NoCache = False,
    dask: opt.Dask = None,
    allow_mixed: opt.AllowMixed = False,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder to write the run down in now and then, to go on from there.",
            rich_help_panel=opt.RUN,
        ),
    ] = None,
    checkpoint_every: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            help="How often: 30s, 5min, 10epochs, 1000steps.",
            rich_help_panel=opt.RUN,
        ),
    ] = "5min",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the unfinished run in --checkpoint, if there is one.",
            rich_help_panel=opt.RUN,
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Read the table, say what would be done, and stop.",
            rich_help_panel=opt.RUN,
        ),
    ] = False,
    ignore: Ignore = None,
    force: opt.Force = False,
    json: opt.Json = False,
) -> None:
    """Train a linear model on a table and write it to a file.

    Ctrl-C and SIGTERM end training after the batch (with the automatic method, the epoch): the
    checkpoint, if one is asked for, and the best model so far are written. A second one ends it at
    once; the checkpoint before is still there.
    """
    from gradstep.cli.progress import Progress
    from gradstep.fit.compile_ahead import compiling_ahead, guess_of

    refuse_unknown_names(loss, penalty, penalty_scale, optimizer, learning_rate)
    refuse_idle(ctx)
    paths.note_cache(ignored(ignore))
    ignored(GRAVE)  # as warnings: train prints them among its notes
    kept = _checkpoint(ctx, checkpoint, checkpoint_every, resume=resume)
    source: Any = table
    target = target or paths.label_of(table)
    chosen: dict[str, Any] = {}
    if (prepared := prepared_table(ctx, table)) is not None:
        source, target = prepared, target or prepared.target.column
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
    path = model or paths.model_path(table, str(target))
    read = (table, chosen.get("validation_table"), None if test is None else str(test))
    _refuse_in_the_way(path, report, read, force=force)
    if kept and kept[0].path.resolve() in {each.resolve() for each in (path, report) if each}:
        msg = f"--checkpoint {checkpoint} is a folder, and a result goes there: name another."
        raise InvalidParameter(msg)
    if test is not None:
        _refuse_untestable(str(test), str(target), encoding)
    automatic = {"exact" if exact else optimizer, learning_rate} <= {"auto", "svrg"}
    guess = None
    if automatic and dask is None and source is table and not dry_run:
        guess = guess_of(table, str(target), loss, {**chosen, "penalty": penalty})
    with (
        compiling_ahead(guess),
        Progress(wanted=not json) as progress,
        opt.cluster(dask) as client,
    ):
        from gradstep.cli.train_report import TrainReport  # these import Numba
        from gradstep.fit.table import fit_table
        from gradstep.model.evaluation import evaluate
        from gradstep.model.file import save

        told = TrainReport(path, progress, kept, json=json, dry_run=dry_run, page=report)
        if source is table:
            chosen |= {"progress": progress, "cache": cache or not no_cache}
        if client is not None:
            chosen["watch"] = progress.rounds(lambda: len(client.nthreads()))
        with _best_in(path):
            fit = fit_table(
                source, target, loss=loss, penalty=None if penalty == "none" else penalty,
                alpha=number_of("--alpha", alpha, "auto"), l1_ratio=l1_ratio, epsilon=epsilon,
                quantile=quantile, power=power, penalty_scale=penalty_scale,
                optimizer="exact" if exact else optimizer, learning_rate=rate_of(learning_rate),
                batch_size="auto" if batch_size is None else batch_size,
                max_iter=max_iter, tol=number_of("--tol", tol, "none"),
                n_iter_no_change=n_iter_no_change,
                callbacks=[progress, SIGNALS, *kept, told.at_start], cv=cv,
                refit=not no_refit, inference=inference, ignore=ignore, client=client,
                allow_mixed=allow_mixed, on_plan=told.on_plan,
                **constrain.constraints(nonnegative, bound, monotone), **chosen,
            )  # fmt: skip
    save(fit.model, path)
    asked = fit.prepared.meta["asked"]
    with _model_is_in(path):
        tested = None if test is None else evaluate(
            fit.model, str(test), sample_weight=asked.get("weight"),
            encoding=asked.get("encoding", ""),
        )  # fmt: skip
        if report is not None:
            fit.report(test, sample_weight=asked.get("weight")).save(report, force=True)
    told.on_fit(fit, tested)
    if SIGNALS.received or fit.outcome.name == "INTERRUPTED":
        raise typer.Exit(SIGNALS.status)


def _refuse_in_the_way(
    model: Path, page: Path | None, tables: Sequence[str | None], *, force: bool
) -> None:
    """Refuse to write over what is something else, or cannot be written, before any work."""
    refuse_unwritable(model)
    paths.refuse_foreign(model, "model", force=force)
    paths.refuse_sources(model, *tables)
    if page is not None:
        refuse_page(page, model, tables, force=force)


def _refuse_untestable(table: str, target: str, encoding: str) -> None:
    """Refuse a table to test on that is not there, or has no target, before what takes long."""
    from gradstep.data.sources.local_copy import STDIN
    from gradstep.data.sources.opening import files_of, open_table
    from gradstep.data.sources.read_options import ReadOptions
    from gradstep.data.sources.source_file import SourceFile

    if paths.label_of(table) is not None:  # sparse text, which has a target always
        for file in files_of(table):
            SourceFile.of(file)
    elif table != STDIN:  # which can be read once
        opened = open_table(table, reading=ReadOptions(encoding=encoding))
        opened.check_column(target, "The target")


@contextmanager
def _model_is_in(path: Path) -> Iterator[None]:
    """Let an error that comes after the training say where the model is."""
    try:
        yield
    except GradstepError as error:
        error.args = (f"{error} The model is trained, and in {path}.",)
        raise


@contextmanager
def _best_in(path: Path) -> Iterator[None]:
    """Write the best model so far where the cluster is lost."""
    from gradstep.model.file import save

    try:
        yield
    except ClusterLost as error:
        if error.model is None:
            raise
        save(error.model, path)
        msg = f"{error} The best model until then is in {path}."
        raise ClusterLost(msg) from error


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


_OPTIONS = {
    "weight": "--sample-weight", "time": "--time-column", "seed": "--random-state",
    "log_power": "--loss", "chosen_for": "--loss", "kinds": "--as", "splines": "--spline",
    "crosses": "--cross", "polynomials": "--poly", "logs": "--log", "refit": "--no-refit",
    "bounds": "--bound, --nonnegative or --monotone", "clusters": "--inference",
}  # fmt: skip


def _option(name: str) -> str:
    """Return by which option a parameter of `fit_table` is given."""
    if " " in name:  # no parameter: the data
        return name
    return _OPTIONS.get(name, "--" + name.replace("_", "-"))
