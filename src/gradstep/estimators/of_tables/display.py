"""What estimators of tables give to look at: frames of the user's library, HTML for notebooks."""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from gradstep.data.roles import written
from gradstep.errors import InvalidModel
from gradstep.model.coefficients import coefficients, estimate_of, importance, in_words
from gradstep.model.intervals import with_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.model.model import Model

__all__ = ["coefficient_columns", "frame", "html", "importance_columns"]

_SHOWN = 10


def frame(columns: dict[str, Sequence[Any]], library: str) -> Any:
    """Return columns as a frame of a library that is imported, by its name."""
    if library == "pandas":
        return sys.modules["pandas"].DataFrame(columns)
    if library == "pyarrow":
        return sys.modules["pyarrow"].table(columns)
    return pl.DataFrame(columns)


def coefficient_columns(model: Model) -> dict[str, Sequence[Any]]:
    """Return what is known of each coefficient that is not zero, as columns.

    `coefficient` is what the interval beside it is of, as in a summary.
    """
    found = with_errors(model, coefficients(model, references=False))
    found = [{**entry, "coefficient": estimate_of(entry)[1]} for entry in found]
    names = ["feature", *(["class"] if model.n_outputs > 1 else [])]
    if model.training is not None and model.encoding.coded:
        names += ["against"]
    names += ["coefficient"]
    if model.training is not None:
        names += ["importance"]
    if model.covariance is not None:
        names += ["standard_error", "p", "low", "high"]
    return {name: [entry.get(name) for entry in found] for name in names}


def importance_columns(model: Model) -> dict[str, Sequence[Any]]:
    """Return what is known of each column's importance, as columns."""
    found = importance(model)
    if not found:
        msg = (
            "The model keeps nothing of its training rows, so the importance of columns is not "
            "known: it is one of sparse text, or its file is of an older gradstep. Train it again."
        )
        raise InvalidModel(msg)
    columns: dict[str, Sequence[Any]] = {
        name: [entry[name] for entry in found] for name in ("column", "share")
    }
    if model.n_outputs == 1:
        return {**columns, "deviation": [entry["deviation"] for entry in found]}
    return {**columns, **{c: [e["classes"][c] for e in found] for c in model.target.names}}


def html(model: Model) -> str:
    """Return the strongest coefficients in words, as a table that runs no code."""
    rows = "".join(
        f"<tr><td style='text-align: left'>{escape(in_words(model, entry))}</td></tr>"
        for entry in coefficients(model, _SHOWN, references=False)
    )
    target = escape(model.target.column)
    of = ", ".join(escape(written(label)) for label in model.target.classes or ())
    head = f"{target}: {of}" if of else target
    return f"<table><caption>{head}</caption>{rows}</table>"
