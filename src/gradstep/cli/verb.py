"""A verb of the command line: its options have their names of today, and answer to older ones."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from gradstep.cli.terminal import say
from gradstep.diagnostics.of_machines import OLD_NAME

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
            say(note.labelled(), err=True)
            found += [*more, f"{new}{equals}{value}"]
        return super().parse_args(ctx, found)
