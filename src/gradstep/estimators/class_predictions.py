"""What a fitted classifier tells of rows: scores, classes, and probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.metaestimators import available_if

from gradstep.estimators import fitting
from gradstep.estimators.dask_arrays import lazy_on_collections
from gradstep.estimators.targets import has_probabilities
from gradstep.floating_point import as_by_default
from gradstep.objective.classification import class_probabilities, for_classes, winners
from gradstep.objective.losses import is_joint

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["PredictsClasses"]


class PredictsClasses:
    """Predictions from the scores of the classes."""

    classes_: NDArray[Any]
    _loss: Any  # from the parameters to the loss

    def _of_classes(self, loss: Any) -> tuple[Any, int]:
        """Return a loss for this many classes, and the number of outputs."""
        loss = for_classes(loss, len(self.classes_))
        return loss, len(self.classes_) if is_joint(loss) else 1

    @lazy_on_collections
    @as_by_default
    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores of each row.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_rows, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_rows,) for two classes, else (n_rows, n_classes)
            Scores; above zero for `classes_[1]`, or largest for the predicted class.
        """
        z = fitting.decision(self, X)
        if z.shape[1] == 2 and len(self.classes_) == 2:
            return z[:, 1] - z[:, 0]
        return z[:, 0] if z.shape[1] == 1 else z

    @lazy_on_collections
    @as_by_default
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each row.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_rows, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_rows,)
            Classes.
        """
        z = fitting.decision(self, X)
        labels: NDArray[Any] = self.classes_[winners(z)]
        return labels

    @available_if(has_probabilities)
    @lazy_on_collections
    @as_by_default
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class, for losses that give one.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_rows, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Probabilities in the order of `classes_`, each row summing to 1.
        """
        z = fitting.decision(self, X)
        return class_probabilities(self._of_classes(self._loss())[0], z)

    @available_if(has_probabilities)
    @lazy_on_collections
    @as_by_default
    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the logarithm of each class's probability.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_rows, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Logarithms of `predict_proba`.
        """
        with np.errstate(divide="ignore"):
            logs: NDArray[np.float64] = np.log(self.predict_proba(X))
        return logs
