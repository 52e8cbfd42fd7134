"""`TableClassifier`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from gradstep.checks import check_labels
from gradstep.errors import InvalidData
from gradstep.estimators.of_tables.base import TableEstimator
from gradstep.estimators.targets import classes_of, has_probabilities
from gradstep.fit.components import CLASSIFICATION_LOSSES, loss_of
from gradstep.floating_point import as_by_default

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["TableClassifier"]


class TableClassifier(TableEstimator, ClassifierMixin, BaseEstimator):
    """Logistic regression, softmax and linear support vector machines on tables.

    What `gradstep train` does, as a scikit-learn estimator, on columns of all kinds: see
    `TableRegressor`, whose parameters mean the same.

    Parameters
    ----------
    loss : str or Loss, default=None
        As of `MiniBatchClassifier`; None is 'log_loss', with more than two classes softmax.
    penalty, alpha, l1_ratio, penalty_scale, epsilon
        As of `TableRegressor`.
    optimizer, learning_rate, eta0, power_t, average, batch_size, precondition, last_batch
        As of `MiniBatchClassifier`.
    max_iter, tol, n_iter_no_change, random_state, callbacks
        As of `TableRegressor`.
    class_weight : dict, 'balanced' or None, default=None
        Weight of each class's rows; 'balanced' gives all classes the same say. Metrics are of
        the rows as they are.
    kinds, drop, only, max_levels, decimal, thousands, na, encoding
        As of `TableRegressor`.
    splines, crosses, polynomials, logs, formula, nonnegative, bounds, monotone
        As of `TableRegressor`; constraints are of two classes, and what rises speaks for
        `classes_[1]`.
    validation, refit, inference, time_column, missing, missing_target, memory, cache, ignore
        As of `TableRegressor`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coef_ : ndarray of shape (1, n_features_out), or (n_classes, n_features_out)
        Coefficients in the columns' own units.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    model_, feature_names_out_, feature_names_in_, n_features_in_, validation_, baseline_, notes_
    alpha_
        As of `TableRegressor`.
    outcome_, converged_, n_iter_, history_, loss_curve_, seed_
        As of `MiniBatchClassifier`.

    See Also
    --------
    TableRegressor : The same for numbers.
    MiniBatchClassifier : For arrays of numbers, with `partial_fit`.

    Examples
    --------
    >>> import polars as pl
    >>> from gradstep import TableClassifier
    >>> trips = pl.DataFrame(
    ...     {
    ...         "km": [1.0, 2.0, 3.0, 4.0] * 25,
    ...         "colour": ["red", "green"] * 50,
    ...         "paid": ["no", "no", "yes", "yes"] * 25,
    ...     }
    ... )
    >>> model = TableClassifier().fit(trips, "paid")
    >>> model.predict(trips.head(4)).tolist()
    ['no', 'no', 'yes', 'yes']
    >>> model.predict_proba(trips.head(2)).shape
    (2, 2)
    """

    _task = "classification"

    def __init__(
        self,
        loss: Any = None,
        *,
        penalty: Any = "l2",
        alpha: float | str = "auto",
        l1_ratio: float = 0.15,
        epsilon: float = 0.1,
        penalty_scale: str = "deviation",
        optimizer: Any = "auto",
        learning_rate: Any = "auto",
        eta0: float | None = None,
        power_t: float = 0.25,
        average: bool | int = False,
        batch_size: int | str = "auto",
        precondition: bool | str = "auto",
        last_batch: str = "scale",
        max_iter: int = 1000,
        tol: float | None = 1e-4,
        n_iter_no_change: int = 3,
        random_state: Any = 0,
        callbacks: Any = None,
        class_weight: Any = None,
        kinds: Any = None,
        drop: Any = None,
        only: Any = None,
        max_levels: int = 1000,
        splines: Any = None,
        crosses: Any = None,
        polynomials: Any = None,
        logs: Any = None,
        formula: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        na: Any = None,
        encoding: str = "",
        validation: Any = "auto",
        nonnegative: Any = None,
        bounds: Any = None,
        monotone: Any = None,
        refit: bool = True,
        inference: str = "robust",
        time_column: str | None = None,
        missing: str = "encode",
        missing_target: str = "drop",
        memory: int = 1 << 30,
        cache: Any = False,
        ignore: Any = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.epsilon = epsilon
        self.penalty_scale = penalty_scale
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.average = average
        self.batch_size = batch_size
        self.precondition = precondition
        self.last_batch = last_batch
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.callbacks = callbacks
        self.class_weight = class_weight
        self.kinds = kinds
        self.drop = drop
        self.only = only
        self.max_levels = max_levels
        self.splines = splines
        self.crosses = crosses
        self.polynomials = polynomials
        self.logs = logs
        self.formula = formula
        self.decimal = decimal
        self.thousands = thousands
        self.na = na
        self.encoding = encoding
        self.validation = validation
        self.nonnegative = nonnegative
        self.bounds = bounds
        self.monotone = monotone
        self.refit = refit
        self.inference = inference
        self.time_column = time_column
        self.missing = missing
        self.missing_target = missing_target
        self.memory = memory
        self.cache = cache
        self.ignore = ignore

    def _loss(self) -> Any:
        return loss_of(self.loss or "log_loss", {"epsilon": self.epsilon}, CLASSIFICATION_LOSSES)

    def _targets(self, y: Any, weight: NDArray[Any] | None) -> NDArray[Any]:
        labels = np.asarray(column_or_1d(y, warn=True))
        check_labels(labels, "Input y")
        try:
            check_classification_targets(labels)
        except ValueError as error:
            msg = f"{error} TableRegressor predicts numbers."
            raise InvalidData(msg) from error
        classes_of(labels, "y", weight)
        return labels

    @as_by_default
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> TableClassifier:
        """Fit the model.

        Parameters
        ----------
        X : table
            As in `TableRegressor.fit`.
        y : str or array of shape (n_rows,), optional
            The column of classes, or classes apart. A formula may name it.
        sample_weight : str or array of shape (n_rows,), optional
            How often each row counts: a column, or numbers apart.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidData, InvalidTable, InvalidParameter, Diverged
            What is wrong, where, and what to do.
        """
        self._fit(X, y, sample_weight)
        return self

    @as_by_default
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the scores of each row.

        Parameters
        ----------
        X : table
            With the columns that the model reads, in any order; others are ignored.

        Returns
        -------
        ndarray of shape (n_rows,) for two classes, else (n_rows, n_classes)
            Scores; above zero for `classes_[1]`, or largest for the predicted class.
        """
        z = self._scores(X)
        return z[:, 0] if z.shape[1] == 1 else z

    @as_by_default
    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class of each row.

        Parameters
        ----------
        X : table
            As for `decision_function`.

        Returns
        -------
        ndarray of shape (n_rows,)
            Classes.
        """
        z = self._scores(X)
        labels: NDArray[Any] = self.classes_[self.model_.codes(z)]
        return labels

    @available_if(has_probabilities)
    @as_by_default
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class, for losses that give one.

        Parameters
        ----------
        X : table
            As for `decision_function`.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Probabilities in the order of `classes_`, each row summing to 1.
        """
        z = self._scores(X)
        return self.model_.probabilities(z)

    @as_by_default
    def score(self, X: Any, y: ArrayLike | str | None = None, sample_weight: Any = None) -> float:
        """Return the share of rows whose class is predicted.

        Parameters
        ----------
        X : table
            As for `decision_function`.
        y : str or array of shape (n_rows,), optional
            The target's column, by default as it was fitted; or classes apart.
        sample_weight : optional
            As in `fit`.
        """
        if y is None or isinstance(y, str):
            return self._score_of_table(X, y, sample_weight, "accuracy")
        from sklearn.metrics import accuracy_score  # takes longer to import than most fits do

        return float(accuracy_score(y, self.predict(X), sample_weight=sample_weight))
