"""Columns of a table that are copied beside the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.model.model import Model

__all__ = ["refuse_to_keep"]


def refuse_to_keep(model: Model, keep: Sequence[str], *, probabilities: bool = True) -> None:
    """Refuse columns that are called as one of the predictions is."""
    probabilities = probabilities and model.gives_probabilities
    named = model.target.column_names(probabilities=probabilities)
    if taken := [name for name in keep if name in named]:
        msg = (
            f"The column {taken[0]!r} cannot be kept: that is what a column of predictions is "
            "called. Rename the table's column, or do not keep it."
        )
        raise InvalidParameter(msg)
