"""Displays draw what there is, as scikit-learn's do, and say what is missing."""

from __future__ import annotations

import builtins
from functools import cache

import numpy as np
import polars as pl
import pytest
from sklearn.exceptions import NotFittedError

import gradstep
from gradstep import (
    CoefficientDisplay,
    EffectDisplay,
    InvalidParameter,
    LossCurveDisplay,
    MiniBatchClassifier,
    MiniBatchRegressor,
    MissingPackage,
    TableClassifier,
    TableRegressor,
)
from gradstep.model.effects import effects
from tests.uncompiled import uncompiled

pytestmark = uncompiled

N = 240
RNG = np.random.default_rng(2)
X = RNG.normal(size=(N, 3))
SCORE = X @ [1.0, -0.5, 0.0]
Y = SCORE + RNG.normal(size=N)
TABLE = pl.DataFrame({
    "price in $": X[:, 0],
    "km": X[:, 1],
    "colour": RNG.choice(["red", "green", "blue"], N),
    "day": np.datetime64("2026-01-01") + RNG.integers(0, 90, N).astype("timedelta64[D]"),
})  # fmt: skip
ZONE = np.array(["airport", "centre", "suburb"])[np.digitize(Y, [-1.0, 1.0])]


@pytest.fixture(scope="module", autouse=True)
def _without_a_window():
    import matplotlib as mpl

    mpl.use("Agg")


@pytest.fixture(autouse=True)
def plt():
    """Matplotlib's plots, closed in the end."""
    from matplotlib import pyplot as plt

    yield plt
    plt.close("all")


@cache
def fitted(kind):
    """Return an estimator of a kind; the first test that asks fits it."""
    est, rows, target = {
        "arrays": (MiniBatchRegressor(penalty=None), X, Y),
        "classes": (MiniBatchClassifier(), X, ZONE),
        "table": (TableRegressor(alpha=1e-4), TABLE, Y),
        "classes of a table": (TableClassifier(alpha=1e-3), TABLE, ZONE),
    }[kind]
    return est.fit(rows, target)


DISPLAYS = {LossCurveDisplay: "arrays", CoefficientDisplay: "arrays", EffectDisplay: "table"}


class TestAll:
    @pytest.mark.parametrize("display, kind", DISPLAYS.items())
    def test_draw_on_new_axes_or_on_those_given(self, display, kind, plt):
        alone = display.from_estimator(fitted(kind))
        assert alone.figure_ is alone.ax_.figure
        figure, axes = plt.subplots(1, 2)
        given = display.from_estimator(fitted(kind), ax=axes[1])
        assert (given.ax_, given.figure_) == (axes[1], figure)
        assert given.plot(axes[0]) is given, "it may be drawn again, elsewhere"
        assert given.ax_ is axes[0]

    @pytest.mark.parametrize("display, kind", DISPLAYS.items())
    def test_ask_for_a_fit(self, display, kind):
        with pytest.raises(NotFittedError):
            display.from_estimator(type(fitted(kind))())

    @pytest.mark.parametrize("display, kind", DISPLAYS.items())
    def test_say_what_to_install(self, display, kind, monkeypatch):
        imports = builtins.__import__

        def without(name, *arguments, **options):
            if name.startswith("matplotlib"):
                raise ModuleNotFoundError(name)
            return imports(name, *arguments, **options)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(MissingPackage, match=r"pip install 'gradstep\[plot\]'") as found:
            display.from_estimator(fitted(kind))
        assert isinstance(found.value, ImportError)
        assert display.__name__ in str(found.value)


class TestLossCurve:
    def test_draws_the_history(self):
        model = MiniBatchRegressor(learning_rate=0.1, max_iter=4, tol=None).fit(X, Y)
        found = LossCurveDisplay.from_estimator(model)
        np.testing.assert_array_equal(found.line_.get_ydata(), model.loss_curve_)
        np.testing.assert_array_equal(found.line_.get_xdata(), [1.0, 2.0, 3.0, 4.0])
        assert found.line_.get_label() == "MiniBatchRegressor"
        again = found.plot(found.ax_, x="seconds", name="again", color="red")
        assert (again.line_.get_color(), again.ax_.get_xlabel()) == ("red", "seconds")
        names = [text.get_text() for text in again.ax_.get_legend().get_texts()]
        assert names == ["MiniBatchRegressor", "again"]

    def test_of_the_automatic_method(self):
        found = LossCurveDisplay.from_estimator(fitted("arrays"), x="passes", y="excess")
        assert found.ax_.get_yscale() == "log"
        passes = [record.passes for record in fitted("arrays").history_]
        np.testing.assert_array_equal(found.line_.get_xdata(), passes)

    def test_of_validation_rows(self):
        model = MiniBatchRegressor(learning_rate=0.1, max_iter=3, tol=None)
        found = LossCurveDisplay.from_estimator(model.fit(X, Y, X_val=X[:40], y_val=Y[:40]))
        np.testing.assert_array_equal(found.validation_line_.get_ydata(), model.validation_scores_)
        assert found.validation_ax_.get_ylabel() == "validation score"

    def test_what_is_not_there(self):
        model = MiniBatchRegressor(learning_rate=0.1, max_iter=2, tol=None).fit(X, Y)
        for asked, why in (
            ({"x": "rows"}, "x='rows' of LossCurveDisplay"),
            ({"y": "excess"}, "'loss'"),
        ):
            with pytest.raises(InvalidParameter, match=why):
                LossCurveDisplay.from_estimator(model, **asked)
        streamed = MiniBatchRegressor(learning_rate=0.1).partial_fit(X, Y)
        with pytest.raises(InvalidParameter, match="keeps no history"):
            LossCurveDisplay.from_estimator(streamed)


class TestCoefficients:
    def test_of_arrays_with_intervals_and_without(self):
        model = fitted("arrays")
        bare = CoefficientDisplay.from_estimator(model)
        assert [each.feature for each in bare.coefficients] == ["x0", "x1", "x2"]
        assert not bare.points_[0].has_xerr
        found = CoefficientDisplay.from_estimator(model, X, Y, covariance="HC0", level=0.9, most=2)
        inference = model.inference(X, Y, covariance="HC0")
        ends = inference.intervals(0.9)[0, :2]
        np.testing.assert_allclose([each[2:] for each in found.coefficients],
                                   np.column_stack([model.coef_[:2], ends]))  # fmt: skip
        assert found.points_[0].has_xerr
        assert found.ax_.get_xlabel() == "coefficient, 90 % interval"
        same = CoefficientDisplay.from_inference(inference, level=0.9, most=2)
        assert same.coefficients == found.coefficients

    def test_of_several_classes(self):
        found = CoefficientDisplay.from_estimator(fitted("classes"), errorbar_kw={"fmt": "s"})
        assert len(found.points_) == 3
        names = [text.get_text() for text in found.ax_.get_legend().get_texts()]
        assert names == ["airport", "centre", "suburb"]

    @pytest.mark.parametrize("kind", ["table", "classes of a table"])
    def test_of_a_table(self, kind):
        found = CoefficientDisplay.from_estimator(fitted(kind), most=3)
        labels = [text.get_text() for text in found.ax_.get_yticklabels()]
        assert labels[0] == r"price in \$", "no formula"
        found.figure_.canvas.draw()
        assert "95 % intervals: robust" in found.ax_.get_xlabel()
        model = fitted(kind).model_
        assert CoefficientDisplay.from_model(model, most=3).coefficients == found.coefficients

    def test_what_would_change_nothing(self):
        with pytest.raises(InvalidParameter, match="leave out X, y"):
            CoefficientDisplay.from_estimator(fitted("table"), TABLE, Y)
        with pytest.raises(InvalidParameter, match="most"):
            CoefficientDisplay.from_estimator(fitted("arrays"), most=0)


class TestEffect:
    @pytest.mark.parametrize("kind", ["table", "classes of a table"])
    @pytest.mark.parametrize("column", ["price in $", "colour", "day"])
    def test_draws_the_effect(self, kind, column):
        found = EffectDisplay.from_estimator(fitted(kind), column)
        effect = next(e for e in effects(fitted(kind).model_, 99) if e.column == column)
        assert len(found.lines_) == len(effect.outputs)
        for c, line in enumerate(found.lines_):
            drawn = line if effect.is_curve else line.lines[0]
            np.testing.assert_array_equal(drawn.get_ydata(), effect.mean[:, c])
        assert len(found.bands_) == (len(effect.outputs) if effect.is_curve else 0)
        if column == "day":
            assert str(found.lines_[0].get_xdata()[0]).startswith("2026-01")
        if column == "colour":
            assert {t.get_text() for t in found.ax_.get_xticklabels()} == set(effect.at)

    def test_of_the_column_that_matters_most(self):
        assert EffectDisplay.from_model(fitted("table").model_).ax_.get_xlabel() == r"price in \$"
        assert EffectDisplay.from_estimator(fitted("table"), color="red").lines_[0].get_color()

    def test_what_has_none(self, tmp_path):
        with pytest.raises(InvalidParameter, match=r"'kms'. Did you mean 'km'"):
            EffectDisplay.from_estimator(fitted("table"), "kms")
        with pytest.raises(InvalidParameter, match="was fitted to arrays"):
            EffectDisplay.from_estimator(fitted("arrays"), "x0")
        (tmp_path / "t.svm").write_text("1 1:2\n0 1:3\n" * 20, encoding="ascii")
        sparse = gradstep.fit_table(tmp_path / "t.svm", validation=0.0).model
        with pytest.raises(InvalidParameter, match="Sparse text has no effects"):
            EffectDisplay.from_model(sparse)
