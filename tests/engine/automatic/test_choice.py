"""How many rows samples have: a function of the rows and features alone."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest

from gradstep.engine.automatic.choice import StepKind, hessian_rows, sample_rows

FEW, ENOUGH, MANY = 10**4, 2 * 10**5, 10**8  # rows of 100 parameters


@pytest.mark.parametrize(
    "n, hessian, solved", [(FEW, 2000, 0), (ENOUGH, 10_000, 10_000), (MANY, 40_000, 10_000)]
)
def test_a_sample_is_small_beside_a_pass(n, hessian, solved):
    of = SimpleNamespace(q=100, data=SimpleNamespace(n=n), wants_exact=False, quadratic=False)
    assert hessian_rows(of) == hessian
    assert sample_rows(of, StepKind.QUASI_NEWTON) == solved


def test_it_grows_smoothly():
    rows = [
        hessian_rows(SimpleNamespace(q=100, data=SimpleNamespace(n=n)))
        for n in range(2000, 10**6, 1000)
    ]
    assert rows == sorted(rows)
    assert all(later - before <= 250 for before, later in pairwise(rows))
