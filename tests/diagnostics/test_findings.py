"""What is noticed of columns and fits: each is told where it is, and not where it is not."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import polars as pl
import pytest

import gradstep as gs
from gradstep.fit.alpha import ChosenAlpha
from gradstep.fit.collinear import groups_of, notes_of_collinear

N = 400
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, 4))
Y = X @ [1.0, -1.0, 0.5, 0.0] + RNG.normal(size=N)
TABLE = pl.DataFrame({**{f"x{j}": X[:, j] for j in range(4)}, "y": Y})


def coded(notes, code):
    return [note.text for note in notes if note.code == code]


def of_reading(table, target="y", **options):
    return gs.prepare(table, target, **options).notes


class TestFarOut:
    def with_values(self, values, at=7):
        x = X[:, 0].copy()
        x[at : at + len(values)] = values
        return of_reading(TABLE.with_columns(x0=pl.Series(x)))

    @pytest.mark.parametrize("value", [40.0, -40.0, 1e9])
    def test_one_value(self, value):
        (text,) = self.with_values([value])
        assert text.startswith("GS014: One value of column 'x0' is far out: " + f"{value:g}")
        assert 'logs=["x0"]' in text

    def test_not_two_nor_a_tail(self):
        assert self.with_values([40.0, 41.0]) == []
        assert self.with_values([8.0]) == []
        tail = TABLE.with_columns(x0=pl.Series(np.exp(X[:, 0])))
        assert of_reading(tail) == []

    def test_it_has_more_than_half_of_the_leverage(self):
        """By the diagonal of the hat matrix of the column and a constant."""
        x = X[:, 0].copy()
        for value in (15.0, 25.0):
            x[7] = value
            A = np.column_stack([np.ones(N), x])
            leverage = np.diag(A @ np.linalg.inv(A.T @ A) @ A.T)[7] - 1.0 / N
            assert bool(coded(self.with_values([value]), "GS014")) == (leverage > 0.5)

    def test_not_of_a_yes_and_no(self):
        rare = np.zeros(N)
        rare[3] = 1.0
        assert of_reading(TABLE.with_columns(x0=pl.Series(rare))) == []


class TestRareLevels:
    def test_that_most_rows_have(self):
        names = [f"n{i // 3}" for i in range(N)]
        (text,) = of_reading(TABLE.with_columns(name=pl.Series(names)))
        assert text.startswith("GS015: Most rows have a rare level of 'name': 134 of its 134")

    def test_not_of_a_tail_of_rare_ones(self):
        names = [f"n{i}" if i < 120 else f"common{i % 5}" for i in range(N)]
        assert of_reading(TABLE.with_columns(name=pl.Series(names))) == []


class TestIntervalsOfFew:
    MAKES = pl.Series([*["m1"] * 4, "m2", *(f"m{3 + i % 4}" for i in range(N - 5))])
    TABLE = TABLE.with_columns(make=MAKES)

    def notes(self, table=TABLE, **options):
        fit = gs.fit_table(table, "y", **{"alpha": 0.01, "validation": 0.0} | options)
        return coded(fit.notes, "GS217")

    def test_names_the_levels(self):
        (text,) = self.notes()
        assert "fewer than 5 rows have intervals: make=m2 (1 row), make=m1 (4 rows). So" in text

    def test_counts_the_rows_that_the_model_was_fitted_to(self):
        (text,) = self.notes(validation=0.5)
        assert "make=m2 (1 row), make=m1 (4 rows)" in text
        (text,) = self.notes(self.TABLE[3:], validation_table=self.TABLE.head(3))
        assert "make=m1 (1 row), make=m2 (1 row)" in text

    @pytest.mark.parametrize(
        "options", [{"inference": "none"}, {"inference": "model"}, {"max_levels": 4}]
    )
    def test_not_without_such_an_interval(self, options):
        assert self.notes(**options) == []

    def test_not_of_five_rows_nor_of_what_is_told_already(self):
        assert self.notes(self.TABLE.filter(pl.col("make") != "m2")[4:]) == []
        names = pl.Series([f"n{i // 3}" for i in range(N)])
        assert self.notes(TABLE.with_columns(name=names)) == []


@pytest.mark.parametrize("lost, told", [(30, False), (60, True)])
def test_rows_without_the_target(lost, told):
    table = TABLE.with_columns(y=pl.Series([None] * lost + Y[lost:].tolist()))
    notes = of_reading(table)
    assert bool(notes) == told
    if told:
        assert notes[0].startswith("GS013: 60 of 400 rows have no 'y' and are left out.")


class TestCollinear:
    def test_inflation_is_that_of_regressions_on_the_others(self):
        Z = np.column_stack([X, X[:, 0] + X[:, 1] + 0.05 * RNG.normal(size=N)])
        ((group, inflation),) = groups_of(Z)
        assert group == [0, 1, 4]
        factors = []
        for j in group:
            others = np.column_stack([np.ones(N), np.delete(Z, j, axis=1)])
            left = Z[:, j] - others @ np.linalg.lstsq(others, Z[:, j])[0]
            factors.append(Z[:, j].var() / left.var())
        assert inflation == pytest.approx(max(factors), rel=1e-9)

    def test_groups_are_apart(self):
        pairs = np.column_stack([X[:, 0], X[:, 1], 3.0 - X[:, 0], 1e6 * X[:, 1], X[:, 2]])
        for digits in (15, 3):  # to rounding, and as prices that follow from minutes
            assert [group for group, _ in groups_of(pairs.round(digits))] == [[0, 2], [1, 3]]
        assert groups_of(np.column_stack([X, np.ones(N)])) == []

    def test_of_a_table(self):
        table = TABLE.with_columns(inches=pl.col("x0") * 39.37, metres=pl.col("x0")).drop("x0")
        (note,) = notes_of_collinear(gs.prepare(table, "y"))
        assert note.startswith("GS204: Columns inches, metres nearly determine each other")
        assert "without bound" in note
        assert 'drop=["metres"]' in note
        assert notes_of_collinear(gs.prepare(TABLE, "y")) == []

    def test_of_close_columns_it_is_not_said(self):
        """A correlation of 0.99 is an inflation of 50."""
        close = pl.Series(X[:, 0] + 0.142 * X[:, 1])
        prepared = gs.prepare(TABLE.with_columns(x1=close), "y")
        assert notes_of_collinear(prepared) == []


class TestHeldOut:
    """Of fits: a squared error, without a penalty."""

    def notes(self, table, **options):
        options = {"penalty": None, "inference": "none", "refit": False} | options
        return gs.fit_table(table, "y", validation=0.25, **options).notes

    def test_of_an_honest_table_nothing(self):
        assert self.notes(TABLE) == []
        assert self.notes(TABLE.with_row_index("t"), time_column="t", only=["x0", "x1"]) == []

    def test_overfitting(self):
        noise = {f"z{j}": column for j, column in enumerate(RNG.normal(size=(150, N)))}
        (text,) = coded(self.notes(TABLE.with_columns(**noise)), "GS202")
        assert "the best constant's, is 0.1" in text

    def test_no_better_than_a_constant(self):
        table = pl.DataFrame({"x": X[:, 0], "y": np.random.default_rng(1).normal(size=N)})
        (note,) = self.notes(table)
        assert note.startswith("GS201: The model is no better than a constant: ")

    def test_drift(self):
        turns = np.where(np.arange(N) < 300, Y, -Y)
        table = TABLE.with_columns(y=pl.Series(turns)).with_row_index("t")
        (note,) = self.notes(table, time_column="t", only=["x0", "x1", "x2"])
        assert note.startswith("GS203: Later rows differ: ")


@pytest.mark.parametrize("value, edge", [(1.0, "strongest"), (0.1, ""), (0.01, "weakest")])
def test_alpha_at_the_edge(value, edge):
    chosen = ChosenAlpha(value, "10 parts", {1.0: 0.5, 0.1: 0.4, 0.01: 0.3})
    assert chosen.edge == edge
    asked = {"of_classes": True, "given_away": False}
    assert [note.code for note in chosen.notes(**asked)] == ["GS111"] * bool(edge)
    assert ChosenAlpha(1.0, "10 parts", {1.0: 0.5}).notes(**asked) == []


@pytest.mark.parametrize("loss, of_classes, given_away, words", [
    (0.3, True, False, "perhaps none is needed"), (0.3, True, True, "(GS001)"),
    (0.001, True, False, "(GS001)"), (0.001, False, False, "perhaps none is needed"),
])  # fmt: skip
def test_where_hardly_an_error_is_left_the_weakest_alpha_is_no_good_sign(
    loss, of_classes, given_away, words
):
    chosen = ChosenAlpha(0.01, "10 parts", {1.0: 0.5, 0.1: 0.4, 0.01: loss})
    (note,) = chosen.notes(of_classes=of_classes, given_away=given_away)
    assert words in note


class TestIgnoring:
    TABLE = TABLE.with_row_index("id").with_columns(copy=pl.col("y"))

    def test_in_plan_fit_and_file(self):
        known = gs.plan(self.TABLE, "y").notes
        assert [note.code for note in known] == ["GS004", "GS001"]
        fit = gs.fit_table(self.TABLE, "y", alpha=1.0, ignore="GS001,GS002", inference="none")
        assert [note.code for note in fit.plan.notes] == ["GS004"]
        assert fit.notes == fit.plan.notes == fit.model.provenance["notes"]
        page = fit.report().html
        assert '<a href="#GS004">GS004</a> <bdi>Column &#x27;id&#x27; numbers the rows' in page
        assert '<h3 id="GS004">GS004: A column numbers the rows</h3>' in page
        assert "GS001" not in page.partition("What the notes mean")[2].partition("GS004:")[0]
        assert "GS004" not in gs.report(fit.model, ignore="GS004").html

    def test_of_what_there_is_not(self):
        with pytest.raises(gs.InvalidParameter, match="no diagnostic 'GS999'"):
            gs.fit_table("there is no such file.csv", "y", ignore="GS999")

    def test_by_estimators(self, recwarn):
        gs.TableRegressor(ignore=["GS001", "GS004"], alpha=1.0, inference="none").fit(
            self.TABLE, "y"
        )
        assert not list(recwarn)
        gs.TableRegressor(alpha=1.0, inference="none").fit(self.TABLE, "y")
        assert [each.message.code for each in recwarn] == ["GS001", "GS004"]
        assert str(recwarn[1].message).startswith("GS004: TableRegressor: Column 'id'")


NO_PENALTY = {"alpha": 1e-6, "inference": "none", "validation": 0.25}


class TestWarnings:
    """What makes a model of no use is not left to who looks at its notes."""

    TABLE = TABLE.with_columns(sum=pl.col("x0") - pl.col("x1"), y=pl.col("x0") + pl.col("x2"))

    @pytest.mark.parametrize(
        "fit", [partial(gs.fit_table, **NO_PENALTY), gs.TableRegressor(**NO_PENALTY).fit]
    )
    @pytest.mark.parametrize("code", ["GS001", "GS002"])
    def test_once_at_the_line_that_called(self, fit, code):
        table = self.TABLE.with_columns(copy=pl.col("y")) if code == "GS001" else self.TABLE
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            fit(table, "y")
        (one,) = [each for each in told if each.message.code in {"GS001", "GS002"}]
        assert one.message.code == code
        assert one.category is gs.errors.GradstepWarning
        assert one.filename == __file__

    def test_of_neither_where_it_is_ignored_or_planned(self, recwarn):
        gs.fit_table(self.TABLE, "y", **NO_PENALTY, ignore="GS002")
        gs.plan(self.TABLE.with_columns(copy=pl.col("y")), "y")
        assert not list(recwarn)
