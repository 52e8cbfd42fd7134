"""Features that no row has: left out of the run, and zero in the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from gradstep import Checkpoint, MiniBatchClassifier, MiniBatchRegressor
from gradstep.engine.automatic.choice import StepKind
from gradstep.fit import empty_features

_FEATURES = 5_000


def _hashed(n: int = 120, seed: int = 0, used: Any = None) -> tuple[Any, Any, Any]:
    """Return rows of few features among many, those features, and a target of numbers."""
    rng = np.random.default_rng(seed)
    if used is None:
        used = np.sort(rng.choice(_FEATURES, 12, replace=False))
    values = rng.normal(size=(n, used.size)) * (rng.random((n, used.size)) < 0.7)
    X = sp.lil_array((n, _FEATURES))
    X[:, used] = values
    y = values @ np.linspace(-2.0, 3.0, used.size) + rng.normal(size=n)
    return X.tocsr(), used, y


def _classes(y: Any, k: int) -> Any:
    return np.digitize(y, np.quantile(y, np.arange(1, k) / k))


@pytest.mark.parametrize("k", [2, 3])
def test_classes_as_scikit_learn_finds_them(k: int) -> None:
    X, used, y = _hashed()
    y = _classes(y, k)
    alpha = 1e-3
    ours = MiniBatchClassifier(alpha=alpha, penalty_scale="unit", tol=1e-9).fit(X, y)
    theirs = LogisticRegression(C=1.0 / (alpha * X.shape[0]), tol=1e-10, max_iter=10_000).fit(X, y)
    if k == 2:
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    assert ours.coef_.shape == theirs.coef_.shape
    assert np.count_nonzero(ours.coef_) == used.size * len(ours.coef_)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
def test_as_without_the_columns(penalty: Any) -> None:
    X, used, y = _hashed()
    whole = MiniBatchRegressor(penalty=penalty, alpha=0.01, random_state=0).fit(X, y)
    few = MiniBatchRegressor(penalty=penalty, alpha=0.01, random_state=0).fit(X[:, used], y)
    np.testing.assert_array_equal(whole.coef_[used], few.coef_)
    np.testing.assert_array_equal(whole.intercept_, few.intercept_)
    assert whole.n_iter_ == few.n_iter_
    assert not np.delete(whole.coef_, used).any()
    assert StepKind.NEWTON.words in whole.history_[0].step


def test_held_out_rows_may_have_other_features() -> None:
    X, used, y = _hashed()
    other = np.sort(np.append(used[:6], np.setdiff1d(np.arange(40), used)))
    X_val, _, y_val = _hashed(50, 1, other)
    whole = MiniBatchRegressor().fit(X, y, X_val=X_val, y_val=y_val)
    few = MiniBatchRegressor().fit(X[:, used], y, X_val=X_val[:, used], y_val=y_val)
    np.testing.assert_array_equal(whole.coef_[used], few.coef_)
    assert whole.validation_scores_ == few.validation_scores_
    assert whole.validation_scores_[-1] == pytest.approx(whole.score(X_val, y_val))


def test_weights_of_zero_and_dense_held_out_rows() -> None:
    X, used, y = _hashed()
    weight = (np.arange(X.shape[0]) % 3).astype(float)
    given = {"X_val": X[:30].toarray(), "y_val": y[:30]}
    whole = MiniBatchRegressor().fit(X, y, sample_weight=weight, **given)
    few = MiniBatchRegressor().fit(X[:, used], y, sample_weight=weight)
    np.testing.assert_array_equal(whole.coef_[used], few.coef_)


class _Watch:
    """Keeps what a callback sees."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_start(self, start: Any) -> None:
        self.seen.append((start.problem.n_features, start.data.rows.n_features))

    def on_epoch_end(self, event: Any) -> None:
        self.seen.append((event.params.copy(), event.full_objective))


def test_callbacks_see_all_features() -> None:
    X, _, y = _hashed()
    watch = _Watch()
    est = MiniBatchRegressor(callbacks=[watch], random_state=0).fit(X, y)
    assert watch.seen[0] == (_FEATURES, _FEATURES)
    params, objective = watch.seen[-1]
    np.testing.assert_array_equal(params, np.append(est.coef_, est.intercept_))
    assert objective == pytest.approx(est.loss_curve_[-1])


def test_a_start_that_has_weights_there_keeps_all(monkeypatch: pytest.MonkeyPatch) -> None:
    X, used, y = _hashed()
    taken = []
    build = empty_features.FewerFeatures
    monkeypatch.setattr(
        empty_features, "FewerFeatures", lambda *given: taken.append(given) or build(*given)
    )
    start, unused = np.zeros(_FEATURES), used[0] + 1
    start[used] = MiniBatchRegressor(penalty=None).fit(X, y).coef_[used]
    assert len(taken) == 1
    start[unused] = 5.0
    est = MiniBatchRegressor(penalty=None).fit(X, y, coef_init=start)
    assert len(taken) == 1
    assert est.coef_[unused] == 5.0  # nothing has moved it


def test_goes_on_with_features_that_come_later() -> None:
    X, used, y = _hashed()
    est = MiniBatchRegressor(random_state=0).fit(X, y)
    later = np.setdiff1d(np.arange(12), used)
    more, _, y_more = _hashed(40, 2, later)
    est.partial_fit(more, y_more)
    assert est.coef_.shape == (_FEATURES,)
    assert est.coef_[later].any()


class _Own(Checkpoint):
    """A checkpoint of a user's own class."""


@pytest.mark.parametrize("kind", [Checkpoint, _Own])
def test_goes_on_from_a_checkpoint(tmp_path: Any, kind: type[Checkpoint]) -> None:
    X, used, y = _hashed()
    settings = {"loss": "huber", "tol": 1e-9, "random_state": 0}
    whole = MiniBatchRegressor(**settings).fit(X, y)

    class Stop:
        def on_epoch_end(self, event: Any) -> None:
            if event.record.epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MiniBatchRegressor(**settings, callbacks=[Stop(), kind(tmp_path, "1epochs")]).fit(X, y)
    kept = kind(tmp_path, "1epochs", resume=True)
    est = MiniBatchRegressor(**settings, callbacks=[kept]).fit(X, y)
    np.testing.assert_array_equal(est.coef_, whole.coef_)
    assert np.count_nonzero(est.coef_) == used.size
