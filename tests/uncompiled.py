"""Which cases of a test are compiled.

A case is compiled where it meets code that no other does: each kernel with each layout, each
optimizer, each kind of loss and penalty. What only multiplies these (every loss with every layout,
every optimizer with every penalty) repeats their arithmetic, and that is tested as well by the
plain Python that kernels are (conftest.py).
"""

from __future__ import annotations

import pytest

uncompiled = pytest.mark.uncompiled


def compiled_if(condition, cases):
    """Return cases, with a mark on those whose kernels need not be compiled.

    Parameters
    ----------
    condition : callable
        Takes a case, says whether it is to be compiled.
    cases : iterable
        Values of one parameter, or tuples of several.
    """
    return [case if condition(case) else _marked(case) for case in cases]


def among(cases):
    """Return a condition: to be one of these cases, of the same classes (components are tuples)."""
    wanted = {repr(case) for case in cases}
    return lambda case: repr(case) in wanted


def _marked(case):
    values = case if type(case) is tuple else (case,)
    return pytest.param(*values, marks=uncompiled)
