"""A problem, its rows and the statistics of their columns, with some of the features alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from gradstep.rows.layouts import CsrRows
from gradstep.rows.statistics import Columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset

__all__ = ["columns_of", "problem_of", "rows_of"]


def problem_of(problem: Problem, features: NDArray[np.intp]) -> Problem:
    """Return the problem of these features; steps and constraints of its own it must not have."""
    scales = problem.penalty_scales
    return replace(
        problem, n_features=features.size,
        penalty_scales=None if scales is None else scales[features],
    )  # fmt: skip


def columns_of(columns: Columns, features: NDArray[np.intp]) -> Columns:
    """Return the statistics of these columns."""
    if not columns.measured:
        return Columns.unmeasured(features.size)
    mean, square, low, high = (
        each[features] for each in (columns.mean, columns.square, columns.low, columns.high)
    )
    return Columns(columns.weight, mean, square, low, high)


def rows_of(data: Dataset, features: NDArray[np.intp]) -> Dataset:
    """Return a copy of the rows, sparse or dense, with these of their features, in rising order.

    Sparse rows must be sound (`CsrRows.is_sound`): their columns are not checked.
    """
    rows: Any = data.rows
    if not isinstance(rows, CsrRows):
        dense = type(rows)(np.ascontiguousarray(rows.values[:, features]))
        return replace(data, rows=dense, columns=None, moments=None)
    part = slice(rows.starts[0], rows.starts[-1])
    some = sp.csr_array(
        (rows.values[part], rows.columns[part], rows.starts - part.start),
        shape=(rows.n_rows, rows.n_features),
    )[:, features]
    columns = some.indices.astype(rows.columns.dtype, copy=False)
    own = CsrRows(some.data, columns, some.indptr.astype(np.int64, copy=False), features.size)
    return replace(data, rows=own, columns=None, moments=None)
