"""The standardised features of rows as a matrix, and the strength of an l2 penalty on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.row_sums import RowSums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset

__all__ = ["standardised_rows", "strength_of"]


def standardised_rows(of: ScaledProblem, data: Dataset) -> NDArray[np.float64]:
    """Return the standardised features of all rows, whatever their layout: (n, p + 1), 1 last."""
    p, standardisation = of.q - 1, of.standardisation
    with RowSums(data, p) as row_sums:  # the features themselves, as scores
        rows = row_sums.scores(np.concatenate([np.eye(p).ravel(), np.zeros(p)]))
    rows = (rows - standardisation.shift) * standardisation.scale
    return np.concatenate([rows, np.ones((data.n, 1))], axis=1)


def strength_of(problem: Problem) -> float:
    """Return the strength of a problem's l2 penalty."""
    penalty: Any = problem.penalty
    return float(penalty.strengths()[1])
