"""Estimators on prepared tables: fitted from a `PreparedTable`, they predict raw tables by name."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from gradstep.data.preparing.checks import check_range
from gradstep.errors import InvalidData, InvalidParameter
from gradstep.estimators import fitting
from gradstep.fit.components import loss_for

__all__ = ["fit_prepared", "is_prepared"]


def is_prepared(X: Any) -> bool:
    """Tell whether X is a prepared table, without importing what reads tables."""
    home = sys.modules.get("gradstep.data.preparing.prepared")
    return home is not None and isinstance(X, home.PreparedTable)


def fit_prepared(est: Any, prepared: Any, loss: Any, score: Any, **others: Any) -> None:
    """Fit an estimator to a prepared table.

    Parameters
    ----------
    est : MiniBatchRegressor or MiniBatchClassifier
        Gets its fitted attributes; coefficients are in the columns' own units.
    prepared : PreparedTable
        Rows, targets, weights, and the rows to validate on.
    loss : Loss
        The loss, of two classes if there are any.
    score : callable
        As in `fitting.fit`.
    **others
        The other arguments of `fit`, which must be None: the table has them.
    """
    from gradstep.fit.models import training_of
    from gradstep.fit.one_pass.streamed import NOT_KEPT, StreamedRows
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
    if isinstance(prepared.train, StreamedRows):
        raise InvalidParameter(NOT_KEPT)
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
    loss = loss_for(loss, target)
    check_range(loss, prepared.target, prepared.train, prepared.validation)
    est._y_is_2d = False
    est.n_features_in_ = prepared.encoding.n_features
    vars(est).pop("feature_names_in_", None)
    fitting.fit(
        est, loss, target.n_outputs, prepared.train, own=prepared.validation, score=score,
        stored_in=prepared.encoding.stored_in(),
    )  # fmt: skip
    params = np.concatenate([np.ravel(est.coef_), np.ravel(est.intercept_)])
    asked = prepared.meta["asked"]
    est._model = Model(
        prepared.encoding, target, loss, params, asked.get("offset"),
        exposure=asked.get("exposure"),
    )  # fmt: skip
    est._model.training = training_of(est._model, prepared)
    est.feature_names_ = prepared.encoding.feature_names()
    shape = est.coef_.shape
    est.coef_ = est._model.coef_.reshape(shape)
    est.intercept_ = est._model.intercept_
