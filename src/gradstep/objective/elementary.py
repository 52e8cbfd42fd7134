"""Exponentials and logarithms that stay finite where they can, for use inside losses.

Losses call these instead of `math.exp` and `math.log1p` for two reasons: `math.exp`
raises on overflow where the limit (infinity) is what a loss means, and the compiled
versions (`gradstep.engine.kernels.components`) are polynomials that the compiler can vectorise
over a tile of rows, several times faster than calls into the C library.
"""

from __future__ import annotations

import math

__all__ = ["exp", "log1p_unit", "positive_part", "sigmoid", "softplus"]


def exp(x: float) -> float:
    """Return e to the power x; infinity where that is beyond the largest float.

    Examples
    --------
    >>> exp(0.0), exp(1e3), exp(-1e3)
    (1.0, inf, 0.0)
    """
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log1p_unit(u: float) -> float:
    """Return log(1 + u) for u between 0 and 1 (outside, the compiled form is inexact)."""
    return math.log1p(u)


def positive_part(x: float) -> float:
    """Return x where it is above 0, else 0; NaN stays NaN, which `max` would hide.

    Examples
    --------
    >>> positive_part(2.0), positive_part(-2.0), positive_part(math.nan)
    (2.0, 0.0, nan)
    """
    return 0.0 if x < 0.0 else x  # noqa: FURB136  (max hides NaN)


def softplus(x: float) -> float:
    """Return log(1 + e^x), without overflow.

    Examples
    --------
    >>> softplus(1e3), softplus(-1e3)
    (1000.0, 0.0)
    """
    return max(x, 0.0) + log1p_unit(exp(-abs(x)))


def sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x), without overflow.

    Examples
    --------
    >>> sigmoid(0.0), sigmoid(1e3), sigmoid(-1e3)
    (0.5, 1.0, 0.0)
    """
    e = exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)
