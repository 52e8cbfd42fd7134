"""Every check that scikit-learn has, on estimators of tables, with no expected failure."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from gradstep import TableClassifier, TableRegressor
from tests.estimators.test_check_estimator import run

pytestmark = [
    # The checks train on anything; whether that converges, or is too easy, is not what they check.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*predicts the target almost perfectly"),
]


@parametrize_with_checks([TableRegressor(), TableClassifier()])
def test_defaults_pass(estimator, check):
    run(estimator, check)
