"""The scikit-learn front: parameters, validation and labels. No arithmetic lives here.

`MiniBatchRegressor` and `MiniBatchClassifier` take every keyword of `SGDRegressor` and
`SGDClassifier`, and more. What the two share is in functions of this module, not in a base
class: each estimator is one class with scikit-learn's mixins.
"""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import check_array, check_random_state, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from gradstep.checks import check_choice, check_finite, check_number, check_targets, check_weights
from gradstep.components import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    loss_of,
    optimizer_of,
    penalty_of,
    schedule_of,
)
from gradstep.data.dataset import Dataset, mean_square_norm
from gradstep.engine.callbacks import History, ProgressBar
from gradstep.engine.rows import CsrRows, DenseRows
from gradstep.engine.state import Outcome, Problem, TrainState, Validation
from gradstep.errors import InvalidData, InvalidParameter
from gradstep.objective.classification import LogLoss, OneVsRest, Softmax
from gradstep.objective.losses import inverse_link, slope
from gradstep.objective.penalties import sets_zeros
from gradstep.optim.automatic import Rate, stable_rate

try:  # scikit-learn from 1.9 on
    from sklearn.callback import CallbackSupportMixin, callback_management_context
except ImportError:  # pragma: no cover - depends on the version installed

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    callback_management_context = nullcontext

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from gradstep.engine.callbacks import EpochEnd

__all__ = ["MiniBatchClassifier", "MiniBatchRegressor"]

_NO_Y = object()
_log = logging.getLogger("gradstep")


# --- parameters ---------------------------------------------------------------------------


def _check_parameters(est: Any) -> None:
    """Refuse wrong numbers and choices; components check their own."""
    owner = type(est).__name__
    check_number(owner, "alpha", est.alpha, low=0.0, high=float("inf"), open_high=True)
    check_number(owner, "l1_ratio", est.l1_ratio, low=0.0, high=1.0)
    check_number(owner, "max_iter", est.max_iter, low=1, whole=True)
    if est.tol is not None:
        check_number(owner, "tol", est.tol, low=0.0)
    check_number(owner, "epsilon", est.epsilon, low=0.0)
    if est.eta0 is not None:
        check_number(owner, "eta0", est.eta0, low=0.0, open_low=True)
    check_number(owner, "power_t", est.power_t)
    check_number(
        owner, "validation_fraction", est.validation_fraction,
        low=0.0, high=1.0, open_low=True, open_high=True,
    )  # fmt: skip
    check_number(owner, "n_iter_no_change", est.n_iter_no_change, low=1, whole=True)
    check_number(owner, "batch_size", est.batch_size, low=1, whole=True)
    check_number(owner, "verbose", int(est.verbose), low=0, whole=True)
    if not isinstance(est.average, (bool, np.bool_)):
        check_number(owner, "average", est.average, low=0, whole=True)
    check_choice(owner, "last_batch", est.last_batch, ("scale", "mean", "drop"))
    check_choice(owner, "penalty_scale", est.penalty_scale, ("unit",))
    if not callable(est.shuffle):
        check_choice(owner, "shuffle", est.shuffle, (True, False, "exact", "blocks"))
    for name in ("fit_intercept", "early_stopping", "warm_start"):
        if not isinstance(getattr(est, name), (bool, np.bool_, int)):
            msg = f"{name}={getattr(est, name)!r} of {owner} must be True or False."
            raise InvalidParameter(msg)


def _rate(est: Any, loss: Any, optimizer: Any, data: Dataset) -> Rate:
    """Return the rate that was given, or one that is stable on this data."""
    if est.eta0 is not None:
        return Rate(float(est.eta0), 1.0)
    mean = float(np.average(data.y.mean(axis=1), weights=data.sample_weight))
    return stable_rate(optimizer, loss, mean_square_norm(data), mean)


def _schedule(est: Any, loss: Any, eta0: float) -> Any:
    """Return the schedule of learning rates."""
    two_class = loss.loss if isinstance(loss, OneVsRest) else loss
    return schedule_of(
        est.learning_rate,
        {
            "eta0": eta0,
            "power_t": est.power_t,
            "alpha": est.alpha,
            "slope": lambda y, z: slope(two_class, y, z) if hasattr(two_class, "slope") else 1.0,
        },
    )


def _uses_eta0(est: Any) -> bool:
    """Tell whether the learning rate is a schedule by name that starts from eta0."""
    return isinstance(est.learning_rate, str) and est.learning_rate != "optimal"


def _problem(
    est: Any, loss: Any, data: Dataset, n_outputs: int, rate: Rate | None = None
) -> Problem:
    """Put the fixed part of a fit together."""
    optimizer = optimizer_of(est.optimizer)
    rate = rate or _rate(est, loss, optimizer, data)
    est._rate, est.eta0_ = rate, rate.eta0
    shuffle = {True: "exact", False: "none"}.get(est.shuffle, est.shuffle) if isinstance(
        est.shuffle, (bool, np.bool_)
    ) else est.shuffle  # fmt: skip
    return Problem(
        loss=loss,
        penalty=penalty_of(est.penalty, {"alpha": est.alpha, "l1_ratio": est.l1_ratio}),
        optimizer=optimizer,
        schedule=_schedule(est, loss, est.eta0_),
        n_features=data.rows.n_features,
        n_outputs=n_outputs,
        fit_intercept=bool(est.fit_intercept),
        intercept_factor=rate.intercept_factor if _uses_eta0(est) else 1.0,
        batch_size=int(est.batch_size),
        last_batch=est.last_batch,
        shuffle=shuffle,
        seed=est.seed_,
        average_from=int(est.average),
        max_epochs=int(est.max_iter),
        tol=est.tol,
        patience=int(est.n_iter_no_change),
    )


def _draw_seed(random_state: Any) -> int:
    """Return the seed: an int as it is, anything else drawn from once."""
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        if random_state < 0:
            msg = f"random_state={random_state!r} must be >= 0."
            raise InvalidParameter(msg)
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


# --- data ---------------------------------------------------------------------------------


def _check_X(est: Any, X: Any, *, reset: bool, y: Any = _NO_Y, **y_options: Any) -> Any:
    """Return X (and y) as scikit-learn sees them: float, dense in C order or CSR, finite."""
    options: dict[str, Any] = {
        "accept_sparse": "csr",
        "dtype": [np.float64, np.float32],
        "order": "C",
        "ensure_all_finite": False,
        "accept_large_sparse": True,
        "reset": reset,
    }
    if y is _NO_Y:
        checked = validate_data(est, X, **options)
    else:
        checked, y = validate_data(est, X, y, **options, **y_options)
    check_finite(checked, "Input X", getattr(est, "feature_names_in_", None))
    _tell_of_copy(est, X, checked)
    return checked if y is _NO_Y else (checked, y)


def _tell_of_copy(est: Any, X: Any, checked: Any) -> None:
    """Say how much memory a converted copy of the data takes."""
    if sp.issparse(checked) or (isinstance(X, np.ndarray) and np.shares_memory(X, checked)):
        return
    line = f"X was copied to {checked.dtype} in C order: {checked.nbytes / 1e6:.1f} MB."
    _log.info(line)
    if est.verbose:
        print(line, file=sys.stderr)  # noqa: T201


def _rows(X: Any) -> DenseRows | CsrRows:
    """Return the row layout of a checked matrix."""
    if not sp.issparse(X):
        return DenseRows(np.ascontiguousarray(X))
    return CsrRows(
        np.ascontiguousarray(X.data),
        X.indices.astype(np.int32, copy=False),
        X.indptr.astype(np.int64, copy=False),
        int(X.shape[1]),
    )


def _weights(sample_weight: Any, n: int, name: str = "sample_weight") -> NDArray[np.float64] | None:
    """Return weights as float64 of shape (n,), None if there are none; a number is for all."""
    if sample_weight is None:
        return None
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{name} must be {n} numbers, one for each row of X: {error}"
        raise InvalidData(msg) from error
    if weight.ndim == 0:
        weight = np.full(n, float(weight))
    if weight.shape != (n,):
        msg = f"{name} has shape {weight.shape}, but X has {n} rows: it must have shape ({n},)."
        raise InvalidData(msg)
    check_weights(weight, name)
    return weight


def _held_out(
    est: Any, problem: Problem, data: Dataset, own: Dataset | None, score: Any
) -> tuple[Dataset, Validation | None]:
    """Return the rows to train on, and the validation rows: the user's own or a fraction."""
    if own is not None:
        return data, Validation(own, score(problem, own), stops=bool(est.early_stopping))
    if not est.early_stopping:
        return data, None
    stratify = isinstance(est, ClassifierMixin)
    splitter = (StratifiedShuffleSplit if stratify else ShuffleSplit)(
        test_size=est.validation_fraction, random_state=est.seed_ % (1 << 32)
    )
    y = data.y[:, 0] if data.y.shape[1] == 1 else np.zeros(data.n)
    try:
        train, held_out = next(splitter.split(np.zeros((data.n, 1)), y))
    except ValueError as error:
        msg = (
            f"early_stopping=True cannot hold out validation_fraction={est.validation_fraction!r} "
            f"of {data.n} rows: {error} Pass X_val and y_val instead, or a larger fraction."
        )
        raise InvalidParameter(msg) from error
    rest, validation = data.select(train), data.select(held_out)
    for part, name in ((rest, "training"), (validation, "validation")):
        if not part.weight_sum > 0.0:
            msg = f"early_stopping=True left only rows of weight 0 for {name}: pass X_val and y_val."
            raise InvalidData(msg)
    return rest, Validation(validation, score(problem, validation))


# --- training -----------------------------------------------------------------------------


def _start(est: Any, problem: Problem, coef_init: Any, intercept_init: Any) -> TrainState:
    """Return the first state: zeros, the given weights, or a warm start's."""
    if est.warm_start and hasattr(est, "coef_"):
        coef_init = est.coef_ if coef_init is None else coef_init
        intercept_init = est.intercept_ if intercept_init is None else intercept_init
    k, p = problem.n_outputs, problem.n_features
    given: dict[str, NDArray[np.float64] | None] = {"coef_init": None, "intercept_init": None}
    for name, value, size, shape in (
        ("coef_init", coef_init, k * p, f"({k}, {p})" if k > 1 else f"({p},)"),
        ("intercept_init", intercept_init, k, f"({k},)"),
    ):
        if value is None:
            continue
        array = np.asarray(value.toarray() if sp.issparse(value) else value, dtype=np.float64)
        if array.size != size:
            msg = f"{name} has shape {array.shape}; {type(est).__name__} needs {shape} for this data."
            raise InvalidData(msg)
        check_finite(array.reshape(1, -1), name)
        given[name] = array
    state = problem.start(given["coef_init"], given["intercept_init"])
    if not problem.fit_intercept:
        problem.split(state.params)[1][:] = 0.0
    return state


class _Bridge:
    """Calls scikit-learn's callbacks (from 1.9 on) once an epoch."""

    def __init__(self, est: Any, X: Any, y: Any, weight: Any) -> None:
        self._est, self._X, self._y = est, X, y
        self._metadata = None if weight is None else {"sample_weight": weight}
        self._context = est._init_callback_context(max_subtasks=int(est.max_iter))
        self._context.call_on_fit_task_begin(estimator=est, X=X, y=y, metadata=self._metadata)
        self._epoch: Any = None
        self._begin()

    def _begin(self) -> None:
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(
            estimator=self._est, X=self._X, y=self._y, metadata=self._metadata
        )

    def on_epoch_end(self, event: EpochEnd) -> bool:
        """End the epoch's task; True if a callback asks to stop."""
        stop = self._epoch.call_on_fit_task_end(
            estimator=self._est,
            X=self._X,
            y=self._y,
            metadata=self._metadata,
            reconstruction_attributes=lambda: _weights_as_attributes(
                self._est, event.problem, event.params
            ),
        )
        if not stop and event.record.epoch < event.problem.max_epochs:
            self._begin()
        return bool(stop)

    def close(self) -> None:
        """End the fit's task."""
        self._context.call_on_fit_task_end(
            estimator=self._est, X=self._X, y=self._y, metadata=self._metadata
        )


def _weights_as_attributes(
    est: Any, problem: Problem, params: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return coef_ and intercept_ in scikit-learn's shapes."""
    coef, intercept = problem.split(params)
    flat = isinstance(est, RegressorMixin) and problem.n_outputs == 1 and not est._y_is_2d
    return {"coef_": coef[0].copy() if flat else coef.copy(), "intercept_": intercept.copy()}


def _run(
    est: Any,
    problem: Problem,
    data: Dataset,
    state: TrainState,
    validation: Validation | None,
    *,
    bridge: Any = None,
    incremental: bool = False,
) -> TrainState:
    """Train, and set the fitted attributes that do not depend on the kind of estimator."""
    from gradstep.engine.polish import polish  # these import Numba
    from gradstep.engine.training import train

    history = History()
    callbacks = [history, *(est.callbacks or ())]
    if est.verbose and not incremental:
        callbacks.append(ProgressBar())
    if bridge is not None:
        callbacks.append(bridge)
    state, outcome = train(
        problem,
        data,
        state,
        validation=validation,
        callbacks=callbacks,
        until_epoch=state.epoch + 1 if incremental else None,
        incremental=incremental,
    )
    params = state.current()
    if validation is not None and state.best_params is not None:
        params = state.best_params
    elif not incremental and state.counters[2] > 0 and sets_zeros(problem.penalty):
        params = polish(problem, data, state, history.records[-1].learning_rate)
    for name, value in _weights_as_attributes(est, problem, params).items():
        setattr(est, name, value)
    est.t_ = state.steps
    est.outcome_ = outcome
    est.converged_ = outcome in {Outcome.CONVERGED, Outcome.VALIDATION}
    if incremental:
        est.n_iter_ = 1
    else:
        est.n_iter_ = state.epoch
        est.history_ = history.records
        est.loss_curve_ = [record.loss for record in history.records]
        est.validation_scores_ = (
            None if validation is None else [record.validation for record in history.records]
        )
        if outcome is Outcome.MAX_EPOCHS and problem.tol is not None:
            warnings.warn(
                f"{type(est).__name__} ran all max_iter={problem.max_epochs} epochs before the "
                f"{'validation score' if validation and validation.stops else 'objective'} "
                f"stopped improving by tol={problem.tol}. Raise max_iter, or the learning rate, "
                "or set tol=None to always run max_iter epochs.",
                ConvergenceWarning,
                stacklevel=3,
            )
    return state


def _resume(est: Any, problem: Problem) -> TrainState:
    """Return the state that partial_fit goes on from."""
    state: TrainState | None = getattr(est, "_state", None)
    if state is None or state.params.size != problem.size:
        state = problem.start()
    if state.slots.shape[0] != problem.optimizer.n_slots():
        state = replace(state, slots=np.zeros((problem.optimizer.n_slots(), problem.size)))
    if bool(problem.average_from) != bool(state.average.size):
        state = replace(state, average=np.zeros(problem.size if problem.average_from else 0))
    if hasattr(est, "coef_"):
        coef = est.coef_.toarray() if sp.issparse(est.coef_) else est.coef_
        shown = np.concatenate([np.ravel(coef), np.ravel(est.intercept_)])
        if not np.array_equal(shown, state.current()):  # the user has set other weights
            counters = state.counters.copy()
            counters[2] = 0.0
            state = replace(state, params=shown.astype(np.float64), counters=counters)
    return state


def _decision(est: Any, X: Any) -> NDArray[np.float64]:
    """Return scores, shape (n, k)."""
    from gradstep.engine.evaluation import scores  # imports Numba

    check_is_fitted(est)
    X = _check_X(est, X, reset=False)
    coef = est.coef_.toarray() if sp.issparse(est.coef_) else np.asarray(est.coef_)
    coef = np.atleast_2d(coef)
    params = np.concatenate([coef.reshape(-1), np.ravel(est.intercept_)]).astype(np.float64)
    return scores(_rows(X), params, coef.shape[0])


def _sparsify(est: Any) -> Any:
    check_is_fitted(est)
    est.coef_ = sp.csr_matrix(np.atleast_2d(est.coef_)) if not sp.issparse(est.coef_) else est.coef_
    return est


def _densify(est: Any) -> Any:
    check_is_fitted(est)
    if sp.issparse(est.coef_):
        dense = est.coef_.toarray()
        flat = isinstance(est, RegressorMixin) and dense.shape[0] == 1 and not est._y_is_2d
        est.coef_ = dense[0] if flat else dense
    return est


def _validation_data(
    est: Any, X_val: Any, y_val: Any, weight_val: Any, encode: Callable[[Any], NDArray[np.float64]]
) -> Dataset | None:
    """Return the user's own validation rows as a dataset, None if there are none."""
    if X_val is None and y_val is None:
        if weight_val is not None:
            msg = "sample_weight_val was given without X_val and y_val."
            raise InvalidParameter(msg)
        return None
    if X_val is None or y_val is None:
        msg = "X_val and y_val go together: one was given without the other."
        raise InvalidParameter(msg)
    X = _check_X(est, X_val, reset=False)
    y = encode(y_val)
    if y.shape[0] != X.shape[0]:
        msg = f"X_val has {X.shape[0]} rows, but y_val has {y.shape[0]}."
        raise InvalidData(msg)
    return Dataset(_rows(X), y, _weights(weight_val, X.shape[0], "sample_weight_val"))


def _fit(
    est: Any,
    loss: Any,
    n_outputs: int,
    data: Dataset,
    *,
    init: tuple[Any, Any],
    own: Dataset | None,
    score: Any,
    told: tuple[Any, Any, Any],
) -> None:
    """Fit: the part after labels and targets are numbers."""
    est.seed_ = _draw_seed(est.random_state)
    problem = _problem(est, loss, data, n_outputs)
    state = _start(est, problem, *init)
    data, validation = _held_out(est, problem, data, own, score)
    bridge = _Bridge(est, *told) if getattr(est, "_skl_callbacks", None) else None
    est._state = _run(est, problem, data, state, validation, bridge=bridge)
    if bridge is not None:
        bridge.close()


def _partial_fit(est: Any, loss: Any, n_outputs: int, data: Dataset) -> None:
    """Run one epoch over a part of a stream; its first part decides a rate that is not given."""
    earlier = getattr(est, "_state", None) is not None and est.eta0 is None and est._rate
    problem = _problem(est, loss, data, n_outputs, earlier or None)
    if problem.shuffle == "blocks":  # a copy of the part would serve one epoch only
        problem = replace(problem, shuffle="exact")
    est._state = _run(est, problem, data, _resume(est, problem), None, incremental=True)


class MiniBatchRegressor(CallbackSupportMixin, RegressorMixin, BaseEstimator):
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
    l1_ratio : float in [0, 1], default=0.15
        Share of l1 in 'elasticnet'; unused by the others.
    fit_intercept : bool, default=True
        Whether to fit an intercept. It is never penalised.
    max_iter : int >= 1, default=1000
        Most epochs. `partial_fit` runs one; there it is what schedules over the whole run
        ('cosine', 'one_cycle') take as its length.
    tol : float >= 0 or None, default=1e-3
        Least improvement, of the epoch's running objective or of the validation score, that
        counts. None runs `max_iter` epochs.
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
    learning_rate : str, float, callable or Schedule, default='constant'
        'constant', 'invscaling', 'optimal', 'adaptive', 'step', 'exponential', 'cosine',
        'one_cycle'; a float is a constant rate; a callable takes (epoch, step), both from 0.
    eta0 : float > 0 or None, default=None
        First (for 'one_cycle' the largest) rate of a schedule given by name; unused by
        'optimal' and by rates given as a float, a callable or an object. None takes
        0.4 / (κ · mean ‖x‖²), κ the loss's curvature, and 0.1 / κ for the intercept, which is
        stable unless rows differ wildly in length; and 0.01 for optimizers that divide by the
        size of past gradients ('adagrad', 'rmsprop', 'adam', 'ftrl').
    power_t : float, default=0.25
        Exponent of 'invscaling': ``eta0 / step ** power_t``; else unused.
    early_stopping : bool, default=False
        Whether to end when the validation score (`score`) stops improving.
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
    batch_size : int >= 1, default=64
        Rows of a batch; above the number of rows it means all of them.
    optimizer : str or Optimizer, default='sgd'
        'sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam', 'ftrl', or an object.
    last_batch : {'scale', 'mean', 'drop'}, default='scale'
        The short batch at the end of an epoch is divided by `batch_size` (each row has the
        same say), or by its own size, or is left out.
    penalty_scale : {'unit'}, default='unit'
        The penalty is that of the weights as they are.
    callbacks : list of Callback or None, default=None
        Told of the start, of each epoch, and of the end.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,), or (n_outputs, n_features) for a y of two dimensions
        Weights.
    intercept_ : ndarray of shape (n_outputs,)
        Intercepts.
    n_iter_ : int
        Epochs run.
    t_ : int
        Steps taken (batches; `SGDRegressor` counts rows).
    loss_curve_ : list of float
        Running objective of each epoch.
    validation_scores_ : list of float or None
        Validation score after each epoch; None without validation rows.
    history_ : list of EpochRecord
        Loss, validation, learning rate, speed and time of each epoch.
    converged_ : bool
        Whether the run ended because improvement had ended.
    outcome_ : Outcome
        How the run ended; ``outcome_.sentence`` says it in words.
    seed_ : int
        The seed that was used.
    eta0_ : float
        The `eta0` that was used.
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

    def __init__(
        self,
        loss: Any = "squared_error",
        *,
        penalty: Any = "l2",
        alpha: float = 1e-4,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: Any = True,
        verbose: int = 0,
        epsilon: float = 0.1,
        random_state: Any = 0,
        learning_rate: Any = "constant",
        eta0: float | None = None,
        power_t: float = 0.25,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        warm_start: bool = False,
        average: bool | int = False,
        quantile: float = 0.5,
        power: float = 1.5,
        batch_size: int = 64,
        optimizer: Any = "sgd",
        last_batch: str = "scale",
        penalty_scale: str = "unit",
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
        self.last_batch = last_batch
        self.penalty_scale = penalty_scale
        self.callbacks = callbacks

    def __sklearn_tags__(self) -> Any:
        """Say that sparse X and several targets are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags

    def _loss(self) -> Any:
        names = {"epsilon": self.epsilon, "quantile": self.quantile, "power": self.power}
        loss = loss_of(self.loss, names, REGRESSION_LOSSES)
        if hasattr(loss, "row_slopes"):
            msg = f"loss={self.loss!r} is one of several classes: use MiniBatchClassifier."
            raise InvalidParameter(msg)
        return loss

    def _targets(self, y: Any, name: str) -> NDArray[np.float64]:
        """Return targets as (n, k) float64."""
        y = check_array(
            y, ensure_2d=False, dtype=np.float64, ensure_all_finite=False, input_name=name
        )
        if y.ndim > 2:
            msg = f"{name} has {y.ndim} dimensions; it must have one, or two for several targets."
            raise InvalidData(msg)
        check_finite(y, name)
        columns: NDArray[np.float64] = np.ascontiguousarray(y.reshape(y.shape[0], -1))
        return columns

    def _score(self, problem: Problem, held_out: Dataset) -> Any:
        """Return the function from scores of the held-out rows to R²."""
        y, weight = held_out.targets(), held_out.weights()
        if held_out.n < 2:
            msg = "R² needs at least two validation rows: pass more, or a larger validation_fraction."
            raise InvalidData(msg)
        return lambda z: float(r2_score(y, inverse_link(problem.loss, z), sample_weight=weight))

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
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
            converted once. Sparse matrices are trained on as CSR.
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
        with callback_management_context(self):
            _check_parameters(self)
            loss = self._loss()
            X, y = _check_X(self, X, reset=True, y=y, multi_output=True, y_numeric=True)
            targets = self._targets(y, "Input y")
            weight = _weights(sample_weight, targets.shape[0])
            check_targets(loss, targets, weight)
            self._y_is_2d = np.ndim(y) == 2
            own = _validation_data(
                self, X_val, y_val, sample_weight_val, lambda y: self._targets(y, "Input y_val")
            )
            if own is not None:
                if own.y.shape[1] != targets.shape[1]:
                    msg = f"y has {targets.shape[1]} targets, but y_val has {own.y.shape[1]}."
                    raise InvalidData(msg)
                check_targets(loss, own.y, own.sample_weight)
            _fit(
                self,
                loss,
                targets.shape[1],
                Dataset(_rows(X), targets, weight),
                init=(coef_init, intercept_init),
                own=own,
                score=self._score,
                told=(X, y, sample_weight),
            )
        return self

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
        _check_parameters(self)
        loss = self._loss()
        first = not hasattr(self, "coef_")
        X, y = _check_X(self, X, reset=first, y=y, multi_output=True, y_numeric=True)
        targets = self._targets(y, "Input y")
        weight = _weights(sample_weight, targets.shape[0])
        check_targets(loss, targets, weight)
        if first:
            self.seed_ = _draw_seed(self.random_state)
            self._y_is_2d = np.ndim(y) == 2
        elif targets.shape[1] != np.size(self.intercept_):
            msg = f"y has {targets.shape[1]} targets; earlier calls had {np.size(self.intercept_)}."
            raise InvalidData(msg)
        _partial_fit(self, loss, targets.shape[1], Dataset(_rows(X), targets, weight))
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict the mean (the quantile, under 'pinball') for each row.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_rows, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_rows,), or (n_rows, n_outputs) as y was in `fit`
            Predictions.
        """
        z = inverse_link(self._loss(), _decision(self, X))
        return z if self._y_is_2d else z[:, 0]

    def sparsify(self) -> MiniBatchRegressor:
        """Make `coef_` a sparse matrix of shape (n_outputs, n_features).

        Returns
        -------
        self
        """
        return _sparsify(self)

    def densify(self) -> MiniBatchRegressor:
        """Make `coef_` an array again.

        Returns
        -------
        self
        """
        return _densify(self)


def _has_probabilities(est: Any) -> bool:
    """Tell whether the loss gives probabilities; the reason if not is the error's text."""
    loss = est._loss()
    if hasattr(loss, "probability") or hasattr(loss, "probabilities"):
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
    l1_ratio : float in [0, 1], default=0.15
        Share of l1 in 'elasticnet'; unused by the others.
    fit_intercept : bool, default=True
        Whether to fit intercepts. They are never penalised.
    max_iter : int >= 1, default=1000
        Most epochs. `partial_fit` runs one; there it is what schedules over the whole run
        ('cosine', 'one_cycle') take as its length.
    tol : float >= 0 or None, default=1e-3
        Least improvement, of the epoch's running objective or of the validation score, that
        counts. None runs `max_iter` epochs.
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
    learning_rate : str, float, callable or Schedule, default='constant'
        'constant', 'invscaling', 'optimal', 'adaptive', 'step', 'exponential', 'cosine',
        'one_cycle'; a float is a constant rate; a callable takes (epoch, step), both from 0.
    eta0 : float > 0 or None, default=None
        First (for 'one_cycle' the largest) rate of a schedule given by name; unused by
        'optimal' and by rates given as a float, a callable or an object. None takes
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
    batch_size : int >= 1, default=64
        Rows of a batch; above the number of rows it means all of them.
    optimizer : str or Optimizer, default='sgd'
        'sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam', 'ftrl', or an object.
    last_batch : {'scale', 'mean', 'drop'}, default='scale'
        The short batch at the end of an epoch is divided by `batch_size` (each row has the
        same say), or by its own size, or is left out.
    penalty_scale : {'unit'}, default='unit'
        The penalty is that of the weights as they are.
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
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: Any = True,
        verbose: int = 0,
        epsilon: float = 0.1,
        n_jobs: int | None = None,
        random_state: Any = 0,
        learning_rate: Any = "constant",
        eta0: float | None = None,
        power_t: float = 0.5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        warm_start: bool = False,
        average: bool | int = False,
        batch_size: int = 64,
        optimizer: Any = "sgd",
        last_batch: str = "scale",
        penalty_scale: str = "unit",
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
        self.last_batch = last_batch
        self.penalty_scale = penalty_scale
        self.callbacks = callbacks

    def __sklearn_tags__(self) -> Any:
        """Say that sparse X is welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

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
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unknown = self.classes_[codes] != y
        if unknown.any():
            row = int(np.argmax(unknown))
            msg = (
                f"{name} has the class {y[row]!r} at row {row}, which is not among the classes "
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
        weight = _weights(sample_weight, codes.shape[0])
        if self.class_weight is None:
            return weight
        if incremental and self.class_weight == "balanced":
            msg = (
                "class_weight='balanced' needs all rows at once, which partial_fit has not. Compute "
                "it with sklearn.utils.compute_class_weight and pass it as a dict."
            )
            raise InvalidParameter(msg)
        if not isinstance(self.class_weight, dict) and self.class_weight != "balanced":
            msg = f"class_weight={self.class_weight!r} must be a dict, 'balanced' or None."
            raise InvalidParameter(msg)
        each = compute_class_weight(
            self.class_weight, classes=self.classes_, y=self.classes_[codes]
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
        return (z[:, 0] > 0.0).astype(np.intp) if z.shape[1] == 1 else z.argmax(axis=1)

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
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
            converted once. Sparse matrices are trained on as CSR.
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
        with callback_management_context(self):
            _check_parameters(self)
            self._loss()
            X, y = _check_X(self, X, reset=True, y=y)
            check_classification_targets(y)
            self.classes_, codes = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                msg = (
                    f"y has one class, {self.classes_.tolist()!r}: a classifier needs at least two "
                    "classes."
                )
                raise InvalidData(msg)
            weight = self._weights(codes, sample_weight, incremental=False)
            if weight is not None and np.unique(codes[weight > 0.0]).size < 2:
                msg = "All rows with weight above 0 are of one class: at least two classes are needed."
                raise InvalidData(msg)
            loss, k = self._loss_of_classes()
            own = _validation_data(
                self,
                X_val,
                y_val,
                sample_weight_val,
                lambda y: self._targets(self._codes(y, "y_val"), k),
            )
            _fit(
                self,
                loss,
                k,
                Dataset(_rows(X), self._targets(codes, k), weight),
                init=(coef_init, intercept_init),
                own=own,
                score=self._score,
                told=(X, y, sample_weight),
            )
        return self

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
        _check_parameters(self)
        first = not hasattr(self, "coef_")
        if first and classes is None:
            msg = "classes must be given in the first call of partial_fit: all that will come."
            raise InvalidParameter(msg)
        X, y = _check_X(self, X, reset=first, y=y)
        check_classification_targets(y)
        if first:
            self.classes_ = np.unique(np.asarray(classes))
            self.seed_ = _draw_seed(self.random_state)
            if len(self.classes_) < 2:
                msg = f"classes={classes!r} has one class: a classifier needs at least two classes."
                raise InvalidData(msg)
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            msg = (
                f"classes={np.unique(np.asarray(classes)).tolist()!r} differs from that of the first "
                f"call, {self.classes_.tolist()!r}."
            )
            raise InvalidParameter(msg)
        codes = self._codes(y, "y")
        weight = self._weights(codes, sample_weight, incremental=True)
        loss, k = self._loss_of_classes()
        _partial_fit(self, loss, k, Dataset(_rows(X), self._targets(codes, k), weight))
        return self

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
        z = _decision(self, X)
        if z.shape[1] == 2 and len(self.classes_) == 2:
            return z[:, 1] - z[:, 0]
        return z[:, 0] if z.shape[1] == 1 else z

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
        winners = self._winners(_decision(self, X))
        labels: NDArray[Any] = self.classes_[winners]
        return labels

    @available_if(_has_probabilities)
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
        z = _decision(self, X)
        loss, k = self._loss_of_classes()
        if hasattr(loss, "probabilities"):
            return loss.probabilities(z)
        if k == 1:
            positive = loss.probability(z[:, 0])
            return np.column_stack([1.0 - positive, positive])
        each = loss.loss.probability(z)
        total = each.sum(axis=1, keepdims=True)
        nobody = total[:, 0] == 0.0  # no class claims the row: each is as likely
        each[nobody], total[nobody] = 1.0, float(k)
        shares: NDArray[np.float64] = each / total
        return shares

    @available_if(_has_probabilities)
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

    def sparsify(self) -> MiniBatchClassifier:
        """Make `coef_` a sparse matrix.

        Returns
        -------
        self
        """
        return _sparsify(self)

    def densify(self) -> MiniBatchClassifier:
        """Make `coef_` an array again.

        Returns
        -------
        self
        """
        return _densify(self)
