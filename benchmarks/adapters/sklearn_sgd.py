"""scikit-learn: ``SGDRegressor`` and ``SGDClassifier``, one row a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from benchmarks.adapters.base import Adapter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.problems import Problem


class SklearnSGD(Adapter):
    """scikit-learn's SGD. It has no batches, so its time is that of any batch size."""

    name = "scikit-learn"
    modules: ClassVar[tuple[str, ...]] = ("sklearn.linear_model",)
    is_fit = True

    def prepare(self, problem: Problem) -> None:
        """Make the estimator; it works on the problem's own arrays."""
        from sklearn.linear_model import SGDClassifier, SGDRegressor

        data = problem.data
        kind = SGDClassifier if data.loss == "log_loss" else SGDRegressor
        self.problem = problem
        self.estimator = kind(
            loss=data.loss,
            penalty="l2" if data.alpha else None,
            alpha=data.alpha,
            learning_rate="constant",
            eta0=data.row_rate,
            tol=None,
            random_state=0,
        )

    def epochs(self, count: int) -> None:
        """Fit with ``max_iter=count``."""
        data = self.problem.data
        self.estimator.set_params(max_iter=count).fit(data.X, data.y)

    def solution(self) -> tuple[NDArray[np.float64], float]:
        """Read the fitted attributes."""
        return self.estimator.coef_.ravel(), float(self.estimator.intercept_[0])
