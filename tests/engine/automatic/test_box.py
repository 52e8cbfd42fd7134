"""The minimum of a quadratic model in a box, beside SciPy's and the conditions of optimality."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from gradstep.engine.automatic.box import minimum_within
from tests.examples import examples

INF = np.inf


def problem(seed, q, rank):
    """Return a matrix with a diagonal of ones, a linear part, and a box with corners at zero."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(rank, q)) @ (np.eye(q) + 0.6 * rng.normal(size=(q, q)))
    rows /= np.sqrt((rows**2).sum(axis=0))
    low = np.where(rng.random(q) < 0.5, rng.choice([0.0, -0.5, 0.3], q), -INF)
    high = np.where(rng.random(q) < 0.5, low + rng.choice([0.0, 0.4, 2.0], q), INF)
    high = np.where(np.isnan(high) | (high == -INF), rng.choice([0.0, 1.0, -0.2], q), high)
    return rows, rows.T @ rng.normal(size=rank), low, high, np.clip(np.zeros(q), low, high)


def is_minimum(matrix, linear, x, low, high, l1):
    """Check the conditions of optimality (Karush, Kuhn, Tucker) of each coordinate."""
    slope, little = matrix @ x + linear, 1e-8
    up, down = slope + np.where(x >= 0.0, l1, -l1), slope + np.where(x > 0.0, l1, -l1)
    inside = (low <= x) & (x <= high)
    return inside.all() and ((up >= -little) | (x >= high)).all() and (
        (down <= little) | (x <= low)
    ).all()  # fmt: skip


@examples(60)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([0.0, 0.05, 0.4]))
def test_meets_the_conditions_of_optimality(seed, q, strength):
    rows, linear, low, high, start = problem(seed, q, q + 3)
    l1 = np.where(np.arange(q) % 3 == 0, 0.0, strength)
    x, solved = minimum_within(rows.T @ rows, linear, start, low, high, l1)
    assert solved
    assert is_minimum(rows.T @ rows, linear, x, low, high, l1)


@pytest.mark.parametrize("seed", range(5))
def test_is_that_of_scipy(seed):
    rows, linear, low, high, start = problem(seed, 9, 14)
    target = -np.linalg.lstsq(rows.T, linear, rcond=None)[0]
    loose = np.where(low == high, high + 1e-9, high)  # SciPy wants room
    theirs = lsq_linear(rows, target, (low, loose), method="bvls", tol=1e-15).x
    found, _ = minimum_within(rows.T @ rows, linear, start, low, high, np.zeros(9))
    np.testing.assert_allclose(found, theirs, atol=2e-8)


def test_of_columns_that_depend_on_each_other_is_one_of_the_minima():
    rows, linear, *_ = problem(3, 4, 9)
    rows, linear = np.hstack([rows, rows]), np.tile(linear, 2)
    matrix, nothing = rows.T @ rows, np.zeros(8)
    x, _ = minimum_within(matrix, linear, nothing, nothing, np.full(8, INF), nothing)
    assert is_minimum(matrix, linear, x, nothing, np.full(8, INF), nothing)


@pytest.mark.parametrize("seed", range(8))
def test_under_l1_columns_that_depend_on_each_other_share_what_costs_least(seed):
    rows, linear, *_ = problem(seed, 4, 9)
    rows = np.hstack([rows, rows, (rows[:, :1] - rows[:, 1:2]) / 2.0])
    rng = np.random.default_rng(seed)
    low, high = rng.choice([-INF, -0.4, 0.1], 9), rng.choice([INF, 0.2, 0.6], 9)
    matrix, linear, l1 = rows.T @ rows, rows.T @ rng.normal(size=9), np.full(9, 0.2)
    l1[rng.random(9) < 0.3] = 0.05
    start = np.clip(rng.normal(size=9), low, high)
    x, solved = minimum_within(matrix, linear, start, low, high, l1)
    assert solved
    assert is_minimum(matrix, linear, x, low, high, l1)


def test_what_has_no_curvature_stays():
    matrix = np.diag([1.0, 0.0])
    x, solved = minimum_within(
        matrix, np.array([-2.0, 0.0]), np.array([0.0, 0.7]), np.zeros(2), np.ones(2), np.zeros(2)
    )
    assert solved
    assert x.tolist() == [1.0, 0.7]
