"""Features, weights and starts that are refused: what, where, why, and what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from gradstep import InvalidData, InvalidParameter
from tests.estimators.bad_input import (
    COUNTS,
    INF,
    LABELS,
    NAN,
    ONES,
    Case,
    X,
    Y,
    cases,
    check,
    classifier,
    frame,
    put,
    regressor,
)

FEATURES = [
    *(
        Case(
            f"numbers of {size}, {form.__name__}",
            lambda size=size, form=form: regressor().fit(form(size * X), Y),
            InvalidData,
            ["column .* of X|Column .* of X", word, "floating-point numbers", "a power of ten"],
        )
        for size, word in ((1e-162, "multiply"), (1e-310, "multiply"), (1e170, "divide"))
        for form in (np.asarray, sp.csr_matrix)
    ),
    Case(
        "NaN in X",
        lambda: regressor().fit(put(X, (7, 2), NAN), Y),
        InvalidData,
        ["X contains NaN", "row 7", "column 2", "Impute .*drop those rows"],
    ),
    Case(
        "several NaN in X",
        lambda: regressor().fit(put(X, ([3, 3, 9], [1, 2, 0]), NAN), Y),
        InvalidData,
        ["row 3, column 1", "3 values in all"],
    ),
    Case(
        "inf in X",
        lambda: regressor().fit(put(X, (0, 0), -INF), Y),
        InvalidData,
        ["X contains infinity", "row 0, column 0", "Clip or drop"],
    ),
    Case(
        "NaN in float32 X",
        lambda: regressor().fit(put(X, (7, 2), NAN).astype(np.float32), Y),
        InvalidData,
        ["X contains NaN", "row 7, column 2"],
    ),
    Case(
        "NaN in sparse X",
        lambda: regressor().fit(sp.csr_array(np.diag([1.0, 2.0, NAN])), Y[:3]),
        InvalidData,
        ["X contains NaN", "row 2, column 2"],
    ),
    Case(
        "inf in sparse X of another layout",
        lambda: regressor().fit(sp.csc_array(put(np.zeros((20, 3)), (7, 1), INF)), Y),
        InvalidData,
        ["X contains infinity", "row 7, column 1"],
    ),
    Case(
        "NaN in a frame",
        lambda: regressor().fit(frame(put(X, (7, 2), NAN)), Y),
        InvalidData,
        ["X contains NaN", "row 7, column 2", "'weight'"],
    ),
    Case(
        "missing value in a nullable column",
        lambda: regressor().fit(frame(X).assign(age=pd.array([1, None] * 10, dtype="Int64")), Y),
        InvalidData,
        ["X contains NaN", "row 1, column 0", "'age'"],
    ),
    Case(
        "NaN in partial_fit",
        lambda: regressor().partial_fit(put(X, (7, 2), NAN), Y),
        InvalidData,
        ["X contains NaN", "row 7, column 2"],
    ),
    Case(
        "NaN at prediction",
        lambda: regressor().fit(X, Y).predict(put(X, (7, 2), NAN)),
        InvalidData,
        ["X contains NaN", "row 7, column 2"],
    ),
    Case("X of one dimension", lambda: regressor().fit(Y, Y), ValueError, ["2D array", "reshape"]),
    Case(
        "X of three dimensions",
        lambda: regressor().fit(X[:, :, None], Y),
        ValueError,
        ["dim 3", "<= 2"],
    ),
    Case("no rows", lambda: regressor().fit(X[:0], Y[:0]), ValueError, [r"0 sample\(s\)"]),
    Case("no features", lambda: regressor().fit(X[:, :0], Y), ValueError, [r"0 feature\(s\)"]),
    Case("complex X", lambda: regressor().fit(X + 1j, Y), ValueError, ["Complex data"]),
    Case(
        "text in X",
        lambda: regressor().fit(np.array([["1.0", "old"]] * 20, dtype=object), Y),
        ValueError,
        ["could not convert", "'old'"],
    ),
    Case(
        "fewer features at prediction",
        lambda: regressor().fit(X, Y).predict(X[:, :2]),
        ValueError,
        ["X has 2 features", "MiniBatchRegressor is expecting 3"],
    ),
    Case(
        "more features in a later part",
        lambda: regressor().partial_fit(X, Y).partial_fit(np.hstack([X, X]), Y),
        ValueError,
        ["X has 6 features", "expecting 3"],
    ),
    Case(
        "other names at prediction",
        lambda: regressor().fit(frame(X), Y).predict(frame(X).rename(columns={"age": "years"})),
        ValueError,
        ["feature names should match", "unseen at fit time", "years", "now missing", "age"],
    ),
]

WEIGHTS = [
    Case(
        "too few weights",
        lambda: regressor().fit(X, Y, sample_weight=ONES[:3]),
        InvalidData,
        ["sample_weight", r"\(3,\)", r"must .*\(20,\)"],
    ),
    Case(
        "weights of two dimensions",
        lambda: regressor().fit(X, Y, sample_weight=ONES[:, None]),
        InvalidData,
        ["sample_weight", r"\(20, 1\)", r"\(20,\)"],
    ),
    Case(
        "text as weights",
        lambda: regressor().fit(X, Y, sample_weight=["heavy"] * 20),
        InvalidData,
        ["sample_weight", "numbers", "'heavy'"],
    ),
    Case(
        "NaN among the weights",
        lambda: regressor().fit(X, Y, sample_weight=put(ONES, 5, NAN)),
        InvalidData,
        ["sample_weight contains NaN", "row 5"],
    ),
    Case(
        "inf among the weights",
        lambda: regressor().fit(X, Y, sample_weight=put(ONES, 5, INF)),
        InvalidData,
        ["sample_weight contains infinity", "row 5"],
    ),
    Case(
        "a negative weight",
        lambda: regressor().fit(X, Y, sample_weight=put(ONES, [5, 6], -0.5)),
        InvalidData,
        ["sample_weight", r"-0\.5 at row 5", "2 negative", "0 to leave it out"],
    ),
    Case(
        "weights that are all zero",
        lambda: regressor().fit(X, Y, sample_weight=0.0 * ONES),
        InvalidData,
        ["sample_weight", "zero in every row", "nothing to train on"],
    ),
    *(
        Case(
            f"weights of {size}{', going on' * going_on}",
            lambda size=size, fit=fit: fit(X, Y, sample_weight=size * ONES),
            InvalidData,
            ["sample_weight is", "ratios of weights count", "divide them by their mean"],
        )
        for size in (1e307, 1e300, 1e-320)
        for going_on, fit in (
            (False, lambda *a, **k: regressor().fit(*a, **k)),
            (True, lambda *a, **k: regressor().partial_fit(*a, **k)),
        )
    ),
    Case(
        "a negative weight in partial_fit",
        lambda: classifier().partial_fit(X, LABELS, [0, 1], put(ONES, 5, -1)),
        InvalidData,
        ["sample_weight", "-1 at row 5"],
    ),
    Case(
        "a negative class weight",
        lambda: classifier(class_weight={0: -1.0, 1: 1.0}).fit(X, LABELS),
        InvalidParameter,
        ["class_weight", "-1", ">= 0"],
    ),
]

STARTS = [
    Case(
        "NaN in coef_init",
        lambda: regressor().fit(X, Y, coef_init=[0.0, NAN, 0.0]),
        InvalidData,
        ["coef_init contains NaN"],
    ),
    Case(
        "inf in intercept_init",
        lambda: regressor().fit(X, Y, intercept_init=[INF]),
        InvalidData,
        ["intercept_init contains infinity"],
    ),
    Case(
        "short coef_init",
        lambda: regressor().fit(X, Y, coef_init=[0.0, 0.0]),
        InvalidData,
        ["coef_init", r"\(2,\)", r"MiniBatchRegressor needs \(3,\)"],
    ),
    Case(
        "coef_init the wrong way round",
        lambda: regressor().fit(X, np.column_stack([Y, Y]), coef_init=np.zeros((3, 2))),
        InvalidData,
        ["coef_init", r"\(3, 2\)", r"needs \(2, 3\)"],
    ),
    Case(
        "long intercept_init",
        lambda: classifier().fit(X, LABELS, intercept_init=[0.0, 0.0]),
        InvalidData,
        ["intercept_init", r"\(2,\)", r"MiniBatchClassifier needs \(1,\)"],
    ),
    Case(
        "text as coef_init",
        lambda: regressor().fit(X, Y, coef_init=["zero"] * 3),
        InvalidData,
        ["coef_init", "numbers", "'zero'"],
    ),
    Case(
        "a warm start from other features",
        lambda: regressor(warm_start=True).fit(X, Y).fit(X[:, :2], Y),
        InvalidData,
        ["warm_start", r"\(3,\)", r"\(2,\)"],
    ),
]


@cases([*FEATURES, *WEIGHTS, *STARTS])
def test_of_data_is_refused(case):
    check(case)


def test_data_that_is_refused_leaves_nothing_fitted():
    model = regressor(loss="poisson")
    with pytest.raises(InvalidData):
        model.fit(X, -COUNTS)
    with pytest.raises(NotFittedError):
        model.predict(X)
