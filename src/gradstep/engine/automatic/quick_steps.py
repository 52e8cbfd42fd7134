"""Quick steps: a descent of little data, tried before a matrix is made; where, and how near."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.engine.automatic.choice import (
    StepKind,
    has_few_rows,
    is_penalised,
    is_rough,
    rule_for,
)
from gradstep.engine.automatic.row_descent import RowDescent
from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.smoothing import Smoothing
    from gradstep.rows.dataset import Dataset

__all__ = ["QuickSteps", "can_descend"]

# Fewest of few rows that quick steps are tried for before their matrix is made, and most numbers
# that they have: 64 MB in single precision (ADR 0052).
_WORTH_STEPS, _MOST_COPIED = 256, 1 << 24
# The same for least squares: the fewer of rows and features, the products of the matrix, and the
# most numbers if rows are not few: a copy of 8 MB, which stays in the cache (ADR 0059).
_WORTH_GRADIENTS, _DEAR_PRODUCTS, _MOST_NEAR = 192, 2e8, 1 << 21
# Share of `tol` that quick steps end at.
_OF_TOL = 0.7


def can_descend(of: ScaledProblem) -> bool:
    """Tell whether quick steps are tried before a matrix is made: see `row_descent`.

    A loss whose second derivative has no bound takes too many of them. Of least squares the penalty
    must bound how far a gradient is from the minimum.
    """
    n, rows = of.data.n, of.data.rows
    if not (isinstance(rows, DenseRows) and n * of.q <= _MOST_COPIED):
        return False
    if not (of.has_curvature_bound and is_rough(of)):
        return False
    few = has_few_rows(of)
    if of.quadratic:
        if not (is_penalised(of) and (of.standardisation.scale > 0.0).any()):
            return False  # nothing bounds how far a gradient is from the minimum
        newton = of.data.moments is None and rule_for(of).kind is StepKind.NEWTON
        near = few or n * of.q <= _MOST_NEAR
        return newton and near and of.is_plain and _is_dear(n, of.q)
    return few and n >= _WORTH_STEPS


def _is_dear(n: int, q: int) -> bool:
    """Tell whether a matrix of dense rows, or of their features, takes longer than some steps."""
    return min(n, q) >= _WORTH_GRADIENTS and n * q * min(n, q) >= _DEAR_PRODUCTS


class QuickSteps:
    """The quick steps of a run, from a constant to near the minimum.

    Parameters
    ----------
    of : ScaledProblem
        The problem, for which `can_descend` holds.
    rows : callable
        Returns its rows, in memory.

    Attributes
    ----------
    passes : int
        Passes over the rows that they took.
    """

    def __init__(self, of: ScaledProblem, rows: Callable[[], Dataset]) -> None:
        self.passes = 0
        self._of, self._rows = of, rows
        self._ended: tuple[NDArray[np.float64], RowDescent] | None = None

    def solution(
        self, start: NDArray[np.float64], smoothing: Smoothing
    ) -> NDArray[np.float64] | None:
        """Return where they end, in the features' own units; None if that is not soon.

        Parameters
        ----------
        start : ndarray of shape (size,)
            Parameters in the features' own units, all weights being 0.
        smoothing : Smoothing
            The width that second derivatives are smoothed over.
        """
        tol = self._of.problem.tol
        assert tol is not None  # noqa: S101  (see `can_descend`)
        enough = (_OF_TOL * tol) ** 2
        descent = RowDescent(self._of, self._rows(), start, smoothing, enough)
        found = descent.end()
        self.passes += descent.passes
        self._ended = None if found is None else (found, descent)
        return found

    def square_left(
        self, params: NDArray[np.float64], gradient: NDArray[np.float64]
    ) -> float | None:
        """Return the square of the next step's length where `solution` has just ended, else None.

        It is told once, as in `RowSpace.square_left`.
        """
        ended, self._ended = self._ended, None
        return None if ended is None or ended[0] is not params else ended[1].square_left(gradient)
