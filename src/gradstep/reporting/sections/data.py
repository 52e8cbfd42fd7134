"""What was read, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.data.features.in_words import columns_in_words, features_in_words, rows_in_words
from gradstep.markup import Markup, tag, text
from gradstep.reporting.figures import paragraph, table
from gradstep.reporting.sections.notes import note_list, notes_of_model

if TYPE_CHECKING:
    from gradstep.model.model import Model

__all__ = ["data_parts"]

_MOST_COLUMNS = 100
_LONG = 1000  # letters of a line of the plan


def data_parts(model: Model, ignored: frozenset[str]) -> list[Markup]:
    """Return the rows, the columns, the plan, and what was noticed, but for codes ignored."""
    known: dict[str, Any] = model.provenance
    parts: list[Markup] = []
    if not known:
        parts.append(paragraph("The model does not say which table it comes from."))
    else:
        source, rows = str(known["source"]), rows_in_words(known["rows"])
        parts.append(tag("p", tag("b", "Table "), tag("bdi", text(source)), f": {rows}."))
    columns = columns_in_words(model.encoding, known.get("columns") or {})
    parts.append(
        tag("p", tag("b", "Columns "), features_in_words(columns, model.encoding.n_features), ".")
    )
    if columns:
        parts.append(
            table(
                ["column", "became", "detail"], columns, 3, _MOST_COLUMNS, "What became of columns"
            )
        )
    words = known.get("words") or {}
    if words:
        parts.append(tag("h3", "The plan"))
        parts += [
            tag("p", tag("b", f"{head} "), tag("bdi", text(str(words[head]), _LONG)))
            for head in ("Target", "Loss", "Penalty", "Method")
            if head in words
        ]
        if known.get("alpha"):
            parts.append(
                tag("p", tag("b", "Chosen "), text(f"{known['penalty']}, {known['alpha']}"))
            )
    if notes := notes_of_model(model, ignored):
        parts += [tag("h3", "Noted"), note_list(notes)]
    return parts
