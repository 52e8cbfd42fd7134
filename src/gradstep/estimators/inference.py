"""Standard errors of a fitted estimator's coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from gradstep.checks import check_choice
from gradstep.engine.state import TextbookState
from gradstep.errors import InvalidData, InvalidParameter
from gradstep.estimators.inputs import check_features, rows_of, sample_weight_of
from gradstep.estimators.targets import class_weights, codes_of, numbers_of
from gradstep.fit.plan import Settings, plan
from gradstep.inference.estimates import INTERCEPT, Inference
from gradstep.objective.classification import as_targets
from gradstep.rows.dataset import Dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.rows.layouts import Rows

__all__ = ["classes_as_in_fit", "inference_of", "numbers_as_in_fit", "random_scaling_of"]


def numbers_as_in_fit(est: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Any, ...]:
    """Return loss, rows, targets, weights and names of the outputs of a regressor."""
    X, y = check_features(est, X, reset=False, y=y, multi_output=True, y_numeric=True)
    targets = numbers_of(y, "Input y")
    weight = sample_weight_of(sample_weight, targets.shape[0])
    k = targets.shape[1]
    return est._loss(), rows_of(X), targets, weight, [None] if k == 1 else list(range(k))


def classes_as_in_fit(est: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Any, ...]:
    """Return loss, rows, targets, weights and names of the outputs of a classifier."""
    X, y = check_features(est, X, reset=False, y=y)
    codes = codes_of(y, est.classes_, "y")
    weight = sample_weight_of(sample_weight, codes.shape[0])
    weight = class_weights(est, codes, weight, incremental=False)
    loss, k = est._of_classes(est._loss())
    names = [None] if k == 1 else est.classes_.tolist()
    return loss, rows_of(X), as_targets(codes, k)[:, None], weight, names


def inference_of(
    est: Any,
    loss: Any,
    rows: Rows,
    targets: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    outputs: list[Any],
    *,
    covariance: str,
    clusters: Any,
) -> Inference:
    """Return how sure the coefficients of an estimator are, which was fitted to these rows.

    Parameters
    ----------
    est : estimator
        A fitted one.
    loss : Loss
        Its loss.
    rows, targets, weight
        What it was fitted to.
    outputs : list
        Names of the outputs; [None] for one.
    covariance : str
        The kind.
    clusters : array or None
        Of shape (n_rows,), or (n_rows, 2) for two ways.
    """
    from gradstep.engine.statistics import columns_of  # imports Numba
    from gradstep.inference.covariance import KINDS, covariance_of

    check_is_fitted(est)
    check_choice("inference", "covariance", covariance, KINDS)
    if hasattr(est, "_model"):
        msg = (
            "inference takes the arrays of fit; after a fit on a prepared table use "
            "TableRegressor or TableClassifier."
        )
        raise InvalidParameter(msg)
    data = Dataset(rows, targets, weight)
    codes = [] if clusters is None else _codes_of(clusters, targets.shape[0], weight)
    if codes and covariance == "model":
        msg = "covariance='model' supposes independent rows: leave it out, or clusters."
        raise InvalidParameter(msg)
    chosen = plan(Settings.of(est), loss, data, len(outputs))
    columns = columns_of(data) if chosen.columns is None else chosen.columns
    found = covariance_of(chosen.problem, data, _params(est), columns, covariance, codes)
    return Inference([*_features(est), INTERCEPT], outputs, found, loss)


def random_scaling_of(est: Any, *, rows_given: bool) -> Inference:
    """Return how sure the coefficients of averaged iterates are, by random scaling.

    Parameters
    ----------
    est : estimator
        A fitted one.
    rows_given : bool
        Whether rows were given, too, which change nothing.
    """
    from gradstep.inference.random_scaling import covariance_of_path

    if rows_given:
        msg = (
            "covariance='random_scaling' follows from the run alone: leave out the rows, weights "
            "and clusters, which would change nothing."
        )
        raise InvalidParameter(msg)
    problem, state = getattr(est, "_problem", None), getattr(est, "_state", None)
    if problem is None or not isinstance(state, TextbookState):
        msg = (
            "No random scaling: the last fit took no averaged steps. Use optimizer='sgd', "
            "average=True, learning_rate='invscaling' with power_t=0.51, and max_iter=1 or "
            "partial_fit; or inference(X, y)."
        )
        raise InvalidParameter(msg)
    found = covariance_of_path(problem, state)
    if not np.array_equal(_params(est), state.current()):
        msg = (
            "No random scaling: the coefficients are not the average of the last run's iterates. "
            "They were set, or are those of the best epoch: fit without validation rows."
        )
        raise InvalidParameter(msg)
    classes = getattr(est, "classes_", np.arange(problem.n_outputs)).tolist()
    outputs = [None] if problem.n_outputs == 1 else classes
    return Inference([*_features(est), INTERCEPT], outputs, found, problem.loss)


def _features(est: Any) -> list[str]:
    names = getattr(est, "feature_names_in_", None)
    return [f"x{j}" for j in range(est.n_features_in_)] if names is None else list(map(str, names))


def _params(est: Any) -> NDArray[np.float64]:
    """Return coefficients and intercepts as the engine has them, flat."""
    coef = est.coef_.toarray() if sp.issparse(est.coef_) else est.coef_
    return np.concatenate([np.ravel(coef), np.ravel(est.intercept_)]).astype(np.float64)


def _codes_of(
    clusters: Any, n: int, weight: NDArray[np.float64] | None
) -> list[NDArray[np.intp]]:  # fmt: skip
    """Return the cluster of each row that counts, from 0, each way."""
    ways = np.asarray(clusters)
    if ways.ndim == 1:
        ways = ways[:, None]
    if ways.ndim != 2 or ways.shape[1] > 2 or ways.shape[0] != n:
        msg = (
            f"clusters has the shape {np.shape(clusters)}; it must name the cluster of each of the "
            f"{n:,} rows, once or two ways: (n_rows,) or (n_rows, 2)."
        )
        raise InvalidData(msg)
    if weight is not None:  # a row of weight 0 is no row
        ways = ways[weight > 0.0]
    return [np.unique(way, return_inverse=True)[1] for way in ways.T]
