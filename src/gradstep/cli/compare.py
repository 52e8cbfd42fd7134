"""``gradstep compare``: the textbook's loop with each batch size, side by side on one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradstep.cli import method_options as method
from gradstep.cli import options as opt
from gradstep.cli import paths
from gradstep.cli import term_options as term
from gradstep.cli.notes import Ignore, ignored
from gradstep.cli.prepared import OF_PREPARING, prepared_table
from gradstep.cli.report_page import refuse_page
from gradstep.cli.signals import SIGNALS
from gradstep.cli.speaking import in_options
from gradstep.cli.terminal import say
from gradstep.cli.train_checks import (
    idle_parts,
    rate_of,
    refuse_parts,
    refuse_unknown_names,
)
from gradstep.compiling import CLOCK, NOTICED
from gradstep.errors import InvalidParameter
from gradstep.files import is_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.comparing.comparison import Comparison

__all__ = ["compare"]

_TRIED = ("batch_size", "learning_rate", "optimizer", "shuffle")
COMPARED = "What is compared: values with commas between"
_LEFT_OUT = ("steps", "epochs", "seconds", "rate", "held out")  # in this order, where it is narrow
_NAME, _LEAST_NAME = 24, 8  # letters of a name that are not folded, if possible, and at least
_EDGES, _BETWEEN = 2, 3  # of a table, and of its columns
_OF_TABLES = (
    "target", "loss", "penalty", "alpha", "l1_ratio", "penalty_scale", *OF_PREPARING
)  # fmt: skip


def compare(
    ctx: typer.Context,
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="TABLE",
            help="As of train; without one, the data of gradstep demo.",
            show_default=False,
        ),
    ] = None,
    *,
    target: opt.Target = None,
    batch_size: Annotated[
        str | None,
        typer.Option(
            metavar="ROWS",
            help="Rows of a step, as 1,16,64,all; by default 1,16,64,256,all.",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="sgd, momentum, nesterov, adagrad, rmsprop, adam, ftrl.",
            rich_help_panel=COMPARED,
        ),
    ] = "sgd",
    learning_rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATES",
            help="Numbers, or names as of train; by default constant: a rate from the data.",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    shuffle: Annotated[
        str | None,
        typer.Option(
            metavar="ORDERS",
            help="exact, blocks, none; by default exact.",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    max_iter: Annotated[
        int | None,
        typer.Option(
            help="Epochs of each run; by default 20, of the demo 50.", rich_help_panel=opt.TRAINING
        ),
    ] = None,
    precondition: Annotated[
        bool | None,
        typer.Option(
            "--precondition/--no-precondition",
            help="Steps on standardised columns (of a table the default), or on them as they are.",
            rich_help_panel=opt.TRAINING,
        ),
    ] = None,
    loss: method.Loss = None,
    task: opt.Task = "auto",
    epsilon: Annotated[
        float, typer.Option(help="Of huber and epsilon_insensitive.", rich_help_panel=opt.TARGET)
    ] = 0.1,
    quantile: Annotated[float, typer.Option(help="Of pinball.", rich_help_panel=opt.TARGET)] = 0.5,
    power: Annotated[float, typer.Option(help="Of tweedie.", rich_help_panel=opt.TARGET)] = 1.5,
    penalty: method.Penalty = "l2",
    alpha: Annotated[
        float, typer.Option(help="Strength of the penalty.", rich_help_panel=opt.PENALTY)
    ] = 1e-4,
    l1_ratio: Annotated[
        float, typer.Option(help="Share of l1 in elasticnet.", rich_help_panel=opt.PENALTY)
    ] = 0.15,
    penalty_scale: method.PenaltyScale = "deviation",
    sample_weight: opt.SampleWeight = None,
    class_weight: opt.ClassWeight = None,
    offset: opt.Offset = None,
    exposure: opt.Exposure = None,
    validation: opt.Validation = "0.1",
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
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Where to write a page with figures.", rich_help_panel=opt.RUN
        ),
    ] = None,
    memory: opt.Memory = "256MB",
    cache: opt.Cache = None,
    no_cache: opt.NoCache = False,
    ignore: Ignore = None,
    force: opt.Force = False,
    json: opt.Json = False,
) -> None:
    """Run the textbook's loop with each batch size, rate and optimizer, side by side.

    All combinations are run, from one start and one seed, beside the automatic method.

    Ctrl-C and SIGTERM end it with what there is.
    """
    from gradstep.cli.progress import Progress

    paths.note_cache(ignored(ignore))
    trials: dict[str, Any] = {
        "batch_size": None if batch_size is None else _sizes(batch_size),
        "optimizer": opt.split([optimizer]),
        "learning_rate": None if learning_rate is None else _rates(learning_rate),
        "shuffle": None if shuffle is None else opt.split([shuffle]),
    }
    _refuse_unknown(trials["optimizer"], trials["shuffle"] or [])
    refuse_unknown_names(loss, penalty, penalty_scale, "sgd", "auto")
    refuse_parts(idle_parts(ctx))
    if out is not None:
        refuse_page(out, None, [table], force=force)
    chosen: dict[str, Any] = {}
    if table is None:
        idle = opt.given(ctx, _OF_TABLES)
        if idle:
            msg = f"{' and '.join(idle)} would change nothing without a TABLE."
            raise InvalidParameter(msg)
    else:
        chosen = {
            "loss": loss, "penalty": None if penalty == "none" else penalty, "alpha": alpha,
            "l1_ratio": l1_ratio, "penalty_scale": penalty_scale, "epsilon": epsilon,
            "quantile": quantile, "power": power,
        }  # fmt: skip
    prepared = None if table is None else prepared_table(ctx, table)
    source: Any = table if prepared is None else prepared
    if table is not None and prepared is None:
        target, terms = term.terms(
            target or paths.label_of(table), formula=formula, only=only, spline=spline,
            cross=cross, poly=poly, log=log,
        )  # fmt: skip
        chosen |= term.added(
            opt.preparation(
                target=target, task=task, sample_weight=sample_weight, class_weight=class_weight,
                offset=offset, exposure=exposure, time_column=time_column, validation=validation,
                drop=drop, only=only, kinds=kinds, max_levels=max_levels, decimal=decimal,
                thousands=thousands, na=na, encoding=encoding, missing=missing,
                missing_target=missing_target, memory=memory, random_state=random_state,
            ),
            terms,
        )  # fmt: skip
    began = CLOCK.seconds
    with Progress(wanted=not json) as progress:
        from gradstep.comparing.compare import compare as run_all  # imports Numba

        if source is table and table is not None:
            chosen |= {"progress": progress, "cache": cache or not no_cache}
        found = run_all(
            source, target, **trials, max_iter=max_iter, precondition=precondition,
            callbacks=[progress, SIGNALS], **chosen,
        )  # fmt: skip
    if out is not None:
        found.save(out, force=True)  # it was refused above
    _tell(found, out, CLOCK.seconds - began, json=json)
    if SIGNALS.received:
        raise typer.Exit(SIGNALS.status)


def _refuse_unknown(optimizers: Sequence[str], orders: Sequence[str]) -> None:
    """Refuse names that are none; those of the automatic method are told apart later."""
    from gradstep.fit.components import OPTIMIZERS, SOLVERS

    for name in optimizers:
        if name not in {"auto", *SOLVERS}:
            opt.refuse_unknown("--optimizer", name, OPTIMIZERS)
    for name in orders:
        opt.refuse_unknown("--shuffle", name, ("exact", "blocks", "none"))


def _sizes(text: str) -> list[int | str]:
    """Return the batch sizes that were typed.

    Examples
    --------
    >>> _sizes("1,64,all")
    [1, 64, 'all']
    """
    found: list[int | str] = []
    for each in opt.split([text]):
        try:
            found.append(int(each))
        except ValueError:
            if each != "all":
                msg = (
                    f"--batch-size {text}: {each} is no number of rows. Write whole numbers and "
                    "all, with commas between: 1,64,all."
                )
                raise InvalidParameter(msg) from None
            found.append(each)
    return found


def _rates(text: str) -> list[float | str]:
    """Return the learning rates that were typed, if all are known."""
    found = [rate_of(each) for each in opt.split([text])]
    for each in found:
        refuse_unknown_names(None, "l2", "deviation", "sgd", str(each))
    return found


def _tell(found: Comparison, out: Path | None, compiling: float, *, json: bool) -> None:
    """Print what came of it."""
    from rich.markup import escape

    from gradstep.cli import report
    from gradstep.comparing.words import (
        diverged,
        noise_in_words,
        recommendation,
        sentences,
        to_try,
    )

    another = in_options(to_try(found), _TRIED).replace(", --", " --")
    if json:
        report.print_json({
            **found.about,
            "optimum": found.optimum,
            "within": found.near,
            "runs": found.table.to_dicts(),
            "history": found.epochs.to_dicts(),
            "noise": {
                where: {"variance": noise.variance, "square": noise.square, "rows": noise.scale}
                for where, noise in found.noise.items()
            },
            "words": list(filter(None, [
                *sentences(found), *diverged(found.runs), another, noise_in_words(found),
                recommendation(found),
            ])),
            "interrupted": found.interrupted,
            "report": None if out is None else str(out),
        })  # fmt: skip
        return
    to = report.console()
    about = found.about
    report.prose(
        to, "Compared",
        f"{about['loss']}, {about['penalty']}, on {about['rows']:,} rows of {about['source']}; "
        f"steps on {about['steps']}, from {about['start']}, seed {about['seed']}",
    )  # fmt: skip
    if compiling >= NOTICED:
        report.prose(
            to, "Compiling", f"{compiling:.1f} s, once; seconds of the table are without it"
        )
    to.print(_table(found, to.width))
    for line in sentences(found):
        to.print(escape(line))
    for line in diverged(found.runs):
        to.print(f"[red]{escape(line)}[/red]")
    if another:
        to.print(escape(another))
    if found.noise:
        report.prose(to, "Noise", noise_in_words(found))
    if best := recommendation(found):
        to.print(escape(best))
    if out is not None:
        say(f"The page is in {out}", err=is_stream(out))


def _table(found: Comparison, width: int) -> Any:
    """Return the table of runs, with as many columns as there is room for."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from gradstep.comparing.words import cells

    head, rows = cells(found)
    kept = list(range(len(head)))
    for name in ("", *_LEFT_OUT):  # where it is narrow, headings fold, and columns are left out
        kept = [at for at in kept if head[at] != name]
        widths = [max(map(len, [*(row[at] for row in rows), *head[at].split()])) for at in kept]
        room = width - _EDGES - sum(widths[1:]) - _BETWEEN * len(widths[1:])
        if room >= min(widths[0], _NAME):
            break
    widths[0] = max(min(widths[0], room), _LEAST_NAME)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for at, own in zip(kept, widths, strict=True):
        table.add_column(head[at], overflow="fold", width=own, justify="right" if at else "left")
    best = found.best
    for run, row in zip((*found.runs, found.automatic), rows, strict=True):
        shown = [escape(row[at]) for at in kept]
        table.add_row(*shown, style="bold" if run is best else None)
    return table
