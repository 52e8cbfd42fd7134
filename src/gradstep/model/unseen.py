"""What is to be said of values that training saw nothing like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.diagnostics.of_models import UNSEEN_LEVEL, UNSEEN_MISSING
from gradstep.figures import count, number

if TYPE_CHECKING:
    from gradstep.diagnostics.diagnostic import Note
    from gradstep.model.model import Model

__all__ = ["unseen_notes"]


def unseen_notes(model: Model) -> list[Note]:
    """Return what is to be said of values of the last table that training saw nothing like."""
    numbers = {c.source: c for c in model.encoding.read_as_numbers}
    notes = []
    for column, n in sorted(model.unseen.items()):
        if not n:
            continue
        values = count(n, "value", "values")
        if column in numbers:
            known = numbers[column]
            mean = "the mean" + ("" if known.part else f" ({number(known.mean)})")
            notes.append(
                UNSEEN_MISSING.note(
                    f"{values} of {column} missing, as none was in training: {mean} is used."
                )
            )
        else:
            notes.append(
                UNSEEN_LEVEL.note(
                    f"{values} of {column} unknown or missing, as none was in training: no effect "
                    "on the prediction."
                )
            )
    return notes
