"""Every loss of the table as a case, and what it is compared with."""

from __future__ import annotations

import math
import sys
from decimal import Decimal

import pytest
from hypothesis import strategies as st

import gradstep.engine.kernels.components  # noqa: F401  (how kernels compile components)
from tests.contracts.losses import JOINT_LOSSES, LOSSES, exactly

LARGEST = Decimal(sys.float_info.max)
H = Decimal("1e-30")
EXTREMES = (-1e3, -700.0, -300.0, -40.0, 40.0, 300.0, 700.0, 1e3)

CASES = [
    pytest.param(case, loss, id=repr(loss)) for case in LOSSES.values() for loss in case.losses
]
JOINT_CASES = [
    pytest.param(case, loss, id=repr(loss))
    for case in JOINT_LOSSES.values()
    for loss in case.losses
]
every_loss = pytest.mark.parametrize("case, loss", CASES)
every_joint_loss = pytest.mark.parametrize("case, loss", JOINT_CASES)
scores = st.floats(-30.0, 30.0).map(lambda z: round(z, 20))  # 100 digits hold z ± 1e-30


def of(*methods):
    """Return the cases whose loss has these methods."""
    return [p for p in CASES if all(hasattr(p.values[1], name) for name in methods)]


def exact_slope(formula, loss, y, z):
    """Return the derivative in a score: differences that are good to fifty digits."""
    return exactly(
        lambda loss, y, z: (formula(loss, y, z + H) - formula(loss, y, z - H)) / (2 * H), loss, y, z
    )


def assert_agrees(actual, exact, absolute=0.0):
    """Compare a float with what it should be; infinite only beyond the largest float."""
    if abs(exact) > LARGEST:
        assert actual == math.copysign(math.inf, exact)
    else:
        assert math.isfinite(actual)
        error = abs(Decimal(float(actual)) - exact)
        assert error <= Decimal("1e-12") * abs(exact) + Decimal(absolute + 1e-307), (actual, exact)
