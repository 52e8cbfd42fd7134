"""`MiniBatchClassifier`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from gradstep.checks import check_labels, check_number, check_weights
from gradstep.errors import InvalidData, InvalidParameter
from gradstep.estimators import fitting
from gradstep.estimators.inputs import (
    check_features,
    check_parameters,
    draw_seed,
    rows_of,
    validation_data,
    weights_of,
)
from gradstep.estimators.sklearn_callbacks import (
    CallbackSupportMixin,
    with_callbacks,
)
from gradstep.estimators.tables import fit_prepared, is_prepared
from gradstep.fit.components import CLASSIFICATION_LOSSES, loss_of
from gradstep.floating_point import as_by_default
from gradstep.objective.classification import (
    LogLoss,
    OneVsRest,
    Softmax,
    class_probabilities,
)
from gradstep.rows.dataset import Dataset

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.engine.state import Problem

__all__ = ["MiniBatchClassifier"]


def _has_probabilities(est: Any) -> bool:
    """Tell whether the loss gives probabilities; the reason if not is the error's text."""
    loss = est._loss()
    two_class = loss.loss if isinstance(loss, OneVsRest) else loss
    if hasattr(two_class, "probability") or hasattr(two_class, "probabilities"):
        return True
    msg = (
        f"predict_proba needs a loss that gives probabilities; loss={est.loss!r} does not. "
        "Use loss='log_loss' or 'modified_huber'."
    )
    raise AttributeError(msg)


class MiniBatchClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
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
        With 'svrg' (the default), how long the next step may be in the metric, relative to the
        first one, for the run to end: the objective is then about tol² of its fall above its
        least; where the loss's slope jumps, the share of its fall that it still falls by in
        `n_iter_no_change` epochs. With other optimizers, the least improvement of the epoch's
        running objective that counts, as a share of the loss of the best constant prediction.
        With `early_stopping`, the least improvement of the validation score. None runs
        `max_iter` epochs.
    shuffle : bool, {'exact', 'blocks'} or callable, default=True
        The order of rows in each epoch; see `MiniBatchRegressor`.
    verbose : int, default=0
        1 shows the progress: a bar on a terminal, lines elsewhere.
    epsilon : float >= 0, default=0.1
        Of the regression losses that have one; else unused.
    n_jobs : int or None, default=None
        Unused: all classes are trained together. Taken because `SGDClassifier` has it.
    random_state : int, RandomState or None, default=0
        Seed of the order of rows and of the validation split. The same int gives the same
        model to the bit; None and a RandomState are drawn from once, into `seed_`.
    learning_rate : str, float, callable or Schedule, default='auto'
        'auto' follows from the data, on columns of any scale (docs/no_tuning.md); with any other
        the plain algorithm runs: 'constant', 'invscaling', 'optimal', 'adaptive', 'step',
        'exponential', 'cosine', 'one_cycle'; a float is a constant rate; a callable takes
        (epoch, step), both from 0.
    eta0 : float > 0 or None, default=None
        First (for 'one_cycle' the largest) rate of a schedule given by name; refused with 'auto',
        unused by 'optimal' and by rates given as a float, a callable or an object. None takes
        0.4 / (κ · mean ‖x‖²), κ the loss's curvature, and 0.1 / κ for the intercept, which is
        stable unless rows differ wildly in length; and 0.01 for optimizers that divide by the
        size of past gradients ('adagrad', 'rmsprop', 'adam', 'ftrl').
    power_t : float, default=0.5
        Exponent of 'invscaling': ``eta0 / step ** power_t``; else unused.
    early_stopping : bool, default=False
        Whether to end when the validation score (accuracy) stops improving.
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
        Whether the model is the mean of the iterates; an int is how many rows must have been
        seen before the mean starts.
    batch_size : int >= 1 or 'auto', default='auto'
        Rows of a batch; above the number of rows it means all of them. 'auto' follows from what a
        step and a row cost; it is 64 with a learning rate that is given.
    optimizer : str or Optimizer, default='auto'
        'svrg' goes to the optimum in rounds, in a metric from the data; 'exact' is the solution
        of least squares; 'sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam', 'ftrl' are
        the textbook algorithms; or an object. 'auto' is 'svrg' with ``learning_rate='auto'``,
        and 'sgd' with any other, in `partial_fit`, and for the perceptron, whose loss is least
        with no weights at all.
    precondition : bool or 'auto', default='auto'
        Whether steps are those behind a StandardScaler, without a copy of the data: 'auto' means
        with ``learning_rate='auto'``, and with 'optimal', which takes its length from the penalty,
        where the penalty is one per deviation. 'svrg' and 'exact' always do more than that.
    last_batch : {'scale', 'mean', 'drop'}, default='scale'
        The short batch at the end of an epoch is divided by `batch_size` (each row has the
        same say), or by its own size, or is left out. Unused by 'svrg', whose batches are full.
    penalty_scale : {'deviation', 'unit'}, default='deviation'
        What the penalty is of: of weights times the standard deviations of their columns, as
        behind a StandardScaler, so that `alpha` means the same whatever the units (sparse
        columns count as 1); or of the weights as they are, as in scikit-learn.
    callbacks : list of Callback or None, default=None
        Told of the start, of each epoch, and of the end.

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
        self.callbacks = callbacks

    def __sklearn_tags__(self) -> Any:
        """Say that sparse X is welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether there are weights: a fit that failed leaves none."""
        return hasattr(self, "coef_")

    def _loss(self) -> Any:
        return loss_of(self.loss, {"epsilon": self.epsilon}, CLASSIFICATION_LOSSES)

    def _loss_of_classes(self) -> tuple[Any, int]:
        """Return the loss for this many classes, and the number of outputs."""
        loss, k = self._loss(), len(self.classes_)
        if hasattr(loss, "row_slopes"):
            return loss, k
        if k == 2:
            return loss, 1
        return (Softmax() if isinstance(loss, LogLoss) else OneVsRest(loss)), k

    def _codes(self, y: Any, name: str) -> NDArray[np.intp]:
        """Return the index of each label in `classes_`."""
        y = np.asarray(y)
        check_labels(y, name)
        if y.dtype.kind != self.classes_.dtype.kind and "U" in (
            y.dtype.kind + self.classes_.dtype.kind
        ):
            codes: NDArray[np.intp] = np.zeros(y.shape, np.intp)
            unknown = np.ones(y.shape, bool)
        else:
            codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
            unknown = self.classes_[codes] != y
        if unknown.any():
            row = int(np.argmax(unknown))
            label = y[row].item() if isinstance(y[row], np.generic) else y[row]
            msg = (
                f"{name} has the class {label!r} at row {row}, which is not among the classes "
                f"{self.classes_.tolist()!r} ({int(unknown.sum())} such rows)."
            )
            raise InvalidData(msg)
        return codes

    def _targets(self, codes: NDArray[np.intp], k: int) -> NDArray[np.float64]:
        """Return ±1 for one output, the index of the class for several; shape (n, 1)."""
        y = np.where(codes == 1, 1.0, -1.0) if k == 1 else codes.astype(np.float64)
        return y[:, None]

    def _weights(
        self, codes: NDArray[np.intp], sample_weight: Any, *, incremental: bool
    ) -> NDArray[np.float64] | None:
        """Return sample weight times class weight, None if all are 1."""
        weight = weights_of(sample_weight, codes.shape[0])
        if self.class_weight is None:
            return weight
        if incremental and self.class_weight == "balanced":
            msg = (
                "class_weight='balanced' needs all rows at once, which partial_fit has not. "
                "Compute it with sklearn.utils.compute_class_weight and pass it as a dict."
            )
            raise InvalidParameter(msg)
        if not isinstance(self.class_weight, dict) and self.class_weight != "balanced":
            msg = f"class_weight={self.class_weight!r} must be a dict, 'balanced' or None."
            raise InvalidParameter(msg)
        if isinstance(self.class_weight, dict):
            for label, number in self.class_weight.items():
                check_number(type(self).__name__, f"class_weight[{label!r}]", number, low=0.0)
        counted = codes if weight is None else codes[weight > 0.0]
        each = compute_class_weight(
            self.class_weight, classes=self.classes_, y=self.classes_[counted]
        ) if not incremental else np.array(
            [self.class_weight.get(c, 1.0) for c in self.classes_.tolist()]
        )  # fmt: skip
        weight = each[codes] * (1.0 if weight is None else weight)
        check_weights(weight, "sample_weight times class_weight")
        return weight

    def _score(self, _problem: Problem, held_out: Dataset) -> Any:
        """Return the function from scores of the held-out rows to the accuracy."""
        y, weight = held_out.targets()[:, 0], held_out.weights()
        if len(self.classes_) == 2 and set(np.unique(y)) <= {-1.0, 1.0}:
            y = (y > 0.0).astype(np.float64)
        return lambda z: float(
            accuracy_score(y, self._winners(z).astype(np.float64), sample_weight=weight)
        )

    def _winners(self, z: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the index of the class with the largest score."""
        winners: NDArray[np.intp] = (
            z.argmax(axis=1) if z.shape[1] > 1 else np.where(z > 0, 1, 0)[:, 0]
        )
        return winners

    @with_callbacks
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
        X : array, sparse matrix or data frame of shape (n_rows, n_features)
            Features. float64 and float32 in C order are used as they are; anything else is
            converted once. Sparse matrices are trained on as CSR. Or what `gradstep.prepare`
            returned, alone: then `predict` takes tables (paths, frames, queries), by the names
            of their columns.
        y : array of shape (n_rows,)
            Classes.
        coef_init, intercept_init : array, optional
            Weights and intercepts to start from, shaped as the fitted ones.
        sample_weight : array of shape (n_rows,), optional
            How often each row counts.
        X_val, y_val, sample_weight_val : as X, y, sample_weight, optional
            Rows to validate on after each epoch, instead of a fraction of X.

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
                self, X, lambda: self._loss_of_classes()[0], self._score, y=y, coef_init=coef_init,
                intercept_init=intercept_init, sample_weight=sample_weight, X_val=X_val,
                y_val=y_val, sample_weight_val=sample_weight_val,
            )  # fmt: skip
            return self
        self._loss()
        X, y = check_features(self, X, reset=True, y=y)
        check_classification_targets(y)
        labels = np.asarray(y)
        weight = weights_of(sample_weight, labels.shape[0])
        self.classes_ = np.unique(labels if weight is None else labels[weight > 0.0])
        if len(self.classes_) < 2:
            which = "y" if weight is None else "y, in the rows of weight above 0,"
            msg = (
                f"{which} has one class, {self.classes_.tolist()!r}: a classifier needs at least "
                "two classes."
            )
            raise InvalidData(msg)
        codes = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
        weight = self._weights(codes, weight, incremental=False)
        if weight is not None and np.unique(codes[weight > 0.0]).size < 2:
            msg = "All rows of weight above 0 are of one class; at least two classes are needed."
            raise InvalidData(msg)
        loss, k = self._loss_of_classes()
        own = validation_data(
            self,
            X_val,
            y_val,
            sample_weight_val,
            lambda y: self._targets(self._codes(y, "y_val"), k),
        )
        fitting.fit(
            self,
            loss,
            k,
            Dataset(rows_of(X), self._targets(codes, k), weight),
            init=(coef_init, intercept_init),
            own=own,
            score=self._score,
            told=(X, y, sample_weight),
        )
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
            The fitted estimator.
        """
        check_parameters(self)
        first = not hasattr(self, "coef_")
        if first and classes is None:
            msg = "classes must be given in the first call of partial_fit: all that will come."
            raise InvalidParameter(msg)
        X, y = check_features(self, X, reset=first, y=y)
        check_classification_targets(y)
        if first:
            self.classes_ = np.unique(np.asarray(classes))
            self.seed_ = draw_seed(self.random_state)
            if len(self.classes_) < 2:
                msg = f"classes={classes!r} has one class: a classifier needs at least two classes."
                raise InvalidData(msg)
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            msg = (
                f"classes={np.unique(np.asarray(classes)).tolist()!r} differs from that of the "
                f"first call, {self.classes_.tolist()!r}."
            )
            raise InvalidParameter(msg)
        codes = self._codes(y, "y")
        weight = self._weights(codes, sample_weight, incremental=True)
        loss, k = self._loss_of_classes()
        fitting.partial_fit(self, loss, k, Dataset(rows_of(X), self._targets(codes, k), weight))
        return self

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
        winners = self._winners(fitting.decision(self, X))
        labels: NDArray[Any] = self.classes_[winners]
        return labels

    @available_if(_has_probabilities)
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
        return class_probabilities(self._loss_of_classes()[0], z)

    @available_if(_has_probabilities)
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

    score = as_by_default(ClassifierMixin.score)

    def sparsify(self) -> MiniBatchClassifier:
        """Make `coef_` a sparse matrix.

        Returns
        -------
        self
        """
        fitting.sparsify(self)
        return self

    def densify(self) -> MiniBatchClassifier:
        """Make `coef_` an array again.

        Returns
        -------
        self
        """
        fitting.densify(self)
        return self
