"""exp, log1p, softplus and sigmoid: compiled and uncompiled, against forty digits."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numba
import numpy as np
import pytest

import gradstep.engine.kernels.components  # noqa: F401  (the compiled forms)
from gradstep.jit import JIT_OPTIONS
from gradstep.objective.elementary import exp, log1p_unit, sigmoid, softplus

SMALLEST = 5e-324
LOG_OF_LARGEST = 709.782712893384


@numba.njit(**JIT_OPTIONS)
def compiled(x, unit, exps, logs, softpluses, sigmoids):
    for i in range(x.size):
        exps[i] = exp(x[i])
        softpluses[i] = softplus(x[i])
        sigmoids[i] = sigmoid(x[i])
    for i in range(unit.size):
        logs[i] = log1p_unit(unit[i])


def results(x, unit, evaluate):
    out = [np.empty(x.size), np.empty(unit.size), np.empty(x.size), np.empty(x.size)]
    evaluate(x, unit, *out)
    return dict(zip(("exp", "log1p_unit", "softplus", "sigmoid"), out, strict=True))


EVALUATE = pytest.mark.parametrize(
    "evaluate", [compiled, getattr(compiled, "py_func", compiled)], ids=["compiled", "uncompiled"]
)


def log1p(u):
    return u - u * u / 2 if u < Decimal("1e-30") else (1 + u).ln()


EXACT = {
    "exp": Decimal.exp,
    "log1p_unit": log1p,
    "softplus": lambda x: max(x, Decimal(0)) + log1p((-abs(x)).exp()),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
}


def arguments():
    """Return numbers over the whole range, and numbers in [0, 1], subnormal ones too."""
    rng = np.random.default_rng(0)
    tiny = 10.0 ** rng.uniform(-323, 0, 300)
    x = np.concatenate(
        [
            rng.uniform(-760.0, LOG_OF_LARGEST, 1500),
            rng.uniform(-40.0, 40.0, 1000),
            tiny,
            -tiny,
            [0.0, -0.0, LOG_OF_LARGEST, -745.13, -745.2, -708.4, math.log(2.0) / 2.0, 1e3, -1e3],
        ]
    )
    unit = np.concatenate(
        [rng.uniform(0.0, 1.0, 1500), tiny, [0.0, 1.0, math.sqrt(2.0) - 1.0, SMALLEST, 1e-310]]
    )
    return x, unit


@EVALUATE
@pytest.mark.parametrize("name", EXACT)
def test_a_few_units_in_the_last_place(name, evaluate):
    x, unit = arguments()
    at = unit if name == "log1p_unit" else x[x <= LOG_OF_LARGEST] if name == "exp" else x
    actual = results(at, unit, evaluate)[name]
    with localcontext(prec=70, Emax=10**6, Emin=-(10**6)):
        for number, result in zip(at.tolist(), actual.tolist(), strict=True):
            exact = EXACT[name](Decimal(number))
            # 4e-16 of the result; below the normal range, twice the spacing of the floats there
            allowed = Decimal("4e-16") * exact + 2 * Decimal(SMALLEST)
            assert abs(Decimal(result) - exact) <= allowed, (number, result, float(exact))


@EVALUATE
def test_limits(evaluate):
    x = np.array([math.inf, -math.inf, math.nextafter(LOG_OF_LARGEST, math.inf), 1e300, -1e300])
    out = results(x, np.empty(0), evaluate)
    assert out["exp"].tolist() == [math.inf, 0.0, math.inf, math.inf, 0.0]
    assert out["softplus"].tolist() == [math.inf, 0.0, x[2], 1e300, 0.0]
    assert out["sigmoid"].tolist() == [1.0, 0.0, 1.0, 1.0, 0.0]
    assert results(np.empty(0), np.array([0.0]), evaluate)["log1p_unit"].tolist() == [0.0]


@EVALUATE
def test_what_is_no_number_stays_none(evaluate):
    out = results(np.full(9, math.nan), np.full(9, math.nan), evaluate)
    assert all(np.isnan(numbers).all() for numbers in out.values())


def test_compiled_exp_of_a_hundred_thousand_numbers_is_that_of_numpy():
    x = np.random.default_rng(1).uniform(-708.0, 709.0, 100_000)
    ours = results(x, np.empty(0), compiled)["exp"]
    assert np.max(np.abs(ours / np.exp(x) - 1.0)) <= 5e-16
