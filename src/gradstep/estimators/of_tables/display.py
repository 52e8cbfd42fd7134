"""What estimators of tables give to look at: frames of the user's library, HTML for notebooks."""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from gradstep.data.roles import written
from gradstep.model.coefficients import coefficients, in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.model.model import Model

__all__ = ["coefficient_columns", "frame", "html"]

_SHOWN = 10


def frame(columns: dict[str, Sequence[Any]], library: str) -> Any:
    """Return columns as a frame of a library that is imported, by its name."""
    if library == "pandas":
        return sys.modules["pandas"].DataFrame(columns)
    if library == "pyarrow":
        return sys.modules["pyarrow"].table(columns)
    return pl.DataFrame(columns)


def coefficient_columns(model: Model) -> dict[str, Sequence[Any]]:
    """Return what is known of each coefficient that is not zero, as columns."""
    found = coefficients(model)
    names = ["feature", *(["class"] if model.n_outputs > 1 else []), "coefficient"]
    return {name: [entry[name] for entry in found] for name in names}


def html(model: Model) -> str:
    """Return the strongest coefficients in words, as a table that runs no code."""
    rows = "".join(
        f"<tr><td style='text-align: left'>{escape(in_words(model, entry))}</td></tr>"
        for entry in coefficients(model, _SHOWN)
    )
    target = escape(model.target.column)
    of = ", ".join(escape(written(label)) for label in model.target.classes or ())
    head = f"{target}: {of}" if of else target
    return f"<table><caption>{head}</caption>{rows}</table>"
