"""Parameters that are refused: which, whose, what was allowed, what came."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from gradstep import (
    L2,
    Adam,
    Constant,
    Cosine,
    ElasticNet,
    History,
    Huber,
    InvalidComponent,
    InvalidData,
    InvalidParameter,
    MiniBatchRegressor,
    Momentum,
    Softmax,
    StepDecay,
    WarmUp,
)
from tests.estimators.bad_input import (
    COUNTS,
    INF,
    LABELS,
    NAN,
    Case,
    X,
    Y,
    cases,
    check,
    classifier,
    put,
    regressor,
)

TRUE = True


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


def test_of_a_default_of_a_subclass():
    class Wrong(MiniBatchRegressor):
        def __init__(self, *, alpha=-1.0):
            super().__init__(alpha=alpha)

    with pytest.raises(InvalidParameter, match=r"alpha=-1\.0 of Wrong must be"):
        Wrong().fit([[0.0], [1.0]], [0.0, 1.0])
