"""Metrics: scikit-learn's numbers, from sums over chunks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from gradstep.model.metrics import ClassificationMetrics, RegressionMetrics, auc
from tests.examples import examples

SOME = examples(60)
RNG = np.random.default_rng(0)
N = 200
WEIGHTS = [None, RNG.uniform(0.1, 3.0, N), RNG.integers(0, 3, N).astype(float)]
CUTS = [[0, N], [0, 1, 1, 50, N]]
near = {"rel": 1e-12, "abs": 1e-12}


def parts(cuts, *arrays):
    """Yield the arrays in parts."""
    for lo, hi in pairwise(cuts):
        yield [None if a is None else a[lo:hi] for a in arrays]


@pytest.mark.parametrize("cuts", CUTS, ids=["whole", "parts"])
@pytest.mark.parametrize("weight", WEIGHTS, ids=["", "weighted", "counted"])
class TestAsScikitLearn:
    @pytest.mark.parametrize("shift", [0.0, 1e6])
    def test_numbers(self, cuts, weight, shift):
        y = shift + RNG.normal(size=N)
        mean = y + 0.3 * RNG.normal(size=N)
        found = RegressionMetrics()
        for part in parts(cuts, y, mean, weight):
            found.add(*part)
        result = found.result()
        assert result.pop("rows") == N
        expected = {
            "rmse": oracle.root_mean_squared_error(y, mean, sample_weight=weight),
            "mae": oracle.mean_absolute_error(y, mean, sample_weight=weight),
            "r2": oracle.r2_score(y, mean, sample_weight=weight),
        }
        assert result == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("power", [0.0, 1.0, 1.4, 2.0])
    def test_deviance(self, cuts, weight, power):
        y = RNG.poisson(2.0, N) + (0.5 if power == 2.0 else 0.0)
        y = y - 1.0 if power == 0.0 else y
        mean = RNG.uniform(0.5, 4.0, N)
        found = RegressionMetrics(power=power)
        for part in parts(cuts, y, mean, weight):
            found.add(*part)
        expected = oracle.mean_tweedie_deviance(y, mean, power=power, sample_weight=weight)
        assert found.result()["deviance"] == pytest.approx(expected, **near)

    @pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
    def test_pinball(self, cuts, weight, quantile):
        y, mean = RNG.normal(size=(2, N))
        found = RegressionMetrics(quantile=quantile)
        for part in parts(cuts, y, mean, weight):
            found.add(*part)
        expected = oracle.mean_pinball_loss(y, mean, sample_weight=weight, alpha=quantile)
        assert found.result()["pinball"] == pytest.approx(expected, **near)

    @pytest.mark.parametrize("k", [2, 4])
    def test_classes(self, cuts, weight, k):
        code = RNG.integers(0, k, N)
        each = RNG.dirichlet(np.ones(k), N)
        predicted = each.argmax(axis=1)
        score = np.round(each[:, 1], 1) if k == 2 else None  # with ties
        found = ClassificationMetrics([f"c{c}" for c in range(k)])
        for part in parts(cuts, code, predicted, each, score, weight):
            found.add(*part)
        result = found.result()
        assert result.pop("rows") == N
        confusion = oracle.confusion_matrix(code, predicted, sample_weight=weight)
        np.testing.assert_allclose(result.pop("confusion"), confusion, rtol=1e-12)
        expected = {
            "accuracy": oracle.accuracy_score(code, predicted, sample_weight=weight),
            "log_loss": oracle.log_loss(code, each, sample_weight=weight),
        }
        if k == 2:
            expected["auc"] = oracle.roc_auc_score(code, score, sample_weight=weight)
        assert result == pytest.approx(expected, **near)


class TestAuc:
    @SOME
    @given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=1))
    def test_counts_pairs(self, rows):
        """How often a positive row scores above a negative one; ties count half."""
        score, positive, weight = (np.array(a) for a in zip(*rows, strict=True))
        found = auc(score.astype(float), positive, weight.astype(float))
        won = total = 0.0
        for s, p, w in rows:
            for t, q, v in rows:
                if p and not q:
                    total += w * v
                    won += w * v * (1.0 if s > t else 0.5 if s == t else 0.0)
        if total == 0.0:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(won / total, **near)


class TestEdges:
    def test_constant_targets_have_no_r2(self):
        found = RegressionMetrics()
        found.add(np.ones(3), np.zeros(3))
        assert np.isnan(found.result()["r2"])
        assert found.result()["rmse"] == 1.0

    def test_no_rows(self):
        assert RegressionMetrics().result() == {"rows": 0}
        assert ClassificationMetrics(["a", "b"]).result() == {"rows": 0}

    def test_rows_that_weigh_nothing(self):
        found = ClassificationMetrics(["a", "b"])
        code = np.array([0, 1])
        found.add(code, code, None, np.array([0.0, 1.0]), np.zeros(2))
        assert found.result() == {"rows": 2}

    def test_scores_without_probabilities(self):
        """Have an area under the curve, and no log loss."""
        found = ClassificationMetrics(["a", "b"])
        code = np.array([0, 1, 1])
        found.add(code, code, None, np.array([-1.0, 1.0, 2.0]))
        assert found.result() == {
            "rows": 3, "accuracy": 1.0, "auc": 1.0, "confusion": [[1.0, 0.0], [0.0, 2.0]],
        }  # fmt: skip

    def test_an_impossible_class_costs_much_but_not_infinitely(self):
        found = ClassificationMetrics(["a", "b"])
        found.add(np.array([1]), np.array([0]), np.array([[1.0, 0.0]]), np.array([-9.0]))
        assert 500.0 < found.result()["log_loss"] < 1000.0
