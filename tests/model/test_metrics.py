"""Metrics: scikit-learn's numbers, from sums over chunks."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve

from gradstep import Pinball
from gradstep.model.metrics import ClassificationMetrics, RegressionMetrics, metrics_in_words
from gradstep.model.ranking import MOST, Scores, area, auc
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
        covered = np.average(y <= mean, weights=weight)
        assert found.result()["coverage"] == pytest.approx(covered, **near)
        assert list(found.result())[:3] == ["rows", "pinball", "coverage"]
        mae = ["mae"] if quantile == 0.5 else []  # which the median has the least of
        assert list(metrics_in_words(Pinball(quantile))) == ["pinball", "coverage", *mae]

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
            "brier": oracle.brier_score_loss(
                code, each[:, 1] if k == 2 else each, sample_weight=weight
            ),
            "f1": oracle.f1_score(
                code, predicted, average="binary" if k == 2 else "macro", sample_weight=weight
            ),
        }
        if k == 2:
            expected["auc"] = oracle.roc_auc_score(code, score, sample_weight=weight)
            expected["pr_auc"] = oracle.average_precision_score(code, score, sample_weight=weight)
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
            "rows": 3, "accuracy": 1.0, "f1": 1.0, "auc": 1.0, "pr_auc": 1.0,
            "confusion": [[1.0, 0.0], [0.0, 2.0]],
        }  # fmt: skip

    def test_an_impossible_class_costs_much_but_not_infinitely(self):
        found = ClassificationMetrics(["a", "b"])
        found.add(np.array([1]), np.array([0]), np.array([[1.0, 0.0]]), np.array([-9.0]))
        expected = oracle.log_loss([1], [[1.0, 0.0]], labels=[0, 1])
        assert found.result()["log_loss"] == pytest.approx(expected)
        assert found.result()["f1"] == 0.0

    def test_classes_that_are_not_there_have_no_part_in_f1(self):
        found = ClassificationMetrics(["a", "b", "c"])
        code = np.array([0, 1, 1])
        found.add(code, np.array([0, 1, 0]), None, None)
        expected = oracle.f1_score(code, [0, 1, 0], average="macro")
        assert found.result()["f1"] == pytest.approx(expected)


class TestCalibration:
    def test_is_that_of_scikit_learn_by_quantiles(self):
        score = RNG.normal(size=N)
        code = (RNG.random(N) < expit(score)).astype(np.intp)
        found = ClassificationMetrics(["a", "b"])
        for part in parts(CUTS[1], code, code, None, score):
            found.add(*part)
        observed, predicted = calibration_curve(code, expit(score), n_bins=10, strategy="quantile")
        tenths = found.result(expit)["calibration"]
        assert [tenth["weight"] for tenth in tenths] == [N / 10] * 10
        assert [tenth["observed"] for tenth in tenths] == pytest.approx(observed)
        assert [tenth["predicted"] for tenth in tenths] == pytest.approx(predicted)

    def test_rows_count_by_weight_and_ties_stay_together(self):
        score, code = RNG.normal(size=N).round(1), RNG.integers(0, 2, N)
        often = RNG.integers(1, 4, N)
        weighed, repeated = (ClassificationMetrics(["a", "b"]) for _ in range(2))
        weighed.add(code, code, None, score, often.astype(float))
        code, score = np.repeat(code, often), np.repeat(score, often)
        repeated.add(code, code, None, score)
        for one, other in zip(
            weighed.result(expit)["calibration"], repeated.result(expit)["calibration"], strict=True
        ):
            assert one == pytest.approx(other)
        constant = ClassificationMetrics(["a", "b"])
        constant.add(code, code, None, np.zeros(code.size))
        assert constant.result(expit)["calibration"] == [
            {"weight": code.size, "predicted": 0.5, "observed": pytest.approx(code.mean())}
        ]


class TestAreaOfManyRows:
    """Scores are thinned: memory is bounded, and so is the error."""

    @staticmethod
    def scores(most, score, positive, weight=None, portion=1000):
        found = Scores(most), Scores(most)
        weight = np.ones(score.size) if weight is None else weight
        for lo in range(0, score.size, portion):
            part = slice(lo, lo + portion)
            for mine, kept in zip((~positive[part], positive[part]), found, strict=True):
                kept.add(score[part][mine], weight[part][mine])
        return found

    @pytest.mark.parametrize("n", [20_000, 80_000])
    def test_takes_bounded_memory(self, n):
        rng, most = np.random.default_rng(1), 256
        found = self.scores(most, rng.normal(size=n), rng.random(n) < 0.5)
        assert len(pickle.dumps(found)) < 16 * most * 2 * np.log2(
            n / most
        )  # bytes, classes, levels

    @pytest.mark.parametrize("order", ["random", "rising", "falling", "one class first"])
    @pytest.mark.parametrize("weight", [None, "uniform", "heavy"])
    @pytest.mark.parametrize("ties", [False, True])
    def test_is_off_by_no_more_than_it_says(self, order, weight, ties):
        rng, n, most = np.random.default_rng(2), 60_000, 256
        score = rng.normal(size=n)
        positive = score + 2.0 * rng.normal(size=n) > 1.0
        if ties:
            score = np.round(score, 1)
        at = {"rising": np.argsort(score), "falling": np.argsort(-score),
              "one class first": np.argsort(positive)}.get(order, np.arange(n))  # fmt: skip
        score, positive = score[at], positive[at]
        weights = {None: None, "uniform": rng.uniform(0.0, 2.0, n),
                   "heavy": np.where(rng.random(n) < 1e-3, 100.0, 1.0)}[weight]  # fmt: skip
        found = self.scores(most, score, positive, weights)
        exact, error = auc(score, positive, weights), sum(s.moved / s.weight for s in found)
        assert abs(area(*found) - exact) <= error + 1e-12
        assert error < (0.5 if weight == "heavy" else 0.1)
        if weight is None:
            levels = sum(np.log2(m / most) / most for m in (positive.sum(), (~positive).sum()))
            assert error <= levels + 2 / most
        assert abs(area(*found) - exact) < 2e-3

    def test_does_not_depend_on_portions(self):
        rng = np.random.default_rng(3)
        score, positive = rng.normal(size=5000), rng.random(5000) < 0.3
        one, other = (area(*self.scores(64, score, positive, portion=p)) for p in (7, 5000))
        assert one == other

    def test_is_exact_while_all_are_kept(self):
        rng = np.random.default_rng(4)
        score, positive = rng.normal(size=2 * MOST), np.arange(2 * MOST) % 2 == 0
        found = self.scores(MOST, score, positive, portion=1 << 16)
        assert area(*found) == auc(score, positive)
        assert all(s.moved == 0.0 for s in found)

    def test_of_a_billion_rows_is_as_near_as_documented(self):
        assert 2.0 * np.log2(1e9 / MOST) / MOST < 1e-4


@pytest.mark.parametrize("weight", WEIGHTS, ids=["", "weighted", "counted"])
class TestMerged:
    """Metrics of parts, put together, are those of the whole."""

    CUT = (0, 0, 70, 71, N)

    def test_numbers(self, weight):
        y = 1e3 + RNG.normal(size=N)
        mean = y + 0.3 * RNG.normal(size=N)
        whole, merged = RegressionMetrics(0.0), RegressionMetrics(0.0)
        whole.add(y, mean, weight)
        for part in parts(self.CUT, y, mean, weight):
            found = RegressionMetrics(0.0)
            found.add(*part)
            merged = merged.merged(found)
        assert merged.result() == pytest.approx(whole.result(), rel=1e-9)

    def test_classes(self, weight):
        p = RNG.random(N)
        code = (RNG.random(N) < p).astype(int)
        rows = code, (p > 0.5).astype(int), np.column_stack([1.0 - p, p]), p, weight
        whole, merged = ClassificationMetrics("ab"), ClassificationMetrics("ab")
        whole.add(*rows)
        for part in parts(self.CUT, *rows):
            found = ClassificationMetrics("ab")
            found.add(*part)
            merged = merged.merged(found)
        found, expected = merged.result(), whole.result()
        assert found.pop("confusion") == pytest.approx(np.array(expected.pop("confusion")))
        assert found == pytest.approx(expected, rel=1e-12)


def test_merged_scores_are_thinned_as_those_of_the_whole():
    score = RNG.normal(size=1000)
    whole, merged = Scores(most=64), Scores(most=64)
    whole.add(score, np.ones(1000))
    for lo, hi in pairwise([0, 10, 400, 1000]):
        part = Scores(most=64)
        part.add(score[lo:hi], np.ones(hi - lo))
        merged.merge(part)
    assert merged.weight == whole.weight == merged.kept()[1].sum()
    assert merged.kept()[0].size <= 64 * 6
    assert merged.moved <= 64
