"""Every check that scikit-learn has for an estimator, with no expected failure."""

from __future__ import annotations

from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from gradstep import MiniBatchClassifier, MiniBatchRegressor

# The checks train on anything; whether that converges is not what they check.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Needs SCIPY_ARRAY_API to be set before SciPy is imported.
MAY_BE_SKIPPED = {"check_array_api_input"}

VARIANTS = [
    MiniBatchRegressor(optimizer="adam", average=True, shuffle="blocks"),
    MiniBatchRegressor("huber", penalty="l1", early_stopping=True, learning_rate="adaptive"),
    MiniBatchClassifier("hinge", penalty="elasticnet", learning_rate="optimal"),
    MiniBatchClassifier("modified_huber", optimizer="ftrl", last_batch="drop"),
]


def run(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        name = getattr(check, "func", check).__name__
        if name in MAY_BE_SKIPPED:
            raise
        pytest.fail(f"{name} was skipped: {reason}")


@parametrize_with_checks([MiniBatchRegressor(), MiniBatchClassifier()])
def test_defaults_pass(estimator, check):
    run(estimator, check)


@pytest.mark.slow
@parametrize_with_checks(VARIANTS)
def test_variants_pass(estimator, check):
    run(estimator, check)
