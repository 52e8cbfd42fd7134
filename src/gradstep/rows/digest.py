"""A digest of a dataset, by which a run that goes on knows the rows that it was begun with."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.rows.dataset import row_numbers, scattered

if TYPE_CHECKING:
    from gradstep.rows.dataset import Dataset

__all__ = ["digest"]

_ROWS = 1 << 10


def digest(data: Dataset, *, all_targets: bool = True) -> str:
    """Return a digest of a thousand rows, scattered over all, and of targets and weights.

    Parameters
    ----------
    data : Dataset
        The rows.
    all_targets : bool
        Whether targets and weights of all rows are in it, or of those rows alone.

    Examples
    --------
    >>> import numpy as np
    >>> from gradstep.rows.dataset import Dataset
    >>> from gradstep.rows.layouts import DenseRows
    >>> X, y = np.eye(3), np.zeros((3, 1))
    >>> digest(Dataset(DenseRows(X), y)) == digest(Dataset(DenseRows(X), y + 1.0))
    False
    """
    n = data.n
    ends = np.array([0, n - 1] if n else [], np.intp)
    some = row_numbers(np.unique(np.append(scattered(n, _ROWS), ends)), n)
    at = data.rows_at(some)
    targets, weights = (
        (data.targets(), data.weights())
        if all_targets
        else (data.y[at], None if data.sample_weight is None else data.sample_weight[at])
    )
    rows: Any = data.rows.take(at) if data.executor is None else data.executor.take(some).rows
    found = hashlib.sha256(f"{type(rows).__name__} {n} {data.rows.n_features}".encode())
    for part in (*rows, targets, weights):
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype} {part.shape}".encode())
            found.update(np.ascontiguousarray(part).data)
        else:
            found.update(repr(part).encode())
    return found.hexdigest()
