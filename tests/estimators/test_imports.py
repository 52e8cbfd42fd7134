"""What estimators of arrays do not wait for."""

from __future__ import annotations

from tests.processes import python

PROGRAM = """
import sys
import numpy as np
from gradstep import MiniBatchClassifier, MiniBatchRegressor
X = np.arange(20.0).reshape(10, 2)
MiniBatchRegressor(max_iter=1, tol=None).fit(X, X[:, 0]).predict(X)
MiniBatchClassifier(max_iter=1, tol=None).fit(X, X[:, 0] > 9.0).predict(X)
print(*sorted({"polars", "sklearn.metrics", "sklearn.model_selection"} & set(sys.modules)))
"""


def test_a_fit_imports_neither_polars_nor_metrics(tmp_path):
    out, err = python(PROGRAM, tmp_path, NUMBA_DISABLE_JIT="1").communicate(timeout=120)
    assert (out.strip(), err) == ("", "")
