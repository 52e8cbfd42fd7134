"""From checked data to a fitted estimator: what the two estimators share.

The functions take the estimator, read its parameters and set its fitted attributes.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils.validation import check_is_fitted

from gradstep.checks import check_finite
from gradstep.components import optimizer_of, penalty_of, schedule_of
from gradstep.data.dataset import mean_square_norm
from gradstep.engine.callbacks import History, ProgressBar
from gradstep.engine.state import Outcome, Problem, Validation
from gradstep.errors import InvalidData, InvalidParameter
from gradstep.estimators.inputs import check_features, draw_seed, rows_of
from gradstep.estimators.sklearn_callbacks import Bridge
from gradstep.objective.classification import OneVsRest
from gradstep.objective.losses import slope
from gradstep.objective.penalties import sets_zeros
from gradstep.optim.automatic import Rate, stable_rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.data.dataset import Dataset
    from gradstep.engine.state import TrainState

__all__ = ["decision", "densify", "fit", "forget", "partial_fit", "sparsify"]


def _rate(est: Any, loss: Any, optimizer: Any, data: Dataset) -> Rate | None:
    """Return the rate that was given or one that is stable on this data; None if unused."""
    if not _uses_eta0(est):
        return None
    if est.eta0 is not None:
        return Rate(float(est.eta0), 1.0)
    mean = float(np.average(data.y.mean(axis=1), weights=data.sample_weight))
    return stable_rate(optimizer, loss, mean_square_norm(data), mean)


def _uses_eta0(est: Any) -> bool:
    """Tell whether the learning rate is a schedule by name that starts from eta0."""
    return isinstance(est.learning_rate, str) and est.learning_rate != "optimal"


def _schedule(est: Any, loss: Any, eta0: float | None) -> Any:
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


def _problem(
    est: Any, loss: Any, data: Dataset, n_outputs: int, rate: Rate | None = None
) -> Problem:
    """Put the fixed part of a fit together."""
    optimizer = optimizer_of(est.optimizer)
    rate = rate or _rate(est, loss, optimizer, data)
    est._rate, est.eta0_ = rate, rate.eta0 if rate else None
    shuffle: Any = est.shuffle
    if isinstance(shuffle, (bool, np.bool_)):
        shuffle = "exact" if shuffle else "none"
    return Problem(
        loss=loss,
        penalty=penalty_of(est.penalty, {"alpha": est.alpha, "l1_ratio": est.l1_ratio}),
        optimizer=optimizer,
        schedule=_schedule(est, loss, est.eta0_),
        n_features=data.rows.n_features,
        n_outputs=n_outputs,
        fit_intercept=bool(est.fit_intercept),
        intercept_factor=rate.intercept_factor if rate else 1.0,
        batch_size=int(est.batch_size),
        last_batch=est.last_batch,
        shuffle=shuffle,
        seed=est.seed_,
        average_from=int(est.average),
        max_epochs=int(est.max_iter),
        tol=est.tol,
        patience=int(est.n_iter_no_change),
    )


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
            msg = (
                f"early_stopping=True left only rows of weight 0 for {name}: pass X_val and y_val."
            )
            raise InvalidData(msg)
    return rest, Validation(validation, score(problem, validation))


def _start(est: Any, problem: Problem, coef_init: Any, intercept_init: Any) -> TrainState:
    """Return the first state: zeros, the given weights, or a warm start's."""
    k, p = problem.n_outputs, problem.n_features
    warm = est.warm_start and hasattr(est, "coef_")
    shapes: dict[str, list[tuple[int, ...]]] = {
        "coef_": [(k, p)] if k > 1 else [(p,), (1, p)],
        "intercept_": [(k,)] if k > 1 else [(1,), ()],
    }
    given: list[NDArray[np.float64] | None] = []
    for earlier, init in (("coef_", coef_init), ("intercept_", intercept_init)):
        if init is None and warm:
            name = f"{earlier} of the fit before (warm_start=True)"
            given.append(_initial(est, name, getattr(est, earlier), shapes[earlier]))
        else:
            name = f"{earlier}init"
            given.append(None if init is None else _initial(est, name, init, shapes[earlier]))
    state = problem.start(*given)
    if not problem.fit_intercept:
        problem.split(state.params)[1][:] = 0.0
    return state


def _initial(est: Any, name: str, value: Any, shapes: list[tuple[int, ...]]) -> NDArray[np.float64]:
    """Return weights to start from as an array of one of the shapes."""
    try:
        array = np.asarray(value.toarray() if sp.issparse(value) else value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{name} must be numbers: {error}."
        raise InvalidData(msg) from error
    if array.shape not in shapes:
        msg = (
            f"{name} has shape {array.shape}; {type(est).__name__} needs {shapes[0]} for this data."
        )
        raise InvalidData(msg)
    check_finite(array.reshape(1, -1), name)
    return array


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
    if not incremental and state.counters[2] > 0 and sets_zeros(problem.penalty):
        params = polish(problem, data, params, history.records[-1].learning_rate)
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
                stacklevel=_callers_level(),
            )
    return state


def _callers_level() -> int:
    """Return the stack level of the line that called fit, for a warning from our caller."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(("gradstep.", "sklearn.callback")):
            break
        level, frame = level + 1, frame.f_back
    return level


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


def forget(est: Any) -> None:
    """Drop the weights of an earlier fit, unless the next is to start from them."""
    for name in ("_model", "feature_names_"):
        vars(est).pop(name, None)
    if not est.warm_start:
        for name in ("coef_", "intercept_", "_state"):
            vars(est).pop(name, None)


def fit(
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
    est.seed_ = draw_seed(est.random_state)
    problem = _problem(est, loss, data, n_outputs)
    state = _start(est, problem, *init)
    data, validation = _held_out(est, problem, data, own, score)
    bridge = (
        Bridge(est, *told, _weights_as_attributes) if getattr(est, "_skl_callbacks", None) else None
    )
    est._state = _run(est, problem, data, state, validation, bridge=bridge)
    if bridge is not None:
        bridge.close()


def partial_fit(est: Any, loss: Any, n_outputs: int, data: Dataset) -> None:
    """Run one epoch over a part of a stream; its first part decides a rate that is not given."""
    if hasattr(est, "_model"):
        msg = "partial_fit cannot go on after a fit on a prepared table. Fit anew, or on arrays."
        raise InvalidParameter(msg)
    if est.early_stopping:
        msg = (
            "early_stopping=True has no meaning in partial_fit, which runs one epoch. Set it to "
            "False, and judge the model between calls."
        )
        raise InvalidParameter(msg)
    earlier = getattr(est, "_state", None) is not None and est.eta0 is None and est._rate
    problem = _problem(est, loss, data, n_outputs, earlier or None)
    if problem.shuffle == "blocks":  # a copy of the part would serve one epoch only
        problem = replace(problem, shuffle="exact")
    est._state = _run(est, problem, data, _resume(est, problem), None, incremental=True)


def decision(est: Any, X: Any) -> NDArray[np.float64]:
    """Return scores, shape (n, k)."""
    from gradstep.engine.evaluation import scores  # imports Numba

    check_is_fitted(est)
    if hasattr(est, "_model"):
        from gradstep.estimators.tables import table_scores  # imports Polars

        return table_scores(est, X)
    X = check_features(est, X, reset=False)
    coef = est.coef_.toarray() if sp.issparse(est.coef_) else np.asarray(est.coef_)
    coef = np.atleast_2d(coef)
    params = np.concatenate([coef.reshape(-1), np.ravel(est.intercept_)]).astype(np.float64)
    return scores(rows_of(X), params, coef.shape[0])


def sparsify(est: Any) -> None:
    """Make `coef_` a sparse matrix."""
    check_is_fitted(est)
    if not sp.issparse(est.coef_):
        est.coef_ = sp.csr_matrix(np.atleast_2d(est.coef_))


def densify(est: Any) -> None:
    """Make `coef_` an array in scikit-learn's shape."""
    check_is_fitted(est)
    if sp.issparse(est.coef_):
        dense = est.coef_.toarray()
        flat = isinstance(est, RegressorMixin) and dense.shape[0] == 1 and not est._y_is_2d
        est.coef_ = dense[0] if flat else dense
