"""Every penalty of the table: value, proximal map against a search, exact zeros."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

import gradstep.engine.kernels.components  # noqa: F401  (how kernels compile components)
from gradstep.jit import JIT_OPTIONS
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty, Penalty, prox, sets_zeros
from tests.contracts.penalties import PENALTIES
from tests.examples import examples

CASES = [
    pytest.param(case, penalty, id=repr(penalty))
    for case in PENALTIES.values()
    for penalty in case.penalties
]
every_penalty = pytest.mark.parametrize("case, penalty", CASES)
modest = examples(60)
points = st.floats(-50.0, 50.0)
steps = st.floats(0.0, 20.0)
alphas = st.floats(0.0, 5.0)


@every_penalty
@modest
@given(w=points)
def test_value(case, penalty, w):
    l1, l2 = case.parts(penalty)
    assert penalty.value(w) == pytest.approx(l1 * abs(w) + l2 * w**2 / 2.0, rel=1e-14)


@every_penalty
def test_value_of_an_array_is_that_of_each_weight(case, penalty):
    w = np.array([[-2.0, 0.0], [0.5, 3.0]])
    each = [[penalty.value(v) for v in row] for row in w.tolist()]
    np.testing.assert_allclose(penalty.value(w), each, rtol=1e-15)


@pytest.mark.parametrize("make", [NoPenalty, L2, L1, ElasticNet])
@modest
@given(x=points, step=steps, alpha=alphas, ratio=st.floats(0.0, 1.0))
def test_prox_is_the_minimiser(make, x, step, alpha, ratio):
    """A search finds the least value to 1e-8 of its place, and no better value than prox."""
    penalty = make(*(alpha, ratio)[: len(make._fields)])

    def objective(w):
        return 0.5 * (w - x) ** 2 + step * penalty.value(w)

    ours = prox(penalty, x, step)
    low, high = min(x, 0.0), max(x, 0.0)  # shrinking never passes zero
    found = minimize_scalar(
        objective, bounds=(low - 1e-3, high + 1e-3), method="bounded", options={"xatol": 1e-12}
    )
    assert low <= ours <= high
    assert ours == pytest.approx(found.x, abs=1e-6 * (1.0 + abs(x)))
    assert objective(ours) <= found.fun * (1.0 + 1e-14) + 1e-300


@every_penalty
@modest
@given(x=points, other=points, step=steps)
def test_prox_is_firmly_nonexpansive(case, penalty, x, other, step):
    moved = prox(penalty, x, step) - prox(penalty, other, step)
    assert moved * moved <= moved * (x - other) + 1e-14 * (1.0 + abs(x - other)) ** 2


@every_penalty
def test_small_weights_become_exactly_zero_under_l1_alone(case, penalty):
    l1 = case.parts(penalty)[0]
    step = 0.5
    for inside in (l1 * step, 0.9 * l1 * step, -l1 * step):
        assert prox(penalty, inside, step) == 0.0
    for beyond in (1.001 * l1 * step + 1e-9, -1.001 * l1 * step - 1e-9):
        assert prox(penalty, beyond, step) * beyond > 0.0
    assert sets_zeros(penalty) == (l1 > 0.0)


@pytest.mark.parametrize("case, penalty", [p for p in CASES if hasattr(p.values[1], "shrink")])
def test_shrink_is_the_proximal_map(case, penalty):
    for x, step in ((3.0, 0.5), (-0.1, 2.0), (1e-9, 0.0)):
        assert penalty.shrink(step) * x == pytest.approx(prox(penalty, x, step), rel=1e-15)


def test_only_maps_that_multiply_have_a_shrink():
    assert [c.__name__ for c in PENALTIES if hasattr(c, "shrink")] == ["NoPenalty", "L2"]


@modest
@given(x=points, step=steps, alpha=alphas)
def test_the_ends_of_the_elastic_net_are_l1_and_l2(x, step, alpha):
    for end, penalty in ((1.0, L1(alpha)), (0.0, L2(alpha))):
        assert prox(ElasticNet(alpha, end), x, step) == prox(penalty, x, step)
        assert ElasticNet(alpha, end).value(x) == pytest.approx(penalty.value(x), rel=1e-15)


@every_penalty
def test_a_step_of_length_zero_changes_nothing(case, penalty):
    assert [prox(penalty, x, 0.0) for x in (-3.0, 0.0, 1e-9)] == [-3.0, 0.0, 1e-9]


@every_penalty
def test_divergence_shows_through(case, penalty):
    assert math.isnan(prox(penalty, math.nan, 0.5))
    assert prox(penalty, math.inf, 0.5) == math.inf
    assert prox(penalty, -math.inf, 0.5) == -math.inf


@numba.njit(**JIT_OPTIONS)
def prox_of_each(penalty, x, step, out):
    for i in range(x.size):
        out[i] = prox(penalty, x[i], step)


@pytest.mark.parametrize("case", PENALTIES.values(), ids=[c.__name__ for c in PENALTIES])
def test_compiled_equals_uncompiled(case):
    x = np.array([*np.linspace(-4.0, 4.0, 101), 1e-300, 0.0, math.inf, -math.inf, math.nan])
    for penalty in case.penalties:
        out = np.empty(x.size)
        prox_of_each(penalty, x, 0.7, out)
        expected = [prox(penalty, v, 0.7) for v in x.tolist()]
        np.testing.assert_allclose(out, expected, rtol=4e-16, atol=0.0)
        assert ((out == 0.0) == (np.array(expected) == 0.0)).all()


@every_penalty
def test_every_penalty_keeps_its_protocol(case, penalty):
    assert isinstance(penalty, Penalty)
