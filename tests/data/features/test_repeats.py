"""Whether a number comes twice: told of any number of rows, in whatever order they come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.data.features.repeats import Repeats

FEW = st.lists(st.integers(0, 30).map(float), max_size=40)


@given(FEW, st.lists(st.integers(0, 40), max_size=3))
def test_few_numbers_are_told_exactly(numbers, cuts):
    repeats = Repeats()
    for part in np.split(np.array(numbers), sorted(min(cut, len(numbers)) for cut in cuts)):
        repeats.add(part)
    assert bool(repeats) == (len(set(numbers)) < len(numbers))


def test_many_numbers_do_not_repeat():
    x = np.random.default_rng(0).permutation(300_000).astype(float)
    repeats = Repeats()
    for part in np.split(x, 10):
        repeats.add(part)
    assert not repeats
    assert repeats.kept.size <= 1 << 14


def test_a_repetition_in_a_tenth_of_many_rows_is_found_across_chunks():
    x = np.arange(300_000.0)
    x[-30_000:] = x[:30_000]
    repeats = Repeats()
    for part in np.split(x, 10):
        repeats.add(part)
    assert repeats


@pytest.mark.parametrize("alike", [False, True])
def test_who_read_what_does_not_matter(alike):
    x = np.random.default_rng(1).permutation(200_000).astype(float)
    if alike:
        x[100_000:120_000] = x[:20_000]
    whole, merged = Repeats(), Repeats()
    for lo in range(0, x.size, 20_000):
        whole.add(x[lo : lo + 20_000])
    for lo, hi in ((120_000, 200_000), (0, 20_000), (20_000, 120_000)):
        part = Repeats()
        for at in range(lo, hi, 20_000):
            part.add(x[at : at + 20_000])
        merged.merge(part)
    assert bool(merged) == bool(whole) == alike
    assert np.array_equal(merged.kept, whole.kept)
    assert np.array_equal(merged.twice, whole.twice)
    assert merged.cut == whole.cut


def test_zeros_of_both_signs_are_one_number():
    repeats = Repeats()
    repeats.add(np.array([0.0]))
    repeats.add(np.array([-0.0]))
    assert repeats
