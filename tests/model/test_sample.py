"""Rows evenly apart; curves of ranks against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_curve

import gradstep
from gradstep.model.evaluation import evaluate_with_rows
from gradstep.model.ranking import curves
from gradstep.model.sample import SampledRows
from tests.examples import examples
from tests.reporting.models import model_of, table_of


@examples(100)
@given(st.lists(st.integers(0, 40), max_size=8), st.integers(1, 20))
def test_rows_are_evenly_apart_whatever_the_portions(portions, most):
    found, at = SampledRows(most), 0
    for size in portions:
        rows = np.arange(at, at + size, dtype=float)
        found.add(rows, rows[:, None], None)
        at += size
    assert found.n == at
    assert found.y.tolist() == list(range(0, at, found.apart))
    assert found.z[:, 0].tolist() == found.y.tolist()
    assert found.y.size <= most
    assert found.apart == 1 or 2 * found.y.size + 1 >= most


@examples(50)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 20))
def test_merged_are_of_both_and_bounded(one, other, most):
    both = []
    for n in (one, other):
        both.append(SampledRows(most))
        both[-1].add(np.arange(n, dtype=float), np.zeros((n, 1)), np.ones(n))
    found = both[0].merged(both[1])
    assert found.n == one + other
    assert found.y.size <= most
    assert found.weight.size == found.y.size == found.z.shape[0]
    assert abs(found.y.size * found.apart - found.n) <= 3 * found.apart


@pytest.mark.parametrize("weighed", [False, True])
def test_curves_are_scikit_learns(weighed):
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 30, 300).astype(float), rng.random(300) < 0.3
    weight = rng.integers(1, 4, 300).astype(float) if weighed else np.ones(300)
    found = curves(score, positive, weight)
    fpr, tpr, _ = roc_curve(positive, score, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_allclose(np.r_[0.0, found["fallout"]], fpr)
    np.testing.assert_allclose(np.r_[0.0, found["recall"]], tpr)
    precision, recall, _ = precision_recall_curve(positive, score, sample_weight=weight)
    np.testing.assert_allclose(found["precision"][::-1], precision[:-1])
    np.testing.assert_allclose(found["recall"][::-1], recall[:-1])


def test_an_evaluation_with_rows_is_the_evaluation():
    model = model_of("two")
    table = table_of(model)
    found, rows = evaluate_with_rows(model, table)
    assert found == gradstep.evaluate(model, table)
    np.testing.assert_array_equal(rows.y, table["y"].to_numpy())
    np.testing.assert_array_equal(rows.z, model.table_scores(table))
