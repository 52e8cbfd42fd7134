"""gradstep: ``fit`` of its estimators, one column for each order of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.problems import Problem

# Column heading → keyword arguments of the estimator.
COMPARED: dict[str, dict[str, Any]] = {
    "gradstep exact": {"shuffle": "exact"},
    "gradstep blocks": {"shuffle": "blocks"},
}


class GradstepFit(Adapter):
    """gradstep's regressor or classifier with a constant rate.

    Parameters
    ----------
    name : str
        Heading of the column.
    options : mapping
        Keyword arguments beyond those that the problem decides.
    """

    modules: ClassVar[tuple[str, ...]] = ("gradstep",)
    is_ours = True
    is_fit = True

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self.options = options

    def prepare(self, problem: Problem) -> None:
        """Make the estimator; one short fit compiles its kernel."""
        from gradstep import MiniBatchClassifier, MiniBatchRegressor

        data = problem.data
        kind = MiniBatchClassifier if data.loss == "log_loss" else MiniBatchRegressor
        self.problem = problem
        self.estimator = kind(
            loss=data.loss,
            penalty="l2" if data.alpha else None,
            alpha=data.alpha,
            optimizer="sgd",
            learning_rate=problem.rate,
            batch_size=problem.batch,
            tol=None,
            random_state=0,
            **self.options,
        )
        few = slice(0, 4 * problem.batch)
        self.estimator.set_params(max_iter=2).fit(data.X[few], data.y[few])

    def epochs(self, count: int) -> None:
        """Fit with ``max_iter=count``."""
        data = self.problem.data
        self.estimator.set_params(max_iter=count).fit(data.X, data.y)

    def epoch_seconds(self) -> list[float]:
        """Return the seconds of each epoch of the last fit, from waiting for its order on."""
        return [record.seconds for record in self.estimator.history_]

    def solution(self) -> tuple[NDArray[np.float64], float]:
        """Read the fitted attributes."""
        return self.estimator.coef_.ravel(), float(self.estimator.intercept_[0])
