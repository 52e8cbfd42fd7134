"""The default goes to the optimum: the coefficients of scikit-learn's exact solvers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import linear_model as lm
from sklearn.preprocessing import StandardScaler

from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.automatic.method import Automatic
from tests.estimators.rivals import (
    CONDITIONS,
    FEATURES,
    NEAR,
    RARE,
    RIVALS,
    assert_at_optimum,
    assert_near,
    rows,
    solved,
)
from tests.slow import slow
from tests.uncompiled import compiled_if


class TestCoefficients:
    @pytest.mark.parametrize("name", compiled_if(lambda name: name not in RARE, RIVALS))
    @pytest.mark.parametrize("condition", CONDITIONS)
    def test_are_those_of_scikit_learn(self, name, condition):
        self.compare(RIVALS[name], condition)

    @pytest.mark.parametrize("name", compiled_if({"Ridge", "logistic"}.__contains__, RIVALS))
    def test_of_sparse_rows(self, name):
        self.compare(RIVALS[name], 1e2, layout="csr")

    @pytest.mark.parametrize(
        "name", compiled_if(lambda name: name not in RARE | {"Poisson", "softmax"}, RIVALS)
    )
    def test_of_weighted_rows(self, name):
        self.compare(RIVALS[name], 1e2, weighted=True)

    @pytest.mark.parametrize(
        "name, layout",
        compiled_if(
            lambda case: case[0] not in RARE if case[1] == "dense" else case[0] == "Ridge",
            product(
                (n for n, rival in RIVALS.items() if len(rival.fit_intercept) == 2),
                ["dense", "csr"],
            ),
        ),
    )
    def test_without_an_intercept(self, name, layout):
        self.compare(RIVALS[name], 1e2, layout=layout, fit_intercept=False)

    @staticmethod
    def compare(rival, condition, *, layout="dense", weighted=False, fit_intercept=None):
        if fit_intercept is None:
            fit_intercept = rival.fit_intercept[0]
        X, y, weight = rows(rival, condition, layout=layout)
        weight = weight if weighted else None
        coef, intercept = solved(rival, X, y, weight, fit_intercept=fit_intercept)
        model = rival.ours(fit_intercept=fit_intercept).fit(X, y, sample_weight=weight)
        assert_at_optimum(model)
        assert_near(model.coef_, coef, X)
        assert np.array_equal(np.atleast_2d(model.coef_) == 0.0, coef == 0.0)
        apart = model.intercept_ - intercept
        if rival.classes > 2:
            apart -= apart.mean()
        spread = np.abs(X @ coef.T).max()
        np.testing.assert_allclose(apart, 0.0, atol=NEAR * spread * fit_intercept)

    def test_of_several_targets(self):
        rival = RIVALS["Ridge"]
        X, y, _ = rows(rival, 1e2)
        Y = np.column_stack([y, X @ np.arange(FEATURES) + y**2])
        model = rival.ours().fit(X, Y)
        assert_at_optimum(model)
        for coef, target in zip(model.coef_, Y.T, strict=True):
            assert_near(coef, solved(rival, X, target)[0], X)

    def test_some_are_zero_under_l1(self):
        for name in ("Lasso", "logistic, l1", "logistic, l1, liblinear", "softmax, l1"):
            rival = RIVALS[name]
            zeros = rival.ours().fit(*rows(rival, 1.0)[:2]).coef_ == 0.0
            assert 0 < zeros.sum() < zeros.size


class TestKindsOfSteps:
    """However epochs go, they go to the same place."""

    @pytest.fixture
    def kinds(self, monkeypatch):
        """Collect how epochs go."""
        seen, first, advance = [], Automatic._first, Automatic._advance

        def noted(how, method, state):
            result = how(method, state)
            if result[1] is not None and not method._is_sample:
                seen.append(result[1])
            return result

        monkeypatch.setattr(Automatic, "_first", lambda *a: noted(first, *a))
        monkeypatch.setattr(Automatic, "_advance", lambda *a: noted(advance, *a))
        return seen

    @pytest.mark.parametrize("condition", [*slow(1.0), 1e4])
    @pytest.mark.parametrize("name", ["logistic", *slow("Ridge", "Poisson")])
    def test_quasi_newton_steps(self, kinds, name, condition):
        rival = RIVALS[name]
        X, y, _ = rows(rival, condition, n=12_500, p=200)
        model = rival.ours().fit(X, y)
        assert set(kinds) == {StepKind.QUASI_NEWTON}
        assert_at_optimum(model)
        assert_near(model.coef_, solved(rival, X, y)[0], X)

    @pytest.mark.slow
    def test_quasi_newton_steps_from_the_solution_of_a_sample(self, kinds):
        rival = RIVALS["logistic"]
        X, y, weight = rows(rival, 1e4, n=75_000, p=100)
        model = rival.ours().fit(X, y, sample_weight=weight)
        assert (kinds[0], {*kinds[1:]}) == (StepKind.SAMPLE, {StepKind.QUASI_NEWTON})
        assert_at_optimum(model)
        assert_near(model.coef_, solved(rival, X, y, weight)[0], X)

    @pytest.mark.parametrize("name", ["logistic", "softmax", "Poisson", "logistic, l1"])
    def test_newton_steps_from_the_solution_of_a_sample(self, kinds, name):
        rival = RIVALS[name]
        X, y, _ = rows(rival, 1e2, n=8000)
        model = rival.ours().fit(X, y)
        assert (kinds[0], {*kinds[1:]}) == (StepKind.SAMPLE, {StepKind.NEWTON})
        assert_at_optimum(model)
        assert_near(model.coef_, solved(rival, X, y)[0], X)

    @pytest.mark.parametrize("name", ["Ridge", "logistic"])
    def test_more_features_than_a_matrix_is_made_for(self, kinds, name):
        rival = RIVALS[name]._replace(alpha=0.02)
        rng = np.random.default_rng(0)
        X = sp.random_array((4000, 2500), density=0.005, rng=rng, data_sampler=rng.normal)
        X = X.tocsr()
        score = X @ rng.normal(size=2500)
        y = score + rng.normal(size=4000)
        y = (y > 0.0).astype(int) if rival.classes else y
        theirs = (
            lm.LogisticRegression(C=1.0 / (4000 * 0.02), tol=1e-12, max_iter=10_000)
            if rival.classes
            else lm.Ridge(4000 * 0.02, solver="sparse_cg", tol=1e-13)
        )
        model = rival.ours(fit_intercept=False).fit(X, y)
        assert {*kinds} == {StepKind.QUASI_NEWTON}
        assert_at_optimum(model)
        assert_near(model.coef_, theirs.set_params(fit_intercept=False).fit(X, y).coef_, X)


class TestPenaltyScale:
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("fit_intercept", [True, False])
    @pytest.mark.parametrize(
        "name",
        compiled_if(
            "Poisson".__ne__, ["Ridge", "softmax", "Poisson", "ElasticNet", "logistic, l1"]
        ),
    )
    def test_of_deviations_is_the_penalty_behind_a_standard_scaler(
        self, name, fit_intercept, weighted
    ):
        rival = RIVALS[name]
        X, y, weight = rows(rival, 1e2)
        X, weight = X * 10.0 ** np.arange(-4, 4), weight if weighted else None
        scaler = StandardScaler(with_mean=fit_intercept).fit(X, sample_weight=weight)
        own = {"fit_intercept": fit_intercept}
        behind = rival.ours(**own).fit(scaler.transform(X), y, sample_weight=weight)
        model = rival.ours(penalty_scale="deviation", **own).fit(X, y, sample_weight=weight)
        assert_at_optimum(model)
        coef = np.atleast_2d(behind.coef_) / scaler.scale_
        assert_near(model.coef_, coef, X)
        mean = scaler.mean_ if fit_intercept else np.zeros(FEATURES)
        np.testing.assert_allclose(model.intercept_, behind.intercept_ - coef @ mean, rtol=1e-6)

    @pytest.mark.parametrize("name", ["Ridge", "logistic, l1"])
    def test_of_sparse_columns_is_one(self, name):
        rival = RIVALS[name]
        X, y, _ = rows(rival, 1e2, layout="csr")
        unit, deviation = (
            rival.ours(penalty_scale=scale).fit(X, y).coef_ for scale in ("unit", "deviation")
        )
        np.testing.assert_array_equal(unit, deviation)
