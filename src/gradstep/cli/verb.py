"""A verb of the command line: its options have their names of today, and answer to older ones."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

from gradstep.cli.notes import say_notes
from gradstep.diagnostics.catalogue import codes_of
from gradstep.diagnostics.of_machines import OLD_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["Verb"]

# Options that had other names, with what says the same today (docs/adr/0016).
_NEW = {
    "--epochs": ("--max-iter", "--tol=none"),
    "--max-epochs": ("--max-iter",),
    "--seed": ("--random-state",),
    "--weight": ("--sample-weight",),
}


class Verb(TyperCommand):
    """A verb that takes options by their old names, too, and says what they are called now."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        paragraphs = (self.help or "").split("\n\n")
        self.help = "\n\n".join(" ".join(each.split()) for each in paragraphs)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help; names longer than a column of a narrow terminal go on in a new line."""
        with _names_in_full():
            super().format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments, after options have got their names of today."""
        known = {option for parameter in self.params for option in parameter.opts}
        found: list[str] = []
        notes: list[Note] = []
        for at, word in enumerate(args):
            if word == "--":  # what follows are no options
                found += args[at:]
                break
            name, equals, value = word.partition("=")
            new, *more = _NEW.get(name, (name,))
            if new == name or new not in known:
                found.append(word)
                continue
            note = OLD_NAME.note(f"{name} is called {' '.join([new, *more])} now.")
            notes.append(note)
            found += [*more, f"{new}{equals}{value}"]
        try:
            left = super().parse_args(ctx, found)
        except Exception:  # the new name, which is what the error speaks of
            say_notes(notes, frozenset())
            raise
        say_notes(notes, codes_of(ctx.params.get("ignore")))
        return left


@contextmanager
def _names_in_full() -> Iterator[None]:
    """Have tables of options fold what does not fit, which Typer has them cut off.

    Typer promises nothing of how it makes them: another one may cut names off, but shows its help.
    """
    from rich.table import Table

    try:
        from typer import rich_utils
    except ImportError:
        yield
        return
    module: Any = rich_utils
    theirs = getattr(module, "Table", None)
    if theirs is not Table:
        yield
        return

    class Folding(Table):
        def add_row(self, *cells: Any, **how: Any) -> None:
            super().add_row(*cells, **how)
            texts = [text for cell in cells for text in getattr(cell, "renderables", ())]
            for each in [*self.columns, *texts]:  # texts that make a cell together have their own
                each.overflow = "fold"

    module.Table = Folding
    try:
        yield
    finally:
        module.Table = theirs
