"""Rows with terms train as the dense rows that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.objective.penalties import L1
from gradstep.optim import optimizers
from gradstep.optim.schedules import Constant
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import TermRows
from tests.engine.cases import csr, fit, problem
from tests.uncompiled import uncompiled

N, NUMBERS, LEVELS, SPLINES = 61, 2, 4, 7
WIDTH = NUMBERS + LEVELS + SPLINES
OPTIMIZERS = [
    optimizers.SGD(),
    optimizers.Momentum(),
    optimizers.AdaGrad(),
    optimizers.Adam(),
    optimizers.FTRL(),
]


def terms(n=N, dtype=np.float64):
    """Return rows of numbers, a code, and four neighbouring places; some are none."""
    rng = np.random.default_rng(0)
    first = NUMBERS + LEVELS + rng.integers(0, SPLINES - 3, n)
    places = (first[:, None] + np.arange(4)).astype(np.int32)
    places[rng.random(n) < 0.2] = -1
    codes = (NUMBERS + rng.integers(-1, LEVELS, (n, 1))).astype(np.int32)
    codes[codes < NUMBERS] = -1
    amounts = rng.normal(size=(n, 4)).astype(dtype)
    return TermRows(rng.normal(size=(n, NUMBERS)).astype(dtype), codes, places, amounts, WIDTH)


def matrix(rows):
    X = np.zeros((rows.n_rows, rows.width))
    X[:, :NUMBERS] = rows.values
    for at, amounts in ((rows.codes, np.ones(rows.codes.shape)), (rows.places, rows.amounts)):
        row, q = np.nonzero(at >= 0)
        X[row, at[row, q]] = amounts[row, q]
    return X


def both(rows, k=1):
    rng = np.random.default_rng(1)
    y = rng.normal(size=(rows.n_rows, 1)) if k == 1 else rng.integers(0, k, (rows.n_rows, 1))
    weight = rng.integers(1, 4, rows.n_rows).astype(float)
    return [Dataset(each, y.astype(float), weight) for each in (rows, csr(matrix(rows)))]


def check_same(optimizer, dtype):
    mine, theirs = both(terms(dtype=dtype))
    of = {"optimizer": optimizer, "penalty": L1(0.01), "schedule": Constant(0.02)}
    found, expected = (fit(problem(data, **of), data)[0] for data in (mine, theirs))
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.slots, expected.slots, rtol=1e-12, atol=1e-12)


@uncompiled
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_every_optimizer(optimizer, dtype):
    check_same(optimizer, dtype)


@pytest.mark.slow  # that layouts compile, each fit of a table with terms shows
def test_compiled():
    check_same(optimizers.SGD(), np.float64)


def test_lists_the_features_of_rows_once():
    rows, some = terms(), np.array([30, 2, 2, 17, 60], np.uint32)
    since, features, before = (np.zeros(WIDTH + 1, np.int32) for _ in range(3))
    n = rows.list_touched(some, 0, 5, since, 7, features, before)
    present = matrix(rows)[some].any(axis=0)
    present[:NUMBERS] = True
    assert sorted(features[:n].tolist()) == np.flatnonzero(present).tolist()
    assert n <= rows.n_touched(5)


def test_copies():
    rows, some = terms(dtype=np.float32), np.array([30, 2, 2, 17, 60], np.uint32)
    room = rows.room_for(some, None)
    rows.copy_rows(some, 1, 4, room)
    np.testing.assert_array_equal(matrix(room.part(0, 3)), matrix(rows)[some[1:4]])
    assert rows.room_for(some[:2], room) is room
