"""A verb of the command line: its options have their names of today, and answer to older ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

from gradstep.cli.notes import say_notes
from gradstep.diagnostics.catalogue import codes_of
from gradstep.diagnostics.of_machines import OLD_NAME

if TYPE_CHECKING:
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
