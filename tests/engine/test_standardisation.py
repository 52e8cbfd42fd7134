"""Steps on standardised features are those on a standardised copy; penalties of scaled weights."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.engine.standardisation import Standardisation
from gradstep.engine.state import Validation
from gradstep.engine.textbook import steps
from gradstep.engine.textbook.proximal_finish import polish
from gradstep.engine.textbook.steps import UpdateKind, update_kind
from gradstep.objective.classification import Softmax
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty, Scaled
from gradstep.optim.optimizers import FTRL, SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop
from gradstep.optim.schedules import Constant
from gradstep.rows.dataset import Dataset
from tests.engine.cases import (
    SOME,
    by_hand,
    classes,
    csr,
    dense,
    fit,
    fit_in_parts,
    problem,
    regression,
    reversed_odd,
    same_bits,
)
from tests.uncompiled import among, compiled_if, uncompiled

OPTIMIZERS = [
    SGD(), Momentum(), Nesterov(), AdaGrad(), RMSprop(), Adam(), Adam(amsgrad=True), FTRL(),
]  # fmt: skip
PENALTIES = [NoPenalty(), L2(0.02), L1(0.02), ElasticNet(0.02, 0.5)]
# An optimizer that looks ahead, one that does not, and one that counts steps; one is compiled.
PAIRS = [*product([SGD(), Nesterov(), Adam(), Adam(amsgrad=True)], PENALTIES[3:])]
COMPILED = PAIRS[:1]
ALL_PAIRS = compiled_if(among(COMPILED), product(OPTIMIZERS, PENALTIES))
# Of scales alone: each penalty and optimizer, and both layouts.
ENDS = [(L2(0.02), SGD(), dense), (L1(0.02), Momentum(), csr), (PENALTIES[3], Nesterov(), dense)]
MEANS = np.array([30.0, -2.0, 0.5])
SPREADS = np.array([8.0, 0.01, 3.0])
PARTS = st.lists(st.integers(0, 20), max_size=3)
POWERS = st.tuples(*[st.integers(-40, 40)] * 3)
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def apart(data, dtype=np.float64):
    """Return data with columns far from zero, of unlike spread; and their means and spreads."""
    X = (np.asarray(data.rows.values) * SPREADS + MEANS).astype(dtype)
    own = Dataset(dense(X), data.y, data.sample_weight)
    wide = X.astype(np.float64)
    return own, wide.mean(axis=0), wide.std(axis=0)


def standardised(data, center, scale):
    """Return the copy that standardised steps do without."""
    X = np.asarray(data.rows.values, dtype=np.float64)
    return Dataset(dense((X - center) / scale), data.y, data.sample_weight)


def both(of, data, center, scale, **changes):
    """Return raw parameters: standardised, and from the copy (whose penalty is of its own)."""
    own = replace(of, center=center, scale=scale, penalty_scales=scale, **changes)
    state, _, told = fit(own, data)
    copied, _, expected = fit(replace(of, **changes), standardised(data, center, scale))
    np.testing.assert_allclose([e[1] for e in told], [e[1] for e in expected], **CLOSE)
    w, b = of.split(copied.current())
    w = w / scale
    return state, np.append(w.ravel(), b - w @ center)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("spread", [[8.0, 0.01, 3.0], [8.0, 0.0, 3.0]])
class TestForms:
    """Of parameters and gradients, in units and of standardised features."""

    def drawn(self, k, spread):
        how = Standardisation.of(MEANS, np.array(spread), k)
        rng = np.random.default_rng(0)
        return how, rng.normal(size=(k, 3)), rng.normal(size=k)

    def test_scores_of_parameters_are_the_same(self, k, spread):
        how, w, b = self.drawn(k, spread)
        x = MEANS + np.random.default_rng(1).normal(size=(5, 3)) * spread
        scaled = how.scaled_params(np.concatenate([w.ravel(), b]))
        z = ((x - MEANS) * how.scale) @ scaled[:, :-1].T + scaled[:, -1]
        np.testing.assert_allclose(z, x @ w.T + b, rtol=1e-12)
        flat = how.in_units(scaled)
        own, intercepts = flat[: 3 * k].reshape(k, 3), flat[3 * k :]
        np.testing.assert_allclose(own, np.where(how.scale > 0.0, w, 0.0), rtol=1e-12)
        np.testing.assert_allclose(x @ own.T + intercepts, z, rtol=1e-12)
        np.testing.assert_array_equal(how.flat_in_units(how.flat(flat)), how.in_units(scaled))

    def test_gradients_are_those_of_the_chain_rule(self, k, spread):
        how, g, g_b = self.drawn(k, spread)
        scaled = how.gradient(np.concatenate([g.ravel(), g_b]))
        expected = (g - MEANS * g_b[:, None]) * how.scale
        np.testing.assert_allclose(scaled, np.column_stack([expected, g_b]), rtol=1e-12)
        back = how.gradient_in_units(scaled)
        known = np.where(how.scale > 0.0, g, MEANS * g_b[:, None])
        np.testing.assert_allclose(back, np.concatenate([known.ravel(), g_b]), rtol=1e-9)


@pytest.mark.parametrize("k", [1, 3])
def test_of_features_that_stay_as_they_are_nothing_is_shared(k):
    """What comes back may be changed, and the argument stays."""
    how = Standardisation.of(np.zeros(3), np.ones(3), k)
    w, b = np.arange(3.0 * k).reshape(k, 3), np.full(k, 7.0)
    flat, by_output = np.concatenate([w.ravel(), b]), np.column_stack([w, b])
    for form, argument, expected in (
        (how.scaled_params, flat, by_output),
        (how.gradient, flat, by_output),
        (how.in_units, by_output, flat),
    ):
        found = form(argument)
        np.testing.assert_array_equal(found, expected)
        assert not np.shares_memory(found, argument)


class TestStandardisation:
    @pytest.mark.parametrize("optimizer, penalty", ALL_PAIRS, ids=repr)
    def test_is_training_on_a_standardised_copy(self, optimizer, penalty):
        data, center, scale = apart(regression(k=2))
        of = problem(data, optimizer=optimizer, penalty=penalty)
        state, expected = both(of, data, center, scale)
        np.testing.assert_allclose(state.current(), expected, **CLOSE)

    @uncompiled
    @pytest.mark.parametrize("average_from", [0, 20])
    @pytest.mark.parametrize("last_batch", ["scale", "mean", "drop"])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_whatever_the_batches_and_numbers(self, dtype, last_batch, average_from):
        data, center, scale = apart(regression(weighted=True), dtype)
        of = problem(data, last_batch=last_batch, average_from=average_from)
        state, expected = both(of, data, center, scale)
        np.testing.assert_allclose(state.current(), expected, **CLOSE)

    @uncompiled
    def test_of_a_joint_loss(self):
        data, center, scale = apart(classes())
        of = problem(data, loss=Softmax(), n_outputs=3, optimizer=Nesterov())
        state, expected = both(of, data, center, scale)
        np.testing.assert_allclose(state.current(), expected, **CLOSE)

    @pytest.mark.slow
    @pytest.mark.parametrize("optimizer", [Nesterov(), SGD()], ids=repr)
    def test_helpers_change_no_bit(self, optimizer, monkeypatch):
        data, center, scale = apart(regression(n=1300, weighted=True))
        penalty = L2(0.01) if type(optimizer) is SGD else L1(0.01)
        of = problem(data, batch_size=512, optimizer=optimizer, penalty=penalty, max_epochs=20)
        ends = []
        for threads in (1, 3):
            monkeypatch.setattr(steps, "threads", lambda threads=threads: threads)
            state, expected = both(of, data, center, scale)
            np.testing.assert_allclose(state.current(), expected, **CLOSE)
            ends.append(state)
        assert same_bits(*ends)

    @pytest.mark.parametrize("weighted", compiled_if(bool, [False, True]))
    def test_agrees_with_numpy(self, weighted):
        data, center, scale = apart(regression(weighted=weighted))
        X = np.asarray(data.rows.values)
        of = problem(data, shuffle=reversed_odd, center=center, scale=scale, penalty_scales=scale)
        orders = [reversed_odd(epoch, data.n) for epoch in range(3)]
        *_, (_, _, _, seen) = by_hand(
            (X - center) / scale, data.y[:, 0], orders, weight=data.sample_weight
        )
        w = seen[:3] / scale
        expected = np.append(w, seen[3] - w @ center)
        np.testing.assert_allclose(fit(of, data)[0].current(), expected, **CLOSE)

    @given(parts=PARTS, pair=st.sampled_from(COMPILED))
    @SOME
    def test_a_pause_changes_no_bit(self, parts, pair):
        self.check_pause(parts, *pair)

    def check_pause(self, parts, optimizer, penalty):
        data, center, scale = apart(regression())
        of = problem(
            data, optimizer=optimizer, penalty=penalty, center=center, scale=scale,
            penalty_scales=scale, average_from=9,
        )  # fmt: skip
        whole, outcome, told = fit(of, data)
        state, outcome_in_parts, told_in_parts = fit_in_parts(of, data, parts)
        assert same_bits(whole, state)
        assert (outcome, told) == (outcome_in_parts, told_in_parts)

    @given(powers=POWERS, pair=st.sampled_from(COMPILED))
    @SOME
    def test_a_power_of_two_changes_no_bit_of_the_scores(self, powers, pair):
        self.check_power_of_two(powers, *pair)

    @uncompiled
    @given(parts=PARTS, pair=st.sampled_from([*product(OPTIMIZERS, PENALTIES)]))
    @SOME
    def test_a_pause_changes_no_bit_with_any_optimizer(self, parts, pair):
        self.check_pause(parts, *pair)

    @uncompiled
    @given(powers=POWERS, pair=st.sampled_from([*product(OPTIMIZERS, PENALTIES)]))
    @SOME
    def test_a_power_of_two_changes_no_bit_with_any_penalty(self, powers, pair):
        self.check_power_of_two(powers, *pair)

    def check_power_of_two(self, powers, optimizer, penalty):
        data, center, scale = apart(regression())
        factor = 2.0 ** np.array(powers)
        other = Dataset(dense(np.asarray(data.rows.values) * factor), data.y)
        of = problem(data, optimizer=optimizer, penalty=penalty)
        one, two = (
            fit(replace(of, center=center * f, scale=scale * f, penalty_scales=scale * f), rows)[0]
            for f, rows in ((np.ones(3), data), (factor, other))
        )
        assert one.params.tobytes() == two.params.tobytes()
        raw, scaled = one.current(), two.current()
        assert raw[3] == scaled[3]
        assert (scaled[:3] * factor).tobytes() == raw[:3].tobytes()

    @uncompiled
    @pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
    def test_a_constant_column_stays_at_zero(self, optimizer):
        data, center, scale = apart(regression())
        X = np.asarray(data.rows.values).copy()
        X[:, 1] = center[1] = 0.1
        scale[1] = 0.0
        rest = [0, 2]
        of = problem(data, optimizer=optimizer, center=center, scale=scale)
        state, _, _ = fit(of, Dataset(dense(X), data.y))
        without = replace(of, n_features=2, center=center[rest], scale=scale[rest])
        expected, _, _ = fit(without, Dataset(dense(X[:, rest]), data.y))
        assert state.current()[1] == 0.0
        np.testing.assert_allclose(state.current()[[0, 2, 3]], expected.current(), **CLOSE)

    def test_starts_from_parameters_in_units(self):
        data, center, scale = apart(regression(k=2))
        of = problem(data, center=center, scale=scale, max_epochs=0)
        coef, intercept = np.arange(6.0).reshape(2, 3) - 2.0, np.array([5.0, -7.0])
        state = of.start(coef, intercept)
        raw = np.append(coef.ravel(), intercept)
        np.testing.assert_array_equal(state.start, raw)
        np.testing.assert_allclose(state.current(), raw, rtol=1e-12)
        X = np.asarray(data.rows.values)
        seen, seen_b = of.split(state.params)
        np.testing.assert_allclose(
            ((X - center) / scale) @ seen.T + seen_b, X @ coef.T + intercept, rtol=1e-9
        )

    @uncompiled
    def test_the_best_parameters_are_in_units(self):
        data, center, scale = apart(regression())
        of = problem(data, center=center, scale=scale)
        validation = Validation(data, stops=False)
        state, _, _ = fit(of, data, validation=validation)
        np.testing.assert_array_equal(state.best_params, state.current())

    @pytest.mark.parametrize("average_from", [0, 1])
    def test_a_state_is_the_same_model_behind_another(self, average_from):
        data, center, scale = apart(regression(k=2))
        of = problem(data, center=center, scale=scale, average_from=average_from)
        state, _, _ = fit(of, data)
        for how in (Standardisation.of(center + 1.0, scale * 3.0, 2), None):
            other = state.standardised(how)
            np.testing.assert_allclose(other.current(), state.current(), rtol=1e-9)
            back = other.standardised(of.standardisation)
            np.testing.assert_allclose(back.params, state.params, rtol=1e-9)

    @uncompiled
    def test_polish_takes_its_step_behind_it(self):
        data, center, scale = apart(regression())
        of = problem(
            data, penalty=L1(0.1), average_from=1, center=center, scale=scale, penalty_scales=scale
        )
        state, _, _ = fit(of, data)
        copy = standardised(data, center, scale)
        seen = polish(replace(of, center=None, scale=None, penalty_scales=None), copy,
                      of.standardisation.flat(state.current()), 0.05)  # fmt: skip
        np.testing.assert_allclose(
            polish(of, data, state.current(), 0.05), of.standardisation.flat_in_units(seen), **CLOSE
        )


class TestPenaltyScales:
    SCALES = np.array([0.0, 2.0, 0.3])

    @pytest.mark.parametrize(
        "penalty, optimizer, layout",
        compiled_if(among(ENDS[:1]), ENDS),
        ids=lambda part: getattr(part, "__name__", None) or repr(part),
    )
    def test_the_end_is_where_the_optimality_conditions_hold(self, penalty, optimizer, layout):
        """The subgradient of the objective, written out, has 0 in it."""
        data = regression(layout=layout)
        X, y, s = np.asarray(regression().rows.values), data.y[:, 0], self.SCALES
        penalty = penalty._replace(alpha=0.5)
        of = problem(data, penalty=penalty, optimizer=optimizer, batch_size=data.n,
                     schedule=Constant(0.2), max_epochs=450, penalty_scales=s)  # fmt: skip
        w, b = np.split(fit(of, data)[0].current(), [3])
        error = X @ w + b - y
        slope = X.T @ error / data.n
        l1, l2 = penalty.strengths()
        rest = slope + l2 * s**2 * w + l1 * s * np.sign(w)
        assert abs(error.mean()) < 1e-9
        assert np.all(np.abs(rest[w != 0.0]) < 1e-9)
        assert np.all(np.abs(slope[w == 0.0]) <= (l1 * s)[w == 0.0] + 1e-9)

    @uncompiled
    @pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
    def test_of_ones_change_nothing(self, optimizer):
        """But last bits: another form of the kernel is compiled for them."""
        data = regression(k=2)
        of = problem(data, optimizer=optimizer, penalty=ElasticNet(0.1, 0.5))
        one, two = (fit(replace(of, penalty_scales=s), data)[0] for s in (None, np.ones(3)))
        np.testing.assert_allclose(one.params, two.params, rtol=1e-12)

    def test_count_in_the_objective(self):
        data = regression(k=2)
        of = problem(data, penalty=L2(2.0), penalty_scales=self.SCALES)
        params = np.arange(8.0)
        expected = np.sum((params[:6].reshape(2, 3) * self.SCALES) ** 2)
        assert of.penalty_of(params) == pytest.approx(expected, rel=1e-14)

    @uncompiled
    def test_polish_respects_them(self):
        data = regression()
        X, y, s = np.asarray(data.rows.values), data.y[:, 0], self.SCALES
        of = problem(data, penalty=L1(0.2), average_from=1, penalty_scales=s)
        params = fit(of, data)[0].current()
        error = X @ params[:3] + params[3] - y
        moved = params[:3] - 0.05 * X.T @ error / data.n
        w = np.sign(moved) * np.maximum(np.abs(moved) - 0.05 * 0.2 * s, 0.0)
        expected = np.append(w, params[3] - 0.05 * error.mean())
        np.testing.assert_allclose(polish(of, data, params, 0.05), expected, rtol=1e-12)

    @given(
        x=st.floats(-5.0, 5.0), scale=st.floats(0.01, 100.0), step=st.floats(0.0, 3.0),
        penalty=st.sampled_from(PENALTIES),
    )  # fmt: skip
    def test_the_proximal_map_is_the_minimiser(self, x, scale, step, penalty):
        own = Scaled(penalty, scale)

        def cost(w):
            return 0.5 * (w - x) ** 2 + step * penalty.value(scale * w)

        best = own.prox(x, step)
        others = np.concatenate([np.linspace(-6.0, 6.0, 2001), best + np.linspace(-1e-3, 1e-3, 21)])
        assert cost(best) <= cost(others).min() + 1e-12 * (1.0 + cost(best))
        assert Scaled(penalty, 0.0).prox(x, step) == x


@pytest.mark.parametrize("name", ["scale", "penalty_scales"])
@pytest.mark.parametrize("optimizer", [SGD(), FTRL()], ids=repr)
def test_all_features_are_stepped(optimizer, name):
    data = regression(p=500, density=0.01, layout=csr)
    of = problem(data, optimizer=optimizer, batch_size=1)
    ones = {name: np.ones(500), **({"center": np.zeros(500)} if name == "scale" else {})}
    assert update_kind(of, data.rows, 1) is not UpdateKind.PLAIN
    assert update_kind(replace(of, **ones), data.rows, 1) is UpdateKind.PLAIN
