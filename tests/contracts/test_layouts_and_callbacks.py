"""What every row layout and every callback of the tables must do."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from gradstep import MiniBatchRegressor
from gradstep.rows.layouts import Rows
from tests.contracts.callbacks import CALLBACKS
from tests.contracts.rows import ROWS

every_layout = pytest.mark.parametrize("case", ROWS.values(), ids=[c.__name__ for c in ROWS])
every_callback = pytest.mark.parametrize(
    "case, make",
    [
        pytest.param(case, make, id=f"{cls.__name__}-{i}")
        for cls, case in CALLBACKS.items()
        for i, make in enumerate(case.make)
    ],
)


@pytest.fixture(name="X")
def matrix():
    """A matrix with zeros, an empty row and an empty column."""
    rng = np.random.default_rng(0)
    X = np.where(rng.random((13, 5)) < 0.6, rng.normal(size=(13, 5)), 0.0)
    X[4] = 0.0
    X[:, 2] = 0.0
    return X


@every_layout
def test_a_layout_knows_its_size_and_its_rows(case, X):
    rows = case.make(X)
    assert isinstance(rows, Rows)
    assert (rows.n_rows, rows.n_features) == X.shape
    assert rows.row_bytes() > 0
    assert rows.tile_rows() >= 1
    np.testing.assert_array_equal(case.matrix(rows), X)
    np.testing.assert_allclose(rows.square_norms(), (X**2).sum(axis=1))


@every_layout
def test_a_layout_gives_rows_in_another_order(case, X):
    order = np.array([12, 4, 4, 0, 7], dtype=np.uint32)
    np.testing.assert_array_equal(case.matrix(case.make(X).take(order)), X[order])


@every_layout
def test_a_layout_without_features_has_as_many_rows(case, X):
    empty = case.make(X).without_features()
    assert (empty.n_rows, empty.n_features) == (13, 0)
    z = np.empty(3)
    empty.tile_scores(np.arange(3, dtype=np.uint32), 0, 3, np.array([7.0]), 1, z)
    assert z.tolist() == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("k", [1, 3])
@every_layout
def test_scores_and_gradient_are_products_with_the_matrix(case, X, k):
    """Of a part of an order, so that the tiles' offsets count."""
    rng, lo, hi = np.random.default_rng(1), 2, 11
    order = rng.permutation(13).astype(np.uint32)
    W, b, slopes = rng.normal(size=(k, 5)), rng.normal(size=k), rng.normal(size=(hi - lo, k))
    params, rows, part = np.append(W, b), case.make(X), X[order[lo:hi]]

    z = np.empty((hi - lo, k))
    rows.tile_scores(order, lo, hi, params, k, z.reshape(-1))
    np.testing.assert_allclose(z, part @ W.T + b, rtol=1e-13, atol=1e-13)

    gradient = np.ones(params.size)  # added to, not overwritten
    rows.add_gradient(order, lo, hi, slopes.reshape(-1), k, gradient)
    expected = 1.0 + np.append(slopes.T @ part, slopes.sum(axis=0))
    np.testing.assert_allclose(gradient, expected, rtol=1e-13, atol=1e-13)


def fitted(callback):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = X @ [1.0, -2.0] + 0.1 * rng.normal(size=40)
    model = MiniBatchRegressor(max_iter=8, tol=None, learning_rate=0.05, callbacks=[callback])
    return model.fit(X, y)


@every_callback
def test_a_callback_changes_no_weight(case, make):
    """A run that it cuts short has the weights of a shorter run."""
    model = fitted(make())
    plain = MiniBatchRegressor(max_iter=model.n_iter_, tol=None, learning_rate=0.05)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    plain.fit(X, X @ [1.0, -2.0] + 0.1 * rng.normal(size=40))
    np.testing.assert_array_equal(model.coef_, plain.coef_)


@every_callback
def test_a_callback_starts_afresh_with_every_fit(case, make):
    callback, results = make(), []
    for _ in range(2):
        epochs = fitted(callback).n_iter_
        results.append((epochs, case.seen(callback)))
    assert results[0] == results[1]


@every_callback
def test_a_callback_survives_copies_and_pickles(case, make):
    epochs = fitted(make()).n_iter_
    used = make()
    fitted(used)
    for copied in (copy.deepcopy(used), pickle.loads(pickle.dumps(used))):
        assert fitted(copied).n_iter_ == epochs
