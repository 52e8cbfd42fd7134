"""Counts of different exposures: the offset of a fit."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import optimize, stats

from gradstep import InvalidParameter, InvalidTable, evaluate, fit_table, plan
from gradstep.data.preparing.raw_exposure import OffsetSums
from tests.uncompiled import uncompiled


class TestExposures:
    def table(self):
        rng = np.random.default_rng(4)
        x, years = rng.normal(size=400), rng.uniform(0.1, 90.0, 400)
        return pl.DataFrame({"x": x, "years": years, "y": rng.poisson(years * np.exp(x - 3.0))})

    @uncompiled
    def test_are_offsets_once_their_logarithm_is_taken(self):
        table, given = self.table(), {"loss": "poisson", "validation": 0.2, "alpha": 1e-4}
        fit = fit_table(table, "y", exposure="years", **given)
        logs = table.select("x", "y", pl.col("years").log().alias("o"))
        expected = fit_table(logs, "y", offset="o", **given)
        assert fit.model.params.tobytes() == expected.model.params.tobytes()
        assert fit.validation == pytest.approx(expected.validation)
        assert (fit.model.offset, fit.model.exposure) == (None, "years")
        assert evaluate(fit.model, table)["deviance"] < 1.5

    @uncompiled
    @pytest.mark.parametrize("loss, power", [("poisson", 1.0), ("tweedie", 1.5)])
    def test_alpha_is_relative_to_the_loss_per_exposure(self, loss, power):
        """That of the counts, over the rows, has alpha times the mean weight of an exposure."""
        table, alpha = self.table(), 0.1
        fit = fit_table(
            table, "y", exposure="years", loss=loss, alpha=alpha, penalty_scale="unit", tol=1e-10,
            validation=0.0,
        )  # fmt: skip
        x, years, y = table["x"].to_numpy(), table["years"].to_numpy(), table["y"].to_numpy()
        (w,), b = fit.model.coef_[0], fit.model.intercept_[0]
        mean = years * np.exp(x * w + b)
        slope = np.mean((mean - y) * mean ** (1.0 - power) * x)
        assert slope + alpha * np.mean(years ** (2.0 - power)) * w == pytest.approx(0.0, abs=1e-6)
        assert abs(w) > 0.3

    @uncompiled
    def test_as_people_write_them(self):
        table, given = self.table(), {"loss": "poisson", "exposure": "years", "alpha": 1e-4}
        text = pl.col("years").cast(pl.String).str.replace(".", ",", literal=True)
        fit = fit_table(table.with_columns(text), "y", **given)
        expected = fit_table(table, "y", **given)
        assert fit.model.params.tobytes() == expected.model.params.tobytes()
        assert "GS009: Numbers are read with a decimal comma: years." in fit.notes
        np.testing.assert_array_equal(
            fit.model.predict(table.with_columns(text)), expected.model.predict(table)
        )

    def test_one_that_is_given_as_an_offset_is_told(self):
        with pytest.raises(InvalidParameter, match=r"'years' multiplies .* Give loss='poisson'"):
            fit_table(self.table(), "y", exposure="years")
        with pytest.raises(InvalidTable, match=r"'years' goes from .*exposure=.years"):
            fit_table(self.table(), "y", loss="poisson", offset="years")
        # numbers that are added to a score that is no logarithm may be any
        fit_table(self.table(), "y", offset="years", max_iter=2)

    @pytest.mark.parametrize("wrong", [0.0, -1.0, None, float("inf")])
    def test_must_be_above_zero(self, wrong):
        table = self.table().with_columns(
            pl.when(pl.int_range(pl.len()) == 2).then(wrong).otherwise("years").alias("years")
        )
        with pytest.raises(InvalidTable, match=r"exposure 'years' is .* in row 3 .* above 0"):
            fit_table(table, "y", loss="poisson", exposure="years")

    def test_go_without_an_offset(self):
        with pytest.raises(InvalidParameter, match="give one of the two"):
            fit_table(self.table(), "y", loss="poisson", exposure="years", offset="x")
        with pytest.raises(InvalidTable, match="The exposure 'yeers' is not a column"):
            fit_table(self.table(), "y", loss="poisson", exposure="yeers")


class TestRawExposures:
    """A time or a population that is given as an offset, as if it were a logarithm already."""

    def table(self, loss="poisson", n=2000, of=lambda years: years):
        rng = np.random.default_rng(5)
        x, years = rng.normal(size=n), rng.uniform(0.1, 3.0, n)
        mean = of(years) * np.exp(0.3 * x - 1.0)
        y = rng.poisson(mean) if loss == "poisson" else mean * rng.gamma(2.0, 0.5, n)
        weight = rng.integers(1, 4, n)
        return pl.DataFrame({"x": x, "years": years, "y": y, "weight": weight})

    def notes(self, table, loss="poisson", **given):
        noted = plan(table, "y", loss=loss, offset="years", drop="weight", **given).notes
        return [note for note in noted if note.code == "GS017"]

    @pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
    def test_are_told(self, loss):
        (note,) = self.notes(self.table(loss), loss)
        assert "The offset 'years'" in note
        assert 'exposure="years" takes its logarithm' in note

    def test_of_counts_of_other_units_too(self):
        """The dispersion is that of the rows: costs in millions have little."""
        table = self.table("gamma").with_columns(pl.col("y") * 1e-6)
        assert len(self.notes(table, "tweedie")) == 1
        assert len(self.notes(table.with_columns(pl.col("y") * 1e12), "tweedie")) == 1

    @pytest.mark.parametrize(
        "of",
        [np.exp, np.ones_like, lambda years: 1.0 / years, lambda years: np.exp(years) / years],
    )
    def test_that_are_none_are_not(self, of):
        """A logarithm between .1 and 3; what says nothing; what works the other way."""
        assert self.notes(self.table(of=of)) == []

    @pytest.mark.parametrize("elasticity", [0.1, 0.2, 0.27, 0.3, 0.5, 1.0])
    @pytest.mark.parametrize("low, high", [(6.0, 14.0), (2.0, 5.0)])
    def test_logarithms_that_counts_grow_more_slowly_than_are_not(self, elasticity, low, high):
        """Of a population, of which counts are a power below 1, as of infections or of patents."""
        rng = np.random.default_rng(6)
        o = rng.uniform(low, high, 3000)
        mean = np.exp(elasticity * (o - o.mean()) + 1.0)
        table = {"x": rng.normal(size=3000), "years": o, "y": rng.poisson(mean), "weight": 1}
        assert self.notes(pl.DataFrame(table)) == []
        sums = OffsetSums()
        sums.add(pl.Series(o), mean, None)  # nor without noise
        assert sums.notes("o") == []

    def test_that_cannot_be_computed_are_not(self):
        sums = OffsetSums()
        sums.add(pl.Series(np.ones(30)), np.full(30, np.nan), None)
        assert np.isnan(sums.gain)
        assert sums.notes("o") == []

    def test_of_few_rows_are_not(self):
        assert self.notes(self.table(n=15)) == []

    @pytest.mark.parametrize("value", [0.0, -1.0])
    def test_are_above_0(self, value):
        table = self.table()
        years = table["years"].to_numpy().copy()
        years[7] = value
        assert self.notes(table.with_columns(years=pl.Series(years))) == []

    def test_of_another_loss_are_not(self):
        assert self.notes(self.table(), "squared_error") == []

    @pytest.mark.parametrize("weighted", [False, True])
    def test_are_known_by_the_likelihood_of_a_model_without_features(self, weighted):
        """Poisson's, of SciPy, divided by the dispersion."""
        table = self.table()
        y, o = table["y"].to_numpy().astype(float), table["years"].to_numpy()
        w = table["weight"].to_numpy().astype(float) if weighted else np.ones(y.size)

        def likelihood(mean):
            return w @ stats.poisson.logpmf(y, mean * (w @ y) / (w @ mean))

        of_exposure = o * (w @ y) / (w @ o)
        dispersion = w @ ((y - of_exposure) ** 2 / of_exposure) / y.size
        of_offset = -optimize.minimize_scalar(
            lambda t: -likelihood(np.exp(t * o)), bounds=(0.0, 1.0), method="bounded",
            options={"xatol": 1e-9},
        ).fun  # fmt: skip
        rise = likelihood(o) - of_offset
        sums, rest = OffsetSums(), OffsetSums()
        sums.add(table["years"][:700], y[:700], w[:700] if weighted else None)
        rest.add(table["years"][700:], y[700:], w[700:] if weighted else None)
        sums.merge(rest)
        assert sums.gain == pytest.approx(rise / dispersion, rel=1e-3)  # a parabola
        assert sums.gain > 10.0
