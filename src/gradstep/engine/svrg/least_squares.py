"""How far a least-squares model is above the exact solution, known where features are few."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.row_sums import Passes
from gradstep.engine.svrg.method import Rounds
from gradstep.engine.svrg.scaled_problem import ALWAYS_NEWTON
from gradstep.objective.regression import SquaredError
from gradstep.optim.solvers import Exact

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.engine.statistics import Columns
    from gradstep.rows.dataset import Dataset

__all__ = ["LeastSquares", "has_exact_solution"]


def has_exact_solution(problem: Problem) -> bool:
    """Tell whether a problem is one of least squares, with few features and no l1."""
    strengths = getattr(problem.penalty, "strengths", None)
    return (
        isinstance(problem.loss, SquaredError)
        and problem.n_features < ALWAYS_NEWTON
        and strengths is not None
        and strengths()[0] == 0.0
    )


class LeastSquares:
    """The exact solution of a problem of least squares, from one pass over the rows.

    Parameters
    ----------
    problem : Problem
        One with an exact solution.
    data : Dataset
        The rows.
    columns : Columns
        Their statistics.

    Attributes
    ----------
    params : ndarray of shape (size,)
        The solution.
    """

    def __init__(self, problem: Problem, data: Dataset, columns: Columns) -> None:
        with Passes(data, problem.n_outputs) as passes:
            rounds = Rounds(replace(problem, optimizer=Exact()), data, columns, passes)
            self._metric, self._seen = rounds.solution(np.zeros(problem.size))
        self._lens = rounds.facts.lens
        self.params = self._lens.raw(self._seen)

    def excess(self, params: NDArray[np.float64]) -> float:
        """Return how far the objective at a point is above its least value."""
        return 0.5 * self._metric.square(self._lens.seen(params) - self._seen)
