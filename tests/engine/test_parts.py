"""Rows in two parts that are trained on together."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.engine.parts import Together
from gradstep.objective.classification import LogLoss
from gradstep.objective.regression import SquaredError
from gradstep.rows import dataset
from gradstep.rows.dataset import Dataset, are_classes, score_unit
from gradstep.rows.layouts import CsrRows, DenseRows


def part(n, *, weighted=False, sparse=False, some=False):
    rng = np.random.default_rng(n)
    rows = DenseRows(rng.normal(size=(n, 3)))
    if sparse:
        rows = CsrRows(rng.normal(size=n), np.zeros(n, np.int32), np.arange(n + 1), 3)
    weight = rng.uniform(0.5, 2.0, n) if weighted else None
    data = Dataset(rows, rng.normal(size=(n, 1)), weight, shuffled=True)
    return data.select(np.flatnonzero(rng.random(n) > 0.3)) if some else data


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("some", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
class TestTargets:
    """A look at them needs no features, which may be gigabytes."""

    def test_are_those_of_a_sample_without_features(self, weighted, sparse, some):
        one, other = (part(n, weighted=weighted, sparse=sparse, some=some) for n in (30, 11))
        with Together.of(one, other) as both:
            whole, bare = both.sample(), both.sample_without_features()
        assert (whole.n, whole.rows.n_features) == (one.n + other.n, 3)
        assert bare.rows.n_features == 0
        np.testing.assert_array_equal(bare.targets(), whole.targets())
        np.testing.assert_array_equal(
            bare.targets(), np.concatenate([one.targets(), other.targets()])
        )
        assert (bare.weights() is None) is (not weighted)
        if weighted:
            np.testing.assert_array_equal(bare.weights(), whole.weights())

    def test_of_very_many_rows_are_those_of_the_first(self, weighted, sparse, some, monkeypatch):
        monkeypatch.setattr(dataset, "_SAMPLE_ROWS", 8)
        one, other = part(30, weighted=weighted, sparse=sparse), part(11, some=some)
        with Together.of(one, other) as both:
            bare = both.sample_without_features()
        np.testing.assert_array_equal(bare.targets(), one.targets()[:8])
        assert bare.rows.n_features == 0


def test_what_targets_tell_copies_no_features(monkeypatch):
    one, other = part(30), part(11)
    monkeypatch.setattr(Together, "sample", lambda _: pytest.fail("features were copied"))
    with Together.of(one, other) as both:
        assert not are_classes(SquaredError(), both)
        assert not are_classes(LogLoss(), both)
        joined = np.concatenate([one.y, other.y])
        expected = score_unit(SquaredError(), Dataset(DenseRows(np.zeros((41, 1))), joined))
        assert score_unit(SquaredError(), both) == expected
