r"""How the command line prints: whatever a file holds, nothing of it acts on the terminal.

What would (`gradstep.characters`) is printed as Python writes it, in JSON as JSON does. A table
that goes to a file or a pipe is data, and written as it is, in UTF-8.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from traceback import format_exception
from typing import TYPE_CHECKING, Any, TextIO

from gradstep.characters import acting, escaped
from gradstep.cli.speaking import spoken
from gradstep.diagnostics.diagnostic import Note
from gradstep.errors import CannotWrite, GradstepWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "escaped",
    "escaped_json",
    "finish_stdout",
    "say",
    "say_traceback",
    "say_warning",
    "set_up_streams",
    "write_data",
    "writing_stdout",
]  # fmt: skip


def escaped_json(text: str) -> str:
    """Return a line of JSON with the same written out as JSON does."""
    return acting.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(text: str, *, err: bool = False) -> None:
    """Print a line, or an error of several."""
    if err:
        if sys.stderr is not None:  # a closed one
            with suppress(OSError):  # there is nobody else to tell
                sys.stderr.write(escaped(text, lines=True) + "\n")
    elif sys.stdout is not None:
        with writing_stdout():
            sys.stdout.write(escaped(text) + "\n")


def say_traceback(_kind: type[BaseException], error: BaseException, _trace: Any) -> None:
    """Print where an error comes from, as `sys.excepthook` does."""
    for line in "".join(format_exception(error)).rstrip("\n").split("\n"):
        say(line, err=True)


def say_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:  # fmt: skip
    """Print a warning of ours, but for where in the code it comes from.

    Those of libraries speak of code that whoever types has not written: with --debug alone.
    """
    of_use = issubclass(category, GradstepWarning) and not issubclass(category, DeprecationWarning)
    if not of_use and "--debug" not in sys.argv:
        return
    del filename, lineno, file, line
    say(spoken(Note(message).labelled("warning")), err=True)


def write_data(text: str) -> None:
    """Write a piece of a table or of JSON to stdout: as it is, unless that is a terminal."""
    if sys.stdout is None:
        msg = "stdout is closed: there is nowhere to write to. Name a file (--out)."
        raise CannotWrite(msg)
    with writing_stdout():
        if sys.stdout.isatty():
            sys.stdout.write("\n".join(map(escaped, text.split("\n"))))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())


# --------------------------------------------------------------------------- the streams


def set_up_streams() -> None:
    """Make printable what a stream's encoding or width lacks, and keep numbers of closed streams.

    The next file that is opened would get the number of a stream that is closed, and whatever a
    library writes to that stream.
    """
    if os.environ.get("COLUMNS", "").strip() == "0":  # of a terminal that does not know its width
        del os.environ["COLUMNS"]  # tables of no width would be nothing
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # closed, or in a test one that cannot
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


@contextmanager
def writing_stdout() -> Iterator[None]:
    """Tell as an error of ours that stdout takes no more, as on a full disk.

    Raises
    ------
    CannotWrite
        If it is so; what is left goes nowhere.
    BrokenPipeError
        If nobody reads it any more.
    """
    try:
        yield
    except OSError as error:
        _give_up(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        msg = f"stdout cannot be written: {error.strerror}. Free some space, or name a file."
        raise CannotWrite(msg) from error


def finish_stdout() -> None:
    """Write what is left for stdout, before it is too late to tell of an error."""
    if sys.stdout is not None:
        with writing_stdout():
            sys.stdout.flush()


def _give_up(stream: TextIO) -> None:
    """Let what is left in a stream go nowhere, or Python would complain of it at the end."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
