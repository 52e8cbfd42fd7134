"""The laws of statistics, beside SciPy's distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gradstep.inference.distributions import Normal, Student, above_chi_square, above_f
from tests.processes import python

X = np.array([-40.0, -3.0, -0.1, 0.0, 0.5, 1.96, 8.0, 37.0, np.inf])
Q = np.array([1e-300, 1e-9, 0.025, 0.5, 0.975, 1.0 - 1e-12])


@pytest.mark.parametrize(
    "own, theirs",
    [(Normal(), stats.norm), *((Student(d), stats.t(d)) for d in (0.5, 1.0, 3.0, 29.5, 1e6))],
    ids=["normal", "t of .5", "t of 1", "t of 3", "t of 29.5", "t of a million"],
)
def test_laws(own, theirs):
    np.testing.assert_allclose(own.sf(X), theirs.sf(X), rtol=1e-13)
    np.testing.assert_allclose(own.ppf(Q), theirs.ppf(Q), rtol=1e-12)
    assert float(own.sf(1.96)) == pytest.approx(theirs.sf(1.96), rel=1e-14)


@pytest.mark.parametrize("x", [0.0, 0.3, 2.0, 50.0, 900.0])
@pytest.mark.parametrize("df", [1, 2, 7])
def test_tests_of_several(x, df):
    assert above_chi_square(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=1e-13)
    for degrees in (1.0, 12.0, 1e5):
        assert above_f(x, df, degrees) == pytest.approx(stats.f.sf(x, df, degrees), rel=1e-12)


def test_a_fit_of_a_table_does_not_wait_for_scipy_stats(tmp_path):
    program = "import sys, gradstep.fit.table; print('scipy.stats' in sys.modules)"
    out, err = python(program, tmp_path).communicate(timeout=60)
    assert (out.strip(), err) == ("False", "")
