"""`MiniBatchClassifier`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from gradstep.estimators import fitting
from gradstep.estimators.class_predictions import PredictsClasses
from gradstep.estimators.dask_arrays import takes_collections
from gradstep.estimators.fitted import Fitted
from gradstep.estimators.inference import classes_as_in_fit
from gradstep.estimators.inputs import (
    check_features,
    check_parameters,
    draw_seed,
    is_checked_by_statistics,
    rows_of,
    sample_weight_of,
    validation_data,
)
from gradstep.estimators.known_signature import with_known_signature
from gradstep.estimators.sklearn_callbacks import with_callbacks
from gradstep.estimators.tables import fit_prepared, is_prepared
from gradstep.estimators.targets import (
    check_kind_of_classes,
    class_weights,
    classes_of,
    classes_to_come,
    codes_of,
)
from gradstep.fit.components import CLASSIFICATION_LOSSES, loss_of
from gradstep.floating_point import as_by_default
from gradstep.objective.classification import as_codes, as_targets, winners
from gradstep.objective.losses import is_joint
from gradstep.rows.dataset import Dataset

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gradstep.data.preparing.prepared import PreparedTable

__all__ = ["MiniBatchClassifier"]


class MiniBatchClassifier(PredictsClasses, Fitted, ClassifierMixin, BaseEstimator):
    """Logistic regression, softmax and linear support vector machines by mini-batches.

    Minimises ``(1 / Σ s_i) Σ s_i loss(y_i, x_i·w + b) + alpha R(w)`` with s the sample
    weights times the class weights. Every keyword of `sklearn.linear_model.SGDClassifier` is
    taken and means the same; steps are taken on batches of `batch_size` rows. More than two
    classes are trained together: 'log_loss' as softmax, the others one class against the rest.

    Parameters
    ----------
    loss : str or Loss, default='log_loss'
        'log_loss', 'hinge', 'squared_hinge', 'modified_huber', 'perceptron', or (on classes
        -1 and +1) 'squared_error', 'huber', 'epsilon_insensitive',
        'squared_epsilon_insensitive'; or an object with ``value(y, z)`` and ``slope(y, z)`` for
        y = ±1, or with ``row_slopes`` for all classes at once.
    penalty : {'l2', 'l1', 'elasticnet'}, None or Penalty, default='l2'
        What is added to the mean loss.
    alpha : float >= 0, default=1e-4
        Strength of a penalty given by name; unused by a Penalty object, which has its own.
        ``learning_rate='optimal'`` needs it too.
    l1_ratio : float in [0, 1] or None, default=0.15
        Share of l1 in 'elasticnet'; unused by the others, where it may be None.
    fit_intercept : bool, default=True
        Whether to fit intercepts. They are never penalised.
    max_iter : int >= 1, default=1000
        Most epochs. `partial_fit` runs one; there it is what schedules over the whole run
        ('cosine', 'one_cycle') take as its length.
    tol : float >= 0 or None, default=1e-3
        What ends the run; see `MiniBatchRegressor`. With `early_stopping`, the least improvement
        of the accuracy on the validation rows. None runs `max_iter` epochs;
        with 'auto' and 'svrg' fewer, if the objective can be lowered no further before.
    shuffle : bool, {'exact', 'blocks'} or callable, default=True
        The order of rows in each epoch; see `MiniBatchRegressor`.
    verbose : int, default=0
        1 shows the progress: a bar on a terminal, lines elsewhere.
    epsilon : float >= 0, default=0.1
        Of the regression losses that have one; else unused.
    n_jobs : int or None, default=None
        Unused: all classes are trained together. Taken because `SGDClassifier` has it.
    random_state : int, RandomState or None, default=0
        Seed of the order of rows and of the validation split. The same int gives the same model to
        the bit; see `MiniBatchRegressor`.
    learning_rate : str, float, callable or Schedule, default='auto'
        'auto' follows from the data, on columns of any scale (docs/no_tuning.md); with any other
        the plain algorithm runs: a schedule by name, a constant rate, or a function of
        (epoch, step); see `MiniBatchRegressor`.
    eta0 : float > 0 or None, default=None
        First (for 'one_cycle' the largest) rate of a schedule given by name; refused with 'auto'.
        None takes one that is stable on the data; see `MiniBatchRegressor`.
    power_t : float, default=0.5
        Exponent of 'invscaling': ``eta0 / step ** power_t``; else unused.
    early_stopping : bool, default=False
        Whether to end when the validation score (accuracy) stops improving. With the
        optimizers 'auto' and 'svrg' a run ends at the optimum of the training rows at the
        latest, which may be sooner.
    validation_fraction : float in (0, 1), default=0.1
        Share of rows held out, the classes in proportion, if `early_stopping` without X_val;
        else unused.
    n_iter_no_change : int >= 1, default=5
        Epochs in a row without improvement after which to end; unused without `tol`.
    class_weight : dict, 'balanced' or None, default=None
        Weight of each class's rows; 'balanced' gives all classes the same say.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the fit before.
    average : bool or int, default=False
        Whether the model is the mean of the iterates; see `MiniBatchRegressor`.
    batch_size : int >= 1 or 'auto', default='auto'
        Rows of a batch; see `MiniBatchRegressor`.
    optimizer : str or Optimizer, default='auto'
        'svrg' goes to the optimum, with a preconditioner from the data; 'exact' is the solution
        of least squares; 'sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam', 'ftrl' are
        the textbook algorithms; or an object. 'auto' is 'svrg' with ``learning_rate='auto'``,
        and 'sgd' with any other, in `partial_fit`, and for the perceptron, whose loss is least
        with no weights at all.
    precondition : bool or 'auto', default='auto'
        Whether steps are those behind a StandardScaler; see `MiniBatchRegressor`.
    last_batch : {'scale', 'mean', 'drop'}, default='scale'
        What the short batch at the end of an epoch is divided by; see `MiniBatchRegressor`.
    penalty_scale : {'deviation', 'unit'}, default='deviation'
        Whether the penalty is of weights times the standard deviations of their columns, or of
        weights as they are; see `MiniBatchRegressor`.
    bounds : tuple of two or None, default=None
        The least and the greatest coefficients, of two classes: a positive one speaks for
        `classes_[1]`. See `MiniBatchRegressor`.
    callbacks : list of Callback or None, default=None
        Called at the start, after each epoch, and at the end.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features), or (n_classes, n_features) for more than two
        Weights.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    n_iter_, t_, loss_curve_, validation_scores_, history_, converged_, outcome_, seed_, eta0_
        As in `MiniBatchRegressor`.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Raises
    ------
    Diverged
        If training diverges; nothing is left fitted.

    See Also
    --------
    MiniBatchRegressor : The same for numbers.

    Examples
    --------
    >>> from gradstep import MiniBatchClassifier
    >>> X = [[-2.0], [-1.0], [1.0], [2.0]]
    >>> model = MiniBatchClassifier(learning_rate=1.0).fit(X, ["no", "no", "yes", "yes"])
    >>> model.predict([[-3.0], [3.0]])
    array(['no', 'yes'], dtype='<U3')
    """

    @with_known_signature
    def __init__(
        self,
        loss: Any = "log_loss",
        *,
        penalty: Any = "l2",
        alpha: float = 1e-4,
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: Any = True,
        verbose: int = 0,
        epsilon: float = 0.1,
        n_jobs: int | None = None,
        random_state: Any = 0,
        learning_rate: Any = "auto",
        eta0: float | None = None,
        power_t: float = 0.5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        warm_start: bool = False,
        average: bool | int = False,
        batch_size: int | str = "auto",
        optimizer: Any = "auto",
        precondition: bool | str = "auto",
        last_batch: str = "scale",
        penalty_scale: str = "deviation",
        bounds: Any = None,
        callbacks: Any = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.average = average
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.precondition = precondition
        self.last_batch = last_batch
        self.penalty_scale = penalty_scale
        self.bounds = bounds
        self.callbacks = callbacks

    def _loss(self) -> Any:
        return loss_of(self.loss, {"epsilon": self.epsilon}, CLASSIFICATION_LOSSES)

    def _score(self, loss: Any, held_out: Dataset) -> Any:
        """Return the function from scores of the held-out rows to the accuracy."""
        from sklearn.metrics import accuracy_score  # takes longer to import than most fits do

        weight = held_out.weights()
        codes = as_codes(held_out.targets()[:, 0], len(self.classes_) if is_joint(loss) else 1)
        return lambda z: float(accuracy_score(codes, winners(z), sample_weight=weight))

    @with_callbacks
    @takes_collections
    @as_by_default
    def fit(
        self,
        X: ArrayLike | PreparedTable,
        y: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> MiniBatchClassifier:
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_rows, n_features), or PreparedTable
            Features, taken as in `MiniBatchRegressor.fit`.
        y : array of shape (n_rows,)
            Classes.
        coef_init, intercept_init, sample_weight, X_val, y_val, sample_weight_val : optional
            As in `MiniBatchRegressor.fit`.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidData, InvalidParameter, Diverged
            What is wrong, where, and what to do.
        """
        fitting.forget(self)
        check_parameters(self)
        if is_prepared(X):
            fit_prepared(
                self, X, self._loss(), self._score, y=y, coef_init=coef_init,
                intercept_init=intercept_init, sample_weight=sample_weight, X_val=X_val,
                y_val=y_val, sample_weight_val=sample_weight_val,
            )  # fmt: skip
            return self
        loss = self._loss()
        later = is_checked_by_statistics(X)
        X, y = check_features(self, X, reset=True, y=y, check_values=not later)
        distinct = check_kind_of_classes(y)
        labels = np.asarray(y)
        weight = sample_weight_of(sample_weight, labels.shape[0])
        self.classes_ = classes_of(labels, "y", weight, distinct)
        codes = np.searchsorted(self.classes_, labels)
        if weight is not None:  # rows of weight 0 may have a class of their own
            codes = codes.clip(max=len(self.classes_) - 1)
        weight = class_weights(self, codes, weight, incremental=False)
        loss, k = self._of_classes(loss)
        own = validation_data(
            self, X_val, y_val, sample_weight_val,
            lambda y: as_targets(codes_of(y, self.classes_, "y_val"), k)[:, None],
        )  # fmt: skip
        fitting.fit(
            self, loss, k, Dataset(rows_of(X), as_targets(codes, k)[:, None], weight),
            init=(coef_init, intercept_init), own=own, score=self._score,
            fit_arguments=(X, y, sample_weight), checked=not later,
        )  # fmt: skip
        return self

    @as_by_default
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> MiniBatchClassifier:
        """Run one epoch over these rows, from where the last call ended.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array of shape (n_classes,)
            All classes that will come; needed in the first call.

        Returns
        -------
        self
        """
        check_parameters(self)
        first = not hasattr(self, "coef_")
        X, y = check_features(self, X, reset=first, y=y)
        check_kind_of_classes(y)
        self.classes_ = classes_to_come(self, classes)
        if first:
            self.seed_ = draw_seed(self.random_state)
        codes = codes_of(y, self.classes_, "y")
        weight = sample_weight_of(sample_weight, codes.shape[0])
        weight = class_weights(self, codes, weight, incremental=True)
        loss, k = self._of_classes(self._loss())
        data = Dataset(rows_of(X), as_targets(codes, k)[:, None], weight)
        fitting.partial_fit(self, loss, k, data)
        return self

    _as_in_fit = classes_as_in_fit
    score = as_by_default(ClassifierMixin.score)
