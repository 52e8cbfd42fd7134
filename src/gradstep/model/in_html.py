"""What a notebook shows of a model: a few facts, its quality, and what matters most."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradstep.figures import count, number
from gradstep.markup import Markup, tag, text
from gradstep.model.coefficients import coefficients, importance, in_words
from gradstep.model.intervals import of_errors, with_errors
from gradstep.model.metrics import constant_in_words, in_figures, metrics_in_words

if TYPE_CHECKING:
    from gradstep.model.model import Model

__all__ = ["in_html"]

_FEW = 5
_LONG = 300  # letters of a sentence


def in_html(model: Model, ended: str = "") -> str:
    """Return a short piece of HTML, in which all names are escaped.

    Parameters
    ----------
    model : Model
        The model.
    ended : str
        What else is said of it.
    """
    parts = [
        tag(
            "p", tag("b", "A model of ", tag("bdi", text(model.target.column, 80))),
            f": {model.loss!r}, {count(model.encoding.n_features, 'feature', 'features')}. {ended}",
        )
    ]  # fmt: skip
    try:
        parts += _quality(model)
    except (AttributeError, KeyError, TypeError, ValueError):
        parts.append(tag("p", "What its file says of its quality is not what gradstep writes."))
    shares = [
        tag("li", tag("bdi", text(entry["column"], 80)), f": {number(100.0 * entry['share'], 3)} %")
        for entry in importance(model)[:_FEW]
    ]
    if shares:
        parts += [tag("p", "Importance, share of the variance of the score"), tag("ul", *shares)]
    found = with_errors(model, coefficients(model, _FEW, references=False, curves=False))
    if found:
        words = [tag("li", tag("bdi", text(in_words(model, entry), _LONG))) for entry in found]
        parts += [
            tag("p", f"Coefficients, the most important{of_errors(model)}"),
            tag("ul", *words),
        ]
    return str(tag("div", *parts, class_="gradstep-model"))


def _quality(model: Model) -> list[Markup]:
    """Return the metrics of the rows held out, beside those of a constant."""
    known, constant = model.provenance, constant_in_words(model.exposure)
    found, baseline = known.get("validation"), known.get("baseline") or {}
    if not found:
        return []
    head = [f"{count(found['rows'], 'row', 'rows')} held out", "model", constant]
    lines = [
        tag(
            "tr", tag("td", words), tag("td", in_figures(key, found[key])),
            tag("td", in_figures(key, baseline.get(key, math.nan))),
        )
        for key, words in metrics_in_words(model.loss).items()
        if key in found
    ]  # fmt: skip
    top = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    return [tag("table", tag("thead", top), tag("tbody", *lines))]
