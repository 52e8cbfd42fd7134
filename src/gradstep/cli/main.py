"""The command line: one verb per file, put together here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import gradstep
from gradstep.cli.demo import demo
from gradstep.errors import GradstepError

__all__ = ["app", "main"]

app = typer.Typer(
    name="gradstep",
    help="Mini-batch gradient descent for linear models, on a table of any size.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gradstep {gradstep.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Take the options that every verb has."""
    ctx.obj = {"debug": debug, "version": version}


app.command()(demo)


def main() -> None:
    """Run the command line; an error is one message on stderr and exit status 1."""
    try:
        app()
    except GradstepError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
