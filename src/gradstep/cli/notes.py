"""Notes on the command line: which of them a user has asked not to hear."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated

import typer

from gradstep.cli.options import RUN
from gradstep.cli.speaking import spoken
from gradstep.cli.terminal import say
from gradstep.diagnostics.catalogue import codes_of
from gradstep.diagnostics.diagnostic import without

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["Ignore", "ignored", "say_notes"]

Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="CODE",
        help="Notes to leave out, by their codes (comma between, or repeated).",
        rich_help_panel=RUN,
    ),
]


def ignored(given: Sequence[str] | None) -> frozenset[str]:
    """Return the codes that were given to --ignore; warnings with them are not shown from now on.

    Raises
    ------
    InvalidParameter
        If there is no such code.
    """
    codes = codes_of(given)
    for code in codes:
        warnings.filterwarnings("ignore", f"{code}:")
    return codes


def say_notes(notes: Iterable[Note], codes: frozenset[str]) -> None:
    """Print notes on stderr, but for those that are ignored."""
    for note in without(notes, codes):
        say(spoken(note.labelled()), err=True)
