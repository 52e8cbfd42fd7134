"""From checked data to a fitted estimator: what the two estimators share.

The functions take the estimator, read its parameters and set its fitted attributes. What is run,
and how, is `gradstep.fit`'s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from gradstep.checks import check_finite
from gradstep.diagnostics.diagnostic import warn
from gradstep.diagnostics.of_fits import MAX_ITER, SEPARABLE, STALLED
from gradstep.engine.callbacks import ProgressBar
from gradstep.engine.records import Outcome
from gradstep.engine.state import TextbookState, Validation
from gradstep.errors import Diverged, InvalidCheckpoint, InvalidData, InvalidParameter
from gradstep.estimators.dask_arrays import as_given, on_cluster
from gradstep.estimators.fitted import in_shape
from gradstep.estimators.inputs import check_features, draw_seed, rows_of
from gradstep.estimators.plans import planned
from gradstep.estimators.sklearn_callbacks import Bridge
from gradstep.fit.identity import checkpoint_in, checkpointed
from gradstep.fit.plan import Settings, is_auto, plan
from gradstep.fit.run import run, start_of
from gradstep.fit.separable import is_unbounded
from gradstep.fit.unused import notes_of_unused
from gradstep.optim.schedules import Constant
from gradstep.optim.solvers import is_automatic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TrainState
    from gradstep.fit.run import RunResult
    from gradstep.optim.automatic import Rate
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["decision", "fit", "forget", "partial_fit"]

_RESTARTS = 12
_OF_NO_BIT = {"callbacks", "verbose", "warm_start"}  # or told apart by where a fit starts


def _held_out(est: Any, data: Dataset, own: Dataset | None) -> tuple[Dataset, Dataset | None]:
    """Return the rows to train on, and the validation rows: the user's own or a fraction."""
    if own is not None or not est.early_stopping:
        return data, own
    # takes longer to import than most fits do
    from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

    stratify = isinstance(est, ClassifierMixin)
    splitter = (StratifiedShuffleSplit if stratify else ShuffleSplit)(
        test_size=est.validation_fraction, random_state=est.seed_ % (1 << 32)
    )
    y = data.targets()[:, 0] if data.y.shape[1] == 1 else np.zeros(data.n)
    try:
        train, held_out = next(splitter.split(np.zeros((data.n, 1)), y))
    except ValueError as error:
        why = str(error).rstrip(".")
        msg = (
            f"early_stopping=True cannot hold out validation_fraction={est.validation_fraction!r} "
            f"of {data.n} rows: {why}. Pass X_val and y_val instead, or a larger fraction."
        )
        raise InvalidParameter(msg) from error
    return data.select(train), data.select(held_out)


def _given(
    est: Any, problem: Problem, coef_init: Any, intercept_init: Any
) -> list[NDArray[np.float64] | None]:
    """Return the weights and intercepts to start from: given ones, or a warm start's."""
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
    return given


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
    check_finite(array.reshape(1, -1), name, missing="Start from numbers, zeros for example.")
    return array


def _weights_as_attributes(
    est: Any, problem: Problem, params: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return coef_ and intercept_ in scikit-learn's shapes."""
    coef, intercept = problem.split(params)
    return {"coef_": in_shape(est, coef).copy(), "intercept_": intercept.copy()}


def _show(
    est: Any, result: RunResult, state: TrainState, rate: Rate | None, *, validated: bool
) -> None:
    """Set the fitted attributes."""
    for name, value in _weights_as_attributes(est, result.problem, result.params).items():
        setattr(est, name, value)
    _set_rate(est, result.problem, rate)
    est.t_, est.n_iter_ = state.steps, state.epoch
    est._outcome = result.outcome.name
    est.converged_ = result.outcome in (Outcome.OPTIMAL, Outcome.CONVERGED, Outcome.VALIDATION)
    est.history_ = result.records
    est.loss_curve_ = [record.loss for record in result.records]
    est.validation_scores_ = [record.validation for record in result.records] if validated else None
    _keep(est, result.problem, state, result.columns)


def _keep(est: Any, problem: Problem, state: TrainState, columns: Columns | None) -> None:
    """Keep what `partial_fit` goes on from; of averaged runs also what random scaling asks."""
    est._state, est._columns, est._shown = state, columns, None
    est._problem = problem if problem.average_from else None


def _set_rate(est: Any, problem: Problem, rate: Rate | None) -> None:
    """Keep the learning rate that was used, and that `partial_fit` goes on with."""
    eta0 = getattr(problem.schedule, "eta0", None) if rate is not None else None
    est._rate = None if rate is None else rate._replace(eta0=eta0 or rate.eta0)
    est.eta0_ = None if rate is None else est._rate.eta0


def _warn(est: Any, result: RunResult, data: Dataset, *, stops: bool) -> None:
    """Warn of classes that can be separated, and of a run that has not come to an end."""
    name, problem = type(est).__name__, result.problem
    if result.notes and getattr(problem.schedule, "settles", False):
        est.converged_ = False
        note = result.notes[-1].reworded(f"{name}: {result.notes[-1].text}")
    elif isinstance(est, ClassifierMixin) and is_unbounded(problem, data, result.params):
        est.converged_ = False
        note = SEPARABLE.note(
            f"The classes can be separated: without a penalty there is no optimum, and {name} "
            "stopped where more of the same would change little. Its probabilities are 0 and 1, "
            "nearly. Use penalty='l2' with alpha > 0."
        )
    elif result.outcome is Outcome.STALLED:
        note = STALLED.note(
            f"{name} may have ended short of the optimum: the objective stopped falling, but "
            "coordinate descent did not come to the end of the next step. Raise alpha, lower "
            "l1_ratio, centre the features, or leave out some that others nearly determine."
        )
    elif result.outcome is Outcome.MAX_EPOCHS and problem.tol is not None:
        if is_automatic(problem.optimizer) and not stops:
            why, mend = f"tol={est.tol} was reached", "Raise max_iter or tol."
        else:
            watched = "validation score" if stops else "objective"
            why = f"the {watched} stopped improving by tol={est.tol}"
            mend = (
                "Raise max_iter, or the learning rate, or set tol=None to always run max_iter "
                "epochs."
            )
        note = MAX_ITER.note(
            f"{name} ran all max_iter={problem.max_epochs} epochs before {why}. {mend}"
        )
    else:
        return
    warn(note, ConvergenceWarning)


def _resume(est: Any, problem: Problem) -> TextbookState:
    """Return the state that partial_fit goes on from."""
    earlier: TrainState | None = getattr(est, "_state", None)
    state: TextbookState
    if earlier is None or earlier.params.size != problem.size:
        state = problem.start()
    elif isinstance(earlier, TextbookState):
        state = earlier
    else:
        state = problem.start(*problem.split(earlier.current())).changed(epoch=earlier.epoch)
    if state.slots.shape[0] != problem.optimizer.n_slots():
        slots = np.zeros((problem.optimizer.n_slots(), problem.size))
        state = state.changed(slots=slots)
    if bool(problem.average_from) != bool(state.average.size):
        state = state.changed(average=np.zeros(problem.size if problem.average_from else 0))
    known: NDArray[np.float64] | None = None
    if hasattr(est, "coef_"):
        coef = est.coef_.toarray() if sp.issparse(est.coef_) else est.coef_
        shown = np.concatenate([np.ravel(coef), np.ravel(est.intercept_)], dtype=np.float64)
        known = vars(est).get("_shown")  # the state's
        if known is None or state is not earlier:
            known = state.current()
        if shown.size != known.size or not (shown == known).all():  # the user has set other weights
            counters = state.counters.copy()
            counters[2] = 0.0
            own = problem.start(*problem.split(shown))
            return state.changed(
                params=own.params, shift=own.shift, scale=own.scale, counters=counters,
                path=own.path,
            )  # fmt: skip
    return state.standardised(problem.standardisation, known)


def forget(est: Any) -> None:
    """Drop the weights of an earlier fit, unless the next is to start from them."""
    for name in ("_model", "_columns", "_rate_factor", "feature_names_"):
        vars(est).pop(name, None)
    if not est.warm_start:
        for name in ("coef_", "intercept_", "_state"):
            vars(est).pop(name, None)


def _asked(est: Any, loss: Any, stored_in: NDArray[np.float64] | None) -> dict[str, Any]:
    """Return the parameters that bits depend on, by name."""
    asked = {k: v for k, v in est.get_params(deep=False).items() if k not in _OF_NO_BIT}
    stored = None if stored_in is None else stored_in.tobytes()
    return asked | {"loss": loss, "stored_in": stored}


def fit(
    est: Any,
    loss: Any,
    n_outputs: int,
    data: Dataset,
    *,
    init: tuple[Any, Any] = (None, None),
    own: Dataset | None,
    score: Any,
    fit_arguments: tuple[Any, Any, Any] = (None, None, None),
    stored_in: NDArray[np.float64] | None = None,
    checked: bool = True,
) -> None:
    """Fit: the part after labels and targets are numbers.

    Unless X, the first of `fit_arguments`, has been `checked`, it may be not finite.
    """
    checkpoint = checkpoint_in(est.callbacks or ())
    est.seed_ = draw_seed(est.random_state)
    if checkpoint is not None:
        checkpoint.refuse_unfinished()
        if est.random_state is None:  # drawn by the run that is to go on
            est.seed_ = est.seed_ if checkpoint.seed is None else checkpoint.seed
    data, held_out = on_cluster(est, *_held_out(est, data, own), own)
    unchecked = None if checked else fit_arguments[0]
    data, chosen = planned(est, loss, data, n_outputs, stored_in, unchecked)
    at_constant = is_auto(est.learning_rate) or stored_in is not None
    given = _given(est, chosen.problem, *init)
    start = start_of(chosen.problem, data, *given, at_constant=at_constant)
    validation = None
    if held_out is not None:
        validation = Validation(held_out, score(loss, held_out), stops=bool(est.early_stopping))
    callbacks = [*(est.callbacks or ()), *([ProgressBar()] if est.verbose else ())]
    bridge = None
    if getattr(est, "_skl_callbacks", None):
        bridge = Bridge(est, *as_given(est, *fit_arguments), _weights_as_attributes)
        callbacks.append(bridge)
    asked = {} if checkpoint is None else _asked(est, loss, stored_in)
    with checkpointed(callbacks, asked, est.seed_, data, held_out, start.start):
        result = run(
            chosen, data, start, validation=validation, callbacks=callbacks,
            may_restart=is_auto(est.learning_rate),
        )  # fmt: skip
    if result.state is None:  # of a run that others followed; Ctrl-C goes through
        msg = (
            "The checkpoint is not one of an estimator's fit, which is a single run: another comes "
            "after it. Delete its folder to begin anew, or give Checkpoint another one."
        )
        raise InvalidCheckpoint(msg)
    _show(est, result, result.state, chosen.rate, validated=validation is not None)
    _warn(est, result, data, stops=validation is not None and validation.stops)
    for note in notes_of_unused(Settings.of(est), result.problem.optimizer, result.records):
        warn(note)
    if bridge is not None:
        bridge.close()


def _one_epoch(est: Any, problem: Problem, data: Dataset, state: TextbookState) -> TextbookState:
    from gradstep.engine.training import train  # imports Numba

    state, outcome = train(
        problem, data, state, callbacks=est.callbacks or (), until_epoch=state.epoch + 1,
        incremental=True,
    )  # fmt: skip
    est._outcome = outcome.name
    return state


def _restarted(
    est: Any, problem: Problem, data: Dataset, state: TextbookState
) -> tuple[Problem, TextbookState]:
    """Run an epoch at the automatic rate; again with a shorter step, if that diverges."""
    from gradstep.engine.restart import past_help  # imports Numba

    rate = problem.schedule.eta0  # type: ignore[attr-defined]
    factor = getattr(est, "_rate_factor", 1.0) if getattr(est, "_state", None) is not None else 1.0
    for attempt in range(_RESTARTS):
        if factor != 1.0:
            problem = replace(problem, schedule=Constant(rate * factor))
        try:
            after = _one_epoch(est, problem, data, state)
        except Diverged as error:
            if attempt == _RESTARTS - 1:
                raise past_help(problem, data, error) from error
            factor /= 4.0
        else:
            est._rate_factor = factor
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
            "False, and evaluate the model between calls."
        )
        raise InvalidParameter(msg)
    if checkpoint_in(est.callbacks or ()) is not None:
        msg = (
            "A Checkpoint has no meaning in partial_fit, whose rows are gone afterwards: pickle "
            "the estimator between calls."
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
        problem, state = _restarted(est, problem, data, state)
    else:
        state = _one_epoch(est, problem, data, state)
    shown = state.current()
    for name, value in _weights_as_attributes(est, problem, shown).items():
        setattr(est, name, value)
    _set_rate(est, problem, chosen.rate)
    _keep(est, problem, state, chosen.columns)
    est._shown = shown
    est.t_, est.n_iter_, est.converged_ = state.steps, 1, False


def decision(est: Any, X: Any) -> NDArray[np.float64]:
    """Return scores, shape (n, k)."""
    from gradstep.engine.evaluation import scores  # imports Numba

    check_is_fitted(est)
    if hasattr(est, "_model"):
        scores_of_table: NDArray[np.float64] = est._model.table_scores(X)
        return scores_of_table
    X = check_features(est, X, reset=False)
    coef = est.coef_.toarray() if sp.issparse(est.coef_) else np.asarray(est.coef_)
    coef = np.atleast_2d(coef)
    params = np.concatenate([coef.reshape(-1), np.ravel(est.intercept_)]).astype(np.float64)
    return scores(rows_of(X), params, coef.shape[0])
