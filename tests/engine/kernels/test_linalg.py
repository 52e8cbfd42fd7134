"""Factors, solutions and quadratic problems with l1 are SciPy's and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet, Lasso

from gradstep.engine.kernels.linalg import factor, minimise_quadratic, solve
from tests.engine.cases import SOME

SWEEPS = 20_000
sizes, seeds = st.integers(1, 12), st.integers(0, 10_000)


def to_unit_diagonal(M):
    size = np.sqrt(np.diag(M))
    M = M / np.outer(size, size)
    M[np.diag_indices_from(M)] = 1.0
    return M


def positive_definite(q, seed, condition=1e3):
    """Return a matrix with a unit diagonal whose eigenvalues were that far apart."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(q, q)))[0]
    return to_unit_diagonal(Q @ np.diag(np.geomspace(1.0, condition, q)) @ Q.T)


def gram(X):
    return to_unit_diagonal(X.T @ X / len(X))


def factored(M, ridge=0.0):
    """Return the factor, and how many columns depend on others; junk above the diagonal stays."""
    lower = np.tril(M) + ridge * np.eye(len(M)) + np.triu(np.full(M.shape, np.nan), 1)
    dependent = factor(lower)
    assert np.isnan(lower[np.triu_indices_from(lower, 1)]).all()
    return np.tril(np.nan_to_num(lower, nan=0.0, posinf=np.inf)), dependent


def solved(lower, b):
    x = b.copy()
    solve(lower, x)
    return x


class TestFactor:
    @given(q=sizes, seed=seeds, ridge=st.sampled_from([0.0, 1e-6, 0.3]))
    @SOME
    def test_is_that_of_scipy(self, q, seed, ridge):
        M = positive_definite(q, seed)
        lower, dependent = factored(M, ridge)
        assert dependent == 0
        expected = scipy.linalg.cholesky(M + ridge * np.eye(q), lower=True)
        np.testing.assert_allclose(lower, expected, rtol=1e-10, atol=1e-12)

    @given(q=sizes, seed=seeds, condition=st.sampled_from([1.0, 1e4, 1e8]))
    @SOME
    def test_solves_to_rounding_whatever_the_condition(self, q, seed, condition):
        M = positive_definite(q, seed, condition)
        b = np.random.default_rng(seed).normal(size=q)
        lower, _ = factored(M)
        x = solved(lower, b)
        assert np.abs(M @ x - b).max() <= 1e-13 * q * (np.abs(M) @ np.abs(x) + np.abs(b)).max()
        expected = scipy.linalg.solve(M, b, assume_a="pos")
        np.testing.assert_allclose(x, expected, rtol=0.0, atol=1e-14 * condition * np.abs(x).max())

    def test_a_hilbert_matrix_is_solved_as_far_as_numbers_go(self):
        """Of sixteen columns, the last ones depend on the others to rounding."""
        M = to_unit_diagonal(scipy.linalg.hilbert(16))
        lower, dependent = factored(M)
        assert 0 < dependent < 6
        b = M @ np.ones(16)
        assert np.abs(M @ solved(lower, b) - b).max() < 1e-8


class TestDependentColumns:
    """Get zeros, and the others are solved for as if these were not there."""

    @given(seed=seeds, kinds=st.lists(st.sampled_from("nnnz=+"), min_size=1, max_size=10))
    @SOME
    def test_are_counted_and_left_at_zero(self, seed, kinds):
        """New columns, those of zeros, copies (times -3), and sums of two before."""
        rng = np.random.default_rng(seed)
        columns, free = [], []
        for kind in kinds:
            if kind == "z":
                columns.append(np.zeros(30))
            elif kind == "n" or not free:
                free.append(len(columns))
                columns.append(rng.normal(size=30))
            else:
                one, other = (columns[i] for i in rng.choice(free, 2))
                columns.append(-3.0 * one if kind == "=" else one + 2.0 * other)
        X = np.column_stack(columns)
        M = X.T @ X
        unit = np.where(np.diag(M) > 0.0, 1.0 / np.sqrt(np.maximum(np.diag(M), 1e-300)), 0.0)
        M *= np.outer(unit, unit)
        lower, dependent = factored(M)
        bound = np.setdiff1d(np.arange(len(kinds)), free)
        assert dependent == bound.size
        b = M @ rng.normal(size=len(kinds))
        x = solved(lower, b)
        assert not x[bound].any()
        np.testing.assert_allclose(M @ x, b, atol=1e-10 * (1.0 + np.abs(b).max(initial=0.0)))

    def test_all_of_them(self):
        lower, dependent = factored(np.zeros((3, 3)))
        assert dependent == 3
        np.testing.assert_array_equal(solved(lower, np.ones(3)), 0.0)

    def test_a_ridge_frees_them(self):
        M = np.ones((3, 3))
        lower, dependent = factored(M, 0.1)
        assert dependent == 0
        expected = np.linalg.solve(M + 0.1 * np.eye(3), [1.0, 2.0, 3.0])
        np.testing.assert_allclose(solved(lower, np.array([1.0, 2.0, 3.0])), expected, rtol=1e-12)


def minimum(M, g, l1=0.0, ridge=0.0, start=None, sweeps=SWEEPS):
    q = g.size
    x = np.zeros(q) if start is None else start.copy()
    minimise_quadratic(
        M, g, x, np.broadcast_to(l1, q) * 1.0, np.broadcast_to(ridge, q) * 1.0, sweeps
    )
    return x


def assert_optimal(x, M, g, l1, ridge, tolerance=1e-9):
    """Zero lies in the subgradient, written out."""
    slope = g + M @ x + ridge * x
    l1 = np.broadcast_to(l1, x.size)
    size = tolerance * (1.0 + np.abs(g).max())
    there = x != 0.0
    assert np.all(np.abs(slope + l1 * np.sign(x))[there] <= size)
    assert np.all(np.abs(slope[~there]) <= l1[~there] + size)


def value(x, M, g, l1, ridge):
    return g @ x + 0.5 * x @ M @ x + 0.5 * np.sum(ridge * x * x) + np.sum(l1 * np.abs(x))


# Columns that look alike, of which l1 takes few.
def correlated(n, p, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) + 2.0 * rng.normal(size=(n, 1))
    w = np.where(rng.random(p) < 0.4, rng.normal(size=p), 0.0)
    return X, X @ w + rng.normal(size=n)


class TestMinimiseQuadratic:
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("n, p", [(60, 20), (25, 40)])
    @pytest.mark.parametrize("share", [1.0, 0.5])
    def test_is_the_lasso_of_scikit_learn(self, n, p, share, seed):
        X, y = correlated(n, p, seed)
        M, g = X.T @ X / n, -X.T @ y / n
        alpha = 0.1 * np.abs(g).max()
        options = {"alpha": alpha, "fit_intercept": False, "tol": 1e-14, "max_iter": 1_000_000}
        model = Lasso(**options) if share == 1.0 else ElasticNet(l1_ratio=share, **options)
        expected = model.fit(X, y).coef_
        x = minimum(M, g, share * alpha, (1.0 - share) * alpha)
        np.testing.assert_allclose(x, expected, atol=1e-5 * np.abs(expected).max())
        np.testing.assert_array_equal(x == 0.0, expected == 0.0)
        assert 0 < np.count_nonzero(x) < p

    @given(
        q=sizes, seed=seeds, condition=st.sampled_from([1.0, 30.0, 1e3]),
        strength=st.floats(0.0, 1.0), ridge=st.sampled_from([0.0, 0.01]), warm=st.booleans(),
    )  # fmt: skip
    @SOME
    def test_is_optimal_from_wherever_it_starts(self, q, seed, condition, strength, ridge, warm):
        rng = np.random.default_rng(seed)
        M, g = positive_definite(q, seed, condition), rng.normal(size=q)
        l1 = np.where(rng.random(q) < 0.3, 0.0, strength * rng.random(q))  # some have none
        x = minimum(M, g, l1, ridge, 10.0 * rng.normal(size=q) if warm else None)
        assert_optimal(x, M, g, l1, ridge)

    @given(
        levels=st.lists(st.integers(2, 8), min_size=1, max_size=4), seed=seeds,
        strength=st.sampled_from([1e-6, 1e-4, 1e-2]), warm=st.booleans(),
    )  # fmt: skip
    # Half of a category above zero and half below: along what joins its levels, next to no slope.
    @example(levels=[2, 7, 6, 2], seed=5466, strength=1e-6, warm=False)
    # One level after the other comes to zero, and lets another one move.
    @example(levels=[8, 7, 2, 8], seed=4602, strength=1e-6, warm=True)
    # A zero wants to move by less than the value can tell; or is one, but for 1e-14.
    @example(levels=[4], seed=8888, strength=1e-6, warm=True)
    @example(levels=[6, 2], seed=4372, strength=1e-6, warm=False)
    @SOME
    def test_of_levels_that_depend_on_each_other_takes_few_sweeps(
        self, levels, seed, strength, warm
    ):
        """Centred, the levels of a category add up to nothing; what l1 saves is slow to find."""
        rng, n = np.random.default_rng(seed), 400
        codes = [rng.integers(0, k, n) for k in levels]
        X = np.column_stack(
            [(c[:, None] == np.arange(k)) * 1.0 for c, k in zip(codes, levels, strict=True)]
            + [rng.normal(size=(n, 2))]
        )
        X -= X.mean(axis=0)
        X /= X.std(axis=0) + 1e-300
        y = X @ rng.normal(size=X.shape[1]) + rng.normal(size=n)
        M, g = X.T @ X / n, -X.T @ y / n
        x = 3.0 * rng.normal(size=g.size) * warm
        assert minimise_quadratic(M, g, x, np.full(g.size, strength), np.zeros(g.size), 256)
        assert_optimal(x, M, g, strength, 0.0, tolerance=1e-8)

    def test_a_coordinate_that_is_wanted_late_is_taken(self):
        """It is zero after the first sweep, and the others are done after the second."""
        M, g = np.array([[1.0, 0.9], [0.9, 1.0]]), np.array([-0.05, -1.0])
        x = minimum(M, g, 0.1)
        np.testing.assert_allclose(x, np.linalg.solve(M, -g - [-0.1, 0.1]), rtol=1e-12)

    @given(q=sizes, seed=seeds)
    @SOME
    def test_without_l1_it_is_the_solution(self, q, seed):
        M, g = positive_definite(q, seed), np.random.default_rng(seed).normal(size=q)
        np.testing.assert_allclose(minimum(M, g), np.linalg.solve(M, -g), rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("seed", range(4))
    def test_copies_of_columns_share_what_one_would_have(self, seed):
        X, y = correlated(50, 6, seed)
        twice = np.column_stack([X, X])
        M, g = gram(X), -X.T @ y / 50 / np.sqrt(np.mean(X**2, axis=0))
        l1 = 0.1 * np.abs(g).max()
        both = gram(twice)
        x, g2 = minimum(both, np.tile(g, 2), l1), np.tile(g, 2)
        assert_optimal(x, both, g2, l1, 0.0)
        alone = minimum(M, g, l1)
        np.testing.assert_allclose(x[:6] + x[6:], alone, atol=1e-7 * np.abs(alone).max())

    def test_enough_l1_leaves_nothing(self):
        M, g = positive_definite(9, 0), np.random.default_rng(0).normal(size=9)
        start = np.random.default_rng(1).normal(size=9)
        np.testing.assert_array_equal(minimum(M, g, 1.01 * np.abs(g), start=start), 0.0)

    def test_a_column_of_zeros_stays_where_it_is(self):
        M = np.diag([1.0, 0.0, 1.0])
        x = minimum(M, np.array([-1.0, 0.0, 2.0]), 0.5)
        np.testing.assert_allclose(x, [0.5, 0.0, -1.5], rtol=1e-15)

    @pytest.mark.parametrize("alpha", [1e-2, 1e-4])
    def test_of_columns_far_from_zero_is_optimal(self, alpha):
        """More of them than rows, nearly collinear: coordinate descent leads next to nowhere."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(55, 119))
        y = X[:, :20] @ rng.normal(size=20) / 4
        X += 1e3 * rng.uniform(size=119)
        unit = 1.0 / np.sqrt(np.einsum("ij,ij->j", X, X) / 55)
        X *= unit
        w = minimum(X.T @ X / 55, -X.T @ y / 55, alpha * unit)
        rest = (y - X @ w) / 55
        primal = 0.5 * 55 * rest @ rest + alpha * unit @ np.abs(w)
        rest *= min(1.0, 1.0 / np.abs(X.T @ rest / (alpha * unit)).max())
        dual = rest @ y - 0.5 * 55 * rest @ rest
        assert dual <= primal <= dual + 1e-5 * primal

    def test_never_ends_above_its_start(self):
        """Even of a matrix that is nearly singular, after few sweeps."""
        rng = np.random.default_rng(0)
        M = to_unit_diagonal(scipy.linalg.hilbert(20) + 1e-13 * np.eye(20))
        for sweeps in (8, 64, SWEEPS):
            g, start = M @ rng.normal(size=20), rng.normal(size=20)
            x = minimum(M, g, 0.01, start=start, sweeps=sweeps)
            assert value(x, M, g, 0.01, 0.0) <= value(start, M, g, 0.01, 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_of_two_columns_that_are_one_the_penalised_has_no_weight(seed):
    """As a constant column beside an intercept: all slopes vanish, also that of a dependent one."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(40, 6)) @ np.diag(10.0 ** rng.uniform(-3.0, 3.0, 6))
    A[:, -1] = A[:, 2]
    own = np.sqrt((A * A).sum(axis=0))
    A, l1 = A / own, 0.01 / own
    l1[-1] = 0.0
    M, g = A.T @ A, -A.T @ rng.normal(size=40) / 40.0
    x = rng.normal(size=6)
    x[-1] = 0.0
    assert minimise_quadratic(M, g, x, l1, np.zeros(6), 256)
    assert x[2] == 0.0
    slope = g + M @ x
    assert abs(slope[-1]) < 1e-9
    assert (np.abs(slope) <= l1 + 1e-9).all()
