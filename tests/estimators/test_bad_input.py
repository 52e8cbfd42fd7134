"""Bad input: one clear error each, that says what, where, why, and what to do.

One table for data, one for parameters. `kind` is the type that must be raised: ours, which
scikit-learn's users can catch as ValueError, or plainly ValueError where scikit-learn's own check
speaks.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from gradstep import (
    L2,
    Adam,
    Constant,
    Cosine,
    Diverged,
    ElasticNet,
    GradstepError,
    History,
    Huber,
    InvalidComponent,
    InvalidData,
    InvalidParameter,
    MiniBatchClassifier,
    MiniBatchRegressor,
    Momentum,
    Softmax,
    StepDecay,
    WarmUp,
)
from tests.uncompiled import uncompiled

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1
COUNTS = np.arange(20.0)
LABELS = np.arange(20) % 2
ONES = np.ones(20)
NAN, INF = float("nan"), float("inf")
TRUE = True


def put(array, at, value):
    """Return a copy with one value replaced (or several)."""
    changed = np.array(array, dtype=float)
    changed[at] = value
    return changed


def regressor(**parameters):
    return MiniBatchRegressor(**{"max_iter": 2, "tol": None, **parameters})


def classifier(**parameters):
    return MiniBatchClassifier(**{"max_iter": 2, "tol": None, **parameters})


def frame(values):
    return pd.DataFrame(values, columns=["age", "height", "weight"])


class Case(NamedTuple):
    """A call, the type of its error, and all that the message must say."""

    id: str
    call: Any
    kind: type
    says: list[str]


def cases(table):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in table])


def check(case):
    with pytest.raises(case.kind) as caught:
        case.call()
    error, message = caught.value, str(caught.value)
    assert isinstance(error, ValueError)
    for part in case.says:
        assert re.search(part, message, re.DOTALL), f"{part!r} is not in: {message}"
    if isinstance(error, GradstepError):
        assert "\n" not in message
        assert message.endswith("."), message
        assert "np." not in message, "numbers and labels are shown as the user wrote them"


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

TARGETS = [
    Case(
        "NaN in y",
        lambda: regressor().fit(X, put(Y, 4, NAN)),
        InvalidData,
        ["y contains NaN", "row 4"],
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


@cases([*FEATURES, *TARGETS, *WEIGHTS, *STARTS, *VALIDATION])
def test_of_data_is_refused(case):
    check(case)


def parameter(name, value, *says, kind=InvalidParameter, classifies=False, **others):
    """Return the case of a fit with one wrong parameter; the message names it."""
    make, y = (classifier, LABELS) if classifies else (regressor, COUNTS)
    shown = getattr(value, "__name__", repr(value))
    return Case(
        f"{name}={shown}", lambda: make(**{name: value}, **others).fit(X, y), kind, [name, *says]
    )


def number(name, *wrong, says):
    """Return the cases of values that a numeric parameter must not have."""
    shown = {value: re.escape(repr(value)) for value in wrong}
    return [parameter(name, value, shown[value], "MiniBatchRegressor", says) for value in wrong]


NUMBERS = [
    *number("alpha", -1, NAN, INF, "auto", None, TRUE, says=">= 0"),
    *number("l1_ratio", -0.1, 1.1, NAN, "a", says=">= 0 and <= 1"),
    *number("max_iter", 0, -5, 1.5, INF, "a", None, says="whole number >= 1"),
    *number("tol", -1e-3, NAN, "a", says=">= 0"),
    *number("epsilon", -0.1, NAN, "a", None, says=">= 0"),
    *number("eta0", 0.0, -0.1, NAN, "a", says="> 0"),
    *number("power_t", NAN, "a", None, says="a number"),
    *number("validation_fraction", 0.0, 1.0, 5, NAN, "a", says="> 0 and < 1"),
    *number("n_iter_no_change", 0, 1.5, "a", None, says="whole number >= 1"),
    *number("batch_size", 0, -1, 1.5, "full", None, says="whole number >= 1"),
    *number("average", -1, 1.5, "a", None, says="whole number >= 0"),
    *number("verbose", -1, "a", None, says="whole number >= 0"),
    Case(
        "eta0=inf",
        lambda: regressor(eta0=INF, learning_rate="constant").fit(X, Y),
        InvalidParameter,
        ["eta0", "inf", "finite number > 0"],
    ),
    *(
        parameter("epsilon", INF, "inf", "finite number >= 0", loss=loss)
        for loss in ("huber", "epsilon_insensitive", "squared_epsilon_insensitive")
    ),
    *(
        parameter("quantile", value, repr(value), "> 0 and < 1", loss="pinball")
        for value in (0.0, 1.0, -0.5)
    ),
    *(parameter("power", value, repr(value), ">= 1", loss="tweedie") for value in (0.5, 0.0, -1.0)),
    *(parameter("quantile", x, repr(x), "must", loss="pinball") for x in (NAN, "a", None)),
    *(parameter("power", x, repr(x), "must", loss="tweedie") for x in (NAN, INF, "a", None)),
    *(parameter("random_state", value, re.escape(repr(value))) for value in (-1, "a", 1.5)),
]

CHOICES = [
    parameter("loss", "hubr", "'hubr'", "Did you mean 'huber'", "'squared_error'", r"value\(\)"),
    parameter("loss", "log_loss", "'log_loss'", "one of", "'squared_error'"),
    parameter("loss", "poisson", "'poisson'", "one of", "'hinge'", classifies=True),
    parameter("penalty", "elastic_net", "Did you mean 'elasticnet'", "None", r"prox\(\)"),
    parameter("penalty", "none", "'none'", "None"),
    parameter("optimizer", "adagard", "Did you mean 'adagrad'", r"step\(\)"),
    parameter("optimizer", None, "None", r"n_slots\(\)", kind=InvalidComponent),
    parameter("learning_rate", "invscalling", "Did you mean 'invscaling'", "number", r"rates\(\)"),
    parameter("learning_rate", "pa1", "'pa1'", "passive-aggressive", "loss='hinge'"),
    parameter("learning_rate", "optimal", "'optimal' needs alpha > 0", "alpha=0", alpha=0),
    parameter("learning_rate", 0.0, "0.0", "finite number > 0"),
    parameter("learning_rate", -0.1, "-0.1", "finite number > 0"),
    parameter("learning_rate", NAN, "nan", "finite number > 0"),
    parameter("learning_rate", INF, "inf", "finite number > 0"),
    parameter("learning_rate", None, "None", r"rates\(\)", kind=InvalidComponent),
    parameter("last_batch", "keep", "'keep'", "'scale', 'mean', 'drop'"),
    parameter("penalty_scale", "scale", "'scale'", "'deviation', 'unit'"),
    parameter("precondition", "yes", "'yes'", "'auto', True, False"),
    parameter("shuffle", "exakt", "'exakt'", "True, False, 'exact', 'blocks'"),
    parameter("shuffle", None, "None", "True, False, 'exact', 'blocks'"),
    parameter("fit_intercept", "yes", "'yes'", "True or False"),
    parameter("early_stopping", "yes", "'yes'", "True or False"),
    parameter("warm_start", None, "None", "True or False"),
    parameter("class_weight", "heavy", "'heavy'", "dict, 'balanced' or None", classifies=True),
    parameter("class_weight", 3, "3", "dict, 'balanced' or None", classifies=True),
    parameter("class_weight", {5: 1.0}, kind=ValueError, classifies=True),
    parameter("class_weight", {0: "a", 1: 1}, "'a'", classifies=True),
    Case(
        "class_weight='balanced' in partial_fit",
        lambda: classifier(class_weight="balanced").partial_fit(X, LABELS, classes=[0, 1]),
        InvalidParameter,
        ["class_weight='balanced'", "partial_fit", "compute_class_weight"],
    ),
    parameter("callbacks", 3, "list"),
    Case(
        "one callback without a list",
        lambda: regressor(callbacks=History()).fit(X, Y),
        InvalidParameter,
        ["callbacks", "list"],
    ),
]

COMPONENTS = [
    parameter("loss", Huber, "class, not an instance", kind=InvalidComponent),
    parameter("loss", None, "None", r"value\(\), slope\(\)", kind=InvalidComponent),
    parameter("loss", Softmax(), "several classes", "MiniBatchClassifier"),
    parameter("penalty", 3, "3", r"value\(\), prox\(\)", kind=InvalidComponent),
    parameter("optimizer", Adam, "class, not an instance", kind=InvalidComponent),
    parameter("learning_rate", Constant, "class, not an instance", kind=InvalidComponent),
    parameter("callbacks", [History], "class", kind=InvalidComponent),
]


def component(*says, kind=InvalidParameter, **parameters):
    """Return the case of a component with a wrong number; the message names both."""
    ((name, value),) = parameters.items()
    return Case(f"{name}={value!r}", lambda: regressor(**parameters).fit(X, Y), kind, list(says))


FIELDS = [
    component(r"momentum=2\.0", "Momentum", ">= 0 and < 1", optimizer=Momentum(2.0)),
    component(r"beta2=1\.0", "Adam", ">= 0 and < 1", optimizer=Adam(beta2=1.0)),
    component(r"final=1\.0", "Cosine", r"0 and eta0=0\.1", learning_rate=Cosine(0.1, final=1.0)),
    component(r"every=0\.0", "StepDecay", "> 0", learning_rate=StepDecay(every=0)),
    component(r"l1_ratio=2\.0", "ElasticNet", ">= 0 and <= 1", penalty=ElasticNet(0.1, 2.0)),
    component(r"alpha=-1\.0", "L2", ">= 0", penalty=L2(-1.0)),
    component("epsilon='a'", "Huber", loss=Huber("a")),
    component("alpha=None", "L2", penalty=L2(None)),
    component("momentum='a'", "Momentum", optimizer=Momentum("a")),
    component("eta0='a'", "Constant", learning_rate=Constant("a")),
    component("'constant'", "WarmUp", learning_rate=WarmUp("constant")),
]


def rate(value):
    return lambda: regressor(learning_rate=lambda _epoch, _step: value).fit(X, Y)


def shuffle(order, method="fit"):
    return lambda: getattr(
        regressor(learning_rate="constant", shuffle=lambda _epoch, n: order(n)), method
    )(X, Y)


FUNCTIONS = [
    Case("NaN as a rate", rate(NAN), InvalidComponent, ["learning.rate", "finite", ">= 0", "nan"]),
    Case("a negative rate", rate(-1.0), InvalidComponent, ["learning.rate", ">= 0", "-1"]),
    Case("an infinite rate", rate(INF), InvalidComponent, ["learning.rate", "finite", "inf"]),
    Case("no rate", rate(None), InvalidComponent, ["learning.rate", "None|nan"]),
    Case("text as a rate", rate("fast"), InvalidComponent, ["learning.rate", "'fast'"]),
    Case("two rates", rate(np.ones(2)), InvalidComponent, ["learning.rate"]),
    Case(
        "an order that repeats rows",
        shuffle(lambda n: np.zeros(n, int)),
        InvalidData,
        [r"shuffle\(epoch, n\)", r"permutation of range\(20\)", "each row once"],
    ),
    Case(
        "an order that leaves rows out",
        shuffle(lambda n: np.arange(n - 1)),
        InvalidData,
        [r"shuffle\(epoch, n\)", "20 integers", r"\(19,\)"],
    ),
    Case(
        "an order of rows that are not there",
        shuffle(lambda n: np.arange(n) + 1),
        InvalidData,
        ["permutation", "from 1 to 20"],
    ),
    Case(
        "an order of negative rows",
        shuffle(lambda n: np.arange(n) - 1),
        InvalidData,
        ["permutation", "from -1 to 18"],
    ),
    Case("an order of floats", shuffle(lambda n: np.arange(n) * 1.0), InvalidData, ["float64"]),
    Case("no order", shuffle(lambda _: None), InvalidData, ["shuffle", "must return 20 integers"]),
    Case(
        "a wrong order in partial_fit",
        shuffle(lambda n: np.zeros(n, int), "partial_fit"),
        InvalidData,
        ["each row once"],
    ),
]


@cases([*NUMBERS, *CHOICES, *COMPONENTS, *FIELDS, *FUNCTIONS])
def test_of_parameters_is_refused(case):
    check(case)


def test_parameters_are_checked_by_partial_fit_too():
    for make, y in ((regressor, Y), (classifier, LABELS)):
        with pytest.raises(InvalidParameter, match="batch_size=0"):
            make(batch_size=0).partial_fit(X, y, **({"classes": [0, 1]} if y is LABELS else {}))


def test_parameters_are_checked_before_the_data_is_looked_at():
    with pytest.raises(InvalidParameter, match="loss='hubr'"):
        regressor(loss="hubr").fit(put(X, (0, 0), NAN), Y)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "decision_function", "score", "sparsify", "densify"]
)
def test_a_model_that_is_not_fitted_says_so(method):
    arguments = {"score": (X, LABELS), "sparsify": (), "densify": ()}.get(method, (X,))
    with pytest.raises(NotFittedError, match="MiniBatchClassifier instance is not fitted yet"):
        getattr(classifier(), method)(*arguments)


class NoWay(NamedTuple):
    """A loss of one's own with a mistake: its slope is not a number."""

    def value(self, y, z):
        return (z - y) ** 2

    def slope(self, y, z):
        return math.nan * (z - y)


class TestDivergence:
    @uncompiled
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_that_no_brake_helps_names_the_farthest_column(self, method):
        far = X.copy()
        far[0, 1] = 1e9
        model = MiniBatchRegressor(loss=NoWay(), optimizer="sgd")
        with pytest.raises(Diverged, match=r"Column 1 .* deviations out: clip") as diverged:
            getattr(model, method)(far, Y)
        assert "learning_rate='auto'" not in str(diverged.value)
        assert "loss of your own" in str(diverged.value)
        with pytest.raises(Diverged) as diverged:
            getattr(model, method)(X, Y)
        assert "Column" not in str(diverged.value)

    def message(self, **parameters):
        with pytest.raises(Diverged) as diverged:
            regressor(**{"max_iter": 50, **parameters}).fit(X, Y)
        assert isinstance(diverged.value, (ValueError, ArithmeticError))
        assert f"in epoch {diverged.value.epoch} " in str(diverged.value)
        return str(diverged.value)

    def test_says_what_to_change(self):
        message = self.message(learning_rate=30.0)
        assert message.startswith("Training diverged")
        for remedy in ("StandardScaler", "learning rate", "30.0", "learning_rate='auto'"):
            assert remedy in message

    def test_while_numbers_are_finite_says_how_bad_it_is(self):
        assert re.search(
            "objective is [0-9.e+]+, far above .* best constant",
            self.message(eta0=9.0, learning_rate="constant"),
        )

    def test_past_the_largest_number_says_so(self):
        assert "no longer finite" in self.message(learning_rate=1e300)

    def test_in_a_partial_fit_is_no_less_an_error(self):
        model = regressor(learning_rate=30.0)

        def stream():
            for _ in range(50):
                model.partial_fit(X, Y)

        with pytest.raises(Diverged):
            stream()

    def test_leaves_nothing_fitted(self):
        model = regressor(learning_rate=30.0, max_iter=50)
        with pytest.raises(Diverged):
            model.fit(X, Y)
        with pytest.raises(NotFittedError):
            model.predict(X)

    def test_of_a_second_fit_leaves_the_first_or_nothing(self):
        labels = np.array(["no", "yes"])[LABELS]
        model = classifier().fit(X, labels)
        before = model.predict(X).tolist()
        model.set_params(learning_rate=1e300)
        with pytest.raises(Diverged):
            model.fit(X, np.array(["left", "right"])[LABELS])
        with suppress(NotFittedError):
            assert model.predict(X).tolist() == before


def test_data_that_is_refused_leaves_nothing_fitted():
    model = regressor(loss="poisson")
    with pytest.raises(InvalidData):
        model.fit(X, -COUNTS)
    with pytest.raises(NotFittedError):
        model.predict(X)
