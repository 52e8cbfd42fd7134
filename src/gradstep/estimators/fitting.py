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
from gradstep.engine.callbacks import History, ProgressBar
from gradstep.engine.state import Outcome, Validation
from gradstep.errors import Diverged, InvalidData, InvalidParameter
from gradstep.estimators.inputs import check_features, draw_seed, rows_of
from gradstep.estimators.sklearn_callbacks import Bridge
from gradstep.fit.plan import Settings, is_auto, plan
from gradstep.fit.separable import is_unbounded
from gradstep.objective.penalties import sets_zeros
from gradstep.optim.schedules import Constant
from gradstep.optim.solvers import works_in_rounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TrainState
    from gradstep.fit.plan import Plan
    from gradstep.optim.automatic import Rate
    from gradstep.rows.dataset import Dataset

__all__ = ["decision", "densify", "fit", "forget", "partial_fit", "sparsify"]

_BRAKES = 12


def _held_out(est: Any, data: Dataset, own: Dataset | None) -> tuple[Dataset, Dataset | None]:
    """Return the rows to train on, and the validation rows: the user's own or a fraction."""
    if own is not None or not est.early_stopping:
        return data, own
    stratify = isinstance(est, ClassifierMixin)
    splitter = (StratifiedShuffleSplit if stratify else ShuffleSplit)(
        test_size=est.validation_fraction, random_state=est.seed_ % (1 << 32)
    )
    y = data.targets()[:, 0] if data.y.shape[1] == 1 else np.zeros(data.n)
    try:
        train, held_out = next(splitter.split(np.zeros((data.n, 1)), y))
    except ValueError as error:
        msg = (
            f"early_stopping=True cannot hold out validation_fraction={est.validation_fraction!r} "
            f"of {data.n} rows: {error} Pass X_val and y_val instead, or a larger fraction."
        )
        raise InvalidParameter(msg) from error
    return data.select(train), data.select(held_out)


def _start(
    est: Any, problem: Problem, data: Dataset, coef_init: Any, intercept_init: Any
) -> TrainState:
    """Return the first state: the given weights, a warm start's, or what needs no data.

    That is zeros, as in the textbook; with the automatic rate, the best constant prediction.
    """
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
    own = any(g is not None for g in given)
    if is_auto(est.learning_rate) and problem.fit_intercept and not own:
        from gradstep.engine.baseline import best_constant  # imports Numba

        given[1] = best_constant(problem.loss, data.sample(), k)
    if not problem.fit_intercept and given[1] is not None:
        given[1] = np.zeros(k)
    state = problem.start(*given)
    if works_in_rounds(problem.optimizer) and own:
        return _no_worse_than_constant(problem, data, state)
    return state


def _no_worse_than_constant(problem: Problem, data: Dataset, state: TrainState) -> TrainState:
    """Return a given start, or the best constant's if that has the lower objective.

    Far out a loss may have no curvature to tell the way by; the optimum is the same.
    """
    from gradstep.engine.baseline import best_constant  # these import Numba
    from gradstep.engine.evaluation import mean_loss

    k, params = problem.n_outputs, state.current()
    if not params[:-k].any() and not problem.fit_intercept:
        return state
    constant = best_constant(problem.loss, data.sample(), k) if problem.fit_intercept else None
    other = problem.start(None, constant)
    if np.array_equal(other.current(), params):
        return state
    with np.errstate(all="ignore"):
        of_constant, of_start = (
            mean_loss(problem.loss, data, at, k) + problem.penalty_of(at)
            for at in (other.current(), params)
        )
    return state if of_start <= of_constant else other


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
    chosen: Plan,
    data: Dataset,
    state: TrainState,
    validation: Validation | None,
    *,
    bridge: Any = None,
) -> TrainState:
    """Train to the end, and set the fitted attributes."""
    from gradstep.engine.baseline import Baseline  # these import Numba
    from gradstep.engine.running import run
    from gradstep.engine.textbook.proximal_finish import polish

    problem = chosen.problem
    history = History()
    callbacks = [history, *(est.callbacks or ())]
    if est.verbose:
        callbacks.append(ProgressBar())
    if bridge is not None:
        callbacks.append(bridge)
    stops = validation is not None and validation.stops
    if not works_in_rounds(problem.optimizer) and not stops and problem.tol is not None:
        baseline = Baseline(problem.loss, data, problem.n_outputs, state.start)
        problem = replace(problem, tol=problem.tol * baseline.unit)
    ran = run(
        problem, data, state, columns=chosen.columns, validation=validation, callbacks=callbacks,
        brake=is_auto(est.learning_rate),
    )  # fmt: skip
    problem, state, outcome = ran.problem, ran.state, ran.outcome
    params = state.current()
    if validation is not None and state.best_params is not None:
        params = state.best_params
    if state.counters[2] > 0 and sets_zeros(problem.penalty):
        params = polish(problem, data, params, history.records[-1].learning_rate)
    for name, value in _weights_as_attributes(est, problem, params).items():
        setattr(est, name, value)
    _set_rate(est, ran.problem, chosen.rate)
    est.t_ = state.steps
    est.outcome_ = outcome
    est.converged_ = outcome in {Outcome.OPTIMAL, Outcome.CONVERGED, Outcome.VALIDATION}
    est.n_iter_ = state.epoch
    est.history_ = history.records
    est.loss_curve_ = [record.loss for record in history.records]
    est.validation_scores_ = (
        None if validation is None else [record.validation for record in history.records]
    )
    _warn(est, problem, data, params, outcome, stops=stops)
    if ran.notes and getattr(problem.schedule, "settles", False):
        est.converged_ = False
        warnings.warn(
            f"{type(est).__name__}: {ran.notes[-1]}",
            ConvergenceWarning,
            stacklevel=_callers_level(),
        )
    return state


def _set_rate(est: Any, problem: Problem, rate: Rate | None) -> None:
    """Keep the learning rate that was used, and that `partial_fit` goes on with."""
    eta0 = getattr(problem.schedule, "eta0", None) if rate is not None else None
    est._rate = None if rate is None else rate._replace(eta0=eta0 or rate.eta0)
    est.eta0_ = None if rate is None else est._rate.eta0


def _warn(
    est: Any, problem: Problem, data: Dataset, params: NDArray[np.float64], outcome: Outcome,
    *, stops: bool,
) -> None:  # fmt: skip
    """Warn of classes that can be separated, and of a run that has not come to an end."""
    name = type(est).__name__
    if isinstance(est, ClassifierMixin) and is_unbounded(problem, data, params):
        est.converged_ = False
        warnings.warn(
            f"The classes can be separated: without a penalty there is no optimum, and {name} "
            "stopped where more of the same would change little. Its probabilities are 0 and 1, "
            "nearly. Use penalty='l2' with alpha > 0.",
            ConvergenceWarning,
            stacklevel=_callers_level(),
        )
    elif outcome is Outcome.MAX_EPOCHS and problem.tol is not None:
        if works_in_rounds(problem.optimizer) and not stops:
            why, mend = f"tol={est.tol} was reached", "Raise max_iter or tol"
        else:
            watched = "validation score" if stops else "objective"
            why = f"the {watched} stopped improving by tol={est.tol}"
            mend = "Raise max_iter, or the learning rate"
        warnings.warn(
            f"{name} ran all max_iter={problem.max_epochs} epochs before {why}. {mend}, or set "
            "tol=None to always run max_iter epochs.",
            ConvergenceWarning,
            stacklevel=_callers_level(),
        )


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
        shown = np.concatenate([np.ravel(coef), np.ravel(est.intercept_)]).astype(np.float64)
        if not np.array_equal(shown, state.current()):  # the user has set other weights
            counters = state.counters.copy()
            counters[2] = 0.0
            own = problem.start(*problem.split(shown))
            return replace(
                state, params=own.params, shift=own.shift, scale=own.scale, counters=counters
            )
    return state.seen_through(problem.lens)


def forget(est: Any) -> None:
    """Drop the weights of an earlier fit, unless the next is to start from them."""
    for name in ("_model", "_columns", "_brake", "feature_names_"):
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
    stored_in: NDArray[np.float64] | None = None,
) -> None:
    """Fit: the part after labels and targets are numbers."""
    est.seed_ = draw_seed(est.random_state)
    data, held_out = _held_out(est, data, own)
    chosen = plan(Settings.of(est), loss, data, n_outputs, stored_in=stored_in)
    problem = chosen.problem
    state = _start(est, problem, data, *init)
    validation = None
    if held_out is not None:
        stops = bool(est.early_stopping)
        validation = Validation(held_out, score(problem, held_out), stops=stops)
    bridge = (
        Bridge(est, *told, _weights_as_attributes) if getattr(est, "_skl_callbacks", None) else None
    )
    est._state = _run(est, chosen, data, state, validation, bridge=bridge)
    est._columns = chosen.columns
    if bridge is not None:
        bridge.close()


def _one_epoch(
    est: Any, problem: Problem, data: Dataset, state: TrainState
) -> tuple[TrainState, Outcome]:
    from gradstep.engine.training import train  # imports Numba

    callbacks = [History(), *(est.callbacks or ())]
    return train(
        problem, data, state, callbacks=callbacks, until_epoch=state.epoch + 1, incremental=True
    )


def _braked(
    est: Any, problem: Problem, data: Dataset, state: TrainState
) -> tuple[Problem, TrainState]:
    """Run an epoch at the automatic rate; again with a shorter step, if that diverges."""
    from gradstep.engine.running import past_help  # imports Numba

    rate = problem.schedule.eta0  # type: ignore[attr-defined]
    brake = getattr(est, "_brake", 1.0) if getattr(est, "_state", None) is not None else 1.0
    for attempt in range(_BRAKES):
        problem = replace(problem, schedule=Constant(rate * brake))
        try:
            after, est.outcome_ = _one_epoch(est, problem, data, state)
        except Diverged as error:
            if attempt == _BRAKES - 1:
                raise past_help(problem, data, error) from error
            brake /= 4.0
        else:
            est._brake = brake
            return problem, after
    raise AssertionError


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
    goes_on = getattr(est, "_state", None) is not None
    rate = est._rate if goes_on and est.eta0 is None and not is_auto(est.learning_rate) else None
    earlier = getattr(est, "_columns", None) if goes_on else None
    chosen = plan(
        Settings.of(est),
        loss,
        data,
        n_outputs,
        incremental=True,
        earlier=earlier,
        rate=rate or None,
    )
    problem = chosen.problem
    state = _resume(est, problem)
    if is_auto(est.learning_rate):
        problem, state = _braked(est, problem, data, state)
    else:
        state, est.outcome_ = _one_epoch(est, problem, data, state)
    for name, value in _weights_as_attributes(est, problem, state.current()).items():
        setattr(est, name, value)
    _set_rate(est, problem, chosen.rate)
    est._state, est._columns = state, chosen.columns
    est.t_, est.n_iter_, est.converged_ = state.steps, 1, False


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
