"""The command line: one verb per file, put together here."""

from __future__ import annotations

import functools
import inspect
import resource
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradstep.cli.cache import cache
from gradstep.cli.compare import compare
from gradstep.cli.demo import demo
from gradstep.cli.evaluate import evaluate
from gradstep.cli.explain import explain
from gradstep.cli.predict import predict
from gradstep.cli.prepare import prepare
from gradstep.cli.report_page import report
from gradstep.cli.show import show
from gradstep.cli.signals import SIGNALS
from gradstep.cli.speaking import PARAMETERS, in_options
from gradstep.cli.terminal import finish_stdout, say, say_traceback, say_warning, set_up_streams
from gradstep.cli.train import train
from gradstep.cli.verb import Verb
from gradstep.errors import GradstepError
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INTERRUPTED", "app", "main"]

_LEAST_ADDRESSES = 2_000_000_000  # bytes: below, Polars and LLVM end the process, or hang
_NO_MEMORY = "error: there is not enough memory. Free some, raise its limit, or lower --memory."
INTERRUPTED = (
    "Interrupted before there was a result: none is written, and the same command starts over."
)

# What options are called in Python, which some are called otherwise in.
_PARAMETERS = frozenset(
    name for verb in (train, compare, predict) for name in inspect.signature(verb).parameters
) - {"ctx", "table", "model", "kinds"}

app = typer.Typer(
    name="gradstep",
    help="Mini-batch gradient descent for linear models, on a table of any size.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"gradstep {VERSION}")
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


def _refuse_few_addresses() -> None:
    """Refuse a limit of the process within which its libraries cannot start their threads."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESSES:
        msg = (
            f"this process may have {limit / 1e9:.1f} GB of addresses (ulimit -v), and needs "
            f"{_LEAST_ADDRESSES / 1e9:.0f} GB, though far less memory. Raise it, or limit the "
            "memory itself (a control group)."
        )
        raise GradstepError(msg)


def _ends_quietly(verb: Callable[..., None]) -> Callable[..., None]:
    """Return a verb that says so when a signal ends it before it has a result."""

    @functools.wraps(verb)
    def run(*arguments: Any, **keywords: Any) -> None:
        _refuse_few_addresses()
        try:
            verb(*arguments, **keywords)
        except BaseException as error:
            # Polars, in the middle of a call of Python, wraps it in a panic of its own.
            panic = type(error).__name__ == "PanicException" and "KeyboardInterrupt" in str(error)
            if not panic and not isinstance(error, KeyboardInterrupt):
                raise
            say(INTERRUPTED, err=True)
            raise typer.Exit(SIGNALS.status) from None

    return run


for _verb in (train, predict, evaluate, show, report, compare, explain, prepare, cache, demo):
    app.command(cls=Verb)(_ends_quietly(_verb))


def main() -> None:
    """Run the command line; an error is one message on stderr and exit status 1."""
    set_up_streams()
    try:
        try:
            with SIGNALS.handled(), warnings.catch_warnings():
                warnings.showwarning = say_warning
                app()
        finally:
            sys.excepthook = say_traceback  # Typer has set one of its own
            finish_stdout()
    except BrokenPipeError:  # who read it has had enough
        sys.exit(1)
    except MemoryError:
        say(_NO_MEMORY, err=True)
        sys.exit(1)
    except GradstepError as error:
        if "--debug" in sys.argv:
            raise
        say(f"error: {in_options(str(error), _PARAMETERS | PARAMETERS)}", err=True)
        sys.exit(1)
    except OSError as error:  # of a file that nobody has said more about
        if "--debug" in sys.argv or error.strerror is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {where}{error.strerror}.", err=True)
        sys.exit(1)
