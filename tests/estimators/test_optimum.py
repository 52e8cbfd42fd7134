"""The default goes to the optimum: the coefficients of scikit-learn's exact solvers."""

from __future__ import annotations

import warnings
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog
from sklearn import linear_model as lm
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from benchmarks.no_tuning.objective import Objective, deviations
from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.engine.automatic.choice import StepKind
from gradstep.engine.automatic.method import Automatic
from tests.slow import slow
from tests.uncompiled import compiled_if

if TYPE_CHECKING:
    from collections.abc import Callable

NEAR, TOL = 1e-6, 1e-8
EXACT = {"optimizer": "svrg", "tol": TOL, "penalty_scale": "unit"}
CONDITIONS = [1.0, 1e2, 1e4]
ROWS, FEATURES = 400, 8


class Rows(NamedTuple):
    """Features, targets, and weights that are not all alike."""

    X: Any
    y: Any
    weight: Any


class Rival(NamedTuple):
    """Our settings, and the exact solver of scikit-learn for the sum of the rows' weights."""

    loss: str
    theirs: Callable[[float], Any]
    penalty: str | None = "l2"
    alpha: float = 1e-3
    l1_ratio: float = 0.15
    classes: int = 0
    fit_intercept: tuple[bool, ...] = (True, False)

    def ours(self, **options):
        """Return our estimator."""
        kind = MiniBatchClassifier if self.classes else MiniBatchRegressor
        own = {"penalty": self.penalty, "alpha": self.alpha, "l1_ratio": self.l1_ratio}
        return kind(self.loss, **{**EXACT, **own, **options})


def logistic(total, *, alpha=1e-3, **options):
    settings = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 100_000, **options}
    return lm.LogisticRegression(C=1.0 / (total * alpha), **settings)


def glm(kind, _, **options):
    return kind(alpha=1e-3, solver="newton-cholesky", tol=1e-12, max_iter=1000, **options)


def descent(l1_ratio, _):
    kind = partial(lm.ElasticNet, l1_ratio=l1_ratio) if l1_ratio < 1.0 else lm.Lasso
    return kind(alpha=0.02, tol=1e-15, max_iter=1_000_000)


saga = partial(logistic, solver="saga", tol=1e-11, alpha=0.01)
# liblinear penalises the intercept, too: it is exact without one.
liblinear = partial(logistic, solver="liblinear", tol=1e-12, random_state=0)

RIVALS = {
    "Ridge": Rival("squared_error", lambda n: lm.Ridge(n * 1e-3, solver="cholesky")),
    "logistic": Rival("log_loss", logistic, classes=2),
    "softmax": Rival("log_loss", logistic, classes=4),
    "Poisson": Rival("poisson", partial(glm, lm.PoissonRegressor)),
    "gamma": Rival("gamma", partial(glm, lm.GammaRegressor)),
    "Tweedie": Rival(
        "tweedie", partial(glm, partial(lm.TweedieRegressor, power=1.5, link="log"))
    ),
    "ElasticNet": Rival("squared_error", partial(descent, 0.15), "elasticnet", 0.02),
    "Lasso": Rival("squared_error", partial(descent, 1.0), "l1", 0.02),
    "logistic, l1": Rival(
        "log_loss", partial(saga, l1_ratio=1.0), "l1", 0.01, classes=2, fit_intercept=(True,)
    ),
    "logistic, l1, liblinear": Rival(
        "log_loss", partial(liblinear, l1_ratio=1.0, alpha=0.01), "l1", 0.01, classes=2,
        fit_intercept=(False,),
    ),
    "logistic, elasticnet": Rival(
        "log_loss", partial(saga, l1_ratio=0.4), "elasticnet", 0.01, 0.4, classes=2,
        fit_intercept=(True,),
    ),
    "softmax, l1": Rival(
        "log_loss", partial(saga, l1_ratio=1.0), "l1", 0.01, classes=3, fit_intercept=(True,)
    ),
    "squared hinge": Rival(
        "squared_hinge",
        lambda n: LinearSVC(C=1.0 / (2.0 * n * 1e-3), dual=False, tol=1e-13, max_iter=10_000),
        alpha=2e-3, classes=2, fit_intercept=(False,),
    ),
}  # fmt: skip


def columns(condition, n=ROWS, p=FEATURES):
    """Return columns whose covariance has about that condition, on random axes."""
    rng = np.random.default_rng([int(condition), p])
    axes = np.linalg.qr(rng.normal(size=(p, p)))[0]
    return rng, (rng.normal(size=(n, p)) * condition ** -np.linspace(0.0, 0.5, p)) @ axes


def rows(rival, condition, *, layout="dense", n=ROWS, p=FEATURES):
    """Return rows that suit a loss; half of the weights that made them are zero."""
    rng, X = columns(condition, n, p)
    if layout == "csr":
        X = np.where(rng.random(X.shape) < 0.6, X, 0.0)
    score = X[:, ::2] @ rng.normal(size=(p + 1) // 2)
    score /= score.std()
    if layout == "dense":
        X = X + 2.0 * rng.normal(size=p) * X.std(axis=0)
    if rival.classes:
        noisy = score + rng.logistic(size=n)
        y = np.searchsorted(np.quantile(noisy, np.arange(1, rival.classes) / rival.classes), noisy)
        y = (y * 5) % rival.classes if rival.classes > 2 else y
    elif rival.loss == "squared_error":
        y = score + rng.normal(size=n)
    elif rival.loss == "poisson":
        y = rng.poisson(np.exp(score)).astype(float)
    else:
        y = rng.gamma(2.0, np.exp(score)) + 1e-3
    weight = rng.exponential(size=n) * (rng.random(n) < 0.9)
    return Rows(sp.csr_array(X) if layout == "csr" else X, y, weight)


def in_deviations(W, X):
    """Return weights in deviations of the columns, without what softmax does not see."""
    W = np.atleast_2d(W) * (X.toarray() if sp.issparse(X) else X).std(axis=0)
    return W - W.mean(axis=0) if W.shape[0] > 1 else W


def assert_near(ours, theirs, X, near=NEAR):
    ours, theirs = in_deviations(ours, X), in_deviations(theirs, X)
    assert np.abs(ours - theirs).max() <= near * np.abs(theirs).max()


def assert_at_optimum(model):
    assert model.converged_
    assert model.outcome_.name == "OPTIMAL"
    assert model.history_[-1].optimality <= TOL


def solved(rival, X, y, weight=None, *, fit_intercept=True):
    """Return scikit-learn's solution on centred columns, where it keeps more of its digits."""
    X = X.toarray() if sp.issparse(X) else X
    mean = X.mean(axis=0) * fit_intercept
    total = len(y) if weight is None else weight.sum()
    model = rival.theirs(total).set_params(fit_intercept=fit_intercept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its tolerance is out of reach
        model.fit(X - mean, y, sample_weight=weight)
    coef = np.atleast_2d(model.coef_)
    return coef, np.ravel(model.intercept_) - coef @ mean


RARE = {"gamma", "Tweedie", "squared hinge"}


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
