"""Least squares with each row left out in turn: what follows from the model of all rows.

The error at a row that a model has not seen is its error at a row that it has, divided by 1 minus
the row's leverage (Allen, "The relationship between variable selection and data augmentation",
1974). With features in units of their penalty, the eigenvectors of XᵀX do not depend on its
strength: both errors and leverages are a product of two matrices for each strength more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.engine.automatic.standardised_rows import standardised_rows, strength_of
from gradstep.engine.blas import one_blas_thread
from gradstep.engine.row_sums import RowSums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["LeaveOneOut"]

# An eigenvalue, the penalty included, below this share of the largest is one of dependent columns.
_DEPENDENT = 1e-13


class LeaveOneOut:
    """Losses of least squares under l2, each row predicted by a model of all other rows.

    Parameters
    ----------
    problem : Problem
        One of least squares.
    data : Dataset
        The rows, few enough to lie in memory as dense numbers.
    columns : Columns
        The statistics of the columns.
    start : ndarray of shape (size,)
        Parameters of the best constant.
    """

    def __init__(
        self, problem: Problem, data: Dataset, columns: Columns, start: NDArray[np.float64]
    ) -> None:
        of, weights = ScaledProblem(problem, data, columns), data.weights()
        self._weights = np.ones(data.n) if weights is None else weights
        share = self._weights / self._weights.sum()
        with RowSums(data, 1) as row_sums:
            error = row_sums.scores(start)[:, 0] - data.targets()[:, 0]
        unit = of.penalty_scale
        rows = standardised_rows(of, data)[:, :-1]
        rows *= np.where(unit > 0.0, 1.0 / np.where(unit > 0.0, unit, 1.0), 0.0)
        self._leverage_of_intercept = share if problem.fit_intercept else np.zeros(data.n)
        with one_blas_thread():
            if problem.fit_intercept:  # which has no penalty, and is right for what is centred
                rows -= share @ rows
                error -= share @ error
            root = np.sqrt(share)
            half = rows * root[:, None]
            self._values, vectors = np.linalg.eigh(half.T @ half)
            half = half @ vectors
            self._slope = (root * error) @ half
        self._half, self._squares, self._root, self._error = half, half * half, root, error

    def loss(self, problem: Problem) -> float:
        """Return the mean loss under a problem's penalty."""
        whole = np.maximum(self._values, 0.0) + strength_of(problem)
        known = whole > _DEPENDENT * self._values.max(initial=0.0)
        inverse = np.where(known, 1.0 / np.where(known, whole, 1.0), 0.0)
        with one_blas_thread():
            moved = self._half @ (inverse * self._slope)
            leverage = self._squares @ inverse + self._leverage_of_intercept
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            error = self._error - np.where(self._root > 0.0, moved / self._root, 0.0)
            losses = 0.5 * (error / (1.0 - leverage)) ** 2
        return float(np.average(losses, weights=self._weights))
