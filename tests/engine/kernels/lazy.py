"""Runs by lazy and by plain steps, and rows of which a batch touches few features."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from gradstep.engine.textbook import steps
from gradstep.engine.textbook.steps import UpdateKind
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty
from gradstep.optim.optimizers import FTRL, SGD, AdaGrad, Momentum
from gradstep.optim.schedules import Constant, Cosine, InvScaling, WarmUp
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import TableRows
from tests.engine.cases import classes, csr, fit, regression

OPTIMIZERS = [SGD(), Momentum(), AdaGrad(), FTRL()]
PENALTIES = [NoPenalty(), L1(0.02), L2(0.3), ElasticNet(0.1, 0.3)]
# Each optimizer with one penalty, on weighted rows of a CSR matrix: one is compiled, in the slow
# tests another, whose formula is the longest.
SOME_PAIRS = [*zip(OPTIMIZERS, (*PENALTIES[1:], NoPenalty()), strict=True)]
COMPILED = SOME_PAIRS[:1]
ALL_PAIRS = [*product(OPTIMIZERS, PENALTIES)]
OTHER_PAIRS = [*zip(OPTIMIZERS, reversed(PENALTIES), strict=True)]
VARYING = WarmUp(Cosine(0.05), epochs=0.5)
RATES = [Constant(0.05), InvScaling(0.05, 0.3), VARYING]


def table(n=120, columns=4, categories=20, seed=0, k=1):
    """Return rows of three numbers and four codes, some of which are none, with k targets."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, categories, (n, columns)) + np.arange(columns) * categories + 3
    codes[rng.random(codes.shape) < 0.1] = -1
    rows = TableRows(rng.normal(size=(n, 3)), codes.astype(np.int32), 3 + columns * categories)
    return Dataset(rows, rng.normal(size=(n, k)))


SPARSE = regression(120, 80, layout=csr, density=0.05, weighted=True)
TWO = regression(120, 80, k=2, layout=csr, density=0.05, weighted=True)
TABLE = table()
CLASSES = classes(120, 60, layout=csr, density=0.06)


def force(patch, way):
    patch.setattr(steps, "update_kind", lambda *_: way)


def both(of, data, **options):
    """Train by plain and by lazy steps."""
    found = []
    for way in (UpdateKind.PLAIN, UpdateKind.LAZY):
        with pytest.MonkeyPatch.context() as patch:
            force(patch, way)
            found.append(fit(of, data, **options))
    return found


def assert_equal(one, other, within=1e-9):
    """States and records of two runs: equal relative to the largest number of their kind."""
    (ours, outcome, told), (theirs, other_outcome, other_told) = one, other
    assert outcome is other_outcome
    for name in ("params", "slots", "counters", "sums"):
        a, b = getattr(ours, name), getattr(theirs, name)
        for row, same in zip(np.atleast_2d(a), np.atleast_2d(b), strict=True):
            np.testing.assert_allclose(row, same, rtol=within, atol=within * np.abs(same).max())
    zeros = (ours.params == 0.0) != (theirs.params == 0.0)
    assert np.abs(ours.params - theirs.params)[zeros].max(initial=0.0) < 1e-12
    np.testing.assert_allclose(
        [record[1] for record in told], [record[1] for record in other_told], rtol=within
    )
