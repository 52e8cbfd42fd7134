"""Symmetric matrices from lower triangles, whatever the upper ones hold."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.engine.symmetric import symmetric


@pytest.mark.parametrize("q", [1, 2, 255, 256, 257, 400, 641])
@pytest.mark.parametrize("before", [(), (2,), (2, 3)])
def test_is_the_lower_triangle_twice(q, before):
    lower = np.random.default_rng(q).normal(size=(*before, q, q))
    lower[..., np.triu(np.ones((q, q), bool), 1)] = np.nan
    kept = lower.copy()
    found = symmetric(lower)
    below = np.tril(np.nan_to_num(lower))
    expected = below + np.swapaxes(below, -1, -2)
    expected[..., np.arange(q), np.arange(q)] /= 2.0
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(lower, kept)
    assert not np.shares_memory(found, lower)
