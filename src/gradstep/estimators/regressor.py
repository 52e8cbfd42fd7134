"""`MiniBatchRegressor`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from gradstep.errors import GradstepError, InvalidData, InvalidParameter
from gradstep.estimators import fitting
from gradstep.estimators.dask_arrays import lazy_on_collections, takes_collections
from gradstep.estimators.fitted import Fitted
from gradstep.estimators.inference import numbers_as_in_fit
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
from gradstep.estimators.targets import check_targets, numbers_of
from gradstep.fit.components import REGRESSION_LOSSES, loss_of
from gradstep.floating_point import as_by_default
from gradstep.objective.losses import inverse_link, is_joint, target_range
from gradstep.rows.dataset import Dataset

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gradstep.data.preparing.prepared import PreparedTable

__all__ = ["MiniBatchRegressor"]


class MiniBatchRegressor(Fitted, RegressorMixin, BaseEstimator):
    """Linear, robust, quantile and log-linear regression by mini-batch gradient descent.

    Minimises ``(1 / Σ s_i) Σ s_i loss(y_i, x_i·w + b) + alpha R(w)`` with s the sample
    weights. Every keyword of `sklearn.linear_model.SGDRegressor` is taken and means the same;
    steps are taken on batches of `batch_size` rows.

    Parameters
    ----------
    loss : str or Loss, default='squared_error'
        'squared_error', 'huber', 'epsilon_insensitive', 'squared_epsilon_insensitive',
        'pinball', 'poisson', 'gamma', 'tweedie', or an object with ``value(y, z)`` and
        ``slope(y, z)``. The last three model the logarithm of the mean.
    penalty : {'l2', 'l1', 'elasticnet'}, None or Penalty, default='l2'
        What is added to the mean loss.
    alpha : float >= 0, default=1e-4
        Strength of a penalty given by name; unused by a Penalty object, which has its own.
        ``learning_rate='optimal'`` needs it too.
    l1_ratio : float in [0, 1] or None, default=0.15
        Share of l1 in 'elasticnet'; unused by the others, where it may be None.
    fit_intercept : bool, default=True
        Whether to fit an intercept. It is never penalised.
    max_iter : int >= 1, default=1000
        Most epochs. `partial_fit` runs one; there it is what schedules over the whole run
        ('cosine', 'one_cycle') take as its length.
    tol : float >= 0 or None, default=1e-3
        With 'svrg' (the default), how long the next step may be, relative to the first one, for the
        run to end: the objective is then about tol² of its decrease above its least; where the
        loss's slope jumps, the share of its decrease that it still decreases by in
        `n_iter_no_change` epochs. With other optimizers, the least improvement of the epoch's
        running objective that counts, as a share of the loss of the best constant prediction.
        With `early_stopping`, the least improvement of the validation score. None runs
        `max_iter` epochs; with 'auto' and 'svrg' fewer, if the objective can be lowered no
        further before, to rounding.
    shuffle : bool, {'exact', 'blocks'} or callable, default=True
        The order of rows in each epoch. True is 'exact': every order equally likely. 'blocks'
        makes one permuted copy of the data, then each epoch shuffles blocks of it and the
        rows within a few blocks: faster, for twice the memory. False keeps the order. A
        callable ``(epoch, n)`` returns the order; epochs are counted from 0.
    verbose : int, default=0
        1 shows the progress: a bar on a terminal, lines elsewhere.
    epsilon : float >= 0, default=0.1
        Of 'huber', 'epsilon_insensitive' and 'squared_epsilon_insensitive'; else unused.
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
    power_t : float, default=0.25
        Exponent of 'invscaling': ``eta0 / step ** power_t``; else unused.
    early_stopping : bool, default=False
        Whether to end when the validation score (`score`) stops improving. With the
        optimizers 'auto' and 'svrg' a run ends at the optimum of the training rows at the
        latest, which may be sooner.
    validation_fraction : float in (0, 1), default=0.1
        Share of rows held out if `early_stopping` without X_val; else unused.
    n_iter_no_change : int >= 1, default=5
        Epochs in a row without improvement after which to end; unused without `tol`.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the fit before.
    average : bool or int, default=False
        Whether the model is the mean of the iterates; an int is how many rows must have been
        seen before the mean starts.
    quantile : float in (0, 1), default=0.5
        Of 'pinball'; else unused.
    power : float >= 1, default=1.5
        Of 'tweedie'; else unused.
    batch_size : int >= 1 or 'auto', default='auto'
        Rows of a batch; above the number of rows it means all of them. 'auto' follows from what a
        step and a row cost; it is 64 with a learning rate that is given. Of the steps of 'svrg'
        only the variance-reduced ones have batches (`docs/no_tuning.md`).
    optimizer : str or Optimizer, default='auto'
        'svrg' goes to the optimum, with a preconditioner from the data; 'exact' is the solution
        of least squares; 'sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam', 'ftrl' are
        the textbook algorithms; or an object. 'auto' is 'svrg' with ``learning_rate='auto'``,
        and 'sgd' with any other, and in `partial_fit`.
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
    bounds : tuple of two or None, default=None
        The least and the greatest coefficients, (low, high): numbers, or arrays with one for each
        feature, in the features' own units; None or infinity for no bound. ``(0, None)`` means
        that none is negative. Kept exactly: by the automatic method the optimum among those
        coefficients, by other optimizers after each step. Refused for several outputs.
    callbacks : list of Callback or None, default=None
        Called at the start, after each epoch, and at the end.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,), or (n_outputs, n_features) for a y of two dimensions
        Weights.
    intercept_ : ndarray of shape (n_outputs,)
        Intercepts.
    n_iter_ : int
        Epochs run.
    t_ : int
        Steps taken (batches; `SGDRegressor` counts rows); 0 with "svrg".
    loss_curve_ : list of float
        Running objective of each epoch; with "svrg" the objective itself, at its end.
    validation_scores_ : list of float or None
        Validation score after each epoch; None without validation rows.
    history_ : list of EpochRecord
        Loss, validation, learning rate, speed and time of each epoch; with 'svrg' also how near
        the optimum it is, rows read, and what was taken back.
    converged_ : bool
        Whether the run ended because `tol` was reached.
    outcome_ : Outcome
        How the run ended; ``outcome_.sentence`` says it in words.
    seed_ : int
        The seed that was used.
    eta0_ : float or None
        The `eta0` that was used; None if the learning rate does not start from it.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Raises
    ------
    Diverged
        If training diverges; nothing is left fitted.

    See Also
    --------
    MiniBatchClassifier : The same for classes.

    Notes
    -----
    With validation rows (`early_stopping`, or X_val and y_val in `fit`) the weights of the best
    epoch are kept, not those of the last.

    Examples
    --------
    >>> import numpy as np
    >>> from gradstep import MiniBatchRegressor
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> y = X @ [1.0, -2.0] + 3.0
    >>> model = MiniBatchRegressor(learning_rate=0.1, penalty=None).fit(X, y)
    >>> model.coef_.round(2), model.intercept_.round(2)
    (array([ 1., -2.]), array([3.]))
    """

    @with_known_signature
    def __init__(
        self,
        loss: Any = "squared_error",
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
        random_state: Any = 0,
        learning_rate: Any = "auto",
        eta0: float | None = None,
        power_t: float = 0.25,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        warm_start: bool = False,
        average: bool | int = False,
        quantile: float = 0.5,
        power: float = 1.5,
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
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.average = average
        self.quantile = quantile
        self.power = power
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.precondition = precondition
        self.last_batch = last_batch
        self.penalty_scale = penalty_scale
        self.bounds = bounds
        self.callbacks = callbacks

    def __sklearn_tags__(self) -> Any:
        """Say that several targets are welcome, and which losses need positive ones."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        with suppress(GradstepError):  # that a parameter is wrong is said by fit
            tags.target_tags.positive_only = target_range(self._loss()).low >= 0.0
        return tags

    def _loss(self) -> Any:
        names = {"epsilon": self.epsilon, "quantile": self.quantile, "power": self.power}
        loss = loss_of(self.loss, names, REGRESSION_LOSSES)
        if is_joint(loss):
            msg = f"loss={self.loss!r} is one of several classes: use MiniBatchClassifier."
            raise InvalidParameter(msg)
        return loss

    def _score(self, loss: Any, held_out: Dataset) -> Any:
        """Return the function from scores of the held-out rows to R²."""
        from sklearn.metrics import r2_score  # takes longer to import than most fits do

        y, weight = held_out.targets(), held_out.weights()
        if held_out.n < 2:
            msg = "R² needs at least two validation rows: raise validation_fraction, or pass more."
            raise InvalidData(msg)
        return lambda z: float(r2_score(y, inverse_link(loss, z), sample_weight=weight))

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
    ) -> MiniBatchRegressor:
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_rows, n_features)
            Features. float64 and float32 in C order are used as they are; anything else is
            converted once. Sparse matrices are trained on as CSR. A Dask Array or DataFrame is
            computed on by the current client's workers (docs/machines.md). Or what
            `gradstep.prepare` returned, alone: then `predict` takes tables (paths, frames,
            queries), by the names of their columns.
        y : array of shape (n_rows,) or (n_rows, n_outputs)
            Targets.
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
                self, X, self._loss(), self._score, y=y, coef_init=coef_init,
                intercept_init=intercept_init, sample_weight=sample_weight, X_val=X_val,
                y_val=y_val, sample_weight_val=sample_weight_val,
            )  # fmt: skip
            return self
        loss = self._loss()
        later = is_checked_by_statistics(X)
        X, y = check_features(
            self, X, reset=True, y=y, check_values=not later, multi_output=True, y_numeric=True
        )
        targets = numbers_of(y, "Input y")
        weight = sample_weight_of(sample_weight, targets.shape[0])
        check_targets(loss, targets, weight)
        self._y_is_2d = np.ndim(y) == 2
        own = validation_data(
            self, X_val, y_val, sample_weight_val, lambda y: numbers_of(y, "Input y_val")
        )
        if own is not None:
            if own.y.shape[1] != targets.shape[1]:
                msg = f"y has {targets.shape[1]} targets, but y_val has {own.y.shape[1]}."
                raise InvalidData(msg)
            check_targets(loss, own.y, own.sample_weight, "y_val")
        fitting.fit(
            self, loss, targets.shape[1], Dataset(rows_of(X), targets, weight),
            init=(coef_init, intercept_init), own=own, score=self._score,
            fit_arguments=(X, y, sample_weight), checked=not later,
        )  # fmt: skip
        return self

    @as_by_default
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> MiniBatchRegressor:
        """Run one epoch over these rows, from where the last call ended.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
            The fitted estimator.
        """
        check_parameters(self)
        loss = self._loss()
        first = not hasattr(self, "coef_")
        X, y = check_features(self, X, reset=first, y=y, multi_output=True, y_numeric=True)
        targets = numbers_of(y, "Input y")
        weight = sample_weight_of(sample_weight, targets.shape[0])
        check_targets(loss, targets, weight, part=not first)
        if first:
            self.seed_ = draw_seed(self.random_state)
            self._y_is_2d = np.ndim(y) == 2
        elif targets.shape[1] != np.size(self.intercept_):
            msg = f"y has {targets.shape[1]} targets; earlier calls had {np.size(self.intercept_)}."
            raise InvalidData(msg)
        fitting.partial_fit(self, loss, targets.shape[1], Dataset(rows_of(X), targets, weight))
        return self

    @lazy_on_collections
    @as_by_default
    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict the mean (the quantile, under 'pinball') for each row.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_rows, n_features), or table
            Features; after `fit` on a prepared table, a table with its columns.

        Returns
        -------
        ndarray of shape (n_rows,), or (n_rows, n_outputs) as y was in `fit`
            Predictions.
        """
        z = inverse_link(self._loss(), fitting.decision(self, X))
        return z if self._y_is_2d else z[:, 0]

    _as_in_fit = numbers_as_in_fit
    score = as_by_default(RegressorMixin.score)
