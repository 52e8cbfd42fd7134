"""A path of penalties: the optimum under one strength after another, each run from the last.

Loss, gradient and Hessian at a snapshot do not depend on the penalty, so the first step under the
next penalty needs no pass over the rows. For least squares they determine everything: a whole
path, with each part of the rows held out in turn, follows from one Hessian per part.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.automatic.choice import StepKind, can_take_newton_steps, has_few_rows
from gradstep.engine.automatic.hessian import Hessians
from gradstep.engine.automatic.method import Automatic
from gradstep.engine.automatic.preconditioner import Preconditioner
from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.engine.automatic.smoothing import Smoothing
from gradstep.engine.automatic.state import AutomaticState, Matrices, Pairs, Progress
from gradstep.engine.row_sums import RowSums
from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradstep.engine.automatic.choice import Rule
    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["LeastSquaresPath", "Path", "has_path", "work_of"]

# Dense features of which a matrix for each part of the rows is kept, at most.
_MOST_DENSE = 1024


class Path:
    """Goes from the optimum under one penalty to that under the next, on some rows.

    Parameters
    ----------
    data : Dataset
        The rows.
    columns : Columns
        The statistics of the columns.
    start : ndarray of shape (size,)
        Where the first run starts from.

    Attributes
    ----------
    data : Dataset
        The rows.
    """

    def __init__(self, data: Dataset, columns: Columns, start: NDArray[np.float64]) -> None:
        self.data, self._columns, self._start = data, columns, start
        self._state = AutomaticState(start=start, params=start)
        self._problem: Problem | None = None
        self._rule: Rule | None = None

    def optimum(
        self, problem: Problem, start: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return roughly the optimum of a problem that differs from the last only in its penalty.

        Parameters
        ----------
        problem : Problem
            Its `tol` and `max_epochs` say how near the optimum to go.
        start : ndarray of shape (size,), optional
            Where to start from; by default where the last run has ended.
        """
        with closing(Automatic(problem, self.data, self._columns, is_sample=True)) as method:
            if start is not None:
                state = AutomaticState(start=self._start, params=start)
            elif method.rule is not self._rule:  # as where no penalty is left
                state = AutomaticState(start=self._start, params=self._state.params)
            else:
                state = self._under(problem, method.of)
            outcome = None
            while outcome is None and state.epoch < problem.max_epochs:
                state, epoch, _ = method.epoch(state)
                outcome = method.outcome(state, epoch)
        self._state, self._problem, self._rule = state, problem, method.rule
        return state.params

    def _under(self, problem: Problem, of: ScaledProblem) -> AutomaticState:
        """Return the state of the last run's end under the penalty of this problem.

        Its snapshot is kept with another penalty; the other fields are those of a new run.
        """
        last, before = self._state, self._problem
        if before is None or last.snapshot is None or not of.smooth:
            return AutomaticState(start=self._start, params=last.params)
        at = last.snapshot.params
        more = problem.penalty_of(at) - before.penalty_of(at)
        snapshot = last.snapshot._replace(
            objective=last.snapshot.objective + more, before=last.snapshot.before + more,
            true=last.snapshot.true + more,
        )  # fmt: skip
        least = snapshot.true
        progress = Progress(last.progress.at_start, least, offset=last.progress.offset)
        return replace(
            last, params=at, epoch=0, snapshot=snapshot, least=least, rejected=False,
            stuck=False, poor=int(last.kind == StepKind.NEWTON), step_factor=1.0, rate=1.0,
            pairs=Pairs(), progress=progress,
        )  # fmt: skip


def work_of(problem: Problem, data: Dataset, columns: Columns) -> float:
    """Return the cost of a Newton step in products: of the Hessian, and of solving with it."""
    of = ScaledProblem(problem, data, columns)
    if has_few_rows(of):
        return float(data.n) ** 2 * of.q
    side = of.q * of.k if of.joint else of.q
    return data.n * of.products + (side**3 / 3.0 if can_take_newton_steps(of) else 0.0)


def has_path(problem: Problem, data: Dataset, columns: Columns) -> bool:
    """Tell whether `LeastSquaresPath` can be used."""
    of = ScaledProblem(problem, data, columns)
    wide = isinstance(data.rows, DenseRows) and data.rows.n_features > _MOST_DENSE
    return of.quadratic and of.k == 1 and not wide and can_take_newton_steps(of)


class LeastSquaresPath:
    """Losses of least squares on parts of the rows, each predicted by a model of the other parts.

    Parameters
    ----------
    problem : Problem
        One of least squares.
    data : Dataset
        All rows, of which the parts are cut.
    columns : Columns
        The statistics of the columns.
    parts : sequence of Dataset
        The rows, in parts.
    start : ndarray of shape (size,)
        Parameters of the best constant.
    judges : int
        How many of the parts are predicted.
    """

    def __init__(
        self, problem: Problem, data: Dataset, columns: Columns, parts: Sequence[Dataset],
        start: NDArray[np.float64], judges: int,
    ) -> None:  # fmt: skip
        self._judges = judges
        self._data, self._columns, self._start = data, columns, start
        of = ScaledProblem(problem, data, columns)
        with RowSums(data, 1) as row_sums:
            options = Hessians(of, row_sums).options(Smoothing.first(of, near=False))
        weights, self._losses, gradients, hessians = [], [], [], []
        for part in parts:
            with RowSums(part, 1) as row_sums:
                found = row_sums.evaluate(problem.loss, start, options)
            assert found.hessian is not None  # noqa: S101
            weights.append(part.weight_sum)
            self._losses.append(found.loss)
            gradients.append(found.gradient)
            hessians.append(found.hessian)
        share = self._shares = np.array(weights) / sum(weights)
        self._gradients = [of.standardisation.gradient(g) for g in gradients]
        self._hessians = hessians
        self._of_all = (
            sum(s * g for s, g in zip(share, self._gradients, strict=True)),
            sum(s * h for s, h in zip(share, hessians, strict=True)),
        )
        self._scaled = [of.standardisation.scaled_params(of.within(start))] * len(parts)

    def loss(self, problem: Problem) -> float:
        """Return the mean loss of the parts; the penalty of a row is the same as for all rows."""
        of, total = ScaledProblem(problem, self._data, self._columns), 0.0
        shares = self._shares[: self._judges].tolist()
        first = of.standardisation.scaled_params(self._start)
        l1, ridge = of.l1, of.ridge
        for f, share in enumerate(shares):
            own_gradient, own_hessian = self._gradients[f], self._hessians[f]
            gradient = (self._of_all[0] - share * own_gradient) / (1.0 - share)
            hessian = (self._of_all[1] - share * own_hessian) / (1.0 - share)
            of.l1, of.ridge = l1 / (1.0 - share), ridge / (1.0 - share)
            model = Preconditioner(of, Matrices(hessian, self._start, whole=True))
            scaled = self._scaled[f]
            moved = np.einsum("ij,j->i", hessian[0], (scaled - first)[0])
            here = gradient + moved + of.ridge * scaled
            step, _ = model.step_to_minimum(here, scaled)
            scaled = self._scaled[f] = scaled + step
            moved = (scaled - first)[0]
            slope = float((own_gradient[0] * moved).sum())
            curvature = float(np.einsum("i,ij,j->", moved, own_hessian[0], moved))
            total += share * (self._losses[f] + slope + 0.5 * curvature)
        return float(total / sum(shares))
