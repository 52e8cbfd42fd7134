"""Arrays that need no conversion pass scikit-learn's checks by; all else is told as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.multiclass import check_classification_targets

from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.errors import InvalidData
from gradstep.estimators import inputs
from gradstep.estimators.targets import check_kind_of_classes

_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=(60, 3))
_Y = _X @ [1.0, -2.0, 0.5] + _RNG.normal(size=60)


@pytest.mark.parametrize(
    "given",
    [_X.tolist(), np.asfortranarray(_X), _X.astype(">f8"), pd.DataFrame(_X), _X[::1][:, :]],
    ids=["list", "Fortran", "big-endian", "frame", "view"],
)
def test_the_same_model_however_given(given: Any) -> None:
    plain = MiniBatchRegressor().fit(_X, _Y)
    other = MiniBatchRegressor().fit(given, _Y.tolist())
    np.testing.assert_array_equal(plain.coef_, other.coef_)
    assert plain.n_features_in_ == other.n_features_in_ == 3
    np.testing.assert_array_equal(plain.predict(_X), other.predict(given))


def test_plain_arrays_are_not_checked_by_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "validate_data", None)
    est = MiniBatchRegressor().fit(_X, _Y)
    MiniBatchClassifier().fit(_X.astype(np.float32), np.where(_Y > 0.0, "yes", "no"))
    est.partial_fit(_X[:1], _Y[:1]).predict(_X)


def test_what_is_wrong_is_said() -> None:
    est = MiniBatchRegressor().fit(_X, _Y)
    with pytest.raises(ValueError, match="expecting 3 features"):
        est.predict(_X[:, :2].copy())
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        est.fit(_X, _Y[:-1])
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        est.fit(_X[:0], _Y[:0])
    with pytest.raises(InvalidData, match="NaN at row 2, column 1"):
        est.fit(np.where(np.arange(180).reshape(60, 3) == 7, np.nan, _X), _Y)
    with pytest.raises(InvalidData, match="Input y contains NaN"):
        est.fit(_X, np.where(np.arange(60) == 5, np.nan, _Y))
    with pytest.raises(ValueError, match="Complex data not supported"):
        est.fit(_X, _Y + 1j)


def test_names_of_an_earlier_frame_are_told_of_and_dropped() -> None:
    est = MiniBatchRegressor().fit(pd.DataFrame(_X, columns=["a", "b", "c"]), _Y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        est.predict(_X)
    assert not hasattr(est.fit(_X, _Y), "feature_names_in_")


def test_labels_that_may_be_numbers_are_looked_at() -> None:
    with pytest.raises(ValueError, match="Unknown label type"):
        MiniBatchClassifier().fit(_X, _Y)
    with pytest.warns(UserWarning, match="number of unique classes is greater than 50%"):
        MiniBatchClassifier(max_iter=1, tol=None).fit(_X, np.arange(60))
    whole = MiniBatchClassifier().fit(_X, (_Y > 0.0).astype(float))
    np.testing.assert_array_equal(whole.coef_, MiniBatchClassifier().fit(_X, _Y > 0.0).coef_)


_SIGNS = np.where(_Y > 0.0, 1.0, -1.0)


@pytest.mark.parametrize(
    "y, are_labels",
    [
        (_SIGNS, True), (_SIGNS.astype(np.float32), True), (1e9 * _SIGNS, True),
        (1e12 * _SIGNS, True), (0.5 * _SIGNS, False), (1e12 * _SIGNS + 0.5, False),
        (np.where(np.arange(60) == 5, np.nan, _SIGNS), False),
        (np.where(np.arange(60) == 5, np.inf, _SIGNS), False),
    ],
)  # fmt: skip
def test_floating_point_labels_are_those_of_scikit_learn(y: Any, are_labels: bool) -> None:
    def refused(check: Any) -> bool:
        try:
            with np.errstate(invalid="ignore"):  # scikit-learn's casts NaN to integers
                check(y)
        except ValueError:
            return True
        return False

    assert refused(check_classification_targets) == (not are_labels)
    assert refused(check_kind_of_classes) == (not are_labels)
    if are_labels:
        np.testing.assert_array_equal(MiniBatchClassifier().fit(_X, y).classes_, np.unique(y))
