"""Softmax is blind to a shift of all scores: its intercepts are those that sum to zero."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import gradstep
from gradstep import MiniBatchClassifier

X, Y = load_iris(return_X_y=True)


@pytest.mark.parametrize("tol", [1e-3, 1e-8])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix], ids=["dense", "sparse"])
def test_they_sum_to_zero(form, tol):
    model = MiniBatchClassifier(tol=tol).fit(form(X), Y)
    assert abs(model.intercept_.sum()) <= 1e-11 * np.abs(model.intercept_).max()


def test_of_a_table_as_well():
    frame = pl.DataFrame({f"x{j}": X[:, j] for j in range(4)} | {"y": Y.astype(str)})
    frame = frame.with_columns(level=pl.Series(np.arange(150) % 3).cast(pl.String))
    model = gradstep.fit_table(frame, "y", validation=0.0).model
    assert abs(model.intercept_.sum()) <= 1e-11 * np.abs(model.intercept_).max()


def test_they_are_those_of_scikit_learn():
    ours = MiniBatchClassifier(tol=1e-10, alpha=1e-2, penalty_scale="unit").fit(X, Y)
    theirs = LogisticRegression(C=1.0 / (1e-2 * len(Y)), tol=1e-10, max_iter=10_000).fit(X, Y)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-4)
