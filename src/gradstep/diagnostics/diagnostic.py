"""A diagnostic, and the notes and warnings that carry its code.

A note is text that begins with the code: ``GS004: Column 'id' numbers the rows.`` So the code is
kept wherever text is (a model's file, JSON, a checkpoint), and a filter of warnings finds it.
"""

from __future__ import annotations

import inspect
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradstep.errors import GradstepWarning

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["Diagnostic", "Note", "notes_of", "warn", "without"]

_CODED = re.compile(r"(?P<code>GS\d{3}): (?P<text>.*)", re.DOTALL)
_OURS = ("gradstep.", "sklearn.callback")


class Note(str):
    """What a person should know; the text begins with its code.

    A note of a file that an older gradstep has written may have no code.

    Examples
    --------
    >>> note = Note("GS004: Column 'id' numbers the rows.")
    >>> note.code, note.text
    ('GS004', "Column 'id' numbers the rows.")
    >>> Note("of a file of before").code
    ''
    """

    __slots__ = ()

    @property
    def code(self) -> str:
        """The code of its diagnostic."""
        found = _CODED.fullmatch(self)
        return "" if found is None else found["code"]

    @property
    def text(self) -> str:
        """What it says."""
        found = _CODED.fullmatch(self)
        return str(self) if found is None else found["text"]

    def reworded(self, text: str) -> Note:
        """Return a note of the same diagnostic that says something else."""
        return Note(f"{self.code}: {text}" if self.code else text)

    def labelled(self, word: str = "note") -> str:
        """Return the note as it is printed: ``note [GS004]: ...``."""
        return f"{word} [{self.code}]: {self.text}" if self.code else f"{word}: {self}"


def notes_of(texts: Iterable[str]) -> list[Note]:
    """Return the notes that were kept as text."""
    return [Note(text) for text in texts]


def without(notes: Iterable[str], ignored: Collection[str]) -> list[Note]:
    """Return the notes whose codes are not ignored."""
    return [note for note in notes_of(notes) if note.code not in ignored]


@dataclass(frozen=True)
class Diagnostic:
    """What a code stands for; `print` shows its page.

    Attributes
    ----------
    code : str
        ``GS`` and three digits. It is never given to anything else.
    title : str
        What it is about, in a few words.
    what : str
        What was found.
    why : str
        Why that matters.
    fix : str
        What to do about it.

    Examples
    --------
    >>> import gradstep
    >>> gradstep.explain("GS004").title
    'A column numbers the rows'
    """

    code: str
    title: str
    what: str
    why: str
    fix: str

    def note(self, text: str) -> Note:
        """Return a note of this."""
        return Note(f"{self.code}: {text}")

    def warn(self, text: str, category: type[GradstepWarning] = GradstepWarning) -> None:
        """Warn of this whoever called gradstep, at the line that did."""
        warn(self.note(text), category)

    def __str__(self) -> str:
        return (
            f"{self.code}: {self.title}\n\n{self.what}\n\nWhy it matters: {self.why}\n\n"
            f"What to do: {self.fix}"
        )


def warn(note: Note, category: type[GradstepWarning] = GradstepWarning) -> None:
    """Warn whoever called gradstep, at the line that did, of what a note says."""
    warnings.warn(note, category, stacklevel=_callers_level())


def _callers_level() -> int:
    """Return the level, in the stack of our caller, of the line that called gradstep."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        level, frame = level + 1, frame.f_back
    return level
