"""Notices levels that have an interval, and hardly any rows that it could follow from."""

from __future__ import annotations

from dataclasses import dataclass
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
    from gradstep.engine.row_sums import RowSums  # imports Numba

    task = _RowsOfFeatures(tuple(columns), encoding.n_features)
    rows = np.zeros(encoding.n_features, np.int64)
    for part in parts:
        with RowSums(part, 1) as sums:
            rows += sums.total(task)
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
            "rare levels share a coefficient (max_levels=...)."
        )
    ]


@dataclass(frozen=True)
class _RowsOfFeatures:
    """How many rows have each feature of some columns of codes."""

    columns: tuple[int, ...]
    n_features: int

    def __call__(self, shard: Dataset) -> NDArray[np.int64]:
        """Count those of a shard."""
        rows: Any = shard.rows
        codes = rows.codes[shard.rows_between(0, shard.n)][:, self.columns]
        one_more = self.n_features + 1  # the last one of codes of no feature, -1
        return np.bincount(codes.ravel() % one_more, minlength=one_more)[:-1]
