"""Estimators on prepared tables: fitted from a `PreparedTable`, they predict raw tables by name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin

from gradstep.checks import check_prepared
from gradstep.errors import InvalidData, InvalidParameter
from gradstep.estimators import fitting

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fit_prepared", "is_prepared", "table_scores"]


def is_prepared(X: Any) -> bool:
    """Tell whether X is a prepared table, without importing what reads tables."""
    home = sys.modules.get("gradstep.data.preparing.prepared")
    return home is not None and isinstance(X, home.PreparedTable)


def fit_prepared(est: Any, prepared: Any, loss_of: Any, score: Any, **others: Any) -> None:
    """Fit an estimator to a prepared table.

    Parameters
    ----------
    est : MiniBatchRegressor or MiniBatchClassifier
        Gets its fitted attributes; coefficients are in the columns' own units.
    prepared : PreparedTable
        Rows, targets, weights, and the rows to validate on.
    loss_of : callable
        Returns the loss, once `classes_` is known.
    score : callable
        As in `fitting.fit`.
    **others
        The other arguments of `fit`, which must be None: the table has them.
    """
    from gradstep.model.model import Model

    given = [name for name, value in others.items() if value is not None]
    if est.warm_start:
        given.append("warm_start")
    if given:
        msg = (
            f"{', '.join(given)} cannot be used with a PreparedTable, which has targets, weights "
            "and validation rows of its own, and starts from the best constant."
        )
        raise InvalidParameter(msg)
    target = prepared.target
    classifies = isinstance(est, ClassifierMixin)
    if classifies != (target.classes is not None):
        other = "MiniBatchRegressor" if classifies else "MiniBatchClassifier"
        msg = (
            f"The target {target.column!r} was prepared for {target.task}: use {other}, or prepare "
            "the table with another task."
        )
        raise InvalidData(msg)
    if est.early_stopping and prepared.validation is None:
        msg = "early_stopping=True needs rows held out: prepare the table with validation=0.1."
        raise InvalidParameter(msg)
    if target.classes is not None:
        est.classes_ = np.array(target.classes)
    loss = loss_of()
    check_prepared(loss, prepared)
    est._y_is_2d = False
    est.n_features_in_ = prepared.encoding.n_features
    vars(est).pop("feature_names_in_", None)
    from gradstep.engine.baseline import best_constant, without_features  # imports Numba

    data, k = prepared.train, target.n_outputs
    constant = best_constant(loss, without_features(data.sample()), k)
    start = constant if est.fit_intercept else None
    fitting.fit(
        est, loss, k, data, init=(None, start), own=prepared.validation, score=score,
        told=(None, None, None), stored_in=prepared.encoding.stored_in(),
    )  # fmt: skip
    params = np.concatenate([np.ravel(est.coef_), np.ravel(est.intercept_)])
    offset = prepared.meta["asked"].get("offset")
    est._model = Model(prepared.encoding, target, loss, params, offset)
    est.feature_names_ = prepared.encoding.feature_names()
    shape = est.coef_.shape
    est.coef_ = est._model.coef_.reshape(shape)
    est.intercept_ = est._model.intercept_


def table_scores(est: Any, table: Any) -> NDArray[np.float64]:
    """Return the scores of a raw table's rows, shape (n, k)."""
    model = est._model
    parts = [model.scores(frame) for frame in model.chunks(table)]
    return np.concatenate([np.empty((0, model.n_outputs)), *parts])
