"""Which kind of step is taken, and how many rows samples have: functions of sizes alone."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from gradstep.engine.automatic.choice import (
    StepKind,
    can_take_newton_steps,
    has_factors,
    hessian_rows,
    rule_for,
    sample_rows,
)
from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.objective.classification import Hinge, LogLoss, OneVsRest, Softmax
from gradstep.objective.penalties import L1, L2, Scaled
from gradstep.objective.regression import Pinball, Poisson
from gradstep.optim.solvers import Exact
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows
from gradstep.rows.statistics import Columns
from tests.engine.automatic.problems import problem
from tests.engine.cases import csr, matrix

FEW, ENOUGH, MANY = 10**4, 2 * 10**5, 10**8  # rows of 100 parameters


def sizes(n, q, products=None):
    """Return a problem that is known by its sizes alone."""
    products = q * q if products is None else products
    return SimpleNamespace(
        q=q, products=products, data=SimpleNamespace(n=n), wants_exact=False, quadratic=False
    )


@pytest.mark.parametrize(
    "n, hessian, solved", [(FEW, 2000, 0), (ENOUGH, 10_000, 10_000), (MANY, 40_000, 10_000)]
)
def test_a_sample_is_small_beside_a_pass(n, hessian, solved):
    of = sizes(n, 100)
    assert hessian_rows(of) == hessian
    assert sample_rows(of, StepKind.QUASI_NEWTON) == solved


@pytest.mark.parametrize(
    "of, solved",
    [
        (sizes(500_000, 31), 400 * 31),  # as many as the Hessian of its steps has
        (sizes(100_000, 31), 100_000 // 16),  # a small part of all
        (sizes(500_000, 51), 7_689),  # its Hessian takes a millisecond
        (sizes(600_000, 301, 968), 100 * 301),  # else Newton steps would not solve it
        (sizes(10**8, 20_001, 83_232), 40 * 20_001),
        (sizes(10_000, 6), 2_000),  # at least
        (sizes(7_000, 6), 0),
    ],
)
def test_a_sample_that_is_solved_has_more_rows_where_they_are_cheap(of, solved):
    assert sample_rows(of, StepKind.QUASI_NEWTON) == solved


def test_it_grows_smoothly():
    rows = [hessian_rows(sizes(n, 100)) for n in range(2000, 10**6, 1000)]
    assert rows == sorted(rows)
    assert all(later - before <= 250 for before, later in pairwise(rows))


def even(p):
    """Return what is known of columns without rows that are far out."""
    return Columns(1.0, np.zeros(p), np.ones(p), np.full(p, -4.0), np.full(p, 4.0))


def way(n, p, k=1, layout=None, columns=None, **changes):
    """Return the way of rows that are all one, which takes no memory."""
    rows = DenseRows(np.broadcast_to(np.zeros((1, 1)), (n, p))) if layout is None else layout
    data = Dataset(rows, np.zeros((n, 1)))
    columns = Columns.unmeasured(p) if columns is None else columns
    return rule_for(ScaledProblem(problem(data, n_outputs=k, **changes), data, columns)).kind


class TestChoice:
    @pytest.mark.parametrize("n, p, changes, expected", [
        (10, 5, {}, StepKind.NEWTON),
        (10**6, 60, {}, StepKind.NEWTON),  # few features: no matter how many rows
        (10**6, 60, {"loss": LogLoss()}, StepKind.QUASI_NEWTON),
        (10**6, 5, {"loss": LogLoss()}, StepKind.QUASI_NEWTON),
        (5000, 60, {"loss": LogLoss()}, StepKind.NEWTON),  # little data
        (90_000, 70, {}, StepKind.NEWTON),
        (10**6, 70, {"loss": LogLoss()}, StepKind.QUASI_NEWTON),
        (10**6, 70, {"loss": Poisson()}, StepKind.QUASI_NEWTON),
        (10**6, 70, {"optimizer": Exact()}, StepKind.NEWTON),
        (10**6, 70, {"loss": Pinball()}, StepKind.NEWTON),  # slopes jump
        (10**6, 70, {"penalty": L1(0.1)}, StepKind.NEWTON),
        (20_000, 600, {}, StepKind.NEWTON),  # few rows a feature, and one step is the last
        (20_000, 1000, {}, StepKind.QUASI_NEWTON),  # a Hessian in single precision
        (20_000, 1000, {"penalty": L2(1e-7)}, StepKind.NEWTON),
        (20_000, 1000, {"loss": LogLoss()}, StepKind.QUASI_NEWTON),
        (10**6, 2000, {"loss": LogLoss()}, StepKind.QUASI_NEWTON),
        (10, 2000, {}, StepKind.NEWTON),  # fewer rows than features
        (10, 2000, {"loss": LogLoss()}, StepKind.NEWTON),
        (10, 2000, {"penalty": L2(0.0)}, StepKind.NEWTON),  # least squares, one step
        (1500, 2000, {"loss": LogLoss()}, StepKind.QUASI_NEWTON),  # a step costs many passes
        (10, 2000, {"loss": LogLoss(), "penalty": L2(0.0)}, StepKind.QUASI_NEWTON),
        (4000, 1000, {}, StepKind.NEWTON),  # too little data to gain by single precision
        (3000, 2000, {}, StepKind.QUASI_NEWTON),
        (3000, 2000, {"penalty": L2(1e-7)}, StepKind.NEWTON),
        (10, 2000, {"penalty": L1(0.1)}, StepKind.WORKING_SET),
        (10, 2000, {"loss": Hinge(), "penalty": L1(0.1)}, StepKind.VARIANCE_REDUCED),
        (10**6, 2000, {"penalty": L1(0.1)}, StepKind.VARIANCE_REDUCED),  # no room for a copy
        (10, 2000, {"penalty": Scaled(L1(0.1), 1.0)}, StepKind.VARIANCE_REDUCED),
        (10, 5, {"penalty": Scaled(L2(0.1), 1.0)}, StepKind.VARIANCE_REDUCED),
        (10**6, 5, {"loss": Softmax(), "k": 4}, StepKind.QUASI_NEWTON),
        (10**4, 5, {"loss": Softmax(), "k": 4}, StepKind.NEWTON),
        (10**6, 500, {"loss": Softmax(), "k": 4}, StepKind.QUASI_NEWTON),
        (10**6, 500, {"loss": Softmax(), "k": 4, "penalty": L1(0.1)}, StepKind.VARIANCE_REDUCED),
        (10**6, 500, {"loss": OneVsRest(LogLoss()), "k": 4, "penalty": L1(0.1)}, StepKind.NEWTON),
    ])  # fmt: skip
    def test_follows_from_sizes(self, n, p, changes, expected):
        assert way(n, p, columns=even(p), **changes) is expected

    @pytest.mark.parametrize("p", [1000, 2000])
    def test_a_row_far_out_asks_for_double_precision(self, p):
        columns = even(p)
        columns.high[3] = 0.5 * math.sqrt(20_000)
        assert way(20_000, p, columns=even(p)) is StepKind.QUASI_NEWTON
        assert way(20_000, p, columns=columns) is StepKind.NEWTON

    def test_of_softmax_follows_from_all_its_parameters_together(self):
        rows = DenseRows(np.broadcast_to(np.zeros((1, 1)), (10**6, 500)))
        data = Dataset(rows, np.zeros((10**6, 1)))
        of = ScaledProblem(problem(data, n_outputs=4, loss=Softmax()), data, even(500))
        assert has_factors(of)
        assert not can_take_newton_steps(of)

    @pytest.mark.parametrize(
        "p, classes, changes, expected",
        [(63, 8, {}, False), (64, 8, {}, True), (4, 200, {}, True),
         (64, 8, {"penalty": L1(0.01)}, False), (200, 6, {"penalty": L1(0.01)}, False)],
    )  # fmt: skip
    def test_of_softmax_takes_one_hessian_of_few_parameters_or_with_l1(
        self, p, classes, changes, expected
    ):
        rows = DenseRows(np.broadcast_to(np.zeros((1, 1)), (10**6, p)))
        data = Dataset(rows, np.zeros((10**6, 1)))
        made = problem(data, n_outputs=classes, loss=Softmax(), **changes)
        assert has_factors(ScaledProblem(made, data, even(p))) is expected

    def test_of_sparse_rows_follows_from_what_they_have(self):
        sparse = csr(matrix(3000, 1500, density=0.002))
        assert way(3000, 1500, layout=sparse, loss=LogLoss()) is StepKind.NEWTON
        assert way(3000, 1500, loss=LogLoss()) is StepKind.QUASI_NEWTON
