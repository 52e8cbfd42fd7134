"""Which cases of a test are slow: to compile each kernel for each of them takes seconds."""

from __future__ import annotations

import pytest


def slow(*cases):
    """Return cases of one parameter, marked as slow."""
    return [pytest.param(case, marks=pytest.mark.slow) for case in cases]


def slow_unless(condition, cases):
    """Return cases of one parameter, with a mark on those that do not meet a condition."""
    return [case if condition(case) else slow(case)[0] for case in cases]
