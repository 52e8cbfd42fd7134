"""Lazy steps cost what a batch touches, and are taken where that is less."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from gradstep.engine.textbook.steps import UpdateKind, update_kind
from gradstep.objective.penalties import L1, L2, NoPenalty
from gradstep.optim import schedules
from gradstep.optim.optimizers import FTRL, SGD, AdaGrad, Adam, Momentum, Nesterov
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import CsrRows, DenseRows
from tests.engine.cases import csr, dense, fit, problem, regression
from tests.engine.kernels.lazy import SPARSE, TABLE, VARYING, assert_equal, force
from tests.uncompiled import uncompiled


class Counting(NamedTuple):
    """Not an optimizer: counts the steps of each weight, and how often it was caught up."""

    def n_slots(self):
        return 2

    def step(self, penalty, params, gradient, slots, lo, hi, at):
        for j in range(lo, hi):
            slots[0, j] += 1.0

    def clock_shape(self, period):
        return 1, 1

    def tick(self, penalty, clock, now, at):
        return True

    def idle(self, penalty, params, gradient, slots, j, clock, since, now):
        slots[1, j] += 1.0


class TestCost:
    @uncompiled
    @pytest.mark.parametrize("layout", ["csr", "table"])
    def test_does_not_grow_with_the_features(self, layout):
        """The same rows, among a hundred times as many features."""
        rows = SPARSE.rows if layout == "csr" else TABLE.rows
        stepped, caught_up = [], []
        for width in (rows.width, 100 * rows.width):
            data = Dataset(rows._replace(width=width), SPARSE.y)
            of = problem(data, optimizer=Counting(), fit_intercept=False, max_epochs=2)
            with pytest.MonkeyPatch.context() as patch:
                force(patch, UpdateKind.LAZY)
                state, _, _ = fit(of, data)
            stepped.append(state.slots[0].sum())
            # at the end of an epoch, all that are not up to date are brought there
            caught_up.append(state.slots[1].sum() - 2 * (width - rows.width))
        assert stepped[0] == stepped[1] > 0
        assert caught_up[0] == caught_up[1] > 0

    @pytest.mark.parametrize("rows", [SPARSE.rows, TABLE.rows], ids=["csr", "table"])
    def test_lists_each_feature_once(self, rows):
        matrix = np.zeros((rows.n_rows, rows.width), bool)
        for i in range(rows.n_rows):
            if isinstance(rows, CsrRows):
                matrix[i, rows.columns[rows.starts[i] : rows.starts[i + 1]]] = True
            else:
                matrix[i, :3] = True
                matrix[i, [code for code in rows.codes[i] if code >= 0]] = True
        order = np.random.default_rng(1).permutation(rows.n_rows).astype(np.uint32)
        since = np.arange(rows.width) % 5
        marks, features, before = since.copy(), *np.full((2, rows.width + 1), -1)
        n = rows.list_touched(order, 10, 30, marks, 7, features, before)
        wanted = np.flatnonzero(matrix[order[10:30]].any(axis=0))
        np.testing.assert_array_equal(np.sort(features[:n]), wanted)
        np.testing.assert_array_equal(before[:n], since[features[:n]])
        np.testing.assert_array_equal(np.flatnonzero(marks == 7), wanted)
        assert rows.n_touched(20) >= n / 2


class OwnPenalty(NamedTuple):
    def value(self, w):
        return 0.0 * w

    def prox(self, x, step):
        return x


class TestWhichWay:
    def wide(self, rows, touched):
        return rows._replace(width=touched)

    @pytest.mark.parametrize(
        "optimizer, penalty, changes, way",
        [
            (AdaGrad(), L2(), {}, UpdateKind.LAZY),
            (Momentum(), L1(), {}, UpdateKind.LAZY),
            (SGD(), L1(), {}, UpdateKind.LAZY),
            (SGD(), L2(), {}, UpdateKind.IN_PLACE),
            (SGD(), NoPenalty(), {}, UpdateKind.IN_PLACE),
            (FTRL(), L1(), {}, UpdateKind.LAZY),
            (FTRL(), L1(), {"schedule": schedules.Exponential()}, UpdateKind.LAZY),
            (FTRL(), L1(), {"schedule": VARYING}, UpdateKind.PLAIN),
            (FTRL(), NoPenalty(), {"schedule": VARYING}, UpdateKind.LAZY),
            (AdaGrad(), L2(), {"schedule": VARYING}, UpdateKind.LAZY),
            (AdaGrad(), L2(), {"average_from": 1}, UpdateKind.PLAIN),
            (SGD(), L2(), {"average_from": 1}, UpdateKind.PLAIN),
            (Adam(), L2(), {}, UpdateKind.PLAIN),
            (Nesterov(), L1(), {}, UpdateKind.PLAIN),
            (AdaGrad(), OwnPenalty(), {}, UpdateKind.PLAIN),
            (SGD(), OwnPenalty(), {}, UpdateKind.PLAIN),
        ],
    )
    @pytest.mark.parametrize("data", [SPARSE, TABLE], ids=["csr", "table"])
    def test_with_many_features(self, data, optimizer, penalty, changes, way):
        of = problem(data, optimizer=optimizer, penalty=penalty, **changes)
        assert update_kind(of, data.rows._replace(width=10_000), 8) is way

    @pytest.mark.parametrize("data", [SPARSE, TABLE], ids=["csr", "table"])
    def test_depends_on_what_a_batch_touches(self, data):
        touched = data.rows.n_touched(8)
        for optimizer, penalty, many, way, else_way in (
            (AdaGrad(), L2(), 16, UpdateKind.LAZY, UpdateKind.PLAIN),
            (SGD(), L2(), 4, UpdateKind.IN_PLACE, UpdateKind.PLAIN),
        ):
            of = problem(data, optimizer=optimizer, penalty=penalty)
            enough = data.rows._replace(width=many * touched)
            fewer = data.rows._replace(width=many * touched - 1)
            assert update_kind(of, enough, 8) is way
            if not (way is UpdateKind.IN_PLACE and data is SPARSE):  # there it always pays
                assert update_kind(of, fewer, 8) is else_way
                assert update_kind(of, enough, 9) is else_way

    def test_dense_rows(self):
        rows = DenseRows(np.ones((3, 10_000)))
        of = problem(Dataset(rows, np.ones((3, 1))), optimizer=AdaGrad())
        assert update_kind(of, rows, 1) is UpdateKind.PLAIN

    @uncompiled
    def test_as_it_comes(self):
        """Without a patch: few rows of many features, and the same as dense ones."""
        wide = regression(40, 4000, layout=csr, density=0.001, weighted=True)
        full = regression(40, 4000, layout=dense, density=0.001, weighted=True)
        of = problem(wide, optimizer=SGD(), penalty=L1(0.1), batch_size=4)
        assert update_kind(of, wide.rows, 4) is UpdateKind.LAZY
        assert_equal(fit(of, wide), fit(of, full), within=1e-8)
