"""How far a least-squares model is above the exact solution, known where features are few."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from gradstep.engine.automatic.choice import ALWAYS_NEWTON
from gradstep.engine.automatic.method import Automatic
from gradstep.engine.automatic.state import AutomaticState
from gradstep.objective.regression import SquaredError
from gradstep.optim.solvers import Exact

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["LeastSquares", "has_exact_solution"]


def has_exact_solution(problem: Problem) -> bool:
    """Tell whether a problem is one of least squares, with few features and a plain penalty."""
    strengths = getattr(problem.penalty, "strengths", None)
    return (
        isinstance(problem.loss, SquaredError)
        and problem.n_features < ALWAYS_NEWTON
        and strengths is not None
        and strengths()[0] == 0.0
        and problem.constraints is None
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
        exact = replace(problem, optimizer=Exact())
        with closing(Automatic(exact, data, columns)) as method:
            self._preconditioner, self._solution = method.solution(AutomaticState.of(exact.start()))
        self._standardisation = method.of.standardisation
        self.params = self._standardisation.in_units(self._solution)

    def excess(self, params: NDArray[np.float64]) -> float:
        """Return how far the objective at a point is above its least value."""
        scaled = self._standardisation.scaled_params(params)
        return 0.5 * self._preconditioner.square(scaled - self._solution)
