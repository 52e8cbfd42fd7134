"""Dask Arrays: fitted to the model of the concatenated array, to the bit; predictions are lazy."""

from __future__ import annotations

import pickle
from collections import Counter

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp

from gradstep import InvalidData, InvalidParameter, MiniBatchClassifier, MiniBatchRegressor
from gradstep.estimators import inputs

pytestmark = pytest.mark.usefixtures("_many_shards", "client")
N = 1500
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)) * [1.0, 10.0, 100.0]
SCORE = X @ [1.0, -0.1, 0.0]
Y = {
    "number": SCORE + RNG.normal(size=N),
    "two": np.where(SCORE + RNG.logistic(size=N) > 0, "yes", "no"),
    "three": np.digitize(SCORE + RNG.logistic(size=N), [-1.0, 1.0]),
}
WEIGHT = RNG.integers(0, 3, N).astype(float)
CHUNKS = (0, 1, 700, 0, 799)  # empty partitions as well


def arrays(*given, chunks=CHUNKS):
    """Return arrays as Dask's."""
    return [da.from_array(a, chunks=(chunks, *((2,) * (a.ndim - 1)))) for a in given]


def same(one, other):
    """Compare all that a fit leaves."""
    assert np.array_equal(one.coef_, other.coef_)
    assert np.array_equal(one.intercept_, other.intercept_)
    assert one.loss_curve_ == other.loss_curve_
    assert (one.n_features_in_, one.n_iter_) == (other.n_features_in_, other.n_iter_)


@pytest.mark.parametrize(
    "target, how",
    [
        ("two", "weights"),
        ("number", "early stopping"),
        *(
            pytest.param(target, "", marks=pytest.mark.slow)
            for target in ("number", "two", "three")
        ),
    ],
)
def test_a_fit_is_the_local_one(target, how):
    y, kind = Y[target], MiniBatchRegressor if target == "number" else MiniBatchClassifier
    est = kind(early_stopping=how == "early stopping")
    weight = {"sample_weight": WEIGHT} if how == "weights" else {}
    far = {"sample_weight": arrays(WEIGHT)[0]} if weight else {}
    here = pickle.loads(pickle.dumps(est)).fit(X, y, **weight)
    there = est.fit(*arrays(X, y), **far)
    same(here, there)
    assert not hasattr(there, "_cluster")
    lazy = there.predict(arrays(X)[0])
    assert isinstance(lazy, da.Array)
    assert (lazy.shape, lazy.chunks[0]) == ((N,), CHUNKS)
    np.testing.assert_array_equal(lazy.compute(), here.predict(X))
    if target != "number":
        lazy = there.predict_proba(arrays(X)[0])
        np.testing.assert_array_equal(lazy.compute(), here.predict_proba(X))
        assert lazy.shape == (N, len(here.classes_))
        lazy = there.decision_function(arrays(X)[0])
        np.testing.assert_array_equal(lazy.compute(), here.decision_function(X))


def test_quick_steps_are_the_local_ones():
    """Of least squares that has enough features for them: the rows are taken here."""
    x = np.random.default_rng(0).normal(size=(N, 400))
    y = x[:, :5].sum(axis=1) + Y["number"]
    here = MiniBatchRegressor().fit(x, y)
    assert here.history_[0].step.startswith("quick steps")
    same(here, MiniBatchRegressor().fit(*arrays(x, y)))


def test_the_cluster_computes(monkeypatch):
    from gradstep.machines.dask_executor import DaskExecutor

    sent, run = [], DaskExecutor.run
    monkeypatch.setattr(DaskExecutor, "run", lambda *a, **k: sent.append(1) or run(*a, **k))
    refused = lambda *_: pytest.fail("the driver has read the rows")  # noqa: E731
    monkeypatch.setattr(inputs, "check_finite", refused)
    MiniBatchRegressor().fit(*arrays(X, Y["number"]))
    assert len(sent) >= 2  # columns, the start


def test_blocks_stay_with_the_workers(client, tmp_path):
    """Spread as they are, of one worker's alone evenly; the driver has none of the rows."""
    from distributed import wait

    from gradstep.machines.arrays import checked, keep_blocks, kept
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.layouts import DenseRows

    far = arrays(X)[0].persist(workers=[min(client.nthreads())])
    wait(far)
    whole, here, finite = kept(checked(far), tmp_path, client)
    assert finite
    assert not here.any()
    spread = keep_blocks(Dataset(DenseRows(here), Y["number"][:, None]), whole, client)
    holders = client.who_has(list(spread.executor._blocks.values()))
    of_each = Counter(at for of in holders.values() for at in of)
    assert len(of_each) == 2
    assert max(of_each.values()) < 0.8 * len(holders)
    at = np.array([3, 5, 1400], np.uint32)
    assert np.array_equal(spread.executor.take(at).rows.values, X[at])
    for read in (spread.rows.take, spread.sample().rows.take):
        with pytest.raises(NotImplementedError):
            read(at)


@pytest.mark.slow
def test_many_partitions():
    many = (15,) * 100
    same(
        MiniBatchRegressor().fit(*arrays(X, Y["number"], chunks=many)),
        MiniBatchRegressor().fit(X, Y["number"]),
    )


def test_partitions_of_unknown_size_and_single_precision():
    single = X.astype(np.float32)
    x, y = arrays(single, Y["number"], chunks=(500, 500, 500))
    kept = X[:, 0] > 0
    far = x[da.from_array(kept, chunks=500)]
    assert np.isnan(far.shape[0])
    there = MiniBatchRegressor().fit(far, y[da.from_array(kept, chunks=500)])
    same(there, MiniBatchRegressor().fit(single[kept], Y["number"][kept]))


def test_own_rows_to_validate_on_are_local():
    own = {"X_val": X[:300], "y_val": Y["number"][:300]}
    there = MiniBatchRegressor().fit(*arrays(X, Y["number"]), **own)
    same(there, MiniBatchRegressor().fit(X, Y["number"], **own))


def test_nothing_is_left(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path))
    MiniBatchRegressor(max_iter=2, tol=None).fit(*arrays(X, Y["number"]))
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: (arrays(X)[0].astype("U5"), Y["number"]), InvalidData, "blocks of numbers"),
        (lambda: (arrays(X)[0].map_blocks(sp.csr_matrix), Y["number"]), InvalidData, "of csr"),
        (lambda: (X, arrays(Y["number"])[0]), InvalidData, "y is a Dask collection, and X is not"),
        (lambda: (arrays(np.where(X > 1e9, X, np.nan))[0], Y["number"]), ValueError, "NaN"),
    ],
)
def test_says(make, error, message):
    with pytest.raises(error, match=message):
        MiniBatchRegressor().fit(*make())


def test_a_warm_start_and_the_textbook_are_refused():
    with pytest.raises(InvalidParameter, match="warm_start=True"):
        MiniBatchRegressor(warm_start=True).fit(*arrays(X, Y["number"]))
    with pytest.raises(InvalidParameter, match="cannot be spread over machines"):
        MiniBatchRegressor(optimizer="sgd").fit(*arrays(X, Y["number"]))


def test_other_collections_are_refused():
    bag = type("Bag", (), {"__module__": "dask.bag.core"})()
    with pytest.raises(InvalidData, match=r"a dask\.bag\.core\.Bag: .* arrays and data frames are"):
        MiniBatchRegressor().fit(bag, Y["number"])
