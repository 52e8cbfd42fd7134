"""Round numbers along axes."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.markup import width_of
from gradstep.reporting.plot import SIZE, WIDTH, Plot
from gradstep.reporting.scales import Dates, Factors, Linear, Log, round_numbers
from tests.examples import examples

ends = st.tuples(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)


@examples(200)
@given(ends, st.integers(1, 9))
def test_round_numbers_are_round_and_within(pair, about):
    low, high = pair
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        return
    found = round_numbers(low, high, about)
    room = 1e-6 * (high - low)
    assert all(low - room <= value <= high + room for value in found)
    assert len(found) <= about + 1
    if about >= 3:
        assert len(found) >= 2
    steps = np.diff(found)
    if steps.size:
        step = float(np.median(steps))
        np.testing.assert_allclose(steps, step, rtol=1e-3)
        head = Decimal(repr(float(f"{step:.3g}"))).normalize().as_tuple().digits
        assert head in {(1,), (2,), (5,)}


@examples(200)
@given(ends, st.sampled_from([Linear, Dates, Factors]))
def test_labels_tell_ticks_apart(pair, kind):
    low, high = pair
    if kind is Factors:
        low, high = max(low, -40.0), min(max(high, -39.0), 40.0)
    if not high - low > 1e-6 * max(abs(low), abs(high)) or (kind is Dates and high - low < 10.0):
        return
    ticks = kind(low, high).ticks(5)
    labels = [label for _, label in ticks]
    assert len(set(labels)) == len(labels)
    if kind is Linear:
        for value, label in ticks:
            assert float(label.replace(",", "")) == pytest.approx(value, abs=1e-6 * (high - low))


def test_of_numbers_that_are_the_same_or_none():
    for values in ([], [3.0], [3.0, 3.0], [math.nan, math.inf], [0.0], [1e308, -1e308]):
        scale = Linear.of(values)
        assert scale.low < scale.high
        assert scale.ticks(5)
    assert Log.of([]).low < Log.of([]).high
    assert [label for _, label in Log(1e-9, 1.0).ticks(3)] == ["1e-9", "1e-6", "0.001", "1"]


def test_dates_are_firsts_of_months_or_years():
    day = np.datetime64("2023-01-01").astype("datetime64[D]").astype(int)
    assert [label for _, label in Dates(day, day + 700).ticks(4)] == [
        "2023-01", "2023-07", "2024-01", "2024-07",
    ]  # fmt: skip
    assert [label for _, label in Dates(0.0, 20_000.0).ticks(4)] == ["1970", "1990", "2010"]
    assert Dates(0.0, 10.0).ticks(3)[0][1] == "1970-01-01"


@examples(100)
@given(ends, ends)
def test_labels_below_an_axis_do_not_touch(x, y):
    if not all(high - low > 1e-6 * max(abs(low), abs(high)) for low, high in (x, y)):
        return
    plot = Plot(Linear(*x), Linear(*y), "x", "y")
    ticks = plot._columns()
    assert ticks
    for (a, left), (b, right) in pairwise(ticks):
        apart = plot.to_x(b) - plot.to_x(a)
        assert apart >= 0.5 * (width_of(left, SIZE) + width_of(right, SIZE))
    assert 0.0 < plot.left < WIDTH / 2.0
