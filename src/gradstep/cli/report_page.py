"""``gradstep report``: a model as a page of HTML that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradstep.cli import options as opt
from gradstep.cli import paths
from gradstep.cli.notes import Ignore, ignored
from gradstep.cli.terminal import say
from gradstep.errors import InvalidParameter
from gradstep.files import is_stream, refuse_unwritable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["refuse_page", "report"]


def report(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="TABLE",
            help="A table that has the target, to judge the model by; best one that it was not "
            "trained on.",
            show_default=False,
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The page; by default the model's name with .html."),
    ] = None,
    sample_weight: opt.SampleWeight = None,
    encoding: opt.Encoding = "",
    ignore: Ignore = None,
    force: opt.Force = False,
    json: opt.Json = False,
) -> None:
    """Write a page about a model: what it says, how sure, how good."""
    from gradstep.cli import report as printed
    from gradstep.model.file import load
    from gradstep.reporting.page import report as report_on

    codes = ignored(ignore)
    if table is None:
        given = {"--sample-weight": sample_weight, "--encoding": encoding}
        idle = [name for name, value in given.items() if value]
        if idle:
            msg = f"{' and '.join(idle)} would change nothing without a TABLE."
            raise InvalidParameter(msg)
    out = out or model.with_suffix(".html")
    refuse_page(out, model, [table], force=force)
    paths.note_cache(codes)
    fitted = load(model) if table is None else paths.model_of(model, table)
    page = report_on(fitted, table, sample_weight=sample_weight, encoding=encoding, ignore=ignore)
    page.save(out, force=True)  # it was refused above
    if json:
        printed.print_json({"report": str(out), "characters": len(page.html)})
    else:
        say(f"The report is in {out}", err=is_stream(out))


def refuse_page(
    out: Path, model: Path | None, tables: Sequence[str | None], *, force: bool
) -> None:
    """Refuse to write a page over something else, before the work is done."""
    if str(out) == "-":
        msg = "- is no name of a page. Name a file, or /dev/stdout for standard output."
        raise InvalidParameter(msg)
    if model is not None and out.resolve() == model.resolve():
        msg = f"{out} is the model: the report would overwrite it. Name another file."
        raise InvalidParameter(msg)
    refuse_unwritable(out)
    paths.refuse_foreign(out, "a report", force=force)
    paths.refuse_sources(out, *tables)
