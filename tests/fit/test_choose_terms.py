"""Terms are chosen where held-out rows gain by them, and nowhere else."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gradstep import fit_table, prepare
from gradstep.data.features.terms.crosses import Cross
from gradstep.data.features.terms.spline import SplineColumn
from gradstep.data.preparing.choosing import Chosen
from gradstep.data.preparing.prepare import prepare as prepare_by
from gradstep.errors import InvalidParameter
from gradstep.fit.prepare import preparing_for
from gradstep.objective.regression import Huber, SquaredError

N = 1200


def table(seed=0):
    rng = np.random.default_rng(seed)
    wave, line, noise = rng.normal(size=(3, N)) * 2.0
    kind = rng.choice(["a", "b", "c"], N)
    own = np.array([{"a": -1.0, "b": 0.0, "c": 1.5}[k] for k in kind])
    return pl.DataFrame({
        "wave": wave, "line": line, "noise": noise, "kind": kind,
        "straight": 2.0 * line - wave + own + rng.normal(size=N),
        "curved": 3.0 * np.sin(wave) + line + own * line + rng.normal(size=N),
        "yes": np.where(4.0 * np.cos(wave) + line + rng.logistic(size=N) > 0.0, "yes", "no"),
    })  # fmt: skip


TABLE = table()
FEATURES = ["wave", "line", "noise", "kind"]


def terms(prepared):
    columns = prepared.encoding.columns
    curves = [c.source for c in columns if isinstance(c, SplineColumn)]
    return curves, [{c.source, c.other} for c in columns if isinstance(c, Cross)]


def test_what_pays_is_chosen():
    fit = fit_table(TABLE, "curved", only=FEATURES, splines="auto")
    assert terms(fit.prepared) == (["wave"], [{"kind", "line"}])
    plain = fit_table(TABLE, "curved", only=FEATURES)
    assert fit.validation["rmse"] < 0.6 * plain.validation["rmse"]
    assert any("curves of wave and crosses" in note for note in fit.notes)


def test_what_does_not_is_not():
    prepared = prepare(TABLE, "straight", only=FEATURES, splines="auto")
    assert terms(prepared) == ([], [])
    assert "No term pays on 1,0" in prepared.meta["chosen"]


@pytest.mark.slow  # compiles a loss more
def test_by_the_loss_of_classes():
    fit = fit_table(TABLE, "yes", only=FEATURES, splines="auto")
    assert terms(fit.prepared) == (["wave"], [])


def test_beside_those_that_are_asked_for():
    prepared = prepare(
        TABLE, "curved", only=FEATURES, splines=["auto", "line"], crosses=["noise:kind"]
    )
    curves, crosses = terms(prepared)
    assert set(curves) == {"wave", "line"}
    assert {"noise", "kind"} in crosses


def test_held_out_rows_choose_nothing():
    seen = []

    def choose(sample):
        _, data = sample.encoded((("wave", 5),), ())
        assert data.n == sample.n
        seen.append(sample.frame["line"].to_list())
        return Chosen((("wave", 5),), (), "for a test")

    prepared = prepare_by(TABLE, "curved", only=FEATURES, splines="auto", choose=choose)
    own, scale = prepared.encoding.numbers[0], prepared.validation.rows.values[:, 0]
    held_out = scale * own.scale + own.mean
    assert own.source == "line"
    assert len(seen[0]) == prepared.n_rows
    assert np.abs(np.subtract.outer(seen[0], held_out)).min() > 1e-9  # numbers at random differ
    assert terms(prepared) == (["wave"], [])


def test_another_loss_is_another_prepared_table():
    """Which is kept by what was asked for."""
    one, two = (preparing_for(loss, {"splines": "auto"}) for loss in (SquaredError(), Huber()))
    assert one["chosen_for"] != two["chosen_for"]
    assert "choose" not in preparing_for(SquaredError(), {"splines": ["auto", "x"][1:]})


@pytest.mark.parametrize("terms", [{"splines": {"auto": 1}}])
def test_a_column_of_that_name_has_knots(terms):
    with pytest.raises(InvalidParameter, match="knots of the spline of 'auto'"):
        prepare(TABLE, "curved", **terms)
