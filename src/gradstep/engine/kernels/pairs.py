"""The pass of quasi-Newton steps over what they remember, mostly in single precision."""

from __future__ import annotations

from gradstep.jit import compiled

__all__ = ["add_and_multiply"]


@compiled
def add_and_multiply(share, x, total, y):
    """Add share·x to `total`, in place, and return its product with y: one pass for both.

    Parameters
    ----------
    share : float
        What x is multiplied by.
    x, y : ndarray of shape (size,)
        Both in single precision, or both in double.
    total : ndarray of shape (size,)
        In double precision, as all sums are.
    """
    product = 0.0
    for i in range(total.size):
        total[i] += share * x[i]
        product += total[i] * y[i]
    return product
