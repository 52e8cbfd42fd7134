"""Classes: the loss that they get, and how much each counts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import gradstep
from gradstep import InvalidParameter, fit_table, prepare
from tests.fit.tables import linear, logistic, three


class TestLossOfClasses:
    """What a loss becomes does not depend on how it is given, nor on the front."""

    @pytest.mark.parametrize(
        "loss, of_three",
        [
            ("log_loss", gradstep.Softmax()),
            (gradstep.LogLoss(), gradstep.Softmax()),
            (gradstep.Softmax(), gradstep.Softmax()),
            *(
                pytest.param(*each, marks=pytest.mark.slow)
                for each in (
                    (
                        gradstep.OneVsRest(gradstep.LogLoss()),
                        gradstep.OneVsRest(gradstep.LogLoss()),
                    ),
                    ("hinge", gradstep.OneVsRest(gradstep.Hinge())),
                )
            ),
        ],
    )
    def test_of_three_is_that_of_the_estimator(self, loss, of_three):
        prepared = prepare(three(300), "y")
        fit = fit_table(prepared, loss=loss, max_iter=2)
        assert repr(fit.model.loss) == repr(of_three)
        model = gradstep.MiniBatchClassifier(loss, max_iter=2, tol=None).fit(prepared)
        assert repr(model._model.loss) == repr(of_three)

    @pytest.mark.parametrize("loss", [gradstep.Softmax(), gradstep.OneVsRest(gradstep.Hinge())])
    def test_with_a_score_for_each_is_refused_of_two(self, loss):
        prepared = prepare(logistic(100), "y")
        for fit in (
            lambda: fit_table(prepared, loss=loss),
            lambda: gradstep.MiniBatchClassifier(loss).fit(prepared),
        ):
            with pytest.raises(InvalidParameter, match=r"takes a score for each class.*: use "):
                fit()

    def test_is_refused_of_numbers(self):
        prepared = prepare(linear(100), "y")
        for loss in (gradstep.LogLoss(), gradstep.Softmax()):
            with pytest.raises(InvalidParameter, match="is one of classes; the target 'y'"):
                fit_table(prepared, loss=loss)


class TestClassWeights:
    def test_metrics_are_of_rows_as_they_are(self):
        """And so is the best constant."""
        table = logistic(900).with_columns(rare=pl.int_range(pl.len()) % 9 == 0)
        table = table.filter(pl.col("rare") | (pl.col("y") == "no")).drop("rare")
        options = {"validation": 0.3}
        plain = fit_table(table, "y", **options)
        fit = fit_table(table, "y", class_weight="balanced", **options)
        assert fit.baseline.pop("confusion") == plain.baseline.pop("confusion")
        assert fit.baseline == pytest.approx(plain.baseline, rel=1e-6)
        confusion = np.array(fit.validation["confusion"])
        assert confusion.sum() == fit.validation["rows"]
        assert confusion[1, 1] > plain.validation["confusion"][1][1]

    def test_on_the_way_through_a_folder(self, tmp_path):
        table = logistic(300)
        options = {"class_weight": {"yes": 3.0}, "validation": 0.2}
        fit = fit_table(prepare(table, "y", out=tmp_path / "p", **options))
        expected = fit_table(table, "y", **options)
        assert fit.model.params.tobytes() == expected.model.params.tobytes()
        assert fit.validation == expected.validation

    @pytest.mark.parametrize(
        "weights, message",
        [
            ("even", "class_weight='even' must be 'balanced', or weights by class"),
            (
                {"yess": 2.0},
                "names 'yess', which is no class of the target 'y'. Did you mean 'yes'",
            ),
            ({"yes": 0.0}, r"class_weight\['yes'\]=0.0 of prepare must be a number > 0"),
        ],
    )
    def test_that_are_wrong(self, weights, message):
        with pytest.raises(InvalidParameter, match=message):
            fit_table(logistic(50), "y", class_weight=weights)

    def test_of_numbers(self):
        with pytest.raises(InvalidParameter, match="the target 'y' is a number"):
            fit_table(linear(50), "y", class_weight="balanced")
