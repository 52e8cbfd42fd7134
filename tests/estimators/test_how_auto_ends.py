"""How a run of the automatic method ends: as documented, and as its sentence says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from gradstep import MiniBatchClassifier, MiniBatchRegressor, fit_table
from gradstep.engine.automatic import l1_minimum
from gradstep.engine.records import Outcome

LASSO = {"penalty": "l1", "penalty_scale": "unit", "fit_intercept": False}


def far_from_zero():
    """Return more columns than rows, which differ little beside how far they are from zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(55, 119))
    y = X[:, :20] @ rng.normal(size=20) / 4.0
    return X + 1e3 * rng.uniform(size=119), y


@pytest.mark.parametrize("asked", [{}, {"tol": 1e-8}, {"optimizer": "exact"}], ids=str)
@pytest.mark.parametrize("alpha", [1e-2, 1e-4])
def test_the_optimum_is_reached_without_an_intercept(alpha, asked):
    X, y = far_from_zero()
    model = MiniBatchRegressor(alpha=alpha, **LASSO, **asked).fit(X, y)
    rest = y - X @ model.coef_
    objective = 0.5 * np.mean(rest**2) + alpha * np.abs(model.coef_).sum()
    rest *= min(1.0, alpha * len(y) / np.abs(X.T @ rest).max())  # feasible for the dual
    assert objective - (np.mean(rest * y) - 0.5 * np.mean(rest**2)) <= 1e-5 * objective
    assert model.outcome_ in {Outcome.OPTIMAL, Outcome.ROUNDING}


def test_a_run_whose_steps_are_not_solved_says_so(monkeypatch):
    monkeypatch.setattr(l1_minimum, "minimise_quadratic", lambda *_: False)
    with pytest.warns(ConvergenceWarning, match="may have ended short of the optimum"):
        model = MiniBatchRegressor(**LASSO).fit(*far_from_zero())
    assert model.outcome_ is Outcome.STALLED
    assert not model.converged_


def words_of(thing, parameter):
    """Return what the docstring of a class or function says of a parameter."""
    after = thing.__doc__.partition(f"    {parameter} : ")[2]
    lines = after.splitlines()[1:]
    end = next(i for i, line in enumerate(lines) if not line.startswith(8 * " "))
    return " ".join(line.strip() for line in lines[:end])


@pytest.mark.parametrize("thing", [MiniBatchRegressor, MiniBatchClassifier, fit_table])
def test_without_tol_it_ends_once_nothing_is_left_to_gain(thing):
    assert "fewer, if the objective can be lowered no further" in words_of(thing, "tol")
    X, y = load_iris(return_X_y=True)
    asked = {"random_state": 42, "tol": None, "max_iter": 42}
    model = MiniBatchClassifier(**asked).fit(X[:, :2], y)
    assert model.outcome_ is Outcome.ROUNDING
    assert model.n_iter_ < 42
    plain = MiniBatchClassifier(learning_rate=0.01, **asked).fit(X[:, :2], y)
    assert (plain.outcome_, plain.n_iter_) == (Outcome.MAX_EPOCHS, 42)


@pytest.mark.parametrize("thing", [MiniBatchRegressor, MiniBatchClassifier])
def test_early_stopping_ends_at_the_optimum_at_the_latest(thing):
    words = words_of(thing, "early_stopping")
    assert "a run ends at the optimum of the training rows at the latest" in words
    model = MiniBatchClassifier(early_stopping=True, n_iter_no_change=100)
    model.fit(*load_iris(return_X_y=True))
    assert model.outcome_ is Outcome.OPTIMAL
    assert model.n_iter_ < 100


def test_a_warning_promises_no_more_epochs_than_tol_none_gives():
    with pytest.warns(ConvergenceWarning) as told:
        MiniBatchClassifier(max_iter=2).fit(*load_iris(return_X_y=True))
    assert str(told[0].message).endswith("Raise max_iter or tol.")
