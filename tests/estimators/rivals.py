"""The exact solvers of scikit-learn beside our settings, and rows for them."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn import linear_model as lm
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from gradstep import MiniBatchClassifier, MiniBatchRegressor

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
