"""Notices levels that have an interval, and hardly any rows that it could follow from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.columns import HashColumn
from gradstep.data.features.encoding import Encoding
from gradstep.data.features.terms.crosses import PairColumn
from gradstep.diagnostics.of_models import INTERVALS_OF_FEW
from gradstep.diagnostics.of_tables import RARE_LEVELS
from gradstep.figures import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.diagnostics.diagnostic import Note
    from gradstep.rows.dataset import Dataset

__all__ = ["notes_of_rare_levels"]

_RARE = 5  # rows
_CHUNK = 1 << 17
_SHOWN = 3


def notes_of_rare_levels(prepared: PreparedTable, parts: Iterable[Dataset]) -> list[Note]:
    """Return a note if levels of few rows have intervals.

    Parameters
    ----------
    prepared : PreparedTable
        The table; of columns that it has noted already nothing is said.
    parts : iterable of Dataset
        The rows that the model was fitted to.
    """
    encoding = prepared.encoding
    if not isinstance(encoding, Encoding):
        return []
    told = [note.text for note in prepared.notes if note.code == RARE_LEVELS.code]
    columns = [
        q for q, column in enumerate(encoding.coded)
        if not isinstance(column, (HashColumn, PairColumn))
        and not any(repr(column.source) in text for text in told)
    ]  # fmt: skip
    if not columns:
        return []
    each = [_rows_of_features(part, columns, encoding.n_features) for part in parts]
    rows = np.sum(each, axis=0)
    rare = [(n, j) for j, n in enumerate(rows.tolist()) if 0 < n < _RARE]
    if not rare:
        return []
    shown = [
        f"{encoding.feature_name(j)} ({count(n, 'row', 'rows')})" for n, j in sorted(rare)[:_SHOWN]
    ]
    more = f" and {len(rare) - _SHOWN:,} more" if len(rare) > _SHOWN else ""
    return [
        INTERVALS_OF_FEW.note(
            f"Levels of fewer than {_RARE} rows have intervals: {', '.join(shown)}{more}. So few "
            "rows do not say how much others will differ: the intervals may be far too short. Let "
            "rare levels share a coefficient (--max-levels)."
        )
    ]


def _rows_of_features(data: Dataset, columns: list[int], n_features: int) -> NDArray[np.int64]:
    """Return how many rows have each feature of some columns of codes."""
    rows: Any = data.rows
    found = np.zeros(n_features + 1, np.int64)  # the last one of codes of no feature, -1
    for lo in range(0, data.n, _CHUNK):
        codes = rows.codes[data.rows_between(lo, min(lo + _CHUNK, data.n))][:, columns]
        found += np.bincount(codes.ravel() % (n_features + 1), minlength=n_features + 1)
    return found[:-1]
