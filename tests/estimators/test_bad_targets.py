"""Targets that a loss cannot have, and held-out rows that do not fit."""

from __future__ import annotations

import numpy as np

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
    put,
    regressor,
)

TARGETS = [
    Case(
        "NaN in y",
        lambda: regressor().fit(X, put(Y, 4, NAN)),
        InvalidData,
        ["y contains NaN", r"row 4\. Drop those rows\.$"],
    ),
    Case(
        "inf in y",
        lambda: regressor().fit(X, put(Y, 4, INF)),
        InvalidData,
        ["y contains infinity", "row 4"],
    ),
    Case(
        "NaN in one of several targets",
        lambda: regressor().fit(X, np.column_stack([Y, put(Y, 4, NAN)])),
        InvalidData,
        ["y contains NaN", "row 4, column 1"],
    ),
    Case(
        "NaN in y of partial_fit",
        lambda: regressor().partial_fit(X, put(Y, 4, NAN)),
        InvalidData,
        ["y contains NaN", "row 4"],
    ),
    Case(
        "NaN among numeric labels",
        lambda: classifier().fit(X, put(LABELS, 4, NAN)),
        InvalidData,
        ["y contains NaN", "row 4"],
    ),
    Case(
        "None among text labels",
        lambda: classifier().fit(X, np.array(["a", "b", None, "a"] * 5, dtype=object)),
        ValueError,
        ["y contains None|[Uu]nknown label type"],
    ),
    Case("text as y", lambda: regressor().fit(X, ["a"] * 20), ValueError, ["not convert", "'a'"]),
    Case(
        "text among numbers of y",
        lambda: regressor().fit(X, ["1"] * 7 + ["two"] * 13),
        InvalidData,
        ["y must be numbers", "'two'", "row 7", "MiniBatchClassifier"],
    ),
    Case(
        "text among numbers of two targets",
        lambda: regressor().fit(X, [["1", "2"]] * 7 + [["1", "two"]] * 13),
        InvalidData,
        ["y must be numbers", "'two'", "row 7, column 1"],
    ),
    Case(
        "NaN in a start",
        lambda: regressor().fit(X, Y, coef_init=np.full(3, NAN)),
        InvalidData,
        ["coef_init contains NaN", "Start from numbers"],
    ),
    Case(
        "NaN in a weight",
        lambda: regressor().fit(X, Y, sample_weight=put(np.ones(20), 4, NAN)),
        InvalidData,
        ["sample_weight contains NaN", "row 4", "weight 0"],
    ),
    Case(
        "NaN in X that is held out",
        lambda: regressor().fit(X, Y, X_val=np.full_like(X, NAN), y_val=Y),
        InvalidData,
        ["X_val contains NaN", "Impute"],
    ),
    Case(
        "text in a later part",
        lambda: regressor().partial_fit(X, Y).partial_fit(X, ["two"] * 20),
        InvalidData,
        ["y must be numbers", "'two'", "row 0"],
    ),
    Case(
        "text held out",
        lambda: regressor().fit(X, Y, X_val=X, y_val=["two"] * 20),
        InvalidData,
        ["y_val must be numbers", "'two'", "row 0"],
    ),
    Case("no y", lambda: regressor().fit(X, None), ValueError, ["requires y"]),
    Case("short y", lambda: regressor().fit(X, Y[:-1]), ValueError, [r"\[20, 19\]"]),
    Case(
        "y of three dimensions",
        lambda: regressor().fit(X, Y[:, None, None]),
        ValueError,
        ["dim 3", "<= 2"],
    ),
    Case(
        "more targets in a later part",
        lambda: regressor().partial_fit(X, Y).partial_fit(X, np.column_stack([Y, Y])),
        InvalidData,
        ["y has 2 targets", "earlier calls had 1"],
    ),
    Case(
        "a negative count",
        lambda: regressor(loss="poisson").fit(X, put(COUNTS, [6, 8], -1.5)),
        InvalidData,
        ["Poisson", "y >= 0", r"-1\.5 at row 6", "2 such values", "another loss"],
    ),
    Case(
        "a negative count in the second target",
        lambda: regressor(loss="poisson").fit(X, np.column_stack([COUNTS, put(COUNTS, 6, -1)])),
        InvalidData,
        ["Poisson", "y >= 0", "-1 at row 6, column 1"],
    ),
    Case(
        "an amount of zero",
        lambda: regressor(loss="gamma").fit(X, COUNTS),
        InvalidData,
        ["Gamma", "y > 0", "0 at row 0", "1 such value"],
    ),
    Case(
        "a negative amount",
        lambda: regressor(loss="tweedie", power=1.5).fit(X, put(COUNTS, 6, -1)),
        InvalidData,
        ["Tweedie", "y >= 0", "-1 at row 6"],
    ),
    Case(
        "an amount of zero where the variance forbids it",
        lambda: regressor(loss="tweedie", power=2.5).fit(X, COUNTS),
        InvalidData,
        ["Tweedie", "y > 0", "0 at row 0"],
    ),
    Case(
        "a negative count in partial_fit",
        lambda: regressor(loss="poisson").partial_fit(X, put(COUNTS, 6, -1)),
        InvalidData,
        ["Poisson", "-1 at row 6"],
    ),
    Case(
        "counts that are all zero",
        lambda: regressor(loss="poisson").fit(X, 0.0 * COUNTS),
        InvalidData,
        ["Poisson", "logarithm of the mean", "every y is 0"],
    ),
    Case(
        "counts that are zero wherever there is weight",
        lambda: regressor(loss="poisson").fit(X, LABELS, sample_weight=1 - LABELS),
        InvalidData,
        ["Poisson", "y is 0"],
    ),
    Case(
        "one of several counts that is all zero",
        lambda: regressor(loss="poisson").fit(X, np.column_stack([COUNTS, 0.0 * COUNTS])),
        InvalidData,
        ["Poisson", "column 1|every y is 0"],
    ),
    Case(
        "one class",
        lambda: classifier().fit(X, ["spam"] * 20),
        InvalidData,
        ["one class", "'spam'", "at least two"],
    ),
    Case(
        "one class with weight",
        lambda: classifier().fit(X, LABELS, sample_weight=LABELS),
        InvalidData,
        ["weight above 0", "one class", "at least two"],
    ),
    Case(
        "one class after class_weight",
        lambda: classifier(class_weight={0: 0.0}).fit(X, LABELS),
        InvalidData,
        ["weight above 0", "one class"],
    ),
    Case(
        "numbers as classes",
        lambda: classifier().fit(X, Y),
        ValueError,
        ["Unknown label type", "continuous"],
    ),
    Case(
        "several labels a row",
        lambda: classifier().fit(X, np.column_stack([LABELS, LABELS])),
        ValueError,
        ["y should be a 1d array"],
    ),
    Case(
        "classes missing in the first part",
        lambda: classifier().partial_fit(X, LABELS),
        InvalidParameter,
        ["classes", "first call", "partial_fit"],
    ),
    Case(
        "one class in classes",
        lambda: classifier().partial_fit(X, 0 * LABELS, classes=[0]),
        InvalidData,
        [r"classes has one class, \[0\]", "at least two"],
    ),
    Case(
        "other classes in a later part",
        lambda: (
            classifier()
            .partial_fit(X, LABELS, classes=[0, 1])
            .partial_fit(X, LABELS, classes=[0, 1, 2])
        ),
        InvalidParameter,
        [r"\[0, 1, 2\]", "differs", r"\[0, 1\]"],
    ),
    Case(
        "unseen class in a part",
        lambda: classifier().partial_fit(X, LABELS + 6, classes=[0, 6]),
        InvalidData,
        ["y has the class 7", "row 1", r"\[0, 6\]", "10 such rows"],
    ),
    Case(
        "unseen text class in a part",
        lambda: classifier().partial_fit(X, ["a", "b"] * 10, classes=["a", "c"]),
        InvalidData,
        ["y has the class 'b'", "row 1", r"\['a', 'c'\]"],
    ),
]

VALIDATION = [
    Case(
        "X_val alone",
        lambda: regressor().fit(X, Y, X_val=X),
        InvalidParameter,
        ["X_val and y_val go together"],
    ),
    Case(
        "y_val alone",
        lambda: regressor().fit(X, Y, y_val=Y),
        InvalidParameter,
        ["X_val and y_val go together"],
    ),
    Case(
        "sample_weight_val alone",
        lambda: regressor().fit(X, Y, sample_weight_val=ONES),
        InvalidParameter,
        ["sample_weight_val", "without X_val and y_val"],
    ),
    Case(
        "short y_val",
        lambda: regressor().fit(X, Y, X_val=X, y_val=Y[:-1]),
        InvalidData,
        ["X_val has 20 rows", "y_val has 19"],
    ),
    Case(
        "y_val of other targets",
        lambda: regressor().fit(X, Y, X_val=X, y_val=np.column_stack([Y, Y])),
        InvalidData,
        ["y has 1 target", "y_val has 2"],
    ),
    Case(
        "X_val of other features",
        lambda: regressor().fit(X, Y, X_val=X[:, :2], y_val=Y),
        ValueError,
        ["2 features", "expecting 3"],
    ),
    Case(
        "NaN in X_val",
        lambda: regressor().fit(X, Y, X_val=put(X, (7, 2), NAN), y_val=Y),
        InvalidData,
        ["X_val contains NaN", "row 7, column 2"],
    ),
    Case(
        "NaN in y_val",
        lambda: regressor().fit(X, Y, X_val=X, y_val=put(Y, 4, NAN)),
        InvalidData,
        ["y_val contains NaN", "row 4"],
    ),
    Case(
        "NaN in sample_weight_val",
        lambda: regressor().fit(X, Y, X_val=X, y_val=Y, sample_weight_val=put(ONES, 5, NAN)),
        InvalidData,
        ["sample_weight_val contains NaN", "row 5"],
    ),
    Case(
        "short sample_weight_val",
        lambda: regressor().fit(X, Y, X_val=X, y_val=Y, sample_weight_val=ONES[:3]),
        InvalidData,
        ["sample_weight_val", r"\(3,\)", r"\(20,\)"],
    ),
    Case(
        "a negative count in y_val",
        lambda: regressor(loss="poisson").fit(X, COUNTS, X_val=X, y_val=put(COUNTS, 6, -1)),
        InvalidData,
        ["Poisson", "y_val", "-1 at row 6"],
    ),
    Case(
        "one row to validate a regression on",
        lambda: regressor().fit(X, Y, X_val=X[:1], y_val=Y[:1]),
        InvalidData,
        ["at least two validation rows"],
    ),
    Case(
        "unseen class in y_val",
        lambda: classifier().fit(X, LABELS, X_val=X, y_val=put(LABELS, 5, 7).astype(int)),
        InvalidData,
        ["y_val has the class 7", "row 5", r"\[0, 1\]"],
    ),
    Case(
        "classes of another type in y_val",
        lambda: classifier().fit(X, LABELS, X_val=X, y_val=["a", "b"] * 10),
        InvalidData,
        ["y_val has the class 'a'", "row 0", r"\[0, 1\]"],
    ),
    Case(
        "two rows to take a fraction of",
        lambda: regressor(early_stopping=True).fit(X[:2], Y[:2]),
        InvalidData,
        ["at least two validation rows", "validation_fraction"],
    ),
    Case(
        "one row to take a fraction of",
        lambda: regressor(early_stopping=True).fit(X[:1], Y[:1]),
        InvalidParameter,
        [
            "early_stopping=True",
            r"validation_fraction=0\.1",
            "1 row",
            r"[^.]\. Pass X_val and y_val instead",
        ],
    ),
    Case(
        "a class too rare to be held out",
        lambda: classifier(early_stopping=True).fit(X, [0] * 19 + [1]),
        InvalidParameter,
        [
            "early_stopping=True",
            r"validation_fraction=0\.1",
            "20 rows",
            r"[^.]\. Pass X_val and y_val instead",
        ],
    ),
    Case(
        "a fraction of one row that has weight",
        lambda: regressor(early_stopping=True).fit(X, Y, sample_weight=np.eye(20)[0]),
        InvalidParameter,
        ["early_stopping=True", "1 row", "X_val and y_val"],
    ),
]


@cases([*TARGETS, *VALIDATION])
def test_of_data_is_refused(case):
    check(case)
