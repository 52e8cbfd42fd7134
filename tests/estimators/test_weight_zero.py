"""A row of weight 0 is no row: it changes no bit of what the estimators learn."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

import gradstep
from gradstep import MiniBatchClassifier, MiniBatchRegressor
from tests.slow import slow_unless
from tests.uncompiled import uncompiled

N = 120
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, 3))
Z = X @ [1.0, -0.5, 0.2]
Y = {
    "number": Z + RNG.normal(size=N),
    "count": RNG.poisson(np.exp(Z)) * 1.0,
    "two": np.where(Z + RNG.logistic(size=N) > 0.0, "yes", "no"),
    "three": np.digitize(Z + RNG.logistic(size=N), [-1.0, 1.0]),
}
WEIGHT = RNG.integers(1, 4, N) * 1.0
PLACES = np.sort(RNG.integers(0, N + 1, 50))
OTHER = {"number": 1e9, "count": -3.0, "two": "perhaps", "three": 7}  # of rows of weight 0
FAR = RNG.normal(size=(50, 3)) * [1e200, 1e5, 0.0]
FITS = {
    "number": MiniBatchRegressor(),
    "number, huber": MiniBatchRegressor("huber"),
    "number, no penalty": MiniBatchRegressor(penalty=None),
    "count": MiniBatchRegressor("poisson"),
    "count, adam": MiniBatchRegressor("poisson", optimizer="adam", max_iter=5, tol=None),
    "two": MiniBatchClassifier(),
    "two, hinge": MiniBatchClassifier("hinge"),
    "two, balanced": MiniBatchClassifier(class_weight="balanced"),
    "two, held out": MiniBatchClassifier(early_stopping=True, validation_fraction=0.2),
    "two, sgd": MiniBatchClassifier(optimizer="sgd", max_iter=5, tol=None),
    "two, a rate": MiniBatchClassifier(learning_rate="invscaling", max_iter=5, tol=None),
    "three": MiniBatchClassifier(),
    "three, hinge": MiniBatchClassifier("hinge"),
}


def with_others(kind):
    """Return rows, targets and weights, and among them rows of weight 0 that are far out."""
    return (
        np.insert(X, PLACES, FAR, axis=0),
        np.insert(Y[kind].astype(object), PLACES, OTHER[kind]).astype(
            object if kind == "two" else Y[kind].dtype
        ),
        np.insert(WEIGHT, PLACES, 0.0),
    )


@pytest.fixture(autouse=True)
def _quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "name",
    slow_unless(
        lambda name: not name.endswith(("hinge", "huber", "adam", "count", "rate", "sgd")), FITS
    ),
)
def test_no_bit_of_a_fit_changes(name, form):
    kind = name.partition(",")[0]
    est, (more, targets, weight) = FITS[name], with_others(kind)
    plain = est.fit(form(X), Y[kind], sample_weight=WEIGHT)
    coef, intercept = plain.coef_, plain.intercept_
    other = est.fit(form(more), targets, sample_weight=weight)
    assert_array_equal(other.coef_, coef)
    assert_array_equal(other.intercept_, intercept)


@uncompiled
def test_nor_of_a_stream():
    more, targets, weight = with_others("count")
    plain, other = MiniBatchRegressor("poisson"), MiniBatchRegressor("poisson")
    for _ in range(3):
        plain.partial_fit(X, Y["count"], WEIGHT)
        other.partial_fit(more, targets, weight)
    assert_array_equal(other.coef_, plain.coef_)


def test_validation_rows_neither():
    more, targets, weight = with_others("three")
    targets[weight == 0.0] = 0  # a class that is known
    fits = [
        MiniBatchClassifier(max_iter=3).fit(
            X, Y["three"], X_val=rows, y_val=y, sample_weight_val=w
        ).validation_scores_
        for rows, y, w in ((X, Y["three"], WEIGHT), (more, targets, weight))
    ]  # fmt: skip
    assert fits[0] == fits[1]


def test_a_class_of_such_rows_alone_is_none():
    model = MiniBatchClassifier().fit(
        np.append(X, FAR[:1], axis=0), [*Y["two"], "perhaps"], sample_weight=[*WEIGHT, 0.0]
    )
    assert model.classes_.tolist() == ["no", "yes"]


class TestTables:
    def frame(self, kind):
        return pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": Y[kind], "w": WEIGHT}).with_columns(
            c=pl.Series(np.array(["red", "green", "blue"])[RNG.integers(0, 3, N)]),
            t=pl.Series(np.arange(N) * 1.0),
        )

    def with_others(self, frame, kind):
        others = pl.DataFrame(
            {"a": [1e200, None, 3.0], "b": [1e5] * 3, "y": [OTHER[kind]] * 2 + [None],
             "w": [0.0] * 3, "c": ["violet", None, "red"], "t": [1e9, None, 0.0]},
            schema=frame.schema, strict=False,
        )  # fmt: skip
        return pl.concat([frame, others])

    @pytest.mark.parametrize("options", [{}, {"time": "t"}, {"missing_target": "error"}])
    @pytest.mark.parametrize("kind", Y)
    def test_no_bit_of_a_model_changes(self, kind, options):
        frame = self.frame(kind)
        asked = {"weight": "w", "validation": 0.2, **options}
        if "time" not in options:
            asked["drop"] = ["t"]
        plain = gradstep.fit_table(frame, "y", **asked)
        other = gradstep.fit_table(self.with_others(frame, kind), "y", **asked)
        assert_array_equal(other.model.params, plain.model.params)
        assert other.model.encoding == plain.model.encoding
        assert other.validation == plain.validation
        assert other.prepared.meta["rows"]["weightless"] == 3

    def test_of_a_table_to_validate_on_and_to_judge_on(self):
        frame = self.frame("two")
        more = self.with_others(frame, "two")
        more = more.with_columns(y=pl.when(pl.col("w") > 0.0).then("y").otherwise(pl.lit("no")))
        fits = [
            gradstep.fit_table(frame, "y", sample_weight="w", validation_table=table)
            for table in (frame, more)
        ]
        assert fits[0].validation == fits[1].validation
        judged = [
            gradstep.evaluate(fits[0].model, table, sample_weight="w") for table in (frame, more)
        ]
        assert judged[0] == judged[1]

    def test_no_such_rows_are_said_to_be_left_out(self):
        rows = gradstep.prepare(self.frame("number"), "y", sample_weight="w").meta["rows"]
        assert "weightless" not in rows
