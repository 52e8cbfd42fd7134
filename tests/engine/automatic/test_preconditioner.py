"""A preconditioner with a large matrix, whose factor is in single precision where that tells it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradstep.engine.automatic.l1_minimum import LARGE
from gradstep.engine.automatic.preconditioner import Preconditioner
from gradstep.engine.automatic.state import Matrices
from gradstep.engine.blas import cholesky
from gradstep.rows.layouts import DenseRows

Q = LARGE + 6


def model(hessian, *, whole, ridge=1e-3, rows=None):
    """Return the preconditioner of one output and a matrix, with an l2 penalty but no l1."""
    rows = DenseRows(np.zeros((1, Q - 1))) if rows is None else rows
    of = SimpleNamespace(
        k=1, q=Q, l1=np.zeros(Q), ridge=np.full(Q, ridge), has_l1=False, constraints=None,
        problem=SimpleNamespace(fit_intercept=True), data=SimpleNamespace(rows=rows),
    )  # fmt: skip
    return Preconditioner(of, Matrices(hessian[None], np.zeros(Q), whole))


def wanted(hessian, gradient, ridge=1e-3):
    """Return minus the inverse of matrix and penalty times the gradient."""
    return -np.linalg.solve(hessian + ridge * np.eye(Q), gradient[0])


@pytest.fixture
def features():
    """Rows of independent features of very different sizes."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(4 * Q, Q)) * 10.0 ** rng.uniform(-2, 2, Q)


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1.0, 1e30, 1e200])
def test_the_matrix_of_a_sample_is_solved_in_single_precision(features, size):
    hessian = features.T @ features / len(features)
    gradient = size * np.random.default_rng(1).normal(size=(1, Q))
    found = model(hessian, whole=False).direction(gradient)[0]
    exact = wanted(hessian, gradient)
    unit = np.sqrt(1.0 / np.diag(hessian))
    assert np.abs((found - exact) / unit).max() < 1e-4 * np.abs(exact / unit).max()
    assert np.abs((found - exact) / unit).max() > 1e-10 * np.abs(exact / unit).max()


@pytest.mark.parametrize("kind", [{"whole": True}, {"whole": False, "rows": object()}])
def test_that_of_all_rows_or_of_levels_is_solved_in_double(features, kind):
    hessian = features.T @ features / len(features)
    gradient = np.random.default_rng(1).normal(size=(1, Q))
    found = model(hessian, **kind).direction(gradient)[0]
    np.testing.assert_allclose(found, wanted(hessian, gradient), rtol=1e-9)


def test_so_is_one_whose_features_nearly_depend_on_each_other(features):
    features[:, 7] = features[:, 3] + 0.01 * features[:, 7]
    features /= np.sqrt(np.mean(features**2, axis=0))
    hessian = features.T @ features / len(features)
    gradient = np.random.default_rng(1).normal(size=(1, Q))
    found = model(hessian, whole=False, ridge=1e-9).direction(gradient)[0]
    np.testing.assert_allclose(found, wanted(hessian, gradient, 1e-9), rtol=1e-6)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("number", [np.nan, np.inf, -1.0, 0.0])
def test_what_has_no_factor_gets_none(single, number):
    matrix = np.eye(5)
    matrix[3, 3] = number
    assert cholesky(matrix, 1e-12, single=single) is None
    matrix[:] = number
    assert cholesky(matrix, 1e-12, single=single) is None
