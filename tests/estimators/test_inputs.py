"""X and y as users have them: arrays of any type and layout, sparse matrices, data frames."""

from __future__ import annotations

import logging
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from gradstep import InvalidData, MiniBatchClassifier, MiniBatchRegressor

BRIEF = {"learning_rate": 0.05, "penalty_scale": "unit", "max_iter": 3, "tol": None}
NAMES = ["a", "b", "c"]


def whole(rows):
    """Return rows of small whole numbers, which every type can hold."""
    X = np.rint(4.0 * rows.X)
    return X, X @ [1.0, -2.0, 0.5] + 3.0


DENSE = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "int": lambda X: X.astype(np.int64),
    "int8": lambda X: X.astype(np.int8),
    "big endian": lambda X: X.astype(">f8"),
    "object": lambda X: X.astype(object),
    "Fortran order": np.asfortranarray,
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "columns of a wider array": lambda X: np.hstack([X, X])[:, :3],
    "read-only": lambda X: np.frombuffer(X.tobytes()).reshape(X.shape),
    "list": lambda X: X.tolist(),
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "pandas, mixed": lambda X: pd.DataFrame({"a": X[:, 0], "b": X[:, 1].astype(int), "c": X[:, 2]}),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
}


def with_long_indices(X):
    short = sp.csr_array(X)
    parts = (short.data, short.indices.astype(np.int64), short.indptr.astype(np.int64))
    return sp.csr_array(parts, shape=X.shape)


SPARSE = {
    "csr_matrix": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "csr, float32": lambda X: sp.csr_array(X.astype(np.float32)),
    "csr, int": lambda X: sp.csr_array(X.astype(int)),
    "csc": sp.csc_array,
    "coo": sp.coo_array,
    "lil": sp.lil_array,
    "dok": sp.dok_array,
    "csr, long indices": with_long_indices,
}


@pytest.mark.parametrize("convert", [pytest.param(f, id=name) for name, f in DENSE.items()])
def test_dense_rows_of_any_kind_give_the_same_model(numbers, convert):
    X, y = whole(numbers)
    expected = MiniBatchRegressor(**BRIEF).fit(X, y)
    model = MiniBatchRegressor(**BRIEF).fit(convert(X), y)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(model.predict(convert(X)), expected.predict(X))


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(f, id=name, marks=pytest.mark.uncompiled if name == "csr, float32" else ())
        for name, f in SPARSE.items()
    ],
)
def test_sparse_rows_of_any_kind_give_the_same_model(numbers, convert):
    X, y = whole(numbers)
    expected = MiniBatchRegressor(**BRIEF).fit(X, y)
    model = MiniBatchRegressor(**BRIEF).fit(convert(X), y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-12)
    np.testing.assert_allclose(model.predict(convert(X)), expected.predict(X), rtol=1e-12)


def test_truth_values_are_zeros_and_ones(numbers):
    X, y = numbers.X > 0.0, numbers.y
    model = MiniBatchRegressor(**BRIEF).fit(X, y)
    expected = MiniBatchRegressor(**BRIEF).fit(X.astype(float), y)
    np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_training_leaves_what_it_is_given_alone(numbers):
    X, y, weight = numbers.X.copy(), numbers.y.copy(), np.ones(60)
    MiniBatchRegressor(shuffle="blocks", **BRIEF).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(X, numbers.X)
    np.testing.assert_array_equal(y, numbers.y)
    np.testing.assert_array_equal(weight, np.ones(60))


@pytest.mark.parametrize(
    "convert",
    [list, pd.Series, pl.Series, lambda v: pd.Series(v, index=range(100, 160)), np.float32],
    ids=["list", "pandas", "polars", "pandas, another index", "float32"],
)
def test_targets_and_weights_of_any_kind_give_the_same_model(numbers, convert):
    X, y = whole(numbers)
    weight = np.arange(60.0)
    expected = MiniBatchRegressor(**BRIEF).fit(X, y, sample_weight=weight)
    model = MiniBatchRegressor(**BRIEF).fit(X, convert(y), sample_weight=convert(weight))
    np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_a_number_as_weight_is_for_all_rows(numbers):
    X, y = numbers
    expected = MiniBatchRegressor(**BRIEF).fit(X, y, sample_weight=np.full(60, 2.0))
    model = MiniBatchRegressor(**BRIEF).fit(X, y, sample_weight=2.0)
    np.testing.assert_array_equal(model.coef_, expected.coef_)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_targets_may_be_a_frame(two_numbers, frame):
    X, y = two_numbers
    model = MiniBatchRegressor(**BRIEF).fit(X, frame({"u": y[:, 0], "v": y[:, 1]}))
    np.testing.assert_array_equal(model.coef_, MiniBatchRegressor(**BRIEF).fit(X, y).coef_)


@pytest.mark.uncompiled
@pytest.mark.parametrize(
    "convert",
    [
        pd.Series,
        lambda v: pd.Series(v, dtype="category"),
        lambda v: pd.Series(v, dtype="string"),
        pl.Series,
        lambda v: pl.Series(v, dtype=pl.Categorical),
        list,
    ],
    ids=["pandas", "pandas category", "pandas string", "polars", "polars categorical", "list"],
)
def test_labels_of_any_kind_give_the_same_model(two_classes, convert):
    X, y = two_classes.X, np.array(["no", "yes"])[two_classes.y]
    expected = MiniBatchClassifier(**BRIEF).fit(X, y)
    model = MiniBatchClassifier(**BRIEF).fit(X, convert(y), X_val=X, y_val=convert(y))
    np.testing.assert_array_equal(model.classes_, ["no", "yes"])
    assert model.predict(X).tolist() == expected.predict(X).tolist()
    assert max(model.validation_scores_) >= expected.score(X, y)


class TestFeatureNames:
    @pytest.fixture(params=[pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
    def frame(self, request, numbers):
        return request.param({name: numbers.X[:, i] for i, name in enumerate(NAMES)})

    @pytest.fixture
    def model(self, frame, numbers):
        return MiniBatchRegressor(**BRIEF).fit(frame, numbers.y)

    def test_are_kept(self, model):
        assert model.feature_names_in_.tolist() == NAMES

    def test_of_another_order_are_refused(self, model, frame):
        with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
            model.predict(frame[["b", "a", "c"]])

    def test_that_are_missing_or_new_are_named(self, model, frame):
        renamed = type(frame)({"a": frame["a"], "b": frame["b"], "new": frame["c"]})
        with pytest.raises(ValueError, match=r"(?s)unseen at fit time:\n- new.*now missing:\n- c"):
            model.predict(renamed)

    def test_are_asked_of_validation_rows_too(self, frame, numbers):
        with pytest.raises(ValueError, match="must be in the same order"):
            MiniBatchRegressor(**BRIEF).fit(
                frame, numbers.y, X_val=frame[["b", "a", "c"]], y_val=numbers.y
            )

    def test_are_missed_in_an_array(self, model, numbers):
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            model.predict(numbers.X)

    def test_are_asked_of_later_parts(self, frame, numbers):
        model = MiniBatchRegressor().partial_fit(frame, numbers.y)
        with pytest.raises(ValueError, match="must be in the same order"):
            model.partial_fit(frame[["b", "a", "c"]], numbers.y)

    def test_are_forgotten_with_the_next_fit(self, model, numbers):
        assert not hasattr(model.fit(*numbers), "feature_names_in_")


LARGE = np.random.default_rng(0).normal(size=(10_000, 40))  # 3.2 MB, 1.6 MB in float32


COPIED = {
    "Fortran order": (np.asfortranarray(LARGE), "float64 .*3.2 MB"),
    "Fortran order, float32": (np.asfortranarray(LARGE, np.float32), "float32 .*1.6 MB"),
    "int": (np.rint(LARGE).astype(np.int32), "float64 .*3.2 MB"),
    "pandas": (pd.DataFrame(dict(enumerate(LARGE.T))), "float64 .*3.2 MB"),
    "csc": (sp.csc_array(np.eye(10_000, 40)), "float64 .*MB"),
}
USED_AS_IT_IS = {
    "float64": LARGE,
    "float32": LARGE.astype(np.float32),
    "rows of a larger array": LARGE[100:9000],
    "csr": sp.csr_array(np.eye(10_000, 40)),
    "pandas, in C order": pd.DataFrame(LARGE, copy=False),
}


class TestCopy:
    """Data that cannot be used as it is costs memory, which is said."""

    def fit(self, X, verbose):
        y = np.arange(X.shape[0], dtype=float)
        return MiniBatchRegressor(max_iter=1, tol=None, verbose=verbose).fit(X, y)

    @pytest.mark.parametrize(
        "X, size", [pytest.param(*case, id=name) for name, case in COPIED.items()]
    )
    def test_is_stated_with_its_size(self, X, size, capsys, caplog):
        with caplog.at_level(logging.INFO, logger="gradstep"):
            self.fit(X, verbose=1)
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "copied" in line]
        (record,) = [record for record in caplog.records if "copied" in record.getMessage()]
        assert line == record.getMessage()
        assert re.match(f"X was copied to {size}", line)

    @pytest.mark.parametrize("X", [pytest.param(X, id=name) for name, X in USED_AS_IT_IS.items()])
    def test_that_is_none_is_not_stated(self, X, capsys, caplog):
        with caplog.at_level(logging.INFO, logger="gradstep"):
            self.fit(X, verbose=1)
        assert "copied" not in capsys.readouterr().err + caplog.text

    def test_goes_to_the_log_alone_without_verbose(self, capsys, caplog):
        with caplog.at_level(logging.INFO, logger="gradstep"):
            self.fit(np.asfortranarray(LARGE), verbose=0)
        captured = capsys.readouterr()
        assert captured.out + captured.err == ""
        assert "copied" in caplog.text


class TestDamagedCsr:
    """SciPy builds matrices whose indices lie outside of them; kernels would follow."""

    @pytest.mark.parametrize(
        "part, at, value",
        [
            ("indices", 2, 1_000_000),
            ("indices", 0, -1),
            ("indptr", 3, 1_000_000),
            ("indptr", 3, 0),
            ("indptr", 0, -4),
        ],
    )
    def test_is_refused(self, part, at, value):
        X = sp.csr_matrix(np.arange(1.0, 21.0).reshape(10, 2))
        model = MiniBatchRegressor(max_iter=1).fit(X, np.arange(10.0))
        getattr(X, part)[at] = value
        for call in (MiniBatchRegressor().fit, lambda X, _: model.predict(X)):
            with pytest.raises(InvalidData, match="is a damaged CSR matrix"):
                call(X, np.arange(10.0))


class TestLargeArraysThatAreNotFinite:
    """Statistics tell, so that X is not read once more; the message is that of small ones."""

    @pytest.fixture(autouse=True)
    def all_are_large(self, monkeypatch):
        monkeypatch.setattr("gradstep.estimators.inputs._WORTH_A_PASS", 1)

    @pytest.mark.parametrize("value, what", [(np.nan, "NaN"), (np.inf, "infinity")])
    @pytest.mark.parametrize(
        "settings, weight",
        [
            ({}, None),
            ({}, np.arange(40) % 8),  # 0 for the row, which no statistic is of
            ({"early_stopping": True}, None),  # row 8 is held out
            (BRIEF | {"optimizer": "sgd", "precondition": False}, None),  # no statistics
            (BRIEF | {"optimizer": "sgd", "learning_rate": "auto"}, None),
        ],
    )
    @pytest.mark.parametrize("kind", [MiniBatchRegressor, MiniBatchClassifier])
    def test_are_refused_by_row_and_column(self, kind, settings, weight, value, what):
        X = np.random.default_rng(0).normal(size=(40, 3))
        X[8, 2] = value
        model = kind(**{"random_state": 0} | settings)
        with pytest.raises(InvalidData, match=f"Input X contains {what}.* at row 8, column 2"):
            model.fit(X, np.arange(40) % 2, sample_weight=weight)

    def test_others_are_fitted_as_small_ones(self, monkeypatch):
        X = np.random.default_rng(0).normal(size=(40, 3))
        later = MiniBatchRegressor().fit(X, X[:, 0])
        monkeypatch.undo()
        np.testing.assert_array_equal(later.coef_, MiniBatchRegressor().fit(X, X[:, 0]).coef_)
