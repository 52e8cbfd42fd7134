"""All that is noted of a fit to a table: while it was read, while it ran, and of what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.diagnostics.catalogue import GRAVE
from gradstep.diagnostics.of_fits import SEPARABLE
from gradstep.fit.collinear import notes_of_collinear
from gradstep.fit.column_constraints import notes_of_bounds
from gradstep.fit.generalising import notes_of_held_out
from gradstep.fit.too_good import note_of_too_good

if TYPE_CHECKING:
    from gradstep.diagnostics.diagnostic import Note
    from gradstep.fit.phases import Phases
    from gradstep.fit.table import TableFit

__all__ = ["notes_of_fit"]


def notes_of_fit(fit: TableFit, found: Phases, *, apart: bool) -> list[Note]:
    """Return what a person should know of a fit.

    Parameters
    ----------
    fit : TableFit
        The fit, with its metrics on the rows held out.
    found : Phases
        What was trained.
    apart : bool
        Whether the classes can be separated, so that there is no optimum.
    """
    prepared = fit.prepared
    notes = [
        *prepared.notes,
        *found.notes,
        *notes_of_bounds(found.problem, found.params, prepared.encoding),
    ]
    later = notes_of_collinear(prepared)
    if apart:
        later.append(
            SEPARABLE.note(
                "The classes can be separated: without a penalty there is no optimum, and training "
                "stopped where more of the same would change little. Use "
                'penalty="l2".'
            )
        )
    if prepared.validation is not None:
        known = [*notes, *later]
        later += note_of_too_good(fit.judged, fit.validation, fit.baseline, known)
        later += notes_of_held_out(fit.judged, prepared)
    if found.alpha is not None:
        given_away = apart or any(note.code in GRAVE for note in (*notes, *later))
        of_classes = prepared.target.classes is not None
        notes += found.alpha.notes(of_classes=of_classes, given_away=given_away)
    return [*notes, *later]
