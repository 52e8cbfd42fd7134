"""Notices columns of numbers that nearly determine each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.columns import NumberColumn
from gradstep.data.features.encoding import Encoding
from gradstep.diagnostics.of_models import COLLINEAR
from gradstep.figures import number
from gradstep.parameters import given

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.diagnostics.diagnostic import Note

__all__ = ["groups_of", "notes_of_collinear"]

_INFLATED = 100.0  # how many times larger the variance of a coefficient is for the other columns
_LEAST = 1e-12  # of an eigenvalue: what is below is rounding
_LINKED = 0.2  # a partial correlation
_ROWS, _MOST_COLUMNS, _ROWS_A_COLUMN = 20_000, 500, 5
_NAMED = 5


def notes_of_collinear(prepared: PreparedTable) -> list[Note]:
    """Return a note for each group of columns that nearly determine each other.

    A sample of the training rows tells: they lie in random order.
    """
    encoding = prepared.encoding
    if not isinstance(encoding, Encoding):  # sparse text
        return []
    at = [j for j, column in enumerate(encoding.numbers) if isinstance(column, NumberColumn)]
    data = prepared.train
    n = min(data.n, _ROWS)
    if not 2 <= len(at) <= min(_MOST_COLUMNS, n // _ROWS_A_COLUMN):
        return []
    some = data.part(0, n)
    rows: Any = some.rows.take(some.rows_between(0, n))  # of a layout that has numbers
    X = np.asarray(rows.values[:, at], dtype=np.float64)
    found = []
    for group, inflation in groups_of(X):
        names = [encoding.numbers[at[j]].source for j in group]
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        found.append(
            COLLINEAR.note(
                f"Columns {', '.join(names[:_NAMED])}{more} nearly determine each other (variance "
                f"inflation {_in_words(inflation)}): their coefficients are not to be read one by "
                f"one. Leave some of them out ({given('drop', names[-1:])})."
            )
        )
    return found


def _in_words(inflation: float) -> str:
    """Return a variance inflation factor, which may be that of an exact relation."""
    return number(inflation, 2) if inflation < 0.01 / _LEAST else "without bound"


def groups_of(X: NDArray[np.float64]) -> list[tuple[list[int], float]]:
    """Return groups of columns that nearly determine each other, with their largest inflation.

    A column's variance inflation factor is 1 / (1 - R²) of its regression on the others (Marquardt,
    "Generalized inverses, ridge regression, biased linear estimation", Technometrics 12, 1970).

    Examples
    --------
    >>> x = np.linspace(-1.0, 1.0, 50)
    >>> [(group, f"{size:.0e}") for group, size in groups_of(np.column_stack([x**3, x, 2 * x]))]
    [([1, 2], '5e+11')]
    """
    X = X - X.mean(axis=0)
    norms = np.sqrt((X * X).sum(axis=0))
    varying = np.flatnonzero(norms > 0.0)
    if varying.size < 2:
        return []
    X = X[:, varying] / norms[varying]
    values, vectors = np.linalg.eigh(X.T @ X)
    inverse = (vectors / np.maximum(values, _LEAST)) @ vectors.T
    inflation = np.diag(inverse)
    # of each two what is left of their correlation, given the others: near 1 where they take part
    # in one relation
    partial = np.abs(inverse) / np.sqrt(np.outer(inflation, inflation))
    linked = (partial > _LINKED) & (inflation >= _INFLATED) & (inflation >= _INFLATED)[:, None]
    groups: list[tuple[list[int], float]] = []
    left = set(np.flatnonzero(inflation >= _INFLATED).tolist())
    while left:
        group, new = set(), {min(left)}
        while new:
            group |= new
            new = set(np.flatnonzero(linked[sorted(new)].any(axis=0)).tolist()) - group
        left -= group
        if len(group) > 1:
            members = sorted(group)
            groups.append((varying[members].tolist(), float(inflation[members].max())))
    return groups
