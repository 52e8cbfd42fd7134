"""Which columns matter, what coefficients say and how sure they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.data.roles import written
from gradstep.figures import number
from gradstep.markup import Markup, tag, text
from gradstep.model.coefficients import (
    BELOW_ZERO,
    coefficients,
    estimate_of,
    importance,
    in_words,
    intercepts_in_words,
    nonzero,
)
from gradstep.model.intervals import correlations, of_errors, per_deviation, with_errors
from gradstep.objective.classification import LogLoss, Softmax
from gradstep.objective.regression import Pinball
from gradstep.reporting.figures import Row, figure, grid, paragraph, row_figure, table
from gradstep.reporting.scales import Factors, Linear
from gradstep.reporting.sections.effects import predicted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.model.model import Model

__all__ = ["coefficient_parts", "correlation_parts"]

_SHOWN, _IN_TABLE, _WORDS, _COLUMNS, _PAIRS = 20, 200, 10, 12, 10
_LONG = 600  # letters of a coefficient in words
_HARD = 0.9  # of a correlation
_PLAIN = (
    "The file keeps nothing of the training rows, as those of gradstep before 0.1: coefficients go "
    "by size, and columns have no importance."
)


def coefficient_parts(model: Model, ignored: frozenset[str]) -> list[Markup]:
    """Return the importance of columns, the coefficients in words, and drawn with intervals."""
    found = with_errors(model, coefficients(model, _IN_TABLE, references=False, curves=False))
    shares = importance(model)
    if not found:
        none = "There are none but those of curves." if nonzero(model) else "All are zero."
        return [paragraph(none), grid(_importance(shares))]
    parts = [
        tag(
            "p",
            f"The intercept{' is' if model.n_outputs == 1 else 's are'} ",
            tag("bdi", text(intercepts_in_words(model), _LONG)),
            ". ",
            f"Most important first{of_errors(model, ignored)}. Other columns being the same,",
        )
    ]
    parts.append(
        tag("ul", *(tag("li", tag("bdi", text(in_words(model, _short(entry)), _LONG)))
                    for entry in found[:_WORDS]), class_="words")
    )  # fmt: skip
    if len(found) > _WORDS:
        more = _how_many(model, found) - _WORDS
        parts.append(paragraph(f"and {more:,} more", class_="quiet"))
    if model.covariance is None:
        why = str(model.provenance.get("no_inference", "none were kept"))
        parts.append(tag("p", tag("b", "No standard errors"), ": ", text(why, _LONG), "."))
    figures = [*_importance(shares), _forest(model, found)]
    parts.append(grid(figures))
    if not shares:
        sparse = isinstance(model.encoding, SparseEncoding)
        parts.append(
            paragraph(
                "Of sparse text the importance of columns is not known." if sparse else _PLAIN
            )
        )
    return parts


def _importance(shares: Sequence[Mapping[str, Any]]) -> list[Markup]:
    if not shares:
        return []
    shown = shares[:_COLUMNS]
    scale = Linear.of([e["share"] for e in shown], 0.0, pad=0.0)
    rows = [
        Row(e["column"], [(e["share"], math.nan, math.nan)], f"{number(100.0 * e['share'], 3)} %")
        for e in shown
    ]
    more = len(shares) - len(shown)
    notes = [f"and {more:,} more columns"] if more > 0 else []
    if any(e["share"] < 0.0 for e in shown):
        notes.append(BELOW_ZERO)
    return [
        figure(
            "importance", "Importance of columns",
            f"Of the variance of the score the column {_brief(shown[0]['column'])} has the largest "
            f"share, {100.0 * shown[0]['share']:.1f} %.",
            row_figure(rows, scale, "share of the variance of the score", zero=0.0, bars=True),
            table(["column", "share"], [[e["column"], number(e["share"])] for e in shares]),
            f"{'; '.join(notes)}." if notes else "",
        )
    ]  # fmt: skip


def _forest(model: Model, found: Sequence[Mapping[str, Any]]) -> Markup:
    """Return the coefficients drawn on one scale: of numbers, for a deviation more."""
    factors = isinstance(model.loss, LogLoss | Softmax) or hasattr(model.loss, "inverse_link")
    shown = found[:_SHOWN]
    each = per_deviation(model, shown)
    rows = [Row(_label(entry), [ends]) for entry, ends in zip(shown, each, strict=True)]
    kind = Factors if factors else Linear
    scale = kind.of([x for row in rows for x in row.values[0]], 0.0, pad=0.04)
    what = _what(model, factors=factors)
    more = _how_many(model, found) - len(rows)
    classes = ["class"] if model.n_outputs > 1 else []
    head = ["feature", *classes, "coefficient", "std. error", "p", "95 % from", "to"]  # fmt: skip
    known = sum(math.isfinite(low) for _, low, _ in each)
    return figure(
        "coefficients", "Coefficients with 95 % intervals" if known else "Coefficients",
        f"{len(rows)} coefficients, most important first; of {known} an interval is drawn. "
        f"Furthest from no effect lies {_brief(_furthest(rows).label)}.",
        row_figure(rows, scale, what, zero=0.0),
        table(head, [_cells(entry) for entry in found], len(head) - 5),
        "Of numbers the effect of one standard deviation more, where what they are crossed with is "
        "at its mean; of levels against the most frequent one. Where an interval meets the line, "
        "no effect is among what the data allow."
        + (f" And {more:,} more." if more > 0 else ""),
    )  # fmt: skip


def _how_many(model: Model, found: Sequence[Any]) -> int:
    """Return how many coefficients there are, of which some were found."""
    return len(found) if len(found) < _IN_TABLE else max(nonzero(model), len(found))


def _furthest(rows: Sequence[Row]) -> Row:
    return max(rows, key=lambda row: abs(row.values[0][0]))


def _label(entry: Mapping[str, Any]) -> str:
    return (
        f"{written(entry['class'])}: {entry['feature']}" if "class" in entry else entry["feature"]
    )


def _short(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry whose names are not too long for a sentence."""
    return {key: _brief(value) if isinstance(value, str) else value for key, value in entry.items()}


def _brief(name: str) -> str:
    """Return a name that may be long, for the words that a picture is told in."""
    return name if len(name) <= 80 else name[:79] + "…"


def _cells(entry: Mapping[str, Any]) -> list[str]:
    p = entry.get("p", math.nan)
    label = [written(entry["class"])] if "class" in entry else []
    against = f" (against {entry['against']})" if "against" in entry else ""
    return [
        f"{entry['feature']}{against}", *label, number(estimate_of(entry)[1], 6),
        number(entry.get("standard_error", math.nan)),
        "< 1e-16" if p < 1e-16 else number(p, 3),
        number(entry.get("low", math.nan), 6), number(entry.get("high", math.nan), 6),
    ]  # fmt: skip


def _what(model: Model, *, factors: bool) -> str:
    target = model.target
    if target.classes is None:
        the = "the " if isinstance(model.loss, Pinball) else ""
        return f"{target.column} times" if factors else f"added to {the}{predicted(model)}"
    if isinstance(model.loss, LogLoss):
        return f"the odds of {written(target.classes[-1])} times"
    odds = "the odds of a class against the average class times"
    return odds if factors else "added to the score"


def correlation_parts(model: Model) -> list[Markup]:
    """Return which coefficients cannot be read apart from each other."""
    if model.covariance is None:
        why = str(model.provenance.get("no_inference", "none was kept"))
        return [tag("p", "There is no covariance of the coefficients: ", text(why, _LONG), ".")]
    found = correlations(model, coefficients(model, 100, references=False, curves=False))
    if not found:
        return [
            paragraph(
                "No two of the hundred most important coefficients have a correlation of 0.5 or "
                "more: each can be read by itself. Coefficients of curves are not among these."
            )
        ]
    hard = [pair for pair in found if abs(pair["correlation"]) >= _HARD]
    words = (
        "Where it is near 1 or −1 the data say what two of them do together, but hardly what each "
        "does alone: their intervals are wide, and other rows may move one up and the other down."
    )
    shown = found[:_PAIRS]
    rows = [
        Row(_pair(pair), [(pair["correlation"], math.nan, math.nan)],
            number(pair["correlation"], 2))
        for pair in shown
    ]  # fmt: skip
    more = len(found) - len(shown)
    picture = figure(
        "correlations", "Correlations of coefficients",
        f"The closest are {_brief(_pair(shown[0]))} with {number(shown[0]['correlation'], 2)}.",
        row_figure(rows, Linear(-1.0, 1.0), "correlation of the estimates", zero=0.0, bars=True),
        table(["one", "other", "correlation"],
              [[_label(p["one"]), _label(p["other"]), number(p["correlation"])] for p in found], 2),
        f"and {more:,} more pairs of 0.5 or more" if more > 0 else "",
    )  # fmt: skip
    warned = []
    if hard:
        warned = [
            tag("li", tag("bdi", text(_label(p["one"]))), " and ",
                tag("bdi", text(_label(p["other"]))), f": {number(p['correlation'], 3)}. ",
                "Leave one of them out, or read them together.")
            for p in hard[:_PAIRS]
        ]  # fmt: skip
    return [
        paragraph(words),
        *([tag("ul", *warned, class_="words")] if warned else []),
        grid([picture]),
    ]


def _pair(pair: Mapping[str, Any]) -> str:
    return f"{_label(pair['one'])[:60]} and {_label(pair['other'])[:60]}"
