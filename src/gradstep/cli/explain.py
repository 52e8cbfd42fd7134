"""``gradstep explain``: what the code of a note means, why it matters, and what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gradstep.cli import options as opt
from gradstep.cli.speaking import spoken
from gradstep.diagnostics.catalogue import DIAGNOSTICS, STAGES
from gradstep.diagnostics.catalogue import explain as explained

if TYPE_CHECKING:
    from rich.console import Console

    from gradstep.diagnostics.diagnostic import Diagnostic

__all__ = ["explain"]


def explain(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CODE]...", help="Codes of notes; without any, all are listed."),
    ] = None,
    *,
    json: opt.Json = False,
) -> None:
    """Explain the codes of notes and warnings: what, why, what to do."""
    from gradstep.cli import report

    found = [explained(code) for text in codes or () for code in opt.split([text])]
    if json:
        report.print_json(
            {"diagnostics": [_spoken(each) for each in found or DIAGNOSTICS.values()]}
        )
        return
    to = report.console()
    if not found:
        _list(to)
    for at, each in enumerate(found):
        if at:
            to.print()
        _tell(to, each)


def _spoken(of: Diagnostic) -> dict[str, str]:
    return {name: spoken(text) for name, text in asdict(of).items()}


def _list(to: Console) -> None:
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    for stage, found in STAGES.items():
        to.print(f"[bold]{stage}[/bold]")
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for each in found:
            table.add_row(f"[yellow]{each.code}[/yellow]", escape(each.title))
        to.print(Padding(table, (0, 0, 0, 2)))


def _tell(to: Console, of: Diagnostic) -> None:
    from rich.markup import escape

    from gradstep.cli import report

    to.print(f"[yellow]{of.code}[/yellow]  [bold]{escape(of.title)}[/bold]")
    to.print()
    to.print(escape(spoken(of.what)))
    to.print()
    report.prose(to, "Why", spoken(of.why))
    to.print()
    report.prose(to, "What to do", spoken(of.fix))
