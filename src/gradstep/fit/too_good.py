"""Notices a model that is too good to be true, and the column that makes it so; or of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.encoding import Encoding
from gradstep.diagnostics.of_tables import TOO_GOOD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.model.model import Model

__all__ = ["note_of_too_good"]

_FEWEST_ROWS = 50
# R², or log loss relative to the best constant's, from which a model is too good.
_R2, _LOG_LOSS = 0.99999, 0.01


def note_of_too_good(
    model: Model, found: Mapping[str, Any], constant: Mapping[str, Any], notes: Sequence[Note]
) -> list[Note]:
    """Return a note if held-out rows are predicted almost perfectly, which few tables allow.

    Parameters
    ----------
    model : Model
        The model.
    found, constant : mapping
        Its metrics on the held-out rows, and those of the best constant.
    notes : sequence of Note
        The notes so far; a column that they name is not named again.
    """
    if not isinstance(model.encoding, Encoding) or found.get("rows", 0) < _FEWEST_ROWS:
        return []
    perfect = found.get("r2", 0.0) > _R2 or (
        found.get("accuracy") == 1.0
        and found.get("log_loss", 0.0) <= _LOG_LOSS * constant.get("log_loss", 0.0)
    )
    weights = np.abs(model.params[: model.coef_.size].reshape(model.coef_.shape)).max(axis=0)
    if not perfect or not weights.any():
        return []
    column = model.encoding.source_of(int(weights.argmax()))
    if any(note.text.startswith(f"Column {column!r} ") for note in notes):
        return []
    note = TOO_GOOD.note(
        f"The rows held out are predicted almost perfectly, most of all by {column!r}. If it is "
        f"not known when predictions are made, leave it out (--drop {column})."
    )
    return [note]
