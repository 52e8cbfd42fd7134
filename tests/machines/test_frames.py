"""Dask DataFrames: fitted to the model of the whole frame, to the bit; predictions are lazy."""

from __future__ import annotations

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from gradstep import InvalidData, MiniBatchClassifier, MiniBatchRegressor

pytestmark = pytest.mark.usefixtures("_many_shards", "client")
N = 1500
RNG = np.random.default_rng(0)
X = pd.DataFrame(
    {"u": RNG.normal(size=N), "v": 10.0 * RNG.normal(size=N), "k": RNG.integers(0, 5, N)}
)
Y = pd.Series(np.where(X.u + RNG.logistic(size=N) > 0, "yes", "no"))
WEIGHT = pd.Series(RNG.integers(1, 3, N))


def frames(*given, parts=4):
    """Return frames and series as Dask's."""
    return [dd.from_pandas(each, npartitions=parts) for each in given]


@pytest.fixture(scope="module")
def both(client):
    """Return a model of the frame, and one of Dask's."""
    x, y, weight = frames(X, Y, WEIGHT)
    here = MiniBatchClassifier().fit(X, Y, sample_weight=WEIGHT)
    return here, MiniBatchClassifier().fit(x, y, sample_weight=weight)


def test_a_fit_is_the_local_one(both):
    here, there = both
    assert np.array_equal(here.coef_, there.coef_)
    assert list(there.feature_names_in_) == ["u", "v", "k"]


def test_predictions_are_lazy(both):
    here, there = both
    x = frames(X)[0]
    lazy = there.predict(x)
    assert type(lazy).__module__.startswith("dask.array")
    assert np.array_equal(lazy.compute(), here.predict(X))
    assert np.array_equal(there.predict_proba(x).compute(), here.predict_proba(X))
    assert there.predict(x[x.u > 100.0]).compute().shape == (0,)


def test_of_one_precision():
    x = X[["u", "v"]].astype(np.float32)
    there = MiniBatchRegressor().fit(*frames(x, X.k))
    assert np.array_equal(there.coef_, MiniBatchRegressor().fit(x, X.k).coef_)


def test_other_columns_are_told_at_once(both):
    with pytest.raises(ValueError, match="feature names should match"):
        both[1].predict(frames(X)[0][["v", "u", "k"]])


def test_text_is_refused():
    with pytest.raises(InvalidData, match=r"Column 'c' of X holds .*: estimators take numbers"):
        MiniBatchClassifier().fit(frames(X.assign(c="x"))[0], Y)
