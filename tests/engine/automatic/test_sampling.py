"""How rows of a sample are drawn: what weighs most for certain, what is drawn unbiased."""

import numpy as np
import pytest

from gradstep.engine.automatic.sampling import _by_priority
from gradstep.engine.callbacks import History
from gradstep.engine.row_sums import RowSums
from gradstep.engine.state import Problem
from gradstep.engine.training import train
from gradstep.objective.penalties import L2
from gradstep.objective.regression import Poisson
from gradstep.optim.schedules import Constant
from gradstep.optim.solvers import SVRG
from gradstep.rows import shards
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows, TableRows
from tests.uncompiled import uncompiled


def test_sums_of_what_is_drawn_are_unbiased():
    rng = np.random.default_rng(0)
    chances = rng.pareto(1.0, 200) + 0.1
    values = chances * rng.uniform(0.5, 1.5, 200)
    found = []
    for _ in range(500):
        at, counts = _by_priority(chances, 40, rng)
        assert at.size == 40
        assert np.all(np.diff(at) > 0)
        found.append(float((values[at] * counts).sum()))
    error = np.std(found) / np.sqrt(500)
    assert abs(np.mean(found) - values.sum()) < 4.0 * error


def test_what_weighs_most_is_drawn_once_and_counts_for_itself():
    chances = np.array([1e6, *np.ones(100)])
    at, counts = _by_priority(chances, 10, np.random.default_rng(0))
    assert at[0] == 0
    assert counts[0] == 1.0
    np.testing.assert_allclose(counts[1:], counts[1])


def test_all_are_drawn_where_there_are_no_more():
    at, counts = _by_priority(np.array([1.0, 5.0]), 3, np.random.default_rng(0))
    assert at.tolist() == [0, 1]
    assert counts.tolist() == [1.0, 1.0]


def test_those_of_the_largest_priorities_are_drawn():
    chances = np.random.default_rng(0).pareto(1.0, 50_000) + 0.1
    for rows in (1, 40, 3000, 30_000):
        at, counts = _by_priority(chances, rows, np.random.default_rng(1))
        priorities = chances / (1.0 - np.random.default_rng(1).random(chances.size))
        first = np.argsort(-priorities)
        np.testing.assert_array_equal(at, np.sort(first[:rows]))
        np.testing.assert_array_equal(
            counts, np.maximum(1.0, priorities[first[rows]] / chances[at])
        )


def test_a_rough_diagonal_is_of_some_shards_that_have_all_features(monkeypatch):
    monkeypatch.setattr(shards, "_SHARD_BYTES", 1 << 14)
    rng = np.random.default_rng(0)
    values, codes = rng.normal(size=(4000, 2)), 2 + rng.integers(0, 3, (4000, 1)).astype(np.int32)
    y, at, widths = np.ones((4000, 1)), np.zeros(7), np.array([[1e-4], [1.0]])
    found = {}
    for name in ("all levels", "a rare level"):
        data = Dataset(TableRows(values, codes.copy(), 6), y, shuffled=True)
        data.rows.codes[500 if name == "a rare level" else slice(0, 4000, 9)] = 5
        with RowSums(data, 1) as sums:
            rough = sums.rough_hessian_diagonal(Poisson(), at, widths)
            found[name] = rough, sums.rows_read, sums.hessian_diagonal(Poisson(), at, widths)
    rough, read, whole = found["all levels"]
    assert read <= 1100
    np.testing.assert_allclose(rough, whole, rtol=0.2)
    rough, read, whole = found["a rare level"]
    assert read > 4000
    np.testing.assert_array_equal(rough, whole)


@uncompiled
def test_rows_are_weighed_by_their_second_derivatives():
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(50, 3)), rng.uniform(0.5, 2.0, 50)
    params = np.array([0.3, -0.2, 0.1, 0.4])
    data = Dataset(DenseRows(X), rng.poisson(1.0, (50, 1)).astype(float), weight)
    shift, scale = X.mean(axis=0), np.array([1.0, 2.0, 3.0])
    widths = np.array([[1e-4], [1.0]])
    with RowSums(data, 1) as sums:
        at = np.arange(0, 50, 2, dtype=np.uint32)
        plain = sums.row_squares(at, shift, scale)
        both = sums.row_squares(at, shift, scale, (Poisson(), widths, params))
    squares = (((X - shift) * scale) ** 2).sum(axis=1)[at]
    second = weight[at] * np.exp(X[at] @ params[:3] + params[3])
    np.testing.assert_allclose(plain, squares[:, None])
    np.testing.assert_allclose(both, np.column_stack([squares, second * squares]), rtol=1e-6)


@pytest.mark.slow
def test_few_passes_where_few_rows_decide():
    rng = np.random.default_rng(0)
    n, p = 140_000, 70
    X = rng.standard_t(3, (n, p))
    z = 0.4 * (X @ rng.normal(size=p)) / np.sqrt(p)
    y = rng.poisson(np.exp(np.clip(z, -3.0, 3.0))).astype(float)
    problem = Problem(
        loss=Poisson(), penalty=L2(1e-4), optimizer=SVRG(), schedule=Constant(0.1),
        n_features=p, batch_size=0, max_epochs=30, tol=1e-10,
    )  # fmt: skip
    history = History()
    train(problem, Dataset(DenseRows(X), y[:, None]), problem.start(), callbacks=[history])
    records = history.records
    least = min(record.loss for record in records)
    gap = y.mean() * (1.0 - np.log(y.mean())) - least
    assert next(r.passes for r in records if r.loss - least <= 1e-8 * gap) <= 10.0
