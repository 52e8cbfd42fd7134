"""What inference asks of a problem: how its parameters fall into blocks, and of its likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.engine.symmetric import symmetric
from gradstep.objective.classification import OneVsRest
from gradstep.objective.losses import is_joint, is_of_classes, is_quadratic, variance_power

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["BlockedProblem"]


class BlockedProblem:
    """A problem, with what inference asks of its loss."""

    def __init__(self, problem: Problem, data: Dataset, columns: Columns) -> None:
        self.problem, self.data, self.loss = problem, data, problem.loss
        self.scaled = ScaledProblem(problem, data, columns)
        self.k, self.q = self.scaled.k, self.scaled.q
        self.joint = is_joint(problem.loss) and not isinstance(problem.loss, OneVsRest)
        self.power = 0.0 if is_quadratic(problem.loss) else variance_power(problem.loss)
        self.is_likelihood = bool(is_of_classes(problem.loss)) and self.scaled.smooth
        self.penalised = bool(self.scaled.ridge.any())
        free = np.append(self.scaled.standardisation.scale > 0.0, problem.fit_intercept)
        self.free = np.tile(free, self.k) if self.joint else free
        self.rank = int(free.sum()) * (self.k - 1 if self.joint else 1)

    def blocks(self, pairs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sums by pairs of outputs as blocks: one of a joint loss, else each output's."""
        whole = symmetric(pairs)
        if not self.joint:
            return np.broadcast_to(whole, (self.k, self.q, self.q))
        out, pair = np.empty((self.k, self.q, self.k, self.q)), 0
        for c in range(self.k):
            for d in range(c + 1):
                out[c, :, d, :] = out[d, :, c, :] = whole[pair]
                pair += 1
        return out.reshape(1, self.k * self.q, self.k * self.q)

    def lines(self, of_outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what has a line for each output (..., k, q) by blocks (..., blocks, m)."""
        if not self.joint:
            return of_outputs
        return of_outputs.reshape(*of_outputs.shape[:-2], 1, self.k * self.q)
