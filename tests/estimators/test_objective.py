"""The objective never rises, and comes close to its least value, also where slopes jump."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog

from benchmarks.no_tuning.objective import Objective, deviations
from gradstep import MiniBatchRegressor
from tests.estimators.rivals import FEATURES, RARE, RIVALS, ROWS, TOL, Rival, rows
from tests.uncompiled import compiled_if


class TestObjective:
    """What is told of the objective is so."""

    @staticmethod
    def followed(rival, n=ROWS, p=FEATURES, condition=1e2, **options):
        """Fit; return the true objective of each epoch, what was told of it, and the problem."""

        class Follows:
            def on_epoch_end(self, event):
                seen.append(event.params.copy())
                told.append(event.record)

        seen, told = [], []
        X, y, _ = rows(rival, condition, n=n, p=p)
        model = rival.ours(callbacks=[Follows()], **options).fit(X, y)
        scale = np.ones(X.shape[1]) if model.penalty_scale == "unit" else deviations(X)
        objective = Objective(
            X, y, rival.loss, rival.penalty, scale, rival.classes,
            alpha=rival.alpha, l1_ratio=rival.l1_ratio,
        )  # fmt: skip
        true = [objective.value(*objective.split(params)) for params in seen]
        assert told == model.history_
        assert true[-1] == pytest.approx(objective.value_of(model), rel=1e-13)
        return np.array(true), told, objective

    @pytest.mark.parametrize(
        "name, n",
        [
            *product(["hinge", "pinball"], [ROWS]),
            ("pinball", 3000),
            pytest.param("hinge", 3000, marks=pytest.mark.slow),
            pytest.param("epsilon_insensitive", ROWS, marks=pytest.mark.slow),
            pytest.param("epsilon_insensitive", 3000, marks=pytest.mark.slow),
            *compiled_if(lambda case: case[0] not in RARE, product(RIVALS, [ROWS, 3000])),
        ],
    )
    @pytest.mark.parametrize("scale", ["unit", "deviation"])
    def test_never_rises_and_is_below_the_best_constants(self, name, scale, n):
        classes = 2 if name == "hinge" else 0
        rival = RIVALS.get(name) or Rival(name, lambda _: None, classes=classes)
        tol = TOL if name in RIVALS else 1e-3
        true, told, objective = self.followed(rival, n, penalty_scale=scale, tol=tol)
        rounding = 1e-13 * objective.of_constant
        np.testing.assert_allclose([record.loss for record in told], true, rtol=1e-10)
        assert np.diff(true).max(initial=-np.inf) <= rounding
        assert true[0] < objective.of_constant
        passes = [record.passes for record in told]
        assert passes == sorted(passes)
        assert passes[0] > 0.0

    @pytest.mark.parametrize(
        "n, p", [(3000, 10), pytest.param(12_500, 200, marks=pytest.mark.slow)]
    )
    @pytest.mark.parametrize(
        "name", ["logistic", "Poisson", pytest.param("gamma", marks=pytest.mark.slow)]
    )
    def test_is_within_a_millionth_of_its_fall_by_default(self, name, n, p):
        """F is about tol² of its fall above its least: for tol=1e-3, some millionths."""
        rival = RIVALS[name]
        true, told, objective = self.followed(rival, n, p, tol=1e-3)
        least = self.followed(rival, n, p)[0][-1]
        assert told[-1].optimality <= 1e-3
        assert true[-1] - least <= 4e-6 * (objective.of_constant - least)

    @pytest.mark.slow
    def test_is_within_a_millionth_of_its_fall_where_columns_are_correlated_and_many(self):
        """A diagonal tells too little of what is left: what the last epochs gained tells more."""
        rng = np.random.default_rng(0)
        n, p = 2000, 1100
        spectrum, axes = np.geomspace(1.0, 0.1, p), np.linalg.qr(rng.normal(size=(p, p)))[0]
        X = (rng.normal(size=(n, p)) * spectrum) @ axes
        y = X @ rng.normal(size=p) + rng.normal(size=n)
        rough, fine = (MiniBatchRegressor(tol=tol).fit(X, y) for tol in (1e-3, 1e-5))
        assert rough.outcome_.name == fine.outcome_.name == "OPTIMAL"
        own, least = (model.history_[-1].loss for model in (rough, fine))
        assert own - least <= 4e-6 * (0.5 * y.var() - least)

    def test_optimality_is_the_root_of_what_is_left_of_the_fall(self):
        rival = RIVALS["Ridge"]
        true, told, objective = self.followed(rival, 12_500, 200)
        left = (true - true[-1]) / (objective.of_constant - true[-1])
        far = left > 1e-9
        optimality = np.array([record.optimality for record in told])
        assert far.sum() >= 3
        # in the metric of a sample: its curvatures are some per cent off
        np.testing.assert_allclose(optimality[far] ** 2, left[far], rtol=0.3)


class TestJumps:
    """Losses whose slope jumps: with l1 their optimum is that of a linear programme."""

    ALPHA = 0.02

    @staticmethod
    def least(loss, X, y):
        """Return the least objective."""
        n = len(X)
        if loss == "hinge":  # 1 - y z <= u
            sign, rest, cost = -y, -np.ones(n), np.ones(n)
            above, limit = np.c_[sign[:, None] * X, sign], rest
            return TestJumps._programme([above], [limit], cost)
        share, free = (0.8, 0.0) if loss == "pinball" else (None, 0.1)
        low, high = (share, 1.0 - share) if share else (1.0, 1.0)
        z = np.c_[X, np.ones(n)]
        return TestJumps._programme(
            [-low * z, high * z], [low * (free - y), high * (free + y)], np.ones(n)
        )

    @staticmethod
    def _programme(above, limits, cost, alpha=None):
        """Minimise mean(u) + alpha |w| over u >= 0 and above·(w, b) - u <= limit."""
        n, p = len(cost), above[0].shape[1] - 1
        A = np.vstack([np.c_[a, -a[:, :p], -np.eye(n)] for a in above])
        each = np.full(p, TestJumps.ALPHA if alpha is None else alpha)
        c = np.r_[each, 0.0, each, cost / n]
        bounds = [(0, None)] * p + [(None, None)] + [(0, None)] * (p + n)
        return linprog(c, A, np.concatenate(limits), bounds=bounds).fun

    @pytest.mark.parametrize(
        "loss, n",
        [
            ("hinge", 150),
            ("pinball", 150),
            pytest.param("pinball", 2400, marks=pytest.mark.slow),
            pytest.param("epsilon_insensitive", 150, marks=pytest.mark.slow),
            pytest.param("hinge", 2400, marks=pytest.mark.slow),
            pytest.param("epsilon_insensitive", 2400, marks=pytest.mark.slow),
        ],
    )
    def test_are_solved_to_a_hundredth_of_the_fall(self, loss, n):
        classes = 2 if loss == "hinge" else 0
        rival = Rival(loss, lambda _: None, "l1", self.ALPHA, classes=classes)
        X, y, _ = rows(rival._replace(loss="squared_error"), 1e2, n=n)
        options = {} if classes else {"quantile": 0.8}
        model = rival.ours(tol=1e-3, **options).fit(X, y)
        quantile = 0.8 if loss == "pinball" else None
        objective = Objective(
            X, y, loss, "l1", np.ones(FEATURES), classes, alpha=self.ALPHA, parameter=quantile
        )
        least = self.least(loss, X, 2.0 * y - 1.0 if classes else y)
        found = objective.value_of(model)
        assert least <= found * (1.0 + 1e-9)
        assert found - least <= 0.01 * (objective.of_constant - least)
        assert (model.converged_, model.outcome_.name) == (True, "CONVERGED")
        assert model.history_[-1].optimality is None

    @pytest.mark.slow
    @pytest.mark.parametrize("n, share, low", [(2000, 0.2, 0.502), (2000, 0.1, 0.505)])
    def test_are_solved_where_little_beats_the_best_constant(self, n, share, low):
        """Ratings: the way from steps that smoothing has led astray is followed to its end."""
        group, at = np.arange(n) < share * n, np.arange(n)
        inside, outside = at / group.sum(), (at - group.sum()) / (~group).sum()
        others = np.where(outside < 0.3, 2.0, np.where(outside < 0.75, 3.0, 4.0))
        y = np.where(group, np.where(inside < low, 2.0, 3.0), others)
        X = np.column_stack([group, np.random.default_rng(0).random((n, 2)) < 0.4]).astype(float)
        model = MiniBatchRegressor(loss="epsilon_insensitive", penalty=None).fit(X, y)
        z = np.c_[X, np.ones(n)]
        least = self._programme([-z, z], [0.1 - y, 0.1 + y], np.ones(n), alpha=0.0)

        def objective(scores):
            return np.maximum(np.abs(y - scores) - 0.1, 0.0).mean()

        constant = min(objective(score) for score in (2.1, 2.9, 3.1))
        assert constant - least < 2e-3 * constant
        assert objective(model.predict(X)) - least <= 0.01 * (constant - least)
