"""What became of each column, and of the rows, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gradstep.data.features.columns import HashColumn, LeftOut, LevelColumn, LogColumn
from gradstep.data.features.terms.crosses import Cross, PowerColumn
from gradstep.data.features.terms.spline import SplineColumn
from gradstep.data.features.text import TextColumn
from gradstep.figures import count, number
from gradstep.markup import table_of, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ColumnInWords",
    "columns_in_words",
    "features_in_words",
    "rows_in_words",
    "table_in_html",
]

_SHOWN = 20  # columns


class ColumnInWords(NamedTuple):
    """What became of a column.

    Attributes
    ----------
    column : str
        Its name.
    became : str
        "number", "logarithm", "curve", "category", "text", "cross", "date" or "left out".
    detail : str
        What of it, or why not.
    """

    column: str
    became: str
    detail: str


def columns_in_words(encoding: Any, known: Mapping[str, Mapping[str, Any]]) -> list[ColumnInWords]:
    """Return what became of each column, those that are left out last.

    Parameters
    ----------
    encoding : Encoding or SparseEncoding
        The columns.
    known : mapping
        What is known of each by its name, of a table that was read: "missing" values, "levels".
    """
    parts: dict[str, list[Any]] = {}
    for column in sorted(encoding.columns, key=lambda c: isinstance(c, LeftOut)):
        if not isinstance(column, Cross):
            parts.setdefault(column.source, []).append(column)
    found = [
        ColumnInWords(source, *_told(each, known.get(source, {}))) for source, each in parts.items()
    ]
    crosses = [column for column in encoding.columns if isinstance(column, Cross)]
    return found + [
        ColumnInWords(cross.name, "cross", encoding.terms.in_words(cross)) for cross in crosses
    ]


def _told(parts: Sequence[Any], known: Mapping[str, Any]) -> tuple[str, str]:
    first = parts[0]
    missing = known.get("missing", 0)
    gaps = f", {missing:,} missing" if missing else ""
    if isinstance(first, LeftOut):
        return "left out", first.reason
    if isinstance(first, (HashColumn, TextColumn)):
        return _hashed(first, known.get("longest", 0), gaps)
    if isinstance(first, LevelColumn):
        more = known.get("levels", 0) - len(first.levels)
        shared = f" and {more:,} that share one" if more > 0 else " and one that the rest share"
        levels = count(len(first.levels), "level", "levels")
        return "category", f"{levels}{shared if first.other else ''}{gaps}"
    if isinstance(first, SplineColumn):
        low, high = number(first.knots[0]), number(first.knots[-1])
        days = " in days" if first.part else ""
        return "curve", f"{len(first.knots)} knots from {low} to {high}{days}{gaps}"
    if first.part:
        return "date", ", ".join(["days", *(p.part for p in parts[1:])]) + gaps
    became = "logarithm" if isinstance(first, LogColumn) else "number"
    powers = [p.power for p in parts if isinstance(p, PowerColumn)]
    gaps = (f", powers to {max(powers)}" if powers else "") + gaps
    return became, f"mean {number(first.mean)}, deviation {number(first.scale)}{gaps}"


def features_in_words(columns: list[ColumnInWords], n_features: int) -> str:
    """Return how many columns are used, and what they become."""
    features = count(n_features, "feature", "features")
    if not columns:  # of sparse text
        return features
    used = sum(each.became != "left out" for each in columns)
    return f"{used:,} of {len(columns):,} used, as {features}"


def rows_in_words(rows: Mapping[str, int]) -> str:
    """Return what became of the rows."""
    dropped = f", {rows['dropped']:,} without a target dropped" if rows["dropped"] else ""
    if rows.get("weightless"):
        dropped += f", {rows['weightless']:,} of weight 0 left out"
    return (
        f"{rows['read']:,} read{dropped}, {rows['train']:,} to train on, "
        f"{rows['validation']:,} held out"
    )


def _hashed(column: HashColumn | TextColumn, longest: int, gaps: str) -> tuple[str, str]:
    if isinstance(column, HashColumn):
        return "category", f"hashed to {1 << column.bits:,} weights{gaps}"
    cut = f", at most {column.width} of a row" if longest > column.width else ""
    return "text", f"{column.size:,} words and pairs of words{cut}{gaps}"


def table_in_html(encoding: Any, meta: Mapping[str, Any]) -> str:
    """Return what a notebook shows of a prepared table: its rows, and what columns became."""
    columns = columns_in_words(encoding, meta["columns"])
    more = len(columns) - _SHOWN
    parts = [
        tag("p", tag("b", "Rows "), rows_in_words(meta["rows"])),
        tag("p", tag("b", "Columns "), features_in_words(columns, encoding.n_features)),
        *([table_of(["column", "became", "detail"], columns[:_SHOWN])] if columns else []),
        *([tag("p", f"and {more:,} more columns")] if more > 0 else []),
    ]
    return str(tag("div", *parts, class_="gradstep-table"))
