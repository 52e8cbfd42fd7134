"""What a loss makes of targets and of scores: ranges, predictions, probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
from sklearn.linear_model import SGDClassifier

from gradstep.objective.classification import (
    LogLoss,
    ModifiedHuber,
    OneVsRest,
    Softmax,
    class_probabilities,
)
from gradstep.objective.losses import inverse_link, target_range
from gradstep.objective.regression import Gamma, Poisson, SquaredError, Tweedie
from tests.objective.cases import every_loss, of


@every_loss
def test_target_range_holds_what_the_loss_is_defined_for(case, loss):
    allowed = target_range(loss)
    assert allowed.holds(np.array(case.targets)).all()
    assert not allowed.holds(np.array([*case.wrong_targets, math.nan])).any()


def test_only_powers_below_two_allow_a_target_of_zero():
    zero = np.zeros(1)
    assert [bool(Tweedie(p).target_range().holds(zero)[0]) for p in (1.0, 1.9, 2.0, 3.0)] == [
        True,
        True,
        False,
        False,
    ]
    assert repr(target_range(Poisson())) == "y >= 0"
    assert repr(target_range(Gamma())) == "y > 0"
    assert repr(target_range(SquaredError())) == "any y"


@pytest.mark.parametrize("case, loss", of("inverse_link"))
def test_a_logarithmic_link_predicts_the_mean(case, loss):
    y = np.array([0.5, 2.0, 7.0])
    best = np.array([loss.best_constant(y, None), 1e3])
    np.testing.assert_allclose(inverse_link(loss, best), [y.mean(), np.inf])


def test_without_a_link_the_score_is_the_prediction():
    z = np.array([-1e3, 0.5])
    assert inverse_link(SquaredError(), z).tolist() == z.tolist()


def test_probability_of_log_loss():
    z = np.array([-1e3, -30.0, -1.0, 0.0, 1.0, 30.0, 1e3])
    expected = scipy.special.expit(z)
    np.testing.assert_allclose(LogLoss().probability(z), expected, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize(
    "loss, z",
    [
        (LogLoss(), [[800.0], [40.0], [-40.0]]),
        (Softmax(), [[0.0, -40.0, -900.0], [900.0, 0.0, 0.0]]),
        (OneVsRest(LogLoss()), [[60.0, -900.0], [1.0, -900.0]]),
    ],
)
def test_no_logistic_probability_is_0_or_1(loss, z):
    found = class_probabilities(loss, np.array(z))
    assert ((found > 0.0) & (found < 1.0)).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-15)
    if isinstance(loss, LogLoss):
        assert found[1, 0] == pytest.approx(np.exp(-40.0), rel=1e-12)


def test_probability_of_modified_huber_is_that_of_scikit_learn():
    X = np.linspace(-1.0, 1.0, 20)[:, None]
    theirs = SGDClassifier(loss="modified_huber", random_state=0).fit(X, X[:, 0] > 0.1)
    X = 3.0 * X  # scores beyond ±1, too
    np.testing.assert_allclose(
        ModifiedHuber().probability(theirs.decision_function(X)),
        theirs.predict_proba(X)[:, 1],
        rtol=1e-14,
    )


def test_probabilities_of_softmax():
    z = np.array([[0.0, 1.0, -1.0], [1e3, -1e3, 0.0], [-1e3, -1e3, -1e3]])
    ours = Softmax().probabilities(z)
    expected = scipy.special.softmax(z, axis=1)
    np.testing.assert_allclose(ours, expected, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(ours.sum(axis=1), 1.0, rtol=1e-15)
