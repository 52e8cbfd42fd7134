"""Standard errors of a fitted estimator's coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gradstep.checks import check_choice
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

__all__ = ["classes_as_in_fit", "inference_of", "numbers_as_in_fit"]


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
    loss, k = est._loss_of_classes()
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
    coef = np.atleast_2d(est.coef_.toarray() if hasattr(est.coef_, "toarray") else est.coef_)
    params = np.concatenate([coef.reshape(-1), np.ravel(est.intercept_)]).astype(np.float64)
    found = covariance_of(chosen.problem, data, params, columns, covariance, codes)
    names = getattr(est, "feature_names_in_", None)
    features = [f"x{j}" for j in range(coef.shape[1])] if names is None else list(map(str, names))
    return Inference([*features, INTERCEPT], outputs, found, loss)


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
