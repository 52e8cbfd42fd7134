"""What is predicted along a column, and between which bounds, against predictions of rows."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from gradstep.model.effects import effects
from gradstep.objective.classification import class_probabilities
from tests.reporting.models import EPOCH, KINDS, model_of


def typical(model):
    """Return a row: means, and the most frequent levels."""
    deck = model.encoding.coded[0]
    level = deck.names[int(np.argmax(model.training.levels[0]))].removeprefix("deck=")
    return {"age": 40.0, "fare": 12.0, "deck": level, "income": np.exp(10.0),
            "day": date(1970, 1, 1) + timedelta(EPOCH), "time": 1.0}  # fmt: skip


def predictions(model, column, values):
    """Return what the model predicts for rows that differ in one column."""
    frame = pl.DataFrame([typical(model)] * len(values)).with_columns(pl.Series(column, values))
    if model.target.classes is None:
        return model.predict(frame)[:, None]
    if not model.gives_probabilities:
        return model.table_scores(frame)
    found = model.predict_proba(frame)
    return found[:, 1:] if model.n_outputs == 1 else found


@pytest.mark.parametrize("kind", KINDS)
def test_are_predictions_of_typical_rows(kind):
    model = model_of(kind)
    k, p, starts = model.n_outputs, model.encoding.n_features, model.encoding.starts
    # a date has its month, which an effect holds apart: here all months do the same
    model.params[: k * p].reshape(k, p)[:, starts[1] : starts[2]] = 0.25
    found = {effect.column: effect for effect in effects(model)}
    assert set(found) == {"age", "fare", "deck", "income", "day", "day month"}
    for column in ("age", "fare", "deck", "income"):
        effect = found[column]
        np.testing.assert_allclose(
            effect.mean, predictions(model, column, list(effect.at)), rtol=1e-9
        )
    assert found["deck"].at[0] == typical(model)["deck"]
    assert found["day month"].at == [str(i) for i in range(1, 13)]
    assert found["age"].at[0] == 18.0  # of the table, where the deviation reaches lower


def ends_by_hand(model, at, effect):
    """Return the ends of the interval of the log-odds, or the score, by differences."""
    k, p = model.n_outputs, model.encoding.n_features
    frame = pl.DataFrame([typical(model)])
    frame = frame.with_columns(pl.Series(effect.column, [effect.at[at]]))
    encoded = model.encoding.encode(frame)
    usual = int(np.argmax(model.training.levels[1])) + model.encoding.starts[1]
    x = np.zeros(p + 1)
    x[: encoded.values.shape[1]] = encoded.values[0]
    for code in (encoded.codes[0, 0], usual):
        x[code] += 1.0
    for place, amount in zip(encoded.places[0], encoded.amounts[0], strict=True):
        x[place] += amount
    x[p] = 1.0
    theta = model.covariance.params.reshape(-1)

    def link(theta):
        z = theta.reshape(k, p + 1) @ x
        if k == 1:
            return z
        each = class_probabilities(model.loss, z[None])[0]
        return np.log(each / (1.0 - each))

    step = 1e-6
    moved = [
        (link(theta + step * e) - link(theta - step * e)) / (2.0 * step) for e in np.eye(theta.size)
    ]
    jacobian = np.array(moved).T
    half = 1.959963984540054 * np.sqrt(np.diag(jacobian @ model.covariance.matrix[0] @ jacobian.T))
    ends = link(theta) - half, link(theta) + half
    if k > 1:
        return [1.0 / (1.0 + np.exp(-end)) for end in ends]
    return [predicted(model, end) for end in ends]


def predicted(model, z):
    return (
        model.means(z[None]) if model.target.classes is None else model.probabilities(z[None])[:, 1]
    )


@pytest.mark.parametrize("kind", ["number", "two", "three", "counts", "quantile"])
def test_intervals_are_those_of_the_covariance(kind):
    model = model_of(kind)
    for effect in effects(model):
        if effect.column in {"age", "fare", "deck", "income"}:
            for at in (0, 2):
                low, high = ends_by_hand(model, at, effect)
                np.testing.assert_allclose(effect.low[at], low, rtol=1e-5)
                np.testing.assert_allclose(effect.high[at], high, rtol=1e-5)


def test_without_a_covariance_there_are_none_and_few_are_asked_for():
    model = model_of(sure=False)
    assert all(effect.low is None for effect in effects(model))
    assert len(effects(model, most=2)) == 2
    assert [effect.more for effect in effects(model, levels=3) if not effect.is_curve] == [1, 9]
    undetermined = model_of()
    undetermined.covariance.undetermined[0, 0] = True  # of age
    age, *others = sorted(effects(undetermined), key=lambda effect: effect.column)
    assert np.isnan(age.low[0]).all()
    assert not any(np.isnan(other.low).any() for other in others)
