"""A model's coefficients as a table of statistics: estimates, standard errors, tests, intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.data.roles import written
from gradstep.figures import aligned, count, number, p_value
from gradstep.floating_point import as_by_default
from gradstep.markup import table_of, tag, text
from gradstep.model.coefficients import coefficients, estimate_of, nonzero, references_of
from gradstep.model.intervals import inference_of, kind_of_errors, wald_by_column, with_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from gradstep.model.model import Model

__all__ = ["Summary", "summary_of"]

_LONG = 300  # letters of a reason
_MOST = 100  # coefficients, those of important columns first
_INTERCEPT = "(intercept)"


@dataclass(frozen=True)
class Summary:
    """A model's coefficients as a table of statistics; printed, it is that table.

    Attributes
    ----------
    facts : list of (str, str)
        What is predicted, by which loss, and which standard errors these are.
    coefficients : list of dict
        What `frame` has as columns.
    tests : list of dict
        Whether all coefficients of a column may be zero (Wald): ``column``, ``statistic`` (F of
        squared error, else chi-squared), ``df`` and ``p``.
    level : float
        Of the intervals.
    more : int
        Coefficients that are not among these.
    """

    facts: list[tuple[str, str]]
    coefficients: list[dict[str, Any]]
    tests: list[dict[str, Any]]
    level: float
    more: int = 0

    def frame(self) -> pl.DataFrame:
        """Return the coefficients as a Polars frame.

        Its columns: feature; class (of more than two); coefficient, of a level the difference from
        the one that it is `against`; standard_error, statistic, p, and low and high, the ends of
        the confidence interval. Null where there is none.
        """
        import polars as pl

        return pl.DataFrame(self.coefficients, infer_schema_length=None)

    def __str__(self) -> str:
        """Return both tables as text."""
        head = [f"{name}: {words}" for name, words in self.facts]
        tables = [aligned([titles, *lines]) for titles, lines in self._tables()]
        return "\n\n".join(["\n".join(head), *tables, *self._rest()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return both tables as HTML, in which all names are escaped."""
        parts = [tag("p", tag("b", name), ": ", text(words, _LONG)) for name, words in self.facts]
        parts += [table_of(titles, lines) for titles, lines in self._tables()]
        parts += [tag("p", words) for words in self._rest()]
        return str(tag("div", *parts, class_="gradstep-summary"))

    def _rest(self) -> list[str]:
        return [f"and {self.more:,} more coefficients"] if self.more else []

    def _tables(self) -> Iterator[tuple[list[str], list[list[str]]]]:
        """Yield each table: its titles, and its lines."""
        known = any(entry["standard_error"] is not None for entry in self.coefficients)
        titles = ["feature", "coefficient"]
        if known:
            ends = f"{100.0 * self.level:g} % from"
            titles += ["std. error", "statistic", "p", ends, "to"]
        yield titles, [_cells(entry, known=known) for entry in self.coefficients]
        if self.tests:
            yield (
                ["all of a column", "statistic", "df", "p"],
                [
                    [t["column"], number(t["statistic"]), f"{t['df']:,}", p_value(t["p"])]
                    for t in self.tests
                ],
            )


def _cells(entry: Mapping[str, Any], *, known: bool) -> list[str]:
    label = f"{written(entry['class'])}: " if "class" in entry else ""
    against = f" (against {entry['against']})" if entry.get("against") else ""
    cells = [f"{label}{entry['feature']}{against}", number(entry["coefficient"])]
    if not known:
        return cells
    numbers = [math.nan if entry[name] is None else entry[name] for name in _STATISTICS]
    error, statistic, p, low, high = numbers
    return [*cells, number(error), number(statistic), p_value(p), number(low), number(high)]


_STATISTICS = ("standard_error", "statistic", "p", "low", "high")


@as_by_default
def summary_of(model: Model, level: float = 0.95) -> Summary:
    """Return a model's coefficients as a table of statistics.

    Parameters
    ----------
    model : Model
        The model.
    level : float
        Of the confidence intervals.

    Examples
    --------
    >>> import numpy as np
    >>> import polars as pl
    >>> from gradstep import fit_table
    >>> x = np.linspace(-1.0, 1.0, 200)
    >>> noise = np.tile([1.0, -1.0], 100)
    >>> table = pl.DataFrame({"x": x, "y": 2.0 * x + 3.0 + noise})
    >>> print(summary_of(fit_table(table, "y", penalty=None).model))
    Target: y, SquaredError(), 200 rows
    Standard errors: robust
    <BLANKLINE>
    feature      coefficient  std. error  statistic        p  95 % from     to
    x                  1.985      0.1225      16.21  < 1e-16      1.744  2.227
    (intercept)            3     0.07106      42.22  < 1e-16       2.86   3.14
    <BLANKLINE>
    all of a column  statistic  df        p
    x                    262.8   1  < 1e-16
    """
    found = with_errors(model, coefficients(model, _MOST, references=False), level)
    entries = [*map(_entry, found), *_intercepts(model, level)]
    rows = model.provenance.get("rows")
    n = rows.get("train", 0) if isinstance(rows, dict) else 0
    refit = model.provenance.get("refit")
    n = refit.get("rows", n) if isinstance(refit, dict) else n
    of = f", {count(n, 'row', 'rows')}" if isinstance(n, int) and n else ""
    facts = [("Target", f"{model.target.column}, {model.loss!r}{of}")]
    if model.covariance is None:
        facts.append(("No standard errors", str(model.provenance.get("no_inference", "not kept"))))
    else:
        facts.append(("Standard errors", kind_of_errors(model)))
    shown = {(entry["feature"], entry.get("class")) for entry in found}
    more = 0 if len(found) < _MOST else max(0, nonzero(model) - len(shown))
    return Summary(facts, entries, wald_by_column(model), level, more)


def _entry(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a summary has of an entry of `with_errors`."""
    _, value = estimate_of(known)
    error = known.get("standard_error")
    entry: dict[str, Any] = {"feature": known["feature"], "against": known.get("against")}
    if "class" in known:
        entry["class"] = known["class"]
    return {
        **entry, "coefficient": value, "standard_error": error,
        "statistic": None if error is None else value / error,
        **{name: known.get(name) for name in ("p", "low", "high")},
    }  # fmt: skip


def _intercepts(model: Model, level: float) -> list[dict[str, Any]]:
    """Return the intercept, for numbers of 0 and the levels that others are told against.

    There is none with terms, whose parts at 0 are no intercept; nor of several classes, whose
    intercepts are only known about their mean.
    """
    encoding = model.encoding
    if isinstance(encoding, SparseEncoding) or encoding.has_terms or model.n_outputs > 1:
        return []
    p = encoding.n_features
    line = np.append(encoding.in_units(np.eye(p), np.zeros(p))[1], 1.0)
    reference, leveled = references_of(model)
    line[np.unique(reference[leveled])] += 1.0
    value = float(line @ model.params)
    entry: dict[str, Any] = {"feature": _INTERCEPT, "coefficient": value}
    if model.covariance is not None:
        found = inference_of(model)
        square = float(line @ found.whole() @ line)
        if square > 0.0 and not (model.covariance.undetermined[0] & (line != 0.0))[:p].any():
            error = math.sqrt(square)
            half = found.quantile(level) * error
            entry |= {"standard_error": error, "p": found.p_of(value / error),
                      "low": value - half, "high": value + half}  # fmt: skip
    return [_entry(entry)]
