"""The columns of the rows to train on are measured once, when these lie where they belong.

A fit needs means, deviations and extremes of dense rows before its first step. They are kept with
the rows, the same numbers as a fit would measure, so that it has a pass less to make.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import starmap
from typing import TYPE_CHECKING

import numpy as np

from gradstep.data.preparing.remote import RemoteFolder
from gradstep.floating_point import as_by_default
from gradstep.mapped import mapped
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows
from gradstep.rows.shards import by_eights
from gradstep.rows.statistics import Columns, measure

if TYPE_CHECKING:
    from pathlib import Path

    from gradstep.data.preparing.options import Each
    from gradstep.rows.shards import Bounds

__all__ = ["measured"]

_THREADS = 2


def measured(train: Dataset, place: Path | str | None, each: Each | None) -> Dataset:
    """Return the rows to train on with the statistics of their columns, if they are dense.

    Parameters
    ----------
    train : Dataset
        The rows.
    place : Path, str or None
        The folder that they lie in, or its address in an object store.
    each : callable, optional
        Runs a task on each shard, elsewhere, if they lie in a folder; by default this process does.
    """
    if not isinstance(train.rows, DenseRows) or train.index is not None:
        return train
    shards = train.shards()
    if each is not None and place is not None:
        where = place if isinstance(place, str) else place.absolute()
        found = list(each(_Measure(where, train.sample_weight is not None), shards))
    else:
        with ThreadPoolExecutor(_THREADS, "gradstep-measure") as pool:
            found = list(pool.map(measure, starmap(train.part, shards)))
    columns = by_eights(found, Columns.merged)
    if not np.isfinite(columns.square).all():  # a fit says which column, and why
        return train
    return replace(train, columns=columns)


@dataclass(frozen=True)
class _Measure:
    """Measures a shard of the rows to train on, which lie in a folder."""

    place: Path | str
    weighted: bool

    @as_by_default
    def __call__(self, _rows: None, shard: Bounds) -> Columns:
        folder, remote = self.place, None
        if isinstance(folder, str):
            remote = RemoteFolder(folder, whole=False)
            nouns = frozenset({"values", "weight"} if self.weighted else {"values"})
            remote.fetch_rows("train", *shard, nouns)
            folder = remote.folder
        part = slice(*shard)
        values = mapped(folder / "train_values.npy")[part]
        weight = mapped(folder / "train_weight.npy")[part] if self.weighted else None
        return measure(Dataset(DenseRows(values), np.empty((len(values), 1)), weight))
