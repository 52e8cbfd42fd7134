"""The last step of an averaged run with an l1 penalty, which gives it exact zeros."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.evaluation import mean_loss
from gradstep.engine.textbook.epoch import EpochBatches
from gradstep.optim.optimizers import SGD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset

__all__ = ["polish"]

_MOST_HALVINGS = 30


def polish(
    problem: Problem, data: Dataset, start: NDArray[np.float64], rate: float
) -> NDArray[np.float64]:
    """Return averaged parameters after one proximal step on all rows.

    An average of iterates has few exact zeros, even if each iterate has many. One proximal step on
    all rows sets them. The step is halved until the objective does not rise.

    Parameters
    ----------
    problem, data
        The run's.
    start : ndarray of shape (size,)
        The averaged parameters.
    rate : float
        The length of the first step that is tried.

    Returns
    -------
    ndarray of shape (size,)
        The parameters; those of the average if no step helps.
    """

    def objective(params: NDArray[np.float64]) -> float:
        return mean_loss(problem.loss, data, params, problem.n_outputs) + problem.penalty_of(params)

    full = replace(problem, optimizer=SGD(), batch_size=data.n, average_from=0, shuffle="none")
    limit = objective(start)
    with EpochBatches(full, data, data.mean_weight) as walk:
        for halvings in range(_MOST_HALVINGS):
            trial = full.start(*full.split(start))
            for run in walk.epoch(0, 0, more=False):
                walk.train_on(run, trial, np.array([rate / 2.0**halvings]))
            trial.multiply_scale_in()
            if objective(trial.current()) <= limit:
                return trial.current().copy()
    return start.copy()
