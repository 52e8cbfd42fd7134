"""Notices a model that is too good to be true, and the columns that make it so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.encoding import Encoding
from gradstep.diagnostics.of_tables import TOO_GOOD
from gradstep.model.coefficients import importance
from gradstep.model.training_rows import parts_of
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.model.model import Model

__all__ = ["note_of_too_good"]

_FEWEST_ROWS = 50
# R², or log loss relative to the best constant's, from which a model is too good.
_R2, _LOG_LOSS, _LOG_LOSS_OF_MORE = 0.99999, 0.01, 0.03
# Rows held out without an error, and rows among them of which the best constant has the class
# wrong, from which that is no luck: of half of scikit-learn's breast cancer table, 285 rows, none
# of 60 splits is without one. Of a quarter, 143 rows, three are, with a log loss from 0.046 of the
# constant's; of a tenth, 57 rows, a third are, from 0.019.
_MORE_ROWS, _MANY_ROWS, _FEWEST_OTHERS = 100, 200, 20
_MATTERS = 0.1  # share of the variance of the score from which a column is named


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
    if not isinstance(model.encoding, Encoding) or not _is_perfect(found, constant):
        return []
    columns = _columns_that_matter(model, model.encoding)
    if not columns or any(note.text.startswith(f"Column {columns[0]!r} ") for note in notes):
        return []
    first, *others = map(repr, columns)
    also = f", then by {', '.join(others)}" if others else ""
    known, drop = "what" if others else "it", given("drop", columns)
    note = TOO_GOOD.note(
        f"The rows held out are predicted almost perfectly, most of all by {first}{also}. If "
        f"{known} is not known when predictions are made, leave it out ({drop})."
    )
    return [note]


def _is_perfect(found: Mapping[str, Any], constant: Mapping[str, Any]) -> bool:
    """Tell whether metrics on rows held out are such as few tables allow."""
    rows = found.get("rows", 0)
    if rows < _FEWEST_ROWS:
        return False
    if "accuracy" not in found:
        return bool(found.get("r2", 0.0) > _R2)
    perfect = found["accuracy"] == 1.0
    share = _LOG_LOSS if rows < _MORE_ROWS else _LOG_LOSS_OF_MORE
    if perfect and found.get("log_loss", 0.0) <= share * constant.get("log_loss", 0.0):
        return True
    others = (1.0 - constant["accuracy"]) * rows
    ranked = perfect or found.get("auc") == 1.0
    return bool(ranked and rows >= _MANY_ROWS and others >= _FEWEST_OTHERS)


def _columns_that_matter(model: Model, encoding: Encoding) -> list[str]:
    """Return the columns with much of the score, the one with most first; of a cross its first."""
    parts = parts_of(encoding)
    shares = [(each["column"], each["share"]) for each in importance(model) if each["share"]]
    some = [name for at, (name, share) in enumerate(shares) if not at or share > _MATTERS]
    if some:
        first_features = (parts[name].features[0].start for name in some)
        return list(dict.fromkeys(encoding.source_of(j) for j in first_features))
    weights = np.abs(model.params[: model.coef_.size].reshape(model.coef_.shape)).max(axis=0)
    return [encoding.source_of(int(weights.argmax()))] if weights.any() else []
